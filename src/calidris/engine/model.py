"""One watched model version: its panes, its totals and the predictions that wait for a label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from calidris.baseline import Baseline
from calidris.baseline.build import outcomes, slice_columns
from calidris.batch import CodedColumn, Column, Floats, Ints, Mask, ModelKey, NumberColumn, PredictionBatch
from calidris.config import LimitsConfig, ModelConfig
from calidris.config.models import label_text
from calidris.engine.learning import Reservoir, first_spec
from calidris.engine.pane import Pane, PaneKey
from calidris.labels import PendingPredictions, hash_ids, hash_text, pending_dtype
from calidris.labels.keys import Hashes
from calidris.labels.pending import Rows
from calidris.state import Spec

_NO_ID = np.uint64(hash_text(""))  # a missing id joins nothing
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
        self.reservoir = Reservoir() if baseline is None else None
        self.pending = PendingPredictions(pending_dtype(len(config.slices)), limits.pending_labels)
        self.rows = 0
        self.labels = 0
        self.first_event_ns = 0
        self.last_event_ns = 0
        self.newest_sealed_ns = 0
        self.slo_events: Counter[tuple[str, str]] = Counter()
        self.changed = True

    @property
    def template(self) -> Spec:
        """Task, threshold and labels as configured, without fields."""
        c = self.config
        return Spec(task=c.task, positive=c.positive_text, threshold=c.threshold)

    @property
    def spec(self) -> Spec:
        """How rows are counted now."""
        return self.specs[-1]

    def add(self, batch: PredictionBatch, sealed_ns: int) -> tuple[int, Hashes | None]:
        """Count predictions.

        Returns:
            How many came after their window was sealed, and the hashes of their ids where labels can name them.
        """
        if not self.specs:
            self.specs.append(first_spec(batch, self.template, self.limits.features))
        if self.reservoir is not None:
            self.reservoir.add(batch)
        starts = batch.event_time_ns // self.config.step_ns * self.config.step_ns
        late = self._count(batch, starts, sealed_ns)
        self._count_objectives(batch)
        ids = self._wait_for_labels(batch)
        newest = int(batch.event_time_ns.max())
        self.first_event_ns = min(self.first_event_ns or newest, int(batch.event_time_ns.min()))
        self.last_event_ns = max(self.last_event_ns, newest)
        self.rows += len(batch)
        self.changed = True
        return late, ids

    def _count(self, batch: PredictionBatch, starts: Ints, sealed_ns: int) -> int:
        cells = self.spec.encode(batch)
        late = 0
        for start in np.unique(starts).tolist():
            here = starts == start
            rows = int(np.count_nonzero(here))
            pane = self.pane(PaneKey(start, len(self.specs) - 1))
            everything = rows == len(batch)
            pane.add(cells if everything else cells[:, here], _examples(batch, None if everything else here))
            if start + self.config.step_ns <= sealed_ns:
                pane.late += rows
                late += rows
        return late

    def pane(self, key: PaneKey) -> Pane:
        """The pane of a step and spec: from memory, else from the closed ones, else a new one."""
        found = self.panes.get(key)
        if found is None:
            found = self.load_pane(self.key, key, self.specs[key.spec]) or Pane.empty(self.specs[key.spec])
            self.panes[key] = found
        return found

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

    def _wait_for_labels(self, batch: PredictionBatch) -> Hashes | None:
        score = batch.score
        if batch.ids is None or score is None:
            return None
        rows = np.zeros(len(batch), dtype=self.pending.dtype)
        ids = hash_ids(batch.ids)
        rows["id"] = ids
        rows["time_ns"] = batch.event_time_ns
        rows["score"] = score.values
        rows["decision"] = _decision_hashes(batch.decision, len(batch))
        rows["spec"] = len(self.specs) - 1
        rows["slices"] = self._slice_rows(batch)
        self.pending.add(rows[score.valid & (ids != _NO_ID)])
        return ids

    def _slice_rows(self, batch: PredictionBatch) -> Ints:
        out = np.full((len(batch), len(self.config.slices)), -1, dtype=np.int64)
        out[:, : len(self.spec.slices)] = self.spec.slice_rows(slice_columns(batch, self.spec)).T
        return out

    def add_labels(self, rows: Rows, label: Column, label_time_ns: Ints) -> None:
        """Count the labels of predictions that were found waiting, each in the pane of its prediction's time."""
        step = self.config.step_ns
        keys = rows["time_ns"] // step * step
        outcome, known = outcomes(label, self.spec.positive) if self.config.task == "binary" else _matches(rows, label)
        delay_s = np.maximum(label_time_ns - rows["time_ns"], 0) / 1e9
        for start, spec in sorted(set(zip(keys.tolist(), rows["spec"].tolist()))):
            here = (keys == start) & (rows["spec"] == spec) & known
            pane = self.pane(PaneKey(start, spec))
            slices = rows["slices"][here].T[: len(self.specs[spec].slices)].astype(np.int64)
            pane.scores.update(rows["score"][here], outcome[here], delay_s[here], slices)
            pane.dirty = True
            self.labels += int(np.count_nonzero(here))
        self.changed = True

    def windows_between(self, after_ns: int, until_ns: int, window_ns: int) -> list[int]:
        """Begins of the windows with rows that end in ``(after_ns, until_ns]``, oldest first."""
        begins = {key.start_ns // window_ns * window_ns for key in self.panes}
        return sorted(b for b in begins if after_ns < b + window_ns <= until_ns)

    def panes_in(self, start_ns: int, end_ns: int) -> list[tuple[PaneKey, Pane]]:
        """Panes in memory whose step begins in ``[start_ns, end_ns)``, oldest first."""
        return [(k, self.panes[k]) for k in sorted(self.panes) if start_ns <= k.start_ns < end_ns]

    def forget_before(self, start_ns: int) -> None:
        """Drop panes from memory that are on disk and older than every window."""
        for key in [k for k, p in self.panes.items() if k.start_ns < start_ns and not p.dirty]:
            del self.panes[key]


def _examples(batch: PredictionBatch, rows: Mask | None) -> Sequence[str]:
    if batch.trace_ids is None:
        return ()
    codes = batch.trace_ids.codes if rows is None else batch.trace_ids.codes[rows]
    return [batch.trace_ids.levels[c] for c in codes[:5].tolist() if c >= 0]


def _decision_hashes(decision: Column | None, n: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """Hash of each row's class, 0 where there is none."""
    if decision is None:
        return np.zeros(n, dtype=np.uint64)
    coded = decision if isinstance(decision, CodedColumn) else _as_levels(decision)
    levels = np.array([*(hash_text(label_text(level)) for level in coded.levels), 0], dtype=np.uint64)
    return levels[coded.codes]


def _matches(rows: Rows, label: Column) -> tuple[Ints, Mask]:
    """Top-label outcomes: 1 where the label is the class that was decided."""
    labels = _decision_hashes(label, len(rows))
    return (labels == rows["decision"]).astype(np.int64), (labels != 0) & (rows["decision"] != 0)


def _as_levels(column: NumberColumn) -> CodedColumn:
    values: Floats
    values, codes = np.unique(column.values, return_inverse=True)
    levels = tuple(f"{v:.17g}" for v in values.tolist())
    return CodedColumn(levels, np.where(column.valid, codes, -1).astype(np.int32))
