"""Rows against what people have stated of a model's inputs: of the wrong type, out of range, of no known level, without a value.

No baseline is asked and nothing is estimated: one row is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from typing import Final, NamedTuple

import numpy as np

from calidris.batch import CodedColumn, Column, Mask, NumberColumn, PredictionBatch
from calidris.config.input_schema import FeatureSchema, InputSchema, InputType
from calidris.state.coding.stated_types import StatedType, as_stated, without_blanks

MISSING: Final = "missing"
TYPE: Final = "type_violation"
RANGE: Final = "out_of_range"
LEVEL: Final = "unseen"
"""Kinds of faults, values of ``ml.data_quality.kind``."""

LONGEST_TEXT: Final = 40
"""Characters of a value that are shown."""

NO_VALUE: Final = "no value"
NO_COLUMN: Final = "no such column"

_NOT: Final[dict[InputType, str]] = {
    "number": "no number",
    "integer": "no whole number",
    "boolean": "neither true nor false",
    "text": "a number, not a text",
}


_TRUTHS: Final = (0.0, 1.0)


class Fault(NamedTuple):
    """Rows of a batch in which one feature is not what was stated.

    Attributes:
        feature: its name.
        kind: which fault.
        example: the first of them, in words.
        rows: bool[n], which ones.
    """

    feature: str
    kind: str
    example: str
    rows: Mask


class FaultCount(NamedTuple):
    """Rows that had one fault, and the first of them in words."""

    feature: str
    kind: str
    rows: int
    example: str


class FaultCounts:
    """Faults of many batches, by feature and kind."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], FaultCount] = {}

    def __iter__(self) -> Iterator[FaultCount]:
        ordered = sorted(self._found.values())
        return iter(ordered)

    def add(self, faults: Iterable[Fault]) -> None:
        """Count the rows of a batch."""
        for fault in faults:
            rows = np.count_nonzero(fault.rows)
            self.put(FaultCount(fault.feature, fault.kind, int(rows), fault.example))

    def put(self, more: FaultCount) -> None:
        """Count rows of one fault. The example is the first one's for ever: it is where a search begins."""
        place = more.feature, more.kind
        before = self._found.get(place)
        rows = more.rows if before is None else before.rows + more.rows
        self._found[place] = (before or more)._replace(rows=rows)


class _Wrong(NamedTuple):
    """Rows with one kind of fault, and what to say of one of them."""

    kind: str
    rows: Mask
    say: Callable[[int], str]


def find_faults(
    batch: PredictionBatch,
    stated: InputSchema,
    converted: Collection[str],
) -> Iterator[Fault]:
    """The faults of a batch, by feature in the order of the schema.

    A value of the wrong type has no other fault. A feature that is sent as a slice only is looked up there; its texts are read
    as what was stated, because slices are always text.

    Args:
        batch: rows as they came.
        stated: what their features must be.
        converted: features of which texts are read as numbers, or numbers as texts, before they are counted: the model's `types`.

    Cost: a few passes over each stated column.

    >>> from calidris.batch import ModelKey
    >>> age = NumberColumn.of([30, 130, float("nan")])
    >>> rows = PredictionBatch(ModelKey("default", "m", "1"), np.zeros(3), {"age": age})
    >>> stated = InputSchema(features={"age": FeatureSchema(max=120, nulls=False)})
    >>> [(f.kind, f.example, f.rows.tolist()) for f in find_faults(rows, stated, ())]
    [('missing', 'no value', [False, False, True]), ('out_of_range', '130, above 120', [False, True, False])]
    """
    for name, feature in stated.features.items():
        may_convert = name in converted or name not in batch.features
        for wrong in _check(batch, name, feature, may_convert):
            if wrong.rows.any():
                first = int(wrong.rows.argmax())
                example = wrong.say(first)
                yield Fault(name, wrong.kind, example, wrong.rows)


def list_checks(stated: InputSchema) -> Iterator[tuple[str, str]]:
    """Name of each feature with each kind of fault that its rows may have.

    >>> list(list_checks(InputSchema(features={"age": FeatureSchema(max=120)})))
    [('age', 'type_violation'), ('age', 'out_of_range')]
    """
    for name, feature in stated.features.items():
        if not feature.nulls:
            yield name, MISSING
        # A range alone states a type: what is no number has no place in it.
        if _type_of(feature) is not None:
            yield name, TYPE
        if feature.is_bounded:
            yield name, RANGE
        if feature.levels is not None:
            yield name, LEVEL


def _check(
    batch: PredictionBatch,
    name: str,
    feature: FeatureSchema,
    may_convert: bool,
) -> Iterator[_Wrong]:
    vectors = batch.embeddings.get(name)
    if vectors is not None:
        yield from _check_gaps(feature, vectors.valid, NO_VALUE)
        return
    column = _find_column(batch, name)
    if column is None:
        nowhere = np.zeros(len(batch), dtype=np.bool_)
        yield from _check_gaps(feature, nowhere, NO_COLUMN)
        return
    yield from _check_gaps(feature, column.valid, NO_VALUE)
    yield from _check_values(column, feature, may_convert)


def _find_column(batch: PredictionBatch, name: str) -> Column | None:
    column: Column | None = batch.features.get(name)
    if column is None:
        column = batch.slices.get(name)
    if isinstance(column, CodedColumn):
        return without_blanks(column)
    return column


def _check_gaps(
    feature: FeatureSchema,
    valid: Mask,
    why: str,
) -> Iterator[_Wrong]:
    if feature.nulls:
        return
    yield _Wrong(MISSING, ~valid, lambda row: why)


def _check_values(
    column: Column,
    feature: FeatureSchema,
    may_convert: bool,
) -> Iterator[_Wrong]:
    kind = _type_of(feature)
    right = column
    if kind is not None:
        read = _convert(column, kind) if may_convert else column
        of_type = _is_of_type(read, kind)
        wrong = column.valid & ~of_type
        why = _NOT[kind]
        yield _Wrong(TYPE, wrong, lambda row: f"{_show(column, row)} is {why}")
        # What is of another type has no place in a range or among levels.
        right = _without(read, wrong)
    if isinstance(right, NumberColumn):
        yield from _check_range(right, feature)
    if feature.levels is not None:
        yield from _check_levels(right, feature)


def _type_of(feature: FeatureSchema) -> InputType | None:
    """The type that was stated; a range is one of numbers."""
    if feature.type is None and feature.is_bounded:
        return "number"
    return feature.type


def _convert(column: Column, kind: InputType) -> Column:
    counted: StatedType = "number" if kind == "integer" else kind
    return as_stated(column, counted)


def _is_of_type(column: Column, kind: InputType) -> Mask:
    """Rows with a value of a type."""
    is_text = isinstance(column, CodedColumn)
    wants_text = kind == "text"
    if is_text != wants_text:
        return np.zeros(len(column), dtype=np.bool_)
    if isinstance(column, CodedColumn):
        return column.valid
    is_right = column.valid
    if kind == "integer":
        whole = np.floor(column.values)
        is_right = is_right & (column.values == whole)
    if kind == "boolean":
        is_right = is_right & np.isin(column.values, _TRUTHS)
    return is_right


def _without(column: Column, wrong: Mask) -> Column:
    """A column in which some rows are missing."""
    if isinstance(column, NumberColumn):
        return NumberColumn(column.values, column.valid & ~wrong)
    codes = np.where(wrong, -1, column.codes)
    return CodedColumn(column.levels, codes)


def _check_range(column: NumberColumn, feature: FeatureSchema) -> Iterator[_Wrong]:
    low = -np.inf if feature.min is None else feature.min
    high = np.inf if feature.max is None else feature.max
    below = column.values < _in_single(low, min)
    above = column.values > _in_single(high, max)

    def say(row: int) -> str:
        side = f"below {low:g}" if below[row] else f"above {high:g}"
        return f"{_show(column, row)}, {side}"

    beyond = below | above
    beyond &= column.valid
    yield _Wrong(RANGE, beyond, say)


@cache
def _in_single(bound: float, further: Callable[[float, float], float]) -> float:
    """A bound, or what it is in single precision where that lies further out: a service may compute in that."""
    with np.errstate(over="ignore"):
        single = float(np.float32(bound))
    return further(bound, single)


def _check_levels(column: Column, feature: FeatureSchema) -> Iterator[_Wrong]:
    known = feature.known_levels
    if isinstance(column, NumberColumn):
        has_level = np.isin(column.values, known.numbers)
    else:
        has_level = _is_called_one_of(column, known.texts)
    unknown = column.valid & ~has_level
    count = len(feature.levels or ())
    yield _Wrong(LEVEL, unknown, lambda row: f"{_show(column, row)} is none of the {count} levels")


def _is_called_one_of(column: CodedColumn, known: frozenset[str]) -> Mask:
    right = [level in known for level in column.levels]
    # A missing row has the code -1, and so the last entry.
    table = np.array([*right, False])
    found: Mask = table[column.codes]
    return found


def _show(column: Column, row: int) -> str:
    if isinstance(column, NumberColumn):
        return f"{column.values[row]:.6g}"
    text = column.levels[column.codes[row]]
    if len(text) > LONGEST_TEXT:
        text = f"{text[:LONGEST_TEXT]}…"
    return repr(text)
