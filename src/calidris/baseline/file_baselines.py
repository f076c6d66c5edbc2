"""A baseline from a file of any size, in two passes: the first looks through the rows, the second counts each of them.

How rows are counted is learned from all of them while they fit, else from one in so many: the places are fixed, so that the same
file gives the same baseline. All rows are counted either way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from calidris.baseline.build import BaselineColumns, Counting, Wanted, learn, windows_in
from calidris.baseline.bundle import Baseline
from calidris.baseline.findings import Findings
from calidris.baseline.role_columns import refuse_texts
from calidris.baseline.row_files import RowReader
from calidris.baseline.table_files import BLOCK_ROWS, TableFile, Tell, tell_nobody
from calidris.batch import Column, Ints, Mask
from calidris.errors import ConfigError
from calidris.state import Spec, fitting_rows

LEARNED_ROWS = 1_000_000
"""Rows from which bins and levels are learned; of a longer file as many, evenly spread."""

LEARNED_VALUES = 32 * LEARNED_ROWS
"""Values of those rows: 256 MB of doubles. With more columns than 32, or vectors, the rows are fewer."""

WINDOW_CELLS = 50_000_000
"""Cells of all windows together, 400 MB: 1400 days of five minutes with ten features."""

_GOLDEN = 0.6180339887498949

Watch = Callable[[BaselineColumns, Spec], None]
"""Is shown all rows that are counted, a block at a time."""


@dataclass(frozen=True)
class Seen:
    """What the first pass found.

    Attributes:
        sample: the rows to learn from, as the file has them.
        places: which rows of the file they are, ascending.
        starts: begin of each window that has rows; None without a column of times.
        findings: what is no reason to refuse the file, and is told.
    """

    sample: pa.Table
    places: Ints
    starts: Ints | None
    findings: Findings


@dataclass(frozen=True)
class Built:
    """A baseline, and what was met in its file."""

    baseline: Baseline
    findings: Findings
    learned_rows: int


def build_from_file(
    table: TableFile,
    reader: RowReader,
    wanted: Wanted,
    watch: Watch,
    tell: Tell = tell_nobody,
) -> Built:
    """A baseline of every row of a file.

    Raises:
        ConfigError: no rows, a cell that cannot be used, or more windows than can be held.
        ValueError: as ``build``.

    Cost: two passes over the file; memory of the sample, of the windows and of one block, whatever the rows.
    """
    if not table.rows:
        raise ConfigError(f"{table.path}: has no rows: a baseline is made of rows that the model saw")
    seen = look_through(table, reader, wanted.window_s, tell)
    sample = reader.read(seen.sample, 0, Findings())
    spec, _ = learn(sample, wanted)
    _refuse_many_windows(table, spec, seen, wanted.window_s)
    dimensions = {name: column.dimension for name, column in sample.batch.embeddings.items()}
    apart = seen.places[fitting_rows(len(seen.places))] if dimensions else seen.places[:0]
    del sample
    counting = Counting(spec, wanted.window_s, seen.starts)
    counted = replace(reader, dimensions=dimensions)
    for first, block in _blocks(table, reader, seen):
        rows = counted.read(block, first, Findings())
        kept = rows if not len(apart) else rows.take(_outside(apart, first, len(block)))
        counting.add(kept)
        watch(kept, spec)
        tell("counting", first + len(block))
    return Built(counting.finish(reader.model.name), seen.findings, len(seen.places))


def look_through(table: TableFile, reader: RowReader, window_s: float, tell: Tell) -> Seen:
    """The first pass: check every row's outputs and times, find the windows, and take the sample."""
    places = places_to_learn_from(table.rows, _values_of_row(table, reader))
    findings = Findings()
    # Features are checked where they are counted: any value is one.
    outputs = replace(reader, roles=replace(reader.roles, features=(), slices=(), embeddings=()))
    starts: Ints | None = None
    parts = [_empty(table, reader)]
    values: Counter[str] = Counter()
    first = 0
    for block in table.blocks(reader.roles.columns):
        rows = outputs.read(block, first, findings)
        _tally(rows, values)
        if rows.timed:
            found = windows_in(rows, window_s)
            starts = found if starts is None else np.union1d(starts, found)
        parts.append(_part(block, places, first))
        first += len(block)
        tell("checking", first)
    if first != table.rows:
        raise ConfigError(f"{table.path}: was changed while it was read: build again once it is whole")
    refuse_texts(table.path, findings)
    _refuse_empty(reader, values)
    return Seen(pa.concat_tables(parts), places, starts, findings)


def _tally(rows: BaselineColumns, values: Counter[str]) -> None:
    """Count the values of each part that is there."""
    batch = rows.batch
    parts: dict[str, Column | None] = {
        "score": batch.score,
        "decision": batch.decision,
        "value": batch.value,
        "label": rows.label,
        "duration": batch.duration_s,
    }
    for role, column in parts.items():
        values[role] += 0 if column is None else int(np.count_nonzero(column.valid))
    values["time"] += len(batch) - (0 if rows.untimed is None else int(np.count_nonzero(rows.untimed)))


def _refuse_empty(reader: RowReader, values: Counter[str]) -> None:
    """A column without a value that somebody, or its usual name, said to be something."""
    for role, name in reader.roles.by_role.items():
        if role in values and not values[role]:
            option = "--" + role
            raise ConfigError(
                f"{reader.path}: column {name!r} has no value in any row that could be taken as {role}: name another column "
                f"with {option}, or build without one: {option} ''"
            )


def _part(block: pa.Table, places: Ints, first: int) -> pa.Table:
    """The rows of a block that are in the sample."""
    begin, end = np.searchsorted(places, [first, first + len(block)]).tolist()
    if end - begin == len(block):
        return block
    return block.take(places[begin:end] - first)


def places_to_learn_from(rows: int, values: int) -> Ints:
    """Which rows of a file bins and levels are learned from, ascending.

    The file is cut into as many even parts as rows are wanted, and of each one row is taken, at a place that the golden ratio moves
    about, so that no rhythm of the file meets it.

    >>> places_to_learn_from(3, 25).tolist(), len(places_to_learn_from(20_000_000, 25))
    ([0, 1, 2], 1000000)
    """
    most = max(1, min(LEARNED_ROWS, LEARNED_VALUES // max(values, 1)))
    if rows <= most:
        return np.arange(rows)
    part = np.arange(most)
    begin = part * rows // most
    length = (part + 1) * rows // most - begin
    moved = part * _GOLDEN % 1.0 * length
    return begin + moved.astype(np.int64)


def _values_of_row(table: TableFile, reader: RowReader) -> int:
    """Values of a row of the file: a vector has as many as it is long."""
    embeddings = reader.roles.embeddings
    values = len(reader.roles.columns) - len(embeddings)
    if not embeddings:
        return values
    block = next(table.blocks(embeddings))
    for name in embeddings:
        lengths = pc.list_value_length(block[name]) if _lists(block, name) else pa.nulls(0)
        values += pc.max(lengths).as_py() or 0
    return values


def _lists(block: pa.Table, name: str) -> bool:
    return bool(pa.types.is_nested(block.schema.field(name).type))


def _empty(table: TableFile, reader: RowReader) -> pa.Table:
    return pa.schema([table.schema.field(name) for name in reader.roles.columns]).empty_table()


def _blocks(table: TableFile, reader: RowReader, seen: Seen) -> Iterator[tuple[int, pa.Table]]:
    """Blocks of all rows, each with the rows before it; of the sample where that is all of them."""
    first = 0
    whole = len(seen.places) == table.rows
    blocks = _slices(seen.sample) if whole else table.blocks(reader.roles.columns)
    for block in blocks:
        yield first, block
        first += len(block)


def _slices(table: pa.Table) -> Iterator[pa.Table]:
    for first in range(0, len(table), BLOCK_ROWS):
        yield table.slice(first, BLOCK_ROWS)


def _outside(apart: Ints, first: int, rows: int) -> Mask:
    """Which rows of a block are not among some of the file."""
    begin, end = np.searchsorted(apart, [first, first + rows]).tolist()
    kept = np.ones(rows, dtype=np.bool_)
    kept[apart[begin:end] - first] = False
    return kept


def _refuse_many_windows(table: TableFile, spec: Spec, seen: Seen, window_s: float) -> None:
    windows = 0 if seen.starts is None else len(seen.starts)
    if windows * spec.cells <= WINDOW_CELLS:
        return
    most = WINDOW_CELLS // spec.cells
    raise ConfigError(
        f"{table.path}: its rows lie in {windows:,} windows of {window_s:g} s, and {most:,} of {spec.cells} cells are the most: "
        "give rows of a shorter time, or set longer `windows` for the model"
    )
