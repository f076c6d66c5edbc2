"""The features of all rows that serve, whichever version they asked, in the bins of one spec.

A version lives for a day where deploys are daily, and what changes slowly changes between them: no version sees it by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np

from calidris.batch import Ints, Mask, ModelKey, PredictionBatch
from calidris.engine.columns import by_step
from calidris.engine.panes.arrivals import Arrivals
from calidris.engine.panes.pane import HOUR_NS, Pane, weighted_rows
from calidris.engine.panes.panes import ClosedPanes, Panes
from calidris.engine.panes.rollup import Marks
from calidris.state import CountsState, Role, Spec
from calidris.state.blocks.weighted_rows import WeightedRows
from calidris.state.effective import effective_counts, rounded_counts
from calidris.state.weights import units_of

HOT_NS = 2 * HOUR_NS
"""The newest steps never leave memory, as those of versions do not."""


@dataclass(frozen=True, slots=True)
class Coded:
    """Rows that are ready to be counted: nothing can fail any more.

    Attributes:
        times_ns: of the rows, int64[n].
        cells: int64[fields, n], those of all fields of the spec.
        units: their weights, int64[n]; None where each counts once.
    """

    times_ns: Ints
    cells: Ints
    units: Ints | None = None


class SharedFeatures:
    """Counts of features alone, step by step, until the longest scored window that they lie in is closed.

    The layout is that of the whole spec, with nothing in the cells of scores, decisions, values and durations: so that the bets
    that a version began go on. The first field holds every row, as in any counts of a spec. One writer, the engine.

    Args:
        key: under which the panes are put away; no model has it.
        spec: how features are coded: the first confirmed one of the model.
        step_ns: length of a step.
        longest_ns: of the longest scored window.
        closed: where panes are that memory does not hold.

    Attributes:
        arrivals: which features have come with a value, in rows of any version.
    """

    def __init__(
        self,
        key: ModelKey,
        spec: Spec,
        step_ns: int,
        longest_ns: int,
        closed: ClosedPanes,
    ) -> None:
        self.spec = spec
        self.step_ns = step_ns
        self.longest_ns = longest_ns
        self.panes = Panes(
            key,
            step_ns,
            [spec],
            closed,
        )
        self.arrivals = Arrivals()
        self.rows = 0
        self.first_event_ns = 0
        self.sealed_ns = 0
        # The first field, of errors, holds every row: without it nobody could tell how many there are.
        features = [at for at, field in enumerate(spec.fields) if field.role in (Role.FEATURE, Role.PAIR)]
        self._places = np.array([0, *features], dtype=np.int64)

    @property
    def kept_ns(self) -> int:
        """Begin of the longest window that is open: rows of before it are in no window that is still to be scored."""
        return self.sealed_ns // self.longest_ns * self.longest_ns

    def encode(
        self,
        batch: PredictionBatch,
        cells: Ints,
        spec: Spec,
        settled: Callable[[Collection[str]], PredictionBatch],
    ) -> Coded:
        """Code rows, before anything is counted of them.

        Args:
            batch: the rows, as the version that they asked counts them.
            cells: int64[fields, n] that they have by its spec; taken where it is the same spec.
            spec: that one.
            settled: the rows anew, as a spec has them in which these levels are empty.

        Cost: nothing where all versions have one spec; else each feature is coded a second time.
        """
        if spec.hash != self.spec.hash:
            sent = settled(self.spec.blank_levels)
            embedded = self.spec.embedded(sent)
            cells = self.spec.encode(embedded)
        return Coded(batch.event_time_ns, cells, units_of(batch.weight))

    def count(self, coded: Coded) -> None:
        """Count coded rows, each in the step of its own time."""
        times = coded.times_ns
        oldest = int(times.min())
        self.rows += len(times)
        self.first_event_ns = min(self.first_event_ns or oldest, oldest)
        self.arrivals.note(
            self.spec,
            coded.cells,
            times,
        )
        features = coded.cells[self._places]
        for start, here in by_step(times // self.step_ns * self.step_ns):
            # Late for every window: the version's own panes show it, and nobody would score it here.
            if start < self.kept_ns:
                continue
            pane = self.panes.for_rows(start, 0)
            units = coded.units
            pane.count_cells(features[:, here], None if units is None else units[here])

    def copy_open(
        self,
        panes: Panes,
        spec: Spec,
    ) -> None:
        """Count what a version has of windows that are open, where its spec is this one."""
        if spec.hash != self.spec.hash:
            return
        # Rows of an earlier baseline lie in other bins.
        newest = len(panes.specs) - 1
        for key in panes.keys(self.kept_ns, 2**63 - 1):
            if key.spec == newest:
                mine = self.panes.for_rows(key.start_ns, 0)
                found = panes.get(key)
                mine.merge_counts(self._features_of(found), self._weights_of(found))

    def _features_of(self, pane: Pane) -> CountsState:
        """A pane's counts with nothing in the cells of other fields."""
        counts: Ints = np.where(
            self._mask(),
            pane.counts.array,
            0,
        )
        return CountsState(self.spec, counts)

    def _weights_of(self, pane: Pane) -> WeightedRows | None:
        """Likewise by weight."""
        if pane.weighted is None:
            return None
        weighted = pane.weighted.copy()
        weighted.cells[~self._mask()] = 0
        weighted.moments[1:] = 0
        return weighted

    def _mask(self) -> Mask:
        mask = np.zeros(self.spec.cells, dtype=np.bool_)
        for place in self._places.tolist():
            begin, end = self.spec.offsets[place : place + 2]
            mask[begin:end] = True
        return mask

    def windows_between(
        self,
        after_ns: int,
        until_ns: int,
        length_ns: int,
    ) -> list[int]:
        """Begins of the windows with rows that end in ``(after_ns, until_ns]``, oldest first."""
        keys = self.panes.keys(after_ns - length_ns + 1, until_ns)
        begins = {key.start_ns // length_ns * length_ns for key in keys}
        return sorted(begin for begin in begins if after_ns < begin + length_ns <= until_ns)

    def counts_of(
        self,
        start_ns: int,
        length_ns: int,
    ) -> Ints:
        """The rows of one window together, int64[cells]; as many as they are worth where they have weights."""
        total = CountsState(self.spec)
        panes = list(self._within(start_ns, start_ns + length_ns))
        for pane in panes:
            total.merge(pane.counts)
        weighted = weighted_rows(self.spec, panes)
        if weighted is not None:
            total = rounded_counts(effective_counts(weighted))
        return total.array

    def _within(
        self,
        start_ns: int,
        end_ns: int,
    ) -> Iterator[Pane]:
        for key in self.panes.keys(start_ns, end_ns):
            yield self.panes.get(key)

    def absent_in(self, start_ns: int) -> list[int]:
        """Places of the features that a window has no rows of, because no value of theirs had come before it."""
        first_step = self.first_event_ns // self.step_ns * self.step_ns
        return self.arrivals.absent(
            self.spec,
            start_ns,
            first_step + self.step_ns,
        )

    def restore(
        self,
        arrivals: Arrivals,
        marks: Marks,
        *,
        rows: int,
        sealed_ns: int,
        first_event_ns: int,
    ) -> None:
        """Take over what a checkpoint holds, but for the panes."""
        self.arrivals = arrivals
        self.panes.marks = marks
        self.rows = rows
        self.sealed_ns = sealed_ns
        self.first_event_ns = first_event_ns

    def load(self) -> None:
        """Take the newest steps into memory; after a restore."""
        self.panes.load(self._hot_ns())

    def saved(self, most_bytes: int) -> None:
        """Note that the checkpoint has all of it, and let go of what short windows do not need."""
        self.panes.saved()
        self.panes.forget(self._hot_ns(), most_bytes)

    def _hot_ns(self) -> int:
        return self.sealed_ns - HOT_NS

    def close(self, until_ns: int) -> None:
        """Note that windows until then are scored, and drop what no open window needs."""
        self.sealed_ns = until_ns
        marks = self.panes.marks
        if self.kept_ns > marks.deleted_ns:
            self.panes.move(marks._replace(deleted_ns=self.kept_ns))
