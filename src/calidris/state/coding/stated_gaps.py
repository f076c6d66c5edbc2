"""Values that stand for a gap, as a user states them: -999 for an age that nobody knew.

They are missing from a baseline's rows and from live rows, before anything else is made of a column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from operator import is_

import numpy as np

from calidris.batch import (
    CodedColumn,
    Column,
    Mask,
    NumberColumn,
    PredictionBatch,
)

Gap = float | str
"""One such value. A number is meant in single precision too, and as the text that it is written as."""


def remove_stated_gaps(
    batch: PredictionBatch,
    gaps: Mapping[str, tuple[Gap, ...]],
) -> PredictionBatch:
    """A batch whose features have no value where a stated one stands; the very batch where none does.

    Args:
        batch: rows of a baseline, or live ones.
        gaps: values by name of the feature.
    """
    before = batch.features
    after = dict(before)
    for name in gaps.keys() & before.keys():
        after[name] = remove_values(before[name], gaps[name])
    if all(map(is_, before.values(), after.values())):
        return batch
    return replace(batch, features=after)


def remove_values(column: Column, gaps: tuple[Gap, ...]) -> Column:
    """A column that is missing where it has one of some values; the very column where it has none.

    >>> remove_values(NumberColumn.of([41.0, -999.0]), (-999.0,)).valid.tolist()
    [True, False]
    >>> remove_values(NumberColumn.of([1.7976931348623157e308]), (1.7976931348623157e308,)).beyond.tolist()
    [False]
    >>> remove_values(CodedColumn.of(["nl", "unknown", "-999"]), ("unknown", -999.0)).strings()
    ['nl', None, None]
    """
    if isinstance(column, NumberColumn):
        return _remove_numbers(column, gaps)
    levels = _find_levels(column.levels, gaps)
    return remove_levels(column, levels)


def remove_levels(column: CodedColumn, gaps: frozenset[str]) -> CodedColumn:
    """A column without some of its levels; the very column where it has none of them."""
    if gaps.isdisjoint(column.levels):
        return column
    is_gap = [level in gaps for level in column.levels]
    # Code -1, which is missing, reads the last one.
    places = np.array([*is_gap, True])
    gone = places[column.codes]
    codes = np.where(gone, -1, column.codes)
    return CodedColumn(column.levels, codes.astype(np.int32))


def _remove_numbers(
    column: NumberColumn,
    gaps: tuple[Gap, ...],
) -> NumberColumn:
    is_gap = _find_numbers(column, _read_numbers(gaps))
    if not is_gap.any():
        return column
    # What is beyond all measure is out of range by its value: a gap has none.
    values = np.where(is_gap, np.nan, column.values)
    valid = column.valid & ~is_gap
    return NumberColumn(values, valid, column.non_finite)


def _find_numbers(
    column: NumberColumn,
    numbers: list[float],
) -> Mask:
    looked_for = numbers + _in_single_precision(numbers)
    has_value = column.valid | column.beyond
    found = np.isin(column.values, looked_for)
    return has_value & found


def _in_single_precision(numbers: list[float]) -> list[float]:
    """The same as many libraries hold them: -99.9 is another double then."""
    with np.errstate(over="ignore"):
        single = np.array(numbers, dtype=np.float32)
    return [float(number) for number in single]


def _find_levels(
    levels: tuple[str, ...],
    gaps: tuple[Gap, ...],
) -> frozenset[str]:
    """Levels that are a gap, or are written as a number that is one."""
    numbers = _read_numbers(gaps)
    written = {level for level in levels if _read(level) in numbers}
    stated = map(str, gaps)
    return frozenset(written.union(stated))


def _read_numbers(gaps: tuple[Gap, ...]) -> list[float]:
    """Those that are numbers, or are written as one."""
    found = map(_read, gaps)
    return [number for number in found if number is not None]


def _read(gap: Gap) -> float | None:
    try:
        return float(gap)
    except ValueError:
        return None
