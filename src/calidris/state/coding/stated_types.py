"""Types that a user states for a column, and empty texts: what both a baseline's rows and live rows go through before they are counted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final, Literal

import numpy as np

from calidris.batch import CodedColumn, Column, NumberColumn, PredictionBatch
from calidris.state.coding.fields import as_coded

StatedType = Literal["number", "text", "boolean"]

_TRUTHS: Final = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}


def as_stated(column: Column, stated: StatedType) -> Column:
    """A column as a type that was stated for it; a text that is no such thing is missing.

    Numbers become the texts that a categorical field counts them as.

    >>> as_stated(CodedColumn.of(["7", "x", "True"]), "number").valid.tolist()
    [True, False, False]
    >>> as_stated(CodedColumn.of(["True", "0", "no"]), "boolean").values.tolist()
    [1.0, 0.0, nan]
    """
    if stated == "text":
        return as_coded(column) if isinstance(column, NumberColumn) else column
    if isinstance(column, NumberColumn):
        return column
    read = _read_truth if stated == "boolean" else _read_number
    values = np.array([*map(read, column.levels), np.nan])
    return NumberColumn.of(values[column.codes])


def _read_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _read_truth(text: str) -> float:
    return _TRUTHS.get(text.strip().lower(), np.nan)


def without_blanks(column: CodedColumn) -> CodedColumn:
    """A column of which empty texts are missing.

    >>> without_blanks(CodedColumn.of(["a", "", None])).strings()
    ['a', None, None]
    """
    if "" not in column.levels:
        return column
    blank = column.levels.index("")
    return CodedColumn(column.levels, np.where(column.codes == blank, -1, column.codes).astype(np.int32))


def settled(
    batch: PredictionBatch, stated: Mapping[str, StatedType], blank_levels: Collection[str] = ()
) -> PredictionBatch:
    """A batch whose features have the types that were stated, and whose empty texts are missing; the very batch where nothing changes.

    Args:
        batch: live rows.
        stated: types by name of the feature.
        blank_levels: features and slices of which "" is a level, in baselines of files that were read so once.
    """
    features = {name: _settle(name, column, stated.get(name), blank_levels) for name, column in batch.features.items()}
    slices = {name: column if name in blank_levels else without_blanks(column) for name, column in batch.slices.items()}
    same = all(features[name] is column for name, column in batch.features.items())
    if same and all(slices[name] is column for name, column in batch.slices.items()):
        return batch
    return replace(batch, features=features, slices=slices)


def _settle(name: str, column: Column, stated: StatedType | None, blank_levels: Collection[str]) -> Column:
    if isinstance(column, CodedColumn) and name not in blank_levels:
        column = without_blanks(column)
    return column if stated is None else as_stated(column, stated)
