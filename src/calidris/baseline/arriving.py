"""What of a file's column would arrive if the SDK had sent it: the same types, the same missing values, the same spelling.

Nothing is decided here. The cells go through the SDK's own functions, as the array or the objects that pandas has them as; of
texts, decimals and truth values only the different ones do, because a cell becomes the same wherever it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from calidris.batch import CodedColumn, Column, Ints, NumberColumn
from calidris.instrument.privacy import Action, Policy
from calidris.instrument.rows.index_names import is_index
from calidris.instrument.rows.input_table import column_of
from calidris.instrument.rows.packed_columns import Packed, feature, slice_column
from calidris.state.coding.stated_types import without_blanks

ANYTHING: Final = Policy.of(allow=["*"])
"""Whether text may leave is the service's to say, and nobody knows it here."""

AN_INDEX: Final = "an index of the table, not of the model"


@dataclass(frozen=True, slots=True)
class Sender:
    """Under which name and rules a column would leave.

    Attributes:
        name: of the feature or slice; outputs have none.
        policy: what is hashed, sorted into ranges or withheld.
    """

    name: str = "column"
    policy: Policy = ANYTHING


_USUAL: Final = Sender()


def arrive(cells: pa.ChunkedArray, sender: Sender = _USUAL) -> Column:
    """The column that a receiver gets of these cells: numbers, or texts; of what is withheld nothing, which is all missing.

    Cost: one copy of numbers, 0.1 µs a cell and 2 µs for each different text.
    """
    if _is_array(cells):
        return _arrive_as_array(cells, sender)
    return _arrive_by_value(cells, sender)


def arrive_as_slice(cells: pa.ChunkedArray, sender: Sender = _USUAL) -> CodedColumn:
    """The texts that a receiver gets of the cells of a slice; nothing but gaps where it is withheld."""
    different, places = _find_different(cells)
    packed = slice_column(
        sender.name,
        different,
        sender.policy,
        _tell_nobody,
    )
    if packed is None:
        return CodedColumn((), np.full(len(cells), -1, dtype=np.int32))
    column = _read_codes(packed)
    return column.take(places)


RULED_OUT: Final = "OTEL_CALIDRIS_DROP names it, or OTEL_CALIDRIS_HASH without a key: it never leaves the service"


def withholds(policy: Policy, name: str) -> bool:
    """Whether a rule keeps a column of this name in the service, whatever it holds."""
    action = policy.action(name)
    is_hashed = action is Action.HASH
    if is_hashed and not policy.hash_key:
        return True
    return action is Action.DROP


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
    if pa.types.is_duration(kind):
        return False
    return bool(pa.types.is_temporal(kind))


def _is_array(cells: pa.ChunkedArray) -> bool:
    """Whether pandas has such cells as one array: numbers and lengths of time, and truth values if none is missing."""
    kind = cells.type
    if pa.types.is_boolean(kind):
        return not cells.null_count
    if pa.types.is_duration(kind):
        return True
    if pa.types.is_integer(kind):
        return True
    return bool(pa.types.is_floating(kind))


def _arrive_as_array(cells: pa.ChunkedArray, sender: Sender) -> Column:
    rows = len(cells)
    array = cells.to_numpy()
    values = column_of(array, rows)
    packed = _pack(values, sender)
    if packed is None:
        return _all_missing(rows)
    return _decode(packed)


def _arrive_by_value(cells: pa.ChunkedArray, sender: Sender) -> Column:
    different, places = _find_different(cells)
    packed = _pack(different, sender)
    if packed is None:
        return _all_missing(len(cells))
    column = _decode(packed)
    return column.take(places)


def _find_different(cells: pa.ChunkedArray) -> tuple[list[Any], Ints]:
    """The different values, with None behind them where some are missing, and the place of each cell's among those."""
    if pa.types.is_null(cells.type):
        nowhere = np.zeros(len(cells), dtype=np.int64)
        return [None], nowhere
    coded = pc.dictionary_encode(_without_levels(cells))
    encoded = coded.combine_chunks()
    different = encoded.dictionary.to_pylist()
    last = len(different)
    places = pc.fill_null(encoded.indices, last)
    if cells.null_count:
        different.append(None)
    numbers = places.to_numpy(zero_copy_only=False)
    return different, numbers.astype(np.int64)


def _without_levels(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Coded cells as the values of their levels, which may be of any type: it is theirs that decides."""
    kind = cells.type
    if pa.types.is_dictionary(kind):
        return pc.cast(cells, kind.value_type)
    return cells


def _pack(values: Any, sender: Sender) -> Packed | None:
    # Not told what is withheld: it is missing, in the file as on its way.
    return feature(
        sender.name,
        values,
        sender.policy,
        _tell_nobody,
    )


def _all_missing(rows: int) -> NumberColumn:
    nothing = np.full(rows, np.nan)
    return NumberColumn.of(nothing)


def _decode(packed: Packed) -> Column:
    """What the receiver makes of a packed column."""
    if "f64" in packed:
        numbers = np.frombuffer(packed["f64"], dtype="<f8")
        return NumberColumn.of(numbers)
    return _read_codes(packed)


def _read_codes(packed: Packed) -> CodedColumn:
    codes = np.frombuffer(packed["codes"], dtype="<i4")
    levels = tuple(packed["levels"])
    column = CodedColumn(levels, codes.astype(np.int32))
    return without_blanks(column)


def _tell_nobody(
    reason: str,
    name: str,
    values: int = 1,
    first: str = "",
) -> None:
    """What cannot be sent of a cell is missing: in the file as on its way."""
