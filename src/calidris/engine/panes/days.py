"""One headline figure a day, and its trend. Days are too old for memory's panes, so their sums are kept as a few integers.

A day's rows are taken when their labels are of age, each pane once, from labels that came within that age: days compare, and
replaying the journal gives the same points bit for bit. Dense states of a day would be a megabyte; headline figures need only sums.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from calidris import semconv
from calidris.batch import Ints
from calidris.engine.panes.label_totals import uncut
from calidris.metrics.calibration.calibration_measures import MINIMUM_LABELS, brier
from calidris.metrics.intervals import Z95
from calidris.metrics.performance.confusion import proportion
from calidris.metrics.performance.regression import MEASURES, Errors
from calidris.state import ResidualsState, Spec
from calidris.state.blocks.labelled import LabelStates
from calidris.state.blocks.scores import SCALE, N

DAY_NS = 86_400_000_000_000
KEPT_DAYS = 35
"""Days that are remembered: the longest trend is over 28."""


class DayPoint(NamedTuple):
    """One figure of one day: its middle, the measure, the value and half of its 95 % interval over 1.96."""

    time_s: float
    measure: str
    value: float
    error: float


@dataclass
class Days:
    """Headline figures of past days, and the sums of the day that is coming of age.

    Attributes:
        points: past days, oldest first.
        day: number of the day since the epoch whose rows are being added up.
        spec: hash of the spec that they are counted under.
        right: decided rows, and how many of them were right.
        scores: sums over scored rows of each outcome, int64[2, stats].
        residuals: sums of a regression's errors, int64[variables, sums].
        revised: days taken already of which labels were revised since, with the number of their rows' spec.
    """

    points: list[DayPoint] = field(default_factory=list)
    day: int = 0
    spec: str = ""
    right: list[int] = field(default_factory=lambda: [0, 0])
    scores: list[list[int]] = field(default_factory=list)
    residuals: list[list[int]] = field(default_factory=list)
    revised: list[list[int]] = field(default_factory=list)

    def note_revised(self, day: int, spec: int) -> None:
        """Remember that labels of a day were revised; of one that was not taken yet it makes no difference."""
        is_past = any(point.time_s == middle_s(day) for point in self.points)
        found = [day, spec]
        if (is_past or day == self.day) and found not in self.revised:
            self.revised = sorted([*self.revised, found])

    def take_revised(self, most: int) -> list[list[int]]:
        """Some such days, the oldest first, which are revised no longer."""
        found = self.revised[:most]
        self.revised = self.revised[most:]
        return found

    def retake(self, spec: Spec, day: int, labels: LabelStates, delay: int) -> None:
        """Take a day anew, of all its rows whose labels are of age."""
        fresh = Days()
        fresh.add(spec, day, labels, delay)
        if (day, spec.hash) == (self.day, self.spec):
            self.right, self.scores, self.residuals = fresh.right, fresh.scores, fresh.residuals
            return
        points = {point.measure: point for point in fresh._points(spec)}
        middle = middle_s(day)
        self.points = [points.get(p.measure, p) if p.time_s == middle else p for p in self.points]

    def add(self, spec: Spec, day: int, labels: LabelStates, delay: int) -> None:
        """Count labelled rows of a day that came within a delay bucket; rows under another spec begin the day anew."""
        if (day, spec.hash) != (self.day, self.spec):
            self._begin(day, spec.hash)
        decisions = labels.decisions(0, delay)
        if decisions is not None:
            self.right = [self.right[0] + decisions.rows, self.right[1] + decisions.right]
        self.scores = _plus(self.scores, labels.scores.array[0, :, : delay + 1].sum(axis=(1, 2)))
        self.residuals = _plus(self.residuals, labels.residuals.array[0, : delay + 1].sum(axis=0))

    def note(self, day: int, measure: str, value: float, error: float) -> None:
        """Remember a figure of a day that is over."""
        self.points.append(DayPoint(middle_s(day), measure, value, error))

    def forget(self, measures: Collection[str]) -> None:
        """Drop the points of some measures, which those to come do not go on from."""
        self.points = [point for point in self.points if point.measure not in measures]

    def close(self, spec: Spec, before_day: int) -> None:
        """Turn the sums into points if their day is over, and forget days that no trend needs."""
        if self.spec and self.day < before_day:
            self.points += list(self._points(spec)) if spec.hash == self.spec else []
            self._begin(0, "")
        oldest = (before_day - KEPT_DAYS) * DAY_NS / 1e9
        self.points = [p for p in self.points if p.time_s >= oldest]

    def _begin(self, day: int, spec: str) -> None:
        self.day, self.spec, self.right, self.scores, self.residuals = day, spec, [0, 0], [], []

    def _points(self, spec: Spec) -> Iterator[DayPoint]:
        time_s = middle_s(self.day)
        for measure, (value, n, lower, upper) in self._readings(spec).items():
            if n >= MINIMUM_LABELS and upper > lower:
                yield DayPoint(time_s, measure, value, (upper - lower) / (2 * Z95))

    def _readings(self, spec: Spec) -> dict[str, tuple[float, int, float, float]]:
        if spec.task == semconv.ML_MODEL_TASK_REGRESSION:
            return self._errors(spec)
        n, right = self.right
        sums = (np.array(self.scores) / SCALE)[:, None, :]  # one bin: Brier needs no more
        value, lower, upper = brier(sums)
        return {"accuracy": proportion(right, n), "brier": (value, int(sums[..., N].sum()), lower, upper)}

    def _errors(self, spec: Spec) -> dict[str, tuple[float, int, float, float]]:
        state = ResidualsState(uncut(spec))
        if not state.array.size:
            return {}
        state.array[0, 0] = self.residuals
        figures = {name: MEASURES[name](Errors.of(state)) for name in ("mae", "bias")}
        # A row that may be missing widens the interval above, but is no noise of the day.
        return {name: (f.value, f.n, f.lower, min(f.upper, 2 * f.value - f.lower)) for name, f in figures.items()}

    def to_json(self) -> list[Any]:
        """Plain values that ``from_json`` reads back exactly."""
        plain = [[list(p) for p in self.points], self.day, self.spec, self.right, self.scores, self.residuals]
        return [*plain, self.revised] if self.revised else plain  # as earlier versions had it

    @classmethod
    def from_json(cls, data: list[Any]) -> Days:
        """The days that ``to_json`` described."""
        points, *sums = data
        return cls([DayPoint(*p) for p in points], *sums)


def middle_s(day: int) -> float:
    """The middle of a day since the epoch, in seconds.

    >>> middle_s(1)
    129600.0
    """
    return (day + 0.5) * DAY_NS / 1e9


def _plus(sums: list[list[int]], more: Ints) -> list[list[int]]:
    total: list[list[int]] = (np.array(sums, dtype=np.int64) + more if sums else more).tolist()
    return total
