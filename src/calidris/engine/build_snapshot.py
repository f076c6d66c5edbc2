"""From what the engine remembers to what readers see: the figures of every window of every model version.

What the previous snapshot already knew of a window is kept: most ticks bring labels of some windows only, or none at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from calidris import semconv
from calidris.batch import ModelKey
from calidris.config.units import window_name
from calidris.engine.core import Engine
from calidris.engine.model import WatchedModel
from calidris.engine.panes.pane import Window, merge_panes
from calidris.engine.readings.day_trend import day_trend_readings
from calidris.engine.readings.late_labels import Late
from calidris.engine.readings.window import (
    baseline_readings,
    guessed_readings,
    known_readings,
    leave_out_absent,
    row_readings,
)
from calidris.engine.snapshot import ModelSnapshot, Snapshot, WindowState
from calidris.engine.standing.notes import notes
from calidris.engine.standing.seasons import describe, seasons
from calidris.engine.status import detection_readings, is_stale, status
from calidris.metrics.base import BASELINE_WINDOW, Reading, Status
from calidris.metrics.fairness.gaps import TOLERANCE
from calidris.metrics.window_status import WindowContents


def snapshot(
    engine: Engine, now_ns: int, previous: Snapshot | None = None, begin: Callable[[ModelKey], None] | None = None
) -> Snapshot:
    """Everything that readers may ask for, frozen.

    Args:
        engine: whose.
        now_ns: the time, ns since the epoch.
        previous: the one before.
        begin: told of each model before its figures are taken.

    Models that did not change are taken from the previous snapshot, and so are the figures of those of which only the
    open window changed: nothing shows it yet.
    """
    known = {m.key: m for m in previous.models} if previous else {}
    models = []
    for key, model in sorted(engine.models.items()):
        if begin is not None:
            begin(key)
        if model.specs:
            models.append(_taken(engine, model, known.get(key)))
    counters = {name: dict(reasons) for name, reasons in engine.counters.items()}
    alarms, latched = tuple(engine.alarms), frozenset(engine.latched)
    commands, early = tuple(engine.commands), {owner: len(waiting) for owner, waiting in sorted(engine.early.items())}
    return Snapshot(
        now_ns, tuple(models), alarms, latched, counters, engine.sequence, engine.began_ns, commands, early,
        {"requests": engine.requests.covered_s(now_ns), "spans": engine.spans.covered_s(now_ns)},
        engine.senders.taken(), frozenset(engine.silent()),
        configured=tuple(engine.configured),
    )  # fmt: skip


def _taken(engine: Engine, model: WatchedModel, before: ModelSnapshot | None) -> ModelSnapshot:
    state, detail = status(engine, model)
    _note_silence(engine, model)
    if before is None or model.recounted:
        taken = _model(engine, model, state, detail, before)
    elif model.changed or (before.status, before.status_detail) != (state, detail):
        # Whatever was counted of a row as it came; figures of windows are not among it.
        totals: dict[str, Any] = {"rows": model.rows, "labels": model.labels, "last_event_ns": model.last_event_ns}
        totals |= {"late": model.late, "moved": model.moved, "batch": model.is_batch, "faults": model.inputs.counts}
        told = seasons(engine.watchers[model.key])
        totals |= {"seasons": told, "notes": (*notes(model), *map(describe, told)), "role": model.role}
        totals |= {"weighted": model.weighted}
        taken = replace(before, status=state, status_detail=detail, slo_events=dict(model.slo_events), **totals)
    else:
        taken = before
    model.changed = model.recounted = False
    return taken


def _note_silence(engine: Engine, model: WatchedModel) -> None:
    """Windows of a model that fell silent say so, whatever was counted since: nothing was."""
    silent = is_stale(engine, model)
    model.recounted |= silent != model.is_silent
    model.is_silent = silent


def _model(
    engine: Engine, model: WatchedModel, state: Status, detail: str, before: ModelSnapshot | None
) -> ModelSnapshot:
    watcher = engine.watchers[model.key]
    windows, readings = _windows(model, engine.sealed_ns, before)
    told = seasons(watcher)
    baseline = model.baseline
    readings += _of_baseline(model, before)
    if state is Status.UNDEFINED:
        readings = [r.marked(Status.UNDEFINED) if r.metric in OF_OUTCOMES else r for r in readings]
    world = engine.worlds.of(model.key)
    shared = world.slots.values() if world is not None and world.speaks_of(model) else ()
    found = detection_readings(watcher, engine.book.standing_of(model.key), shared)
    # Of rows by weight nothing is proven of how often there is a false alarm.
    readings += _marked(found, Status.APPROXIMATE if model.weighted else Status.OK)
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
        late=model.late,
        moved=model.moved,
        batch=model.is_batch,
        role=model.role,
        weighted=model.weighted,
        notes=(*notes(model), *map(describe, told)),
        checks=model.inputs.checks,
        faults=model.inputs.counts,
        seasons=told,
    )


def _windows(model: WatchedModel, now_ns: int, before: ModelSnapshot | None) -> tuple[list[WindowState], list[Reading]]:
    """The newest window of each length with its figures, and those of labels that came late."""
    late = Late.of(model, _newest(model), now_ns)
    readings: list[Reading] = []
    windows: list[WindowState] = []
    for window_s in model.config.all_windows_s:
        window, contents, start_ns, end_ns = _window(model, window_s)
        how = contents.status
        now = WindowState(window_name(window_s), start_ns, end_ns, window.counts, window.scores, window, how)
        then = _of_length(before, now.window)
        windows.append(_share_labels(now, then))
        kept = Kept.of(model, now, before)
        of_rows = row_readings(model.config, model.baseline, window, window_s)
        readings += kept.rows or _marked(leave_out_absent(of_rows, model.absent_names(start_ns)), how)
        readings += kept.labels or _marked(known_readings(model.config, window, window_s), how)
        readings += _marked(guessed_readings(model.baseline, window, window_s, late), how)
        readings += late.readings(window_s) if late else []
        readings += contents.readings(now.window)
    readings += late.delays() if late else []
    readings += day_trend_readings(model.days, now_ns)
    return windows, readings


def _of_length(before: ModelSnapshot | None, name: str) -> WindowState | None:
    return next((w for w in before.windows if w.window == name), None) if before else None


def _share_labels(now: WindowState, then: WindowState | None) -> WindowState:
    """The window, with the labels of the previous snapshot's and what was made of them, where no labelled row came or went."""
    if then is None or then.merged is None or now.merged is None or not _same_labels(then, now):
        return now
    return replace(now, merged=replace(now.merged, labels=then.merged.labels), detail=then.detail)


def _marked(readings: Iterable[Reading], how: Status) -> list[Reading]:
    return list(readings) if how is Status.OK else [r.marked(how) for r in readings]


def _of_baseline(model: WatchedModel, before: ModelSnapshot | None) -> list[Reading]:
    """The baseline's own figures: a baseline never changes, so those of the previous snapshot are still right."""
    if before is not None and model.baseline is not None and before.baseline == model.baseline.id:
        return [r for r in before.readings if r.window == BASELINE_WINDOW]
    return baseline_readings(model.config, model.baseline)


def _newest(model: WatchedModel) -> int:
    """End of the newest sealed step; before the first seal, of the newest one with rows."""
    return model.newest_sealed_ns or (model.last_event_ns // model.config.step_ns + 1) * model.config.step_ns


def _window(model: WatchedModel, window_s: float) -> tuple[Window, WindowContents, int, int]:
    """The newest ``window_s`` of sealed panes, merged; before the first seal, whatever there is."""
    end = _newest(model)
    start = end - round(window_s * 1e9)
    panes = model.panes_in(start, end)
    merged = merge_panes(model.spec, (pane for _, pane in panes))
    contents = model.judge_window(panes, start, closed=model.newest_sealed_ns > 0)
    return merged, contents, start, end


OF_ROWS = frozenset(
    {
        semconv.METRIC_ML_WINDOW_ROWS,
        semconv.METRIC_ML_ERROR_RATIO,
        semconv.METRIC_ML_LATENCY_DURATION,
        semconv.METRIC_ML_DATA_QUALITY_RATIO,
        semconv.METRIC_ML_DRIFT_SCORE,
    }
)
"""What ``row_readings`` gives."""

OF_LABELS = frozenset(
    {
        semconv.METRIC_ML_LABEL_COVERAGE,
        semconv.METRIC_ML_PERFORMANCE_SCORE,
        semconv.METRIC_ML_CALIBRATION_SCORE,
        semconv.METRIC_ML_FAIRNESS_GAP,
        semconv.METRIC_ML_FAIRNESS_RATE,
    }
)
"""What ``known_readings`` gives, but for their maturity and source."""

OF_OUTCOMES = OF_LABELS - {semconv.METRIC_ML_LABEL_COVERAGE}
"""Those that mean nothing where labels are not what the settings say that they are."""

_OTHERS = frozenset(
    {
        (semconv.ML_LABEL_MATURITY, semconv.ML_LABEL_MATURITY_FIXED_AGE),
        (semconv.ML_LABEL_MATURITY, semconv.ML_LABEL_MATURITY_DELAY_ADJUSTED),
        (semconv.ML_LABEL_MATURITY, semconv.ML_LABEL_MATURITY_COMPLETE),
        (semconv.ML_PERFORMANCE_SOURCE, semconv.ML_PERFORMANCE_SOURCE_ESTIMATE),
    }
)


class Kept(NamedTuple):
    """Figures of the previous snapshot that are still right; empty where they have to be taken anew."""

    rows: list[Reading]
    labels: list[Reading]

    @classmethod
    def of(cls, model: WatchedModel, now: WindowState, before: ModelSnapshot | None) -> Kept:
        """Those of one window of a model."""
        then = _of_length(before, now.window)
        if before is None or then is None or not _same_rows(then, now):
            return cls([], [])
        if before.baseline != (model.baseline.id if model.baseline else None):
            return cls([], [])
        mine = [r for r in before.readings if r.window == now.window]
        rows = [r for r in mine if r.metric in OF_ROWS]
        labels = [r for r in mine if r.metric in OF_LABELS and _OTHERS.isdisjoint(r.attributes)]
        were_defined = before.status is not Status.UNDEFINED
        return cls(rows, labels if were_defined and _same_labels(then, now) else [])


def _same_rows(then: WindowState, now: WindowState) -> bool:
    if then.merged is None or now.merged is None or then.counts.spec.hash != now.counts.spec.hash:
        return False
    spans = [(w.start_ns, w.end_ns, w.status) for w in (then, now)]
    same = spans[0] == spans[1] and then.merged.features == now.merged.features
    same = same and then.merged.weighted == now.merged.weighted
    return same and np.array_equal(then.counts.array, now.counts.array)


def _same_labels(then: WindowState, now: WindowState) -> bool:
    if then.merged is None or now.merged is None or then.counts.spec.hash != now.counts.spec.hash:
        return False
    before, after = then.merged.labels.every, now.merged.labels.every
    return len(before) == len(after) and all(np.array_equal(a.array, b.array) for a, b in zip(before, after))
