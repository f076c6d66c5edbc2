"""Corners: a few cells of the space of features, each the rows that some conditions hold of, in which losses are counted apart.

A shallow binary tree over coded features. It is frozen with the baseline and found by ``corner_fitting``; here rows are told where they
lie, and corners what they are called::

    cells of a batch ── each split: left or right ── three steps down the tree ── corner of each row
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NamedTuple

import numpy as np

from calidris.batch import Ints, Mask
from calidris.state.coding.fields import LOW, Field, Kind, Role

DEPTH: Final = 3
SPLITS: Final = 2**DEPTH - 1
DIGITS: Final = (4, 9, 15, 17)
"""Of an edge in a name: the fewest that keep a feature's edges apart, dates and account numbers too; the last tells any two doubles apart."""
NAMED_LEVELS: Final = 3
"""Levels that the name of a corner lists; of the others it says how many there are."""


@dataclass(frozen=True, slots=True)
class Split:
    """Rows of some cells of a feature go left, all others right.

    Attributes:
        feature: its name.
        left: ordered cells whose rows go left; of a number, those up to an edge, and what lies below the range goes with them.
        gaps: whether rows of the baseline had no value: these, and values of no known level, go right.
    """

    feature: str
    left: tuple[int, ...]
    gaps: bool = False

    def goes_left(self, field: Field) -> Mask:
        """Which of a field's cells do, bool[width]."""
        out = np.zeros(field.width, dtype=np.bool_)
        out[list(self.left)] = True
        if field.kind is Kind.NUMERIC:
            low = field.ordered + LOW
            out[low] = True
        return out

    def fits(self, field: Field | None) -> bool:
        """Whether a field has the cells that it asks for."""
        if field is None or not self.left:
            return False
        return min(self.left) >= 0 and max(self.left) < field.ordered


class Step(NamedTuple):
    """One condition on the way to a corner."""

    split: Split
    left: bool


Path = tuple[Step, ...]
"""All conditions on the way to a corner, from the top."""


@dataclass(frozen=True)
class Corners:
    """The tree.

    Attributes:
        splits: seven places of a whole tree of three levels; those below i are 2i + 1 (left) and 2i + 2. None where it does not go on.

    >>> tree = Corners((Split("age", (0,)), None, None, None, None, None, None))
    >>> age = Field("age", Role.FEATURE, Kind.NUMERIC, edges=(18.0, 40.0, 90.0))
    >>> tree.count, tree.names([age]), tree.place([age], np.array([[0, 1, 2]])).tolist()
    (2, ('age <= 40', 'age > 40'), [0, 1, 1])
    """

    splits: tuple[Split | None, ...]

    def __post_init__(self) -> None:
        if len(self.splits) != SPLITS or self.splits[0] is None:
            raise ValueError(f"a tree of corners has {SPLITS} places, the first of them a split")
        for place in range(1, SPLITS):
            above = (place - 1) // 2
            if self.splits[above] is None and self.splits[place] is not None:
                raise ValueError("a tree of corners goes on below a place where it does not")

    @property
    def count(self) -> int:
        """Corners."""
        return len(self.paths)

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        """The conditions of each corner, from left to right."""
        return tuple(self._walk(0, ()))

    def _walk(self, place: int, path: Path) -> Iterator[Path]:
        """The paths through one place of the tree."""
        split = self.splits[place] if place < SPLITS else None
        if split is None:
            yield path
            return
        left = Step(split, True)
        right = Step(split, False)
        yield from self._walk(2 * place + 1, (*path, left))
        yield from self._walk(2 * place + 2, (*path, right))

    @cached_property
    def _lowest(self) -> Ints:
        """Corner at each place of the lowest level, int64[8]: where the tree ends higher up, the way goes on to the left."""
        out = np.full(SPLITS + 1, -1, dtype=np.int64)
        for corner, path in enumerate(self.paths):
            place = 0
            for level in range(DEPTH):
                right = level < len(path) and not path[level].left
                place = 2 * place + right
            out[place] = corner
        return out

    def place(
        self,
        fields: Sequence[Field],
        cells: Ints,
        offsets: Ints | None = None,
    ) -> Ints:
        """The corner of each of n rows, int64[n].

        Args:
            fields: of the spec.
            cells: int64[fields, n].
            offsets: first cell of each field; zeros unless given.

        Cost: one look-up a split and row.
        """
        turns = self._find_turns(fields, cells, offsets)
        rows = np.arange(cells.shape[1])
        at = np.zeros(len(rows), dtype=np.int64)
        for _ in range(DEPTH):
            at = 2 * at + 1 + turns[at, rows]
        return self._lowest[at - SPLITS]

    def _find_turns(
        self,
        fields: Sequence[Field],
        cells: Ints,
        offsets: Ints | None,
    ) -> Ints:
        """Whether a row goes right at each split, int64[7, n]; 0 where there is none."""
        out = np.zeros((SPLITS, cells.shape[1]), dtype=np.int64)
        index = _places_of(fields)
        for at, split in enumerate(self.splits):
            if split is None:
                continue
            place = index[split.feature]
            first = 0 if offsets is None else offsets[place]
            right = ~split.goes_left(fields[place])
            out[at] = right[cells[place] - first]
        return out

    def names(self, fields: Sequence[Field]) -> tuple[str, ...]:
        """What each corner is, in words: ``age <= 40 and country = NL``."""
        by_name = _by_name(fields)
        return tuple(_tell(path, by_name) for path in self.paths)

    def require(self, fields: Sequence[Field]) -> None:
        """Check that the fields have what is split on.

        Raises:
            ValueError: they have not.
        """
        by_name = _by_name(fields)
        for split in self.splits:
            if split is not None and not split.fits(by_name.get(split.feature)):
                raise ValueError(f"a corner is cut by {split.feature!r}, which has no such cells")

    def to_json(self) -> list[Any]:
        """Plain values that ``from_json`` reads back exactly."""
        return [split and [split.feature, list(split.left), split.gaps] for split in self.splits]

    @classmethod
    def from_json(cls, data: list[Any]) -> Corners:
        """The tree that ``to_json`` described."""
        return cls(tuple(map(_read_split, data)))


def _read_split(data: list[Any] | None) -> Split | None:
    if data is None:
        return None
    feature, left, gaps = data
    return Split(feature, tuple(left), gaps)


def _places_of(fields: Sequence[Field]) -> dict[str, int]:
    places = enumerate(fields)
    return {f.name: at for at, f in places if f.role is Role.FEATURE}


def _by_name(fields: Sequence[Field]) -> dict[str, Field]:
    return {f.name: f for f in fields if f.role is Role.FEATURE}


def _tell(path: Path, fields: dict[str, Field]) -> str:
    """All conditions, those on one feature together."""
    by_feature: dict[str, list[Step]] = {}
    for step in path:
        name = step.split.feature
        by_feature.setdefault(name, []).append(step)
    parts = []
    for name, steps in by_feature.items():
        field = fields[name]
        tell = _tell_number if field.kind is Kind.NUMERIC else _tell_levels
        parts.append(tell(field, steps))
    return " and ".join(parts)


def _tell_number(field: Field, steps: Sequence[Step]) -> str:
    """Between which edges: ``0.2 < x <= 0.5``."""
    above = max((_edge(field, s) for s in steps if not s.left), default=None)
    below = min((_edge(field, s) for s in steps if s.left), default=None)
    said = field.name
    digits = _count_digits(field.edges)
    if below is not None:
        said = f"{said} <= {below:.{digits}g}"
    if above is not None:
        edge = f"{above:.{digits}g}"
        said = f"{said} > {edge}" if below is None else f"{edge} < {said}"
    # They go right wherever they are asked.
    gaps = below is None and any(s.split.gaps for s in steps)
    return f"{said} or missing" if gaps else said


def _count_digits(edges: Sequence[float]) -> int:
    """Digits that tell edges apart, so that no two corners have one name."""
    for digits in DIGITS:
        told = {f"{edge:.{digits}g}" for edge in edges}
        if len(told) == len(edges):
            return digits
    return DIGITS[-1]


def _edge(field: Field, step: Step) -> float:
    """Up to which rows go left."""
    bins = len(step.split.left)
    return field.edges[bins]


def _tell_levels(field: Field, steps: Sequence[Step]) -> str:
    """Which levels: those that are left of all that went left, or all but those that did."""
    kept: set[int] | None = None
    gone: set[int] = set()
    for step in steps:
        cells = set(step.split.left)
        if not step.left:
            gone |= cells
        else:
            kept = cells if kept is None else kept & cells
    if kept is None:
        return f"{field.name} other than {_list(field, gone)}"
    inside = kept - gone
    word = "=" if len(inside) == 1 else "among"
    return f"{field.name} {word} {_list(field, inside)}"


def _list(field: Field, cells: set[int]) -> str:
    """The names of some levels, commonest first."""
    names = [field.levels[cell] for cell in sorted(cells)]
    listed = ", ".join(names[:NAMED_LEVELS])
    more = len(names) - NAMED_LEVELS
    return f"{listed} and {more} more" if more > 0 else listed
