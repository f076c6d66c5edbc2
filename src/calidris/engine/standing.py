"""Where monitoring stands: the status of a model version, and the evidence of its detectors."""

from __future__ import annotations

from collections.abc import Iterator

from calidris import semconv
from calidris.config.units import window_name
from calidris.detect.learner import DesignLearner
from calidris.engine.core import Engine
from calidris.engine.learning import MIN_ROWS
from calidris.engine.model import WatchedModel
from calidris.engine.watch import Watcher
from calidris.engine.windowwatch import WindowWatch
from calidris.metrics.base import Reading, Status, reading

_DRIFT = {semconv.ML_DETECTION_KIND: "drift"}


def status(engine: Engine, model: WatchedModel) -> tuple[Status, str]:
    """How far the monitoring of a model version is, and one sentence for people."""
    watcher = engine.watchers[model.key]
    learners = [w.learner for w in watcher.windows.values() if w.learner is not None]
    longest_ns = round(max(model.config.detect_windows_s) * 1e9)
    if model.baseline is None:
        kept = model.reservoir.rows if model.reservoir else 0
        return Status.NO_BASELINE, f"no baseline; {kept} of {MIN_ROWS} rows towards a provisional one"
    if model.baseline.provisional:
        return Status.PROVISIONAL, f"provisional baseline {model.baseline_note}: nothing alarms against it"
    if model.last_event_ns and engine.sealed_ns - model.last_event_ns > 3 * longest_ns:
        return Status.STALE, "no new predictions for three windows"
    if learners:
        return Status.LEARNING, _learning(learners)
    if model.newest_sealed_ns == 0:
        return Status.PARTIAL, "the first window is not full yet"
    return Status.OK, model.baseline_note or "compared with its baseline"


def _learning(learners: list[DesignLearner]) -> str:
    least = min(len(learner.windows) for learner in learners)
    return (
        f"the baseline has no time order, so the spread of live windows is learned first: {least} of {learners[0].wanted} "
        "windows; nothing alarms before. `calidris baseline build --time COLUMN` makes this unnecessary"
    )


def evidence_readings(watcher: Watcher) -> Iterator[Reading]:
    """Evidence of each scored window length, and whether an alarm is latched."""
    for window_s, watch in watcher.windows.items():
        window, baseline = window_name(window_s), watch.baseline.id
        if watch.detector is None:
            yield reading(
                semconv.METRIC_ML_DETECTION_EVIDENCE, 0.0, 0, window=window, baseline=baseline, attributes=_DRIFT,
                status=Status.LEARNING,
            )  # fmt: skip
            continue
        alarm = float(watch.detector.alarm)
        n = watch.last.rows if watch.last else 0
        yield reading(semconv.METRIC_ML_DETECTION_ALARM, alarm, n, window=window, baseline=baseline, attributes=_DRIFT)
        yield from _shares(watch, window)


def _shares(watch: WindowWatch, window: str) -> Iterator[Reading]:
    verdict = watch.last
    if verdict is None:
        return
    whole: tuple[str | None, float] = (None, verdict.evidence)
    for name, share in (whole, *verdict.fields.items()):
        attributes = _DRIFT if name is None else _DRIFT | {semconv.ML_FEATURE_NAME: name}
        yield reading(
            semconv.METRIC_ML_DETECTION_EVIDENCE, share, verdict.rows, window=window, attributes=attributes,
            baseline=watch.baseline.id,
        )  # fmt: skip
