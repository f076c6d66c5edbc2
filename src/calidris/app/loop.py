"""The engine's thread: apply what arrived, seal windows by the clock, publish snapshots, checkpoint."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable

from calidris import semconv
from calidris.config import CalidrisConfig
from calidris.engine.checkpoint import Checkpoint
from calidris.engine.core import Engine
from calidris.engine.inbox import Inbox, Received
from calidris.engine.readings import snapshot
from calidris.engine.snapshot import Snapshot
from calidris.errors import RetryableError
from calidris.receive.intake import Intake
from calidris.receive.journal import Journal

_IDLE_S = 0.05
_BATCH = 256
_SNAPSHOT_NS = 500_000_000
_logger = logging.getLogger(__name__)


class EngineLoop:
    """Owns the engine: nobody else may touch it while the loop runs. Readers take ``latest``, which is replaced, never changed.

    Args:
        config: the user's settings.
        engine: restored and replayed.
        checkpoint: coupled to the engine's store.
        inbox: where durable requests wait.
        journal: truncated after each checkpoint.
        intake: writes the seals.
        clock_ns: time, ns since the epoch.
    """

    def __init__(
        self, config: CalidrisConfig, engine: Engine, checkpoint: Checkpoint, inbox: Inbox, journal: Journal,
        intake: Intake, clock_ns: Callable[[], int],
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
        self._saved_sequence = engine.sequence
        self._published_ns = 0
        self._asked_ns = engine.sealed_ns  # of the newest seal that is in the journal, applied or not
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="calidris-engine", daemon=True)

    def start(self) -> None:
        """Begin to apply."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Apply what is in the inbox, checkpoint, end. False where that took longer than ``timeout_s``."""
        self._stopping.set()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.turn(_IDLE_S)
        while self._apply(self.inbox.take(_BATCH, timeout_s=0)):
            pass
        self._publish(self.clock_ns())
        self.save()

    def turn(self, timeout_s: float) -> None:
        """One round: apply, and seal, publish and checkpoint where they are due."""
        self._apply(self.inbox.take(_BATCH, timeout_s=timeout_s))
        now_ns = self.clock_ns()
        self._seal(now_ns)
        if now_ns - self._published_ns >= _SNAPSHOT_NS:
            self._publish(now_ns)
        if now_ns - self.saved_ns >= self.config.storage.checkpoint_interval * 1e9 or self._journal_is_filling():
            self.save()

    def _apply(self, items: list[Received]) -> bool:
        for item in items:
            try:
                self.engine.apply(item)
            except Exception:
                # A record that cannot be applied would fail at every restart too: count it, shout, go on.
                _logger.exception("engine: record %d could not be applied", item.seq)
                self.engine.counters[semconv.METRIC_CALIDRIS_ENGINE_FAILURES.name][""] += 1
                self.engine.sequence = item.seq
            finally:
                item.release()
        return bool(items)

    def _seal(self, now_ns: int) -> None:
        steps = [m.config.step_ns for m in self.engine.models.values()]
        if steps:
            until = (now_ns - round(self.config.receiver.lateness * 1e9)) // min(steps) * min(steps)
            if until > self._asked_ns:
                try:
                    self.intake.seal(until)
                    self._asked_ns = until
                except RetryableError as error:
                    _logger.warning("engine: windows cannot be closed: %s", error)

    def _publish(self, now_ns: int) -> None:
        self.latest = snapshot(self.engine, now_ns, self.latest)
        self._published_ns = now_ns

    def _journal_is_filling(self) -> bool:
        unsaved = self.engine.sequence > self._saved_sequence
        return unsaved and self.journal.size_bytes > self.config.storage.journal.max_bytes // 2

    def save(self) -> None:
        """Checkpoint now and drop the journal that it made unnecessary; a full disk is tried again at the next interval."""
        self.saved_ns = self.clock_ns()
        if self.engine.sequence == self._saved_sequence:
            return
        try:
            self.checkpoint.save(self.engine)
        except sqlite3.Error as error:
            _logger.error("engine: the checkpoint failed and will be tried again: %s", error)
            return
        self._saved_sequence = self.engine.sequence
        self.journal.truncate(self.engine.sequence)
