"""Rows of a baseline from a Parquet or CSV file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from calidris.baseline.build import BaselineColumns
from calidris.batch import (
    CodedColumn,
    Column,
    Floats,
    Ints,
    MatrixColumn,
    ModelKey,
    NumberColumn,
    PredictionBatch,
    Singles,
)
from calidris.errors import ConfigError


@dataclass(frozen=True, slots=True)
class TableColumns:
    """Which column of a table is what.

    Attributes:
        features: names of the features; None is every column that is nothing else.
        score: probability of the positive class.
        decision: predicted class.
        value: regression output.
        label: true outcome.
        time: when the prediction was made: a timestamp, or a number of seconds since the epoch.
        slices: what to cut by; they are features too where they are listed there.
        label_time: when the outcome became known, as ``time``.
        embeddings: vectors; they are no features.
    """

    features: tuple[str, ...] | None = None
    score: str | None = "score"
    decision: str | None = "prediction"
    value: str | None = None
    label: str | None = "label"
    time: str | None = None
    slices: tuple[str, ...] = ()
    label_time: str | None = None
    embeddings: tuple[str, ...] = ()


def read_rows(path: Path, names: TableColumns, model: ModelKey, optional: Sequence[str] = ()) -> BaselineColumns:
    """The rows of a file as columns.

    Args:
        path: a ``.parquet`` or ``.csv`` file.
        names: which column is what.
        model: whose rows they are.
        optional: roles (``score``, ``label``, …) that may be absent because the user did not name them.

    Raises:
        ConfigError: the file cannot be read, or a named column is not in it.
    """
    table = _table(path)
    roles = {
        role: _role(path, table, getattr(names, role), role in optional)
        for role in ("score", "decision", "value", "label", "time", "label_time")
    }
    taken = {name for name in roles.values() if name} | {*names.slices, *names.embeddings}
    features = names.features if names.features is not None else tuple(c for c in table.column_names if c not in taken)
    wanted = {"feature": features, "slice": names.slices, "embedding": names.embeddings}
    for what, name in ((what, name) for what, listed in wanted.items() for name in listed):
        _require(path, table, name, what)
        if what != "embedding" and holds_lists(table.schema.field(name).type):
            raise ConfigError(
                f"{path}: column {name!r} holds lists: add --embedding {name}, or leave it out of --features"
            )
    batch = PredictionBatch(
        model=model,
        event_time_ns=_times(path, table, roles["time"]),
        features={name: _column(table, name) for name in features},
        score=_numbers(path, table, roles["score"]),
        decision=_column(table, roles["decision"]) if roles["decision"] else None,
        value=_numbers(path, table, roles["value"]),
        slices={name: _strings(table, name) for name in names.slices},
        embeddings={name: read_vectors(path, table, name) for name in names.embeddings},
    )
    label = _column(table, roles["label"]) if roles["label"] else None
    return BaselineColumns(batch, label, roles["time"] is not None, _delays(path, table, roles))


def _delays(path: Path, table: pa.Table, roles: dict[str, str | None]) -> Floats | None:
    """Seconds from prediction to label, where both times are known."""
    predicted, known = roles["time"], roles["label_time"]
    if predicted is None or known is None:
        return None
    # A row without an outcome has no time of it either.
    filled = pc.coalesce(table[known], pc.cast(table[predicted], table.schema.field(known).type))
    times = _times(path, pa.table({known: filled}), known)
    delay: Floats = np.maximum(times - _times(path, table, predicted), 0) / 1e9
    return delay


def _table(path: Path) -> pa.Table:
    try:
        return pyarrow.csv.read_csv(path) if path.suffix == ".csv" else pyarrow.parquet.read_table(path)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; --data takes a .parquet or .csv file") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise ConfigError(f"{path}: cannot be read as {path.suffix or 'Parquet'}: {error}") from error


def _role(path: Path, table: pa.Table, name: str | None, optional: bool) -> str | None:
    if name is None or (optional and name not in table.column_names):
        return None
    _require(path, table, name, "column")
    return name


def _require(path: Path, table: pa.Table, name: str, what: str) -> None:
    if name not in table.column_names:
        raise ConfigError(f"{path}: there is no {what} {name!r}; its columns are {', '.join(table.column_names)}")


def _column(table: pa.Table, name: str) -> Column:
    kind = table.schema.field(name).type
    numeric = (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    )
    if not numeric:
        return _strings(table, name)
    values = pc.cast(table[name], pa.float64(), safe=False)
    return NumberColumn.of(pc.fill_null(values, float("nan")).to_numpy())


def _strings(table: pa.Table, name: str) -> CodedColumn:
    encoded = pc.dictionary_encode(pc.cast(table[name], pa.string())).combine_chunks()
    codes = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int32)
    return CodedColumn(tuple(encoded.dictionary.to_pylist()), codes)


def _numbers(path: Path, table: pa.Table, name: str | None) -> NumberColumn | None:
    if name is None:
        return None
    column = _column(table, name)
    if isinstance(column, CodedColumn):
        raise ConfigError(f"{path}: column {name!r} holds text; a score or value is a number")
    return column


def _times(path: Path, table: pa.Table, name: str | None) -> Ints:
    if name is None:
        return np.zeros(table.num_rows, dtype=np.int64)
    kind = table.schema.field(name).type
    if pa.types.is_timestamp(kind):
        times: Ints = pc.cast(table[name], pa.timestamp("ns", tz=kind.tz)).cast(pa.int64()).to_numpy()
        return times
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return np.asarray(np.rint(pc.cast(table[name], pa.float64()).to_numpy() * 1e9), dtype=np.int64)
    raise ConfigError(f"{path}: column {name!r} is {kind}; --time takes timestamps or seconds since the epoch")


def holds_lists(kind: pa.DataType) -> bool:
    """Whether a column of this type holds one list a row."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def read_vectors(path: Path, table: pa.Table, name: str) -> MatrixColumn:
    """The vectors of a column of lists of numbers; a null, or a list with a null in it, is missing.

    Cost: one copy, as float32.

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
    if len(lengths) != 1 or not lengths[0]:
        found = ", ".join(map(str, lengths[:5])) or "none at all"
        raise ConfigError(f"{path}: embedding {name!r} needs vectors of one length, the rows have {found}")
    flat = np.concatenate([_flat_numbers(pc.list_flatten(chunk)) for chunk in chunks])
    return MatrixColumn.of(flat.reshape(-1, lengths[0])).spread(there)


def _flat_numbers(values: pa.Array) -> Singles:
    single: Singles = pc.fill_null(pc.cast(values, pa.float32(), safe=False), float("nan")).to_numpy(
        zero_copy_only=False
    )
    return single
