"""From what the engine remembers to what readers see: the figures of every window of every model version."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from calidris.config.units import window_name
from calidris.engine.core import Engine
from calidris.engine.detectors.watcher import Watcher
from calidris.engine.model import WatchedModel
from calidris.engine.panes.pane import Window, merge_panes
from calidris.engine.readings.kept import Kept
from calidris.engine.readings.late_labels import Late
from calidris.engine.readings.trend import trend_figures
from calidris.engine.readings.window import baseline_figures, guessed_figures, known_figures, row_figures
from calidris.engine.snapshot import ModelSnapshot, Snapshot, WindowState
from calidris.engine.status import evidence_readings, status
from calidris.metrics.base import BASELINE_WINDOW, Reading, Status
from calidris.metrics.fairness.gaps import TOLERANCE


def snapshot(engine: Engine, now_ns: int, previous: Snapshot | None = None) -> Snapshot:
    """Everything that readers may ask for, frozen.

    Models that did not change are taken from the previous snapshot, and so are the figures of those of which only the
    open window changed: nothing shows it yet.
    """
    known = {m.key: m for m in previous.models} if previous else {}
    models = [_taken(engine, model, known.get(key)) for key, model in sorted(engine.models.items()) if model.specs]
    counters = {name: dict(reasons) for name, reasons in engine.counters.items()}
    alarms, latched = tuple(engine.alarms), frozenset(engine.latched)
    orders, early = tuple(engine.orders), sum(map(len, engine.early.values()))
    return Snapshot(
        now_ns, tuple(models), alarms, latched, counters, engine.sequence, engine.began_ns, orders, early,
        {"requests": engine.requests.covered_s(now_ns), "spans": engine.spans.covered_s(now_ns)},
    )  # fmt: skip


def _taken(engine: Engine, model: WatchedModel, before: ModelSnapshot | None) -> ModelSnapshot:
    state, detail = status(engine, model)
    if before is None or model.recounted:
        taken = _model(engine.watchers[model.key], model, state, detail, engine.sealed_ns, before)
    elif model.changed or before.status is not state:
        totals = {"rows": model.rows, "labels": model.labels, "last_event_ns": model.last_event_ns}
        taken = replace(before, status=state, status_detail=detail, slo_events=dict(model.slo_events), **totals)  # type: ignore[arg-type]
    else:
        taken = before
    model.changed = model.recounted = False
    return taken


def _model(
    watcher: Watcher, model: WatchedModel, state: Status, detail: str, now_ns: int, before: ModelSnapshot | None
) -> ModelSnapshot:
    windows, readings = _windows(model, now_ns, before)
    baseline = model.baseline
    readings += _of_baseline(model, before)
    readings += evidence_readings(watcher)
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
        baseline_moments=baseline.moments if baseline else None,
        fairness_tolerance=model.config.fairness.tolerance if model.config.fairness else TOLERANCE,
        days=tuple(model.days.points),
    )


def _windows(model: WatchedModel, now_ns: int, before: ModelSnapshot | None) -> tuple[list[WindowState], list[Reading]]:
    """The newest window of each length with its figures, and those of labels that came late."""
    late = Late.of(model, _newest(model), now_ns)
    readings: list[Reading] = []
    windows: list[WindowState] = []
    for window_s in model.config.all_windows_s:
        window, how, start_ns, end_ns = _window(model, window_s)
        now = WindowState(window_name(window_s), start_ns, end_ns, window.counts, window.scores, window, how)
        windows.append(now)
        kept = Kept.of(model, now, before)
        readings += kept.rows or _marked(row_figures(model.config, model.baseline, window, window_s), how)
        readings += kept.labels or _marked(known_figures(model.config, window, window_s), how)
        readings += _marked(guessed_figures(model.baseline, window, window_s, late), how)
    readings += late.delays() if late else []
    readings += trend_figures(model.days, now_ns)
    return windows, readings


def _marked(readings: Iterable[Reading], how: Status) -> list[Reading]:
    return list(readings) if how is Status.OK else [r.marked(how) for r in readings]


def _of_baseline(model: WatchedModel, before: ModelSnapshot | None) -> list[Reading]:
    """The baseline's own figures: a baseline never changes, so those of the previous snapshot are still right."""
    if before is not None and model.baseline is not None and before.baseline == model.baseline.id:
        return [r for r in before.readings if r.window == BASELINE_WINDOW]
    return baseline_figures(model.config, model.baseline)


def _newest(model: WatchedModel) -> int:
    """End of the newest sealed step; before the first seal, of the newest one with rows."""
    return model.newest_sealed_ns or (model.last_event_ns // model.config.step_ns + 1) * model.config.step_ns


def _window(model: WatchedModel, window_s: float) -> tuple[Window, Status, int, int]:
    """The newest ``window_s`` of sealed panes, merged; before the first seal, whatever there is."""
    length, step = round(window_s * 1e9), model.config.step_ns
    sealed, end = model.newest_sealed_ns > 0, _newest(model)
    panes = model.panes_in(end - length, end)
    merged = merge_panes(model.spec, (pane for _, pane in panes))
    others = any(model.specs[k.spec] != model.spec and p.counts.count for k, p in panes)
    full = sealed and end - length >= model.first_event_ns // step * step
    how = Status.MIXED_BASELINE if others else Status.OK if full else Status.PARTIAL
    return merged, how, end - length, end
