"""What PSI reads where nothing has changed: its mean and its variance, cell by cell.

The two counts of a cell are then binomial with one probability, and independent. PSI is a sum of products of a share and a
logarithm, so all that is needed is E[x^a (ln x)^b] of a smoothed count x = C + 1/2 with a and b up to 2. No draws: the same
counts give the same figure.

The delta method, which expands the logarithm around the expected count, is off where cells are expected to hold a row or two:
at 50 levels and 60 rows it takes off .5 too much.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from math import comb
from typing import Final, NamedTuple

import numpy as np
from numpy.polynomial import polynomial
from scipy import special

from calidris.batch import Floats, Ints, Mask

LARGE: Final = 50.0
"""Expected rows from which a moment is expanded around them: the fourth order is exact to 1e-6 there."""
_POINTS: Final = 1500
"""Of the table below that, evenly in √λ, where the functions are smooth: variances are small differences of large moments."""
_BOTH_LARGE: Final = 15.0
"""With so many rows expected on both sides a cell's part is s(1-π) times a χ² of one degree, to a tenth."""
_LARGE_SHARE: Final = 0.3
"""And cells of such a share, where the first term from Poisson to binomial is not enough."""
_TAIL: Final = 260
"""Counts that the table adds up over: beyond them a Poisson variable of mean ``LARGE`` has no weight."""

_ORDERS: Final = tuple(product(range(3), (1, 2)))
"""(a, b) of the moments that have a logarithm."""

_PAIRS: Final = tuple(product(range(3), range(3)))

Order = tuple[int, int]
"""Of a moment E[x^a (ln x)^b]: a and b."""


class Noise(NamedTuple):
    """PSI under no change, float64[F] each."""

    mean: Floats
    variance: Floats


def find_noise(
    both: Floats,
    n: Floats,
    m: Floats,
    cells: Floats,
) -> Noise:
    """Mean and variance of smoothed PSI between n and m rows that are drawn alike.

    The probability of a cell is its share of both sides together.

    Args:
        both: rows of the two sides together, float64[K, F].
        n: rows of the window, float64[F], above 0 (or NaN).
        m: rows of the baseline, likewise.
        cells: cells that hold a row on either side, float64[F].

    Cost: a table look-up and about sixty multiplications a cell.

    Source: sums of the Poisson distribution, with the first term towards the binomial one (Barbour, Holst and Janson 1992).
    """
    share = both / (n + m)
    # The side with fewer rows decides: there the logarithm bends most.
    fewest = np.minimum(n, m) * share
    held = both > 0
    large = (fewest > _BOTH_LARGE) | (share > _LARGE_SHARE)
    small = _SmallCells.of(share, held & ~large).find_noise(n, m, cells)
    limit = _add_limit(share, held & large, 1.0 / n + 1.0 / m)
    return Noise(small.mean + limit.mean, small.variance + limit.variance)


def _add_limit(share: Floats, where: Mask, s: Floats) -> Noise:
    """What large cells add: s(1-π) times a χ² of one degree each, which goes with no count."""
    parts = np.where(where, s * (1.0 - share), 0.0)
    squares = parts**2
    return Noise(parts.sum(axis=0), 2.0 * squares.sum(axis=0))


class _SmallCells(NamedTuple):
    """The C cells in which the limit is not reached.

    Attributes:
        share: their probabilities, float64[C].
        field: which field each is of, int64[C].
        fields: how many there are.
    """

    share: Floats
    field: Ints
    fields: int

    @classmethod
    def of(cls, share: Floats, where: Mask) -> _SmallCells:
        cell, field = np.nonzero(where)
        return cls(share[cell, field], field, share.shape[1])

    def find_noise(
        self,
        n: Floats,
        m: Floats,
        cells: Floats,
    ) -> Noise:
        """What they add.

        The counts of a side add up to its rows: the variance of a multinomial sum is that of independent counts less the part that
        goes with their total.
        """
        width = cells[self.field]
        window = _Side.of(self.share, n[self.field], width)
        baseline = _Side.of(self.share, m[self.field], width)
        parts = _multiply_out(window, baseline)
        mean = self._add_up(parts.mean)
        variance = self._add_up(parts.variance)
        with_window = self._add_up(parts.with_window)
        with_baseline = self._add_up(parts.with_baseline)
        # Rounding may leave less than nothing where no cell is small.
        variance -= with_window**2 / n
        variance -= with_baseline**2 / m
        return Noise(mean, np.maximum(variance, 0.0))

    def _add_up(self, parts: Floats) -> Floats:
        """Sums of each field."""
        sums = np.bincount(self.field, parts, self.fields)
        return sums.astype(np.float64, copy=False)


class _Side(NamedTuple):
    """Moments of a smoothed share q = x/N of one side.

    Attributes:
        moments: order to E[q^a (ln q)^b], float64[C].
        rows: N, the rows with half a row for each cell.
    """

    moments: dict[Order, Floats]
    rows: Floats

    @classmethod
    def of(
        cls,
        share: Floats,
        rows: Floats,
        cells: Floats,
    ) -> _Side:
        smoothed = rows + cells / 2
        counted = _count_moments(rows * share, share)
        shift = np.log(smoothed)
        moments: dict[Order, Floats] = {}
        for a in range(3):
            scale = smoothed**a
            plain = counted[a, 0] / scale
            one = counted[a, 1] / scale
            two = counted[a, 2] / scale
            moments[a, 0] = plain
            # ln q is ln x - ln N.
            moments[a, 1] = one - shift * plain
            twice = 2 * shift * one
            moments[a, 2] = two - twice + shift**2 * plain
        return cls(moments, smoothed)


class _Parts(NamedTuple):
    """Of each cell's part (q-p)(ln q - ln p): mean, variance, and covariance with the count of each side; float64[C]."""

    mean: Floats
    variance: Floats
    with_window: Floats
    with_baseline: Floats


def _multiply_out(window: _Side, baseline: _Side) -> _Parts:
    """The moments of the product of two differences."""
    q, p = window.moments, baseline.moments
    crossed = q[1, 0] * p[1, 1]
    crossed -= p[1, 0] * q[1, 1]
    mean = _mean(q, p)
    square = _mean_square(q, p)
    with_q = _once_more(q, p, mean) + crossed
    with_p = _once_more(p, q, mean) - crossed
    return _Parts(
        mean,
        square - mean**2,
        with_q * window.rows,
        with_p * baseline.rows,
    )


def _mean(q: dict[Order, Floats], p: dict[Order, Floats]) -> Floats:
    alike = q[1, 1] + p[1, 1]
    crossed = q[1, 0] * p[0, 1]
    back = p[1, 0] * q[0, 1]
    mean: Floats = alike - crossed - back
    return mean


def _mean_square(q: dict[Order, Floats], p: dict[Order, Floats]) -> Floats:
    square = np.zeros_like(q[0, 0])
    for a, b in _PAIRS:
        ways = comb(2, a) * comb(2, b)
        sign = (-1) ** (a + b)
        part = q[2 - a, 2 - b] * p[a, b]
        square += sign * ways * part
    return square


def _once_more(
    q: dict[Order, Floats],
    p: dict[Order, Floats],
    mean: Floats,
) -> Floats:
    """Of the covariance of a cell's part with q, what is not alike for both sides."""
    squares = q[2, 1] - q[2, 0] * p[0, 1]
    taken = q[1, 0] * mean
    rest: Floats = squares - taken
    return rest


def _count_moments(expected: Floats, share: Floats) -> dict[Order, Floats]:
    """E[x^a (ln x)^b] of x = C + 1/2, C binomial with so many rows expected and such a probability."""
    x = expected + 0.5
    variance = expected * (1.0 - share)
    found = {
        (0, 0): np.ones_like(x),
        (1, 0): x,
        (2, 0): x**2 + variance,
    }
    small = _sum_up(expected, share)
    skew = variance * (1.0 - 2.0 * share)
    is_large = expected > LARGE
    for i, order in enumerate(_ORDERS):
        around = _expand(order, x, variance, skew)
        found[order] = np.where(is_large, around, small[..., i])
    return found


def _sum_up(expected: Floats, share: Floats) -> Floats:
    """The moments that have a logarithm, by the table, float64[C, orders]; right up to ``LARGE``."""
    near = np.minimum(expected, LARGE)
    poisson, bend = _look_up(near)
    # A binomial count varies less than a Poisson count of the same mean, by λπ.
    less = near * share
    moments: Floats = poisson - less[..., None] / 2 * bend
    return moments


def _look_up(expected: Floats) -> Floats:
    """The table at so many expected rows, float64[2, C, orders]; between its points a straight line."""
    # A field of which a side has no rows has no noise; it only must not be looked up.
    known = np.nan_to_num(expected)
    scaled = np.sqrt(known / LARGE)
    place = scaled * (_POINTS - 1)
    below = np.minimum(place.astype(np.int64), _POINTS - 2)
    part = (place - below)[..., None]
    table = _table()
    left = table[:, below]
    right = table[:, below + 1]
    line: Floats = left + part * (right - left)
    return line


@cache
def _table() -> Floats:
    """E[x^a (ln x)^b] of x = C + 1/2, C Poisson, and that of its second difference: float64[2, points, orders]."""
    even = np.linspace(0.0, 1.0, _POINTS)
    mean = LARGE * even**2
    chance = _poisson(mean)
    x = np.arange(_TAIL + 2) + 0.5
    log = np.log(x)
    powers = [x**a * log**b for a, b in _ORDERS]
    values = np.stack(powers, axis=1)
    # What a Poisson mean of f loses to a binomial one goes with f's second difference.
    bend = np.diff(values, 2, axis=0)
    known = values[:_TAIL]
    both = np.stack([known, bend])
    table: Floats = chance @ both
    return table


def _poisson(mean: Floats) -> Floats:
    """Chance of each count of a Poisson variable, float64[points, counts].

    Not by ``scipy.stats``: a receiver would take half a second longer to start.
    """
    count = np.arange(_TAIL)
    log = special.xlogy(count, mean[:, None])
    log -= mean[:, None]
    log -= special.gammaln(count + 1)
    chance: Floats = np.exp(log)
    return chance


def _expand(
    order: tuple[int, int],
    x: Floats,
    variance: Floats,
    skew: Floats,
) -> Floats:
    """E f around the mean: f + f″ v/2 + f‴ μ₃/6 + f⁗ v²/8."""
    log = np.log(x)
    derivatives = [term.at(x, log) for term in _derivatives(order)]
    value, _, second, third, fourth = derivatives
    around: Floats = value + second * variance / 2
    around += third * skew / 6
    # The fourth moment is about 3v², as a normal variable's is.
    around += fourth * variance**2 / 8
    return around


class _Term(NamedTuple):
    """A function x^power P(ln x), P by its coefficients."""

    power: int
    coefficients: Floats

    def at(self, x: Floats, log: Floats) -> Floats:
        """Its values."""
        logs = polynomial.polyval(log, self.coefficients)
        value: Floats = x ** float(self.power) * logs
        return value

    def derive(self) -> _Term:
        """Its derivative, which is one of these again: x^(c-1) (c P + P')."""
        slope = polynomial.polyder(self.coefficients)
        same = self.power * self.coefficients
        added = polynomial.polyadd(same, slope)
        return _Term(self.power - 1, added.astype(np.float64))


@cache
def _derivatives(order: tuple[int, int]) -> tuple[_Term, ...]:
    """x^a (ln x)^b and its first four derivatives."""
    power, logs = order
    coefficients = np.zeros(logs + 1)
    coefficients[logs] = 1.0
    found = [_Term(power, coefficients)]
    for _ in range(4):
        found.append(found[-1].derive())
    return tuple(found)
