"""Build a baseline from rows: learn a spec, count the rows under it, and count each of its windows apart.

The windows' own spread is what lets detection divide out the extra variation of real traffic (statistics: the design
effect). Without a time column they are unknown, and detection has to learn them from live windows first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calidris.baseline.bundle import Baseline
from calidris.baseline.learn import learn_spec
from calidris.batch import CodedColumn, Column, Floats, Ints, NumberColumn, PredictionBatch
from calidris.config.models import label_text
from calidris.state import CountsState, ScoresState, Spec


@dataclass(frozen=True, slots=True)
class BaselineColumns:
    """The rows of a baseline: a batch, with labels and times where they are known.

    Attributes:
        batch: features, scores and decisions of n rows; its event times count only when ``timed``.
        label: n outcomes, or None.
        timed: whether the batch's event times are real.
    """

    batch: PredictionBatch
    label: Column | None = None
    timed: bool = True


def build(rows: BaselineColumns, template: Spec, *, window_s: float, slices: Sequence[str] = ()) -> Baseline:
    """A baseline from rows.

    Args:
        rows: what the model saw and said while all was well.
        template: task, positive class and threshold.
        window_s: length of the shortest window that will be scored.
        slices: names of the attributes to cut labelled scores by.

    Cost: one sort a column and one pass; memory about 8 bytes a value.
    """
    spec = learn_spec(rows.batch, template, tuple(slices))
    cells = spec.encode(rows.batch)
    counts = CountsState(spec)
    counts.update(cells)
    starts, windows = _windows(spec, cells, rows, window_s)
    return Baseline(rows.batch.model.name, spec, counts, _scores(spec, rows), starts, windows, window_s)


def _windows(spec: Spec, cells: Ints, rows: BaselineColumns, window_s: float) -> tuple[Ints, Ints]:
    if not rows.timed:
        return np.empty(0, dtype=np.int64), np.empty((0, spec.cells), dtype=np.int64)
    step = round(window_s * 1e9)
    starts, window = np.unique(rows.batch.event_time_ns // step * step, return_inverse=True)
    flat = cells + window * spec.cells
    counts = np.bincount(flat.ravel(), minlength=len(starts) * spec.cells)
    return starts, counts.reshape(len(starts), spec.cells)


def _scores(spec: Spec, rows: BaselineColumns) -> ScoresState:
    state = ScoresState(spec)
    score = rows.batch.score
    if rows.label is None or score is None:
        return state
    outcome, known = outcomes(rows.label, spec.positive)
    use = known & score.valid
    slice_rows = spec.slice_rows(slice_columns(rows.batch, spec))
    delay: Floats = np.zeros(int(use.sum()))
    state.update(score.values[use], outcome[use], delay, slice_rows[:, use] if len(slice_rows) else None)
    return state


def slice_columns(batch: PredictionBatch, spec: Spec) -> list[CodedColumn]:
    """The batch's column of each slice of the spec, all missing where it has none."""
    absent = CodedColumn((), np.full(len(batch), -1, dtype=np.int32))
    return [batch.slices.get(s.name, absent) for s in spec.slices]


def outcomes(label: Column, positive: str) -> tuple[Ints, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """1 where a label is the positive one, else 0, and where it is known at all.

    >>> outcomes(CodedColumn.of(["yes", "no", None]), "yes")[0].tolist()
    [1, 0, 0]
    """
    if isinstance(label, NumberColumn):
        is_positive = label.values == _number(positive)
    else:
        is_positive = np.array([*(label_text(level) == positive for level in label.levels), False])[label.codes]
    return (is_positive & label.valid).astype(np.int64), label.valid


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")  # equal to no label
