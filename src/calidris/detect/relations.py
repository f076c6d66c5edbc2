"""Relations of two columns: what of a pair's cells is no more than its columns' own histograms, and what is left then.

A table of two columns changes when either column moves, which the column's own bets tell already. What is bet on here is *orthogonal
to the margins*: functions f of the cells with Σ_j p_ij·f_ij = 0 in each row i and Σ_i p_ij·f_ij = 0 in each column j. Where one column
moves by any factors a_i (p'_ij = p_ij·a_i), the mean of such a function stays 0 exactly; where both do, it moves by Σ p_ij·α_i·β_j·f_ij
with α = a - 1 and β = b - 1, a product of two changes.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from calidris.batch import Floats, Ints, Mask
from calidris.detect.game import Game

RELATION = "relation changed"
"""What an alarm says of a pair whose change has no plain direction."""
WORDS = ("relation changed (weaker)", "relation changed (stronger)")
"""Weaker, or the other way round, than in the baseline; and stronger."""
GROUP = "relation"
MOST = 4.0
"""Standard deviations of the direction at the most: what few rows of the baseline had must not decide by itself.

Only correlations of .7 and more have such cells; they cost a little of being orthogonal (at .9: .107 for .113 where a column
moves by a quarter of a standard deviation)."""
WEIGHT = 0.1
"""Weight of all pairs together; the columns have the rest."""

_SMALL = 1e-6
_NOTHING = 1e-300

_Shape = tuple[int, int]


def list_margins(shape: _Shape) -> Floats:
    """Indicators of the rows and of the columns of a table, float64[cells, rows + columns]."""
    rows, columns = shape
    place = np.arange(rows * columns)
    row, column = np.divmod(place, columns)
    by_row = np.eye(rows)[row]
    by_column = np.eye(columns)[column]
    return np.concatenate(
        [by_row, by_column],
        axis=1,
    )


def remove_margins(
    p: Floats,
    shape: _Shape,
    inside: Mask | None = None,
) -> Floats:
    """A matrix M float64[cells, cells]: M·f is what of a function f of the cells is orthogonal to the margins under p.

    Args:
        p: of each cell.
        shape: of the table.
        inside: cells that f may be different from 0 in; all by default.
    """
    used = np.ones(len(p))
    if inside is not None:
        used = inside.astype(np.float64)
    every = list_margins(shape)
    basis = used[:, None] * every
    weighted = p[:, None] * basis
    products = basis.T @ weighted
    inverse = np.linalg.pinv(products)
    along = basis @ inverse @ weighted.T
    rest: Floats = np.diag(used) - along
    return rest


def find_direction(p: Floats, shape: _Shape) -> Floats:
    """The relation as one function of the cells, of mean 0 and variance 1 under p: higher where it is as in the baseline, and more so.

    The product of both columns' middle ranks, orthogonal to the margins; its sign is that of the baseline's relation. Zeros where
    a table cannot have any.
    """
    total = max(float(p.sum()), _NOTHING)
    share = p / total
    table = share.reshape(shape)
    ones = _rank(table.sum(axis=1))
    twos = _rank(table.sum(axis=0))
    product = np.outer(ones, twos).ravel()
    only = remove_margins(share, shape)
    pure = only @ product
    if share @ product < 0.0:
        pure = -pure
    scaled = _standardise(pure, share)
    bounded = np.clip(scaled, -MOST, MOST)
    return _standardise(bounded, share)


def _rank(share: Floats) -> Floats:
    """Ranks of the groups' middles, around their mean."""
    upto = np.cumsum(share)
    ranks = upto - share / 2
    centred: Floats = ranks - share @ ranks
    return centred


def _standardise(values: Floats, share: Floats) -> Floats:
    mean = share @ values
    centred = values - mean
    variance = share @ centred**2
    deviation = np.sqrt(variance)
    if deviation < _SMALL:
        return np.zeros_like(centred)
    scaled: Floats = centred / deviation
    return scaled


class PairedThings:
    """Which things of a game are relations of which others.

    An alarm that names a column does not name its relations: where a margin has moved far, all relations of it look changed.
    So whoever sets a column aside sets its relations aside too.

    Args:
        game: the game; most have no pairs.
    """

    def __init__(self, game: Game) -> None:
        pairs: Mapping[str, tuple[str, str]] = getattr(
            game,
            "pairs",
            {},
        )
        names = list(game.names)
        found = [names.index(name) for name in pairs]
        columns = [
            _find(names, column)
            for both in pairs.values()
            for column in both
        ]  # fmt: skip
        self.places: Ints = np.array(found, dtype=np.int64)
        flat: Ints = np.array(columns, dtype=np.int64)
        self._columns = flat.reshape(-1, 2)

    def add_implied(self, things: Mask) -> Mask:
        """Some things, bool[F], and the relations of those among them that are columns."""
        known = np.append(things, False)
        columns = known[self._columns]
        implied = columns.any(axis=1)
        out = things.copy()
        out[self.places] |= implied
        return out

    def drop_implied(self, named: Ints) -> Ints:
        """The things that an alarm names, in their order, without relations of columns that it names."""
        columns = np.isin(self._columns, named)
        implied = columns.any(axis=1)
        told = self.places[implied]
        again = np.isin(named, told)
        return named[~again]


def _find(names: list[str], name: str) -> int:
    """Place of a column; one that is not watched has that past the last, which nothing ever sets."""
    if name in names:
        return names.index(name)
    return len(names)


def find_things(
    names: Sequence[str],
    asked: Collection[str],
) -> Mask:
    """Which of the names are asked for, bool[F]."""
    found = [name in asked for name in names]
    return np.array(found, dtype=np.bool_)
