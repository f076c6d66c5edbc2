"""Engine: the single writer. It applies journal records strictly in order; everything it knows is a function of them.

::

    journal ──► apply(predictions) ──► panes, pending
            ──► apply(labels)      ──► panes of the predictions' own time
            ──► apply(seal)        ──► windows closed, detectors fed, each window exactly once
    clock   ──► snapshot()         ──► what readers see
            ──► checkpoint()       ──► one transaction with the sequence number

No clock and no thread in here: the same records give the same state, bit for bit.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable

import numpy as np

from calidris import semconv
from calidris.baseline import Baseline
from calidris.batch import CodedColumn, LabelBatch, ModelKey, PredictionBatch
from calidris.config import CalidrisConfig, ModelConfig
from calidris.config.models import label_text
from calidris.engine.dedup import RequestMemory
from calidris.engine.inbox import Received
from calidris.engine.model import LoadPane, WatchedModel
from calidris.engine.snapshot import Alarm
from calidris.engine.watch import Watcher
from calidris.labels import EarlyLabels, hash_ids
from calidris.labels.early import EarlyLabel
from calidris.labels.keys import Hashes

FindBaseline = Callable[[ModelKey, ModelConfig], tuple[Baseline | None, str]]
"""The baseline of a model version, and one sentence where it is not the one that was asked for."""


def _nothing_stored(*_: object) -> None:
    return None


class Engine:
    """What the receiver remembers and when it speaks.

    Args:
        config: the user's settings.
        find_baseline: looks a baseline up when a model version is seen for the first time.
        load_pane: reads a pane that was closed and put away.
    """

    def __init__(
        self, config: CalidrisConfig, find_baseline: FindBaseline, load_pane: LoadPane = _nothing_stored
    ) -> None:
        self.config = config
        self.find_baseline = find_baseline
        self.load_pane = load_pane
        self.models: dict[ModelKey, WatchedModel] = {}
        self.watchers: dict[ModelKey, Watcher] = {}
        self.early: dict[tuple[str, str], EarlyLabels] = {}
        self.requests = RequestMemory(round(config.receiver.dedup_horizon * 1e9))
        self.alarms: list[Alarm] = []
        self.latched: set[int] = set()
        self.counters: dict[str, Counter[str]] = defaultdict(Counter)
        self.sequence = 0
        self.sealed_ns = 0

    def apply(self, item: Received) -> None:
        """Apply the next record of the journal. Records at or before ``sequence`` were applied already and are skipped."""
        if item.seq <= self.sequence:
            return
        if item.seal_ns is not None:
            self.seal(item.seal_ns)
        elif item.decoded is not None:
            self._apply_request(item)
        self.sequence = item.seq

    def _apply_request(self, item: Received) -> None:
        assert item.decoded is not None
        if self.requests.seen(item.digest, item.arrival_ns):
            self._count(semconv.METRIC_CALIDRIS_RECEIVER_REQUESTS_DUPLICATE, 1)
            return
        self._count(semconv.METRIC_CALIDRIS_RECEIVER_VALUES_NON_FINITE, item.decoded.non_finite)
        for batch in item.decoded.items:
            if isinstance(batch, PredictionBatch):
                self._add_predictions(batch)
            else:
                self._add_labels(batch, item.arrival_ns)

    def _count(self, metric: semconv.Metric, n: int, reason: str = "") -> None:
        if n:
            self.counters[metric.name][reason] += n

    def _add_predictions(self, batch: PredictionBatch) -> None:
        model = self._model(batch.model)
        if model is None:
            self._count(semconv.METRIC_CALIDRIS_MODELS_OVERFLOW, len(batch))
            return
        late, ids = model.add(batch, self.sealed_ns)
        self._count(semconv.METRIC_CALIDRIS_RECEIVER_ROWS_LATE, late)
        early = self.early.get(batch.model[:2])
        if early and ids is not None:
            self._join_early(model, ids, early)

    def _model(self, key: ModelKey) -> WatchedModel | None:
        found = self.models.get(key)
        if found is None and len(self.models) < self.config.limits.models:
            found = self.watch(key)
        return found

    def watch(self, key: ModelKey) -> WatchedModel:
        """Begin to watch a model version."""
        config = self.config.model(key.name)
        baseline, note = self.find_baseline(key, config)
        model = WatchedModel(key, config, self.config.limits, baseline, self.load_pane)
        model.baseline_note = note
        self.models[key] = model
        self.watchers[key] = Watcher(config, baseline)
        return model

    def _join_early(self, model: WatchedModel, ids: Hashes, early: EarlyLabels) -> None:
        waiting = early.take(ids)
        if waiting:
            places, labels = zip(*waiting)
            match = model.pending.match(ids[list(places)])
            found = [label for label, hit in zip(labels, match.found.tolist()) if hit]
            times = np.array([label.label_time_ns for label in found], dtype=np.int64)
            model.add_labels(match.rows, CodedColumn.of([label.outcome for label in found]), times)

    def _add_labels(self, batch: LabelBatch, arrival_ns: int) -> None:
        owner = (batch.tenant, batch.model_name)
        ids = hash_ids(batch.ids)
        left = batch.label.valid.copy()
        self._count(semconv.METRIC_CALIDRIS_LABELS_UNMATCHED, int(np.count_nonzero(~left)), "missing_label")
        repeated = 0
        for key in [k for k in self.models if k[:2] == owner][::-1]:  # the newest version first
            rows = np.flatnonzero(left)
            match = self.models[key].pending.match(ids[rows])
            if match.found.any():
                hit = rows[match.found]
                self.models[key].add_labels(match.rows, batch.label.take(hit), batch.label_time_ns[hit])
            left[rows[match.found | match.repeated]] = False
            repeated += int(np.count_nonzero(match.repeated))
        self._count(semconv.METRIC_CALIDRIS_LABELS_UNMATCHED, repeated, "repeated")
        self._keep_early(owner, batch, ids, np.flatnonzero(left), arrival_ns)

    def _keep_early(
        self,
        owner: tuple[str, str],
        batch: LabelBatch,
        ids: Hashes,
        rows: np.ndarray[tuple[int], np.dtype[np.intp]],
        arrival_ns: int,
    ) -> None:
        if not len(rows):
            return
        if owner not in self.early and len(self.early) >= self.config.limits.models:
            self._count(semconv.METRIC_CALIDRIS_LABELS_UNMATCHED, len(rows), "too_many_models")
            return
        texts = _texts(batch, rows.tolist())
        times = batch.label_time_ns[rows].tolist()
        early = self.early.setdefault(owner, EarlyLabels())
        early.add(ids[rows], [EarlyLabel(text, time, arrival_ns) for text, time in zip(texts, times)])

    def seal(self, until_ns: int) -> None:
        """Close every window that ends by ``until_ns`` and feed each to its detector, once and in order."""
        if until_ns <= self.sealed_ns:
            return
        for key in sorted(self.models):
            model, watcher = self.models[key], self.watchers[key]
            for raised in watcher.seal(model, self.sealed_ns, until_ns, next_id=len(self.alarms) + 1):
                self.alarms.append(raised)
                self.latched.add(raised.id)
            self._learn(model, watcher)
            model.pending.expire(until_ns - round(self.config.limits.label_horizon * 1e9))
        for early in self.early.values():
            dropped = early.dropped
            early.expire(until_ns)
            self._count(semconv.METRIC_CALIDRIS_LABELS_UNMATCHED, early.dropped - dropped, "no_prediction")
        self.sealed_ns = until_ns

    def _learn(self, model: WatchedModel, watcher: Watcher) -> None:
        if model.reservoir is None:
            return
        learned = model.reservoir.learn(model.template, model.config.step_ns / 1e9, model.config.slices)
        if learned is not None:
            model.baseline, model.reservoir = learned, None
            model.specs.append(learned.spec)
            model.baseline_note = f"learned from the first {learned.rows} rows, confirmed by nobody"
            watcher.adopt(learned)


def _texts(batch: LabelBatch, rows: list[int]) -> list[str]:
    label = batch.label
    if isinstance(label, CodedColumn):
        return [label.levels[label.codes[row]] for row in rows]
    return [label_text(value) for value in label.values[rows].tolist()]
