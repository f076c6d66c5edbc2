"""Bounded losses: what a wrong answer costs a row, between 0 and a cap.

Detectors of worse performance need a loss with a known bound (statistics: bets on a mean). ``error`` and ``brier`` have
one by nature; losses of a regression get the cap that the baseline showed, and what lies above it counts as the cap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from calidris import semconv
from calidris.batch import Floats

LARGE_ERROR: Final = "large_error"
"""The one loss that is 0 or its cap: whether a row's error is larger than nearly all of a baseline's."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One loss and its cap.

    Attributes:
        name: one of ``LOSSES``.
        cap: the largest loss that is told apart, in the loss's own unit. An error is large beyond it, and then costs the cap: nothing else.
    """

    name: str
    cap: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "cap", float(self.cap))
        if self.name not in LOSSES:
            raise ValueError(f"there is no loss {self.name!r}; there are {', '.join(LOSSES)}")
        if not 0.0 < self.cap < math.inf:
            raise ValueError(f"loss {self.name!r}: a cap is a positive number, got {self.cap}")

    def to_json(self) -> list[Any]:
        """Plain values that ``Loss(*values)`` reads back exactly."""
        return [self.name, self.cap]


def _error(truth: Floats, decision: Floats, _prediction: Floats) -> Floats:
    wrong: Floats = (decision != truth).astype(np.float64)
    wrong[np.isnan(decision) | np.isnan(truth)] = np.nan
    return wrong


LOSSES: dict[str, Callable[[Floats, Floats, Floats], Floats]] = {
    "error": _error,
    "brier": lambda truth, _, prediction: (prediction - truth) ** 2,
    "absolute_error": lambda truth, _, prediction: np.abs(prediction - truth),
    "squared_error": lambda truth, _, prediction: (prediction - truth) ** 2,
    "large_error": lambda truth, _, prediction: np.abs(prediction - truth),
}
"""Loss of each row from its truth, decision and prediction; NaN where something of it is missing."""

OF_TASK: dict[str, tuple[Loss, ...]] = {
    semconv.ML_MODEL_TASK_BINARY: (Loss("error"), Loss("brier")),
    semconv.ML_MODEL_TASK_MULTICLASS: (Loss("error"),),
}
"""Losses that need no cap from a baseline."""


def row_losses(
    losses: Sequence[Loss], truth: Floats, decision: Floats | None = None, prediction: Floats | None = None
) -> Floats:
    """Losses of n labelled rows in their own units, float64[losses, n]; NaN where something is missing.

    Args:
        losses: which.
        truth: outcome 0 or 1, code of the class, or the number that was predicted; float64[n], NaN is missing.
        decision: the same for what was decided, or None.
        prediction: probability of the positive class, or the predicted number, or None.

    >>> row_losses([Loss("error"), Loss("brier")], np.array([1.0, 0.0]), np.array([0.0, 0.0]), np.array([0.25, 0.5])).tolist()
    [[1.0, 0.0], [0.5625, 0.25]]
    """
    nothing = np.full(len(truth), np.nan)
    decision = nothing if decision is None else decision
    prediction = nothing if prediction is None else prediction
    with np.errstate(over="ignore"):  # an infinite square is over any cap
        rows = [LOSSES[loss.name](truth, decision, prediction) for loss in losses]
    for loss, found in zip(losses, rows):
        if loss.name == LARGE_ERROR:
            found[:] = np.where(np.isnan(found), np.nan, loss.cap * (found > loss.cap))
    return np.array(rows, dtype=np.float64).reshape(len(losses), len(truth))
