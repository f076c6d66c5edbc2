"""What labels say: performance and calibration by maturity, by class and by slice, and beside the estimate without labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from markupsafe import Markup

from calidris import semconv
from calidris.engine.snapshot import ModelSnapshot
from calidris.metrics import BASELINE_WINDOW, Reading, calibration_tests
from calidris.report import interval_plots, scopes, wording
from calidris.report.tables import Cell, Row, Table, cell
from calidris.semconv import Metric
from calidris.state import class_names
from calidris.state.blocks.labelled import Decisions

MATURITIES = {
    scopes.ARRIVED: "of the labels that are in",
    scopes.FIXED_AGE: "at a fixed age of labels: of the newest window that is as old as the label age",
    scopes.ADJUSTED: "adjusted for labels still to come: of the newest window that is an hour old",
    scopes.COMPLETE: "complete: of the newest window of which 99 % of the labels are in, of each class",
}
DRAWN = 30
"""Slices that are drawn; the table has all of them."""


@dataclass(frozen=True, slots=True)
class Truth:
    """Performance and calibration for the page."""

    performance: tuple[Table, ...]
    calibration: tuple[Table, ...]
    tests: Table | None
    classes: Table | None
    confusion: Table | None
    slices: Table | None
    slices_drawn: Markup | None
    estimate: Table | None
    delays: Table | None


def truth(model: ModelSnapshot) -> Truth:
    """The view of one model version."""
    window = scopes.labelled_window(model)
    return Truth(
        performance=_by_maturity(model, scopes.PERFORMANCE, "Performance"),
        calibration=_by_maturity(model, scopes.CALIBRATION, "Calibration of the scores"),
        tests=_tests(model, window),
        classes=_classes(model, window),
        confusion=_confusion(model, window),
        slices=_slices(model, window),
        slices_drawn=_slices_drawn(model, window),
        estimate=_estimate(model),
        delays=_delays(model),
    )


def columns(readings: Iterable[Reading], caption: str, heading: str, name: Callable[[Reading], str]) -> Table | None:
    """One row a figure, one column a window, the baseline's first; None where no figure of a window is there."""
    found: dict[str, dict[str, Reading]] = {}
    for r in readings:
        found.setdefault(name(r), {})[r.window] = r
    windows = sorted({w for row in found.values() for w in row}, key=wording.window_order)
    if not set(windows) - {BASELINE_WINDOW}:
        return None
    rows = tuple(Row(title, tuple(cell(row.get(w)) for w in windows)) for title, row in found.items())
    return Table(caption, (heading, *map(wording.window, windows)), rows)


def _by_maturity(model: ModelSnapshot, metric: Metric, what: str) -> tuple[Table, ...]:
    out = []
    for maturity, said in MATURITIES.items():
        mine = [r for r in scopes.of(model, metric, ML_LABEL_MATURITY=maturity) if scopes.is_whole(r)]
        if not any(r.value is not None for r in mine if r.window != BASELINE_WINDOW) and maturity != scopes.ARRIVED:
            continue
        table = columns(mine, f"{what}, {said}", "Measure", _named)
        out += [table] if table else []
    return tuple(out)


def _named(reading: Reading) -> str:
    return wording.measure(scopes.measure(reading))


def _tests(model: ModelSnapshot, window: str | None) -> Table | None:
    """How likely labels so far from the scores would be if the scores were calibrated."""
    state = next((w for w in model.windows if w.window == window), None)
    if state is None or model.task == semconv.ML_MODEL_TASK_REGRESSION or state.scores.count < 30:
        return None
    found = calibration_tests(state.scores.bins())
    rows = tuple(Row(wording.measure(name), (_plain(t.statistic), _plain(t.p_value))) for name, t in found.items())
    caption = f"Tests of one {window} window. One in twenty is below 0.05 with nothing wrong; nothing alarms on them"
    return Table(caption, ("Test", "Statistic", "p-value"), rows)


def _plain(value: float) -> Cell:
    return Cell(wording.number(value)) if value == value and abs(value) < 1e300 else Cell("not defined", known=False)


def _classes(model: ModelSnapshot, window: str | None) -> Table | None:
    readings = [
        r for r in scopes.of(model, scopes.PERFORMANCE, ML_LABEL_MATURITY=scopes.ARRIVED)
        if r.window == window and scopes.attribute(r, semconv.ML_PREDICTION_CLASS) and not scopes.cut(r)
    ]  # fmt: skip
    found: dict[str, dict[str, Reading]] = {}
    for r in readings:
        found.setdefault(scopes.attribute(r, semconv.ML_PREDICTION_CLASS) or "", {})[scopes.measure(r)] = r
    rows = tuple(Row(name, tuple(cell(row.get(m)) for m in ("recall", "precision"))) for name, row in found.items())
    return Table(f"Class by class, {window} window", ("Class", "Recall", "Precision"), rows) if rows else None


def _confusion(model: ModelSnapshot, window: str | None) -> Table | None:
    """What was decided against what was true."""
    state = next((w for w in model.windows if w.window == window and w.merged is not None), None)
    if state is None or state.merged is None or model.task == semconv.ML_MODEL_TASK_REGRESSION:
        return None
    spec, decisions = state.counts.spec, state.merged.labels.decisions()
    if decisions is None:
        return None
    counts, names = decisions.counts, class_names(spec)
    if model.task == semconv.ML_MODEL_TASK_BINARY:
        names = (f"not {spec.positive}", spec.positive)
    kept = [k for k in range(len(names)) if counts[k].any() or counts[:, k].any()]
    last = len(names) - 1
    if decisions.mistaken and last not in kept:
        kept.append(last)
    rows = tuple(Row(names[k], tuple(_count(decisions, k, j) for j in kept)) for k in kept)
    head = ("True outcome", *(f"decided {names[j]}" for j in kept))
    return Table(f"Decisions by true outcome, {window} window", head, rows) if rows else None


def _count(decisions: Decisions, truth: int, decided: int) -> Cell:
    """Rows of one true and one decided class; of several that are counted together, how many were of the same one."""
    rows = f"{int(decisions.counts[truth, decided]):,}"
    last = len(decisions.counts) - 1
    if decisions.mistaken and truth == decided == last:
        return Cell(f"{rows} right, {decisions.mistaken:,} not")
    return Cell(rows)


def _by_cut(model: ModelSnapshot, window: str | None) -> dict[tuple[tuple[str, str], ...], dict[str, Reading]]:
    found: dict[tuple[tuple[str, str], ...], dict[str, Reading]] = {}
    for metric in (scopes.PERFORMANCE, scopes.CALIBRATION):
        for r in scopes.of(model, metric, ML_LABEL_MATURITY=scopes.ARRIVED):
            if r.window == window and scopes.cut(r):
                found.setdefault(scopes.cut(r), {})[scopes.measure(r)] = r
    return found


def _slices(model: ModelSnapshot, window: str | None) -> Table | None:
    """Every slice with labelled rows, the worst first."""
    found = {key: row for key, row in _by_cut(model, window).items() if len(row) > 1}
    measures = list(dict.fromkeys(m for row in found.values() for m in row))
    measures.sort(key=lambda m: m != scopes.headline(model))
    names = sorted(found, key=lambda key: _badness(model, found[key]))
    rows = tuple(Row(scopes.cut_name(k), tuple(cell(found[k].get(m)) for m in measures)) for k in names)
    caption = f"Slice by slice, {window} window, the worst first"
    return Table(caption, ("Slice", *map(wording.measure, measures)), rows) if rows else None


def _badness(model: ModelSnapshot, row: dict[str, Reading]) -> float:
    first = row.get(scopes.headline(model))
    if first is None or first.value is None:
        return float("inf")
    return -first.value if scopes.headline(model) == "mae" else first.value


def _slices_drawn(model: ModelSnapshot, window: str | None) -> Markup | None:
    measure = scopes.headline(model)
    base = {key: row[measure].value for key, row in _by_cut(model, BASELINE_WINDOW).items() if measure in row}
    found = {key: row[measure] for key, row in _by_cut(model, window).items() if measure in row}
    shown = [
        interval_plots.Dot(scopes.cut_name(key), r.value, r.lower, r.upper, r.n, base.get(key))
        for key, r in sorted(found.items(), key=lambda item: _badness(model, {measure: item[1]}))
        if r.value is not None and r.lower is not None and r.upper is not None
    ]
    if not shown:
        return None
    whole = next(
        (r.value for r in scopes.of(model, scopes.PERFORMANCE, ML_PERFORMANCE_MEASURE=measure, ML_LABEL_MATURITY=scopes.ARRIVED)
         if r.window == window and scopes.is_whole(r)), None,
    )  # fmt: skip
    return interval_plots.forest(f"{wording.measure(measure)} by slice", shown[:DRAWN], whole)


def _estimate(model: ModelSnapshot) -> Table | None:
    """Estimates beside what labels showed, and how far off estimates were."""
    guessed = list(scopes.of(model, scopes.PERFORMANCE, ML_PERFORMANCE_SOURCE=semconv.ML_PERFORMANCE_SOURCE_ESTIMATE))
    if not guessed:
        return None
    if all(r.value is None for r in guessed):  # one line says that as well as five
        guessed = [r for r in guessed if scopes.measure(r) == scopes.measure(guessed[0])]
    measures = {scopes.measure(r) for r in guessed}
    realised = [
        r for r in scopes.of(model, scopes.PERFORMANCE, ML_LABEL_MATURITY=scopes.FIXED_AGE)
        if scopes.is_whole(r) and scopes.measure(r) in measures and r.window != BASELINE_WINDOW
    ]  # fmt: skip
    residual = list(scopes.of(model, semconv.METRIC_ML_PERFORMANCE_RESIDUAL))
    shares = list(scopes.of(model, semconv.METRIC_ML_LABEL_SHARE))

    def name(r: Reading) -> str:
        if r.metric is semconv.METRIC_ML_PERFORMANCE_RESIDUAL:
            return f"{_named(r)}, estimate less what labels showed"
        if r.metric is semconv.METRIC_ML_LABEL_SHARE:
            return f"Share of class {scopes.attribute(r, semconv.ML_LABEL_CLASS)}, from decisions alone"
        return f"{_named(r)}, {'labels at a fixed age' if r in realised else 'estimated'}"

    ordered = sorted([*guessed, *realised], key=lambda r: [scopes.measure(g) for g in guessed].index(scopes.measure(r)))
    return columns(
        [*ordered, *residual, *shares], "Performance without labels, beside what labels showed", "Figure", name
    )


def _delays(model: ModelSnapshot) -> Table | None:
    found = list(scopes.of(model, semconv.METRIC_ML_LABEL_DELAY))
    rows = []
    for r in found:
        shown = cell(r)
        bar = Cell(shown.text, shown.notes, shown.known, r.value)
        rows.append(Row(f"within {scopes.attribute(r, semconv.ML_LABEL_DELAY_WITHIN)}", (bar,)))
    caption = "How soon labels come, of predictions old enough to tell"
    return Table(caption, ("Delay", "Share of labels"), tuple(rows)) if rows else None
