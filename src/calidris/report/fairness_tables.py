"""Fairness for the page: each gap with what its interval says about the tolerance, and each group beside the others."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from calidris import semconv
from calidris.engine.snapshot import ModelSnapshot
from calidris.metrics import BASELINE_WINDOW, Reading, Verdict
from calidris.metrics.fairness.gaps import verdict
from calidris.metrics.score_bins import Estimate
from calidris.report import interval_plots, scopes, wording
from calidris.report.tables import Cell, Row, Table, cell

VERDICTS = {
    Verdict.WITHIN: "within the tolerance",
    Verdict.EXCEEDED: "beyond the tolerance",
    Verdict.UNCLEAR: "may be on either side of the tolerance",
    Verdict.NO_VERDICT: "too few rows for a verdict",
}
_DRAWN = ("demographic_parity", "equal_opportunity")
_QUESTIONS = {
    "demographic_parity": "Decided positive equally often?",
    "demographic_parity_ratio": "Smallest over largest share decided positive",
    "equal_opportunity": "Positive outcomes found equally often?",
    "equalised_odds": "And negative ones left alone equally often?",
    "predictive_parity": "Positive decisions right equally often?",
    "accuracy": "Right equally often?",
    "calibration": "Scores equally true?",
}


@dataclass(frozen=True, slots=True)
class Fairness:
    """Gaps and groups of one attribute."""

    attribute: str
    tolerance: str
    gaps: Table
    drawn: tuple[tuple[str, Markup], ...]
    groups: Table | None


def fairness(model: ModelSnapshot) -> Fairness | None:
    """The newest window with most labelled rows; None where no attribute is watched."""
    gaps = [r for r in scopes.of(model, semconv.METRIC_ML_FAIRNESS_GAP) if r.window != BASELINE_WINDOW]
    window = scopes.labelled_window(model) or max((r.window for r in gaps), key=wording.window_order, default=None)
    mine = [r for r in gaps if r.window == window]
    if not mine:
        return None
    attribute = scopes.attribute(mine[0], semconv.ML_FAIRNESS_ATTRIBUTE) or ""
    base = {
        scopes.measure(r): r for r in scopes.of(model, semconv.METRIC_ML_FAIRNESS_GAP) if r.window == BASELINE_WINDOW
    }
    rows = tuple(_gap(r, base.get(scopes.measure(r)), model.fairness_tolerance) for r in mine)
    head = ("Question", "Largest difference", "Verdict", "Baseline")
    table = Table(f"Differences between groups, {window} window", head, rows)
    rates = [r for r in scopes.of(model, semconv.METRIC_ML_FAIRNESS_RATE) if r.window == window]
    tolerance = wording.share(model.fairness_tolerance)
    return Fairness(attribute, tolerance, table, tuple(_drawings(rates)), _groups(rates, window or ""))


def _gap(reading: Reading, base: Reading | None, tolerance: float) -> Row:
    measure = scopes.measure(reading)
    if reading.value is None:
        said = Cell(VERDICTS[Verdict.NO_VERDICT], known=False)
    elif measure.endswith("_ratio"):
        said = Cell("below 0.8 many call it unfair" if reading.value < 0.8 else "above the four-fifths rule")
    else:
        figure = Estimate(reading.value, *(float("nan") if x is None else x for x in (reading.lower, reading.upper)))
        said = Cell(VERDICTS[verdict(figure, tolerance)])
    return Row(_QUESTIONS.get(measure, wording.measure(measure)), (cell(reading), said, cell(base)))


def _drawings(rates: list[Reading]) -> list[tuple[str, Markup]]:
    out = []
    for measure in _DRAWN:
        shown = [
            interval_plots.Dot(scopes.attribute(r, semconv.ML_FAIRNESS_GROUP) or "", r.value, r.lower, r.upper, r.n)
            for r in rates
            if scopes.measure(r) == measure and r.value is not None and r.lower is not None and r.upper is not None
        ]
        if shown:
            out.append((wording.measure(measure), interval_plots.forest(f"{wording.measure(measure)} by group", shown)))
    return out


def _groups(rates: list[Reading], window: str) -> Table | None:
    found: dict[str, dict[str, Reading]] = {}
    for r in rates:
        found.setdefault(scopes.attribute(r, semconv.ML_FAIRNESS_GROUP) or "", {})[scopes.measure(r)] = r
    measures = [m for m in dict.fromkeys(m for row in found.values() for m in row) if not m.endswith("_gap")]
    rows = tuple(Row(name, tuple(cell(row.get(m)) for m in measures)) for name, row in found.items())
    return (
        Table(f"Rates of each group, {window} window", ("Group", *map(wording.measure, measures)), rows)
        if rows
        else None
    )
