"""The few figures at the top of a model: what somebody looks at first."""

from __future__ import annotations

from calidris import semconv
from calidris.engine.snapshot import ModelSnapshot
from calidris.metrics import BASELINE_WINDOW, Reading
from calidris.report import scopes, tables, words
from calidris.report.tables import Cell


def of_model(model: ModelSnapshot, metric: semconv.Metric) -> list[Reading]:
    """Readings of a metric that are of the whole model, not of a feature, a class or a slice."""
    return [r for r in model.readings if r.metric is metric and scopes.is_whole(r)]


def tiles(model: ModelSnapshot, windows: list[str]) -> tuple[tuple[str, Cell], ...]:
    """A few figures at the top, each of the longest window that has it, with the baseline's below."""
    evidence = _pick(model, semconv.METRIC_ML_DETECTION_EVIDENCE, {}, windows[:1])
    out = [("Evidence of a change", tables.cell(evidence))] if evidence else []
    complete, headline = {semconv.ML_LABEL_MATURITY: scopes.COMPLETE}, scopes.headline(model)
    wanted: tuple[tuple[str, semconv.Metric, dict[str, str]], ...] = (
        ("Brier score", scopes.CALIBRATION, {semconv.ML_CALIBRATION_MEASURE: "brier", **complete}),
        (words.measure(headline), scopes.PERFORMANCE, {semconv.ML_PERFORMANCE_MEASURE: headline, **complete}),
        ("99 % of calls within", semconv.METRIC_ML_LATENCY_DURATION, {semconv.ML_LATENCY_QUANTILE: "0.99"}),
        ("Calls that failed", semconv.METRIC_ML_ERROR_RATIO, {}),
        ("Labels known", semconv.METRIC_ML_LABEL_COVERAGE, {}),
    )
    for title, metric, attributes in wanted:
        found = _pick(model, metric, attributes, windows)
        if found is not None:
            base = _pick(model, metric, attributes, [BASELINE_WINDOW], strict=True)
            out.append((f"{title}, {found.window}", _with_baseline(tables.cell(found), base)))
    return tuple(out)


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
    return None if strict or not rest else max(rest, key=lambda r: (r.value is not None, words.window_order(r.window)))


def _with_baseline(cell: Cell, baseline: Reading | None) -> Cell:
    if baseline is None or baseline.value is None:
        return cell
    said = f"baseline {words.figure(baseline.metric, baseline.value)}"
    return Cell(cell.text, (said, *cell.notes), cell.known, cell.bar)
