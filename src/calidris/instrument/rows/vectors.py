"""Embeddings on their way out: float32 bytes, copied when they are given.

A vector can often be turned back into what it was made from, so one leaves only where the model declares its name. numpy is
used where the host's vectors are numpy arrays, and never imported.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final, TypeAlias

from calidris.instrument.foreign import Refused, guarded, is_mapping, is_text, listed, name_of, offers
from calidris.instrument.rows.one_row import MAX_WIDTH

MAX_DIMENSION: Final = 4096
"""Numbers of one vector: the receiver refuses longer ones."""

MAX_CALL_BYTES: Final = 32_000_000
"""Bytes of one embedding that a call with many rows may bring."""

SPAN_BYTES: Final = 192 * 1024
"""Vectors of one span, of the 256 KiB that all of it may have: to halve one that came out too large is to pack it twice."""

_WIDTH: Final = 4
_NAN: Final = float("nan")

Captured: TypeAlias = "tuple[bytes, ...] | None"
"""The vectors of one row in declared order, packed, empty where missing; None where the call brought none."""

Tell: TypeAlias = Callable[..., None]
"""Told a reason, a name and how many values where something is withheld."""


class Vectors:
    """n vectors of d numbers as one run of little-endian float32, owned by us; a missing one is NaN.

    Attributes:
        dimension: d.
        data: n · d · 4 bytes, row by row.
    """

    __slots__ = ("data", "dimension")

    def __init__(self, dimension: int, data: bytes) -> None:
        self.dimension = dimension
        self.data = data

    def __len__(self) -> int:
        return len(self.data) // self.row_bytes

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return _WIDTH * self.dimension

    def part(self, a: int, b: int) -> Vectors:
        """Rows a to b."""
        return Vectors(self.dimension, self.data[self.row_bytes * a : self.row_bytes * b])

    @classmethod
    def concat(cls, parts: Sequence[Vectors]) -> Vectors:
        """Rows of vectors of one dimension, one after the other."""
        return parts[0] if len(parts) == 1 else cls(parts[0].dimension, b"".join(part.data for part in parts))


@guarded
def packed(values: Any) -> bytes:
    """One vector as float32: an array or tensor of any library, a list or a tuple; an ``[[...]]`` of one row too.

    Cost: one copy; with its place in the buffer about 4 µs for a numpy array of 768 numbers, 14 µs for a list.

    Raises:
        Refused: no vector of 1 to `MAX_DIMENSION` numbers.
    """
    if _is_numeric(values):
        if not 0 < values.size <= MAX_DIMENSION or values.size != values.shape[-1]:
            raise Refused("embedding_not_copied")
        return _floats(values)
    numbers = listed(values, MAX_DIMENSION)
    if len(numbers) == 1 and isinstance(numbers[0], (list, tuple)):
        numbers = listed(numbers[0], MAX_DIMENSION)
    if not numbers:
        raise Refused("embedding_not_copied")
    return _little(array("f", numbers))


@guarded
def stacked(values: Any, rows: int) -> Vectors:
    """Vectors of n rows: a matrix of any library, or n vectors of one dimension, of which some may be None.

    Never reads more than one vector beyond ``rows``: then their number tells that there are too many.

    Raises:
        Refused: vectors of different dimensions, too large, or none.
    """
    if _is_numeric(values):
        _check(*values.shape)
        return Vectors(values.shape[1], _floats(values))
    given = listed(values, rows + 1, once=True) if not is_text(values) else []
    found = [None if row is None else packed(row) for row in given]
    sizes = {len(row) for row in found if row is not None}
    if len(sizes) != 1:
        raise Refused("embedding_not_copied")
    (size,) = sizes
    _check(len(found), size // _WIDTH)
    nothing = _little(array("f", [_NAN] * (size // _WIDTH)))
    return Vectors(size // _WIDTH, b"".join(nothing if row is None else row for row in found))


def capture(declared: tuple[str, ...], given: Any, tell: Tell) -> Captured:
    """Copies of the declared vectors of one row; what cannot be copied is missing, and told."""
    try:
        named = by_name(given)
    except Refused:
        tell("embedding_not_copied", "embeddings")
        named = {}
    for name in named:
        if name not in declared:
            tell("embedding_not_declared", name)
    return tuple([_one(name, named.get(name), tell) for name in declared]) if declared else None


def _one(name: str, values: Any, tell: Tell) -> bytes:
    try:
        return b"" if values is None else packed(values)
    except Refused:
        tell("embedding_not_copied", name)
        return b""


@guarded
def by_name(given: Any) -> dict[str, Any]:
    """The embeddings of a call by name.

    Raises:
        Refused: they are no mapping.
    """
    if given is None:
        return {}
    if not is_mapping(type(given)):
        raise Refused("wrong_arguments")
    return {name_of(name): given[name] for name in islice(given, MAX_WIDTH)}


def capture_many(declared: tuple[str, ...], given: dict[str, Any], rows: int, tell: Tell) -> dict[str, Vectors]:
    """Copies of the declared embeddings of many rows; what cannot be copied is left out, and told."""
    found = {}
    for name, values in given.items():
        try:
            if name not in declared:
                tell("embedding_not_declared", name)
            elif values is not None:
                found[name] = stacked(values, rows)
        except Refused:
            tell("embedding_not_copied", name, rows)
    return found


def columns(declared: tuple[str, ...], rows: Sequence[Captured]) -> dict[str, Vectors]:
    """The embeddings of rows that were captured with the same sizes; those that all rows lack are left out."""
    first = rows[0]
    if first is None:
        return {}
    runs = (b"".join(run) for run in zip(*(row for row in rows if row is not None)))
    return {name: Vectors(len(one) // _WIDTH, run) for name, one, run in zip(declared, first, runs) if one}


def sizes_of(row: Captured) -> tuple[int, ...] | None:
    """Bytes of each vector of a row: rows go together where these are equal."""
    return None if row is None else tuple(map(len, row))


def most_rows(row_bytes: int, at_most: int) -> int:
    """Rows of one span whose vectors have so many bytes each."""
    return max(1, min(at_most, SPAN_BYTES // max(row_bytes, 1)))


def _is_numeric(values: Any) -> bool:
    """True for numpy's arrays of numbers, which are copied at once."""
    return offers(type(values), "astype", "shape") and getattr(getattr(values, "dtype", None), "kind", "O") in "fiub"


def _check(rows: int, dimension: int) -> None:
    if not 0 < dimension <= MAX_DIMENSION or rows * dimension * _WIDTH > MAX_CALL_BYTES:
        raise Refused("embedding_not_copied")


def _floats(values: Any) -> bytes:
    with sys.modules["numpy"].errstate(all="ignore"):  # too large for float32 is infinite, and no warning of the host's
        return bytes(values.astype("<f4").tobytes())


def _little(values: array[float]) -> bytes:
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()
