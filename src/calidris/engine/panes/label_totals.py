"""Labelled rows of some panes together, without slices: small, and made in one pass over the touched cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from calidris import semconv
from calidris.batch import Floats, Ints
from calidris.metrics.labels.maturity import Cohort
from calidris.state import SparseTable, Spec, TableState
from calidris.state.blocks.labelled import LabelStates, LabelTables
from calidris.state.blocks.scores import SCALE


@lru_cache(maxsize=64)
def uncut(spec: Spec) -> Spec:
    """The same spec without slices: its tables are the first row of the others'."""
    return Spec(
        task=spec.task, fields=spec.fields, positive=spec.positive, classes=spec.classes, threshold=spec.threshold,
        losses=spec.losses, codebooks=spec.codebooks,
    )  # fmt: skip


def whole_labels(spec: Spec, parts: Iterable[LabelTables]) -> LabelStates:
    """All labelled rows of some panes of a spec, as states of ``uncut(spec)``; O(touched cells)."""
    return dense_labels(uncut(spec), parts)


def dense_labels(spec: Spec, parts: Iterable[LabelTables]) -> LabelStates:
    """The rows of many panes as states of a spec: each column of sums in one pass. Cells beyond the states are left out."""
    found = list(parts)
    out = LabelStates.empty(spec, any(tables.weighted is not None for tables in found))
    for i, state in enumerate(out.all):
        _add_tables(state, [tables.tables[i] for tables in found])
    if out.weighted is not None:
        by_weight = [tables.by_weight() for tables in found]
        for i, state in enumerate(out.weighted):
            _add_tables(state, [tables.tables[i] for tables in by_weight])
    return out


def _add_tables(state: TableState, tables: Sequence[SparseTable[Any]]) -> None:
    ends = [int(np.searchsorted(table.cells, len(state.cells))) for table in tables]
    if not sum(ends):
        return
    cells = np.concatenate([table.cells[:end] for table, end in zip(tables, ends)])
    sums = np.concatenate([table.sums[:end] for table, end in zip(tables, ends)])
    for column, values in zip(state.cells.T, sums.T):
        np.add.at(column, cells, values)  # one column at a time is ten times faster than rows


def added(spec: Spec, parts: Iterable[LabelStates]) -> LabelStates:
    """Some states of ``uncut(spec)`` together."""
    out = LabelStates.empty(uncut(spec))
    for part in parts:
        for mine, theirs in zip(out.all, part.all):
            mine.cells[:] += theirs.cells
    return out


def scored_cohort(age_s: float, rows: int, labels: LabelStates) -> Cohort:
    """Scored rows by outcome, delay and bin."""
    return Cohort(age_s, rows, labels.scores.array[0] / SCALE)


def counted_cohort(age_s: float, rows: int, labels: LabelStates) -> Cohort:
    """Labelled rows of any task by delay only, all as if of one outcome and bin: enough to say how long labels take."""
    counts: Floats = labels_by_delay(labels).astype(np.float64)
    return Cohort(age_s, rows, np.stack([np.zeros(len(counts)), counts]).reshape(2, -1, 1, 1))


def labels_by_delay(labels: LabelStates, row: int = 0) -> Ints:
    """Labelled rows of one slice in each delay bucket, int64[delays]."""
    if labels.groups.spec.task != semconv.ML_MODEL_TASK_REGRESSION:
        of_classes: Ints = labels.groups.array[row].sum(axis=(1, 2))
        return of_classes
    of_numbers: Ints = labels.residuals.array[row, :, :, 0].max(axis=1, initial=0)
    if labels.losses.spec.losses:
        # Residuals have no scale before there is a baseline; a loss counts its rows from the first one on, or that they lack it.
        of_numbers = np.maximum(of_numbers, labels.losses.array[row, :, 0, :, 0].sum(axis=1))
    return of_numbers
