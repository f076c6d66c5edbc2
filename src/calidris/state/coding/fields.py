"""Field: how one column of a model becomes one cell of a histogram.

Every field, whatever its kind, has K *ordered* cells (bins or levels) followed by four *special* ones, so that one rule
serves all of them::

    | 0 … K-1 ordered | missing | other | low | high |

``other`` holds levels that the baseline never saw and values of the wrong type; ``low`` and ``high`` hold numbers outside
the baseline's range, so that a new tail shows at once. Every row lands in exactly one cell of every field.

A categorical field has no range: its cell ``low`` (`RARE`) is one of levels that the baseline met and does not keep by name. A field
that does not know them, as of baselines of earlier versions, counts them as ``other``, and nobody can say which of those are new.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any

import numpy as np

from calidris.batch import CodedColumn, Column, Floats, Ints, Mask, NumberColumn, find_missing
from calidris.config.class_names import class_text
from calidris.state.coding.known_levels import KnownLevels

_SINGLE_UNIT = 2.0**-23
"""One unit in the last place of 1 in single precision, which rounds by half of it unless a value is too small for it."""

SPECIALS = ("missing", "other", "low", "high")
MISSING, OTHER, LOW, HIGH = range(4)
RARE = LOW
"""Of a categorical field, so that cells lie where they lay before fields knew their rare levels."""


class Kind(StrEnum):
    """What the ordered cells of a field are."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    PRESENCE = "presence"  # one cell: nobody has told or learned the edges yet
    PAIR = "pair"  # which group of one column came with which of another


class Role(StrEnum):
    """Which column of a prediction a field reads."""

    FEATURE = "feature"
    SCORE = "score"
    DECISION = "decision"
    VALUE = "value"
    DURATION = "duration"
    ERROR = "error"
    PAIR = "pair"  # no column: the relation of two features (``pairs.Pair``)


@dataclass(frozen=True, slots=True)
class Field:
    """One column and the cells it is counted in.

    Attributes:
        name: the feature's name, or the semantic convention's name of any other column.
        role: which column of a prediction it reads.
        kind: what its ordered cells are.
        edges: K+1 ascending edges of a numeric field. Bin k holds ``(edges[k], edges[k+1]]``; the first one holds its left
            edge too.
        levels: K levels of a categorical field; names of a pair's K cells.
        known: the levels that the baseline met beside those; None where there were none, or nobody kept them.
    """

    name: str
    role: Role
    kind: Kind
    edges: tuple[float, ...] = ()
    levels: tuple[str, ...] = ()
    known: KnownLevels | None = None

    def __post_init__(self) -> None:
        # One spelling of each edge, or 1 and 1.0 would hash to two specs.
        object.__setattr__(self, "edges", tuple(float(edge) for edge in self.edges))
        if self.kind is Kind.NUMERIC and not _ascending(self.edges):
            raise ValueError(
                f"field {self.name!r}: a numeric field needs at least two ascending finite edges, got {self.edges}"
            )
        if self.kind is Kind.CATEGORICAL and (not self.levels or len(set(self.levels)) != len(self.levels)):
            raise ValueError(f"field {self.name!r}: a categorical field needs at least one level, none twice")
        if self.known is not None and self.kind is not Kind.CATEGORICAL:
            raise ValueError(f"field {self.name!r}: only a categorical field knows rare levels")

    @property
    def ordered(self) -> int:
        """K, the number of ordered cells."""
        if self.kind is Kind.PRESENCE:
            return 1
        return len(self.edges) - 1 if self.kind is Kind.NUMERIC else len(self.levels)

    @property
    def width(self) -> int:
        """All cells: the ordered ones and the four special ones."""
        return self.ordered + len(SPECIALS)

    def encode(self, column: Column | None, n: int) -> Ints:
        """The cell of each of n rows, int64[n]; ``None`` is a column that the batch does not have.

        >>> age = Field("age", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 30.0, 60.0))
        >>> age.encode(NumberColumn.of([0.0, 30.0, 31.0, 61.0, -1.0, float("nan")]), 6).tolist()
        [0, 0, 1, 5, 4, 2]
        """
        if column is None:
            return np.full(n, self.ordered + MISSING, dtype=np.int64)
        if self.kind is Kind.PRESENCE:
            return np.where(_has_value(column), 0, self.ordered + MISSING)
        if self.kind is Kind.NUMERIC:
            return self._encode_numeric(column)
        return self._encode_levels(column)

    def _encode_numeric(self, column: Column) -> Ints:
        k = self.ordered
        if isinstance(column, CodedColumn):
            return np.where(column.valid, k + OTHER, k + MISSING)
        # Position 0 is below the range and K+1 above it; the left edge itself belongs to the first bin.
        position = np.searchsorted(search_edges(self.edges), column.values, side="left")
        cells = np.r_[k + LOW, np.arange(k), k + HIGH][position]
        return np.where(_has_value(column), cells, k + MISSING)

    def _encode_levels(self, column: Column) -> Ints:
        k = self.ordered
        if isinstance(column, NumberColumn):
            column = as_coded(column)
        # A class arrives as a number, a boolean or a text; a level of a feature is the text itself.
        spell = class_text if self.role is Role.DECISION else str
        index = {spell(level): i for i, level in reversed(list(enumerate(self.levels)))}
        cells = np.array(
            [*(index.get(spell(level), k + OTHER) for level in column.levels), k + MISSING], dtype=np.int64
        )
        if self.known is not None:
            self._tell_rare(self.known, column.levels, cells)
        return cells[column.codes]  # code -1 reads the last entry

    def _tell_rare(self, known: KnownLevels, levels: Sequence[str], cells: Ints) -> None:
        """Move levels that are rare from ``other`` to their own cell."""
        k = self.ordered
        others = np.flatnonzero(cells[:-1] == k + OTHER)
        if len(others):
            are_known = known.find([levels[code] for code in others.tolist()])
            cells[others[are_known]] = k + RARE

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``Field.from_json`` reads back exactly."""
        plain = {
            "name": self.name,
            "role": self.role.value,
            "kind": self.kind.value,
            "edges": list(self.edges),
            "levels": list(self.levels),
        }
        # Only where there are some: specs of earlier versions keep their hash.
        return plain if self.known is None else {**plain, "known": self.known.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Field:
        """The field that ``to_json`` described."""
        known = data.get("known")
        return cls(
            data["name"],
            Role(data["role"]),
            Kind(data["kind"]),
            tuple(data["edges"]),
            tuple(data["levels"]),
            None if known is None else KnownLevels.from_json(known),
        )


def _has_value(column: Column) -> Mask:
    """Where there is a value: the largest double is no gap, it lies above the range, and its negative below."""
    if isinstance(column, CodedColumn):
        return column.valid
    return ~find_missing(column.values, column.valid)


def _ascending(edges: tuple[float, ...]) -> bool:
    return len(edges) >= 2 and math.isfinite(edges[-1] - edges[0]) and all(a < b for a, b in pairwise(edges))


def search_edges(edges: tuple[float, ...]) -> Floats:
    """The edges as values are laid against them: a value that is an edge is in the same bin in double and in single precision.

    The outer ones have a slack of one unit in the last place of single precision; an inner one that single precision rounds up
    goes with it. The first lies a hair lower still, so that "above an edge" has one meaning for all of them.

    >>> price = (0.1, 0.7, 0.9)
    >>> bool(np.float64(np.float32(0.7)) > price[1]), bool(np.float64(np.float32(0.7)) > search_edges(price)[1])
    (False, False)
    >>> bool(np.float64(np.float32(0.1)) > 0.1), bool(np.float64(np.float32(0.9)) > search_edges(price)[-1])
    (True, False)
    """
    exact = np.array(edges, dtype=np.float64)
    table = exact.copy()
    table[:-1] = _raise_inner(exact)
    lower, upper = _single_units(exact[[0, -1]]).tolist()
    table[0] = np.nextafter(exact[0] - lower, -np.inf)
    table[-1] = exact[-1] + upper
    return table


def _raise_inner(edges: Floats) -> Floats:
    """All edges but the last, rounded to single precision where that is up."""
    rounded = _in_single(edges)[:-1]
    inner = edges[:-1]
    gaps = np.diff(edges)
    raised = np.maximum(rounded, inner)
    # Where bins are hardly wider than single precision tells apart, nobody sends it, and edges stay where they are.
    most = np.minimum(gaps / 2, np.abs(inner) * _SINGLE_UNIT)
    return np.where(raised - inner < most, raised, inner)


def _in_single(values: Floats) -> Floats:
    """Values rounded to single precision; as they are where it is too small for them."""
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    return np.where(np.isfinite(single), single, values)


def _single_units(values: Floats) -> Floats:
    """One unit in the last place of each value in single precision, whose smallest is 2^-149."""
    _, exponents = np.frexp(values)
    places = np.where(values == 0.0, -149, exponents - 24)
    return np.ldexp(1.0, np.maximum(places, -149))


def as_coded(column: NumberColumn) -> CodedColumn:
    """Numbers as levels (a class sent as 1 or 1.0 is the level "1")."""
    values, inverse = np.unique(column.values + 0.0, return_inverse=True)  # -0.0 is the level "0"
    codes = np.where(column.valid, inverse, -1).astype(np.int32)
    return CodedColumn(tuple(f"{v:.17g}" for v in values.tolist()), codes)


def as_classes(column: CodedColumn) -> CodedColumn:
    """Texts in the one spelling of classes: those that are one class are one level.

    >>> as_classes(CodedColumn.of(["True", "1.0", "no"])).strings()
    ['1', '1', 'no']
    """
    index: dict[str, int] = {}
    places = [index.setdefault(class_text(level), len(index)) for level in column.levels]
    # Code -1, which is missing, reads the last one.
    codes = np.array([*places, -1], dtype=np.int32)[column.codes]
    return CodedColumn(tuple(index), codes)
