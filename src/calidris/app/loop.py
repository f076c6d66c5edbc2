"""The engine's thread: apply what arrived, seal windows by the clock or at the end of a job, publish snapshots, checkpoint."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

from calidris import semconv
from calidris.app.clock import BelievedTime
from calidris.app.freshness import Freshness, Pace
from calidris.app.job_ends import JobEnds
from calidris.batch import PredictionBatch
from calidris.config import CalidrisConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.checkpoint.save import Checkpoint
from calidris.engine.core import Engine
from calidris.engine.gathering import MOST_ROWS
from calidris.engine.inbox import Inbox, Received
from calidris.engine.snapshot import Snapshot
from calidris.errors import RetryableError
from calidris.journal.journal import Journal
from calidris.journal.timing import Timing
from calidris.receive.intake import Intake
from calidris.wire import Decoded

_IDLE_S = 0.05
_BATCH = 256
_LAST_BATCH = 8  # the deadline is looked at between two of them
_GATHER_S = 0.03
"""How long a few rows wait for more, to be counted together: nobody waits for that, and snapshots come less often."""

_logger = logging.getLogger(__name__)


def apply(engine: Engine, item: Received, *, together: bool = False) -> None:
    """Apply one record, for the first time or at a replay.

    Args:
        engine: which one.
        item: the record.
        together: with those that come next, until the engine is told to ``settle``.

    One that cannot be applied would fail at every restart too: it is counted and left behind, and the rest goes on.
    """
    try:
        (engine.gather if together else engine.apply)(item)
    except Exception:
        _logger.exception("engine: record %d could not be applied", item.seq)
        engine.counters[semconv.METRIC_CALIDRIS_ENGINE_FAILURES.name][""] += 1
        engine.sequence = item.seq


class EngineLoop:
    """Owns the engine: nobody else may touch it while the loop runs. Readers take ``latest``, which is replaced, never changed.

    Attributes:
        latest: the newest snapshot.
        saved_ns: when all that was applied was last known to be in the checkpoint, ns since the epoch.
        failures: what went wrong in here, by reason, beside records that could not be applied.
        saving: how long checkpoints take.
        publishing: how long snapshots take.
        healthy: false while snapshots fail, so that ``latest`` grows old.

    Args:
        config: the user's settings.
        engine: restored from the checkpoint.
        checkpoint: coupled to the engine's store.
        inbox: where durable requests wait.
        journal: truncated after each checkpoint.
        intake: writes the seals.
        clock_ns: time, ns since the epoch.
        on_failure: called from the thread when it ends before it was asked to.
    """

    def __init__(
        self, config: CalidrisConfig, engine: Engine, checkpoint: Checkpoint, inbox: Inbox, journal: Journal,
        intake: Intake, clock_ns: Callable[[], int], on_failure: Callable[[BaseException], None],
    ) -> None:  # fmt: skip
        self.config = config
        self.engine = engine
        self.checkpoint = checkpoint
        self.inbox = inbox
        self.journal = journal
        self.intake = intake
        self.clock_ns = clock_ns
        self.latest: Snapshot = snapshot(engine, clock_ns())
        self.saved_ns = clock_ns()
        self.failures: Counter[str] = Counter()
        self.saving, self.publishing = Timing(), Timing()
        self.healthy = True
        self._applying_ns = 0  # arrival of the record that is being applied
        self._taken = 0
        self._time = BelievedTime(clock_ns)
        self._saving = True  # false while checkpoints fail: then only the interval tries again
        self._on_failure = on_failure
        self._saved_sequence = engine.sequence
        self._asked_ns = 0  # of the newest seal that is in the journal, applied or not
        self._job_ends = JobEnds(config.receiver.lateness)
        self._pace = Pace()
        self._freshness = Freshness()
        self._checkpoint_due_s = 0.0
        self._stopping = threading.Event()
        self._drain_until_s = 0.0
        self._thread = threading.Thread(target=self._run, name="calidris-engine", daemon=True)

    def start(self) -> None:
        """Begin to apply; the journal has been replayed."""
        self._asked_ns = self.engine.sealed_ns
        ahead_s = (self._asked_ns - self.clock_ns()) / 1e9
        if ahead_s > 0:
            _logger.error(
                "engine: a clock was wrong: windows are closed for %.0f s to come, rows of them are late", ahead_s
            )
        self._checkpoint_due_s = time.monotonic() + self.config.storage.checkpoint_interval
        # Listeners were started since the figures of the replay: that is no delay of this thread.
        self._freshness, self._pace = Freshness(), Pace()
        self._thread.start()

    def stop(self, drain_s: float) -> int:
        """Apply what is in the inbox for ``drain_s`` at most, checkpoint, end; returns when the thread has.

        Returns:
            Records that were not applied: they are in the journal for the next start.
        """
        self._drain_until_s = time.monotonic() + drain_s
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        return self.lag()[0]

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self.turn(_IDLE_S)
            while time.monotonic() < self._drain_until_s and self._apply(self.inbox.take(_LAST_BATCH, timeout_s=0)):
                pass
            self.publish()
            self.save()
        except BaseException as error:
            # Requests would be acknowledged and never applied: better to end, restart and replay.
            _logger.critical("engine: the loop failed; exiting", exc_info=error)
            self._on_failure(error)

    def turn(self, timeout_s: float) -> None:
        """One round: apply, and seal, publish and checkpoint where they are due."""
        self._freshness.begin("waiting for telemetry")
        items = self.inbox.take(_BATCH, timeout_s=timeout_s)
        self._note(items)
        if items and sum(item.rows for item in items) < MOST_ROWS:
            self._stopping.wait(_GATHER_S)
            items += self.inbox.take(_BATCH - len(items), timeout_s=0)
        self._freshness.begin("applying what arrived")
        self._apply(items)
        self._freshness.begin("asking for windows to be closed")
        self._seal()
        if time.monotonic() >= self._pace.due_s:
            self.publish()
        if time.monotonic() >= self._checkpoint_due_s or self._journal_is_filling() or self._memory_is_filling():
            self.save()

    def _apply(self, items: list[Received]) -> bool:
        self._note(items)
        for item in items:
            apply(self.engine, item, together=True)
        self.engine.settle()
        for item in items:
            if self._time.jumped and item.decoded is not None:
                self._ask_events(item.decoded, item.arrival_ns)
            item.release()
        self._note([])
        return bool(items)

    def _note(self, taken: list[Received]) -> None:
        """For ``lag`` and ``waiting``: what was taken out of the inbox is not yet applied."""
        self._applying_ns, self._taken = taken[0].arrival_ns if taken else 0, len(taken)

    @property
    def waiting(self) -> int:
        """Requests that are durable and decoded and not yet applied. From any thread."""
        return len(self.inbox) + self._taken

    def _ask_events(self, decoded: Decoded, arrival_ns: int) -> None:
        """Let rows say what time it is; those that carry none, or one that was moved to the arrival, only say what we said."""
        for batch in decoded.items:
            if isinstance(batch, PredictionBatch) and (newest_ns := int(batch.event_time_ns.max())) != arrival_ns:
                self._time.saw(newest_ns)

    @property
    def clock_offset_s(self) -> float:
        """Seconds that the clock is ahead of the time that windows close by; negative: behind it, or behind the newest seal."""
        return self._time.offset_s or min(self.clock_ns() - self._asked_ns, 0) / 1e9

    def lag(self) -> tuple[int, float]:
        """Records that are durable and not yet applied, and seconds since the oldest of them arrived. From any thread."""
        records = max(self.journal.last_seq - self.engine.sequence, 0)
        oldest_ns = self._applying_ns or self.inbox.oldest_arrival_ns
        return records, max(self.clock_ns() - oldest_ns, 0) / 1e9 if oldest_ns else 0.0

    def _seal(self) -> None:
        steps = [m.config.step_ns for m in self.engine.models.values()]
        if not steps:
            return
        until = (self._time.now_ns() - round(self.config.receiver.lateness * 1e9)) // min(steps) * min(steps)
        try:
            if until > self._asked_ns:
                self.intake.seal(until)
                self._asked_ns = until
            for key, job_until in self._job_ends.due(self.engine.models, self._time.now_ns()):
                self.intake.seal_model(job_until, key)
        except RetryableError as error:
            _logger.warning("engine: windows cannot be closed: %s", error)

    def publish(self) -> None:
        """Swap in a new snapshot. One that cannot be made is a defect of ours; the records are safe, so the loop goes on."""
        begun_s, fresh = time.monotonic(), self._freshness
        fresh.begin("taking the figures")
        try:
            with self.publishing.measure():
                self.latest = snapshot(self.engine, self.clock_ns(), self.latest, fresh.begin_model)
            self.healthy = True
        except Exception as error:
            self._failed("snapshot", f": {fresh.failed(error)}")
            self.healthy = False
        else:
            fresh.renewed(self._pace.due_s, self._pace.usual_s, self.engine.models)
        self._pace.took(begun_s, time.monotonic() - begun_s)

    def warn_if_old(self) -> None:
        """Let the log say why, where figures are old; from any thread that tells of their age."""
        self._freshness.warn_if_old([model.key for model in self.latest.models])

    def _failed(self, what: str, detail: str = "") -> None:
        if not self.failures[what]:  # the counter tells of further ones
            _logger.exception("engine: the %s failed and will be tried again%s", what, detail)
        self.failures[what] += 1

    def _journal_is_filling(self) -> bool:
        return self._saving and self.engine.sequence > self._saved_sequence and self.journal.filling

    def _memory_is_filling(self) -> bool:
        """Whether labels brought so many panes back that they should be saved, and let go, before their time."""
        return self._saving and self.engine.loaded_bytes > self.config.limits.pane_bytes

    def save(self) -> None:
        """Checkpoint now and drop the journal that it made unnecessary; a failure is tried again at the next interval."""
        self._freshness.begin("saving the state")
        self._checkpoint_due_s = time.monotonic() + self.config.storage.checkpoint_interval
        now_ns = self.clock_ns()
        if self.engine.sequence != self._saved_sequence:
            try:
                with self.saving.measure():
                    self.checkpoint.save(self.engine)
            except Exception:
                self._failed("checkpoint")
                self._saving = False
                return
            self._saved_sequence = self.engine.sequence
            self.journal.truncate(self.engine.sequence)
        self.saved_ns, self._saving = now_ns, True
