"""Exact means and variances of every number that a prediction carries: features, score and regression output."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np

from calidris.batch import Floats, Ints, Mask, NumberColumn, PredictionBatch
from calidris.errors import CorruptState
from calidris.state import fixed, state_bytes
from calidris.state.base import ArrayState
from calidris.state.cell_sums import CellSums, cell_places, scales
from calidris.state.coding.fields import Field
from calidris.state.fixed import Moments, Scale
from calidris.state.spec import Spec, column_of

BLOCK_VALUES = 65_536
"""Values handled at once, 512 KiB: enough that numpy's cost of a call is nothing beside them, few enough for the second cache."""


class MomentsState(ArrayState):
    """Sums of the measured fields of a model, int64[1 + measured fields, 6]; row 0 holds the number of rows.

    Measured are the numeric fields of features, score and value, each on a scale that its edges fix: within 2^-17 to 2^-16
    of the spread between the inner edges, up to 2^13 spreads from the middle. ``fixed`` says what happens beyond.

    >>> from calidris.batch import ModelKey
    >>> from calidris.state.coding.fields import Field, Kind, Role
    >>> state = MomentsState(Spec(fields=(Field("age", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 30.0, 60.0)),)))
    >>> age = NumberColumn.of([20.0, 40.0, float("nan")])
    >>> state.update(PredictionBatch(ModelKey("t", "m", "1"), np.zeros(3, np.int64), {"age": age}))
    >>> state.count, state.field(2)
    (3, Moments(n=2, clipped=0, mean=30.0, variance=100.0, unit=0.00048828125))
    """

    KIND: ClassVar[int] = 5
    VERSION: ClassVar[int] = 2
    __slots__ = ("in_cells",)

    def __init__(
        self,
        spec: Spec,
        array: Ints | None = None,
        in_cells: CellSums | None = None,
    ) -> None:
        super().__init__(spec, array)
        self.in_cells = CellSums(spec) if in_cells is None else in_cells

    @classmethod
    def shape(cls, spec: Spec) -> tuple[int, ...]:
        """(rows, then each measured field; sums)."""
        return (1 + len(scales(spec)), fixed.SUMS)

    @property
    def count(self) -> int:
        """Rows seen."""
        return int(self.array[0, 0])

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return int(self.array.nbytes + self.in_cells.array.nbytes)

    def update(self, batch: PredictionBatch, cells: Ints | None = None) -> None:
        """Add the rows of a batch; about 8 ns a value, and 3 more with its cells.

        Args:
            batch: the rows.
            cells: int64[fields, n] as the spec's ``encode`` gives them, so that values are summed by cell as well.
        """
        self.array[0, 0] += len(batch)
        there = find_numbers(self.spec, batch)
        rows, step = list(there), max(1, BLOCK_VALUES // max(len(there), 1))
        centre = np.array([[s.centre] for s, _ in there.values()])
        unit = np.array([[s.unit] for s, _ in there.values()])
        if cells is not None:
            self.in_cells.array[0] += len(batch)
        for start in range(0, len(batch) if there else 0, step):
            block = slice(start, start + step)
            values = np.array([c.values[block] for _, c in there.values()])
            valid = np.array([c.valid[block] for _, c in there.values()])
            if not valid.all():
                # At the centre a value adds nothing.
                values = np.where(valid, values, centre)
            q, clipped = fixed.numbers(values, centre, unit)
            self.array[rows] += _sums(q, valid, clipped)
            if cells is not None:
                self._sum_cells(rows, cells[:, block], q, valid)
                if clipped.any():
                    self._sum_far(rows, (values - centre) / unit, clipped)

    def _sum_cells(
        self,
        rows: list[int],
        cells: Ints,
        q: Floats,
        valid: Mask,
    ) -> None:
        measured = [row - 1 for row in rows]
        fields = cell_places(self.spec).fields[measured]
        self.in_cells.add(measured, cells[fields], q, valid)

    def _sum_far(self, rows: list[int], whole: Floats, clipped: Mask) -> None:
        """Add the rest of values that a scale does not hold to their outer cell."""
        at, _ = np.nonzero(clipped)
        far = np.rint(whole[clipped])
        measured = np.array(rows, dtype=np.int64)[at] - 1
        self.in_cells.add_far(measured, far - np.copysign(fixed.LIMIT, far))

    def merge(self, other: Self) -> None:
        """Add the rows of ``other``, which stays untouched.

        Raises:
            IncompatibleState: another kind of state, or another spec.
        """
        super().merge(other)
        self.in_cells.merge(other.in_cells)

    def copy(self) -> Self:
        """An independent state of the same rows."""
        return type(self)(self.spec, self.array.copy(), self.in_cells.copy())

    def to_bytes(self) -> bytes:
        """Header and deflated little-endian int64; as version 1 wrote them where nothing was summed by cell."""
        parts = [self.array] if not self.in_cells.count else [self.array, self.in_cells.array]
        raw = b"".join(part.astype("<i8", copy=False).tobytes() for part in parts)
        return state_bytes.pack(self.KIND, len(parts), self.spec.hash, raw)

    @classmethod
    def from_bytes(cls, spec: Spec, data: bytes) -> Self:
        """The state that ``to_bytes`` wrote; of version 1 nothing is summed by cell.

        Raises:
            CorruptState: not the bytes of this kind of state.
            IncompatibleState: bytes of another spec or format version.
        """
        version = 1 if state_bytes.version_of(data) == 1 else cls.VERSION
        width = fixed.SUMS * cls.shape(spec)[0]
        size = width + (version - 1) * CellSums.shape(spec)[0]
        body = state_bytes.unpack(cls.__name__, cls.KIND, version, spec.hash, data, 8 * size)
        if len(body) != 8 * size:
            raise CorruptState(f"{cls.__name__}: {len(body)} of {8 * size} bytes")
        numbers = np.frombuffer(body, dtype="<i8").astype(np.int64)
        sums = CellSums(spec, numbers[width:].copy()) if version > 1 else None
        return cls(spec, numbers[:width].reshape(-1, fixed.SUMS).copy(), sums)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MomentsState):
            return NotImplemented
        return super().__eq__(other) and self.in_cells == other.in_cells

    __hash__ = None

    def field(self, i: int) -> Moments:
        """Moments of field i of the spec.

        Raises:
            KeyError: the field is not measured.
        """
        return fixed.moments(*self.sums_of(i))

    def sums_of(self, i: int) -> tuple[Ints, Scale]:
        """Sums int64[6] of field i of the spec, and their scale; raises as ``field``."""
        measured = scales(self.spec)
        if i not in measured:
            raise KeyError(f"field {self.spec.fields[i].name!r} has no moments")
        return self.array[1 + list(measured).index(i)], measured[i]


def _measured(spec: Spec) -> list[tuple[int, Field, Scale]]:
    """Row of the array, field and scale of each measured field."""
    return [(1 + at, spec.fields[i], scale) for at, (i, scale) in enumerate(scales(spec).items())]


def find_numbers(spec: Spec, batch: PredictionBatch) -> dict[int, tuple[Scale, NumberColumn]]:
    """Scale and column of each measured field that a batch has numbers of, by its row of the array."""
    columns = ((row, s, column_of(batch, f)) for row, f, s in _measured(spec))
    return {row: (s, c) for row, s, c in columns if isinstance(c, NumberColumn)}


def _sums(q: Floats, valid: Mask, clipped: Mask) -> Ints:
    """Sums of each field, int64[fields, 6]. A value that is missing stands at the centre, where it adds nothing.

    In doubles, and yet exact: whole numbers below 2^31, fewer than 2^21 of them, add up to less than 2^53.
    """
    a = np.floor(q * 2.0**-fixed.HALF)
    b = q - a * 2.0**fixed.HALF
    n, out = valid.sum(axis=1), clipped.sum(axis=1)
    dots = (np.vecdot(one, two) for one, two in ((a, a), (a, b), (b, b)))
    return np.stack([n, out, q.sum(axis=1), *dots], axis=1).astype(np.int64)
