"""L: bounded losses of labelled rows by bin. Feeds detection of worse performance, and means with intervals.

From rows and sum of each bin the chord bound of statistics §2c gives a valid bet on the mean; with twenty bins it is as good
as the losses themselves.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np

from calidris.batch import Floats, Ints, Mask
from calidris.state.blocks.table_state import DELAYS, Entries, TableState, delay_buckets, over_slices
from calidris.state.spec import Spec
from calidris.state.weights import weigh

LOSS_BINS = 20
SHIFT = 30
"""Sums are int64 fixed point of 30 binary digits: exact in any order up to 8 billion rows."""

_ONE = 1 << SHIFT
_ASIDE = LOSS_BINS
"""The cell behind the bins: rows without this loss, and how many of the others lay above the cap."""


class LossBins(NamedTuple):
    """Losses of one slice, scaled by their caps into [0, 1]; bin k holds ``[k/20, (k+1)/20)``, the last one 1 too.

    Attributes:
        n: rows, int64[losses, 20].
        total: sum of their losses, float64[losses, 20]; ``k/20 <= total/n <= (k+1)/20`` holds exactly.
        missing: rows without this loss, int64[losses].
        clipped: rows above the cap, counted in ``n`` as the cap, int64[losses].
    """

    n: Ints
    total: Floats
    missing: Ints
    clipped: Ints


class LossesState(TableState):
    """Rows and sums of bounded losses, int64[slice, delay, loss, bin, (n, Σ)]; behind the bins ``(missing, clipped)``.

    Where the spec names no loss the state is empty and stays so.
    """

    KIND: ClassVar[int] = 3
    SUMS: ClassVar[int] = 2
    __slots__ = ()

    @classmethod
    def shape(cls, spec: Spec) -> tuple[int, ...]:
        """(slices, delay buckets, losses, bins and one aside, 2)."""
        return (spec.slice_count, DELAYS, len(spec.losses), LOSS_BINS + 1, 2)

    @classmethod
    def counting(cls, spec: Spec) -> Ints:
        """All cells of the first loss in row 0 of the slice axis; none where there is no loss."""
        step, width = len(spec.losses) * (LOSS_BINS + 1), LOSS_BINS + 1
        return (np.arange(DELAYS)[:, None] * step + np.arange(width if step else 0)).ravel()

    @classmethod
    def place(
        cls,
        spec: Spec,
        losses: Floats,
        delay_s: Floats,
        slice_rows: Ints | None = None,
        units: Ints | None = None,
    ) -> Entries:
        """Where n labelled rows go; see ``update``. With weights (``units_of``), what they add by those."""
        fixed, missing, over = _scaled(spec, losses, len(delay_s))
        count, width = len(spec.losses), LOSS_BINS + 1
        slice_cells = DELAYS * count * width
        # The bin of the fixed-point number, so that a bin's sum lies between its ends without any rounding.
        bins = np.where(missing, _ASIDE, np.minimum(fixed * LOSS_BINS >> SHIFT, LOSS_BINS - 1))
        base = (delay_buckets(delay_s) * count + np.arange(count)[:, None]) * width
        slices = None if slice_rows is None else np.tile(slice_rows, count)
        weights = None if units is None else np.tile(units, count)
        each = Entries((base + bins).ravel(), _weighed(np.ones(fixed.size, np.int64), fixed.ravel(), weights))
        entries = over_slices(each, slices, slice_cells)
        if over.any():
            of_clipped = None if weights is None else weights[over.ravel()]
            sums = _weighed(np.zeros(over.sum(), np.int64), over[over].astype(np.int64), of_clipped)
            clipped = Entries((base + _ASIDE)[over], sums)
            slices = None if slices is None else slices[:, over.ravel()]
            entries = entries.and_also(over_slices(clipped, slices, slice_cells))
        return entries

    def update(self, losses: Floats, delay_s: Floats, slice_rows: Ints | None = None) -> None:
        """Add n labelled rows.

        Args:
            losses: float64[losses, n] in the losses' own units, as ``row_losses`` gives them; NaN is missing, what lies
                above the cap counts as the cap and is counted apart.
            delay_s: seconds from prediction to label, float64[n].
            slice_rows: int64[any, n] as ``Spec.slice_rows`` or ``Spec.cross`` give them; -1 is a missing value.

        Raises:
            ValueError: another number of losses, or a negative one; nothing is added then.
        """
        self.add(self.place(self.spec, losses, delay_s, slice_rows))

    def bins(self, slice_row: int = 0, delay: int | None = None) -> LossBins:
        """Losses of one slice; all delays, or up to bucket ``delay``."""
        part = self.array[slice_row] if delay is None else self.array[slice_row, : delay + 1]
        sums = part.sum(axis=0)
        inner, aside = sums[:, :_ASIDE], sums[:, _ASIDE]
        return LossBins(inner[..., 0], inner[..., 1] / _ONE, aside[:, 0], aside[:, 1])


def _weighed(rows: Ints, sums: Ints, units: Ints | None) -> Ints:
    """What each adds to both sums of a cell."""
    both: Ints = np.stack([rows, sums])
    return both if units is None else weigh(both, units)


def _scaled(spec: Spec, losses: Floats, n: int) -> tuple[Ints, Mask, Mask]:
    """Losses as fixed-point shares of their caps, where they are missing, and where they lay above the cap."""
    if losses.shape != (len(spec.losses), n):
        raise ValueError(f"losses of shape {losses.shape}, wanted ({len(spec.losses)}, {n})")
    if (losses < 0).any():
        raise ValueError("a loss is not negative")
    caps = np.array([loss.cap for loss in spec.losses]).reshape(-1, 1)
    missing, over = np.isnan(losses), losses > caps
    shares = np.where(missing, 0.0, np.minimum(losses, caps) / caps)
    return np.rint(shares * _ONE).astype(np.int64), missing, over
