"""Fixed-point numbers whose sums and sums of squares are exact, in any order, on any machine.

A value x becomes the whole number ``q = rint((x - centre) / unit)``, at most 2^30 either way; what lies further out is clipped
there and counted. Its square does not fit a sum of doubles or of int64, so q is split at fifteen digits, ``q = a·2^15 + b``::

    Σq = 2^15 Σa + Σb        Σq² = 2^30 Σa² + 2^16 Σab + Σb²

and the parts are plain int64 sums: merging is an addition, with no carry to take care of, up to 2^33 rows. Least and
greatest value are left out: one row decides them for ever, so they have no interval and no mean over windows; the display
bins hold them within a sixteenth, and the cells ``low`` and ``high`` say what left the baseline's range.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from calidris.batch import Floats, Ints, Mask
from calidris.state.coding.fields import Field
from calidris.state.weights import ONE

HALF = 15
LIMIT = 2.0 ** (2 * HALF)
RESOLUTION = 2.0**-16
"""Of a spread: a unit is between this and half of it, the range 2^13 to 2^14 spreads either way."""

N, CLIPPED, Q, AA, AB, BB = range(6)
SUMS = 6
"""Rows with a value, how many of them were clipped, and the four sums of their fixed-point numbers."""
OF_ROWS = (N, CLIPPED)
"""Those that count rows."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How one variable becomes whole numbers: a centre, and a unit that is a power of two, so that scaling is exact."""

    centre: float
    unit: float

    @classmethod
    def of(cls, centre: float, spread: float) -> Scale:
        """A scale for values about ``spread`` apart; without a spread, for values of the centre's size.

        >>> Scale.of(40.0, 30.0)
        Scale(centre=40.0, unit=0.000244140625)
        """
        # A constant has a bin of one rounding error's width: that is no spread.
        size = spread if spread > max(abs(centre) * 2.0**-40, 1e-290) else abs(centre) or 1.0
        exponent = math.frexp(min(size, 1.7e308))[1] - 1
        return cls(centre, math.ldexp(RESOLUTION, exponent))

    @classmethod
    def of_field(cls, f: Field) -> Scale:
        """The scale of a numeric field: about its middle edge, by the spread of its inner edges (10 % to 90 % where learned).

        All of the range of its edges is inside that of the scale, whatever the tails.
        """
        edges = f.edges
        inner = edges[-2] - edges[1] if len(edges) > 3 else 0.0
        outer = edges[-1] - edges[0]
        return cls.of(edges[len(edges) // 2], max(inner, outer * 2.0**-12) if inner else outer)


class Moments(NamedTuple):
    """What the sums of one variable say.

    Attributes:
        n: rows with a value.
        clipped: rows so far out that they were counted at the end of the range: mean and variance are not exact then.
        mean: mean, within half a unit of the scale; NaN without rows.
        variance: variance with n in the denominator; NaN without rows.
        unit: unit of the scale.
    """

    n: int
    clipped: int
    mean: float
    variance: float
    unit: float


def numbers(values: Floats, centre: Floats, unit: Floats) -> tuple[Floats, Mask]:
    """Fixed-point numbers of finite values, float64 of whole numbers, and where they were clipped."""
    with np.errstate(over="ignore"):  # infinitely far out is out as well
        q = values - centre
        q *= 1.0 / unit
    np.rint(q, out=q)
    clipped = np.abs(q) > LIMIT
    return np.clip(q, -LIMIT, LIMIT, out=q), clipped


def row_sums(values: Floats, valid: Mask, scale: Scale) -> Ints:
    """What each of n values adds to each sum, int64[SUMS, n]; one that is not valid adds nothing."""
    at, unit = np.array([scale.centre]), np.array([scale.unit])
    q, clipped = numbers(np.where(valid, values, at), at, unit)
    whole = q.astype(np.int64)
    a, b = whole >> HALF, whole & ((1 << HALF) - 1)
    return np.stack([valid, clipped, whole, a * a, a * b, b * b]).astype(np.int64)


def weigh_rows(sums: Ints, units: Ints) -> Ints:
    """What ``row_sums`` gives, int64[SUMS, n], by weights int64[n]: rows in units, the others rounded once.

    The parts of a square are no larger than a handful for ordinary values: what weighing leaves behind the point of one goes to the next.
    """
    n, clipped, q, aa, ab, bb = sums
    high, middle = aa * units, ab * units
    rest = (high % ONE << HALF) + 2 * (middle % ONE)
    weights = units / ONE
    whole, low = np.rint(q * weights), np.rint(bb * weights)
    return np.stack([n * units, clipped * units, whole, high // ONE, middle // ONE, low + rest]).astype(np.int64)


def weighted_moments(sums: Ints, scale: Scale, worth: float) -> Moments:
    """The same of rows by weight, int64[SUMS] as ``weights.weigh`` makes them; ``worth`` is Kish's rows a weight of one."""
    n, clipped, q, aa, ab, bb = (int(s) for s in sums.tolist())
    rows = round(n / ONE * worth)
    if n == 0 or rows == 0:
        return Moments(0, 0, math.nan, math.nan, scale.unit)
    squares = (aa << 2 * HALF) + (ab << HALF + 1) + bb
    mean = scale.centre + scale.unit * (q * ONE / n)
    # Each row was rounded by itself: of a constant a little less than nothing may be left.
    variance = max(squares * n * ONE - (q * ONE) ** 2, 0) / (n * n) * scale.unit * scale.unit
    return Moments(rows, -(-clipped // ONE), mean, variance, scale.unit)


def moments(sums: Ints, scale: Scale) -> Moments:
    """Mean and variance of sums int64[SUMS], computed in whole numbers until the last division."""
    n, clipped, q, aa, ab, bb = (int(s) for s in sums.tolist())
    if n == 0:
        return Moments(0, 0, math.nan, math.nan, scale.unit)
    squares = (aa << 2 * HALF) + (ab << HALF + 1) + bb
    mean = scale.centre + scale.unit * (q / n)
    # n Σq² - (Σq)² in whole numbers: no cancellation, however far the mean is from the centre.
    variance = (n * squares - q * q) / (n * n) * scale.unit * scale.unit
    return Moments(n, clipped, mean, variance, scale.unit)
