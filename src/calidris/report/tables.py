"""Tables: readings as rows and columns. A cell without a value says why it has none.

The few figures at the top of a model, ``tiles``, are what somebody looks at first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from calidris import semconv
from calidris.engine.snapshot import ModelSnapshot, WindowState
from calidris.metrics import BASELINE_WINDOW, Reading, Status, drift_table
from calidris.metrics.drift.drift_measures import MEASURES as DRIFT_MEASURES
from calidris.metrics.quality import KINDS, OTHER_LEVELS, RARE_LEVELS
from calidris.report import scopes, wording
from calidris.semconv import Metric
from calidris.state import MomentsState

TOP_ROWS = 25
"""Rows of a table by feature that show at once; the others are one click away."""


_SHOWN = ("psi", "psi_debiased", "js", "ks", "wasserstein")
"""Measures of drift that fit a page; the others say much the same and are in the readings."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure: the value, and below it in small what it rests on."""

    text: str
    notes: tuple[str, ...] = ()
    known: bool = True
    bar: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A heading and its figures."""

    heading: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table that can be read aloud: the caption says what it shows; ``rest`` are the less interesting rows."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[Row, ...]
    rest: tuple[Row, ...] = ()


def cell(reading: Reading | None, *, expected: float | None = None, n: bool = True) -> Cell:
    """A reading as a cell; ``expected`` is what it would be by chance, ``n`` is false where a column tells it."""
    if reading is None:
        return Cell("not measured", known=False)
    count = (wording.rows(reading.n),) if n and reading.metric is not semconv.METRIC_ML_WINDOW_ROWS else ()
    if reading.value is None:
        return Cell(wording.because(reading), count, known=False)
    notes = [*_interval(reading), *count]
    if expected:
        notes.append(f"by chance {wording.number(expected)}")
    if reading.status is not Status.OK:
        notes.append(wording.STATUS_MEANING[reading.status])
    return Cell(wording.figure(reading.metric, reading.value), tuple(notes))


def by_window(
    model: ModelSnapshot, metrics: Sequence[Metric], caption: str, heading: str, names: Mapping[Metric, str]
) -> Table | None:
    """Figures of a whole model: one row a figure, one column a window, the baseline's first. None without any."""
    found: dict[str, dict[str, Reading]] = {}
    for r in model.readings:
        if r.metric in metrics and scopes.is_whole(r):
            found.setdefault(_title(r, names), {})[r.window] = r
    windows = sorted({w for row in found.values() for w in row}, key=wording.window_order)
    rows = tuple(Row(title, tuple(cell(row.get(w)) for w in windows)) for title, row in found.items())
    return Table(caption, (heading, *map(wording.window, windows)), rows) if rows else None


def drift(
    model: ModelSnapshot,
    window: str,
    p_values: Mapping[str, float] = MappingProxyType({}),
) -> Table | None:
    """Drift of each feature in one window, most evidence first; beside each measure what chance alone would give.

    Args:
        model: the model version.
        window: the window.
        p_values: p-value of each feature's PSI, where they are to be shown.
    """
    found = by_feature(model, semconv.METRIC_ML_DRIFT_SCORE, semconv.ML_DRIFT_MEASURE, window)
    evidence = feature_evidence(model, window)
    if not found:
        return None
    known = [m for m in DRIFT_MEASURES if any(m in row for row in found.values())]
    measures = [m for m in known if m in _SHOWN] or known[: len(_SHOWN)]
    chance = _by_chance(model, window, measures)
    rows = []
    for name in drift_order(model, window):
        cells = [_evidence(evidence.get(name))]
        cells += [cell(found[name].get(m), expected=chance.get((name, m)), n=False) for m in measures]
        cells += [_p_value(p_values.get(name))] if p_values else []
        rows.append(Row(wording.field(name), (*cells, Cell(f"{max(r.n for r in found[name].values()):,}"))))
    more = ("p-value",) if p_values else ()
    head = ("Feature", "Evidence", *map(wording.measure, measures), *more, "Rows (n)")
    caption = f"Distance of the newest {window} window from the baseline, feature by feature"
    return Table(caption, head, tuple(rows[:TOP_ROWS]), tuple(rows[TOP_ROWS:]))


def drift_order(model: ModelSnapshot, window: str) -> list[str]:
    """Features of one window, those with most evidence first, then those that moved furthest."""
    found = by_feature(model, semconv.METRIC_ML_DRIFT_SCORE, semconv.ML_DRIFT_MEASURE, window)
    evidence = feature_evidence(model, window)
    return sorted(found, key=lambda name: (-evidence.get(name, -1.0), -_first(found[name]), name))


def quality(model: ModelSnapshot, window: str) -> Table | None:
    """Faults of each feature in one window, the worst first; features without any fault come last."""
    every = by_feature(model, semconv.METRIC_ML_DATA_QUALITY_RATIO, semconv.ML_DATA_QUALITY_KIND, window)
    # Columns that came or went are told in words.
    cells = {
        name: {kind: r for kind, r in row.items() if kind in (*KINDS, OTHER_LEVELS)} for name, row in every.items()
    }
    found = {name: row for name, row in cells.items() if row}
    if not found:
        return None
    kinds = list(dict.fromkeys(kind for row in found.values() for kind in row))
    # A rare level is no fault: it is told beside those that are.
    worst = {
        name: max(((r.value or 0.0) for kind, r in row.items() if kind != RARE_LEVELS), default=0.0)
        for name, row in found.items()
    }
    names = sorted(found, key=lambda name: (-worst[name], name))
    rows = {name: Row(wording.field(name), tuple(_fault(found[name].get(kind)) for kind in kinds)) for name in names}
    caption = f"Share of rows with a fault in the newest {window} window"
    shown = [name for name in names if worst[name] > 0][:TOP_ROWS]
    rest = tuple(rows[name] for name in names if name not in shown)
    return Table(caption, ("Feature", *map(wording.measure, kinds)), tuple(rows[name] for name in shown), rest)


def by_feature(model: ModelSnapshot, metric: Metric, dimension: str, window: str) -> dict[str, dict[str, Reading]]:
    """Readings of a metric in one window: feature to (value of the dimension to reading)."""
    found: dict[str, dict[str, Reading]] = {}
    for r in model.readings:
        attributes = dict(r.attributes)
        if r.metric is metric and r.window == window and semconv.ML_FEATURE_NAME in attributes:
            found.setdefault(attributes[semconv.ML_FEATURE_NAME], {})[attributes.get(dimension, "")] = r
    return found


def feature_evidence(model: ModelSnapshot, window: str) -> dict[str, float]:
    """Evidence of each feature in one window; the largest where several kinds are watched."""
    found = by_feature(model, semconv.METRIC_ML_DETECTION_EVIDENCE, semconv.ML_DETECTION_KIND, window)
    known = {name: [r.value for r in row.values() if r.value is not None] for name, row in found.items()}
    return {name: max(values) for name, values in known.items() if values}


def _title(reading: Reading, names: Mapping[Metric, str]) -> str:
    """The name of a figure: its measure, then whatever else tells it apart (a slice, a source)."""
    parts = [names[reading.metric]] if reading.metric in names else []
    for name, value in reading.attributes:
        if name in (semconv.ML_LABEL_MATURITY, semconv.ML_DETECTION_KIND):
            continue
        if name == semconv.ML_PERFORMANCE_SOURCE:
            parts += ["estimated without labels"] if value == semconv.ML_PERFORMANCE_SOURCE_ESTIMATE else []
        elif name == semconv.ML_LATENCY_QUANTILE:
            parts.append(_quantile(value))
        else:
            parts.append(wording.measure(value) if name.endswith((".measure", ".kind")) else f"{name} = {value}")
    return ", ".join(parts) or wording.measure(reading.metric.name)


def _quantile(level: str) -> str:
    try:
        return "Half of calls within" if float(level) == 0.5 else f"{float(level) * 100:g} % of calls within"
    except ValueError:
        return level


def _interval(reading: Reading) -> list[str]:
    if reading.lower is None and reading.upper is None:
        return []
    low = "?" if reading.lower is None else wording.figure(reading.metric, reading.lower)
    high = "?" if reading.upper is None else wording.figure(reading.metric, reading.upper)
    if reading.upper is None:
        return [f"at least {low}"]
    return [f"{low} to {high}"] if reading.lower is not None else [f"at most {high}"]


def _evidence(value: float | None) -> Cell:
    if value is None:
        return Cell("not scored", known=False)
    return Cell(wording.evidence(value), bar=max(0.0, min(value, 1.0)))


def _fault(reading: Reading | None) -> Cell:
    """A kind of fault that a feature cannot have is not a fault that was not measured."""
    return Cell("cannot occur", known=False) if reading is None else cell(reading)


def _p_value(value: float | None) -> Cell:
    if value is None or value != value:
        return Cell("not drawn", known=False)
    return Cell(wording.number(value) if value > 0.001 else "0.001 or less")


def _first(row: Mapping[str, Reading]) -> float:
    return next((r.value for r in row.values() if r.value is not None), -1.0)


def _by_chance(model: ModelSnapshot, window: str, measures: Iterable[str]) -> dict[tuple[str, str], float]:
    """What each measure would read on average if nothing had changed; empty where baseline and window do not compare."""
    state = next((w for w in model.windows if w.window == window), None)
    base = model.baseline_counts
    if state is None or base is None or base.spec.hash != state.counts.spec.hash:
        return {}
    table = drift_table(base.spec, base, state.counts, tuple(measures), _both_moments(model, state))
    return {
        (name, m): float(values[i])
        for m, values in table.expected.items()
        for i, name in enumerate(table.names)
        if abs(values[i]) < float("inf")
    }


def _both_moments(model: ModelSnapshot, state: WindowState) -> tuple[MomentsState, MomentsState] | None:
    """Of the baseline and of a window whose rows count once each; None where there are none."""
    merged, known = state.merged, model.baseline_moments
    if merged is None or known is None or merged.is_weighted:
        return None
    return known, merged.moments


def objectives(model: ModelSnapshot) -> Table | None:
    """Events of each service level objective since the state began."""
    names = sorted({name for name, _ in model.slo_events})
    if not names:
        return None
    rows = []
    for name in names:
        good, bad = (model.slo_events.get((name, outcome), 0) for outcome in ("good", "bad"))
        met = (
            Cell(wording.share(good / (good + bad)), (wording.rows(good + bad),))
            if good + bad
            else Cell("no events yet", known=False)
        )
        rows.append(Row(name, (met, Cell(f"{bad:,}"))))
    return Table("Service level objectives, since the state began", ("Objective", "Met by", "Missed by"), tuple(rows))


def of_model(model: ModelSnapshot, metric: semconv.Metric) -> list[Reading]:
    """Readings of a metric that are of the whole model, not of a feature, a class or a slice."""
    return [r for r in model.readings if r.metric is metric and scopes.is_whole(r)]


def tiles(model: ModelSnapshot, windows: list[str]) -> tuple[tuple[str, Cell], ...]:
    """A few figures at the top, each of the longest window that has it, with the baseline's below."""
    evidence = _most_evidence(model, windows[:1])
    out = [("Evidence of a change", cell(evidence))] if evidence else []
    arrived, headline = {semconv.ML_LABEL_MATURITY: scopes.ARRIVED}, scopes.headline(model)
    wanted: tuple[tuple[str, semconv.Metric, dict[str, str]], ...] = (
        ("Brier score", scopes.CALIBRATION, {semconv.ML_CALIBRATION_MEASURE: "brier", **arrived}),
        (wording.measure(headline), scopes.PERFORMANCE, {semconv.ML_PERFORMANCE_MEASURE: headline, **arrived}),
        ("99 % of calls within", semconv.METRIC_ML_LATENCY_DURATION, {semconv.ML_LATENCY_QUANTILE: "0.99"}),
        ("Calls that failed", semconv.METRIC_ML_ERROR_RATIO, {}),
        ("Labels known", semconv.METRIC_ML_LABEL_COVERAGE, {}),
    )
    for title, metric, attributes in wanted:
        found = _pick(model, metric, attributes, windows)
        if found is not None:
            base = _pick(model, metric, attributes, [BASELINE_WINDOW], strict=True)
            out.append((f"{title}, {found.window}", _with_baseline(cell(found), base)))
    return tuple(out)


def _most_evidence(model: ModelSnapshot, windows: list[str]) -> Reading | None:
    """Of all detectors of a window the one that is nearest to an alarm; any that tells why not where none knows."""
    metric = semconv.METRIC_ML_DETECTION_EVIDENCE
    known = [r for r in of_model(model, metric) if r.window in windows and r.value is not None]
    return max(known, key=lambda r: r.value or 0.0, default=_pick(model, metric, {}, windows))


def _pick(
    model: ModelSnapshot,
    metric: semconv.Metric,
    attributes: dict[str, str],
    windows: list[str],
    *,
    strict: bool = False,
) -> Reading | None:
    """The reading of the first of the windows that knows it; else (unless strict) any that tells why not."""
    found = [r for r in of_model(model, metric) if attributes.items() <= dict(r.attributes).items()]
    for window in windows:
        for r in found:
            if r.window == window and r.value is not None:
                return r
    rest = [r for r in found if r.window != BASELINE_WINDOW]
    return (
        None if strict or not rest else max(rest, key=lambda r: (r.value is not None, wording.window_order(r.window)))
    )


def _with_baseline(cell: Cell, baseline: Reading | None) -> Cell:
    if baseline is None or baseline.value is None:
        return cell
    said = f"baseline {wording.figure(baseline.metric, baseline.value)}"
    return Cell(cell.text, (said, *cell.notes), cell.known, cell.bar)
