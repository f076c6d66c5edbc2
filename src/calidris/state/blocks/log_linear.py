"""Log-linear bins of numbers: the same for ever and for every model.

::

    | negative, largest first | 0 | positive, smallest first | missing | other |
      2048                      1   2048                       1         1

Sixteen bins to a power of two from 2^-64 to 2^64, so a bin is at most a sixteenth wider than its lower end is large; what is
smaller or larger falls into the first or last bin. A bin of numbers is ``(low, high]``, as the bins of a field are: a whole
number up to 32, or any edge with five binary digits, is a boundary, and re-binning there is exact.

Numbers that vary little beside their size (years, time stamps) share few bins, and re-binning states a large error for them.
The bins are those of exponential histograms (Masson, Rim & Lee, "DDSketch", PVLDB 12(12), 2019; OpenTelemetry's exponential
histogram), with even steps inside a power of two, which needs no logarithm.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from calidris.batch import Floats, Ints

SUB_BITS, LOWEST, HIGHEST = 4, -64, 64
SIDE = (HIGHEST - LOWEST) << SUB_BITS
"""Bins of one sign."""

ZERO = SIDE
MISSING_CELL, OTHER_CELL = 2 * SIDE + 1, 2 * SIDE + 2
CELLS = 2 * SIDE + 3

_SHIFT = 52 - SUB_BITS
_BASE = (1023 + LOWEST) << SUB_BITS
_MAGNITUDE = 0x7FFF_FFFF_FFFF_FFFF  # all bits but the sign


@lru_cache(maxsize=1)
def bounds() -> tuple[Floats, Floats]:
    """Ends of the bins of numbers, float64[2 * SIDE + 1] each: bin k holds ``(low[k], high[k]]``, the one of 0 only 0."""
    step = np.arange(1, SIDE, dtype=np.int64)
    inner = np.ldexp(1.0 + (step & 15) / 16.0, (step >> SUB_BITS) + LOWEST)
    tiny, huge = np.nextafter(0.0, 1.0), np.finfo(np.float64).max
    positive = np.concatenate([[0.0], inner, [huge]])
    negative = -np.concatenate([[tiny], inner, [huge]])[::-1]
    low = np.concatenate([negative[:-1], [-tiny], positive[:-1]])
    low[0] = -np.inf  # the largest negative number is in
    return low, np.concatenate([negative[1:], positive])


def number_cells(values: Floats) -> Ints:
    """Bin of each number: exponent and first four digits are the upper bits of a double, which thus count the bins."""
    bits = np.ascontiguousarray(values).view(np.int64)
    magnitude = bits & _MAGNITUDE
    sign = bits >> 63  # 0 or -1
    # One less where positive, so that a bin there holds its upper end; a negative one holds its end nearer to 0, the upper too.
    at = (magnitude + ~sign) >> _SHIFT
    at -= _BASE - 1
    np.clip(at, 1, SIDE, out=at)
    at *= magnitude != 0
    at ^= sign  # with the line below: negated where negative, without a branch
    at -= sign
    at += ZERO
    return at


def rows_up_to(t: float, first: float, below: Ints) -> tuple[int, int]:
    """About how many rows are at most t, and how far that can be wrong; ``below[j]`` are the rows of the first j bins.

    A bin that ends exactly at the first edge is taken to hold rows at that edge, as whole numbers do: they are not below it.
    """
    low, high = bounds()
    j = int(np.searchsorted(high, t, side="right"))
    certain = int(below[j])
    if j == len(high) or low[j] >= t:
        return certain, 0
    n = int(below[j + 1]) - certain
    start = max(float(low[j]), -float(high[-1]))
    share = 0.0 if high[j] == first else (t - start) / (float(high[j]) - start)
    part = round(n * share)
    return certain + part, max(part, n - part)
