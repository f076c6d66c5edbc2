"""The cells of pairs, read off the cells of their columns: no value is laid against an edge twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from calidris.batch import Ints
from calidris.state.coding.fields import HIGH, LOW, MISSING, Field, Kind, Role
from calidris.state.coding.pairs import Pair

Codes = npt.NDArray[np.uint8]
Places = Mapping[tuple[Role, str], int]

BLOCK_ROWS = 4096
"""Rows handled at once, so that what is looked up stays in cache."""
_GAP = 32
"""Stands for "no value": more than any cell of a pair, and a sum with it stays below 256."""


class PairCells:
    """The pairs of a spec, laid out for counting: one look-up for all columns of a block of rows, and one sum for all pairs.

    Args:
        fields: all fields of the spec.
        offsets: first cell of each field, and the number of all cells.
        pairs: the pairs, each with a field.

    Raises:
        ValueError: a pair of what is no numeric feature, or with cuts that are no edges of its bins.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        offsets: Ints,
        pairs: Sequence[Pair],
    ) -> None:
        by_name = {(f.role, f.name): at for at, f in enumerate(fields)}
        self._columns = _Columns(fields, by_name, offsets)
        halves = [self._note(pair) for pair in pairs]
        self._halves: Ints = np.array(halves, dtype=np.int64)
        self._shapes = _stack_shapes(pairs)
        self._places = [
            by_name[Role.PAIR, pair.name]
            for pair in pairs
        ]  # fmt: skip
        first = offsets[self._places]
        self._offsets = first.reshape(-1, 1)

    def _note(self, pair: Pair) -> list[int]:
        named = zip(pair.columns, pair.cuts)
        return [self._columns.note(*half) for half in named]

    def encode(self, cells: Ints) -> None:
        """Fill in the cells of the pairs, from those of all other fields: int64[fields, n].

        Cost: a look-up a row and column of a pair, and a sum a row and pair.
        """
        rows = cells.shape[1] if self._places else 0
        for begin in range(0, rows, BLOCK_ROWS):
            block = cells[:, begin : begin + BLOCK_ROWS]
            self._encode_block(block)

    def _encode_block(self, cells: Ints) -> None:
        groups = self._columns.look_up(cells)
        found = self._find(groups)
        cells[self._places] = found + self._offsets

    def _find(self, groups: Codes) -> Codes:
        """The cell of each row within each pair's field, uint8[pairs, n], from the groups of the columns."""
        ones, twos = self._halves.T
        rows, columns = self._shapes
        both: Codes = groups[ones] * columns
        both += groups[twos]
        # Whatever a gap is part of lies beyond the last cell: it goes to the one of missing rows.
        missing = rows * columns + np.uint8(MISSING)
        np.minimum(
            both,
            missing,
            out=both,
        )
        return both


def _stack_shapes(pairs: Sequence[Pair]) -> Codes:
    """Groups of each pair's columns, uint8[2, pairs, 1]."""
    shapes = [pair.shape for pair in pairs]
    table: Codes = np.array(
        shapes,
        dtype=np.uint8,
    )
    three = table.reshape(-1, 2, 1)
    return three.swapaxes(0, 1)


class _Columns:
    """The columns of pairs, and the group of each of their cells in one table."""

    def __init__(
        self,
        fields: Sequence[Field],
        by_name: Places,
        offsets: Ints,
    ) -> None:
        self._fields = fields
        self._by_name = by_name
        self._offsets = offsets
        self._known: list[tuple[str, tuple[float, ...]]] = []
        self._places: list[int] = []
        self._moves: Ints = np.empty((0, 1), dtype=np.int64)
        self._codes: Codes = np.empty(0, dtype=np.uint8)

    def note(
        self,
        name: str,
        cuts: tuple[float, ...],
    ) -> int:
        """Place of a column among those that are looked up; one that several pairs have is looked up once."""
        about = name, cuts
        if about not in self._known:
            self._add(name, cuts)
            self._known.append(about)
        return self._known.index(about)

    def _add(
        self,
        name: str,
        cuts: tuple[float, ...],
    ) -> None:
        place = self._find_place(name)
        groups = _find_groups(
            self._fields[place],
            cuts,
        )
        move = len(self._codes) - self._offsets[place]
        self._places.append(place)
        self._moves = np.vstack(
            [self._moves, move],
        )
        self._codes = np.concatenate(
            [self._codes, groups],
        )

    def _find_place(self, name: str) -> int:
        place = self._by_name.get((Role.FEATURE, name))
        if place is not None and self._is_number(place):
            return place
        raise ValueError(f"a pair with {name!r}, which is no numeric feature")

    def _is_number(self, place: int) -> bool:
        field = self._fields[place]
        return field.kind is Kind.NUMERIC

    def look_up(self, cells: Ints) -> Codes:
        """Group of each row in each column, uint8[columns, n]."""
        own = cells[self._places]
        own += self._moves
        groups: Codes = self._codes[own]
        return groups


def _find_groups(
    field: Field,
    cuts: tuple[float, ...],
) -> Codes:
    """Group of each cell of a numeric field, uint8[width]: what is out of range goes with the first and the last bin."""
    _check_cuts(field, cuts)
    groups: Codes = np.full(
        field.width,
        _GAP,
        dtype=np.uint8,
    )
    ordered = field.ordered
    groups[:ordered] = _count_below(field, cuts)
    last = ordered - 1
    groups[ordered + LOW] = groups[0]
    groups[ordered + HIGH] = groups[last]
    return groups


def _check_cuts(
    field: Field,
    cuts: tuple[float, ...],
) -> None:
    inner = set(field.edges[1:-1])
    if not inner.issuperset(cuts):
        raise ValueError(f"pair cuts {cuts} of {field.name!r} are no edges between its bins")


def _count_below(
    field: Field,
    cuts: tuple[float, ...],
) -> Ints:
    """How many cuts lie at or below each bin."""
    lower = field.edges[:-1]
    return np.searchsorted(
        cuts,
        lower,
        side="right",
    )
