"""Build a baseline from rows: learn a spec, count the rows under it, and count each of its windows apart.

The windows' own spread is what lets detection divide out the extra variation of real traffic (statistics: the design
effect). Without a time column they are unknown, and detection has to learn them from live windows first.

Where rows have embeddings, one in four places the centroids of their codebooks and is counted nowhere: ``state.fitting_rows``
says why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType

import numpy as np

from calidris import semconv
from calidris.baseline.bundle import Baseline
from calidris.baseline.learn import learn_spec
from calidris.batch import CodedColumn, Column, Floats, Ints, Mask, NumberColumn, PredictionBatch
from calidris.state import (
    Codebook,
    CountsState,
    MomentsState,
    Spec,
    class_codes,
    decision_codes,
    fitting_rows,
    learn_codebook,
)
from calidris.state.blocks.classes import same_class, with_score
from calidris.state.blocks.labelled import ClassRows, LabelledRows, LabelStates, LabelTables, NumberRows


@dataclass(frozen=True, slots=True)
class BaselineColumns:
    """The rows of a baseline: a batch, with labels and times where they are known.

    Attributes:
        batch: features, scores and decisions of n rows; its event times count only when ``timed``.
        label: n outcomes, or None.
        timed: whether the batch's event times are real.
        delay_s: seconds from each prediction to its label, float64[n]; None where that is not known.
    """

    batch: PredictionBatch
    label: Column | None = None
    timed: bool = True
    delay_s: Floats | None = None


def build(
    rows: BaselineColumns,
    template: Spec,
    *,
    window_s: float,
    slices: Sequence[str] = (),
    bins: Mapping[str, tuple[float, ...]] = MappingProxyType({}),
    intersections: tuple[tuple[str, str], ...] = (),
) -> Baseline:
    """A baseline from rows.

    Args:
        rows: what the model saw and said while all was well.
        template: task, positive class and threshold.
        window_s: length of the shortest window that will be scored.
        slices: names of the attributes to cut labelled rows by.
        bins: edges fixed by the user, by the field's name.
        intersections: pairs of ``slices`` to cut by together.

    Raises:
        ValueError: bins for a column that is not there or holds text, more slices than the cap allows, or fewer than 200 whole
            vectors of an embedding.

    Cost: one sort a column and one pass; memory about 8 bytes a value.
    """
    rows = replace(rows, batch=with_score(rows.batch, template))
    rows, codebooks = _apart(rows)
    batch = rows.batch
    spec = learn_spec(
        batch, template, tuple(slices), label=rows.label, bins=bins, intersections=intersections, codebooks=codebooks
    )
    cells = spec.encode(batch)
    counts, moments = CountsState(spec), MomentsState(spec)
    counts.update(cells)
    moments.update(batch)
    starts, place = _steps(rows, window_s)
    used, labelled = _labelled(spec, rows)
    return Baseline(
        name=batch.model.name,
        spec=spec,
        counts=counts,
        moments=moments,
        labels=LabelStates.of(_tables(spec, labelled)) if labelled else LabelStates.empty(spec),
        window_starts=starts,
        windows=_windows(spec, cells, starts, place),
        window_labels=_window_labels(spec, labelled, place[used], len(starts)) if labelled and rows.timed else (),
        window_s=window_s,
    )


def _apart(rows: BaselineColumns) -> tuple[BaselineColumns, tuple[Codebook, ...]]:
    """The rows that are counted, with the columns of the codebooks, and the codebooks, learned from rows set apart."""
    embeddings = rows.batch.embeddings
    if not embeddings:
        return rows, ()
    books = tuple(learn_codebook(name, column.dense()) for name, column in sorted(embeddings.items()))
    kept = ~fitting_rows(len(rows.batch))
    batch = Spec(codebooks=books).embedded(_part(rows.batch, kept))
    label = None if rows.label is None else rows.label.take(kept)
    return replace(rows, batch=batch, label=label, delay_s=None if rows.delay_s is None else rows.delay_s[kept]), books


def _part(batch: PredictionBatch, rows: Mask) -> PredictionBatch:
    """Some rows, with all columns that a baseline counts."""
    return PredictionBatch(
        model=batch.model,
        event_time_ns=batch.event_time_ns[rows],
        features={name: column.take(rows) for name, column in batch.features.items()},
        score=batch.score and batch.score.take(rows),
        decision=batch.decision and batch.decision.take(rows),
        value=batch.value and batch.value.take(rows),
        duration_s=batch.duration_s and batch.duration_s.take(rows),
        error=batch.error and batch.error.take(rows),
        slices={name: column.take(rows) for name, column in batch.slices.items()},
        embeddings={name: column.take(rows) for name, column in batch.embeddings.items()},
    )


def _steps(rows: BaselineColumns, window_s: float) -> tuple[Ints, Ints]:
    """Begin of each window, int64[W], and the window of each row, int64[n]; no window where times are unknown."""
    if not rows.timed:
        return np.empty(0, dtype=np.int64), np.zeros(len(rows.batch), dtype=np.int64)
    step = round(window_s * 1e9)
    return np.unique(rows.batch.event_time_ns // step * step, return_inverse=True)


def _windows(spec: Spec, cells: Ints, starts: Ints, place: Ints) -> Ints:
    """Counts of each window, int64[W, cells]."""
    if not len(starts):
        return np.empty((0, spec.cells), dtype=np.int64)
    counts = np.bincount((cells + place * spec.cells).ravel(), minlength=len(starts) * spec.cells)
    return counts.reshape(len(starts), spec.cells)


def _labelled(spec: Spec, rows: BaselineColumns) -> tuple[Mask, LabelledRows | None]:
    """Which rows have a label that can be counted, and those rows."""
    label, batch, n = rows.label, rows.batch, len(rows.batch)
    if label is None:
        return np.zeros(n, dtype=np.bool_), None
    delay = np.zeros(n) if rows.delay_s is None else rows.delay_s
    slices = spec.cross(spec.slice_rows(slice_columns(batch, spec)))
    if spec.task == semconv.ML_MODEL_TASK_REGRESSION:
        use = label.valid if isinstance(label, NumberColumn) else np.zeros(n, dtype=np.bool_)
        truth = label.values if isinstance(label, NumberColumn) else np.zeros(n)
        return use, NumberRows(truth[use], _numbers(batch.value, n)[use], delay[use], _rows(slices, use))
    use = label.valid
    decision = decision_codes(spec, batch.decision, batch.score, n)
    found = ClassRows(
        _numbers(batch.score, n)[use], rightness(spec, batch, label)[use], class_codes(spec, label)[use],
        decision[use], delay[use], _rows(slices, use),
    )  # fmt: skip
    return use, found


def rightness(spec: Spec, batch: PredictionBatch, label: Column) -> Ints:
    """Whether what the score speaks of came true: the positive class, or of several classes the decided one; int64[n]."""
    if spec.task == semconv.ML_MODEL_TASK_BINARY:
        return np.maximum(class_codes(spec, label), 0)
    if batch.decision is None:
        return np.zeros(len(batch), dtype=np.int64)
    return same_class(batch.decision, label).astype(np.int64)


def _numbers(column: NumberColumn | None, n: int) -> Floats:
    return np.full(n, np.nan) if column is None else np.where(column.valid, column.values, np.nan)


def _rows(slices: Ints, use: Mask) -> Ints | None:
    return slices[:, use] if len(slices) else None


def _tables(spec: Spec, rows: LabelledRows) -> LabelTables:
    out = LabelTables(spec)
    out.add(rows)
    return out


def _window_labels(spec: Spec, rows: LabelledRows, place: Ints, windows: int) -> tuple[LabelTables, ...]:
    """The labelled rows of each window."""
    order = np.argsort(place, kind="stable")
    ends = np.searchsorted(place[order], np.arange(windows + 1))
    return tuple(_tables(spec, rows.take(order[a:b])) for a, b in pairwise(ends))


def slice_columns(batch: PredictionBatch, spec: Spec) -> list[CodedColumn]:
    """The batch's column of each slice of the spec, all missing where it has none."""
    absent = CodedColumn((), np.full(len(batch), -1, dtype=np.int32))
    return [batch.slices.get(s.name, absent) for s in spec.slices]
