"""Figures of all rows of a window, labelled or not."""

from __future__ import annotations

from collections.abc import Iterator

from calidris.baseline import Baseline
from calidris.config import ModelConfig
from calidris.config.units import window_name
from calidris.engine.panes.pane import Window
from calidris.metrics.base import Reading, Status
from calidris.metrics.drift.measures import MEASURES
from calidris.metrics.drift.readings import STANDARD, drift_readings
from calidris.metrics.latency import error_reading, latency_readings
from calidris.metrics.quality import quality_readings, rows_reading
from calidris.metrics.schema import constant_readings, schema_readings


def traffic_figures(
    config: ModelConfig, merged: Window, baseline: Baseline | None, window_s: float
) -> Iterator[Reading]:
    """Rows, errors, latency, data quality; against a baseline of the same spec also schema and drift."""
    counts, window = merged.counts, window_name(window_s)
    spec = counts.spec
    yield rows_reading(counts, window)
    yield error_reading(spec, counts, window)
    yield from latency_readings(spec, counts, window)
    yield from quality_readings(spec, counts, window)
    if baseline is not None:
        yield from schema_readings(spec, merged.features, counts.count, window)
        yield from constant_readings(spec, baseline.counts, counts, window)
        yield from _drift(config, merged, baseline, window_s)


def _drift(config: ModelConfig, merged: Window, baseline: Baseline, window_s: float) -> Iterator[Reading]:
    scored = window_s in config.detect_windows_s
    figures = drift_readings(
        baseline.spec, baseline.counts, merged.counts, window=window_name(window_s), baseline_id=baseline.id,
        measures=tuple(MEASURES) if scored else STANDARD, minimum=config.detect.minimum_rows,
    )  # fmt: skip
    yield from (r.marked(Status.PROVISIONAL) for r in figures) if baseline.provisional else figures
