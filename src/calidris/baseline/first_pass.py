"""The first pass over a file: every row's outputs and times are checked, windows are found, and rows to learn from are taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from calidris.baseline.build import BaselineColumns, windows_in
from calidris.baseline.findings import Findings
from calidris.baseline.role_columns import refuse_texts
from calidris.baseline.roles import holds_lists
from calidris.baseline.row_files import RowReader
from calidris.baseline.table_files import TableFile, Tell
from calidris.batch import Ints
from calidris.errors import ConfigError

LEARNED_ROWS = 1_000_000
"""Rows from which bins and levels are learned; of a longer file as many, evenly spread."""

LEARNED_VALUES = 32 * LEARNED_ROWS
"""Values of those rows: 256 MB of doubles. With more columns than 32, or vectors, the rows are fewer."""

_GOLDEN = 0.6180339887498949


@dataclass
class Seen:
    """What the first pass finds.

    Attributes:
        places: which rows of the file are learned from, ascending.
        parts: those rows, as the file has them.
        starts: begin of each window that has rows; None without a column of times.
        findings: what is no reason to refuse the file, and is told.
        values: rows with a value, by part.
        rows: rows seen.
    """

    places: Ints
    parts: list[pa.Table]
    starts: Ints | None = None
    findings: Findings = field(default_factory=Findings)
    values: Counter[str] = field(default_factory=Counter)
    rows: int = 0

    def add(
        self,
        block: pa.Table,
        rows: BaselineColumns,
        window_s: float,
    ) -> None:
        """Take note of a block."""
        kept = self._part_of(block)
        self.parts.append(kept)
        self.rows += len(block)
        self._tally(rows)
        if not rows.timed:
            return
        found = windows_in(rows, window_s)
        known = found if self.starts is None else self.starts
        self.starts = np.union1d(known, found)

    def _part_of(self, block: pa.Table) -> pa.Table:
        """The rows of the next block that are learned from."""
        bounds = [self.rows, self.rows + len(block)]
        begin, end = np.searchsorted(self.places, bounds).tolist()
        wanted = self.places[begin:end] - self.rows
        if len(wanted) == len(block):
            return block
        # Not a view: one row of it would keep the whole block.
        return block.take(wanted)

    def _tally(self, rows: BaselineColumns) -> None:
        """Count the values of each part that is there."""
        batch = rows.batch
        parts = {
            "score": batch.score,
            "decision": batch.decision,
            "value": batch.value,
            "label": rows.label,
            "duration": batch.duration_s,
        }
        for role, column in parts.items():
            if column is not None:
                self.values[role] += int(np.count_nonzero(column.valid))
        if rows.untimed is not None:
            self.values["time"] += int(np.count_nonzero(~rows.untimed))

    def sample(self) -> pa.Table:
        """The rows to learn from."""
        return pa.concat_tables(self.parts)


def look_through(
    table: TableFile,
    reader: RowReader,
    window_s: float,
    tell: Tell,
) -> Seen:
    """Read the whole file once.

    Raises:
        ConfigError: no rows, or a cell or a column that cannot be used.
    """
    if not table.rows:
        raise ConfigError(f"{table.path}: has no rows: a baseline is made of rows that the model saw")
    places = places_to_learn_from(table.rows, _values_of_row(table, reader))
    seen = Seen(places, [_no_rows(table, reader)])
    outputs = _outputs_only(reader)
    for block in table.blocks(reader.roles.columns):
        rows = outputs.read(block, seen.rows, seen.findings)
        seen.add(block, rows, window_s)
        tell("checking", seen.rows)
    if seen.rows != table.rows:
        raise ConfigError(f"{table.path}: was changed while it was read: build again once it is whole")
    _refuse_empty(reader, seen)
    return seen


def _outputs_only(reader: RowReader) -> RowReader:
    """Features are looked at where they are counted: any value is one."""
    roles = replace(
        reader.roles,
        features=(),
        slices=(),
        embeddings=(),
    )
    return replace(reader, roles=roles)


def _refuse_empty(reader: RowReader, seen: Seen) -> None:
    """A column without a value that somebody, or its usual name, said to be something."""
    refuse_texts(reader.path, seen.findings)
    watched = {"score", "decision", "value", "label", "duration", "time"}
    for role, name in reader.roles.by_role.items():
        if role not in watched or seen.values[role]:
            continue
        option = "--" + role
        raise ConfigError(
            f"{reader.path}: column {name!r} has no value in any row that could be taken as {role}: name another column "
            f"with {option}, or build without one: {option} ''"
        )


def _no_rows(table: TableFile, reader: RowReader) -> pa.Table:
    fields = [table.schema.field(name) for name in reader.roles.columns]
    return pa.schema(fields).empty_table()


def places_to_learn_from(rows: int, values: int) -> Ints:
    """Which rows of a file bins and levels are learned from, ascending.

    The file is cut into as many even parts as rows are wanted, and of each one row is taken, at a place that the golden ratio moves
    about, so that no rhythm of the file meets it.

    Args:
        rows: of the file.
        values: of one row.

    >>> places_to_learn_from(3, 25).tolist(), len(places_to_learn_from(20_000_000, 25))
    ([0, 1, 2], 1000000)
    """
    most = LEARNED_VALUES // max(values, 1)
    most = max(1, min(LEARNED_ROWS, most))
    if rows <= most:
        return np.arange(rows)
    part = np.arange(most)
    begin = part * rows // most
    end = (part + 1) * rows // most
    moved = part * _GOLDEN % 1.0
    offset = moved * (end - begin)
    return begin + offset.astype(np.int64)


def _values_of_row(table: TableFile, reader: RowReader) -> int:
    """Values of a row of the file: a vector has as many as it is long."""
    vectors = reader.roles.embeddings
    values = len(reader.roles.columns) - len(vectors)
    return values + sum(_lengths(table, vectors))


def _lengths(table: TableFile, vectors: tuple[str, ...]) -> Iterator[int]:
    if not vectors:
        return
    block = next(table.blocks(vectors))
    for name in vectors:
        # Whatever else the column holds is refused when it is read.
        if holds_lists(block.schema.field(name).type):
            lengths = pc.list_value_length(block[name])
            yield pc.max(lengths).as_py() or 0
