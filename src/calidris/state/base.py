"""State: a mergeable summary of rows, and the nine laws that every one of them keeps.

1. the empty state is the identity of merge;  2. order does not matter;  3. grouping does not matter;
4. merging the states of parts gives the state of one pass;  5. merge leaves its argument untouched;
6. bytes round-trip;  7. different specs refuse to merge;  8. every row is counted, missing ones included;
9. what is read from a state agrees with numpy, scipy or scikit-learn on the raw rows.

``tests/state/test_laws.py`` runs them over every state. Not thread-safe on purpose: one writer owns a state.
"""

from __future__ import annotations

import math
from typing import ClassVar, Protocol, Self

import numpy as np

from calidris.batch import Ints
from calidris.errors import CorruptState, IncompatibleState
from calidris.state import state_bytes
from calidris.state.spec import Spec


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


class _UnderSpec(Protocol):
    @property
    def spec(self) -> Spec: ...


def require_same(state: _UnderSpec, other: _UnderSpec) -> None:
    """Refuse to merge what does not belong together.

    Raises:
        IncompatibleState: another kind of state, or another spec.
    """
    if type(other) is not type(state) or other.spec.hash != state.spec.hash:
        raise IncompatibleState(
            f"{type(state).__name__} of spec {state.spec.hash[:8]} cannot merge "
            f"{type(other).__name__} of spec {other.spec.hash[:8]}"
        )


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
        require_same(self, other)
        self.array += other.array

    def copy(self) -> Self:
        """An independent state of the same rows."""
        return type(self)(self.spec, self.array.copy())

    def to_bytes(self) -> bytes:
        """Header and deflated little-endian int64; equal states give equal bytes."""
        raw = self.array.astype("<i8", copy=False).tobytes()
        return state_bytes.pack(self.KIND, self.VERSION, self.spec.hash, raw)

    @classmethod
    def from_bytes(cls, spec: Spec, data: bytes) -> Self:
        """The state that ``to_bytes`` wrote.

        Raises:
            CorruptState: not the bytes of this kind of state.
            IncompatibleState: bytes of another spec or format version.
        """
        shape = cls.shape(spec)
        size = 8 * math.prod(shape)
        body = state_bytes.unpack(cls.__name__, cls.KIND, cls.VERSION, spec.hash, data, size)
        if len(body) != size:
            raise CorruptState(f"{cls.__name__}: {len(body)} of {size} bytes")
        return cls(spec, np.frombuffer(body, dtype="<i8").astype(np.int64).reshape(shape))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ArrayState):
            return NotImplemented
        return (
            type(other) is type(self) and other.spec.hash == self.spec.hash and np.array_equal(other.array, self.array)
        )

    __hash__ = None  # type: ignore[assignment]  # mutable
