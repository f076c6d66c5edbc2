"""From what the engine remembers to what readers see: the figures of every window of every model version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from calidris import semconv
from calidris.baseline import Baseline
from calidris.config.units import window_name
from calidris.engine.core import Engine
from calidris.engine.model import WatchedModel
from calidris.engine.pane import Window, merge_panes
from calidris.engine.snapshot import ModelSnapshot, Snapshot, WindowState
from calidris.engine.standing import evidence_readings, status
from calidris.engine.watch import Watcher
from calidris.metrics.base import BASELINE_WINDOW, Reading, Status
from calidris.metrics.calibration import calibration_readings
from calidris.metrics.distances import MEASURES
from calidris.metrics.drift import STANDARD, drift_readings
from calidris.metrics.latency import error_reading, latency_readings
from calidris.metrics.performance import coverage_reading, performance_readings
from calidris.metrics.quality import quality_readings, rows_reading

MATURITY = semconv.ML_LABEL_MATURITY_COMPLETE
"""Figures are of all labels that have arrived so far."""


def snapshot(engine: Engine, now_ns: int, previous: Snapshot | None = None) -> Snapshot:
    """Everything that readers may ask for, frozen.

    Models that did not change are taken from the previous snapshot, and so are the figures of those of which only the
    open window changed: nothing shows it yet.
    """
    known = {m.key: m for m in previous.models} if previous else {}
    models = [_taken(engine, model, known.get(key)) for key, model in sorted(engine.models.items()) if model.specs]
    counters = {name: dict(reasons) for name, reasons in engine.counters.items()}
    alarms, latched = tuple(engine.alarms), frozenset(engine.latched)
    return Snapshot(
        now_ns, tuple(models), alarms, latched, counters, engine.sequence, engine.began_ns, tuple(engine.orders)
    )


def _taken(engine: Engine, model: WatchedModel, before: ModelSnapshot | None) -> ModelSnapshot:
    state, detail = status(engine, model)
    if before is None or model.recounted:
        taken = _model(engine.watchers[model.key], model, state, detail)
    elif model.changed or before.status is not state:
        totals = {"rows": model.rows, "labels": model.labels, "last_event_ns": model.last_event_ns}
        taken = replace(before, status=state, status_detail=detail, slo_events=dict(model.slo_events), **totals)  # type: ignore[arg-type]
    else:
        taken = before
    model.changed = model.recounted = False
    return taken


def _model(watcher: Watcher, model: WatchedModel, state: Status, detail: str) -> ModelSnapshot:
    readings: list[Reading] = []
    windows: list[WindowState] = []
    for window_s in model.config.all_windows_s:
        window, how, start_ns, end_ns = _window(model, window_s)
        windows.append(WindowState(window_name(window_s), start_ns, end_ns, window.counts, window.scores))
        readings += [r.marked(how) if how is not Status.OK else r for r in _figures(model, window, window_s)]
    readings += _baseline_figures(model.baseline)
    readings += evidence_readings(watcher)
    baseline = model.baseline
    return ModelSnapshot(
        key=model.key,
        task=model.spec.task,
        status=state,
        status_detail=detail,
        baseline=baseline.id if baseline else None,
        baseline_counts=baseline.counts if baseline else None,
        baseline_scores=baseline.scores if baseline else None,
        rows=model.rows,
        labels=model.labels,
        last_event_ns=model.last_event_ns,
        readings=tuple(readings),
        windows=tuple(windows),
        history=tuple(watcher.history),
        slo_events=dict(model.slo_events),
        owner=model.config.owner,
        tier=model.config.tier,
    )


def _window(model: WatchedModel, window_s: float) -> tuple[Window, Status, int, int]:
    """The newest ``window_s`` of sealed panes, merged; before the first seal, whatever there is."""
    length, step = round(window_s * 1e9), model.config.step_ns
    sealed = model.newest_sealed_ns > 0
    end = model.newest_sealed_ns or (model.last_event_ns // step + 1) * step
    panes = model.panes_in(end - length, end)
    merged = merge_panes(model.spec, (pane for _, pane in panes))
    others = any(model.specs[k.spec] != model.spec and p.counts.count for k, p in panes)
    full = sealed and end - length >= model.first_event_ns // step * step
    how = Status.MIXED_BASELINE if others else Status.OK if full else Status.PARTIAL
    return merged, how, end - length, end


def _figures(model: WatchedModel, merged: Window, window_s: float) -> Iterator[Reading]:
    spec, window = model.spec, window_name(window_s)
    counts, scores, baseline = merged.counts, merged.scores, model.baseline
    yield rows_reading(counts, window)
    yield error_reading(spec, counts, window)
    yield from latency_readings(spec, counts, window)
    yield from quality_readings(spec, counts, window)
    yield from calibration_readings(spec, scores, window, MATURITY)
    yield from performance_readings(spec, scores, window, MATURITY)
    yield coverage_reading(scores.count, counts.count, window)
    if baseline is not None and baseline.spec.hash == spec.hash:
        scored = window_s in model.config.detect_windows_s
        measures = tuple(MEASURES) if scored else STANDARD
        figures = drift_readings(
            spec, baseline.counts, counts, window=window, baseline_id=baseline.id, measures=measures,
            minimum=model.config.detect.minimum_rows,
        )  # fmt: skip
        yield from (r.marked(Status.PROVISIONAL) for r in figures) if baseline.provisional else figures


def _baseline_figures(baseline: Baseline | None) -> list[Reading]:
    """The baseline's own calibration and performance: the lines that windows are compared with."""
    if baseline is None or not baseline.scores.count:
        return []
    spec, scores = baseline.spec, baseline.scores
    return [
        *calibration_readings(spec, scores, BASELINE_WINDOW, MATURITY),
        *performance_readings(spec, scores, BASELINE_WINDOW, MATURITY),
    ]
