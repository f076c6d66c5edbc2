"""Which pairs of numeric features are worth watching: those that belong together most, by the ranks of their bins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import special

from calidris.batch import Floats, Ints, Mask
from calidris.state.coding.fields import Field, Kind
from calidris.state.coding.pairs import MOST_GROUPS, Pair
from calidris.state.spec import Spec

MOST_PAIRS = 10
LEAST_RELATION = 0.2
"""A pair of a smaller rank correlation shares less than a twenty-fifth of its variance: there is no relation to lose."""
SURE = 0.01
"""Chance that any pair of unrelated columns is taken for a related one."""
LEAST_SHARE = 0.05
"""A group with less of a column's rows would fill cells too thinly."""
MOST_VALUES = 8_000_000
"""Ranks that are looked at, 64 MB: all columns of twenty thousand rows up to four hundred columns, of fewer rows beyond."""
MOST_COLUMNS = 2000
"""Of more columns the first so many by their place: each two of them take some thirty bytes while they are compared."""
_QUARTILES = np.arange(1, MOST_GROUPS) / MOST_GROUPS
_OUTWARD = 0.02
_NOTHING = 1e-300


def pick_pairs(
    spec: Spec,
    cells: Ints,
    most: int = MOST_PAIRS,
) -> tuple[Pair, ...]:
    """The pairs whose relation is strongest, strongest first, at most so many.

    The measure is the correlation of ranks, with the columns' own bins as ranks (Spearman 1904, with ties): any monotone relation has
    one, and no value far out decides it. A pair must reach ``LEAST_RELATION``, and more than chance gives among so many pairs. Rows without a
    value in either column do not count for a pair.

    Args:
        spec: how the rows are counted.
        cells: int64[fields, n] of rows, as its ``encode`` gives them.
        most: 0 is none.

    Cost: n·p² for p numeric columns; memory of ``MOST_VALUES`` ranks.
    """
    columns = list(_find_columns(spec, cells))[:MOST_COLUMNS]
    if most < 1 or len(columns) < 2:
        return ()
    related = _correlate(columns, cells)
    names = {f.name for f in spec.fields}
    pairs = []
    for one, two in related.strongest(most):
        pair = columns[one].pair_with(columns[two])
        # A feature may be called so, or "a × b" with "c" as "a" with "b × c": nobody could tell them apart.
        if pair.name not in names:
            names.add(pair.name)
            pairs.append(pair)
    return tuple(pairs)


def without_last_pair(spec: Spec) -> Spec:
    """The spec without its weakest pair."""
    gone = spec.pairs[-1].field
    kept = [f for f in spec.fields if f != gone]
    return replace(
        spec,
        fields=tuple(kept),
        pairs=spec.pairs[:-1],
    )


def count_candidates(spec: Spec) -> int:
    """How many pairs of a spec's columns could have been picked."""
    fields = spec.fields
    numbers = sum(fields[at].kind is Kind.NUMERIC for at, _ in spec.sent_features)
    return numbers * (numbers - 1) // 2


def find_cuts(field: Field, rows: Ints) -> tuple[float, ...]:
    """The edges between a field's bins that lie next to its quartiles, by the rows int64[K] of each bin; fewer where bins are coarse.

    >>> from calidris.state.coding.fields import Role
    >>> tenths = Field("x", Role.FEATURE, Kind.NUMERIC, edges=tuple(range(11)))
    >>> find_cuts(tenths, np.full(10, 7))
    (2.0, 5.0, 8.0)
    """
    total = max(int(rows.sum()), 1)
    upto = np.cumsum(rows)
    below = upto[:-1] / total
    middle = np.abs(below - 0.5)
    enough = middle <= 0.5 - LEAST_SHARE
    if not enough.any():
        return ()
    # Of two that are about as near the outer one: a relation shows most in the corners.
    away = np.abs(below - _QUARTILES[:, None])
    away -= _OUTWARD * middle
    away[:, ~enough] = np.inf
    return _take_edges(field, away)


def _take_edges(field: Field, away: Floats) -> tuple[float, ...]:
    """The inner edges that are least away from each quartile, float64[3, K-1]."""
    nearest = away.argmin(axis=1)
    places = np.unique(nearest) + 1
    cuts = np.array(field.edges)[places]
    return tuple(cuts.tolist())


class _Column(NamedTuple):
    """A feature that can be one of a pair.

    Attributes:
        place: of its field.
        first: its first cell.
        field: how it is counted.
        rows: of each of its bins, int64[K].
        cuts: edges that part its groups.
    """

    place: int
    first: int
    field: Field
    rows: Ints
    cuts: tuple[float, ...]

    def rank(self, cells: Ints) -> Floats:
        """The middle rank of each row's bin, around 0; NaN where it is in none: float64[n]."""
        table = np.full(
            self.field.width,
            np.nan,
        )
        table[: len(self.rows)] = self._rank_bins()
        own = cells[self.place] - self.first
        ranks: Floats = table[own]
        return ranks

    def _rank_bins(self) -> Floats:
        total = self.rows.sum()
        upto = np.cumsum(self.rows)
        middle = upto - self.rows / 2
        ranks: Floats = middle / total - 0.5
        return ranks

    def pair_with(self, other: _Column) -> Pair:
        """The two of them."""
        one = self.field.name
        two = other.field.name
        cuts = self.cuts, other.cuts
        return Pair(one, two, cuts)


def _find_columns(spec: Spec, cells: Ints) -> Iterator[_Column]:
    for place, _ in spec.sent_features:
        field = spec.fields[place]
        if field.kind is not Kind.NUMERIC:
            continue
        first = int(spec.offsets[place])
        own = cells[place] - first
        every = np.bincount(
            own,
            minlength=field.width,
        )
        rows = every[: field.ordered]
        cuts = find_cuts(field, rows)
        if cuts:
            yield _Column(
                place,
                first,
                field,
                rows,
                cuts,
            )


class _Related(NamedTuple):
    """Size of the correlation of each two columns, and the rows that have both: float64[p, p] each."""

    size: Floats
    rows: Floats

    def strongest(self, most: int) -> Iterator[tuple[int, int]]:
        """The strongest pairs that are surely related."""
        ones, twos = np.triu_indices(
            len(self.size),
            1,
        )
        found = self.size[ones, twos]
        rows = self.rows[ones, twos]
        strong = found >= _find_least(rows)
        for at in _order(found, strong)[:most]:
            one, two = ones[at], twos[at]
            yield int(one), int(two)


def _order(size: Floats, strong: Mask) -> list[int]:
    """Places of the strong ones, the strongest first."""
    order = np.argsort(
        -size,
        kind="stable",
    )
    kept: list[int] = order[strong[order]].tolist()
    return kept


def _find_least(rows: Floats) -> Floats:
    """The correlation that pairs of so many rows must have, float64[pairs]."""
    chance = SURE / (2.0 * len(rows))
    sure = special.ndtri(1.0 - chance)
    by_chance = sure / np.sqrt(np.maximum(rows, 1.0))
    least: Floats = np.maximum(
        by_chance,
        LEAST_RELATION,
    )
    return least


def _correlate(columns: list[_Column], cells: Ints) -> _Related:
    """Pearson's correlation of the ranks, over the rows that have both."""
    most = MOST_VALUES // len(columns)
    step = -(-cells.shape[1] // max(most, 1))
    some = cells[:, ::step]
    ranks = np.array(
        [column.rank(some) for column in columns],
    )
    there = np.isfinite(ranks)
    return _correlate_ranks(
        np.nan_to_num(ranks),
        there.astype(np.float64),
    )


def _correlate_ranks(ranks: Floats, there: Floats) -> _Related:
    """Likewise, of ranks that are 0 where there is none."""
    rows = there @ there.T
    sums = ranks @ there.T
    squares = ranks**2 @ there.T
    products = ranks @ ranks.T
    many = np.maximum(rows, 1.0)
    # Around the means of the rows that have both, which differ from pair to pair.
    variances = squares - sums**2 / many
    covariances = products - sums * sums.T / many
    both = variances * variances.T
    scale = np.sqrt(np.maximum(both, _NOTHING))
    size = np.abs(covariances) / scale
    # Rounded, so that ties are in the order of the columns whatever adds up the products.
    rounded = np.round(size, 9)
    return _Related(rounded, rows)
