"""What ``WideErrorsState`` says: means of errors of any size, the row that carries most, and how errors go with truths."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from calidris.batch import Floats, Ints
from calidris.state.blocks import wide_errors as wide
from calidris.state.blocks.wide_errors import Levels, WideErrorsState, wide_levels


class Sum(NamedTuple):
    """One variable over the rows that have it; ``variance`` has n in the denominator."""

    n: int
    mean: float
    variance: float
    clipped: int


class Spread(NamedTuple):
    """What the delta method for R² needs: means over rows of a product, e the error and d the truth less its mean.

    Attributes:
        fourth: of e⁴.
        crossed: of e²d².
        truth: of d⁴.
    """

    fourth: float
    crossed: float
    truth: float

    def of_share(self, share: float) -> float:
        """Mean of (e² - share·d²)²: variance of a row's pull on R², times that of the truth squared."""
        return self.fourth - 2 * share * self.crossed + share * share * self.truth


class WideErrors(NamedTuple):
    """Errors of labelled rows of one slice, whatever their size.

    Attributes:
        rows: with a truth.
        error: e, prediction less truth.
        absolute: its size.
        squared: its square.
        truth: the truth.
        largest: no row's e² is more than this.
        spread: for the interval of R².
    """

    rows: int
    error: Sum
    absolute: Sum
    squared: Sum
    truth: Sum
    largest: float
    spread: Spread

    @classmethod
    def of(
        cls,
        state: WideErrorsState,
        slice_row: int = 0,
        delay: int | None = None,
    ) -> WideErrors | None:
        """The rows of one slice; all delays, or up to bucket ``delay``. None without any that has a prediction."""
        rows = state.rows(slice_row, delay)
        levels = wide_levels(state.spec)
        told = _Told(rows, levels)
        if told.n <= 0:
            return None
        truth = told.add_truths()
        return cls(
            told.rows,
            told.find_mean(wide.SIGNED, wide.SQUARE, 1),
            told.find_mean(wide.SIZE, wide.SQUARE, 1),
            told.find_mean(wide.SQUARE, wide.FOURTH, 2),
            truth,
            told.bound_largest(),
            told.find_spread(truth.mean - levels.centre),
        )


class _Told:
    """Sums by level, int64[error levels, truth levels, 21], and what they mean."""

    def __init__(self, sums: Ints, levels: Levels) -> None:
        self.sums = sums
        self.levels = levels
        totals = sums.sum(axis=(0, 1))
        self.rows = int(totals[wide.N])
        self.n = self.rows - int(totals[wide.MISSING])
        self.clipped = int(totals[wide.CLIPPED])

    def column(self, at: int) -> Floats:
        """One sum of each level, float64[error levels, truth levels]."""
        column: Floats = self.sums[..., at].astype(np.float64)
        if at in _HALVED:
            column *= 2.0**30
            column += self.sums[..., at + 1]
        return column

    def add_powers(self, at: int, power: int) -> float:
        """Sum over rows of a power of the error, which is kept as a share of its level's end."""
        by_level = self.column(at).sum(axis=1)
        ends = self.levels.errors**power
        return float(by_level @ ends) / wide.SHARE

    def find_mean(self, at: int, squares: int, power: int) -> Sum:
        """Mean and variance of a power of the error, from its sum and that of its square."""
        mean = self.add_powers(at, power) / self.n
        square = self.add_powers(squares, 2 * power) / self.n
        variance = max(square - mean * mean, 0.0)
        return Sum(self.n, mean, variance, self.clipped)

    def bound_largest(self) -> float:
        """No e² is more than this: in the highest level, what one row can be at most by each of the sums."""
        by_level = self.sums.sum(axis=1)
        met = np.flatnonzero(by_level[:, wide.SIZE])
        if not len(met):
            return 0.0
        top = met[-1]
        # Each row is rounded, and may be half a digit more.
        shares = (by_level[top] + by_level[top, wide.N] / 2) / wide.SHARE
        by_fourth = math.sqrt(shares[wide.FOURTH])
        by_eighth = math.sqrt(math.sqrt(shares[wide.EIGHTH]))
        share = min(shares[wide.SQUARE], by_fourth, by_eighth, 1.0)
        return float(share * self.levels.errors[top] ** 2)

    def add_truths(self) -> Sum:
        """Mean and variance of the truth, in whole numbers of the lowest level until the last division."""
        total = squares = 0
        by_level = self.sums.sum(axis=0).tolist()
        for level, sums in enumerate(by_level):
            shift = level * wide.TRUTH_STEP
            total += sums[wide.Q] << shift
            squares += _whole_squares(sums) << 2 * shift
        n = self.rows
        unit = float(self.levels.truths[0]) / wide.SHARE
        mean = self.levels.centre + unit * (total / n)
        variance = (n * squares - total * total) / (n * n)
        return Sum(n, mean, variance * unit * unit, self.clipped)

    def find_spread(self, mean: float) -> Spread:
        """Products about the truth's mean, by the binomial theorem; in doubles, for an interval's width needs no more."""
        unit = self.levels.truths * 2.0**-wide.COARSE
        fourth = self.add_powers(wide.FOURTH, 4)
        crossed = self._cross(mean, unit)
        truth = self._centre_fourth(mean, unit)
        return Spread(
            fourth / self.n,
            max(crossed / self.n, 0.0),
            max(truth / self.rows, 0.0),
        )

    def _centre_fourth(self, mean: float, unit: Floats) -> float:
        """Sum over rows of (y - mean)⁴, y from the centre."""
        total = self.rows * mean**4
        for power, at in enumerate(_POWERS, 1):
            by_level = self.column(at).sum(axis=0)
            times = math.comb(4, power) * (-mean) ** (4 - power)
            total += times * float(by_level @ unit**power)
        return total

    def _cross(self, mean: float, unit: Floats) -> float:
        """Sum over rows of e²(y - mean)², y from the centre."""
        squares = self.levels.errors**2 * 2.0**-wide.COARSE
        none, one, two = (
            float(squares @ self.column(at) @ unit**power)
            for power, at in enumerate(_CROSSED)
        )  # fmt: skip
        return two - 2 * mean * one + mean * mean * none


_POWERS = (wide.A, wide.AA, wide.A3, wide.A4)
_CROSSED = (wide.S, wide.SA, wide.SAA)
_HALVED = frozenset({wide.A3, wide.A4, wide.SAA})


def _whole_squares(sums: list[int]) -> int:
    """Σq² of a level, from the halves of q."""
    upper = sums[wide.AA] << 2 * wide.COARSE
    both = sums[wide.AB] << wide.COARSE + 1
    return upper + both + sums[wide.BB]
