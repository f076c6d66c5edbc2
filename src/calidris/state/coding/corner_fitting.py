"""Which corners: a shallow regression tree over coded features, fitted once, when a baseline is built.

Breiman, Friedman, Olshen and Stone, "Classification and Regression Trees", 1984: of all splits the one that leaves the least variance; levels of a
category in the order of their means, which finds the best of all their subsets (Fisher 1958).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from calidris.batch import Floats, Ints, Mask
from calidris.state.coding.corners import SPLITS, Corners, Split
from calidris.state.coding.fields import LOW, MISSING, Field, Kind, Role

FEWEST_SHARE: Final = 0.05
FEWEST_ROWS: Final = 20
"""Rows of a corner at least: as a share of those that it is fitted on, and as a number."""

_NEGLIGIBLE: Final = 1e-9
"""A part of the sum of squares that is rounding."""


def fit_corners(
    fields: Sequence[Field],
    cells: Ints,
    target: Floats,
    without: Collection[str] = (),
) -> Corners | None:
    """The corners in which a number differs most; None where no feature tells it apart.

    The rows that it is fitted on must not be counted in it: what split them is lower, or higher, among them than it will be again.

    Args:
        fields: of a spec.
        cells: of n rows in each field, counted from the field's first one: int64[fields, n].
        target: the number, float64[n].
        without: names of features that are not split on.

    Cost: one pass over the cells a level of the tree.

    >>> x = Field("x", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 1.0, 2.0, 3.0))
    >>> tree = fit_corners([x], np.arange(300).reshape(1, -1) % 3, np.arange(300.0) % 3 // 2)
    >>> tree.names([x])
    ('x <= 2', 'x > 2')
    """
    known = np.flatnonzero(np.isfinite(target))
    share = int(np.ceil(FEWEST_SHARE * len(known)))
    features = tuple(at for at, f in enumerate(fields) if _may_split(f, without))
    rows = _Rows(
        fields,
        features,
        cells,
        target,
        max(FEWEST_ROWS, share),
    )
    splits = _grow(rows, known)
    return None if splits[0] is None else Corners(tuple(splits))


def _may_split(field: Field, without: Collection[str]) -> bool:
    if field.role is not Role.FEATURE or field.name in without:
        return False
    return field.kind is not Kind.PRESENCE and field.ordered > 1


@dataclass(frozen=True, slots=True)
class _Rows:
    """What a tree is fitted on, and the rows of a corner at least."""

    fields: Sequence[Field]
    features: tuple[int, ...]
    cells: Ints
    target: Floats
    least: int


class _Found(NamedTuple):
    """Which cells of a feature go left, and by how much that lessens the sum of squares."""

    gain: float
    at: int
    left: tuple[int, ...]


def _grow(rows: _Rows, known: Ints) -> list[Split | None]:
    """The split of each place of the tree, from the top."""
    splits: list[Split | None] = [None] * SPLITS
    inside = {0: known}
    for place in range(SPLITS):
        here = inside.get(place)
        found = None if here is None else _find_best(rows, here)
        if here is None or found is None:
            continue
        split, left = _apply(rows, here, found)
        splits[place] = split
        inside[2 * place + 1] = here[left]
        inside[2 * place + 2] = here[~left]
    return splits


def _apply(rows: _Rows, here: Ints, found: _Found) -> tuple[Split, Mask]:
    """The split, and which of the rows go left."""
    field = rows.fields[found.at]
    codes = rows.cells[found.at, here]
    missing = field.ordered + MISSING
    gaps = bool((codes == missing).any())
    split = Split(field.name, found.left, gaps)
    return split, split.goes_left(field)[codes]


def _find_best(rows: _Rows, here: Ints) -> _Found | None:
    """The best split of some rows; None where they are too few, or all alike."""
    if len(here) < 2 * rows.least:
        return None
    target = rows.target[here]
    # About their mean, so that what is left of large numbers is no rounding.
    deviation = target - target.mean()
    best: _Found | None = None
    for at in rows.features:
        codes = rows.cells[at, here]
        found = _split_by(rows, at, codes, deviation)
        if found is not None and (best is None or found.gain > best.gain):
            best = found
    squares = float(deviation @ deviation)
    if best is None or best.gain <= _NEGLIGIBLE * squares:
        return None
    return best


def _split_by(
    rows: _Rows,
    at: int,
    codes: Ints,
    deviation: Floats,
) -> _Found | None:
    """The best split by one feature."""
    field = rows.fields[at]
    sums = _Sums.of(field, codes, deviation)
    right = len(codes) - sums.left
    fits = np.minimum(sums.left, right) >= rows.least
    if field.kind is Kind.NUMERIC:
        # Beyond the last edge there is no bin that a condition could name.
        fits[-1] = False
    if not fits.any():
        return None
    gains = np.where(fits, sums.gains(right), -1.0)
    best = int(np.argmax(gains))
    return _Found(float(gains[best]), at, sums.cells_to(best))


class _Sums(NamedTuple):
    """Of each split by a feature: the cells in the order in which they go left, the rows that do, and their sum."""

    order: Ints
    left: Ints
    total: Floats

    @classmethod
    def of(cls, field: Field, codes: Ints, deviation: Floats) -> _Sums:
        """Of some rows."""
        counts: Ints = np.bincount(codes, minlength=field.width)
        sums = np.asarray(np.bincount(codes, deviation, minlength=field.width), dtype=np.float64)
        order = _order_of(field, counts, sums)
        left = np.cumsum(counts[order])
        total = np.cumsum(sums[order])
        if field.kind is Kind.NUMERIC:
            low = field.ordered + LOW
            left += counts[low]
            total += sums[low]
        return cls(order, left, total)

    def cells_to(self, split: int) -> tuple[int, ...]:
        """The cells that go left at a split, ascending."""
        end = split + 1
        return tuple(sorted(self.order[:end].tolist()))

    def gains(self, right: Ints) -> Floats:
        """By how much each split lessens the sum of squares of numbers whose sum is 0."""
        squares = self.total**2
        left_gain = squares / np.maximum(self.left, 1)
        right_gain = squares / np.maximum(right, 1)
        gains: Floats = left_gain + right_gain
        return gains


def _order_of(field: Field, counts: Ints, sums: Floats) -> Ints:
    """Ordered cells, as splits take them: of a number all of them, levels that there are by their means."""
    if field.kind is Kind.NUMERIC:
        return np.arange(field.ordered)
    there = np.flatnonzero(counts[: field.ordered])
    means = sums[there] / counts[there]
    return there[np.argsort(means, kind="stable")]
