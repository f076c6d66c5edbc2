"""Rows of a baseline from a Parquet or CSV file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from calidris import semconv
from calidris.baseline.arriving import ANYTHING, Sender, arrive, arrive_as_slice
from calidris.baseline.build import BaselineColumns
from calidris.baseline.findings import Findings
from calidris.baseline.refusals import Cells
from calidris.baseline.role_columns import (
    read_durations,
    read_errors,
    read_numbers,
    read_scores,
    read_values,
    read_weights,
)
from calidris.baseline.roles import Roles, TableColumns, assign_roles, holds_lists
from calidris.baseline.row_times import Clock, Times, read_times
from calidris.baseline.table_files import TableFile, open_table
from calidris.batch import CodedColumn, Column, Mask, MatrixColumn, ModelKey, NumberColumn, PredictionBatch, Singles
from calidris.errors import ConfigError
from calidris.instrument.privacy import Policy
from calidris.state.coding.stated_gaps import Gap, remove_values
from calidris.state.coding.stated_types import StatedType, as_stated, without_gaps

__all__ = ["RowReader", "TableColumns", "read_rows"]

FOREVER = Clock(now_s=9e9)
"""The clock of who does not ask for times."""


_OUTPUT = Sender()
"""Rules are for features and slices: what a model says always leaves."""


@dataclass(frozen=True)
class RowReader:
    """Turns blocks of a file into rows of a baseline.

    Attributes:
        path: the file, for messages.
        roles: which column is what.
        model: whose rows they are.
        clock: how numbers are read as times.
        duration_per_s: how many of the durations' unit make a second.
        task: what the model predicts: the labels of a regression are numbers.
        dimensions: of the embeddings, where they are known: a block may be without any vector.
        types: of features, where the user states them.
        policy: the service's rules of what is hashed, sorted into ranges or withheld.
        missing: values of features that stand for a gap.
    """

    path: Path
    roles: Roles
    model: ModelKey
    clock: Clock = FOREVER
    duration_per_s: float = 1.0
    task: str | None = None
    dimensions: Mapping[str, int] = field(default_factory=dict)
    types: Mapping[str, StatedType] = field(default_factory=dict)
    policy: Policy = ANYTHING
    missing: Mapping[str, tuple[Gap, ...]] = field(default_factory=dict)

    def sender(self, name: str) -> Sender:
        """Under which rules a feature or slice would leave."""
        return Sender(name, self.policy)

    def read(self, table: pa.Table, first: int, findings: Findings) -> BaselineColumns:
        """The rows of a block.

        Args:
            table: the block.
            first: rows of the file before it.
            findings: is told what was met.

        Raises:
            ConfigError: a cell that cannot be used, with row and value.
        """
        block = _Block(self, table, first, findings)
        times, known = block.times("time"), block.times("label_time")
        batch = PredictionBatch(
            model=self.model,
            event_time_ns=np.zeros(len(table), dtype=np.int64) if times is None else times.ns,
            features={name: block.feature(name) for name in self.roles.features},
            score=block.scores(),
            decision=block.column("decision"),
            value=block.values("value", "a predicted value"),
            duration_s=block.durations(),
            error=block.errors(),
            slices={name: arrive_as_slice(table[name], self.sender(name)) for name in self.roles.slices},
            weight=block.weights(),
            embeddings={
                name: read_vectors(self.path, table, name, self.dimensions.get(name)) for name in self.roles.embeddings
            },
        )
        label = block.labels()
        rows = BaselineColumns(batch, label, times is not None, untimed=None if times is None else ~times.known)
        # Without both times nobody knows how old an outcome is, and it counts as known at once.
        if times is None or known is None or label is None:
            if known is not None and times is None:
                findings.remark("--label-time is of no use without --time: labels count as known at once")
            return rows
        return block.with_delays(rows, label, times, known)


@dataclass(frozen=True)
class _Block:
    """The columns of a block by their part."""

    reader: RowReader
    table: pa.Table
    first: int
    findings: Findings

    def named(self, name: str) -> Cells:
        return Cells(self.reader.path, name, self.table[name], self.first)

    def cells(self, role: str) -> Cells | None:
        name = self.reader.roles.by_role.get(role)
        return None if name is None else self.named(name)

    def convert(self, cells: Cells, sender: Sender = _OUTPUT) -> Column:
        try:
            return arrive(cells.values, sender)
        except UnicodeDecodeError:
            raise cells.column_error("holds text that is no UTF-8: store it as UTF-8, or leave it out") from None
        except pa.ArrowException as error:
            # Arrow has types of which it cannot make texts.
            said = " ".join(str(error).split())
            raise cells.column_error(f"is {cells.kind}, which cannot be counted ({said}): leave it out") from error

    def feature(self, name: str) -> Column:
        cells = self.named(name)
        column = self.convert(cells, self.reader.sender(name))
        column = remove_values(column, self.reader.missing.get(name, ()))
        stated = self.reader.types.get(name)
        if stated is None:
            return column
        found = as_stated(column, stated)
        # Of live rows such a value is missing; a file can still be mended.
        wrong = f"is no {stated}, and `types` says that the column holds them: mend the cell, or leave it empty"
        cells.refuse_first(column.valid & ~found.valid, wrong)
        return found

    def times(self, role: str) -> Times | None:
        cells = self.cells(role)
        if cells is None:
            return None
        found = read_times(cells, self.reader.clock)
        if role == "time":
            self.findings.note(cells, ~found.known, "without a time, counted in no window")
        if found.unzoned:
            self.findings.remark(f"column {cells.name!r}: its times have no zone and were taken as UTC")
        return found

    def column(self, role: str) -> Column | None:
        cells = self.cells(role)
        if cells is None:
            return None
        found = without_gaps(self.convert(cells))
        self.findings.note(cells, ~found.valid, "empty")
        return found

    def scores(self) -> NumberColumn | None:
        cells, found = self.cells("score"), self.column("score")
        return None if cells is None or found is None else read_scores(cells, found, self.findings)

    def values(self, role: str, what: str) -> NumberColumn | None:
        cells, found = self.cells(role), self.column(role)
        return None if cells is None or found is None else read_values(cells, found, self.findings, what)

    def durations(self) -> NumberColumn | None:
        cells = self.cells("duration")
        if cells is None:
            return None
        return read_durations(cells, self.convert(cells), self.reader.duration_per_s, self.findings)

    def errors(self) -> CodedColumn | None:
        cells = self.cells("error")
        return None if cells is None else read_errors(cells, self.convert(cells), self.findings)

    def weights(self) -> NumberColumn | None:
        cells = self.cells("weight")
        return None if cells is None else read_weights(cells, self.convert(cells), self.findings)

    def labels(self) -> Column | None:
        cells = self.cells("label")
        if cells is None:
            return None
        column = self.column("label")
        assert column is not None
        if self.reader.task == semconv.ML_MODEL_TASK_REGRESSION:
            return read_numbers(cells, column, self.findings, "an outcome of a regression")
        return column

    def with_delays(self, rows: BaselineColumns, label: Column, times: Times, known: Times) -> BaselineColumns:
        """The rows with seconds from prediction to label; a label of which they are not known is none."""
        cells = self.cells("label_time")
        assert cells is not None
        dated = times.known & known.known
        self.findings.note(cells, label.valid & ~dated, "an outcome of unknown age, not counted")
        early = label.valid & dated & (known.ns < times.ns)
        self.findings.note(cells, early, "an outcome before its prediction, counted as known at once")
        delay = np.where(dated, np.maximum(known.ns - times.ns, 0), 0) / 1e9
        return replace(rows, label=_only(label, dated), delay_s=delay)


def _only(column: Column, rows: Mask) -> Column:
    """A column that is missing in all other rows."""
    if isinstance(column, NumberColumn):
        return NumberColumn(column.values, column.valid & rows, column.non_finite)
    return CodedColumn(column.levels, np.where(rows, column.codes, -1).astype(np.int32))


def read_rows(
    source: Path | TableFile,
    names: TableColumns,
    model: ModelKey,
    optional: Sequence[str] = (),
) -> BaselineColumns:
    """The rows of a file as columns, all at once.

    Args:
        source: a ``.parquet`` or ``.csv`` file, or one that is open.
        names: which column is what.
        model: whose rows they are.
        optional: roles (``score``, ``label``, …) that may be absent because the user did not name them.

    Raises:
        ConfigError: the file cannot be read, a named column is not in it, or a cell cannot be used.
    """
    table = open_table(source) if isinstance(source, Path) else source
    roles = assign_roles(table, names, optional)
    fields = [table.schema.field(name) for name in roles.columns]
    whole = pa.concat_tables([pa.schema(fields).empty_table(), *table.blocks(roles.columns)])
    return RowReader(table.path, roles, model).read(whole, 0, Findings())


def read_vectors(path: Path, table: pa.Table, name: str, dimension: int | None = None) -> MatrixColumn:
    """The vectors of a column of lists of numbers; a null, or a list with a null in it, is missing.

    Where the dimension is known there need be no vector at all. Cost: one copy, as float32.

    Raises:
        ConfigError: the column holds something else, or lists of different lengths.
    """
    kind = table.schema.field(name).type
    values = kind.value_type if holds_lists(kind) else kind
    if not holds_lists(kind) or not (pa.types.is_floating(values) or pa.types.is_integer(values)):
        raise ConfigError(f"{path}: column {name!r} is {kind}; an embedding is a list of numbers a row, from Parquet")
    there = pc.is_valid(table[name]).to_numpy()
    chunks = [chunk.drop_null() for chunk in table[name].chunks]
    lengths = sorted({n for chunk in chunks for n in pc.unique(pc.list_value_length(chunk)).to_pylist()})
    if dimension is not None and not lengths:
        return MatrixColumn(np.empty((0, dimension), dtype=np.float32), there)
    if len(lengths) != 1 or not lengths[0] or dimension not in (None, lengths[0]):
        found = ", ".join(map(str, lengths[:5])) or "none at all"
        raise ConfigError(f"{path}: embedding {name!r} needs vectors of one length, the rows have {found}")
    flat = np.concatenate([_flat_numbers(pc.list_flatten(chunk)) for chunk in chunks])
    return MatrixColumn.of(flat.reshape(-1, lengths[0])).spread(there)


def _flat_numbers(values: pa.Array) -> Singles:
    single: Singles = pc.fill_null(pc.cast(values, pa.float32(), safe=False), float("nan")).to_numpy(
        zero_copy_only=False
    )
    return single
