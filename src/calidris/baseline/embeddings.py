"""Embeddings from list columns of an Arrow table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from calidris.batch import MatrixColumn, Singles
from calidris.errors import ConfigError


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
    flat = np.concatenate([_numbers(pc.list_flatten(chunk)) for chunk in chunks])
    return MatrixColumn.of(flat.reshape(-1, lengths[0])).spread(there)


def _numbers(values: pa.Array) -> Singles:
    single: Singles = pc.fill_null(pc.cast(values, pa.float32(), safe=False), float("nan")).to_numpy(
        zero_copy_only=False
    )
    return single
