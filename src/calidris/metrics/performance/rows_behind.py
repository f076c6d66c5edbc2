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

_DENOMINATOR: Final[dict[str, Cells]] = {
    "precision": (_FALSE_YES, _RIGHT_YES),
    "recall": (_FALSE_NO, _RIGHT_YES),
    "specificity": (_RIGHT_NO, _FALSE_YES),
    "f1": (_FALSE_YES, _FALSE_NO, _RIGHT_YES),
    "average_precision": (
        _FALSE_NO,
        _RIGHT_YES,
        _YES_UNDECIDED,
    ),
}
_DECIDED: Cells = (_RIGHT_NO, _FALSE_YES, _FALSE_NO, _RIGHT_YES)
_COUNTED: Final[dict[str, Cells]] = {
    "accuracy": (_RIGHT_NO, _RIGHT_YES),
    "precision": (_RIGHT_YES,),
    "recall": (_RIGHT_YES,),
    "specificity": (_RIGHT_NO,),
    "f1": (_RIGHT_YES,),
    "prevalence": (_FALSE_NO, _RIGHT_YES),
}
"""Of a measure that is a share, or follows one, the cells that it is a share of its denominator's of."""

_OUTCOMES: Final[Sequence[Cells]] = (
    (_RIGHT_NO, _FALSE_YES, _NO_UNDECIDED),
    (_FALSE_NO, _RIGHT_YES, _YES_UNDECIDED),
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
    """Kish's number of rows for each measure, from its own denominator.

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
        cells = _DENOMINATOR.get(measure, ())
        share = self._share(cells)
        if measure in _COUNTED:
            share *= self._told(_COUNTED[measure], cells or _DECIDED)
        scaled = counts * share
        return cast(Ints, scaled), bins * share

    def _by_outcome(
        self,
        counts: Ints,
        bins: Floats,
    ) -> tuple[Ints, Floats]:
        shares = np.array([self._share(cells) for cells in _OUTCOMES])
        scaled = counts * shares[:, None]
        in_bins = bins * shares[:, None, None]
        return cast(Ints, scaled), in_bins

    def rows(self, measure: str, otherwise: int) -> int:
        """Kish's number of the rows behind a share, whatever its interval; of another measure what it says itself."""
        if measure not in _COUNTED:
            return otherwise
        weight, square = self._sums(_DENOMINATOR.get(measure, _DECIDED))
        return round(weight**2 / square) if square > 0 else otherwise

    def _told(self, counted: Cells, cells: Cells) -> float:
        """What Kish's rows tell of a share, at most 1: less where the weights of its rows and of the others differ.

        The variance of a weighted share p is ((1-p)² Σw² of its rows + p² Σw² of the others)/(Σw)². At Kish's number the interval of recall
        held the truth in 78 % of windows where a sender had kept a fifth of the low scores.
        """
        weight, square = self._sums(cells)
        own_weight, own_square = self._sums(counted)
        if not (square > 0 and 0 < own_weight < weight):
            return 1.0
        p = own_weight / weight
        spread = (1 - p) ** 2 * own_square + p**2 * (square - own_square)
        return min(p * (1 - p) * square / spread, 1.0)

    def _sums(self, cells: Cells) -> tuple[float, float]:
        """Σw and Σw² of some cells."""
        weight = sum(float(self.weights[cell]) for cell in cells)
        square = sum(float(self.squares[cell]) for cell in cells)
        return weight, square

    def _share(self, cells: Cells) -> float:
        """What a weight of one is worth in some cells, of what it is in all of them; 1 where they are none, or empty."""
        weights, squares = self._sums(cells)
        if not squares > 0:
            return 1.0
        of_all = self.weights.sum() / self.squares.sum()
        return float(weights / squares / of_all)
