"""One model's detector in the one configuration, and how long it takes to name a change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from benchmarks.detection.config import CONFIG
from benchmarks.detection.streams import HOUR_NS, IID, AnyStream, Change, as_counts
from benchmarks.detection.table import NEVER

from calidris.batch import Ints
from calidris.config import DetectConfig
from calidris.detect import Bets, Detector, freeze
from calidris.detect.evidence.day_blocks import Days
from calidris.detect.levels import TwoLevels
from calidris.state import CountsState, Spec

EARLY = DetectConfig()  # whose tolerances the early level has everywhere
BEFORE = 50  # quiet windows before a change


def frozen(spec: Spec, windows: Ints, threshold: float = CONFIG["threshold"], *, timed: bool = True) -> Detector:
    """A detector of both levels from counts int64[W, cells] of baseline windows, an hour each.

    Their order is not told where not ``timed``.
    """
    base = CountsState(spec, windows.sum(axis=0))
    known = windows if timed else None
    days = Days.of(np.arange(len(windows)) * HOUR_NS) if timed else None

    def at(tolerance: float, *, small: bool) -> Bets:
        return freeze(spec, base, known, delta=CONFIG["delta"], tolerance=tolerance, days=days, small=small)

    strong = at(CONFIG["tolerance_sd"], small=False)
    early = at(EARLY.early_tolerance, small=True)
    return Detector(TwoLevels(strong, early), threshold, CONFIG["minimum_rows"])


def drawn(stream: AnyStream, features: int, rng: np.random.Generator, t: int, start: int = 0) -> Ints:
    """T windows of a model of independent features, counts int64[T, cells]."""
    tables = np.stack([stream.counts(rng, t, start=start) for _ in range(features)], axis=1)
    return as_counts(stream.spec(features), tables)


@dataclass(frozen=True)
class Case:
    """A change of the first feature."""

    name: str
    change: Change
    stream: AnyStream = IID
    features: int = 1
    threshold: float = float(CONFIG["threshold"])

    def delay(self, horizon: int, rng: np.random.Generator) -> float:
        """Windows from the change to the alarm that names its feature."""
        spec, quiet = self.stream.spec(self.features), self.stream.baseline + BEFORE
        tables = np.stack([self.stream.counts(rng, quiet + horizon) for _ in range(self.features)], axis=1)
        tables[quiet:, 0] = self.stream.counts(rng, horizon, self.change, quiet)
        counts = as_counts(spec, tables)
        detector = frozen(spec, counts[: self.stream.baseline], self.threshold)
        for window in counts[self.stream.baseline : quiet]:
            detector.score(window)
        for i, window in enumerate(counts[quiet:], 1):
            verdict = detector.score(window)
            if verdict.fired and verdict.changes[0].field == "x0":
                return float(i)
        return NEVER
