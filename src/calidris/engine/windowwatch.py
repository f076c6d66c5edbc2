"""The detector of one window length, or the learner that comes before it, with the run of evidence that an alarm tells of."""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, astuple, dataclass
from typing import Any

from calidris.baseline import Baseline
from calidris.batch import Ints
from calidris.config.detection import DetectConfig
from calidris.detect import Bets, Change, DesignLearner, Detector, Verdict, freeze
from calidris.errors import CorruptState
from calidris.state import Role

QUIET = 0.2
"""A run of evidence begins after the last window with less than this share of the budget's evidence."""

WATCHED = frozenset({Role.FEATURE, Role.SCORE, Role.DECISION, Role.VALUE})

_SIZES = struct.Struct("<II")  # bytes of the head, bytes of the windows that were learned live


@dataclass(slots=True)
class Run:
    """Windows since the evidence was last near nothing.

    Attributes:
        since_ns: begin of the first one, also where it was too small to be scored by itself; 0 before any.
        windows: how many were scored.
        rows: rows in those.
    """

    since_ns: int = 0
    windows: int = 0
    rows: int = 0


class WindowWatch:
    """The detector of one window length, or the learner that comes before it.

    A baseline without windows of its own says nothing about how much whole windows vary, so that is learned from live
    windows first; until then nothing alarms.

    Args:
        config: the user's settings.
        baseline: what windows are compared with.
        window_s: their length.
        threshold: evidence at which the detector alarms.
    """

    def __init__(self, config: DetectConfig, baseline: Baseline, window_s: float, threshold: float) -> None:
        self.config = config
        self.baseline = baseline
        self.window_s = window_s
        self.threshold = threshold
        self.run = Run()
        self.last: Verdict | None = None
        self.unsaved = True
        self._live = b""  # windows that were learned live: a restart makes the same bets from them
        spread = baseline.windows_of(window_s)
        self.learner = DesignLearner(baseline.spec, minimum_rows=config.minimum_rows) if spread is None else None
        self.detector = None if spread is None else Detector(self._bets(spread), threshold, config.minimum_rows)

    def _bets(self, spread: Ints) -> Bets:
        return freeze(
            self.baseline.spec,
            self.baseline.counts,
            spread,
            delta=self.config.delta,
            tolerance=self.config.tolerance,
            roles=WATCHED,
            minimum_rows=self.config.minimum_rows,
        )

    def take(self, counts: Ints, rows: int, start_ns: int) -> Verdict | None:
        """Score one sealed window; None while the spread is still being learned."""
        self.unsaved = True
        if self.detector is None:
            self._learn(counts)
            return None
        if rows and not self.run.since_ns:
            self.run.since_ns = start_ns
        self.last = verdict = self.detector.score(counts)
        if verdict.scored:
            self.run.windows += 1
            self.run.rows += verdict.rows
            if verdict.evidence < QUIET and not verdict.fired:
                self.run = Run()
        return verdict

    def _learn(self, counts: Ints) -> None:
        assert self.learner is not None, "either learns or scores"
        self.learner.add(counts)
        if self.learner.ready:
            self.detector = Detector(self._bets(self.learner.windows), self.threshold, self.config.minimum_rows)
            self._live, self.learner = self.learner.to_bytes(), None

    def end_run(self) -> Run:
        """The run that led to an alarm; a new one begins."""
        ended, self.run = self.run, Run()
        return ended

    def clear(self) -> None:
        """End a latched alarm; evidence starts from nothing."""
        self.unsaved = True
        self.run = Run()
        if self.detector is not None:
            self.detector.clear()

    def to_bytes(self) -> bytes:
        """The run and the last verdict as JSON, then what was learned live, then the learner or the detector."""
        worker = self.detector or self.learner
        assert worker is not None, "either learns or scores"
        last = None if self.last is None else asdict(self.last)
        head = json.dumps({"scores": self.detector is not None, "run": astuple(self.run), "last": last}).encode()
        return _SIZES.pack(len(head), len(self._live)) + head + self._live + worker.to_bytes()

    def restore(self, data: bytes) -> None:
        """Take over what ``to_bytes`` wrote against the same baseline. The threshold is that of today's settings.

        Raises:
            IncompatibleState: other settings or other rules made it; only what was learned live is taken over.
            CorruptState: not such bytes.
        """
        try:
            head_size, live_size = _SIZES.unpack_from(data)
            head_end = _SIZES.size + head_size
            head = json.loads(data[_SIZES.size : head_end])
        except (struct.error, ValueError) as error:
            raise CorruptState(f"not the watch of a window: {error}") from error
        live, rest = data[head_end : head_end + live_size], data[head_end + live_size :]
        if head["scores"]:
            self._restore_detector(live, rest)
        else:
            self.learner, self.detector = DesignLearner.from_bytes(self.baseline.spec, rest), None
        self.run = Run(*head["run"])
        self.last = None if head["last"] is None else _verdict(head["last"])
        self.unsaved = False

    def _restore_detector(self, live: bytes, rest: bytes) -> None:
        if live:
            spread = DesignLearner.from_bytes(self.baseline.spec, live).windows
            self._live, self.learner = live, None
            self.detector = Detector(self._bets(spread), self.threshold, self.config.minimum_rows)
        if self.detector is None:
            raise CorruptState("a detector without the windows that its bets were made from")
        self.detector = Detector.from_bytes(self.detector.bets, rest)
        self.detector.threshold = self.threshold


def _verdict(data: dict[str, Any]) -> Verdict:
    return Verdict(**(data | {"changes": tuple(Change(**change) for change in data["changes"])}))
