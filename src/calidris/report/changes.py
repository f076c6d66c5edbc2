"""What changed slowly, and what changed in the columns themselves: trend, schema, unseen levels, means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from calidris import semconv
from calidris.engine.snapshot import ModelSnapshot, WindowState
from calidris.metrics import BASELINE_WINDOW, Reading, Status
from calidris.report import interval_plots, scopes, wording
from calidris.report.tables import TOP_ROWS, Cell, Row, Table, cell
from calidris.state.cell_sums import scales

_RARE_OR_NEW = "rare in the baseline or not in it: its file is of an earlier version and cannot tell; build it again"

NAMES = 6
"""Unseen levels that are named for each feature."""

_BETTER_UP = frozenset({"accuracy"})
_SCHEMA = {
    "absent": "did not come in {} of rows",
    "unexpected": "came in {} of rows; the baseline does not know it",
    "constant": "all {} of its values fell in one bin",
}


@dataclass(frozen=True, slots=True)
class Trend:
    """How a figure moved over days."""

    table: Table
    drawn: tuple[tuple[str, Markup], ...]


def trend(model: ModelSnapshot) -> Trend | None:
    """Slopes over 7 and 28 days, and the days themselves; None before there are any."""
    found: dict[str, dict[str, Reading]] = {}
    for r in scopes.of(model, semconv.METRIC_ML_PERFORMANCE_TREND):
        found.setdefault(scopes.measure(r), {})[r.window] = r
    if not found:
        return None
    windows = sorted({w for row in found.values() for w in row}, key=wording.window_order)
    rows = tuple(
        Row(f"{wording.measure(m)}, a day", tuple(_slope(m, row.get(w)) for w in windows)) for m, row in found.items()
    )
    table = Table("Change a day", ("Figure", *(f"over {w}" for w in windows)), rows)
    return Trend(table, tuple(_days(model, m) for m in found if sum(p.measure == m for p in model.days) > 1))


def _slope(measure: str, reading: Reading | None) -> Cell:
    if reading is None or reading.value is None:
        return cell(reading, n=False)
    shown = cell(replace(reading, status=Status.OK), n=False)
    points = wording.plural(reading.n, "day") + (" so far" if reading.status is Status.PARTIAL else "")
    if reading.lower is None or reading.upper is None or reading.lower <= 0 <= reading.upper:
        return Cell(shown.text, (*shown.notes, points, "no clear direction"))
    better = (reading.value > 0) == (measure in _BETTER_UP)
    said = "moving" if measure == "bias" else "getting better" if better else "getting worse"
    return Cell(shown.text, (*shown.notes, points, said))


def _days(model: ModelSnapshot, measure: str) -> tuple[str, Markup]:
    metric = scopes.CALIBRATION if measure == "brier" else scopes.PERFORMANCE
    base = next(
        (r.value for r in scopes.of(model, metric, ML_LABEL_MATURITY=scopes.FIXED_AGE)
         if r.window == BASELINE_WINDOW and scopes.measure(r) == measure and scopes.is_whole(r)), None,
    )  # fmt: skip
    points = [p for p in model.days if p.measure == measure]
    return wording.measure(measure), interval_plots.days(f"{wording.measure(measure)} by day", points, base)


def schema(model: ModelSnapshot, window: str) -> tuple[str, ...]:
    """Columns that did not come, that nobody expected, or that stopped varying; one sentence each."""
    out = []
    for kind, said in _SCHEMA.items():
        for r in scopes.of(model, semconv.METRIC_ML_DATA_QUALITY_RATIO, ML_DATA_QUALITY_KIND=kind):
            if r.window == window and r.value is not None:
                amount = f"{r.n:,}" if kind == "constant" else wording.share(r.value)
                out.append(f"{scopes.attribute(r, semconv.ML_FEATURE_NAME)} {said.format(amount)}")
    return tuple(out)


def unseen_levels(model: ModelSnapshot, state: WindowState | None) -> Table | None:
    """Values that the baseline does not have, by name, commonest first; beside those of which nobody knows whether it has them."""
    if state is None or state.merged is None:
        return None
    levels, rows = state.merged.levels, []
    for i, f in enumerate(state.counts.spec.fields):
        found = levels.top(i, NAMES)
        if found:
            names = ", ".join(f"“{level.name}” ({_count(level.at_least, level.at_most)})" for level in found)
            doubt = () if model.names_new(levels.spec, i) else (_RARE_OR_NEW,)
            cells = (Cell(f"{levels.unseen(i):,}"), Cell(names, doubt))
            rows.append((levels.unseen(i), Row(wording.field(f.name), cells)))
    rows.sort(key=lambda row: -row[0])
    caption = f"Values that the baseline does not have, {state.window} window"
    return Table(caption, ("Feature", "Rows", "Commonest of them"), tuple(row for _, row in rows)) if rows else None


def _count(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def moments(model: ModelSnapshot, state: WindowState | None, order: Sequence[str]) -> Table | None:
    """Mean and standard deviation of each number in a window beside the baseline's; None where they do not compare."""
    base = model.baseline_moments
    if state is None or state.merged is None or base is None or base.spec.hash != state.counts.spec.hash:
        return None
    measured, rows = scales(base.spec), {}
    for i in measured:
        now, then, name = state.merged.moments.field(i), base.field(i), base.spec.fields[i].name
        if now.n or then.n:
            cells = (_number(now.mean), _number(then.mean), _number(now.variance**0.5), _number(then.variance**0.5))
            rows[name] = Row(wording.field(name), (*cells, Cell(f"{now.n:,}")))
    ordered = [rows[name] for name in order if name in rows]
    head = ("Feature", "Mean", "Baseline's mean", "Standard deviation", "Baseline's", "Numbers (n)")
    caption = f"Means and spreads, {state.window} window"
    return Table(caption, head, tuple(ordered[:TOP_ROWS]), tuple(ordered[TOP_ROWS:])) if ordered else None


def _number(value: float) -> Cell:
    return Cell(wording.number(value)) if value == value else Cell("no numbers", known=False)
