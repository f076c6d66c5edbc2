"""One watched model version: its panes, its totals and the predictions that wait for a label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from calidris import semconv
from calidris.baseline import Baseline
from calidris.batch import Column, Ints, Mask, ModelKey, PredictionBatch
from calidris.config import LimitsConfig, ModelConfig
from calidris.engine.columns import part_of
from calidris.engine.figures.days import Days
from calidris.engine.joining import labelled_rows, waiting_rows
from calidris.engine.learning import Reservoir, first_spec
from calidris.engine.pane import Pane, PaneKey
from calidris.labels import PendingPredictions, pending_dtype
from calidris.labels.keys import Hashes
from calidris.labels.pending import Rows
from calidris.state import Spec, class_names
from calidris.state.classes import with_top_label
from calidris.state.labelled import ClassRows

KEPT_NS = 3_600_000_000_000
"""Panes stay in memory this long beyond the longest window, for labels and late rows."""

LoadPane = Callable[[ModelKey, PaneKey, Spec], Pane | None]


class WatchedModel:
    """What the engine remembers of one model version. One writer; everything here is a function of the journal.

    Args:
        key: which model version.
        config: the user's settings for the model.
        limits: caps on memory.
        baseline: its baseline, or None to learn a provisional one.
        load_pane: reads a pane that was closed and put away.
    """

    def __init__(
        self, key: ModelKey, config: ModelConfig, limits: LimitsConfig, baseline: Baseline | None, load_pane: LoadPane
    ) -> None:
        self.key = key
        self.config = config
        self.limits = limits
        self.baseline = baseline
        self.baseline_note = ""
        self.load_pane = load_pane
        self.specs: list[Spec] = [baseline.spec] if baseline else []
        self.panes: dict[PaneKey, Pane] = {}
        self.reservoir = Reservoir(2 * limits.features) if baseline is None else None
        slices = max(len(config.cuts), len(baseline.spec.slices) if baseline else 0)
        self.pending = PendingPredictions(pending_dtype(slices), limits.pending_labels)
        self.rows = 0
        self.labels = 0
        self.first_event_ns = 0
        self.last_event_ns = 0
        self.newest_sealed_ns = 0
        self.seen_ns = 0  # sealed time when the newest rows came
        self.left_out: Counter[str] = Counter()  # what caps have left out since somebody asked, by cap
        self.slo_events: Counter[tuple[str, str]] = Counter()
        self.days = Days()
        self.changed = True  # since the last snapshot
        self.recounted = True  # likewise, in what its windows show
        self.unsaved = True  # since the last checkpoint

    @property
    def template(self) -> Spec:
        """Task, threshold and labels as configured, without fields."""
        c = self.config
        return Spec(task=c.task, positive=c.positive_text, threshold=c.threshold)

    @property
    def spec(self) -> Spec:
        """How rows are counted now."""
        return self.specs[-1]

    def touch(self, recounted: bool = True) -> None:
        """Note that something changed; ``recounted`` where sealed windows did too, not only totals."""
        self.changed = self.unsaved = True
        # Before the first seal, windows show what has come so far.
        self.recounted |= recounted or not self.newest_sealed_ns

    def add(self, batch: PredictionBatch, sealed_ns: int) -> tuple[int, Hashes]:
        """Count predictions.

        Returns:
            How many came after their window was sealed, and the hashes of the ids that labels can name.
        """
        if self.config.task == semconv.ML_MODEL_TASK_MULTICLASS:
            batch = with_top_label(batch)
        if not self.specs:
            self.specs.append(first_spec(batch, self.template, self.limits.features))
        if self.reservoir is not None:
            self.reservoir.add(batch)
        late = self._count(batch, sealed_ns)
        self._count_objectives(batch)
        oldest, newest = int(batch.event_time_ns.min()), int(batch.event_time_ns.max())
        self.first_event_ns = min(self.first_event_ns or oldest, oldest)
        self.last_event_ns = max(self.last_event_ns, newest)
        self.rows += len(batch)
        self.touch(recounted=oldest < self.newest_sealed_ns)
        return late, self._wait_for_labels(batch)

    def _count(self, batch: PredictionBatch, sealed_ns: int) -> int:
        step, batch = self.config.step_ns, self.spec.embedded(batch)
        cells = self.spec.encode(batch)
        starts = batch.event_time_ns // step * step
        late = 0
        for start in np.unique(starts).tolist():
            here = starts == start
            rows = int(np.count_nonzero(here))
            pane = self.pane(PaneKey(start, len(self.specs) - 1))
            part, part_cells = (batch, cells) if rows == len(batch) else (part_of(batch, here), cells[:, here])
            features, levels = pane.add(part, part_cells, _examples(batch, here))
            self.left_out.update(features=features, levels=levels)
            if start + step <= sealed_ns:
                pane.late += rows
                late += rows
        return late

    def pane(self, key: PaneKey) -> Pane:
        """The pane of a step and spec: from memory, else from the closed ones, else a new one."""
        found = self.panes.get(key)
        if found is None:
            found = self.load_pane(self.key, key, self.specs[key.spec]) or self._new_pane(key)
            self.panes[key] = found
        return found

    def _new_pane(self, key: PaneKey) -> Pane:
        return Pane.empty(self.specs[key.spec], self.config.step_ns)

    def _count_objectives(self, batch: PredictionBatch) -> None:
        slo = self.config.slo
        if slo.errors is not None:
            bad = 0 if batch.error is None else int(np.count_nonzero(batch.error.valid))
            self.slo_events["errors", "bad"] += bad
            self.slo_events["errors", "good"] += len(batch) - bad
        if slo.latency is not None and batch.duration_s is not None:
            known = batch.duration_s.values[batch.duration_s.valid]
            good = int(np.count_nonzero(known < slo.latency.under))
            self.slo_events["latency", "good"] += good
            self.slo_events["latency", "bad"] += len(known) - good

    def _wait_for_labels(self, batch: PredictionBatch) -> Hashes:
        """Let the rows wait whose label can be counted."""
        if batch.ids is None:
            return np.empty(0, dtype=np.uint64)
        waiting = waiting_rows(batch, self.spec, len(self.specs) - 1, self.pending.dtype)
        evicted = self.pending.evicted
        self.pending.add(waiting)
        self.left_out.update(pending_labels=self.pending.evicted - evicted, slices=_others(waiting, self.spec))
        return np.ascontiguousarray(waiting["id"])

    def add_labels(self, rows: Rows, label: Column, label_time_ns: Ints) -> int:
        """Count the labels, none of them missing, of predictions that were found waiting, each in its prediction's pane.

        Returns:
            How many were left out because they are no numbers, in a regression.
        """
        step, unusable = self.config.step_ns, 0
        keys = np.stack([rows["time_ns"] // step * step, rows["spec"].astype(np.int64)])
        for start, spec in np.unique(keys, axis=1).T.tolist():
            here = (keys[0] == start) & (keys[1] == spec)
            found, left_out = labelled_rows(self.specs[spec], rows[here], label.take(here), label_time_ns[here])
            self.pane(PaneKey(start, spec)).add_labels(found)
            unusable += left_out
            if isinstance(found, ClassRows) and self.config.task == semconv.ML_MODEL_TASK_MULTICLASS:
                others = found.truth == len(class_names(self.specs[spec])) - 1
                self.left_out.update(classes=int(np.count_nonzero(others)))
        self.labels += len(rows) - unusable
        self.touch()
        return unusable

    def windows_between(self, after_ns: int, until_ns: int, window_ns: int) -> list[int]:
        """Begins of the windows with rows that end in ``(after_ns, until_ns]``, oldest first."""
        begins = {key.start_ns // window_ns * window_ns for key in self.panes}
        return sorted(b for b in begins if after_ns < b + window_ns <= until_ns)

    def panes_in(self, start_ns: int, end_ns: int) -> list[tuple[PaneKey, Pane]]:
        """Panes in memory whose step begins in ``[start_ns, end_ns)``, oldest first."""
        return [(k, self.panes[k]) for k in sorted(self.panes) if start_ns <= k.start_ns < end_ns]

    def needed_since_ns(self, sealed_ns: int) -> int:
        """Begin of the oldest pane that memory must hold: the longest window before the newest sealed one, and an hour.

        A silent model's windows stay where they were, so its own newest window counts, not the clock's.
        """
        newest = min(self.newest_sealed_ns or sealed_ns, sealed_ns)
        longest = max(self.config.all_windows_s)
        if self.baseline is not None and self.baseline.labels.count:  # windows are scored when their labels are of age
            longest = max(longest, max(self.config.detect_windows_s) + self.config.detect.label_age)
        return newest - round(longest * 1e9) - KEPT_NS

    def forget_before(self, start_ns: int) -> None:
        """Drop panes from memory that are on disk and older than every window."""
        for key in [k for k, p in self.panes.items() if k.start_ns < start_ns and not p.dirty]:
            del self.panes[key]


def _others(rows: Rows, spec: Spec) -> int:
    """Values of slices that are counted together, as the slice's other levels."""
    rest = [start + len(s.levels) for start, s in zip(spec.axis.starts, spec.slices)]
    return int(np.count_nonzero(rows["slices"][:, : len(rest)] == np.array(rest, dtype=np.int64)))


def _examples(batch: PredictionBatch, rows: Mask) -> Sequence[str]:
    if batch.trace_ids is None:
        return ()
    codes = batch.trace_ids.codes[rows]
    return [batch.trace_ids.levels[c] for c in codes[:5].tolist() if c >= 0]
