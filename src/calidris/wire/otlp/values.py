"""One OTLP attribute value as Python: a scalar, a column or a map of columns.

===============================  ==========================================
on the wire                      here
===============================  ==========================================
empty, bool, int, double         ``None``, ``bool``, ``int``, ``float``
string                           ``str`` (later perhaps JSON)
array                            ``list`` of scalars
``{f64 | f32 | i64: bytes}``     numpy array, little-endian, not copied
``{levels: [..], codes: bytes}`` :class:`~calidris.batch.CodedColumn`
``{f32: bytes, dim: d}``         :class:`~calidris.batch.MatrixColumn`
any other map                    ``dict`` of name to scalar or column
===============================  ==========================================

A map inside a map, an array inside an array and bare bytes are refused, so nothing here recurses more than once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from calidris.batch import CodedColumn, MatrixColumn
from calidris.wire.limits import MAX_DIMENSION
from calidris.wire.rejections import BAD_EMBEDDING, BAD_PACKED_BYTES, WRONG_TYPE, Rejected, shown

PACKED: Final[Mapping[str, np.dtype[Any]]] = {
    "f64": np.dtype("<f8"),
    "f32": np.dtype("<f4"),
    "i64": np.dtype("<i8"),
}
CODE: Final = np.dtype("<i4")
LEVELS: Final = "levels"
CODES: Final = "codes"
DIMENSION: Final = "dim"

# An element of an array: field 1, nine bytes; in it field 4, a double.
_ELEMENT: Final = np.dtype([("head", "V3"), ("value", "<f8")])
_DOUBLE_HEAD: Final = np.void(b"\x0a\x09\x21")

Scalar = None | bool | int | float | str
Column = list[Any] | tuple[Any, ...] | np.ndarray[Any, np.dtype[Any]] | CodedColumn
Raw = Scalar | Column | MatrixColumn | dict[str, Any]


def read_value(value: AnyValue) -> Raw:
    """A value of any form.

    Raises:
        Rejected: bytes that do not fit their form, or a form nested too deeply.
    """
    kind = value.WhichOneof("value")
    if kind == "kvlist_value":
        return _read_map(value.kvlist_value.values)
    return _read_flat(value, kind)


def read_doubles(array: bytes) -> Column | None:
    """The values of a serialised ``ArrayValue`` that holds doubles alone; None if it holds anything else.

    Each is then an element of eleven bytes, so the whole array is one look: millions of values a second.
    """
    if len(array) % _ELEMENT.itemsize or not array:
        return None
    elements = np.frombuffer(array, _ELEMENT)
    if not bool(np.all(elements["head"] == _DOUBLE_HEAD)):
        return None
    return elements["value"].tolist() if len(elements) == 1 else elements["value"].astype(np.float64)


def _read_flat(value: AnyValue, kind: str | None) -> Scalar | Column:
    if kind == "array_value":
        return [_read_scalar(element) for element in value.array_value.values]
    return _read_scalar(value)


def _read_scalar(value: AnyValue) -> Scalar:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind in ("string_value", "double_value", "int_value", "bool_value"):
        scalar: Scalar = getattr(value, kind)
        return scalar
    raise Rejected(WRONG_TYPE, f"a {kind.removesuffix('_value')} where one value belongs")


def _read_map(entries: Iterable[KeyValue]) -> Raw:
    values = {entry.key: entry.value for entry in entries}
    column = _read_column(values)
    return {name: _read_entry(name, value) for name, value in values.items()} if column is None else column


def _read_entry(name: str, value: AnyValue) -> Raw:
    try:
        kind = value.WhichOneof("value")
        if kind != "kvlist_value":
            return _read_flat(value, kind)
        column = _read_column({entry.key: entry.value for entry in value.kvlist_value.values})
        if column is None:
            raise Rejected(WRONG_TYPE, "a map where a column belongs")
        return column
    except Rejected as fault:
        fault.problem = f"{shown(name)}: {fault.problem}"
        raise


def _read_column(values: Mapping[str, AnyValue]) -> Column | MatrixColumn | None:
    """The packed column, coded column or embedding that these entries are, or None if they are a map of names."""
    if len(values) == 1:
        ((key, value),) = values.items()
        if key in PACKED and value.HasField("bytes_value"):
            return listed(_unpack(value.bytes_value, PACKED[key]))
    if len(values) == 2 and CODES in values and LEVELS in values and values[CODES].HasField("bytes_value"):
        return _read_coded(values[LEVELS], values[CODES].bytes_value)
    if len(values) == 2 and DIMENSION in values and "f32" in values and values["f32"].HasField("bytes_value"):
        return _read_matrix(values[DIMENSION], values["f32"].bytes_value)
    return None


def _unpack(packed: bytes, dtype: np.dtype[Any]) -> np.ndarray[Any, np.dtype[Any]]:
    if len(packed) % dtype.itemsize:
        raise Rejected(BAD_PACKED_BYTES, f"{len(packed)} bytes are no multiple of {dtype.itemsize}")
    return np.frombuffer(packed, dtype)


def _read_levels(levels: AnyValue) -> list[str]:
    names = [level.string_value for level in levels.array_value.values]
    # What is no string reads as an empty one, and so does an empty string: only then is a second look needed.
    strange = "" in names and not all(level.HasField("string_value") for level in levels.array_value.values)
    if strange or not levels.HasField("array_value"):
        raise Rejected(BAD_PACKED_BYTES, "levels are an array of strings")
    return names


def _read_matrix(dimension: AnyValue, packed: bytes) -> MatrixColumn:
    d = dimension.int_value  # 0 if it is no int
    if not 1 <= d <= MAX_DIMENSION:
        raise Rejected(BAD_EMBEDDING, f"dim is {d}")
    if len(packed) % (4 * d):
        raise Rejected(BAD_PACKED_BYTES, f"{len(packed)} bytes are no multiple of 4 times {d}")
    return MatrixColumn.of(np.frombuffer(packed, PACKED["f32"]).reshape(-1, d))


def listed(values: np.ndarray[Any, np.dtype[Any]]) -> Column:
    """A single value as a list: numpy costs more than it saves there, and a row may bring thirty of them."""
    return values.tolist() if len(values) == 1 else values


def _read_coded(levels: AnyValue, packed: bytes) -> Column:
    names = _read_levels(levels)
    codes = _unpack(packed, CODE).astype(np.int32, copy=False)
    if codes.size and not (int(codes.min()) >= -1 and int(codes.max()) < len(names)):
        raise Rejected(BAD_PACKED_BYTES, f"codes lie outside -1 to {len(names) - 1}")
    if codes.size == 1:
        return [None if codes[0] < 0 else names[codes[0]]]
    if len(set(names)) == len(names):
        return CodedColumn(tuple(names), codes)
    # A level sent twice is one level: every table downstream counts by code.
    unique = CodedColumn.of(names)
    return CodedColumn(unique.levels, np.append(unique.codes, np.int32(-1))[codes])
