"""One watched model version: its panes, its totals and the predictions that wait for a label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from functools import partial
from itertools import accumulate

import numpy as np

from calidris import semconv
from calidris.baseline import Baseline
from calidris.batch import Column, Ints, ModelKey, PredictionBatch
from calidris.config import LimitsConfig, ModelConfig, RetentionConfig
from calidris.engine.arrival import Jobs, SentSlices, StatedInputs
from calidris.engine.columns import by_step, part_of
from calidris.engine.joining import held_labels, labelled_rows, waiting_rows
from calidris.engine.learning import Reservoir, first_spec
from calidris.engine.outcomes import NO_CODES, Outcomes
from calidris.engine.panes.arrivals import Arrivals
from calidris.engine.panes.days import Days
from calidris.engine.panes.pane import DAY_NS, PaneKey
from calidris.engine.panes.panes import ClosedPanes, Found, Panes
from calidris.engine.panes.shared_features import SharedFeatures
from calidris.engine.panes.traffic_day import TrafficDay
from calidris.labels import Held, Match, PendingPredictions, Verdicts, held_dtype, judge, pending_dtype
from calidris.labels.id_hashes import Hashes
from calidris.labels.pending import Rows
from calidris.metrics.window_status import WindowContents
from calidris.state import Spec, class_names
from calidris.state.blocks.classes import with_score
from calidris.state.blocks.labelled import ClassRows
from calidris.state.coding.stated_types import settle
from calidris.state.weights import count_clipped, units_of

KEPT_NS = 3_600_000_000_000
"""Steps are kept this long beyond what windows need, for labels and late rows."""
HOT_NS = 2 * KEPT_NS
"""The newest steps, which rows and short windows touch all the time, never leave memory."""
LONGEST_OF_STEPS_S = 86_400.0
"""Longer windows are made of hours: they begin at a whole one."""


MISSED_JOBS = 3
"""A model whose rows come in jobs is silent once so many of them failed to come."""
RAREST_NS = 7 * 86_400_000_000_000
"""Jobs are taken to come once a week until two of them have shown how often they do: nothing is missed before."""


class WatchedModel:
    """What the engine remembers of one model version. One writer; everything here is a function of the journal.

    Args:
        key: which model version.
        config: the user's settings for the model.
        limits: caps on memory.
        baseline: its baseline, or None to learn a provisional one.
        closed: where panes are that memory does not hold.
    """

    def __init__(
        self, key: ModelKey, config: ModelConfig, limits: LimitsConfig, baseline: Baseline | None, closed: ClosedPanes
    ) -> None:
        self.key = key
        self.config = config
        self.limits = limits
        self.baseline = baseline
        self.baseline_note = ""
        self.restored_baseline: str | None = None  # id of the one that the checkpoint was made with
        self.specs: list[Spec] = [baseline.spec] if baseline else []
        self.panes = Panes(key, config.step_ns, self.specs, closed)
        self.reservoir = Reservoir(2 * limits.features) if baseline is None else None
        slices = max(len(config.cuts), len(baseline.spec.slices) if baseline else 0)
        self.pending = PendingPredictions(pending_dtype(slices), limits.pending_labels, held_dtype(config.task))
        self.rows = 0
        self.labels = 0
        self.first_event_ns = 0
        self.last_event_ns = 0
        self.newest_sealed_ns = 0
        self.sealed_ns = 0  # windows that end by then are closed: the engine's, but for models whose rows come in jobs
        self.jobs = Jobs()
        self.inputs = StatedInputs(config)
        self.late = 0
        self.moved = 0
        self.seen_ns = 0  # sealed time when the newest rows came
        self.left_out: Counter[str] = Counter()  # what caps have left out since somebody asked, by cap
        self.slo_events: Counter[tuple[str, str]] = Counter()
        self.days = Days()
        self.traffic_day = TrafficDay()
        self.outcomes = Outcomes()
        self.arrivals = Arrivals()
        self.sent_slices = SentSlices()
        self.shared: SharedFeatures | None = None  # the features of all versions that serve, once there is another one
        self.role = semconv.ML_MODEL_ROLE_CHAMPION  # what it does beside other versions, by its newest rows
        self.weighted = False  # a row came with another weight than one
        self.is_silent = False  # as of the last snapshot: its newest windows are old, and say so
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

    @property
    def serves(self) -> bool:
        """Whether its answers are used, by its newest rows."""
        return self.role != semconv.ML_MODEL_ROLE_SHADOW

    def join(self, shared: SharedFeatures) -> None:
        """Count the features of its rows with those of the other versions too, from its next row on."""
        self.shared = shared

    @property
    def only_counts(self) -> bool:
        """Whether the next predictions are but counted: nothing is learned from which batch they came in."""
        return bool(self.specs) and (self.reservoir is None or self.reservoir.full)

    @property
    def is_batch(self) -> bool:
        """Whether its rows come in jobs."""
        stated = self.config.arrival
        return self.jobs.marked if stated is None else stated == "batch"

    def begin_weighing(self) -> None:
        """Let rows that wait for their label keep their weights: each of those that wait already counts once."""
        self.weighted = True
        slices = self.pending.dtype["slices"].shape[0]
        self.pending.widen(pending_dtype(slices, weighted=True))

    def mark_batch(self) -> None:
        """Note that its first rows carry the id of a batch: from here on its own rows say what time it is, not the clock.

        Later ones decide nothing: one stray span must not take a live model from the clock.
        """
        if self.rows:
            return
        self.jobs.marked = True
        if self.is_batch:
            self.sealed_ns = 0

    def open_steps_end_ns(self, until_ns: int, most: int) -> int:
        """Where the first ``most`` steps with rows end that are not closed and begin before ``until_ns``; that, if they are fewer."""
        step = self.config.step_ns
        begins = sorted({key.start_ns // step * step for key in self.panes.keys(self.sealed_ns, until_ns)})
        return begins[most - 1] + step if len(begins) > most else until_ns

    @property
    def silence_ns(self) -> int | None:
        """How long no rows may come before something is wrong with a model whose rows come in jobs; None for any other."""
        if not self.is_batch:
            return None
        cadence_ns = self.jobs.cadence_ns or RAREST_NS
        return MISSED_JOBS * max(cadence_ns, round(max(self.config.detect_windows_s) * 1e9))

    def add(self, batch: PredictionBatch, sizes: Sequence[int] = ()) -> tuple[int, Hashes]:
        """Count predictions; where something cannot be, nothing has changed but the spec of the first ones.

        Args:
            batch: the predictions.
            sizes: rows of the batches that this one was joined of, all in one step; none where it came as it is.

        Returns:
            How many came after their window was sealed, and the hashes of the ids that labels can name.
        """
        blank_levels = self.spec.blank_levels if self.specs else ()
        sent = batch
        batch = with_score(self._settled(sent, blank_levels), self.template)
        if not self.specs:
            self.specs.append(first_spec(batch, self.template, self.limits.features))
        if not self.weighted and units_of(batch.weight) is not None:
            self.begin_weighing()
        embedded = self.spec.embedded(batch)
        cells, waiting = self.spec.encode(embedded), self._waiting(batch)
        # Coded before anything is counted: where it fails, nothing has changed.
        serving = None
        if self.shared is not None and batch.role != semconv.ML_MODEL_ROLE_SHADOW:
            serving = self.shared.encode(batch, cells, self.spec, partial(self._settled, sent))
        if self.reservoir is not None:
            self.reservoir.add(batch)
        late = self._count(embedded, cells, sizes or (len(batch),))
        if self.shared is not None and serving is not None:
            self.shared.count(serving)
        self.late += late
        self.moved += 0 if batch.moved_ns is None else int(np.count_nonzero(batch.moved_ns))
        self._count_objectives(batch)
        self.left_out.update(weights=count_clipped(batch.weight))
        self.outcomes.note_predictions(batch)
        self.arrivals.note(self.spec, cells, batch.event_time_ns)
        self.sent_slices.note(self.config.cuts, batch)
        oldest, newest = int(batch.event_time_ns.min()), int(batch.event_time_ns.max())
        self.first_event_ns = min(self.first_event_ns or oldest, oldest)
        self.last_event_ns = max(self.last_event_ns, newest)
        self.rows += len(batch)
        self.role = batch.role or semconv.ML_MODEL_ROLE_CHAMPION
        self.touch(recounted=oldest < self.newest_sealed_ns)
        return late, self._wait_for_labels(waiting)

    def _settled(self, batch: PredictionBatch, blank_levels: Collection[str]) -> PredictionBatch:
        """Rows as the settings have them, where texts are empty by a spec's levels."""
        return settle(batch, self.config.types, blank_levels, self.config.missing)

    def _count(self, batch: PredictionBatch, cells: Ints, sizes: Sequence[int]) -> int:
        step = self.config.step_ns
        late = 0
        for start, here in by_step(batch.event_time_ns // step * step):
            rows = len(here)
            pane = self.panes.for_rows(start, len(self.specs) - 1)
            whole = rows == len(batch)
            part, part_cells = (batch, cells) if whole else (part_of(batch, here), cells[:, here])
            cuts = sizes if whole else _sizes_of(here, sizes)
            features, levels = pane.add(part, part_cells, _examples(batch, here, cuts), cuts)
            self.left_out.update(features=features, levels=levels)
            self.panes.show(start, len(self.specs) - 1, part)
            if start + step <= self.sealed_ns:
                pane.late += rows
                late += rows
        return late

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

    def _waiting(self, batch: PredictionBatch) -> Rows | None:
        """The rows whose label can be counted; None where no ids were sent."""
        return None if batch.ids is None else waiting_rows(batch, self.spec, len(self.specs) - 1, self.pending.dtype)

    def _wait_for_labels(self, waiting: Rows | None) -> Hashes:
        """Let rows wait for their label; the hashes of their ids."""
        if waiting is None:
            return np.empty(0, dtype=np.uint64)
        evicted = self.pending.evicted
        self.pending.add(waiting)
        self.left_out.update(pending_labels=self.pending.evicted - evicted, slices=_others(waiting, self.spec))
        return np.ascontiguousarray(waiting["id"])

    def add_labels(self, match: Match, label: Column, label_time_ns: Ints, as_of_ns: Ints) -> Counter[str]:
        """Count the labels, none of them missing, of predictions that were found, each in its prediction's pane.

        Args:
            match: the predictions, n.
            label: what came true, a row each.
            label_time_ns: when that became known, int64[n]: of a row's first label it says how long labels take.
            as_of_ns: which of two labels for one row is newer, int64[n].

        Returns:
            What became of them but for those that are a row's first: ``Verdicts.told``.
        """
        step, told = self.config.step_ns, Counter[str]()
        delay_s = np.maximum(label_time_ns - match.rows["time_ns"], 0) / 1e9
        keys = np.stack([match.rows["time_ns"] // step * step, match.rows["spec"].astype(np.int64)])
        self.touch()
        for start, number in np.unique(keys, axis=1).T.tolist():
            here = np.flatnonzero((keys[0] == start) & (keys[1] == number))
            part, labels = match.take(here), label.take(here)
            if start < self.panes.marks.deleted_ns:
                part.forget_labels()  # nothing can be taken off a pane that is gone
            held = np.zeros(len(here), self.pending.held)
            held["as_of_ns"] = as_of_ns[here]
            usable = held_labels(self.specs[number], part, labels, delay_s[here], held)
            verdicts = judge(part, held, usable)
            self._count_labels(PaneKey(start, number), part, labels, held, verdicts)
            self.pending.hold(part, verdicts.holds, held)
            told.update(verdicts.told())
        return told

    def _count_labels(self, at: PaneKey, part: Match, label: Column, held: Held, verdicts: Verdicts) -> None:
        """Count labels of one step's rows: those that are the first of their row, and those in place of another."""
        spec, counted, revises = self.specs[at.spec], verdicts.first | verdicts.revises, verdicts.revises
        if not counted.any():
            return
        rows = labelled_rows(spec, part.rows[counted], held[counted])
        gone = labelled_rows(spec, part.rows[revises], part.held[revises]) if revises.any() else None
        self.panes.add_labels(at.start_ns, at.spec, rows, gone)
        if gone is not None:
            self.days.note_revised(at.start_ns // DAY_NS, at.spec)
        self.labels += int(np.count_nonzero(verdicts.first))
        if isinstance(rows, ClassRows):
            before = gone.truth if isinstance(gone, ClassRows) else NO_CODES
            self.outcomes.note_labels(label.take(counted), rows.truth, before)
            if self.config.task == semconv.ML_MODEL_TASK_MULTICLASS:
                others = rows.truth == len(class_names(spec)) - 1
                self.left_out.update(classes=int(np.count_nonzero(others)))

    def windows_between(self, after_ns: int, until_ns: int, window_ns: int) -> list[int]:
        """Begins of the windows with rows that end in ``(after_ns, until_ns]``, oldest first."""
        step, keys = self.config.step_ns, self.panes.keys(after_ns - window_ns + 1, until_ns)
        begins = {k.start_ns // window_ns * window_ns for k in keys if k.length_ns(step) <= window_ns}
        return sorted(b for b in begins if after_ns < b + window_ns <= until_ns)

    def panes_in(self, start_ns: int, end_ns: int) -> Found:
        """Panes that lie in ``[start_ns, end_ns)``, oldest first; steps of past hours may be one pane together."""
        return self.panes.within(start_ns, end_ns)

    def judge_window(self, panes: Found, start_ns: int, *, closed: bool = True) -> WindowContents:
        """What a window is made of that begins at ``start_ns`` and has these panes, of whatever specs."""
        mine = [pane for key, pane in panes if self.specs[key.spec] == self.spec]
        rows = sum(pane.counts.count for pane in mine)
        step_ns = self.config.step_ns
        return WindowContents(
            rows,
            late=sum(pane.late for pane in mine),
            others=sum(pane.counts.count for _, pane in panes) - rows,
            full=closed and start_ns >= self.first_event_ns // step_ns * step_ns,
            stale=self.is_silent,
        )

    def needed_since_ns(self, sealed_ns: int) -> int:
        """Begin of the oldest step that windows need: the longest one up to a day before the newest sealed step, and an hour.

        A silent model's windows stay where they were, so its own newest window counts, not the clock's.
        """
        return self._newest_ns(sealed_ns) - self._reach_ns(max(LONGEST_OF_STEPS_S, self.config.step_ns / 1e9)) - KEPT_NS

    def _reach_ns(self, longest_s: float) -> int:
        """How far windows of up to some length go back from the newest sealed step, those whose labels come of age too."""
        reach_s = max(w for w in self.config.all_windows_s if w <= longest_s)
        if self.baseline is not None and self.baseline.labels.count:
            scored = max((w for w in self.config.detect_windows_s if w <= longest_s), default=0.0)
            reach_s = max(reach_s, scored + self.config.detect.label_age)
        return round(reach_s * 1e9)

    @property
    def contradiction(self) -> str | None:
        """Why its labels cannot be what the settings say that they are; None while they can."""
        share = None if self.baseline is None else self.baseline.positive_share
        return self.outcomes.contradiction(self.template, share)

    def absent_in(self, start_ns: int) -> list[int]:
        """Places of the features that a window has no rows of, because no value of theirs had come before it."""
        step_ns = self.config.step_ns
        return self.arrivals.absent(self.spec, start_ns, self.first_event_ns // step_ns * step_ns + step_ns)

    def absent_names(self, start_ns: int) -> frozenset[str]:
        """Their names."""
        fields = self.spec.fields
        return frozenset(fields[at].name for at in self.absent_in(start_ns))

    def has_closed(self) -> bool:
        """Whether a step with rows of it has closed: a seal closes steps of some models only, and the very first one of none."""
        step_ns = self.config.step_ns
        return self.first_event_ns // step_ns * step_ns + step_ns <= self.sealed_ns

    def _newest_ns(self, sealed_ns: int) -> int:
        return min(self.newest_sealed_ns or sealed_ns, sealed_ns)

    def roll_up(self, keep: RetentionConfig) -> int:
        """Merge what is old enough into hours and days, delete what is too old; how many panes that were. Called at seals."""
        if not self.first_event_ns:
            return 0
        sealed_ns = self.sealed_ns
        hours_needed_ns = self._newest_ns(sealed_ns) - self._reach_ns(float("inf")) - KEPT_NS
        marks = self.panes.marks.moved(
            self.config.step_ns,
            self.first_event_ns,
            min(self.needed_since_ns(sealed_ns), sealed_ns - round(keep.steps * 1e9)),
            min(hours_needed_ns, sealed_ns - round(keep.hours * 1e9)),
            sealed_ns - round(keep.days * 1e9),
        )
        self.unsaved |= marks != self.panes.marks
        return self.panes.move(marks)

    def load(self) -> None:
        """Take the newest steps into memory; after a restore."""
        self.panes.load(self._hot_ns())

    def forget(self, most_bytes: int) -> None:
        """Let go of what is saved and of no window of up to two hours, the least lately used first. After a checkpoint."""
        self.panes.forget(self._hot_ns(), most_bytes)
        self.panes.forget_sums(self.needed_since_ns(self.sealed_ns))

    def _hot_ns(self) -> int:
        """Since when steps stay in memory. A job brings many steps before any of them closes: only its newest do."""
        newest_ns = self.last_event_ns if self.is_batch else self._newest_ns(self.sealed_ns)
        return newest_ns - HOT_NS


def _others(rows: Rows, spec: Spec) -> int:
    """Values of slices that are counted together, as the slice's other levels."""
    rest = [start + len(s.levels) for start, s in zip(spec.axis.starts, spec.slices)]
    return int(np.count_nonzero(rows["slices"][:, : len(rest)] == np.array(rest, dtype=np.int64)))


def _sizes_of(rows: Ints, sizes: Sequence[int]) -> list[int]:
    """How many of these rows each of the batches has that theirs was joined of, but for those that have none."""
    owners = np.searchsorted(np.cumsum(sizes), rows, side="right")
    counts = np.bincount(owners)
    return [int(count) for count in counts[counts > 0]]


def _examples(batch: PredictionBatch, rows: Ints, sizes: Sequence[int]) -> Sequence[str]:
    """Trace ids of the first few of these rows, and of each batch that they were joined of."""
    if batch.trace_ids is None:
        return ()
    codes, ends = batch.trace_ids.codes[rows], accumulate(sizes)
    first = [code for size, end in zip(sizes, ends) for code in codes[end - size : min(end, end - size + 5)].tolist()]
    return [batch.trace_ids.levels[code] for code in first if code >= 0]
