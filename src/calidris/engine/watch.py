"""Watch one model version: sealed windows go to the detectors, each exactly once and in order; alarms come out."""

from __future__ import annotations

from collections import deque

from calidris.baseline import Baseline
from calidris.config import CalidrisConfig, ModelConfig
from calidris.config.units import window_name
from calidris.detect import Verdict, thresholds
from calidris.engine.model import WatchedModel
from calidris.engine.pane import Window, merge_panes
from calidris.engine.snapshot import Alarm, NamedFeature, WindowPoint
from calidris.engine.windowwatch import WindowWatch
from calidris.errors import ConfigError

HISTORY = 500
"""Sealed windows that are kept for lines in reports and terminals."""


class Watcher:
    """All detectors of one model version, sharing one false-alarm budget."""

    def __init__(self, config: ModelConfig, baseline: Baseline | None) -> None:
        self.config = config
        self.history: deque[WindowPoint] = deque(maxlen=HISTORY)
        self.windows: dict[float, WindowWatch] = {}
        if baseline is not None:
            self.adopt(baseline)

    def adopt(self, baseline: Baseline) -> None:
        """Begin anew against a baseline: evidence against another one means nothing here.

        A provisional baseline is compared with and never alarms, so nothing watches against it.
        """
        lengths = self.config.detect_windows_s
        limits = thresholds(self.config.budget_s, lengths)
        self.windows = {
            window_s: WindowWatch(self.config.detect, baseline, window_s, limit)
            for window_s, limit in zip(lengths, limits)
            if not baseline.provisional
        }

    def seal(self, model: WatchedModel, after_ns: int, until_ns: int, next_id: int) -> list[Alarm]:
        """Take every window that ends in ``(after_ns, until_ns]``; returns the alarms they raise."""
        raised: list[Alarm] = []
        for window_s in self.config.all_windows_s:
            length = round(window_s * 1e9)
            for start in model.windows_between(after_ns, until_ns, length):
                window = merge_panes(model.spec, (p for _, p in model.panes_in(start, start + length)))
                alarm = self._take(model, window_s, start, window, next_id + len(raised))
                raised.extend([alarm] if alarm else [])
                if length == model.config.step_ns:
                    model.newest_sealed_ns = max(model.newest_sealed_ns, start + length)
                model.touch()
        return raised

    def _take(self, model: WatchedModel, window_s: float, start_ns: int, window: Window, number: int) -> Alarm | None:
        watch = self.windows.get(window_s)
        end_ns = start_ns + round(window_s * 1e9)
        if watch is None:
            self._remember(window_s, end_ns, window, None)
            return None
        verdict = watch.take(window.counts.array, window.counts.count, start_ns)
        self._remember(window_s, end_ns, window, verdict)
        if verdict is None or not verdict.opened:
            return None
        run = watch.end_run()
        return Alarm(
            id=number,
            model=model.key,
            kind="drift",
            window=window_name(window_s),
            raised_ns=end_ns,
            since_ns=run.since_ns,
            windows=run.windows,
            n=run.rows,
            evidence=verdict.evidence,
            features=tuple(NamedFeature(c.field, c.direction, c.evidence) for c in verdict.changes),
            baseline=watch.baseline.id,
            budget=self.config.detect.budget,
            trace_ids=window.trace_ids,
        )

    def _remember(self, window_s: float, end_ns: int, window: Window, verdict: Verdict | None) -> None:
        point = WindowPoint(window_name(window_s), end_ns, window.counts.count, None, None, False)
        if verdict is not None and verdict.scored:
            top = max(verdict.fields, key=lambda name: verdict.fields[name], default="")
            shown = top if verdict.fields.get(top, 0.0) > 0 else None
            point = WindowPoint(point.window, end_ns, point.rows, verdict.evidence, shown, verdict.opened)
        self.history.append(point)

    def clear(self, window: str | None = None) -> None:
        """End the latched alarm of one window length, or of all; evidence starts from nothing."""
        for window_s, watch in self.windows.items():
            if window in (None, window_name(window_s)):
                watch.clear()


def check_budgets(config: CalidrisConfig) -> None:
    """Refuse what no detector can keep, at the start rather than at a model's first row.

    Raises:
        ConfigError: a model's windows are too long for its false-alarm budget.
    """
    for i, name in enumerate(m.name for m in config.models):
        model = config.model(name)
        try:
            thresholds(model.budget_s, model.detect_windows_s)
        except ValueError as error:
            raise ConfigError(f"models.{i}.detect.false_alarms: {error}") from error
