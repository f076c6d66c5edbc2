"""Of rows by weight: how many the rows behind one measure of two outcomes are worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, cast

import numpy as np

from calidris.batch import Floats, Ints

Cells = Sequence[tuple[int, int]]
"""Of truth and decision."""

_DENOMINATOR: Final[dict[str, Cells]] = {
    "precision": ((0, 1), (1, 1)),
    "recall": ((1, 0), (1, 1)),
    "specificity": ((0, 0), (0, 1)),
    "f1": ((0, 1), (1, 0), (1, 1)),
    "average_precision": ((1, 0), (1, 1), (1, 2)),
}
_BY_OUTCOME: Final = frozenset({"balanced_accuracy", "roc_auc", "gini", "ks_separation"})
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

    def worth(self, measure: str, counts: Ints, bins: Floats) -> tuple[Ints, Floats]:
        """Counts [truth, decision] and score bins of all rows' worth, as those of the measure's own rows."""
        if measure in _BY_OUTCOME:
            outcomes = [self._share([(truth, decided) for decided in range(3)]) for truth in (0, 1)]
            by_outcome = np.array(outcomes)
            return cast(Ints, counts * by_outcome[:, None]), bins * by_outcome[:, None, None]
        factor = self._share(_DENOMINATOR[measure]) if measure in _DENOMINATOR else 1.0
        return cast(Ints, counts * factor), bins * factor

    def _share(self, cells: Cells) -> float:
        """What a weight of one is worth in some cells, of what it is in all of them; 1 where they are empty."""
        places = tuple(np.array(cells).T)
        weights, squares = self.weights[places].sum(), self.squares[places].sum()
        if not squares > 0:
            return 1.0
        return float(weights / squares / (self.weights.sum() / self.squares.sum()))
