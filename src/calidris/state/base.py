"""State: a mergeable summary of rows, and the nine laws that every one of them keeps.

1. the empty state is the identity of merge;  2. order does not matter;  3. grouping does not matter;
4. merging the states of parts gives the state of one pass;  5. merge leaves its argument untouched;
6. bytes round-trip;  7. different specs refuse to merge;  8. every row is counted, missing ones included;
9. what is read from a state agrees with numpy, scipy or scikit-learn on the raw rows.

``tests/state/test_laws.py`` runs them over every state. Not thread-safe on purpose: one writer owns a state.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import ClassVar, Protocol, Self

import numpy as np

from calidris.batch import Ints
from calidris.errors import CorruptState, IncompatibleState
from calidris.state.spec import Spec

_HEADER = struct.Struct("<4sBB16sI")  # magic, kind, format version, spec hash, bytes when inflated
_MAGIC = b"CALS"


class State(Protocol):
    """A mergeable summary of rows under a spec."""

    spec: Spec

    @property
    def count(self) -> int:
        """Rows seen, missing values included."""
        ...

    def merge(self, other: Self) -> None:
        """Add the rows of another state of the same kind and spec; raises ``IncompatibleState``."""
        ...

    def to_bytes(self) -> bytes:
        """Self-describing bytes: kind, format version, spec hash, data."""
        ...


class ArrayState:
    """A state that is one array of int64 sums: merge is an addition, and both order and bytes are exact.

    Cost: ``array.nbytes`` of memory, fixed by the spec whatever the traffic; merge is one vector addition.
    """

    KIND: ClassVar[int]
    VERSION: ClassVar[int] = 1

    __slots__ = ("array", "spec")

    def __init__(self, spec: Spec, array: Ints | None = None) -> None:
        self.spec = spec
        self.array: Ints = np.zeros(self.shape(spec), dtype=np.int64) if array is None else array

    @classmethod
    def shape(cls, spec: Spec) -> tuple[int, ...]:
        """Shape of the array under a spec."""
        raise NotImplementedError

    def merge(self, other: Self) -> None:
        """Add the rows of ``other``, which stays untouched.

        Raises:
            IncompatibleState: another kind of state, or another spec.
        """
        if type(other) is not type(self) or other.spec.hash != self.spec.hash:
            raise IncompatibleState(
                f"{type(self).__name__} of spec {self.spec.hash[:8]} cannot merge "
                f"{type(other).__name__} of spec {other.spec.hash[:8]}"
            )
        self.array += other.array

    def copy(self) -> Self:
        """An independent state of the same rows."""
        return type(self)(self.spec, self.array.copy())

    def to_bytes(self) -> bytes:
        """Header and deflated little-endian int64; equal states give equal bytes."""
        raw = self.array.astype("<i8", copy=False).tobytes()
        head = _HEADER.pack(_MAGIC, self.KIND, self.VERSION, bytes.fromhex(self.spec.hash), len(raw))
        return head + zlib.compress(raw, 1)

    @classmethod
    def from_bytes(cls, spec: Spec, data: bytes) -> Self:
        """The state that ``to_bytes`` wrote.

        Raises:
            CorruptState: not the bytes of this kind of state.
            IncompatibleState: bytes of another spec or format version.
        """
        shape = cls.shape(spec)
        body = cls._body(spec, data, 8 * math.prod(shape))
        return cls(spec, np.frombuffer(body, dtype="<i8").astype(np.int64).reshape(shape))

    @classmethod
    def _body(cls, spec: Spec, data: bytes, size: int) -> bytes:
        if len(data) < _HEADER.size:
            raise CorruptState(f"{cls.__name__}: {len(data)} bytes are too few for a header")
        magic, kind, version, spec_hash, stated = _HEADER.unpack_from(data)
        if magic != _MAGIC or kind != cls.KIND:
            raise CorruptState(f"{cls.__name__}: the bytes hold something else")
        if version != cls.VERSION or spec_hash.hex() != spec.hash:
            raise IncompatibleState(f"{cls.__name__}: bytes of version {version}, spec {spec_hash.hex()[:8]}")
        inflate = zlib.decompressobj()
        try:
            # One byte more than it may have: the checksum at the end is only read when the data may go on.
            body = inflate.decompress(data[_HEADER.size :], size + 1)
        except zlib.error as error:
            raise CorruptState(f"{cls.__name__}: {error}") from error
        if not len(body) == stated == size or not inflate.eof or inflate.unused_data:
            raise CorruptState(f"{cls.__name__}: {len(body)} of {size} bytes, or bytes behind the end")
        return body

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ArrayState):
            return NotImplemented
        return (
            type(other) is type(self) and other.spec.hash == self.spec.hash and np.array_equal(other.array, self.array)
        )

    __hash__ = None  # type: ignore[assignment]  # mutable
