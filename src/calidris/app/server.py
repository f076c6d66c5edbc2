"""Composition root: builds the parts, starts them in order, stops them in the reverse one."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from calidris import semconv
from calidris.api import ApiServer, Sources
from calidris.app.baselines import find_baseline
from calidris.app.loop import EngineLoop
from calidris.config import CalidrisConfig
from calidris.engine.checkpoint import Checkpoint
from calidris.engine.core import Engine
from calidris.engine.inbox import Inbox
from calidris.engine.snapshot import Snapshot
from calidris.engine.store import Store
from calidris.errors import ConfigError
from calidris.export import OtlpExporter, Points, PrometheusExporter, points
from calidris.receive.admission import Admission, ReceiverCounters
from calidris.receive.grpc import GrpcReceiver
from calidris.receive.intake import Intake, received_again
from calidris.receive.journal import Journal
from calidris.report import render
from calidris.wire import decode, holds_model_telemetry

DRAIN_S = 10.0
_logger = logging.getLogger(__name__)


class Server:
    """A running receiver: ``start``, then ``wait``, then ``stop``.

    Args:
        config: the user's settings.
        clock_ns: time, ns since the epoch.

    Example:
        server = Server(load(Path("calidris.yaml")))
        server.start()
        server.wait()      # until stop() from a signal handler
    """

    def __init__(self, config: CalidrisConfig, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.config = config
        self.clock_ns = clock_ns
        self.started_ns = clock_ns()
        self.failed = False
        self.replayed = 0
        self._parts = ExitStack()
        self._ended = threading.Event()
        self._ready = False

    def start(self) -> list[str]:
        """Restore, replay, then listen; returns one line for each endpoint.

        Raises:
            ConfigError: the storage cannot be used or an endpoint is taken. What was started is stopped again.
        """
        try:
            self._restore()
            return self._listen()
        except BaseException:
            self._parts.close()
            raise

    def _restore(self) -> None:
        storage = self.config.storage
        self.store = _open_store(storage.path)
        self._parts.callback(self.store.close)
        self.checkpoint = Checkpoint(self.store)
        self.engine = Engine(self.config, find_baseline, self.checkpoint.load_pane)
        self.checkpoint.restore(self.engine)
        self.journal = Journal(
            storage.path / "journal",
            segment_bytes=storage.journal.segment_bytes,
            max_bytes=storage.journal.max_bytes,
            start_after=self.engine.sequence,
            keep_truncated=storage.journal.keep,
            on_failure=self._journal_failed,
        )
        self._parts.callback(self.journal.close)
        for record in self.journal.replay(self.engine.sequence):
            self.engine.apply(received_again(record, decode))
            self.replayed += 1
        # Numbers that could not be read back are gone for good: the next record is the one after the journal's last.
        self.engine.sequence = self.journal.last_seq

    def _listen(self) -> list[str]:
        self.admission = Admission(self.config.receiver.queue_bytes)
        self.counters = ReceiverCounters()
        inbox = Inbox(first_seq=self.engine.sequence + 1)
        intake = Intake(
            admission=self.admission,
            journal=self.journal,
            inbox=inbox,
            holds=holds_model_telemetry,
            decode=decode,
            clock_ns=self.clock_ns,
            counters=self.counters,
        )
        self.loop = EngineLoop(self.config, self.engine, self.checkpoint, inbox, self.journal, intake, self.clock_ns)
        self.loop.start()
        self._parts.callback(self._stop_loop)
        grpc_config = self.config.receiver.grpc
        receiver = GrpcReceiver(grpc_config.endpoint, intake, max_message_bytes=grpc_config.max_message_bytes)
        receiver.start()
        self._parts.callback(receiver.stop, DRAIN_S)
        lines = [f"otlp/grpc listening on {_host(grpc_config.endpoint)}:{receiver.port}"]
        lines += self._start_exporters()
        sources = Sources(self.snapshot, ready=lambda: self._ready, health=self.health, report=render_report)
        api = ApiServer(self.config.api.endpoint, sources)
        api.start()
        self._parts.callback(api.stop)
        self._ready = True
        return [*lines, f"api listening on http://{_host(self.config.api.endpoint)}:{api.port}"]

    def _start_exporters(self) -> list[str]:
        lines = []
        if self.config.export.prometheus is not None:
            endpoint = self.config.export.prometheus.endpoint
            prometheus = PrometheusExporter(endpoint, self.points)
            prometheus.start()
            self._parts.callback(prometheus.stop)
            lines.append(f"prometheus listening on http://{_host(endpoint)}:{prometheus.port}/metrics")
        if self.config.export.otlp is not None:
            otlp = OtlpExporter(self.config.export.otlp, self.points)
            otlp.start()
            self._parts.callback(otlp.stop)
            lines.append(f"metrics pushed to {self.config.export.otlp.endpoint}")
        return lines

    def snapshot(self) -> Snapshot:
        """The newest snapshot."""
        return self.loop.latest

    def points(self) -> Points:
        """The newest snapshot as metric points, with the receiver's own health."""
        return points(self.snapshot(), self.config.export, self.health(), start_ns=self.started_ns)

    def health(self) -> dict[str, float | dict[str, int]]:
        """The receiver's own figures by metric name."""
        told = self.counters.snapshot()
        age_s = (self.clock_ns() - self.loop.saved_ns) / 1e9
        return {
            semconv.METRIC_CALIDRIS_RECEIVER_REQUESTS.name: dict(told.get("requests", {})),
            semconv.METRIC_CALIDRIS_RECEIVER_SPANS_REJECTED.name: dict(told.get("spans_rejected", {})),
            semconv.METRIC_CALIDRIS_JOURNAL_SIZE.name: float(self.journal.size_bytes),
            semconv.METRIC_CALIDRIS_JOURNAL_LOST.name: float(self.journal.lost_records),
            semconv.METRIC_CALIDRIS_QUEUE_SIZE.name: float(self.admission.used_bytes),
            semconv.METRIC_CALIDRIS_CHECKPOINT_AGE.name: max(age_s, 0.0),
        }

    def wait(self) -> None:
        """Block until ``stop`` is asked for."""
        self._ended.wait()

    def ask_to_stop(self) -> None:
        """Make ``wait`` return; safe in a signal handler."""
        self._ended.set()

    def stop(self) -> None:
        """Refuse new requests, finish those that run, apply them, checkpoint, close. May be called more than once."""
        self._ready = False
        self._parts.close()

    def _stop_loop(self) -> None:
        if not self.loop.stop(DRAIN_S):
            _logger.error("engine: did not finish within %g s; the rest is in the journal for the next start", DRAIN_S)

    def _journal_failed(self, error: BaseException) -> None:
        _logger.critical("journal: a sync failed, so nothing can be acknowledged any more; exiting: %s", error)
        self.failed = True
        self.ask_to_stop()


def render_report(taken: Snapshot, name: str, version: str) -> str:
    """The HTML report of one model version."""
    key = next(m.key for m in taken.models if (m.key.name, m.key.version) == (name, version))
    return render(taken, key, title=f"{name} {version}", generated_ns=taken.taken_ns)


def _open_store(path: Path) -> Store:
    try:
        return Store(path)
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(
            f"storage.path: {path} cannot be used: {error}; set a directory that can be written"
        ) from error


def _host(endpoint: str) -> str:
    return endpoint.rpartition(":")[0]
