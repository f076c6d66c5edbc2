"""Engine: the single writer. It applies journal records strictly in order; everything it knows is a function of them.

::

    journal ──► apply(predictions) ──► panes, pending
            ──► apply(labels)      ──► panes of the predictions' own time
            ──► apply(reports)     ──► sums of what senders left out
            ──► apply(seal)        ──► windows closed, detectors fed, each window exactly once
    clock   ──► snapshot()         ──► what readers see
            ──► checkpoint()       ──► one transaction with the sequence number

No clock and no thread in here: the same records give the same state, bit for bit. What cannot be applied is counted in
``calidris.engine.failures`` and costs neither its neighbours nor the next start.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial

import xxhash

from calidris import semconv
from calidris.batch import LabelBatch, ModelKey, PredictionBatch
from calidris.config import CalidrisConfig
from calidris.detect import Alert, Slot
from calidris.engine.alarms import AlarmBook
from calidris.engine.alarms.mending import mend_alarms
from calidris.engine.commands import CLEAR, CONFIGURE, EVERY_VERSION, FORGET, REBASE, RECOVERY, RELABEL, Command
from calidris.engine.conservation import settled
from calidris.engine.dedup.memory import MAX_REQUESTS, DedupMemory, Repeated, drop_repeated_reports, drop_repeats
from calidris.engine.detectors.budgets import check_budgets
from calidris.engine.detectors.watcher import Seal, Watcher
from calidris.engine.gathering import Gathered, form_of
from calidris.engine.inbox import Received
from calidris.engine.labelling import Labelling
from calidris.engine.learning import Reservoir
from calidris.engine.model import WatchedModel
from calidris.engine.panes.panes import ClosedPanes
from calidris.engine.registry import FindBaseline, Fleet, NoCapacity
from calidris.engine.senders import SenderReports
from calidris.engine.snapshot import Alarm
from calidris.engine.world.world import NO_VERDICTS
from calidris.engine.world.worlds import Worlds
from calidris.wire import Decoded

_logger = logging.getLogger(__name__)


class Engine:
    """What the receiver remembers and when it speaks.

    Args:
        config: the user's settings.
        find_baseline: looks a baseline up when a model version is seen for the first time.
        closed: where panes are that memory does not hold: the checkpoint, else the first one that saves or restores it.

    Raises:
        ConfigError: a model's windows cannot keep its false-alarm budget.
    """

    def __init__(self, config: CalidrisConfig, find_baseline: FindBaseline, closed: ClosedPanes | None = None) -> None:
        self.config = config
        self.fleet = Fleet(config, find_baseline, closed)
        self.models, self.watchers, self.registry = self.fleet.models, self.fleet.watchers, self.fleet.registry
        self.labelling = Labelling(self.models, self.registry, config.limits, self._unmatched, self._revised)
        self.early = self.labelling.early
        self.senders = SenderReports(self.registry.configured, config.limits.models)
        horizon_ns = round(config.receiver.dedup_horizon * 1e9)
        self.requests = DedupMemory(horizon_ns, MAX_REQUESTS)
        self.spans = DedupMemory(horizon_ns, config.receiver.dedup_spans)
        self.repeats = {"seen": self.requests, "spans": self.spans}  # by their tables in the store
        self.book = AlarmBook()
        self.worlds = Worlds(self.fleet, self.book)
        self.commands: list[Command] = []  # the audit trail, oldest first
        self.configured: list[Command] = []  # likewise: which settings held from when on
        self.counters: dict[str, Counter[str]] = defaultdict(Counter)
        self.sequence = 0
        self._gathered = Gathered()
        self.began_ns = 0  # arrival of the first record: since when the totals count
        self.sealed_ns = 0
        check_budgets(config)

    @property
    def loaded_bytes(self) -> int:
        """Bytes of panes that were read back since the last checkpoint, which alone lets go of them."""
        shared = sum(world.shared.panes.loaded_bytes for world in self.worlds)
        return shared + sum(model.panes.loaded_bytes for model in self.models.values())

    @property
    def alarms(self) -> list[Alarm]:
        """Every alarm, oldest first."""
        return list(self.book)

    @property
    def latched(self) -> set[int]:
        """Ids of those that stand."""
        return self.book.latched

    def apply(self, item: Received) -> None:
        """Apply the next record of the journal. Records at or before ``sequence`` were applied already and are skipped."""
        self.gather(item)
        self.settle()

    def gather(self, item: Received) -> None:
        """The same, but predictions may wait for those of the next records until ``settle``: they are counted together then.

        The state after ``settle`` is bit for bit that of ``apply`` on each record.
        """
        if item.seq <= self.sequence:
            return
        if item.decoded is None:
            self.settle()
        self.sequence = item.seq
        self.began_ns = self.began_ns or item.arrival_ns
        if item.seal_ns is not None:
            self.seal(item.seal_ns, item.seal_model)
        elif item.command is not None:
            with self._surviving(f"command {item.seq}"):
                self.execute(item.command)
        elif item.decoded is not None:
            self._apply_request(item, item.decoded)

    def settle(self) -> None:
        """Count the predictions that wait for others."""
        gathered, self._gathered = self._gathered, Gathered()
        if len(gathered.batches) > 1 and self._add_together(gathered):
            return
        for record, batch in zip(gathered.records, gathered.batches):
            with self._surviving(f"record {record}", batch):
                self._add_predictions(batch)

    def _add_together(self, gathered: Gathered) -> bool:
        """Count batches as one; False, and nothing done, where one of them is at fault: it must not cost its neighbours."""
        model = self.models[gathered.batches[0].model]
        before, joined = model.rows, gathered.joined()
        if joined is None:
            return False
        with self._surviving(f"records {gathered.records[0]} to {gathered.records[-1]}", joined):
            try:
                self._add_predictions(joined, gathered.sizes)
            except Exception:
                if model.rows == before:
                    return False
                raise
        return True

    def _apply_request(self, item: Received, decoded: Decoded) -> None:
        # Two tenants may well send the same bytes.
        request = xxhash.xxh3_128_digest(item.tenant.encode() + b"\0" + item.digest)[:8]
        self._count(semconv.METRIC_CALIDRIS_ENGINE_ROWS, decoded.rows)
        self._count(semconv.METRIC_CALIDRIS_ENGINE_LABELS, decoded.labels)
        # Of a repeated request too: its spans may come in other batches the next time.
        items, again = drop_repeats(decoded, self.spans, item.arrival_ns)
        reports = drop_repeated_reports(decoded, self.spans, item.arrival_ns)
        if len(reports) < len(decoded.reports):
            again = replace(again, spans=again.spans + len(decoded.reports) - len(reports))
        repeated = self.requests.seen(int.from_bytes(request, "little"), item.arrival_ns)
        self._count_repeated(Repeated.all_of(decoded) if repeated else again)
        if repeated:
            self._count(semconv.METRIC_CALIDRIS_RECEIVER_REQUESTS_DUPLICATE, 1)
        if repeated:
            return
        for report in reports:
            self._count(semconv.METRIC_CALIDRIS_LIMITS_OVERFLOW, self.senders.add(item.tenant, report), "reports")
        if not items:
            return
        self._count(semconv.METRIC_CALIDRIS_RECEIVER_VALUES_NON_FINITE, decoded.non_finite)
        self._count(semconv.METRIC_CALIDRIS_RECEIVER_TIMES_CLAMPED, decoded.clamped)
        self._count(semconv.METRIC_CALIDRIS_RECEIVER_SCORES_CLIPPED, decoded.clipped)
        for batch in items:
            if isinstance(batch, PredictionBatch):
                self._gather_predictions(batch, item.seq)
                continue
            self.settle()
            with self._surviving(f"record {item.seq}", batch):
                self._add_labels(batch, item.arrival_ns)

    def _gather_predictions(self, batch: PredictionBatch, record: int) -> None:
        form = self._form(batch)
        if form is None or not self._gathered.takes(batch, form):
            self.settle()
        self._gathered.add(batch, form, record)
        if form is None:
            self.settle()

    def _form(self, batch: PredictionBatch) -> Hashable:
        """With what a batch may be counted together; None where it changes more than sums."""
        model = self.models.get(batch.model)
        if model is None or not model.only_counts:
            return None
        if self.early.get(batch.model[:2]):
            return None
        scattered = model.is_batch or batch.batch_id is not None
        return form_of(batch, model.config.step_ns, scattered=scattered)

    def _count_repeated(self, again: Repeated) -> None:
        self._count(semconv.METRIC_CALIDRIS_RECEIVER_SPANS_DUPLICATE, again.spans)
        self._count(semconv.METRIC_CALIDRIS_RECEIVER_ROWS_DUPLICATE, again.rows)
        self._count(semconv.METRIC_CALIDRIS_LABELS_DUPLICATE, again.labels)

    @contextmanager
    def _surviving(self, what: str, batch: PredictionBatch | LabelBatch | None = None) -> Iterator[None]:
        """Count a defect of ours, and what it cost of a batch, and go on: the record would fail at every restart too."""
        before = 0 if batch is None else settled(self, batch)
        try:
            yield
        except Exception:
            _logger.exception("engine: %s could not be applied", what)
            self._count(semconv.METRIC_CALIDRIS_ENGINE_FAILURES, 1)
            if batch is not None:
                self._lost(batch, len(batch) - (settled(self, batch) - before))

    def _lost(self, batch: PredictionBatch | LabelBatch, n: int) -> None:
        if isinstance(batch, PredictionBatch):
            self._count(semconv.METRIC_CALIDRIS_ENGINE_ROWS_FAILED, n)
        else:
            self._unmatched("failed", n)

    def _count(self, metric: semconv.Metric, n: int, reason: str = "") -> None:
        if n:
            self.counters[metric.name][reason] += n

    def _unmatched(self, reason: str, n: int) -> None:
        self._count(semconv.METRIC_CALIDRIS_LABELS_UNMATCHED, n, reason)

    def _revised(self, n: int) -> None:
        self._count(semconv.METRIC_CALIDRIS_LABELS_REVISED, n)

    def _add_predictions(self, batch: PredictionBatch, sizes: Sequence[int] = ()) -> None:
        model = self._model(batch)
        if model is None:
            return
        model.seen_ns = self.sealed_ns
        self.worlds.admit(model, batch.role)
        if batch.batch_id is not None:
            model.mark_batch()
        late, ids = model.add(batch, sizes)
        self._count(semconv.METRIC_CALIDRIS_RECEIVER_ROWS_LATE, late)
        model.inputs.note(batch, sizes, self.book)
        self.labelling.join_early(model, ids)
        self._note_left_out(model)

    def _note_left_out(self, model: WatchedModel) -> None:
        for cap, n in model.left_out.items():
            self._count(semconv.METRIC_CALIDRIS_LIMITS_OVERFLOW, n, cap)
        model.left_out.clear()

    def _model(self, batch: PredictionBatch) -> WatchedModel | None:
        """The model of a batch, watched from now on if it is new; None where there is no room, which is counted."""
        found = self.models.get(batch.model)
        if found is not None:
            return found
        moment = (self.sealed_ns, len(self.commands))
        try:
            gone = self.fleet.evict(batch.model, self.sealed_ns, moment, cache(self._alarmed))
        except NoCapacity as full:
            self._count(semconv.METRIC_CALIDRIS_MODELS_OVERFLOW, len(batch), full.cap)
            return None
        for model in gone:
            self._note_retired(model)
        if gone:
            self.worlds.tidy()
        return self.fleet.enter(batch.model, batch.task, self.sealed_ns)

    def _alarmed(self) -> frozenset[ModelKey]:
        return frozenset(alarm.model for alarm in self.book.standing())

    def silent(self) -> Iterator[ModelKey]:
        """Versions without rows for ``limits.silent_after``, or for three times as long as their jobs take to come.

        By the time that windows of live models close by.
        """
        return (key for key, model in self.models.items() if self.fleet.silence_ns(model, self.sealed_ns) is not None)

    def _note_retired(self, model: WatchedModel) -> None:
        """What a version has counted goes on counting as retired; its alarms stay."""
        self._count(semconv.METRIC_CALIDRIS_MODELS_RETIRED, 1)
        self._note_gone(model)

    def _note_gone(self, model: WatchedModel) -> None:
        self._count(semconv.METRIC_CALIDRIS_ROWS_RETIRED, model.rows)
        self._count(semconv.METRIC_CALIDRIS_LABELS_RETIRED, model.labels)
        self._count(semconv.METRIC_CALIDRIS_LIMITS_OVERFLOW, model.pending.unlabelled, "pending_retired")

    def _add_labels(self, batch: LabelBatch, arrival_ns: int) -> None:
        self.labelling.add(batch, arrival_ns)
        for key in self.registry.versions((batch.tenant, batch.model_name)):
            self._note_left_out(self.models[key])

    def seal(self, until_ns: int, key: ModelKey | None = None) -> None:
        """Close every window that ends by ``until_ns`` and feed each to its detector, once and in order.

        Of every model whose rows come as they are asked for; with ``key``, of that one alone, whose rows come in jobs.
        """
        if key is not None:
            self._seal_jobs(key, until_ns)
            return
        if until_ns <= self.sealed_ns:
            return
        after_ns, self.sealed_ns = self.sealed_ns, until_ns
        if not after_ns:  # silence begins with the first seal
            for model in self.models.values():
                model.seen_ns, model.unsaved = until_ns, True
        live_keys = sorted(key for key, model in self.models.items() if not model.is_batch)
        for owner in dict.fromkeys(key[:2] for key in live_keys):
            self._seal_world(owner, until_ns)
        for live in live_keys:
            self._seal_model(self.models[live], until_ns)
        with self._surviving("labels that came first"):
            self.labelling.expire(until_ns)

    def _seal_jobs(self, key: ModelKey, until_ns: int) -> None:
        """Close windows of one model by its own rows' times; nothing where it is gone, or live by today's settings."""
        model = self.models.get(key)
        if model is None or not model.is_batch or until_ns <= model.sealed_ns:
            return
        self._seal_world(key[:2], until_ns)
        self._seal_model(model, until_ns)
        model.unsaved = True
        if until_ns > model.last_event_ns - model.config.step_ns:
            model.jobs.end(model.last_event_ns)

    def _seal_world(self, owner: tuple[str, str], until_ns: int) -> None:
        """Close the windows that all versions of a model share; before each version's own, whose history tells of them."""
        world = self.worlds.found.get(owner)
        if world is None:
            return
        versions = [self.models[key] for key in self.registry.versions(owner)]
        silent_ns = self.sealed_ns - max(model.seen_ns for model in versions)
        silence_ns = 0 if any(model.is_batch for model in versions) else silent_ns
        with self._surviving(f"seal of what versions of {owner} share"):
            recovered = partial(self._recovered, ModelKey(*owner, ""), world.watcher, until_ns)
            failed = self.worlds.seal(world, until_ns, silence_ns, recovered)
            self._count(semconv.METRIC_CALIDRIS_ENGINE_FAILURES, failed, "seal")

    def _seal_model(self, model: WatchedModel, until_ns: int) -> None:
        after_ns, model.sealed_ns = model.sealed_ns, until_ns
        watcher = self.watchers[model.key]
        with self._surviving(f"seal of {model.key}"):
            self._close_windows(model, watcher, after_ns)
        self.mend_alarms(model)
        self._count(semconv.METRIC_CALIDRIS_ENGINE_FAILURES, watcher.failures.take_untold(), "seal")

    def mend_alarms(self, model: WatchedModel) -> None:
        """Make the list of alarms and a model's latches agree, and say what was mended: nothing, unless something failed."""
        model.inputs.forget_ended(self.book.latched)
        for said in mend_alarms(self.watchers[model.key], model.key, self.book, model.sealed_ns or self.sealed_ns):
            _logger.warning("engine: model %s: %s", model.key, said)
            model.touch()

    def _close_windows(self, model: WatchedModel, watcher: Watcher, after_ns: int) -> None:
        survive = watcher.failures.surviving
        with survive("predictions that wait for labels"):
            model.unsaved |= model.pending.forget(model.sealed_ns, round(self.config.limits.label_horizon * 1e9))
        canary = model.config.canary
        other = None if canary is None else self.models.get(model.key._replace(version=canary.against))
        recovered = partial(self._recovered, model.key, watcher, model.sealed_ns)
        # Between two jobs no rows come, and nothing is wrong.
        silence_ns = 0 if model.is_batch else self.sealed_ns - model.seen_ns
        world = self.worlds.of(model.key) if model.serves else None
        shared = world.verdicts if world is not None else NO_VERDICTS
        watcher.seal(Seal(model, after_ns, model.sealed_ns, self.book, silence_ns, recovered, other, shared))
        if model.reservoir is not None and model.has_closed():
            with survive("learning a provisional baseline"):
                self._learn(model, model.reservoir, watcher)
        with survive("the roll-up"):
            deleted = model.roll_up(self.config.storage.retention)
            self._count(semconv.METRIC_CALIDRIS_PANES_DELETED, deleted)

    def _learn(self, model: WatchedModel, reservoir: Reservoir, watcher: Watcher) -> None:
        step_s, limits = model.config.step_ns / 1e9, self.config.limits
        learned = reservoir.learn(model.template, step_s, model.config.cuts, limits.features)
        if learned is not None:
            model.baseline, model.reservoir = learned, None
            model.specs.append(learned.spec)
            model.touch()
            watcher.adopt(learned)

    def _recovered(self, key: ModelKey, watcher: Watcher, at_ns: int, slot: Slot, number: int) -> None:
        """Note that what a standing alarm named has come back; the settings may let that end it.

        An alarm of the labels always ends so: what is on hold for it must go on, and it must be able to alarm again.
        """
        ends = watcher.config.detect.clear_recovered or slot.kind is Alert.LABELS
        for alarm in watcher.standing(self.book, key):
            watch = watcher.slots[slot]
            if watcher.latch_of(alarm) is watch and watch.is_about(alarm.id, number):
                self.book.note_recovered(alarm, at_ns)
                if ends:
                    self.execute(Command(alarm.id, CLEAR, RECOVERY, "all that it named has come back", self.sealed_ns))

    def execute(self, command: Command) -> None:
        """Follow a decision, and remember it; one about what is not there, or no longer latched, is left out."""
        of_models = {
            FORGET: self._forget,
            REBASE: self._rebase,
            RELABEL: self._relabel,
            # What settings decide was done when they were read: the record is for those who ask since when.
            CONFIGURE: self.configured.append,
        }
        follow = of_models.get(command.action, self._follow_about_alarm)
        follow(command)

    def _follow_about_alarm(self, command: Command) -> None:
        if command.alarm not in self.latched:
            return
        self.commands.append(command)
        alarm = self.book.end(command.alarm) if command.action == CLEAR else None
        if alarm is not None and alarm.shared:
            self.worlds.clear(alarm)
        elif alarm is not None and alarm.model in self.models:
            self.watchers[alarm.model].clear(alarm)
            model = self.models[alarm.model]
            model.inputs.clear(alarm.id)
            model.touch()
            # A latch that was set again knows not which of its alarms named what: those that stand are told to it anew.
            self.mend_alarms(model)

    def _rebase(self, command: Command) -> None:
        """Take what a version is now for ordinary; alarms against what was before end, each in the trail too."""
        model = None if command.model is None else self.models.get(command.model)
        if model is None:
            return
        self.commands.append(command)
        for alarm in self.worlds.rebase_on(model):
            self.book.end(alarm.id)
            self.commands.append(replace(command, alarm=alarm.id))
        model.touch()

    def _relabel(self, command: Command) -> None:
        """Take how labels come now for ordinary; alarms that they had moved end, each in the trail too."""
        models = [model for key, model in self.models.items() if command.matches(key)]
        if not models:
            return
        self.commands.append(command)
        for model in models:
            self.watchers[model.key].learn_labels_anew()
            model.touch()
            for alarm in self.book.own_of(model.key):
                if alarm.kind == Alert.LABELS:
                    self.book.end(alarm.id)
                    self.commands.append(replace(command, alarm=alarm.id))

    def _forget(self, command: Command) -> None:
        """Watch versions no longer, as if they had never come; what they have counted goes on counting as retired.

        Whoever decided saw the alarms of a moment ago: one that was raised since still needs a reason, so nothing is done.
        """
        going = [key for key in self.models if command.matches(key)]
        staying = [key for key in self.models if key not in going]
        standing = [alarm for alarm in self.book.standing() if alarm.ends_with(command, staying)]
        if standing and not command.reason.strip():
            _logger.warning(
                "engine: %s is not forgotten: alarm %d stands, which needs a reason", command.model, standing[0].id
            )
            return
        if not going and not standing:
            return
        # Once for the model, and once for each alarm that ends with it: both are asked for by themselves.
        self.commands.append(command)
        for alarm in standing:
            self.book.end(alarm.id)
            self.worlds.clear(alarm)
            self.commands.append(replace(command, alarm=alarm.id))
        for key in going:
            self._note_gone(self.fleet.forget(key))
        self.worlds.tidy()
        # Labels name no version: those that wait may be meant for one that stays.
        if command.model is not None and command.model.version == EVERY_VERSION:
            self.labelling.forget(command.model[:2])
