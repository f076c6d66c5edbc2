"""Columns of a batch as the engine needs them: classes as hashes, some rows of a batch, one column of many batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from calidris.batch import CodedColumn, Column, Ints, LabelBatch, Mask, MatrixColumn, NumberColumn, PredictionBatch
from calidris.config.class_names import class_text
from calidris.labels import hash_text
from calidris.labels.id_hashes import Hashes
from calidris.state.coding.fields import as_coded

B = TypeVar("B", bound=PredictionBatch | LabelBatch)


def class_hashes(column: Column | None, n: int) -> Hashes:
    """Hash of each row's class, uint64[n], 0 where there is none; 1, 1.0, True and "1" are one class.

    >>> same = class_hashes(NumberColumn.of([1.0, -0.0]), 2) == class_hashes(CodedColumn.of(["1.0", "0"]), 2)
    >>> same.tolist()
    [True, True]
    """
    if column is None:
        return np.zeros(n, dtype=np.uint64)
    coded = column if isinstance(column, CodedColumn) else as_coded(column)
    levels = np.array([*(hash_text(class_text(level)) for level in coded.levels), 0], dtype=np.uint64)
    return levels[coded.codes]


def part_of(batch: PredictionBatch, rows: Mask | Ints) -> PredictionBatch:
    """Some rows of a batch, by mask or by their places, with the columns that states read and no others."""
    return PredictionBatch(
        model=batch.model,
        event_time_ns=batch.event_time_ns[rows],
        features={name: column.take(rows) for name, column in batch.features.items()},
        score=batch.score and batch.score.take(rows),
        decision=batch.decision and batch.decision.take(rows),
        value=batch.value and batch.value.take(rows),
        duration_s=batch.duration_s and batch.duration_s.take(rows),
        error=batch.error and batch.error.take(rows),
        weight=batch.weight and batch.weight.take(rows),
    )


def by_step(starts: Ints) -> Iterator[tuple[int, Ints]]:
    """Each step of a batch and the places of its rows, in their order; a job's rows lie in hundreds of steps."""
    order = np.argsort(starts, kind="stable")
    ordered = starts[order]
    begins = [0, *(np.flatnonzero(ordered[1:] != ordered[:-1]) + 1).tolist(), len(order)]
    for begin, end in pairwise(begins):
        yield int(ordered[begin]), order[begin:end]


def rows_of(batch: B, rows: Ints) -> B:
    """Some rows of a batch, by their places, with everything that belongs to them."""
    return replace(batch, **{f.name: _taken(getattr(batch, f.name), rows) for f in fields(batch)})


def _taken(value: Any, rows: Ints) -> Any:
    if isinstance(value, NumberColumn | CodedColumn | MatrixColumn | np.ndarray):
        return value.take(rows)
    if isinstance(value, Mapping):
        return {name: column.take(rows) for name, column in value.items()}
    if isinstance(value, list):  # ids
        return [value[row] for row in rows.tolist()]
    return value  # who it is about


def joined(columns: Sequence[Column | None], sizes: Sequence[int]) -> Column | None:
    """Columns of one name one behind the other; the first one with a value decides on the kind, other kinds are missing."""
    present = [c for c in columns if c is not None]
    first = next((c for c in present if c.valid.any()), present[0] if present else None)
    if isinstance(first, NumberColumn):
        parts = [c.values if isinstance(c, NumberColumn) else np.full(n, np.nan) for c, n in zip(columns, sizes)]
        return NumberColumn.of(np.concatenate(parts))
    if isinstance(first, CodedColumn):
        texts = [c.strings() if isinstance(c, CodedColumn) else [None] * n for c, n in zip(columns, sizes)]
        return CodedColumn.of([text for part in texts for text in part])
    return None


def joined_maps(maps: Sequence[Mapping[str, Column]], names: Sequence[str], sizes: Sequence[int]) -> dict[str, Column]:
    """The columns of some names of several batches."""
    columns = {name: joined([m.get(name) for m in maps], sizes) for name in names}
    return {name: column for name, column in columns.items() if column is not None}
