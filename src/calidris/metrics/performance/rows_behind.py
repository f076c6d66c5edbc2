"""Of rows by weight: how many the rows behind one measure of two outcomes are worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, cast

import numpy as np

from calidris.batch import Floats, Ints

Cells = Sequence[tuple[int, int]]
"""Of truth and decision."""

_RIGHT_NO = (0, 0)
_FALSE_YES = (0, 1)
_FALSE_NO = (1, 0)
_RIGHT_YES = (1, 1)
_NO_UNDECIDED = (0, 2)
_YES_UNDECIDED = (1, 2)

_PARTS: Final[dict[str, tuple[Cells, Cells]]] = {
    "accuracy": ((_RIGHT_NO, _RIGHT_YES), (_FALSE_YES, _FALSE_NO)),
    "precision": ((_RIGHT_YES,), (_FALSE_YES,)),
    "recall": ((_RIGHT_YES,), (_FALSE_NO,)),
    "specificity": ((_RIGHT_NO,), (_FALSE_YES,)),
    "f1": ((_RIGHT_YES,), (_FALSE_YES, _FALSE_NO)),
    "prevalence": (
        (_FALSE_NO, _RIGHT_YES),
        (_RIGHT_NO, _FALSE_YES),
    ),
    "average_precision": (
        (_FALSE_NO, _RIGHT_YES, _YES_UNDECIDED),
        (),
    ),
}
"""Rows that count for a measure, and those that count against it: the two are its denominator."""
_OUTCOMES: Final[Sequence[tuple[Cells, Cells]]] = (
    ((_RIGHT_NO,), (_FALSE_YES, _NO_UNDECIDED)),
    ((_RIGHT_YES,), (_FALSE_NO, _YES_UNDECIDED)),
)
_BY_OUTCOME: Final = frozenset(
    {
        "balanced_accuracy",
        "roc_auc",
        "gini",
        "ks_separation",
    }
)
"""Figures that stay what they are where the rows of one outcome are multiplied: each outcome has its own number of rows."""


class RowsBehind(NamedTuple):
    """The number of rows for each measure, from its own denominator: Kish's, or fewer.

    Where a sender keeps every positive decision and a tenth of the others, all rows behind a precision have one weight: they are
    worth what they are, however much the weights of all rows differ.

    Attributes:
        weights: Σw, float64[truth, decision]; the last decision is none.
        squares: Σw² of them.
    """

    weights: Floats
    squares: Floats

    def worth(
        self,
        measure: str,
        counts: Ints,
        bins: Floats,
    ) -> tuple[Ints, Floats]:
        """Counts [truth, decision] and score bins of all rows' worth, as those of the measure's own rows."""
        if measure in _BY_OUTCOME:
            return self._by_outcome(counts, bins)
        parts = _PARTS.get(measure, ((), ()))
        share = self._share(*parts)
        scaled = counts * share
        return cast(Ints, scaled), bins * share

    def _by_outcome(
        self,
        counts: Ints,
        bins: Floats,
    ) -> tuple[Ints, Floats]:
        shares = np.array([self._share(*parts) for parts in _OUTCOMES])
        scaled = counts * shares[:, None]
        in_bins = bins * shares[:, None, None]
        return cast(Ints, scaled), in_bins

    def _share(
        self,
        hits: Cells,
        misses: Cells,
    ) -> float:
        """What a weight of one is worth in some cells, of what it is in all of them; 1 where they are none, or empty."""
        hit = self._add_up(hits)
        missed = self._add_up(misses)
        if not hit.squares + missed.squares > 0:
            return 1.0
        of_all = self.weights.sum() / self.squares.sum()
        return _find_worth(hit, missed) / float(of_all)

    def _add_up(self, cells: Cells) -> _Sums:
        return _Sums(
            sum(float(self.weights[cell]) for cell in cells),
            sum(float(self.squares[cell]) for cell in cells),
        )


class _Sums(NamedTuple):
    """Σw and Σw² of some rows."""

    weights: float
    squares: float


def _find_worth(hit: _Sums, missed: _Sums) -> float:
    """Rows that a weight of one is worth: Kish's, or fewer by the variance of the share itself where that is larger.

    Kish's takes it that a row's weight says nothing about its answer. Where the rarer answer has the heavier rows, the share varies more:
    by Σw²(y - p)² over (Σw)², linearised (W. G. Cochran, "Sampling Techniques", 1977).
    """
    weights = hit.weights + missed.weights
    squares = hit.squares + missed.squares
    kish = weights / squares
    share = hit.weights / weights
    of_hit = (1.0 - share) ** 2
    of_missed = share**2
    plain = hit.weights * of_hit + missed.weights * of_missed
    varied = hit.squares * of_hit + missed.squares * of_missed
    if not varied > 0:
        return kish
    return min(kish, plain / varied)
