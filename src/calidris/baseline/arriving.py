"""What of a file's column would arrive if the SDK had sent it: the same types, the same missing values, the same spelling.

Nothing is decided here. The cells go through the SDK's own functions, as the array or the objects that pandas has them as; of
texts, decimals and truth values only the different ones do, because a cell becomes the same wherever it stands.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from calidris.batch import CodedColumn, Column, Ints, NumberColumn
from calidris.instrument.privacy import Policy
from calidris.instrument.rows.index_names import is_index
from calidris.instrument.rows.input_table import column_of
from calidris.instrument.rows.packed_columns import Packed, feature, texts
from calidris.state.coding.stated_types import without_blanks

_ANYTHING: Final = Policy.of(allow=["*"])
"""Whether text may leave is the service's to say, and nobody knows it here."""

AN_INDEX: Final = "an index of the table, not of the model"

_NAME: Final = "column"


def arrive(cells: pa.ChunkedArray) -> Column:
    """The column that a receiver gets of these cells: numbers, or texts; of what is withheld nothing, which is all missing.

    Cost: one copy of numbers, 0.1 µs a cell and 1 µs for each different text.
    """
    return _arrive_as_array(cells) if _is_array(cells) else _arrive_by_value(cells)


def arrive_as_slice(cells: pa.ChunkedArray) -> CodedColumn:
    """The texts that a receiver gets of the cells of a slice."""
    different, places = _different(cells)
    packed = texts(different)
    return _coded(packed).take(places)


def why_withheld(column: pa.Field) -> str | None:
    """Why the SDK would never send a column of this name and type that nobody declared; None where it would."""
    kind = column.type
    if is_index(column.name):
        return AN_INDEX
    if is_date(kind):
        return f"{kind}, which the SDK does not send: give the model numbers made of it"
    return None


def is_date(kind: pa.DataType) -> bool:
    """Whether cells of a type are dates or times of a day. A length of time is no date: it is its seconds."""
    return bool(pa.types.is_temporal(kind) and not pa.types.is_duration(kind))


def _is_array(cells: pa.ChunkedArray) -> bool:
    """Whether pandas has such cells as one array: numbers and lengths of time, and truth values if none is missing."""
    kind = cells.type
    if pa.types.is_boolean(kind):
        return not cells.null_count
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_duration(kind))


def _arrive_as_array(cells: pa.ChunkedArray) -> Column:
    values = column_of(cells.to_numpy(), len(cells))
    packed = feature(_NAME, values, _ANYTHING, _tell_nobody)
    assert packed is not None, "numbers always leave"
    return _decoded(packed)


def _arrive_by_value(cells: pa.ChunkedArray) -> Column:
    different, places = _different(cells)
    packed = feature(_NAME, different, _ANYTHING, _tell_nobody)
    if packed is None:
        return NumberColumn.of(np.full(len(cells), np.nan))
    column = _decoded(packed)
    return column.take(places)


def _different(cells: pa.ChunkedArray) -> tuple[list[Any], Ints]:
    """The different values, with None behind them, and the place of each cell's among those."""
    if pa.types.is_dictionary(cells.type):
        cells = pc.cast(cells, cells.type.value_type)
    if pa.types.is_null(cells.type):
        return [None], np.zeros(len(cells), dtype=np.int64)
    encoded = pc.dictionary_encode(cells).combine_chunks()
    different = encoded.dictionary.to_pylist()
    places = pc.fill_null(encoded.indices, len(different))
    return [*different, None], places.to_numpy(zero_copy_only=False).astype(np.int64)


def _decoded(packed: Packed) -> Column:
    """What the receiver makes of a packed column."""
    if "f64" in packed:
        return NumberColumn.of(np.frombuffer(packed["f64"], dtype="<f8"))
    return _coded(packed)


def _coded(packed: Packed) -> CodedColumn:
    codes = np.frombuffer(packed["codes"], dtype="<i4").astype(np.int32)
    column = CodedColumn(tuple(packed["levels"]), codes)
    return without_blanks(column)


def _tell_nobody(reason: str, name: str, values: int = 1) -> None:
    """What cannot be sent of a cell is missing: in the file as on its way."""
