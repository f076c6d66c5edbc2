"""Watch one model version: sealed windows go to the detectors, each exactly once and in order; alarms come out."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from calidris.baseline import Baseline
from calidris.batch import Ints
from calidris.config import ModelConfig
from calidris.config.units import window_name
from calidris.detect import Bets, DesignLearner, Detector, Verdict, freeze, thresholds
from calidris.engine.model import WatchedModel
from calidris.engine.pane import Pane, merge_panes
from calidris.engine.snapshot import Alarm, NamedFeature, WindowPoint
from calidris.state import Role

HISTORY = 500
"""Sealed windows that are kept for lines in reports and terminals."""

QUIET = 0.2
"""A run of evidence begins after the last window with less than this share of the budget's evidence."""

WATCHED = frozenset({Role.FEATURE, Role.SCORE, Role.DECISION, Role.VALUE})


@dataclass(slots=True)
class Run:
    """Windows since the evidence was last near nothing."""

    since_ns: int = 0
    windows: int = 0
    rows: int = 0


class WindowWatch:
    """The detector of one window length, or the learner that comes before it.

    A baseline without windows of its own says nothing about how much whole windows vary, so that is learned from live
    windows first; until then nothing alarms.
    """

    def __init__(self, config: ModelConfig, baseline: Baseline, window_s: float, threshold: float) -> None:
        self.config = config
        self.baseline = baseline
        self.window_s = window_s
        self.threshold = threshold
        self.run = Run()
        self.last: Verdict | None = None
        self._live = b""  # windows that were learned live: a restart makes the same bets from them
        spread = None if baseline.provisional else baseline.windows_of(window_s)
        self.learner = DesignLearner(baseline.spec, minimum_rows=config.detect.minimum_rows) if spread is None else None
        self.detector = None if spread is None else self._detector(self._bets(spread))

    def _bets(self, spread: Ints) -> Bets:
        d = self.config.detect
        return freeze(
            self.baseline.spec,
            self.baseline.counts,
            spread,
            delta=d.delta,
            tolerance=d.tolerance,
            roles=WATCHED,
            minimum_rows=d.minimum_rows,
        )

    def _detector(self, bets: Bets) -> Detector:
        return Detector(bets, self.threshold, self.config.detect.minimum_rows)

    def take(self, pane: Pane, start_ns: int) -> Verdict | None:
        """Score one sealed window; None while the spread is still being learned."""
        if self.detector is None:
            self._learn(pane)
            return None
        verdict = self.detector.score(pane.counts.array)
        self.last = verdict
        if verdict.scored:
            if self.run.windows == 0:
                self.run.since_ns = start_ns
            self.run.windows += 1
            self.run.rows += verdict.rows
            if verdict.evidence < QUIET and not verdict.fired:
                self.run = Run()
        return verdict

    def _learn(self, pane: Pane) -> None:
        assert self.learner is not None
        self.learner.add(pane.counts.array)
        if self.learner.ready and not self.baseline.provisional:
            self.detector = self._detector(self._bets(self.learner.windows))
            self._live, self.learner = self.learner.to_bytes(), None

    def to_bytes(self) -> bytes:
        """Learner (L) or detector (D) with the run of evidence; the last verdict is derived again at the next window."""
        run = b"".join(
            v.to_bytes(8, "little", signed=True) for v in (self.run.since_ns, self.run.windows, self.run.rows)
        )
        if self.detector is not None:
            return b"D" + run + len(self._live).to_bytes(8, "little") + self._live + self.detector.to_bytes()
        assert self.learner is not None
        return b"L" + run + self.learner.to_bytes()

    def restore(self, data: bytes) -> None:
        """Take over what ``to_bytes`` wrote for the same baseline and settings."""
        numbers = [int.from_bytes(data[i : i + 8], "little", signed=True) for i in (1, 9, 17)]
        self.run = Run(*numbers)
        if data[:1] == b"L":
            self.learner, self.detector = DesignLearner.from_bytes(self.baseline.spec, data[25:]), None
            return
        size = int.from_bytes(data[25:33], "little")
        self._live, rest = data[33 : 33 + size], data[33 + size :]
        if self._live:
            spread = DesignLearner.from_bytes(self.baseline.spec, self._live).windows
            self.detector = Detector.from_bytes(self._bets(spread), rest)
        elif self.detector is not None:
            self.detector = Detector.from_bytes(self.detector.bets, rest)
        self.learner = None


class Watcher:
    """All detectors of one model version, sharing one false-alarm budget."""

    def __init__(self, config: ModelConfig, baseline: Baseline | None) -> None:
        self.config = config
        self.history: deque[WindowPoint] = deque(maxlen=HISTORY)
        self.windows: dict[float, WindowWatch] = {}
        if baseline is not None:
            self.adopt(baseline)

    def adopt(self, baseline: Baseline) -> None:
        """Begin anew against a baseline; evidence against another one means nothing here."""
        lengths = self.config.detect_windows_s
        limits = thresholds(self.config.budget_s, lengths)
        self.windows = {w: WindowWatch(self.config, baseline, w, a) for w, a in zip(lengths, limits)}

    def seal(self, model: WatchedModel, after_ns: int, until_ns: int, next_id: int) -> list[Alarm]:
        """Take every window that ends in ``(after_ns, until_ns]``; returns the alarms they raise."""
        raised: list[Alarm] = []
        for window_s in self.config.all_windows_s:
            length = round(window_s * 1e9)
            for start in model.windows_between(after_ns, until_ns, length):
                pane = merge_panes(model.spec, (p for _, p in model.panes_in(start, start + length)))
                alarm = self._take(model, window_s, start, pane, next_id + len(raised))
                raised.extend([alarm] if alarm else [])
                if length == model.config.step_ns:
                    model.newest_sealed_ns = max(model.newest_sealed_ns, start + length)
                model.changed = True
        return raised

    def _take(self, model: WatchedModel, window_s: float, start_ns: int, pane: Pane, number: int) -> Alarm | None:
        watch = self.windows.get(window_s)
        end_ns = start_ns + round(window_s * 1e9)
        verdict = watch.take(pane, start_ns) if watch else None
        fired = verdict is not None and verdict.opened
        self._remember(window_s, end_ns, pane, verdict, fired)
        if not fired or watch is None or verdict is None:
            return None
        alarm = Alarm(
            id=number,
            model=model.key,
            kind="drift",
            window=window_name(window_s),
            raised_ns=end_ns,
            since_ns=watch.run.since_ns,
            windows=watch.run.windows,
            n=watch.run.rows,
            evidence=verdict.evidence,
            features=tuple(NamedFeature(c.field, c.direction, c.evidence) for c in verdict.changes),
            baseline=watch.baseline.id,
            budget=self.config.detect.false_alarms,
            trace_ids=tuple(pane.trace_ids),
        )
        watch.run = Run()
        return alarm

    def _remember(self, window_s: float, end_ns: int, pane: Pane, verdict: Verdict | None, fired: bool) -> None:
        scored = verdict is not None and verdict.scored
        top = max(verdict.fields, key=lambda f: verdict.fields[f], default=None) if verdict and scored else None
        if verdict and top is not None and verdict.fields[top] <= 0:
            top = None
        evidence = verdict.evidence if verdict and scored else None
        self.history.append(WindowPoint(window_name(window_s), end_ns, pane.counts.count, evidence, top, fired))

    def clear(self) -> None:
        """End every latched alarm of this model version."""
        for watch in self.windows.values():
            if watch.detector is not None:
                watch.detector.clear()
