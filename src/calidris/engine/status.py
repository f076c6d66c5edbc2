"""Where monitoring stands: the status of a model version, and the evidence of its detectors."""

from __future__ import annotations

from collections.abc import Iterator

from calidris import semconv
from calidris.config.units import window_name
from calidris.detect import Alert
from calidris.engine.core import Engine
from calidris.engine.detectors.slot import SlotWatcher
from calidris.engine.detectors.watcher import Watcher
from calidris.engine.model import WatchedModel
from calidris.engine.standing import reasons
from calidris.metrics.base import Reading, Status, reading


def status(engine: Engine, model: WatchedModel) -> tuple[Status, str]:
    """How far the monitoring of a model version is, and one sentence for people."""
    watcher = engine.watchers[model.key]
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
    if _is_stale(engine, model, longest_ns):
        return Status.STALE, reasons.stale(model, longest_ns, engine.sealed_ns)
    if learning:
        return Status.LEARNING, reasons.learning(model.baseline, learning, drift)
    if model.newest_sealed_ns == 0:
        return Status.PARTIAL, reasons.unsealed(model, engine.sealed_ns)
    return Status.OK, reasons.compared(model, watcher)


def _is_stale(engine: Engine, model: WatchedModel, longest_ns: int) -> bool:
    """Whether the newest row is long ago. Between two nights of a job none comes, and nothing is wrong."""
    if not model.last_event_ns:
        return False
    if model.is_batch:
        return engine.fleet.silence_ns(model, engine.sealed_ns) is not None
    return engine.sealed_ns - model.last_event_ns > reasons.STALE_WINDOWS * longest_ns


def evidence_readings(watcher: Watcher) -> Iterator[Reading]:
    """Evidence of each kind and scored window length, and whether an alarm is latched.

    Where a kind has several detectors of one length (references of drift, measures of fairness), the one with most evidence
    speaks for it: each alarms by itself. Features have their own evidence against the frozen baseline.
    """
    for (kind, window_s), found in _by_kind(watcher).items():
        about = {semconv.ML_DETECTION_KIND: kind.value}
        window, baseline = window_name(window_s), watcher.baseline.id if watcher.baseline else None
        working = [watch for watch in found if watch.detector is not None]
        last = max((w.last for w in working if w.last), key=lambda verdict: verdict.evidence, default=None)
        if not working:
            yield reading(
                semconv.METRIC_ML_DETECTION_EVIDENCE, 0.0, 0, window=window, baseline=baseline, attributes=about,
                status=Status.LEARNING,
            )  # fmt: skip
            continue
        alarm = float(any(watch.detector.alarm for watch in working if watch.detector))
        n = last.rows if last else 0
        yield reading(semconv.METRIC_ML_DETECTION_ALARM, alarm, n, window=window, baseline=baseline, attributes=about)
        if last is not None:
            yield reading(
                semconv.METRIC_ML_DETECTION_EVIDENCE,
                last.evidence,
                n,
                window=window,
                baseline=baseline,
                attributes=about,
            )
        yield from _features(found[0], window, baseline)


def _by_kind(watcher: Watcher) -> dict[tuple[Alert, float], list[SlotWatcher]]:
    """The detectors of each kind and length; against the frozen baseline first."""
    out: dict[tuple[Alert, float], list[SlotWatcher]] = {}
    for slot, watch in watcher.slots.items():
        out.setdefault((slot.kind, slot.window_s), []).append(watch)
    return out


def _features(watch: SlotWatcher, window: str, baseline: str | None) -> Iterator[Reading]:
    verdict = watch.last
    if verdict is None or watch.recipe.slot.kind is not Alert.DRIFT:
        return
    for name, share in verdict.fields.items():
        attributes = {semconv.ML_DETECTION_KIND: Alert.DRIFT.value, semconv.ML_FEATURE_NAME: name}
        yield reading(
            semconv.METRIC_ML_DETECTION_EVIDENCE, share, verdict.rows, window=window, attributes=attributes,
            baseline=baseline,
        )  # fmt: skip
