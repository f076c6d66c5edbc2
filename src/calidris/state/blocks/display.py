"""Display bins of every number of a model, which no baseline decides: so that a new baseline can re-bin the past.

The bins are log-linear, the same for ever and for every model::

    | negative, largest first | 0 | positive, smallest first | missing | other |
      2048                      1   2048                       1         1

Sixteen bins to a power of two from 2^-64 to 2^64, so a bin is at most a sixteenth wider than its lower end is large; what is
smaller or larger falls into the first or last bin. A bin of numbers is ``(low, high]``, as the bins of a field are: a whole
number up to 32, or any edge with five binary digits, is a boundary, and re-binning there is exact.

Numbers that vary little beside their size (years, time stamps) share few bins, and re-binning states a large error for them.
The bins are those of exponential histograms (Masson, Rim & Lee, "DDSketch", PVLDB 12(12), 2019; OpenTelemetry's exponential
histogram), with even steps inside a power of two, which needs no logarithm.
"""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar, NamedTuple, Self

import numpy as np

from calidris.batch import CodedColumn, Floats, Ints, NumberColumn, PredictionBatch, find_missing
from calidris.errors import CorruptState
from calidris.state import state_bytes
from calidris.state.base import require_same
from calidris.state.coding.fields import Kind, Role, search_edges
from calidris.state.spec import Spec, column_of

SUB_BITS, LOWEST, HIGHEST = 4, -64, 64
SIDE = (HIGHEST - LOWEST) << SUB_BITS
"""Bins of one sign."""

ZERO = SIDE
MISSING_CELL, OTHER_CELL = 2 * SIDE + 1, 2 * SIDE + 2
CELLS = 2 * SIDE + 3

_SHIFT = 52 - SUB_BITS
_BASE = (1023 + LOWEST) << SUB_BITS
_MAGNITUDE = 0x7FFF_FFFF_FFFF_FFFF  # all bits but the sign


@lru_cache(maxsize=1)
def bounds() -> tuple[Floats, Floats]:
    """Ends of the bins of numbers, float64[2 * SIDE + 1] each: bin k holds ``(low[k], high[k]]``, the one of 0 only 0."""
    step = np.arange(1, SIDE, dtype=np.int64)
    inner = np.ldexp(1.0 + (step & 15) / 16.0, (step >> SUB_BITS) + LOWEST)
    tiny, huge = np.nextafter(0.0, 1.0), np.finfo(np.float64).max
    positive = np.concatenate([[0.0], inner, [huge]])
    negative = -np.concatenate([[tiny], inner, [huge]])[::-1]
    low = np.concatenate([negative[:-1], [-tiny], positive[:-1]])
    low[0] = -np.inf  # the largest negative number is in
    return low, np.concatenate([negative[1:], positive])


def _cells_of_block(columns: list[NumberColumn], block: slice) -> Ints:
    """The bin of each value of some columns, int64[columns, n]."""
    values = np.array([c.values[block] for c in columns])
    valid = np.array([c.valid[block] for c in columns])
    cells = number_cells(values)
    # What is beyond all measure has a bin here too.
    cells[find_missing(values, valid)] = MISSING_CELL
    return cells


def number_cells(values: Floats) -> Ints:
    """Bin of each number: exponent and first four digits are the upper bits of a double, which thus count the bins."""
    bits = np.ascontiguousarray(values).view(np.int64)
    magnitude = bits & _MAGNITUDE
    sign = bits >> 63  # 0 or -1
    # One less where positive, so that a bin there holds its upper end; a negative one holds its end nearer to 0, the upper too.
    at = (magnitude + ~sign) >> _SHIFT
    at -= _BASE - 1
    np.clip(at, 1, SIDE, out=at)
    at *= magnitude != 0
    at ^= sign  # with the line below: negated where negative, without a branch
    at -= sign
    at += ZERO
    return at


def rows_up_to(t: float, first: float, below: Ints) -> tuple[int, int]:
    """About how many rows are at most t, and how far that can be wrong; ``below[j]`` are the rows of the first j bins.

    A bin that ends exactly at the first edge is taken to hold rows at that edge, as whole numbers do: they are not below it.
    """
    low, high = bounds()
    j = int(np.searchsorted(high, t, side="right"))
    certain = int(below[j])
    if j == len(high) or low[j] >= t:
        return certain, 0
    n = int(below[j + 1]) - certain
    start = max(float(low[j]), -float(high[-1]))
    share = 0.0 if high[j] == first else (t - start) / (float(high[j]) - start)
    part = round(n * share)
    return certain + part, max(part, n - part)


_PAGE_BITS = 5
PAGE = 1 << _PAGE_BITS
PAGES = -(-CELLS // PAGE)
FIELD = PAGES * PAGE
"""Cells of a field with the padding of its last page; a page takes memory once a row falls into it."""

BLOCK_VALUES = 65_536
"""Values handled at once, 512 KiB: enough that numpy's cost of a call is nothing beside them, few enough for the second cache."""

_ROLES = frozenset({Role.FEATURE, Role.SCORE, Role.VALUE})


class Rebinned(NamedTuple):
    """Rows of a field under other edges.

    Attributes:
        counts: int64[K + 4], bins and special cells as ``Field`` orders them; they add up to all rows.
        error: int64[K + 4], how far each count can be from that of the raw rows.
    """

    counts: Ints
    error: Ints


class DisplayState:
    """Counts of every field that may hold numbers, sparse: pages of ``PAGE`` cells that rows have touched.

    Memory is 256 bytes a touched page and 1 KiB a field, at most 34 KiB a field whatever the rows; a feature of one scale
    touches twenty pages.
    """

    KIND: ClassVar[int] = 8
    VERSION: ClassVar[int] = 1
    __slots__ = ("_data", "_slot", "rows", "spec")

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.rows = 0
        self._slot = np.full(len(shown(spec)) * PAGES, -1, dtype=np.int64)
        self._data: Ints = np.zeros((0, PAGE), dtype=np.int64)

    @property
    def count(self) -> int:
        """Rows seen."""
        return self.rows

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return int(self._slot.nbytes + self._data.nbytes)

    def update(self, batch: PredictionBatch) -> None:
        """Add the rows of a batch; about 8 ns a value."""
        n = len(batch)
        self.rows += n
        numbers: list[tuple[int, NumberColumn]] = []
        for at, i in enumerate(shown(self.spec) if n else ()):
            column = column_of(batch, self.spec.fields[i])
            if isinstance(column, NumberColumn):
                numbers.append((at * FIELD, column))
            else:
                self._add_others(at * FIELD, n, column)
        step = max(1, BLOCK_VALUES // max(len(numbers), 1))
        starts = np.array([[start] for start, _ in numbers])
        for begin in range(0, n if numbers else 0, step):
            block = slice(begin, begin + step)
            cells = _cells_of_block([c for _, c in numbers], block)
            self._add((cells + starts).ravel())

    def _add_others(self, start: int, n: int, column: CodedColumn | None) -> None:
        """Rows of a field that are no numbers."""
        other = 0 if column is None else int(np.count_nonzero(column.valid))
        cells = np.array([MISSING_CELL, OTHER_CELL])
        self._add(start + cells, np.array([n - other, other]))

    def _add(self, cells: Ints, counts: Ints | None = None) -> None:
        page = cells >> _PAGE_BITS
        slot = self._slot.take(page)
        if len(slot) and slot.min() < 0:
            fresh = np.unique(page[slot < 0])
            self._slot[fresh] = np.arange(len(self._data), len(self._data) + len(fresh))
            self._data = np.concatenate([self._data, np.zeros((len(fresh), PAGE), dtype=np.int64)])
            slot = self._slot.take(page)
        slot <<= _PAGE_BITS
        slot += cells & (PAGE - 1)
        np.add.at(self._data.reshape(-1), slot, 1 if counts is None else counts)

    def touched(self, at: int | None = None) -> tuple[Ints, Ints]:
        """Cells with rows, ascending, and their counts: of all shown fields one after the other, or of the at-th from 0."""
        pages = self._slot if at is None else self._slot[at * PAGES : (at + 1) * PAGES]
        used = np.flatnonzero(pages >= 0)
        page, inside = np.nonzero(self._data[pages[used]])
        return used[page] * PAGE + inside, self._data[pages[used[page]], inside]

    def merge(self, other: Self) -> None:
        """Add the rows of ``other``, which stays untouched; O(touched cells).

        Raises:
            IncompatibleState: another kind of state, or another spec; ``under`` takes rows to another spec.
        """
        require_same(self, other)
        self.rows += other.rows
        self._add(*other.touched())

    def under(self, spec: Spec) -> Self:
        """The same rows as a state of another spec: fields of the same role and name are taken over, others are not.

        Rows are missing in a field that only the other spec has.
        """
        out = type(self)(spec)
        out.rows = self.rows
        mine = {(self.spec.fields[i].role, self.spec.fields[i].name): at for at, i in enumerate(shown(self.spec))}
        for at, i in enumerate(shown(spec)):
            found = mine.get((spec.fields[i].role, spec.fields[i].name))
            cells, counts = (np.array([MISSING_CELL]), np.array([self.rows])) if found is None else self.touched(found)
            out._add(cells + at * FIELD, counts)
        return out

    def field(self, i: int) -> Ints:
        """Counts of field i of the spec, int64[CELLS]; ``bounds`` says where they are.

        Raises:
            ValueError: the field is not shown.
        """
        out: Ints = np.zeros(CELLS, dtype=np.int64)
        cells, counts = self.touched(shown(self.spec).index(i))
        out[cells] = counts
        return out

    def rebin(self, i: int, edges: tuple[float, ...]) -> Rebinned:
        """Rows of field i of the spec in bins ``(edge, next edge]``, the first with its left edge, as ``Field`` counts them.

        A bin that an edge cuts is shared out evenly over its length, and all of it is the error of the cells on both sides.
        """
        counts = self.field(i)
        below = np.concatenate([[0], np.cumsum(counts[:MISSING_CELL])])
        cuts = [rows_up_to(t, edges[0], below) for t in search_edges(edges).tolist()]
        under, wrong = (np.array(column, dtype=np.int64) for column in zip(*cuts))
        inner = np.diff(np.concatenate([[0], under, below[-1:]]))
        error = np.concatenate([[0], wrong]) + np.concatenate([wrong, [0]])
        # From | low | bins | high | to | bins | missing | other | low | high |.
        return Rebinned(
            np.concatenate([inner[1:-1], counts[MISSING_CELL:], inner[[0, -1]]]),
            np.concatenate([error[1:-1], [0, 0], error[[0, -1]]]),
        )

    def copy(self) -> Self:
        """An independent state of the same rows."""
        out = type(self)(self.spec)
        out.merge(self)
        return out

    def to_bytes(self) -> bytes:
        """Self-describing bytes; equal states give equal ones."""
        cells, counts = self.touched()
        raw = np.concatenate([[self.rows], cells, counts]).astype("<i8").tobytes()
        return state_bytes.pack(self.KIND, self.VERSION, self.spec.hash, raw)

    @classmethod
    def from_bytes(cls, spec: Spec, data: bytes) -> Self:
        """The state that ``to_bytes`` wrote.

        Raises:
            CorruptState: not the bytes of such a state.
            IncompatibleState: bytes of another spec or format version.
        """
        most = 8 + 16 * CELLS * len(shown(spec))
        raw = state_bytes.unpack(cls.__name__, cls.KIND, cls.VERSION, spec.hash, data, most)
        m, rest = divmod(len(raw) - 8, 16)
        if m < 0 or rest:
            raise CorruptState(f"{cls.__name__}: {len(raw)} bytes are no rows, cells and counts")
        numbers = np.frombuffer(raw, dtype="<i8").astype(np.int64)
        cells, counts = numbers[1 : m + 1], numbers[m + 1 :]
        if (cells < 0).any() or (cells >= len(shown(spec)) * FIELD).any() or (np.diff(cells) <= 0).any():
            raise CorruptState(f"{cls.__name__}: its cells are not in order")
        out = cls(spec)
        out.rows = int(numbers[0])
        out._add(cells, counts)
        return out

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DisplayState):
            return NotImplemented
        same = other.spec.hash == self.spec.hash and other.rows == self.rows
        return same and all(np.array_equal(a, b) for a, b in zip(self.touched(), other.touched()))

    __hash__ = None  # type: ignore[assignment]  # mutable


@lru_cache(maxsize=64)
def shown(spec: Spec) -> tuple[int, ...]:
    """Positions of the fields that may hold numbers: all features, scores and values but the categories."""
    return tuple(i for i, f in enumerate(spec.fields) if f.role in _ROLES and f.kind is not Kind.CATEGORICAL)
