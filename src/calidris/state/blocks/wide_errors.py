"""What a regression got wrong, however large: a second, coarser count beside the exact one of ``residuals``.

The exact sums end at 2^14 times the baseline's error, their squares at 128 times. Here each row falls into one level of its
error and one of its truth, and is counted as a share of the level's end::

    level of the error   0         1       2        3                      10
    |e| up to            size/16   size    16 size  256 size    …    6.9e10 size
    level of the truth   0         1       2        3
    |y| up to            16        16384   1.7e7    1.7e10  spreads of the baseline's output, from its middle

So figures of errors of any size are within 2^-23 of themselves row by row (an error is within 2^-27 of itself, its square within
2^-23), the rows that carry a mean show, and so does how errors go with truths, which the interval of R² needs. All are
whole numbers: merging is an addition, and a row that was added can be taken off again.
"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar, NamedTuple

import numpy as np

from calidris.batch import Floats, Ints, Mask
from calidris.state import fixed
from calidris.state.blocks.residuals import ERROR, TRUTH, require_outcomes, residual_scales
from calidris.state.blocks.table_state import DELAYS, Entries, TableState, delay_buckets, over_slices
from calidris.state.spec import Spec

ERROR_LEVELS, ERROR_STEP = 11, 4
"""Levels of the error, and how many powers of two they are apart."""
TRUTH_LEVELS, TRUTH_STEP = 4, 10
"""Likewise of the truth, whose mean may lie far from 0 beside its spread: it is kept to thirty digits in each level."""

CELLS = ERROR_LEVELS * TRUTH_LEVELS

SHARE = 2.0**30
"""What the end of a level counts as."""
COARSE = 15
"""Digits that products with a truth leave out of its thirty."""

N, MISSING, CLIPPED = 0, 1, 2
SIGNED, SIZE, SQUARE, FOURTH, EIGHTH = 3, 4, 5, 6, 7
Q, A, AA, AB, BB = 8, 9, 10, 11, 12
A3, A4 = 13, 15
S, SA, SAA = 17, 18, 19
SUMS = 21
"""Rows, those without a prediction, those beyond the last level; e, |e|, e², e⁴ and e⁸ as shares of their level; the truth q
and its upper half a (``q = a·2^15 + b``) with their products; e² coarse, its products with a and a². What may pass 2^30 in a
row (a³, a⁴, e²a²) takes two places, thirty binary digits below and the rest above, so that 2^33 rows fit."""


class Levels(NamedTuple):
    """Ends of the levels under a spec, all powers of two: of errors, of truths, and where truths are counted from."""

    errors: Floats
    truths: Floats
    centre: float


class WideErrorsState(TableState):
    """Sums over labelled rows of a regression by level, int64[slice, delay, error level, truth level, 21].

    Empty without a field of the regression output. A row without a prediction has a truth only, in the lowest level of errors.
    """

    KIND: ClassVar[int] = 9
    SUMS: ClassVar[int] = SUMS
    __slots__ = ()

    @classmethod
    def shape(cls, spec: Spec) -> tuple[int, ...]:
        """(slices, delay buckets, error levels, truth levels, sums)."""
        errors = ERROR_LEVELS if residual_scales(spec) else 0
        return (spec.slice_count, DELAYS, errors, TRUTH_LEVELS, SUMS)

    @classmethod
    def counting(cls, spec: Spec) -> Ints:
        """All cells of row 0 of the slice axis."""
        return np.arange(cls.size(spec) // spec.slice_count)

    @classmethod
    def place(
        cls,
        spec: Spec,
        truth: Floats,
        prediction: Floats,
        delay_s: Floats,
        slice_rows: Ints | None = None,
    ) -> Entries:
        """Where n labelled rows go, as ``ResidualsState.place`` takes them; about 1 µs a row."""
        require_outcomes(spec, truth)
        rows = _level_rows(wide_levels(spec), truth, prediction)
        entries = Entries(
            delay_buckets(delay_s) * CELLS + rows.cells,
            rows.sums,
        )
        return over_slices(entries, slice_rows, DELAYS * CELLS)

    def update(
        self,
        truth: Floats,
        prediction: Floats,
        delay_s: Floats,
        slice_rows: Ints | None = None,
    ) -> None:
        """Add n labelled rows, as ``ResidualsState.update`` takes them.

        Raises:
            ValueError: a truth that is not finite, or a spec without a regression output; nothing is added then.
        """
        placed = self.place(self.spec, truth, prediction, delay_s, slice_rows)
        self.add(placed)

    def rows(self, slice_row: int = 0, delay: int | None = None) -> Ints:
        """Sums of one slice by level, int64[error levels, truth levels, 21]; all delays, or up to bucket ``delay``."""
        last = DELAYS if delay is None else delay + 1
        total: Ints = self.array[slice_row, :last].sum(axis=0)
        return total


@lru_cache(maxsize=64)
def wide_levels(spec: Spec) -> Levels:
    """Ends of the levels, from the scales of ``residuals``. Remembered for the last 64 specs."""
    scales = residual_scales(spec)
    size = scales[ERROR].unit / fixed.RESOLUTION
    spread = scales[TRUTH].unit / fixed.RESOLUTION
    return Levels(
        _space(size, -ERROR_STEP, ERROR_STEP, ERROR_LEVELS),
        _space(spread, ERROR_STEP, TRUTH_STEP, TRUTH_LEVELS),
        scales[TRUTH].centre,
    )


def _space(unit: float, first: int, step: int, levels: int) -> Floats:
    """Ends of levels, so many powers of two from a unit, and apart."""
    powers = first + step * np.arange(levels)
    return np.ldexp(unit, powers)


def _level_rows(
    levels: Levels,
    truth: Floats,
    prediction: Floats,
) -> Entries:
    """The cell of each row within those of its delay, and what it adds there."""
    there = np.isfinite(prediction)
    with np.errstate(over="ignore"):
        error = np.where(there, prediction, truth) - truth
        from_centre = truth - levels.centre
    at_error, errors, far = _find_shares(error, levels.errors)
    at_truth, truths, further = _find_shares(from_centre, levels.truths)
    marks = np.ones(len(truth), dtype=np.int64), ~there, far | further
    products = _multiply_errors(errors)
    products += _multiply_truths(truths, errors * errors)
    return Entries(
        at_error * TRUTH_LEVELS + at_truth,
        np.stack([*marks, *products]),
    )


def _find_shares(values: Floats, ends: Floats) -> tuple[Ints, Floats, Mask]:
    """The level of each value, its share of that level's end, and whether it is beyond all."""
    sizes = np.abs(values)
    found = _find_levels(sizes, ends)
    # Beyond the last end a value counts as that end.
    shares = np.clip(values / ends[found], -1.0, 1.0)
    return found, shares, sizes > ends[-1]


def _find_levels(sizes: Floats, ends: Floats) -> Ints:
    """The first level whose end is not below each size, or the last."""
    found = np.searchsorted(ends, sizes, side="left")
    return np.minimum(found, len(ends) - 1)


def _multiply_errors(error: Floats) -> list[Ints]:
    """What each row adds to the sums from ``SIGNED`` on; an error of 0, as of a row without a prediction, adds nothing."""
    square = error * error
    fourth = square * square
    powers = (
        error,
        np.abs(error),
        square,
        fourth,
        fourth * fourth,
    )
    return [_round(power, SHARE) for power in powers]


def _multiply_truths(truth: Floats, square: Floats) -> list[Ints]:
    """What each row adds to the sums from ``Q`` on."""
    q = _round(truth, SHARE)
    a, b = _split(q)
    # Fewer digits than of the error's own sums, so that its product with a² fits.
    s = _round(square, 2.0**COARSE)
    aa = a * a
    return [
        q,
        a,
        aa,
        a * b,
        b * b,
        *_halve(aa * a),
        *_halve(aa * aa),
        s,
        s * a,
        *_halve(s * aa),
    ]


def _split(q: Ints) -> tuple[Ints, Ints]:
    """The nearest multiple of 2^15, and the rest, either side of 0: rounding down would move every mean."""
    half = 1 << COARSE - 1
    upper = (q + half) >> COARSE
    return upper, q - (upper << COARSE)


def _round(values: Floats, scale: float) -> Ints:
    whole: Ints = np.rint(values * scale).astype(np.int64)
    return whole


def _halve(values: Ints) -> tuple[Ints, Ints]:
    """The rest above thirty binary digits, and these."""
    digits = (1 << 30) - 1
    return values >> 30, values & digits
