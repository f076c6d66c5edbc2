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

    def _share(self, cells: Cells) -> float:
        """What a weight of one is worth in some cells, of what it is in all of them; 1 where they are none, or empty."""
        weights = sum(float(self.weights[cell]) for cell in cells)
        squares = sum(float(self.squares[cell]) for cell in cells)
        if not squares > 0:
            return 1.0
        of_all = self.weights.sum() / self.squares.sum()
        return float(weights / squares / of_all)
