"""Many numeric columns into cells at once: the hot path of ``Spec.encode``.

``Field.encode`` says what the cell of a value is; this gives the same cells several times faster. A binary search takes a
mispredicted branch a step; counting the edges below a value takes none, and runs over all columns in one vector operation
an edge. That wins up to about forty edges, whatever the spacing of the edges and without a rounding to worry about.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calidris.batch import Floats, Ints, Mask, NumberColumn, find_missing
from calidris.state.coding.fields import HIGH, LOW, MISSING, Field, Kind, search_edges

MOST_EDGES = 40
"""A field with more edges is searched, not counted."""

BLOCK_VALUES = 65_536
"""Values handled at once, 512 KiB of doubles, so that the passes over the edges stay in cache."""


class CountedFields:
    """The numeric fields of a spec with few edges, laid out for counting.

    Args:
        fields: all fields of the spec.
        offsets: first cell of each field.
    """

    def __init__(self, fields: Sequence[Field], offsets: Ints) -> None:
        rows = [i for i, f in enumerate(fields) if _has_few_edges(f)]
        most = max((len(fields[i].edges) for i in rows), default=1)
        self.rows = {row: at for at, row in enumerate(rows)}
        self._edges = np.full((most, len(rows), 1), np.inf)
        for at, row in enumerate(rows):
            self._edges[: len(fields[row].edges), at, 0] = search_edges(fields[row].edges)
        self._last = np.array([_last_edge(fields[row]) for row in rows]).reshape(-1, 1)
        self._ordered = np.array([fields[row].ordered for row in rows], dtype=np.uint8).reshape(-1, 1)
        self._offsets = offsets[rows].reshape(-1, 1) if rows else np.zeros((0, 1), dtype=np.int64)

    def encode(self, columns: dict[int, NumberColumn], out: Ints) -> None:
        """Write the cells of some columns, by their row, into their rows of ``out``, int64[fields, n]."""
        if not columns:
            return
        rows = list(columns)
        at = [self.rows[row] for row in rows]
        part = self._part_of(at)
        edges, last, ordered, offsets = self._edges[:, part], self._last[part], self._ordered[part], self._offsets[part]
        n, step = out.shape[1], max(1, BLOCK_VALUES // len(rows))
        for start in range(0, n, step):
            block = slice(start, min(start + step, n))
            values = np.array([column.values[block] for column in columns.values()])
            valid = np.array([column.valid[block] for column in columns.values()])
            cells = _count(values, valid, edges, last, ordered)
            for i, row in enumerate(rows):
                np.add(cells[i], offsets[i], out=out[row, block])

    def _part_of(self, at: list[int]) -> slice | list[int]:
        """Some rows: as a slice, and so without a copy, where all of them are there."""
        is_all = at == list(range(len(self.rows)))
        return slice(None) if is_all else at


def _has_few_edges(field: Field) -> bool:
    return field.kind is Kind.NUMERIC and len(field.edges) <= MOST_EDGES


def _last_edge(field: Field) -> float:
    return float(search_edges(field.edges)[-1])


def _count(
    values: Floats, valid: Mask, edges: Floats, last: Floats, ordered: np.typing.NDArray[np.uint8]
) -> np.typing.NDArray[np.uint8]:
    """Cells of values, uint8[columns, n]: see the picture in ``fields``."""
    above = np.greater(values, edges[0])
    low = ~above
    cells = np.zeros(values.shape, dtype=np.uint8)
    for edge in edges[1:]:
        np.greater(values, edge, out=above)
        cells += above.view(np.uint8)
    # Past the last edge stands K; the padding's infinite edges never count.
    missing = find_missing(values, valid)
    for where, cell in ((low, LOW), (values > last, HIGH), (missing, MISSING)):
        if where.any():
            np.copyto(cells, ordered + np.uint8(cell), where=where)
    return cells
