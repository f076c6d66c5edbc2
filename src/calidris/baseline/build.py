"""Build a baseline from rows: learn a spec, count the rows under it, and count each of its windows apart.

The windows' own spread is what lets detection divide out the extra variation of real traffic (statistics: the design
effect). Without a time column they are unknown, and detection has to learn them from live windows first.

Where rows have embeddings or columns of many levels, one in four places centroids and picks levels, and is counted in no
histogram: ``state.fitting_rows`` says why. Its label is counted: what labels say does not depend on levels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from types import MappingProxyType

import numpy as np

from calidris import semconv
from calidris.baseline.bundle import Baseline
from calidris.baseline.learn import learn_spec, wide_columns
from calidris.batch import CodedColumn, Column, Floats, Ints, Mask, NumberColumn, PredictionBatch
from calidris.state import (
    CountsState,
    MomentsState,
    Pair,
    Spec,
    class_codes,
    decision_codes,
    fitting_rows,
    learn_codebook,
    pick_pairs,
)
from calidris.state.blocks.classes import same_class, with_score
from calidris.state.blocks.labelled import ClassRows, LabelledRows, LabelStates, LabelTables, NumberRows
from calidris.state.blocks.weighted_rows import WeightedRows
from calidris.state.coding.centroids import MAX_FIT_ROWS
from calidris.state.effective import (
    rounded_counts,
    scaled_counts,
    whole_labels,
    whole_moments,
    worth_of,
    worth_of_labels,
)
from calidris.state.related import MOST_PAIRS
from calidris.state.weights import ONE, units_of

LABELLED_ROWS = 1 << 20
"""Labelled rows that wait to be counted by window, 50 MB: window by window, as each costs the same however few rows it has."""


@dataclass(frozen=True, slots=True)
class BaselineColumns:
    """The rows of a baseline: a batch, with labels and times where they are known.

    Attributes:
        batch: features, scores and decisions of n rows; its event times count only when ``timed``.
        label: n outcomes, or None.
        timed: whether the batch's event times are real.
        delay_s: seconds from each prediction to its label, float64[n]; None where that is not known.
        untimed: rows whose time is not known, bool[n]: they are counted in no window. None where there is none.
        apart: rows that place centroids and pick levels, bool[n]: they are counted in no histogram. None where there is none.
    """

    batch: PredictionBatch
    label: Column | None = None
    timed: bool = True
    delay_s: Floats | None = None
    untimed: Mask | None = None
    apart: Mask | None = None

    def take(self, rows: Mask) -> BaselineColumns:
        """Some of the rows, in their order."""
        return BaselineColumns(
            _part(self.batch, rows),
            self.label and self.label.take(rows),
            self.timed,
            None if self.delay_s is None else self.delay_s[rows],
            None if self.untimed is None else self.untimed[rows],
            None if self.apart is None else self.apart[rows],
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a baseline is wanted for.

    Attributes:
        template: task, positive class and threshold.
        window_s: length of the shortest window that will be scored.
        slices: names of the attributes to cut labelled rows by.
        bins: edges fixed by the user, by the field's name.
        intersections: pairs of ``slices`` to cut by together.
        pairs: how many pairs of features are counted together, at most.
    """

    template: Spec
    window_s: float
    slices: Sequence[str] = ()
    bins: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    intersections: tuple[tuple[str, str], ...] = ()
    pairs: int = MOST_PAIRS


def build(
    rows: BaselineColumns,
    template: Spec,
    *,
    window_s: float,
    slices: Sequence[str] = (),
    bins: Mapping[str, tuple[float, ...]] = MappingProxyType({}),
    intersections: tuple[tuple[str, str], ...] = (),
    pairs: int = MOST_PAIRS,
) -> Baseline:
    """A baseline from rows.

    Args:
        rows: what the model saw and said while all was well.
        template: task, positive class and threshold.
        window_s: length of the shortest window that will be scored.
        slices: names of the attributes to cut labelled rows by.
        bins: edges fixed by the user, by the field's name.
        intersections: pairs of ``slices`` to cut by together.
        pairs: how many pairs of features are counted together, at most: ``pick_pairs`` says which.

    Raises:
        ValueError: bins for a column that is not there or holds text, more slices than the cap allows, or fewer than 200 whole
            vectors of an embedding.

    Cost: one sort a column and one pass; memory about 8 bytes a value.
    """
    wanted = Wanted(template, window_s, slices, bins, intersections, pairs)
    spec, counted = learn(rows, wanted)
    counting = Counting(spec, window_s, windows_in(counted, window_s) if rows.timed else None)
    counting.add(counted)
    return counting.finish(rows.batch.model.name, pairs)


def learn(rows: BaselineColumns, wanted: Wanted) -> tuple[Spec, BaselineColumns]:
    """How rows like these are counted, and the rows, with those set apart that place centroids and pick levels.

    Raises:
        ValueError: as ``build``.

    Cost: one sort a column.
    """
    rows = replace(rows, batch=with_score(rows.batch, wanted.template))
    codebooks = tuple(learn_codebook(name, column.dense()) for name, column in sorted(rows.batch.embeddings.items()))
    if codebooks or wide_columns(rows.batch, wanted.bins):
        rows = replace(rows, apart=fitting_rows(len(rows.batch)))
    spec = learn_spec(
        rows.batch,
        wanted.template,
        tuple(wanted.slices),
        label=rows.label,
        bins=wanted.bins,
        intersections=wanted.intersections,
        codebooks=codebooks,
        picking=rows.apart,
    )
    return replace(spec, pairs=_pick_pairs(spec, rows.batch, wanted.pairs)), rows


def _pick_pairs(spec: Spec, batch: PredictionBatch, most: int) -> tuple[Pair, ...]:
    """The pairs to watch, by at most ``MAX_FIT_ROWS`` of the rows.

    These are counted too: that pairs were picked by them is paid for where bets are laid (``detect/bets/freezing.py``).
    """
    if not most:
        return ()
    some = _part(batch, fitting_rows(len(batch))) if len(batch) > MAX_FIT_ROWS else batch
    return pick_pairs(spec, spec.encode(some), most)


def windows_in(rows: BaselineColumns, window_s: float) -> Ints:
    """Begins of the windows that have rows, ns since the epoch, ascending int64[W]."""
    step = round(window_s * 1e9)
    times = rows.batch.event_time_ns if rows.untimed is None else rows.batch.event_time_ns[~rows.untimed]
    return np.unique(times // step * step)


@dataclass(frozen=True, slots=True)
class WeightedParts:
    """Rows of a baseline by weight: all of them, and those of each window.

    Attributes:
        rows: all of them.
        windows: Σw of each cell of each window in units, int64[W, cells].
    """

    rows: WeightedRows
    windows: Ints

    def add(self, batch: PredictionBatch, cells: Ints, place: Ints, units: Ints | None) -> None:
        """Count encoded rows, int64[fields, n], with the window of each; -1 is none."""
        self.rows.update(cells, units, batch)
        there = place >= 0
        if not there.any():
            return
        weights = np.full(len(place), ONE) if units is None else units
        into = cells[:, there] + place[there] * self.rows.spec.cells
        np.add.at(self.windows.reshape(-1), into.ravel(), np.tile(weights[there], len(cells)))

    def give(self, made: Baseline, labels: LabelTables) -> Baseline:
        """The baseline in whole rows. What lies in no window is rounded by itself, so that all is the sum of its parts."""
        spec, worth = made.spec, worth_of(self.rows)
        windows = np.array([self._whole(one, worth) for one in self.windows], dtype=np.int64)
        windows = windows.reshape(len(self.windows), spec.cells)
        rest = self._whole(self.rows.cells - self.windows.sum(axis=0), worth)
        whole, in_windows = whole_labels(labels, made.window_labels, worth_of_labels(made.labels))
        return replace(
            made, counts=CountsState(spec, windows.sum(axis=0) + rest), moments=whole_moments(self.rows, worth), windows=windows,
            labels=whole, window_labels=in_windows, weighed=self.rows.count,
        )  # fmt: skip

    def _whole(self, units: Ints, worth: float) -> Ints:
        return rounded_counts(scaled_counts(self.rows.spec, units, worth)).array


class Counting:
    """A baseline that is being counted: its rows come a part at a time, in any order.

    Args:
        spec: how they are counted.
        window_s: length of a window.
        starts: begin of each window that has rows, ns since the epoch, ascending; None where times are not known.

    Cost: memory of the windows' counts, 8 bytes a cell, and of a million labelled rows; none of all other rows.
    """

    def __init__(self, spec: Spec, window_s: float, starts: Ints | None) -> None:
        self.spec = spec
        self._window_s = window_s
        self._timed = starts is not None
        self._starts: Ints = np.empty(0, dtype=np.int64) if starts is None else starts
        self._counts, self._moments = CountsState(spec), MomentsState(spec)
        self._set_apart = 0
        self._windows = np.zeros((len(self._starts), spec.cells), dtype=np.int64)
        self._labels = LabelTables(spec)
        self._window_labels = tuple(LabelTables(spec) for _ in self._starts)
        self._weights: WeightedParts | None = None
        # Whether there is a column of outcomes, with or without any in it.
        self._labelled = False
        self._label_times = True
        self._waiting: list[tuple[LabelledRows, Ints]] = []

    def add(self, rows: BaselineColumns) -> None:
        """Count rows: those that are set apart by their labels alone."""
        batch = self.spec.embedded(rows.batch)
        place = self._places(rows)
        self._count_cells(batch, place, rows.apart)
        used, labelled = _labelled(self.spec, replace(rows, batch=batch))
        if labelled is not None:
            self._labelled = True
            self._label_times &= rows.delay_s is not None
            self._waiting.append((labelled, place[used]))
        if sum(len(where) for _, where in self._waiting) >= LABELLED_ROWS:
            self._count_labels()

    def _count_cells(self, batch: PredictionBatch, place: Ints, apart: Mask | None) -> None:
        """The histograms of all rows and of each window."""
        if apart is not None:
            self._set_apart += int(np.count_nonzero(apart))
            batch, place = _part(batch, ~apart), place[~apart]
        cells = self.spec.encode(batch)
        self._weigh(batch, cells, place)
        self._counts.update(cells)
        self._moments.update(batch, cells)
        if len(self._starts):
            there = place >= 0
            # One addition for all windows: rows of a file need not come in the order of their times.
            into = cells[:, there] + place[there] * self.spec.cells
            np.add.at(self._windows.reshape(-1), into.ravel(), 1)

    def _weigh(self, batch: PredictionBatch, cells: Ints, place: Ints) -> None:
        """Count rows by weight from the first one on that has one, before they are counted by row."""
        units = units_of(batch.weight)
        if units is not None and self._weights is None:
            rows = WeightedRows.at_one(self._counts, self._moments)
            self._weights = WeightedParts(rows, self._windows * ONE)
        if self._weights is not None:
            self._weights.add(batch, cells, place, units)

    def _places(self, rows: BaselineColumns) -> Ints:
        """Window of each row, int64[n]; -1 where its time is not known."""
        if not self._timed:
            return np.full(len(rows.batch), -1, dtype=np.int64)
        step = round(self._window_s * 1e9)
        place = np.searchsorted(self._starts, rows.batch.event_time_ns // step * step)
        return place if rows.untimed is None else np.where(rows.untimed, -1, place)

    def _count_labels(self) -> None:
        if not self._waiting:
            return
        rows, place = _join(self._waiting)
        self._waiting = []
        self._labels.add(rows)
        order = np.argsort(place, kind="stable")
        ends = np.searchsorted(place[order], np.arange(len(self._starts) + 1))
        for tables, (a, b) in zip(self._window_labels, pairwise(ends.tolist())):
            if a < b:
                tables.add(rows.take(order[a:b]))

    def finish(self, name: str, pairs: int | None = None) -> Baseline:
        """The baseline of the rows so far; of rows by weight as many whole ones as they are worth.

        ``pairs`` is how many were wanted.
        """
        self._count_labels()
        made = self._finish(name, pairs)
        return made if self._weights is None else self._weights.give(made, self._labels)

    def _finish(self, name: str, pairs: int | None) -> Baseline:
        return Baseline(
            name=name,
            spec=self.spec,
            counts=self._counts,
            moments=self._moments,
            labels=LabelStates.of(self._labels),
            window_starts=self._starts,
            windows=self._windows,
            window_labels=self._window_labels if self._labelled and self._timed else (),
            window_s=self._window_s,
            set_apart=self._set_apart,
            stated_label_times=self._label_times if self._labelled else None,
            wanted_pairs=pairs,
        )


def _join(parts: Sequence[tuple[LabelledRows, Ints]]) -> tuple[LabelledRows, Ints]:
    """Rows of several parts, and their windows, as one."""
    rows, places = zip(*_alike(parts))
    columns = {column.name: [getattr(part, column.name) for part in rows] for column in fields(rows[0])}
    joined = {name: None if found[0] is None else np.concatenate(found, axis=-1) for name, found in columns.items()}
    return type(rows[0])(**joined), np.concatenate(places)


def _alike(parts: Sequence[tuple[LabelledRows, Ints]]) -> Sequence[tuple[LabelledRows, Ints]]:
    """The same, each with weights where one has some."""
    if all(rows.units is None for rows, _ in parts):
        return parts
    return [(rows if rows.units is not None else replace(rows, units=np.full(len(at), ONE)), at) for rows, at in parts]


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
        weight=batch.weight and batch.weight.take(rows),
        slices={name: column.take(rows) for name, column in batch.slices.items()},
        embeddings={name: column.take(rows) for name, column in batch.embeddings.items()},
    )


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
        numbers = _numbers(batch.value, n)
        return use, NumberRows(truth[use], numbers[use], delay[use], _rows(slices, use), _units(batch, use))
    use = label.valid
    decision = decision_codes(spec, batch.decision, batch.score, n)
    found = ClassRows(
        _numbers(batch.score, n)[use], rightness(spec, batch, label)[use], class_codes(spec, label)[use],
        decision[use], delay[use], _rows(slices, use), _units(batch, use),
    )  # fmt: skip
    return use, found


def _units(batch: PredictionBatch, use: Mask) -> Ints | None:
    """Weights of some rows; None where each row counts once."""
    units = units_of(batch.weight)
    return None if units is None else units[use]


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


def slice_columns(batch: PredictionBatch, spec: Spec) -> list[CodedColumn]:
    """The batch's column of each slice of the spec, all missing where it has none."""
    absent = CodedColumn((), np.full(len(batch), -1, dtype=np.int32))
    return [batch.slices.get(s.name, absent) for s in spec.slices]
