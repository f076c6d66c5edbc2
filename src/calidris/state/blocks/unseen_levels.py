"""Levels that the baseline never saw, by name and bounded: for explanation only.

Tests and figures see one cell, ``other``; this says what was in it. Each field keeps at most ``CAPACITY`` names as a frequent
items summary: counters are added up, and when there are too many, the (CAPACITY+1)-th largest is taken off all of them.
That is Misra and Gries' summary, of which Space-Saving is another view (Metwally, Agrawal & El Abbadi, "Efficient computation of
frequent and top-k elements in data streams", ICDT 2005), in the form that merges (Agarwal, Cormode, Huang, Phillips, Wei & Yi,
"Mergeable summaries", ACM TODS 38(4), 2013).

Guarantee, whatever was merged in whatever order, for each name with f rows out of N unseen ones::

    at_least <= f <= at_least + error        error <= (N - Σ at_least) / (CAPACITY + 1)

so that every level with more than N / (CAPACITY + 1) rows is named. All nine laws hold while a field has no more than
``CAPACITY`` unseen levels. Beyond that identity, order of two, untouched argument, bytes, refusal and the count of rows still
hold, while grouping and parts may give other counters: all of them within the guarantee.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from calidris.batch import CodedColumn, Ints, NumberColumn, PredictionBatch
from calidris.errors import CorruptState
from calidris.state import state_bytes
from calidris.state.base import require_same
from calidris.state.coding.fields import OTHER, Kind, as_coded
from calidris.state.spec import Spec, column_of

CAPACITY = 32
MOST_IN_ALL = 2048
"""Names of all fields of a state together: a spec with more than 64 categorical fields keeps fewer names of each, four at least."""
NAME_BYTES = 400
"""The most that a name takes in memory, of characters outside the first plane."""
MAX_CHARACTERS = 64
"""A name is cut here; names that only differ behind it count as one."""

_MOST_NAME_BYTES = 12 * MAX_CHARACTERS + 32  # a character outside the first plane is twelve bytes of JSON


class Level(NamedTuple):
    """One unseen level: rows between ``at_least`` and ``at_most``."""

    name: str
    at_least: int
    at_most: int


class _Summary:
    """The frequent names of one field."""

    __slots__ = ("capacity", "error", "held", "unseen")

    def __init__(self, capacity: int, unseen: int = 0, error: int = 0, held: dict[str, int] | None = None) -> None:
        self.capacity = capacity
        self.unseen = unseen
        self.error = error
        self.held: dict[str, int] = held or {}

    @property
    def nameless(self) -> int:
        """Rows whose level has no name here, or is named for fewer rows than it had."""
        return self.unseen - sum(self.held.values())

    def add(self, names: dict[str, int], unseen: int, error: int = 0) -> None:
        """Add counters, then take the first one too many off all of them."""
        self.unseen += unseen
        self.error += error
        for name, n in names.items():
            self.held[name] = self.held.get(name, 0) + n
        if len(self.held) > self.capacity:
            cut = sorted(self.held.values(), reverse=True)[self.capacity]
            self.held = {name: n - cut for name, n in self.held.items() if n > cut}
            self.error += cut


class LevelsState:
    """Unseen levels of the categorical fields of a model.

    >>> from calidris.batch import ModelKey
    >>> from calidris.state.coding.fields import Field, Role
    >>> spec = Spec(fields=(Field("country", Role.FEATURE, Kind.CATEGORICAL, levels=("NL",)),))
    >>> country = CodedColumn.of(["NL", "FR", "FR", "DE", None])
    >>> batch = PredictionBatch(ModelKey("t", "m", "1"), np.zeros(5, np.int64), {"country": country})
    >>> state = LevelsState(spec)
    >>> state.update(batch, spec.encode(batch))
    0
    >>> state.top(2)
    [Level(name='FR', at_least=2, at_most=2), Level(name='DE', at_least=1, at_most=1)]
    """

    KIND: ClassVar[int] = 7
    VERSION: ClassVar[int] = 1
    __slots__ = ("_fields", "rows", "spec")

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.rows = 0
        self._fields = {i: _Summary(capacity_of(spec)) for i in _named(spec)}

    @property
    def count(self) -> int:
        """Rows seen."""
        return self.rows

    def update(self, batch: PredictionBatch, cells: Ints, sizes: Sequence[int] = ()) -> int:
        """Add the rows of a batch, whose cells int64[fields, n] ``Spec.encode`` gave; how many values have no name kept.

        ``sizes`` are the rows of the batches that it was joined of: their names are added one batch after the other, because
        beyond ``CAPACITY`` it matters which came together.

        Cost: one comparison a categorical value, and one dictionary entry a distinct unseen level of the batch.
        """
        self.rows += len(batch)
        nameless = 0
        fields = list(self._fields)
        other = np.array([[self.spec.offsets[i] + self.spec.fields[i].ordered + OTHER] for i in fields])
        unseen = cells[fields] == other.reshape(-1, 1)
        for at in np.flatnonzero(unseen.any(axis=1)).tolist():
            column = column_of(batch, self.spec.fields[fields[at]])
            if column is not None:
                summary = self._fields[fields[at]]
                before = summary.nameless
                places = np.flatnonzero(unseen[at])
                for part in np.split(places, np.searchsorted(places, np.cumsum(sizes)[:-1])):
                    rows = column.take(part)
                    names = _names(as_coded(rows) if isinstance(rows, NumberColumn) else rows)
                    summary.add(names, len(rows))
                nameless += summary.nameless - before
        return nameless

    def merge(self, other: Self) -> None:
        """Add the rows of ``other``, which stays untouched; at most ``CAPACITY`` names a field.

        Raises:
            IncompatibleState: another kind of state, or another spec.
        """
        require_same(self, other)
        self.rows += other.rows
        for i, summary in other._fields.items():
            self._fields[i].add(dict(summary.held), summary.unseen, summary.error)

    def top(self, i: int, most: int = CAPACITY) -> list[Level]:
        """Unseen levels of field i of the spec, commonest first and by name among equals."""
        summary = self._fields.get(i, _Summary(0))
        ranked = sorted(summary.held.items(), key=lambda item: (-item[1], item[0]))
        return [Level(name, n, n + summary.error) for name, n in ranked[:most]]

    def unseen(self, i: int) -> int:
        """Rows with an unseen level in field i of the spec: exact."""
        return self._fields[i].unseen if i in self._fields else 0

    def copy(self) -> Self:
        """An independent state of the same rows."""
        out = type(self)(self.spec)
        out.merge(self)
        return out

    def to_bytes(self) -> bytes:
        """Self-describing bytes; equal states give equal ones."""
        fields = [[s.unseen, s.error, sorted(s.held.items())] for s in self._fields.values()]
        return state_bytes.pack(
            self.KIND, self.VERSION, self.spec.hash, json.dumps([self.rows, fields]).encode("ascii")
        )

    @classmethod
    def from_bytes(cls, spec: Spec, data: bytes) -> Self:
        """The state that ``to_bytes`` wrote.

        Raises:
            CorruptState: not the bytes of such a state.
            IncompatibleState: bytes of another spec or format version.
        """
        raw = state_bytes.unpack(cls.__name__, cls.KIND, cls.VERSION, spec.hash, data, cls.most_bytes(spec))
        out = cls(spec)
        try:
            out.rows, fields = json.loads(raw)
            most = capacity_of(spec)
            out._fields = {i: _summary(most, *values) for i, values in zip(out._fields, fields, strict=True)}
        except (ValueError, TypeError) as error:
            raise CorruptState(f"{cls.__name__}: {error}") from error
        return out

    @classmethod
    def most_bytes(cls, spec: Spec) -> int:
        """The largest such a state can be in bytes, before they are deflated."""
        return 64 + len(_named(spec)) * (64 + CAPACITY * _MOST_NAME_BYTES)

    def __eq__(self, other: object) -> bool:
        return self.to_bytes() == other.to_bytes() if isinstance(other, LevelsState) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # mutable


def capacity_of(spec: Spec) -> int:
    """Names that each field of a spec keeps."""
    return max(min(CAPACITY, MOST_IN_ALL // max(len(_named(spec)), 1)), 4)


def levels_bytes(spec: Spec) -> int:
    """The most bytes that such a state takes in memory."""
    return len(_named(spec)) * capacity_of(spec) * NAME_BYTES


@lru_cache(maxsize=64)
def _named(spec: Spec) -> tuple[int, ...]:
    """Positions of the fields whose unseen levels have names: a codebook has none unseen."""
    known = {f.name for book in spec.codebooks for f in book.fields}
    return tuple(i for i, f in enumerate(spec.fields) if f.kind is Kind.CATEGORICAL and f.name not in known)


def _names(column: CodedColumn) -> dict[str, int]:
    """Rows of each level, cut to a bounded length."""
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.levels))
    out: dict[str, int] = {}
    for code in np.flatnonzero(counts).tolist():
        name = column.levels[code][:MAX_CHARACTERS]
        out[name] = out.get(name, 0) + int(counts[code])
    return out


def _summary(most: int, unseen: int, error: int, held: list[list[Any]]) -> _Summary:
    names = {str(name): int(n) for name, n in held}
    if len(names) > CAPACITY or len(names) != len(held) or min(unseen, error, *names.values(), 0) < 0:
        raise ValueError("counters that no rows make")
    out = _Summary(most, int(unseen), int(error))
    out.add(names, 0)  # states from before there was a bound on all names may have more
    return out
