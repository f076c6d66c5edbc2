"""A baseline from a file of any size, in two passes: the first looks through the rows, the second counts each of them.

How rows are counted is learned from all of them while they fit, else from one in so many: the places are fixed, so that the same
file gives the same baseline. All rows are counted either way, but for those that place centroids and pick levels: these are
counted by their labels alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from calidris.baseline.build import BaselineColumns, Counting, Wanted, learn
from calidris.baseline.bundle import Baseline
from calidris.baseline.findings import Findings
from calidris.baseline.first_pass import Seen, look_through
from calidris.baseline.learn import wide_columns
from calidris.baseline.likely_gaps import LikelyGap, find_likely_gaps
from calidris.baseline.row_files import RowReader
from calidris.baseline.table_files import BLOCK_ROWS, TableFile, Tell
from calidris.batch import Ints, Mask
from calidris.errors import ConfigError
from calidris.state import Spec
from calidris.state.related import without_last_pair

WINDOW_CELLS = 50_000_000
"""Cells of all windows together, 400 MB: 1400 days of five minutes with ten features."""

Watch = Callable[[BaselineColumns, Spec], None]
"""Is shown all rows, a block at a time."""


@dataclass(frozen=True)
class Built:
    """A baseline, what was met in its file, how many rows its bins and levels were learned from, columns of many levels, likely gaps."""

    baseline: Baseline
    findings: Findings
    learned_rows: int
    wide: tuple[str, ...] = ()
    likely_gaps: tuple[LikelyGap, ...] = ()


@dataclass(frozen=True)
class _Learned:
    """How the rows of a file are counted.

    Attributes:
        spec: bins and levels.
        reader: knows the dimension of each vector.
        apart: rows of the file that placed centroids and picked levels, ascending: they are counted in no histogram.
        wide: columns of so many levels that some rows picked them.
        likely_gaps: values that look as if they stood for one.
    """

    spec: Spec
    reader: RowReader
    apart: Ints
    wide: tuple[str, ...]
    likely_gaps: tuple[LikelyGap, ...]


def build_from_file(
    table: TableFile,
    reader: RowReader,
    wanted: Wanted,
    watch: Watch,
    tell: Tell,
) -> Built:
    """A baseline of every row of a file.

    Raises:
        ConfigError: no rows, a cell that cannot be used, or more windows than can be held.
        ValueError: as ``build``.

    Cost: two passes over the file; memory of the rows to learn from, of the windows and of one block, whatever the rows.
    """
    seen = look_through(table, reader, wanted.window_s, tell)
    learned = _learn(seen, reader, wanted)
    _refuse_many_windows(table, learned.spec, seen, wanted)
    counting = Counting(learned.spec, wanted.window_s, seen.starts)
    for rows, done in _counted_rows(table, learned, seen):
        counting.add(rows)
        watch(rows, learned.spec)
        tell("counting", done)
    return Built(
        counting.finish(reader.model.name, wanted.pairs),
        seen.findings,
        len(seen.places),
        learned.wide,
        learned.likely_gaps,
    )


def _counted_rows(
    table: TableFile,
    learned: _Learned,
    seen: Seen,
) -> Iterator[tuple[BaselineColumns, int]]:
    """All rows, those marked that are set apart, a block at a time, and how many of the file are done then."""
    first = 0
    for block in _blocks(table, learned.reader, seen):
        rows = learned.reader.read(block, first, Findings())
        if len(learned.apart):
            apart = _among(learned.apart, first, len(block))
            rows = replace(rows, apart=apart)
        first += len(block)
        yield rows, first


def _learn(seen: Seen, reader: RowReader, wanted: Wanted) -> _Learned:
    sample = reader.read(seen.sample(), 0, Findings())
    spec, rows = learn(sample, wanted)
    # The very rows of which ``learn`` placed the centroids and picked the levels.
    apart = seen.places[:0] if rows.apart is None else seen.places[rows.apart]
    vectors = sample.batch.embeddings
    dimensions = {name: column.dimension for name, column in vectors.items()}
    return _Learned(
        _fit_pairs(spec, seen),
        replace(reader, dimensions=dimensions),
        apart,
        tuple(wide_columns(rows.batch, wanted.bins)),
        find_likely_gaps(sample.batch.features),
    )


def _blocks(table: TableFile, reader: RowReader, seen: Seen) -> Iterator[pa.Table]:
    """All rows in their order: from memory, where all of them were learned from."""
    if len(seen.places) != table.rows:
        # What was learned from is not needed any more.
        seen.parts.clear()
        yield from table.blocks(reader.roles.columns)
        return
    sample = seen.sample()
    for first in range(0, table.rows, BLOCK_ROWS):
        yield sample.slice(first, BLOCK_ROWS)


def _among(apart: Ints, first: int, rows: int) -> Mask:
    """Which rows of a block are among some of the file."""
    bounds = [first, first + rows]
    begin, end = np.searchsorted(apart, bounds).tolist()
    found = np.zeros(rows, dtype=np.bool_)
    found[apart[begin:end] - first] = True
    return found


def _fit_pairs(spec: Spec, seen: Seen) -> Spec:
    """With no more pairs than there is room for beside the columns: nobody's windows are refused for them."""
    windows = 0 if seen.starts is None else len(seen.starts)
    most = WINDOW_CELLS // max(windows, 1)
    while spec.pairs and spec.cells > most:
        spec = without_last_pair(spec)
    return spec


def _refuse_many_windows(
    table: TableFile,
    spec: Spec,
    seen: Seen,
    wanted: Wanted,
) -> None:
    windows = 0 if seen.starts is None else len(seen.starts)
    most = WINDOW_CELLS // spec.cells
    if windows <= most:
        return
    raise ConfigError(
        f"{table.path}: its rows lie in {windows:,} windows of {wanted.window_s:g} s, and {most:,} of {spec.cells} cells are the "
        "most: give rows of a shorter time, or set longer `windows` for the model"
    )
