"""All figures of one window, labelled or not, and those of the baseline's own rows; of labelled rows in the files beside."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from calidris import semconv
from calidris.baseline import Baseline
from calidris.config import ModelConfig
from calidris.config.units import window_name
from calidris.engine.panes.label_totals import labels_by_delay
from calidris.engine.panes.pane import Window
from calidris.engine.readings.estimate import estimated_readings
from calidris.engine.readings.fairness import fairness_readings
from calidris.engine.readings.labels import label_readings, slice_readings
from calidris.engine.readings.late_labels import Late
from calidris.metrics.base import BASELINE_WINDOW, Reading, Status
from calidris.metrics.drift.drift_measures import MEASURES
from calidris.metrics.drift.drift_readings import STANDARD, drift_readings
from calidris.metrics.latency import error_reading, latency_readings
from calidris.metrics.performance.performance_measures import coverage_reading
from calidris.metrics.quality import quality_readings, rows_reading
from calidris.metrics.schema import constant_readings, schema_readings, with_values
from calidris.state.blocks.table_state import DELAY_EDGES_S


def window_families(
    config: ModelConfig, baseline: Baseline | None, merged: Window, window_s: float
) -> dict[str, Iterator[Reading]]:
    """Every figure of a merged window by what it is of: all rows, labelled ones, what labels cannot say yet. Computed when asked."""
    return {
        "rows": row_readings(config, baseline, merged, window_s),
        "labels": known_readings(config, merged, window_s),
        "estimates": guessed_readings(baseline, merged, window_s),
    }


def row_readings(config: ModelConfig, baseline: Baseline | None, merged: Window, window_s: float) -> Iterator[Reading]:
    """Figures of all rows, labelled or not: labels that come change none of them."""
    yield from traffic_readings(config, merged, _same(baseline, merged), window_s)


def known_readings(config: ModelConfig, merged: Window, window_s: float) -> Iterator[Reading]:
    """Figures of the labels that are in: a function of those and of the settings."""
    spec, window = merged.counts.spec, window_name(window_s)
    yield coverage_reading(int(labels_by_delay(merged.labels).sum()), merged.counts.count, window)
    labels = merged.figures.labels
    yield from label_readings(spec, labels, window)
    yield from slice_readings(spec, labels, window)
    yield from fairness_readings(config, spec, labels, window)


def guessed_readings(
    baseline: Baseline | None, merged: Window, window_s: float, late: Late | None = None
) -> Iterator[Reading]:
    """Estimates without labels.

    Args:
        baseline: the model's; one of another spec is left out.
        merged: the window.
        window_s: its length.
        late: what is known of labels that come late: those that are of age say how far scores can be believed.
    """
    matured = None if late is None else late.matured(window_s)
    known = matured[0] if matured else None
    counts = merged.figures.counts
    yield from estimated_readings(_same(baseline, merged), counts, known, window_name(window_s))


def leave_out_absent(readings: Iterable[Reading], absent: Collection[str]) -> Iterator[Reading]:
    """The same figures, but for the drift of features of which no value had come before the window: it has none, and nothing has changed."""
    if not absent:  # as is usual
        yield from readings
        return
    for r in readings:
        name = dict(r.attributes).get(semconv.ML_FEATURE_NAME)
        is_drift = r.metric is semconv.METRIC_ML_DRIFT_SCORE
        yield r.marked(Status.TOO_FEW) if is_drift and name in absent else r


def _same(baseline: Baseline | None, merged: Window) -> Baseline | None:
    """The baseline if its rows are counted as the window's are."""
    return baseline if baseline is not None and baseline.spec.hash == merged.counts.spec.hash else None


def baseline_readings(config: ModelConfig, baseline: Baseline | None) -> list[Reading]:
    """The baseline's own performance and calibration: the lines that windows are compared with.

    Of labels of one age only where it knows how old its labels were.
    """
    if baseline is None or not baseline.labels.count:
        return []
    spec, labels = baseline.spec, baseline.labels
    age, delay = semconv.ML_LABEL_MATURITY_FIXED_AGE, DELAY_EDGES_S.index(config.detect.label_age)
    aged = baseline.label_times is not False
    return [
        *label_readings(spec, labels, BASELINE_WINDOW),
        *(label_readings(spec, labels, BASELINE_WINDOW, age, delay=delay) if aged else ()),
        *slice_readings(spec, labels, BASELINE_WINDOW),
        *fairness_readings(config, spec, labels, BASELINE_WINDOW),
    ]


def traffic_readings(
    config: ModelConfig, merged: Window, baseline: Baseline | None, window_s: float
) -> Iterator[Reading]:
    """Rows, errors, latency, data quality; against a baseline of the same spec also schema and drift.

    Rows are counted as rows, and so are those that lack a column; all else by weight where rows have any.
    """
    counts, window = merged.figures.counts, window_name(window_s)
    spec = counts.spec
    yield rows_reading(merged.counts, window)
    yield error_reading(spec, counts, window)
    yield from latency_readings(spec, counts, window)
    yield from quality_readings(spec, counts, window, baseline=None if baseline is None else baseline.counts)
    if baseline is not None:
        rows = merged.counts
        yield from schema_readings(spec, with_values(baseline.counts, rows, merged.features), rows.count, window)
        yield from constant_readings(spec, baseline.counts, counts, window)
        yield from _drift(config, merged, baseline, window_s)


def _drift(config: ModelConfig, merged: Window, baseline: Baseline, window_s: float) -> Iterator[Reading]:
    scored = window_s in config.detect_windows_s
    readings = drift_readings(
        baseline.spec, baseline.counts, merged.figures.counts, window=window_name(window_s), baseline_id=baseline.id,
        measures=tuple(MEASURES) if scored else STANDARD, minimum=config.detect.minimum_rows,
        # Values are summed by cell as often as they came, not by their weights.
        moments=None if merged.is_weighted else (baseline.moments, merged.moments),
    )  # fmt: skip
    yield from (r.marked(Status.PROVISIONAL) for r in readings) if baseline.provisional else readings
