"""Types that a user states for a column, and empty texts: what a baseline's rows and live rows go through before they are counted."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final, Literal

import numpy as np

from calidris.batch import CodedColumn, Column, NumberColumn, PredictionBatch
from calidris.config.class_names import NO_CLASSES
from calidris.state.coding.fields import as_coded
from calidris.state.coding.stated_gaps import Gap, remove_levels, remove_stated_gaps

StatedType = Literal["number", "text", "boolean"]

_TRUTHS: Final = {
    "true": 1.0,
    "1": 1.0,
    "1.0": 1.0,
    "false": 0.0,
    "0": 0.0,
    "0.0": 0.0,
}


def as_stated(column: Column, stated: StatedType) -> Column:
    """A column as a type that was stated for it; a text that is no such thing is missing.

    Numbers become the texts that a categorical field counts them as.

    >>> as_stated(CodedColumn.of(["7", "x", "True"]), "number").valid.tolist()
    [True, False, False]
    >>> as_stated(CodedColumn.of(["True", "0", "no"]), "boolean").values.tolist()
    [1.0, 0.0, nan]
    """
    is_text = isinstance(column, CodedColumn)
    if is_text == (stated == "text"):
        return column
    if isinstance(column, NumberColumn):
        return as_coded(column)
    if stated == "boolean":
        return _read_texts(column, _read_truth)
    return _read_texts(column, _read_number)


def _read_texts(column: CodedColumn, read: Callable[[str], float]) -> NumberColumn:
    numbers = [*map(read, column.levels), np.nan]
    # A missing row has the code -1, and so the last one.
    values = np.array(numbers)[column.codes]
    return NumberColumn.of(values)


def _read_number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _read_truth(text: str) -> float:
    spelling = text.strip().lower()
    return _TRUTHS.get(spelling, np.nan)


def without_blanks(column: CodedColumn) -> CodedColumn:
    """A column of which empty texts are missing.

    >>> without_blanks(CodedColumn.of(["a", "", None])).strings()
    ['a', None, None]
    """
    return remove_levels(column, _BLANK)


def without_gaps(column: Column) -> Column:
    """Decisions or labels of which texts that are no class are missing; numbers as they are.

    >>> without_gaps(CodedColumn.of(["yes", "nan", ""])).valid.tolist()
    [True, False, False]
    """
    if isinstance(column, NumberColumn):
        return column
    return remove_levels(column, NO_CLASSES)


_BLANK: Final = frozenset({""})


def settle(
    batch: PredictionBatch,
    stated: Mapping[str, StatedType],
    blank_levels: Collection[str] = (),
    gaps: Mapping[str, tuple[Gap, ...]] = MappingProxyType({}),
) -> PredictionBatch:
    """A batch whose features have the types that were stated; empty texts and stated gaps are missing, of decisions empty texts too.

    The very batch where nothing changes.

    Args:
        batch: live rows.
        stated: types by name of the feature.
        blank_levels: features and slices of which "" is a level, in baselines of files that were read so once.
        gaps: values that stand for a gap, by name of the feature.
    """
    batch = remove_stated_gaps(batch, gaps)
    features = _settle_features(batch.features, stated, blank_levels)
    slices = _unblanked_slices(batch.slices, blank_levels)
    batch = _without_blank_decisions(batch)
    if not features and not slices:
        return batch
    return replace(
        batch,
        features={**batch.features, **features},
        slices={**batch.slices, **slices},
    )


def _settle_features(
    features: Mapping[str, Column],
    stated: Mapping[str, StatedType],
    blank_levels: Collection[str],
) -> dict[str, Column]:
    """The features that change."""
    changed = {}
    for name, column in features.items():
        found = column if name in blank_levels else _unblanked(column)
        if name in stated:
            found = as_stated(found, stated[name])
        if found is not column:
            changed[name] = found
    return changed


def _without_blank_decisions(batch: PredictionBatch) -> PredictionBatch:
    given = batch.decision
    if given is None:
        return batch
    found = without_gaps(given)
    return batch if found is given else replace(batch, decision=found)


def _unblanked_slices(
    slices: Mapping[str, CodedColumn],
    blank_levels: Collection[str],
) -> dict[str, CodedColumn]:
    """The slices that change."""
    found = {}
    for name in slices.keys() - set(blank_levels):
        if "" in slices[name].levels:
            found[name] = without_blanks(slices[name])
    return found


def _unblanked(column: Column) -> Column:
    if isinstance(column, NumberColumn):
        return column
    return without_blanks(column)
