"""Where monitoring stands: the status of a model version, and the evidence of its detectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from calidris import semconv
from calidris.config import DetectConfig
from calidris.config.units import window_name
from calidris.detect import Alert, Verdict
from calidris.engine.core import Engine
from calidris.engine.detectors.slot import SlotWatcher
from calidris.engine.detectors.thresholds import KIND
from calidris.engine.detectors.watcher import Watcher, frozen_drift
from calidris.engine.model import WatchedModel
from calidris.engine.snapshot import Alarm
from calidris.engine.standing import reasons
from calidris.engine.standing.seasons import asleep
from calidris.metrics.base import Reading, Status, reading


def status(engine: Engine, model: WatchedModel) -> tuple[Status, str]:
    """How far the monitoring of a model version is, and one sentence for people; what fails or never spoke comes first."""
    watcher = engine.watchers[model.key]
    state, detail = _standing(engine, model, watcher)
    return state, "; ".join([*reasons.failing(watcher), *reasons.never_valued(watcher), detail])


def _standing(engine: Engine, model: WatchedModel, watcher: Watcher) -> tuple[Status, str]:
    drift = [watch for slot, watch in watcher.slots.items() if slot.kind is Alert.DRIFT]
    learning = [watch for watch in drift if watch.learner is not None]
    longest_ns = round(max(model.config.detect_windows_s) * 1e9)
    contradiction = model.contradiction
    if contradiction is not None:
        return Status.UNDEFINED, contradiction
    if model.baseline is None:
        return Status.NO_BASELINE, reasons.without_baseline(model)
    if model.baseline.provisional:
        return Status.PROVISIONAL, reasons.provisional(model, model.baseline)
    if is_stale(engine, model):
        return Status.STALE, reasons.stale(model, longest_ns, engine.sealed_ns)
    sleeping = asleep(watcher)
    if sleeping:
        return Status.LEARNING, sleeping
    if learning:
        return Status.LEARNING, reasons.learning(model.baseline, learning, drift)
    if model.newest_sealed_ns == 0:
        return Status.PARTIAL, reasons.unsealed(model, engine.sealed_ns)
    return Status.OK, reasons.compared(model, watcher)


def is_stale(engine: Engine, model: WatchedModel) -> bool:
    """Whether the newest row is long ago. Between two nights of a job none comes, and nothing is wrong."""
    if not model.last_event_ns:
        return False
    if model.is_batch:
        return engine.fleet.silence_ns(model, engine.sealed_ns) is not None
    longest_ns = round(max(model.config.detect_windows_s) * 1e9)
    return engine.sealed_ns - model.last_event_ns > reasons.STALE_WINDOWS * longest_ns


def detection_readings(
    watcher: Watcher, standing: Collection[Alarm] = (), shared: Iterable[SlotWatcher] = ()
) -> Iterator[Reading]:
    """Of each kind and window length: evidence, whether one of the ``standing`` alarms is of it, and what its detectors wait for.

    Where a kind has several detectors of one length (references of drift, measures of fairness), the one with most evidence
    speaks for it: each alarms by itself. Where none has scored a window yet, or all hold, the evidence has no value. Features have their own
    evidence against the frozen baseline. ``shared`` are the detectors of the features that all versions of its model share.
    """
    baseline = watcher.baseline.id if watcher.baseline else None
    stand: dict[tuple[str, str], list[Alarm]] = {}
    for alarm in standing:
        stand.setdefault((alarm.window, alarm.kind), []).append(alarm)
    told = Told(watcher.config.detect, baseline)
    for (kind, window_s), watches in _by_kind(watcher, shared).items():
        window = window_name(window_s)
        waits = [watcher.waits_for(watch) for watch in watches]
        scored = [watch.last for watch, why in zip(watches, waits) if watch.last is not None and why is None]
        last = max(scored, key=lambda verdict: verdict.evidence, default=None)
        mine = stand.pop((window, kind.value), [])
        levels = {level for watch in watches for level in watch.levels}
        yield from told.alarms(window, kind, mine, last.rows if last else 0, levels)
        yield from _evidence(watches, waits, last, window, kind, baseline)
    # Fixed limits have no evidence; nor has what the settings no longer have, whose alarm stands all the same.
    others = stand.keys() | {(window_name(limit.window_s), KIND) for limit in watcher.limits}
    for window, name in sorted(others):
        yield from told.alarms(window, name, stand.get((window, name), []), 0)


class Told(NamedTuple):
    """What is told of standing alarms, by the list of alarms, which every other door shows too."""

    detect: DetectConfig
    baseline: str | None

    def alarms(
        self, window: str, kind: str, standing: list[Alarm], rows: int, levels: Collection[str] = ()
    ) -> Iterator[Reading]:
        """Of one kind and window length: whether an alarm stands, for each level; and whether all were raised in silence.

        Args:
            window: the length.
            kind: of the alarms.
            standing: those that stand.
            rows: of the newest window that was scored.
            levels: that alarms of the kind can be of; none where fixed rules raise them.
        """
        possible = {(level, self.detect.severity(kind, level)) for level in levels or ("",) if level or not standing}
        stand = {(alarm.level, alarm.severity) for alarm in standing}
        about = {semconv.ML_DETECTION_KIND: kind}
        for level, severity in sorted(possible | stand):
            of_level = {semconv.ML_DETECTION_LEVEL: level} if level else {}
            attributes = about | of_level | {semconv.ML_DETECTION_SEVERITY: severity}
            found = (level, severity) in stand
            yield self._of(semconv.METRIC_ML_DETECTION_ALARM, found, rows, window, attributes)
        silent = bool(standing) and all(alarm.silent for alarm in standing)
        yield self._of(semconv.METRIC_ML_DETECTION_ALARM_SILENT, silent, rows, window, about)

    def _of(self, metric: semconv.Metric, value: bool, rows: int, window: str, about: Mapping[str, str]) -> Reading:
        return reading(metric, float(value), rows, window=window, baseline=self.baseline, attributes=about)


def _evidence(
    watches: list[SlotWatcher], waits: list[str | None], last: Verdict | None, window: str, kind: Alert,
    baseline: str | None,
) -> Iterator[Reading]:  # fmt: skip
    about = {semconv.ML_DETECTION_KIND: kind.value}
    waiting = Counter(why for why in waits if why is not None)
    for reason, n in sorted(waiting.items()):
        said = about | {semconv.ML_DETECTION_WAITS_FOR: reason}
        yield reading(semconv.METRIC_ML_DETECTION_WAITING, float(n), 0, window=window, attributes=said)
    learns = waiting[semconv.ML_DETECTION_WAITS_FOR_LEARNING] > 0
    status = Status.OK if last else Status.LEARNING if learns else Status.TOO_FEW
    value, rows = (last.evidence, last.rows) if last else (0.0, 0)
    yield reading(
        semconv.METRIC_ML_DETECTION_EVIDENCE, value, rows, window=window, baseline=baseline, attributes=about,
        status=status,
    )  # fmt: skip
    for watch, why in zip(watches, waits):
        if why is None and (watch is watches[0] or frozen_drift(watch.recipe.slot)):
            yield from _features(watch, window, baseline)


def _by_kind(watcher: Watcher, shared: Iterable[SlotWatcher]) -> dict[tuple[Alert, float], list[SlotWatcher]]:
    """The detectors of each kind and length; against the frozen baseline first."""
    out: dict[tuple[Alert, float], list[SlotWatcher]] = {}
    for slot, watch in watcher.slots.items():
        out.setdefault((slot.kind, slot.window_s), []).append(watch)
    for watch in shared:
        out.setdefault((watch.recipe.slot.kind, watch.recipe.slot.window_s), []).insert(0, watch)
    return out


def _features(watch: SlotWatcher, window: str, baseline: str | None) -> Iterator[Reading]:
    verdict = watch.last
    if verdict is None or watch.recipe.slot.kind is not Alert.DRIFT:
        return
    for name, share in verdict.fields.items():
        if name in watch.left_out:
            continue
        attributes = {semconv.ML_DETECTION_KIND: Alert.DRIFT.value, semconv.ML_FEATURE_NAME: name}
        yield reading(
            semconv.METRIC_ML_DETECTION_EVIDENCE, share, verdict.rows, window=window, attributes=attributes,
            baseline=baseline,
        )  # fmt: skip
