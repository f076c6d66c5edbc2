"""What the report says of one model version: plain values for the template, in the order in which people ask."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from calidris import semconv
from calidris.engine.snapshot import Alarm, ModelSnapshot, NamedFeature, Snapshot, WindowState
from calidris.metrics import BASELINE_WINDOW, Status, drift_p_values, reliability
from calidris.metrics.calibration.calibration_measures import ReliabilityBin
from calidris.metrics.drift.histograms import blocks
from calidris.metrics.input_faults import FaultCount
from calidris.report import changes, charts, tables, wording
from calidris.report.changes import Trend
from calidris.report.fairness_tables import Fairness, fairness
from calidris.report.label_sections import Truth, truth
from calidris.report.tables import Cell, Table, objectives
from calidris.state import ScoresState

HISTOGRAMS = 6
"""Features whose histograms are drawn."""

ENOUGH_LABELS = 500
"""Labelled rows from which on a reliability diagram is worth drawing when a longer window would have more."""

_SPEED = (semconv.METRIC_ML_LATENCY_DURATION, semconv.METRIC_ML_ERROR_RATIO)
_LABELS = (semconv.METRIC_ML_WINDOW_ROWS, semconv.METRIC_ML_LABEL_COVERAGE)
_NAMES = {
    semconv.METRIC_ML_ERROR_RATIO: "Calls that failed",
    semconv.METRIC_ML_WINDOW_ROWS: "Rows",
    semconv.METRIC_ML_LABEL_COVERAGE: "Rows whose label is known",
}


@dataclass(frozen=True, slots=True)
class AlarmView:
    """One alarm in words."""

    alarm: Alarm
    latched: bool
    headline: str
    facts: tuple[tuple[str, str], ...]
    changes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawing with its caption."""

    caption: str
    svg: Markup


@dataclass(frozen=True, slots=True)
class ModelView:
    """Everything the page shows of one model version."""

    anchor: str
    name: str
    version: str
    task: str
    mood: str
    title: str
    detail: str
    facts: tuple[tuple[str, str], ...]
    tiles: tuple[tuple[str, Cell], ...]
    alarms: tuple[AlarmView, ...]
    evidence: tuple[Picture, ...]
    waiting: tuple[str, ...]
    drift: tuple[Table, ...]
    moments: Table | None
    histograms: tuple[Picture, ...]
    truth: Truth
    reliability: Picture | None
    reliability_missing: str
    fairness: Fairness | None
    trend: Trend | None
    quality: Table | None
    violations: tuple[str, ...]
    schema: tuple[str, ...]
    unseen: Table | None
    speed: Table | None
    labels: Table | None
    objectives: Table | None


def model_view(snapshot: Snapshot, model: ModelSnapshot, anchor: str) -> ModelView:
    """The view of one model version of a snapshot."""
    alarms = tuple(_alarm(a, snapshot) for a in reversed(snapshot.alarms) if a.model == model.key)
    windows = _windows(model, alarms)
    picture, missing = _reliability(model, windows)
    mood, title = _headline(model, alarms)
    drift = tuple(t for w in windows if (t := _drift(model, w, w == windows[0])) is not None)
    return ModelView(
        anchor=anchor,
        name=wording.model(model.key),
        version=model.key.version,
        task=model.task,
        mood=mood,
        title=title,
        detail=model.status_detail,
        facts=_facts(model),
        tiles=tables.tiles(model, windows),
        alarms=alarms,
        evidence=_evidence(model),
        waiting=tuple(map(wording.waiting, tables.of_model(model, semconv.METRIC_ML_DETECTION_WAITING))),
        drift=drift,
        moments=_moments(model, windows[0]) if windows else None,
        histograms=_histograms(model, windows[0]) if windows else (),
        truth=truth(model),
        reliability=picture,
        reliability_missing=missing,
        fairness=fairness(model),
        trend=changes.trend(model),
        quality=tables.quality(model, windows[0]) if windows else None,
        violations=tuple(_violation(fault) for fault in model.faults),
        schema=changes.schema(model, windows[0]) if windows else (),
        unseen=changes.unseen_levels(model, _state(model, windows[0])) if windows else None,
        speed=tables.by_window(model, _SPEED, "Duration and failure of the calls", "Figure", _NAMES),
        labels=tables.by_window(model, _LABELS, "Rows, and how many of them have a label by now", "Figure", _NAMES),
        objectives=objectives(model),
    )


def _drift(model: ModelSnapshot, window: str, telling: bool) -> Table | None:
    """Distances of one window; of the most telling one also how likely they would be by chance."""
    return tables.drift(model, window, _p_values(model, _state(model, window)) if telling else {})


def _moments(model: ModelSnapshot, window: str) -> Table | None:
    return changes.moments(model, _state(model, window), tables.drift_order(model, window))


def _p_values(model: ModelSnapshot, state: WindowState | None) -> dict[str, float]:
    """p-value of the PSI of the features that are shown first, by parametric bootstrap; the same each time."""
    base = model.baseline_counts
    if state is None or base is None or base.spec.hash != state.counts.spec.hash or not state.counts.count:
        return {}
    names = tables.drift_order(model, state.window)[: tables.TOP_ROWS]
    p = drift_p_values(base.spec, base, state.counts, only=names)["psi"]
    every = (name for block in blocks(base.spec) for name in block.names)
    return {name: float(value) for name, value in zip(every, p.tolist()) if name in names}


def _headline(model: ModelSnapshot, alarms: tuple[AlarmView, ...]) -> tuple[str, str]:
    """Mood (the colour) and the status in words."""
    latched = [a for a in alarms if a.latched]
    if latched:
        return "bad", latched[0].headline
    return ("good" if model.status is Status.OK else "unsure"), wording.STATUS_TITLE[model.status]


def _facts(model: ModelSnapshot) -> tuple[tuple[str, str], ...]:
    return (
        ("Task", model.task),
        ("Rows", f"{model.rows:,}"),
        ("Labels", f"{model.labels:,}"),
        ("Newest prediction", wording.moment(model.last_event_ns)),
        ("Baseline", model.baseline or "none"),
        ("Owner", model.owner or "nobody named"),
        ("Tier", model.tier or "not set"),
    )


def _alarm(alarm: Alarm, snapshot: Snapshot) -> AlarmView:
    names = [wording.field(f.name) for f in alarm.features]
    what = names[0] if names else alarm.kind
    others = f" and {wording.plural(len(names) - 1, 'more feature')}" if len(names) > 1 else ""
    facts = _facts_of_alarm(alarm) if alarm.budgeted else _facts_of_rule(alarm)
    changes = (*(_change(f, alarm.budgeted) for f in alarm.features), *map(wording.moved, alarm.moved))
    headline = f"{what}{others} changed" if names else f"A change in {alarm.kind}"
    if alarm.kind != "drift" and names:
        headline = f"{alarm.kind.capitalize()}: {', '.join(names)}"
    return AlarmView(alarm, alarm.id in snapshot.latched, headline, facts, changes)


def _facts_of_alarm(alarm: Alarm) -> tuple[tuple[str, str], ...]:
    lasted = wording.how_long(max(alarm.raised_ns - alarm.since_ns, 0))
    windows = f"{wording.plural(alarm.windows, 'window')} of {alarm.window}"
    return (
        ("Changing since", _changing_since(alarm)),
        ("Alarm raised", f"{wording.moment(alarm.raised_ns)}, after {lasted}: {windows}"),
        ("Rows behind it", f"{alarm.n:,}"),
        (
            "How sure",
            f"evidence {wording.evidence(alarm.evidence)}, where 1 is enough for an alarm (logarithmic scale)",
        ),
        ("For", _severity(alarm)),
        ("False-alarm budget", f"{alarm.budget}: without a change, no more alarms than this are to be expected"),
        ("Compared with", f"baseline {alarm.baseline}"),
        *_raised_by(alarm),
        *((("New beside", f"alarm {alarm.renews}, which stands and does not name it"),) if alarm.renews else ()),
    )


def _severity(alarm: Alarm) -> str:
    """Whom it is for, and of how large a change its evidence is."""
    if alarm.level == semconv.ML_DETECTION_LEVEL_EARLY:
        return f"a {alarm.severity}: the change may be smaller than the tolerance of the settings"
    risen = f", early until {wording.moment(alarm.strong_ns)}" if alarm.strong_ns else ""
    return f"a {alarm.severity}{risen}"


def _changing_since(alarm: Alarm) -> str:
    """The onset, and between which times the strongest evidence puts it."""
    if alarm.onset is None:
        return f"{wording.moment(alarm.since_ns)}, when evidence began to gather: when the change began is not known"
    at, earliest, latest = (wording.moment(t) for t in alarm.onset[:3])
    return at if earliest == latest else f"{at}; the strongest evidence puts it between {earliest} and {latest}"


def _facts_of_rule(alarm: Alarm) -> tuple[tuple[str, str], ...]:
    """Of an alarm that a rule of the settings raised: no evidence was weighed, and no budget speaks for it."""
    return (
        ("Since", wording.moment(alarm.since_ns)),
        ("Alarm raised", wording.moment(alarm.raised_ns)),
        ("Rows behind it", f"{alarm.n:,}"),
        ("Rule", f"{alarm.kind} of the model's settings, for each {alarm.window}"),
        ("False-alarm budget", "none: a fixed rule promises nothing"),
        *_raised_by(alarm),
    )


def _raised_by(alarm: Alarm) -> tuple[tuple[str, str], ...]:
    """Which settings and program raised it, where that was noted."""
    return (("Raised by", f"calidris {alarm.program}, settings {alarm.settings}"),) if alarm.program else ()


def _violation(fault: FaultCount) -> str:
    rows = wording.plural(fault.rows, "row")
    return f"{wording.field(fault.feature)}: {wording.measure(fault.kind)} in {rows}; the first: {fault.example}"


def _change(feature: NamedFeature, budgeted: bool) -> str:
    said = f"{wording.field(feature.name)}: {wording.direction(feature.direction)}"
    return f"{said} (own evidence {wording.evidence(feature.evidence)})" if budgeted else said


def _windows(model: ModelSnapshot, alarms: tuple[AlarmView, ...]) -> list[str]:
    """Windows with drift figures, the most telling first: of the latched alarm, then with most evidence, then longest."""
    drifting = {r.window for r in model.readings if r.metric is semconv.METRIC_ML_DRIFT_SCORE} - {BASELINE_WINDOW}
    drifting = drifting or {w.window for w in model.windows}
    latched = [a.alarm.window for a in alarms if a.latched]

    def telling(window: str) -> tuple[bool, float, float]:
        return window not in latched[:1], -_model_evidence(model, window), -wording.window_order(window)

    return sorted(drifting, key=telling)


def _model_evidence(model: ModelSnapshot, window: str) -> float:
    found = [r.value for r in tables.of_model(model, semconv.METRIC_ML_DETECTION_EVIDENCE) if r.window == window]
    return max((value for value in found if value is not None), default=-1.0)


def _evidence(model: ModelSnapshot) -> tuple[Picture, ...]:
    lengths = sorted({p.window for p in model.history}, key=wording.window_order, reverse=True)
    by_length = {w: [p for p in model.history if p.window == w] for w in lengths}
    return tuple(
        Picture(f"{w} windows", charts.evidence(w, points))
        for w, points in by_length.items()
        if any(p.evidence is not None for p in points)
    )


def _histograms(model: ModelSnapshot, window: str) -> tuple[Picture, ...]:
    """The features with most evidence, baseline beside window; none where the two have other bins."""
    state, base = _state(model, window), model.baseline_counts
    if state is None or base is None or base.spec.hash != state.counts.spec.hash:
        return ()
    names = tables.drift_order(model, window)[:HISTOGRAMS]
    index = {f.name: i for i, f in enumerate(base.spec.fields)}
    out = []
    for name in (n for n in names if n in index):
        i = index[name]
        cells = charts.bars(base.spec.fields[i], base.field(i), state.counts.field(i))
        drawn = charts.histogram(f"Histogram of {wording.field(name)}", cells, state.counts.count, base.count)
        out.append(Picture(f"{wording.field(name)}, n = {state.counts.count:,} and {base.count:,}", drawn))
    return tuple(out)


def _state(model: ModelSnapshot, window: str) -> WindowState | None:
    return next((w for w in model.windows if w.window == window), None)


def _reliability(model: ModelSnapshot, windows: list[str]) -> tuple[Picture | None, str]:
    """The diagram of the most telling window with enough labels, else of the one with most; or why there is none."""
    by_telling = sorted(model.windows, key=lambda w: windows.index(w.window) if w.window in windows else len(windows))
    enough = (w for w in by_telling if w.scores.count >= ENOUGH_LABELS)
    most = next(enough, max(model.windows, key=lambda w: w.scores.count, default=None))
    if most is None or most.scores.count == 0:
        return None, "Not known because no labelled rows with a score have come yet."
    now, then = _tenths(most.scores), _tenths(model.baseline_scores) if model.baseline_scores else ()
    caption = f"{most.window} window, {wording.rows(most.scores.count)} labelled rows"
    return Picture(caption, charts.reliability(now, then)), ""


def _tenths(scores: ScoresState) -> tuple[ReliabilityBin, ...]:
    return reliability(scores.bins(), scores.spec)
