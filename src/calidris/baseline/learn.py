"""Edges and levels learned from rows: equal-mass bins for numbers, the commonest levels for strings.

A cell with fewer than ``MIN_CELL_ROWS`` baseline rows says nothing about its own probability, so neighbours are merged
(numbers) or fall to ``other`` (levels).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from calidris import semconv
from calidris.batch import CodedColumn, Column, Floats, Mask, NumberColumn, PredictionBatch
from calidris.config.class_names import class_text
from calidris.state import Codebook, Field, Kind, Loss, Role, Slice, Spec
from calidris.state.blocks.groups import MAX_CLASSES
from calidris.state.bounded import OF_TASK
from calidris.state.coding.fields import as_classes, as_coded, search_edges
from calidris.state.coding.known_levels import KnownLevels

BINS = 10
DISCRETE_LEVELS = 20
MAX_LEVELS = 50
MIN_CELL_ROWS = 5
CAP_QUANTILE = 0.99
MIN_PICKED_ROWS = 2
"""Of the rows that pick levels, one in four: a level of eight rows in all."""


def learn_spec(
    batch: PredictionBatch,
    template: Spec,
    slices: tuple[str, ...] = (),
    *,
    label: Column | None = None,
    bins: Mapping[str, tuple[float, ...]] = MappingProxyType({}),
    intersections: tuple[tuple[str, str], ...] = (),
    codebooks: tuple[Codebook, ...] = (),
    picking: Mask | None = None,
) -> Spec:
    """A spec for rows like these, with the task, threshold and labels of ``template``.

    Columns without a single value get no edges, only a count of presence. Cost: one sort a column.

    Args:
        batch: the rows.
        template: task, positive class and threshold; its classes, losses and slice cap are kept where it has any.
        slices: names of the attributes to cut labelled rows by. Where they need more rows than the cap allows, all of them
            keep fewer of their commonest levels.
        label: outcomes of the rows: they give regression losses their caps, and a multi-class task its classes.
        bins: edges fixed by the user, by the field's name; they are taken as they are, however few rows a bin holds.
        intersections: pairs of ``slices`` to cut by together.
        codebooks: how embeddings are counted.
        picking: rows that are set apart (``state.fitting_rows``), bool[n]: they pick the levels of the columns of ``wide_columns``,
            and are counted nowhere. None where all rows are counted.

    Raises:
        ValueError: bins for a column that is not there or not a number, or slices that need more rows than the cap even
            without levels.
    """
    owned = {f.name for book in codebooks for f in book.fields}
    columns = {key: column for key, column in _columns(batch).items() if key[0] not in owned}
    _check_bins(bins, {name: column for (name, _), column in columns.items()})
    known = tuple(name for name in slices if name in batch.slices)
    pairs = tuple(pair for pair in intersections if set(pair) <= set(known))
    return Spec(
        task=template.task,
        fields=tuple(
            learn_field(name, role, column, bins.get(name), picking) for (name, role), column in columns.items()
        ),
        positive=template.positive,
        classes=template.classes or _task_classes(template.task, batch.decision, label),
        threshold=template.threshold,
        slices=_slices({name: batch.slices[name] for name in known}, pairs, template.slice_cap),
        losses=template.losses or learn_losses(template.task, batch.value, label),
        intersections=pairs,
        slice_cap=template.slice_cap,
        codebooks=codebooks,
    )


def wide_columns(batch: PredictionBatch, bins: Mapping[str, tuple[float, ...]] = MappingProxyType({})) -> list[str]:
    """Names of the columns that are counted by level and have more than ``DISCRETE_LEVELS`` of them in these rows.

    Which levels are kept of those is a choice, and what chose them must not count them. The few levels of the others are all kept.
    """
    columns = _columns(batch).items()
    return [name for (name, role), column in columns if name not in bins and _is_wide(role, column)]


def _is_wide(role: Role, column: Column) -> bool:
    if isinstance(column, CodedColumn):
        found = np.unique(column.codes[column.codes >= 0])
    elif role is Role.DECISION:
        found = np.unique(column.values[column.valid])
    else:
        return False
    return len(found) > DISCRETE_LEVELS


def _columns(batch: PredictionBatch) -> dict[tuple[str, Role], Column]:
    """All columns that have a field of their own, features first and by name."""
    columns: dict[tuple[str, Role], Column] = {
        (name, Role.FEATURE): column for name, column in sorted(batch.features.items())
    }
    return columns | {key: column for key, column in _outputs(batch).items() if column is not None}


def _outputs(batch: PredictionBatch) -> dict[tuple[str, Role], Column | None]:
    return {
        (semconv.ML_PREDICTION_SCORE, Role.SCORE): batch.score,
        (semconv.ML_PREDICTION_CLASS, Role.DECISION): batch.decision,
        (semconv.ML_PREDICTION_VALUE, Role.VALUE): batch.value,
    }


def _check_bins(bins: Mapping[str, tuple[float, ...]], columns: Mapping[str, Column]) -> None:
    for name in bins:
        if name not in columns:
            raise ValueError(f"bins for {name!r}, which the rows do not have; they have {', '.join(columns)}")
        if isinstance(columns[name], CodedColumn):
            raise ValueError(f"bins for {name!r}, which holds text: bins are for numbers")


def _slices(columns: Mapping[str, CodedColumn], pairs: tuple[tuple[str, str], ...], cap: int) -> tuple[Slice, ...]:
    """The slices with as many of their commonest levels as there are rows for."""
    levels = {name: _common_levels(column) for name, column in columns.items()}
    for most in range(MAX_LEVELS, -1, -1):
        found = {name: Slice(name, every[:most]) for name, every in levels.items()}
        crossed = sum(found[one].rows * found[two].rows for one, two in pairs)
        if 1 + sum(s.rows for s in found.values()) + crossed <= cap:
            break
    return tuple(found.values())


def _task_classes(task: str, decision: Column | None, label: Column | None) -> tuple[str, ...]:
    """Classes of a multi-class task, commonest first among decisions and outcomes, at most ``MAX_CLASSES``."""
    if task != semconv.ML_MODEL_TASK_MULTICLASS:
        return ()
    counts: Counter[str] = Counter()
    for column in (c for c in (decision, label) if c is not None):
        coded = as_coded(column) if isinstance(column, NumberColumn) else column
        rows = np.bincount(coded.codes[coded.codes >= 0], minlength=len(coded.levels))
        counts.update({class_text(level): 0 for level in coded.levels})
        for level, n in zip(coded.levels, rows.tolist()):
            counts[class_text(level)] += n
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(name for name, n in ranked[:MAX_CLASSES] if n)


def learn_losses(task: str, value: NumberColumn | None, label: Column | None) -> tuple[Loss, ...]:
    """Bounded losses of a task; those of a regression are capped at the 99 % of the rows' own errors.

    The cap decides what a detector sees: above the whole range it would look at the tail through twenty bins and see little
    of the middle, so one error in a hundred counts as the cap.
    """
    if task != semconv.ML_MODEL_TASK_REGRESSION or value is None or not isinstance(label, NumberColumn):
        return OF_TASK.get(task, ())
    both = value.valid & label.valid
    error = np.abs(value.values[both] - label.values[both])
    cap = float(np.quantile(error, CAP_QUANTILE)) if len(error) else 0.0
    if not 0.0 < cap < 1e150:  # without rows, or without errors, there is nothing to be worse than
        return ()
    return (Loss("absolute_error", cap), Loss("squared_error", cap * cap))


def learn_field(
    name: str,
    role: Role,
    column: Column,
    edges: tuple[float, ...] | None = None,
    picking: Mask | None = None,
) -> Field:
    """The field of one column; ``edges`` are the user's, ``picking`` the rows that are set apart."""
    if edges is not None:
        return Field(name, role, Kind.NUMERIC, edges=edges)
    if isinstance(column, CodedColumn) or role is Role.DECISION:
        levels = _levels(role, column, picking)
        if not levels:
            return _presence(name, role)
        known = _rest(column, levels) if isinstance(column, CodedColumn) and role is Role.FEATURE else None
        return Field(name, role, Kind.CATEGORICAL, levels=levels, known=known)
    values = column.values[column.valid]
    return Field(name, role, Kind.NUMERIC, edges=learn_edges(values)) if len(values) else _presence(name, role)


def _levels(role: Role, column: Column, picking: Mask | None) -> tuple[str, ...]:
    """Levels of a column: of many, those that the rows set apart hold most often."""
    least = MIN_CELL_ROWS
    if picking is not None and _is_wide(role, column):
        column, least = column.take(picking), MIN_PICKED_ROWS
    if isinstance(column, NumberColumn):
        return _classes(column)
    return _common_levels(as_classes(column) if role is Role.DECISION else column, least)


def _rest(column: CodedColumn, levels: tuple[str, ...]) -> KnownLevels | None:
    """Levels that rows have and the field does not keep; of all rows, those that are set apart too: the baseline met them."""
    met = np.unique(column.codes[column.codes >= 0]).tolist()
    rest = {column.levels[code] for code in met}.difference(levels)
    return KnownLevels.of(rest) if rest else None


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
    kept = np.unique(edges)
    merged = _merge_thin(kept, values)
    while len(merged) < len(kept):
        # Between fewer edges single precision has more room, and a value that lies at one may change its bin.
        kept, merged = merged, _merge_thin(merged, values)
    return tuple(merged.tolist())


def _merge_thin(edges: Floats, values: Floats) -> Floats:
    """Drop inner edges until each bin has enough values; each thin bin joins its right neighbour, the last its left."""
    laid = search_edges(tuple(edges.tolist()))  # as rows will be counted
    position = np.clip(np.searchsorted(laid, values, side="left"), 1, len(edges) - 1)
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


def _common_levels(column: CodedColumn, least: int = MIN_CELL_ROWS) -> tuple[str, ...]:
    """Levels with at least so many rows, commonest first and by name among equals, at most fifty."""
    counts = np.bincount(column.codes[column.codes >= 0], minlength=len(column.levels))
    ranked = sorted(zip(column.levels, counts.tolist()), key=lambda pair: (-pair[1], pair[0]))
    return tuple(level for level, count in ranked[:MAX_LEVELS] if count >= least)


def _classes(column: NumberColumn) -> tuple[str, ...]:
    distinct = np.unique(column.values[column.valid])[:MAX_LEVELS]
    return tuple(f"{value:.17g}" for value in distinct.tolist())
