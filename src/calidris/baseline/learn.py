"""Edges and levels learned from rows: equal-mass bins for numbers, the commonest levels for strings.

A cell with fewer than ``MIN_CELL_ROWS`` baseline rows says nothing about its own probability, so neighbours are merged
(numbers) or fall to ``other`` (levels).
"""

from __future__ import annotations

import numpy as np

from calidris import semconv
from calidris.batch import CodedColumn, Column, Floats, NumberColumn, PredictionBatch
from calidris.state import Field, Kind, Role, Slice, Spec

BINS = 10
DISCRETE_LEVELS = 20
MAX_LEVELS = 50
MIN_CELL_ROWS = 5


def learn_spec(batch: PredictionBatch, template: Spec, slices: tuple[str, ...] = ()) -> Spec:
    """A spec for rows like these, with the task, threshold and labels of ``template``.

    Columns without a single value get no edges, only a count of presence. Cost: one sort a column.
    """
    columns: list[tuple[str, Role, Column | None]] = [(n, Role.FEATURE, c) for n, c in sorted(batch.features.items())]
    columns += [
        (semconv.ML_PREDICTION_SCORE, Role.SCORE, batch.score),
        (semconv.ML_PREDICTION_CLASS, Role.DECISION, batch.decision),
        (semconv.ML_PREDICTION_VALUE, Role.VALUE, batch.value),
    ]
    fields = tuple(learn_field(name, role, column) for name, role, column in columns if column is not None)
    return Spec(
        task=template.task,
        fields=fields,
        positive=template.positive,
        classes=template.classes,
        threshold=template.threshold,
        slices=tuple(Slice(name, _common_levels(batch.slices[name])) for name in slices if name in batch.slices),
    )


def learn_field(name: str, role: Role, column: Column) -> Field:
    """The field of one column."""
    if isinstance(column, CodedColumn):
        levels = _common_levels(column)
        return Field(name, role, Kind.CATEGORICAL, levels=levels) if levels else Field(name, role, Kind.PRESENCE)
    if role is Role.DECISION:
        return (
            Field(name, role, Kind.CATEGORICAL, levels=_classes(column))
            if column.valid.any()
            else _presence(name, role)
        )
    values = column.values[column.valid]
    return Field(name, role, Kind.NUMERIC, edges=learn_edges(values)) if len(values) else _presence(name, role)


def _presence(name: str, role: Role) -> Field:
    return Field(name, role, Kind.PRESENCE)


def learn_edges(values: Floats) -> tuple[float, ...]:
    """Edges of about ten bins of equal mass, or one bin a value where there are at most twenty.

    Bins are ``(edge, next edge]`` and the first holds its left edge too. Ties collapse; a bin never holds fewer than five
    of the values unless there are fewer in all.

    >>> learn_edges(np.arange(100.0))
    (0.0, 9.0, 19.0, 29.0, 39.0, 49.0, 59.0, 69.0, 79.0, 89.0, 99.0)
    >>> learn_edges(np.array([0.0, 1.0] * 10))
    (0.0, 0.5, 1.0)
    """
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) == 1:
        return (float(np.nextafter(distinct[0], -np.inf)), float(distinct[0]))
    if len(distinct) <= DISCRETE_LEVELS:
        edges = np.r_[distinct[0], (distinct[1:] + distinct[:-1]) / 2, distinct[-1]]
    else:
        last_of_bin = -(-np.arange(1, BINS + 1) * len(values) // BINS) - 1  # whole numbers: no rounding of 0.3 * n
        edges = np.unique(np.r_[distinct[0], np.sort(values)[last_of_bin]])
        if counts[0] * BINS >= len(values):  # an atom at the lower end, such as many zeros, is a bin of its own
            edges = np.r_[np.nextafter(edges[0], -np.inf), edges]
    return tuple(_merge_thin(np.unique(edges), values).tolist())


def _merge_thin(edges: Floats, values: Floats) -> Floats:
    """Drop inner edges until each bin has enough values; each thin bin joins its right neighbour, the last its left."""
    position = np.clip(np.searchsorted(edges, values, side="left"), 1, len(edges) - 1)
    counts = np.bincount(position, minlength=len(edges))[1:]
    kept, held = [edges[0]], 0
    for right, count in zip(edges[1:], counts.tolist()):
        held += count
        if held >= MIN_CELL_ROWS:
            kept.append(right)
            held = 0
    if len(kept) == 1:
        return np.array([edges[0], edges[-1]])
    kept[-1] = edges[-1]
    return np.array(kept)


def _common_levels(column: CodedColumn) -> tuple[str, ...]:
    """Levels with enough rows, commonest first and by name among equals, at most fifty."""
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.levels))
    ranked = sorted(zip(column.levels, counts.tolist()), key=lambda pair: (-pair[1], pair[0]))
    return tuple(level for level, count in ranked[:MAX_LEVELS] if count >= MIN_CELL_ROWS)


def _classes(column: NumberColumn) -> tuple[str, ...]:
    distinct = np.unique(column.values[column.valid])[:MAX_LEVELS]
    return tuple(f"{value:.17g}" for value in distinct.tolist())
