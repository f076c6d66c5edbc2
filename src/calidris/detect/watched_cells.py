"""What the performance detector watches beside losses of all rows: losses in each corner of the space, and errors larger than nearly all.

A corner that gets worse hides in the mean of all rows. And where a model meets what it never saw, a few errors are larger than any
before long before the mean says so: in Friedman's local drift one row in a hundred.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from calidris.batch import Ints
from calidris.detect.bets.losses import NAMES, Loss, watched_loss
from calidris.detect.game import WHERE
from calidris.state import LossesState, Spec
from calidris.state.blocks.losses import LOSS_BINS
from calidris.state.bounded import LARGE_ERROR

PART: Final = 1 / 3
"""Of the detector's weight goes to corners and large errors, an even half to each where there are both."""
PART_OF_DELTA: Final = 0.1
"""Of the chance that the baseline misleads: what is rare needs little of it, and the mean of all rows would feel its loss."""


class Cell(NamedTuple):
    """One thing that is watched.

    Attributes:
        loss: what its mean is bet on.
        row: of the losses' first axis.
        place: of the counted loss in the spec.
        weight: of all the detector's; they add up to 1.
        doubt: the part of δ that it has; likewise.
    """

    loss: Loss
    row: int
    place: int
    weight: float = 0.0
    doubt: float = 0.0

    def counts(self, state: LossesState, delay: int) -> Ints:
        """Rows of its bins, then their sums, as ``Loss.counts``."""
        delays = slice(0, delay + 1)
        cells = state.array[self.row, delays, self.place, :LOSS_BINS]
        bins = cells.sum(axis=0)
        found: Ints = bins.sum(axis=0) if self.loss.binary else bins.T.ravel()
        return found


def watched_cells(spec: Spec, corners: bool = True) -> tuple[Cell, ...]:
    """All that a detector watches of a spec's losses, those of all rows first; without corners where there are none or none are wanted.

    >>> from calidris.state import Loss as Counted
    >>> [(cell.loss.name, cell.weight) for cell in watched_cells(Spec(losses=(Counted("error"),)))]
    [('accuracy', 1.0)]
    """
    whole = list(_in_row(spec, 0, ""))
    if not corners or spec.corners is None:
        return tuple(_sharing(whole, 1.0, 1.0))
    large = list(_find_large(spec))
    parts = list(_in_corners(spec))
    groups = 1 + bool(large)
    weight = PART / groups
    doubt = PART_OF_DELTA / groups
    cells = [
        *_sharing(whole, 1.0 - PART, 1.0 - PART_OF_DELTA),
        *_sharing(large, weight, doubt),
        *_sharing(parts, weight, doubt),
    ]
    return tuple(cells)


def _sharing(
    cells: Sequence[Cell],
    weight: float,
    doubt: float,
) -> Iterator[Cell]:
    """The same, with even parts of a weight and of a doubt."""
    for cell in cells:
        yield cell._replace(
            weight=weight / len(cells),
            doubt=doubt / len(cells),
        )


def _in_row(spec: Spec, row: int, part: str) -> Iterator[Cell]:
    """Losses of one row of the axis."""
    for place, loss in enumerate(spec.losses):
        if loss.name in NAMES:
            watched = watched_loss(loss, part)
            yield Cell(watched, row, place)


def _find_large(spec: Spec) -> Iterator[Cell]:
    for place, loss in enumerate(spec.losses):
        if loss.name == LARGE_ERROR:
            watched = Loss.zero_one(f"errors above {loss.cap:.4g}")
            # Not in row 0: the rows that said what is large have none that is larger.
            yield Cell(watched, spec.slice_count, place)


def _in_corners(spec: Spec) -> Iterator[Cell]:
    first = spec.slice_count + 1
    for corner, name in enumerate(spec.corner_names):
        yield from _in_row(spec, first + corner, WHERE + name)


def cell_counts(
    cells: Iterable[Cell],
    state: LossesState,
    delay: int,
) -> Ints:
    """Rows and sums of each, int64[cells], one loss behind the other, of labels up to a bucket of delay."""
    parts = [cell.counts(state, delay) for cell in cells]
    found: Ints = np.concatenate(parts)
    return found
