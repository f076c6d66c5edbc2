"""Composition root: builds the parts, starts them in order, stops them in the reverse one."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from queue import SimpleQueue
from typing import Any

from calidris import semconv
from calidris.api import ApiServer, Sources
from calidris.app.baselines import list_expected
from calidris.app.health import Health, Values, calidris_version
from calidris.app.listeners import ListenerAuth, host, receivers, scheme
from calidris.app.loop import EngineLoop
from calidris.app.replay_progress import reported
from calidris.app.restore import Storage, note_settings
from calidris.app.shutdown import Ending
from calidris.batch import ModelKey
from calidris.config import CalidrisConfig
from calidris.engine.inbox import Inbox
from calidris.engine.snapshot import Snapshot
from calidris.export import OtlpExporter, Points, PrometheusExporter, points
from calidris.receive.admission import Admission, ReceiverCounters
from calidris.receive.intake import Intake
from calidris.receive.rates import Rates
from calidris.report import render
from calidris.wire import holds_model_telemetry

_WHY = {
    semconv.CALIDRIS_STATE_STARTING: "starting",
    semconv.CALIDRIS_STATE_READY: "telemetry is taken",
    semconv.CALIDRIS_STATE_STALE: "telemetry is taken and kept, but the figures cannot be renewed: see the log",
    semconv.CALIDRIS_STATE_DRAINING: "asked to stop: what was acknowledged is being applied",
    semconv.CALIDRIS_STATE_FAILED: "the disk or the engine failed: see the log, and start it again",
}
_logger = logging.getLogger(__name__)


class Server:
    """A running receiver: ``start``, then ``wait``, then ``stop``.

    ::

        start   storage ─► exporters, read API (not ready) ─► replay ─► engine ─► receiver (ready)
        stop    not ready ─► receiver ─► engine: apply, checkpoint ─► read API, exporters (last push) ─► storage

    Attributes:
        replayed: records of the journal that were applied at the start.
        failed: true once the disk or the engine failed; the process should exit and be started again.
        unapplied: after ``stop``, acknowledged records that were not applied in time: they wait in the journal.
        hung: after ``stop``, parts that did not end: the process must be ended by force, and loses nothing by it.

    Args:
        config: the user's settings.
        clock_ns: time, ns since the epoch.
        suppressed: log lines left out so far.

    Example:
        server = Server(load(Path("calidris.yaml")))
        for line in server.start():
            print(line)
        server.wait()      # until ask_to_stop() from a signal handler
        server.stop()
    """

    def __init__(
        self,
        config: CalidrisConfig,
        clock_ns: Callable[[], int] = time.time_ns,
        suppressed: Callable[[], int] = lambda: 0,
    ) -> None:
        self.config = config
        self.clock_ns = clock_ns
        self.started_ns = clock_ns()
        self.failed = False
        self.replayed = self.unapplied = 0
        self._suppressed = suppressed
        self._ending = Ending(config.receiver.drain)
        self._parts = ExitStack()
        self._receivers: dict[str, Callable[[float], None]] = {}
        self._ready = self._draining = self._restored = False
        self._asked = False
        # Not an Event: a signal handler that sets one can meet its own thread inside the Event's lock, for ever.
        self._wake: SimpleQueue[None] = SimpleQueue()

    def start(self) -> list[str]:
        """Restore, replay, then take telemetry; returns one line for each endpoint, none if asked to stop meanwhile.

        Raises:
            ConfigError: the storage cannot be used, an endpoint is taken or would stand open. What was started is stopped again.
        """
        try:
            self.auth = ListenerAuth(self.config)
            storage = Storage(self.config, self._broken)
            self._at_end("storage", storage.close)
            self._build(storage)
            lines = [*self._start_exporters(), self._start_api()]
            return [*self._receive(), *lines] if self._replay(storage) else []
        except BaseException:
            self._parts.close()
            raise

    def _at_end(self, name: str, stop: Callable[[], object]) -> None:
        """Stop this part when the server stops, before those that were named earlier."""
        self._parts.callback(self._ending.step, name, stop)

    def _replay(self, storage: Storage) -> bool:
        """Read the journal back; false where somebody asked to stop meanwhile."""
        with reported(storage.progress):
            self.replayed = storage.replay(interrupted=lambda: self._asked)
        if not self._asked:
            note_settings(storage.engine, self.intake.accept_command, self.clock_ns())
            self.loop.publish()  # figures that are told from here on are never behind those of the process before
            self._restored = True
        return not self._asked

    def _build(self, storage: Storage) -> None:
        self.journal = storage.journal
        self.admission = Admission(self.config.receiver.queue_bytes)
        self.counters = ReceiverCounters()
        inbox = Inbox(first_seq=storage.journal.last_seq + 1)
        self.intake = Intake(
            admission=self.admission,
            journal=storage.journal,
            inbox=inbox,
            holds=holds_model_telemetry,
            decode=storage.decode,
            clock_ns=self.clock_ns,
            counters=self.counters,
            rates=Rates(self.config.receiver.rates),
        )
        self.loop = EngineLoop(
            self.config, storage.engine, storage.checkpoint, inbox, storage.journal, self.intake, self.clock_ns,
            self._broken,
        )  # fmt: skip
        self._storage = storage
        self._health = Health(
            storage, self.loop, self.admission, self.counters, self.auth, lambda: self.state, self.clock_ns,
            self.started_ns, suppressed=self._suppressed,
        )  # fmt: skip

    def _start_exporters(self) -> list[str]:
        lines = []
        if self.config.export.prometheus is not None:
            endpoint = self.config.export.prometheus.endpoint
            prometheus = PrometheusExporter(endpoint, self.points)
            self._at_end("prometheus", prometheus.stop)
            prometheus.start()
            lines.append(f"prometheus listening on http://{host(endpoint)}:{prometheus.port}/metrics")
        if self.config.export.otlp is not None:
            otlp = OtlpExporter(self.config.export.otlp, self.points)
            self._health.otlp = otlp
            self._at_end("otlp", otlp.stop)
            otlp.start()
            lines.append(f"metrics pushed to {self.config.export.otlp.endpoint}")
        return lines

    def _start_api(self) -> str:
        sources = Sources(
            self.snapshot,
            ready=lambda: self.ready,
            receiver=self.about,
            health=self.health,
            report=render_report,
            command=self.intake.accept_command,
            clock_ns=self.clock_ns,
            access=self.auth.access,
            expected=lambda: list_expected(self.config),
        )
        api = ApiServer(self.config.api.endpoint, sources, self.auth.api)
        self._at_end("api", api.stop)
        api.start()
        return f"api listening on {scheme(self.auth.api)}://{host(self.config.api.endpoint)}:{api.port}"

    def _receive(self) -> list[str]:
        self._at_end("engine", self._stop_loop)
        self.loop.start()
        self._parts.callback(self._stop_receivers)
        lines = []
        for name, receiver, line in receivers(self.config, self.auth, self.intake, lambda: self.ready, self.about):
            self._receivers[name] = receiver.stop
            receiver.start()
            lines.append(line.format(port=receiver.port))
        self._ready = True
        return lines

    @property
    def ready(self) -> bool:
        """Telemetry is taken, and what is told about it is fresh."""
        return self._ready and self.loop.healthy

    def snapshot(self) -> Snapshot:
        """The newest snapshot."""
        return self.loop.latest

    def points(self) -> Points:
        """The newest snapshot as metric points, with the receiver's own health."""
        return points(
            self.snapshot(), self.config.export, self.health(), start_ns=self.started_ns, counted=self._restored
        )

    def health(self) -> Values:
        """The receiver's own figures by metric name."""
        return self._health.read()

    @property
    def state(self) -> str:
        """What the receiver does now: a value of ``calidris.state``."""
        if self.failed:
            return semconv.CALIDRIS_STATE_FAILED
        if self._draining:
            return semconv.CALIDRIS_STATE_DRAINING
        if not self._ready:
            return semconv.CALIDRIS_STATE_STARTING
        return semconv.CALIDRIS_STATE_READY if self.loop.healthy else semconv.CALIDRIS_STATE_STALE

    def about(self) -> dict[str, Any]:
        """State, why it is so in one sentence, and how far the replay is: what ``/readyz`` and ``/v1/status`` tell."""
        state = self.state
        why = _WHY[state]
        if state == semconv.CALIDRIS_STATE_STARTING and self._storage.progress.records:
            why = f"reading the journal back: {self._storage.progress}"
        about = {"state": state, "why": why, "version": calidris_version(), "started_ns": self.started_ns}
        return about | {"replay": self._storage.progress.as_json()}

    def wait(self) -> None:
        """Block until somebody asks to stop."""
        self._wake.get()

    def ask_to_stop(self) -> None:
        """Make ``wait`` return, and cut a replay short; safe in a signal handler and from any thread."""
        self._asked = True
        self._wake.put(None)

    def stop(self) -> None:
        """Refuse new requests, finish those that run, apply them, checkpoint, close. May be called more than once.

        Takes as long as that takes, ``receiver.drain`` and some seconds at most.
        """
        self._ending.begin()
        self._draining, self._ready = True, False
        self._parts.close()

    @property
    def hung(self) -> tuple[str, ...]:
        """Parts that did not end."""
        return tuple(self._ending.hung)

    def _stop_receivers(self) -> None:
        """All at once, in half of what is left: a sender that dawdles must not keep what was acknowledged from being applied."""
        grace_s = self._ending.left_s / 2
        self._ending.together({name: partial(stop, grace_s) for name, stop in self._receivers.items()})

    def _stop_loop(self) -> None:
        self.unapplied = self.loop.stop(self._ending.left_s)
        if self.unapplied:
            _logger.warning("engine: %d records were not applied in time and wait in the journal", self.unapplied)

    def _broken(self, error: BaseException) -> None:
        self.failed = True
        self.ask_to_stop()


def render_report(taken: Snapshot, key: ModelKey) -> str:
    """The HTML report of one model version."""
    return render(taken, key, title=f"{key.name} {key.version}", generated_ns=taken.taken_ns)
