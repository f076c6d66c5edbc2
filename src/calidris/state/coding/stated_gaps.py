"""Values that stand for a gap, as a user states them: -999 for an age that nobody knew.

They are missing from a baseline's rows and from live rows, before anything else is made of a column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

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


def without_stated_gaps(
    batch: PredictionBatch,
    gaps: Mapping[str, tuple[Gap, ...]],
) -> PredictionBatch:
    """A batch whose features have no value where a stated one stands; the very batch where none does.

    Args:
        batch: rows of a baseline, or live ones.
        gaps: values by name of the feature.
    """
    found = {}
    for name in gaps.keys() & batch.features.keys():
        column = batch.features[name]
        settled = without_values(column, gaps[name])
        if settled is not column:
            found[name] = settled
    if not found:
        return batch
    features = {**batch.features, **found}
    return replace(batch, features=features)


def without_values(column: Column, gaps: tuple[Gap, ...]) -> Column:
    """A column that is missing where it has one of some values; the very column where it has none.

    >>> without_values(NumberColumn.of([41.0, -999.0]), (-999.0,)).valid.tolist()
    [True, False]
    >>> without_values(NumberColumn.of([1.7976931348623157e308]), (1.7976931348623157e308,)).beyond.tolist()
    [False]
    >>> without_values(CodedColumn.of(["nl", "unknown", "-999"]), ("unknown", -999.0)).strings()
    ['nl', None, None]
    """
    if isinstance(column, NumberColumn):
        return _without_numbers(column, gaps)
    return _without_levels(column, gaps)


def _without_numbers(
    column: NumberColumn,
    gaps: tuple[Gap, ...],
) -> NumberColumn:
    numbers = _numbers_of(gaps)
    # -99.9 in single precision is another double than -99.9.
    with np.errstate(over="ignore"):
        single = np.array(numbers, dtype=np.float32)
    looked_for = [*numbers, *single.tolist()]
    is_gap = np.isin(column.values, looked_for)
    is_gap &= column.valid | column.beyond
    if not is_gap.any():
        return column
    # What is beyond all measure is out of range by its value: a gap has none.
    values = np.where(is_gap, np.nan, column.values)
    valid = column.valid & ~is_gap
    return NumberColumn(values, valid, column.non_finite)


def _without_levels(
    column: CodedColumn,
    gaps: tuple[Gap, ...],
) -> CodedColumn:
    numbers = set(_numbers_of(gaps))
    texts = set(gaps) - numbers
    is_gap = []
    for level in column.levels:
        known = level in texts or _read(level) in numbers
        is_gap.append(known)
    if not any(is_gap):
        return column
    # Code -1, which is missing, reads the last one.
    places: Mask = np.array([*is_gap, True])
    codes = np.where(places[column.codes], -1, column.codes)
    return CodedColumn(column.levels, codes.astype(np.int32))


def _numbers_of(gaps: tuple[Gap, ...]) -> list[float]:
    """Those that are numbers, or are written as one."""
    found = map(_read, gaps)
    return [number for number in found if number is not None]


def _read(gap: Gap) -> float | None:
    try:
        return float(gap)
    except ValueError:
        return None
