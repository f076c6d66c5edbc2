"""The one guest of a process: its settings, its buffer, and the names it has seen.

Everything that records goes through `runtime`. It reads the environment at the first use, not at import, and `configure`
replaces what it read.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

from calidris.instrument import ids
from calidris.instrument.environment import OTEL_EXPORTER_CALIDRIS_ENDPOINT
from calidris.instrument.guarded_log import log
from calidris.instrument.privacy import Policy
from calidris.instrument.process.ending import EndOfProcess
from calidris.instrument.process.fork import renew_in_child
from calidris.instrument.process.threads import SAY_S, run_apart
from calidris.instrument.rows.buffered_items import Item, Row, Series
from calidris.instrument.rows.item_sizes import model_of, rows_of
from calidris.instrument.sending.buffer import RowBuffer
from calidris.instrument.sending.not_sent import NotSent, Totals
from calidris.instrument.sending.sender import Shipper
from calidris.instrument.settings import SdkSettings
from calidris.instrument.shield import caught, shielded
from calidris.instrument.signal_errors import disown_threads, note_kept, passes, was_kept

MAX_MODELS = 1000
"""Names of models that are remembered."""


class Runtime:
    """Owns the buffer. `on` is false until there is an endpoint; then nothing is kept and nothing costs.

    Attributes:
        on: whether rows are recorded.
        not_sent: what was given and did not leave, in this process.
        settings: in force.
        models: names of the models seen in this process.
        ready: whether the environment has been read. A model that came by pickle was not made here.
        generation: counts the configurations, so that caches know when they are stale.
    """

    def __init__(self) -> None:
        self.on = False
        self.not_sent = NotSent()
        self.append: Callable[[Row], None] = (
            self._drop_late
        )  # the buffer's own method while on: one call less for each row
        self.settings = SdkSettings()
        self.models: set[str] = set()
        self.generation = 0
        self.ready = False
        self._warned = False
        self._buffer: RowBuffer | None = None
        self._told: Totals = ({}, {})  # what was counted under the settings before
        self._lock = threading.RLock()
        self._end = EndOfProcess(self._flush_at_signal, self._finish, self._go_on)

    def ensure(self) -> None:
        """Read the environment if nobody configured yet."""
        if not self.ready:
            with self._lock:
                if not self.ready:
                    self._use(SdkSettings.from_env(os.environ))

    def use(self, settings: SdkSettings) -> None:
        """Replace settings, buffer and connection. The old ones send what they have; rows made meanwhile are for the new ones."""
        with self._lock:
            old = self._buffer
            self._use(settings)
        if old is not None:
            old.close(1.0)
            if self._buffer is not None:
                self._buffer.count_from_now()

    def _use(self, settings: SdkSettings) -> None:
        self.settings = settings
        self.ready = True
        self.generation += 1
        self.on = bool(settings.endpoint)
        if self.on:
            self._warned = False
            self._told = self.not_sent.rows(), self.not_sent.values()
            self._buffer = self._make_buffer(settings)
            self.append = self._buffer.append
            self._end.watch(settings.handle_sigterm)
        else:
            self._buffer, self.append = None, self._drop_late
            self._end.leave()

    def _make_buffer(self, settings: SdkSettings) -> RowBuffer:
        return RowBuffer(
            lambda: self._connect(settings),  # not those of then: they may be others before the thread gets to it
            self.not_sent,
            max_items=settings.queue_rows,
            max_bytes=settings.queue_bytes,
            delay_s=settings.delay_s,
            timeout_s=settings.timeout_s,
            started=lambda: self._end.watch(settings.handle_sigterm),
        )

    def append_many(self, item: Item) -> None:
        """Record many rows or labels, or one row with embeddings."""
        buffer = self._buffer
        if buffer is not None:
            buffer.append_many(item)
        else:
            self._drop_late(item)

    def seen(self, series: Series) -> None:
        """A model exists in this process; without an endpoint, say once what to set."""
        self.ensure()
        if len(self.models) < MAX_MODELS:
            self.models.add(series.name)
        if self._buffer is not None:
            self._buffer.narrow(len(series.features or ()) + len(series.slices))
        if not self.on and not self._warned:
            self._warned = True
            log.warning(
                "calidris: model %r is not monitored: set %s, for example http://localhost:4327, or call calidris.configure().",
                series.name,
                OTEL_EXPORTER_CALIDRIS_ENDPOINT,
            )

    def label_model(self) -> str | None:
        """The model that a label without one belongs to: the only one seen here, else the environment's."""
        self.ensure()
        return next(iter(self.models)) if len(self.models) == 1 else self.settings.model_name or None

    def drop(self, model: str, reason: str, rows: int) -> None:
        """Count rows or labels that are not sent; the log says so once a reason."""
        if self.on:
            self._wake()
            self.not_sent.drop(
                model, reason, rows
            )  # last: whoever sees an error come out of here knows that nothing was counted

    def drop_rest(self, model: str, reason: str, rows: int) -> None:
        """Count rows of a call whose other rows are recorded, also where a time-out of the application comes in between."""
        try:
            self.drop(model, reason, rows)
        except BaseException as error:
            self.drop(model, reason, rows)
            note_kept(error)
            raise

    def lose(self, model: str, rows: int) -> None:
        """Count rows that the error being handled kept from being recorded; none where it came after that."""
        error = sys.exception()
        if error is None or was_kept(error):
            return
        self.drop(model, "interrupted" if passes(error) else "internal_error", rows)

    def note(self, reason: str, name: str, values: int = 1) -> None:
        """Count values withheld; the first of each kind is logged with its cure."""
        model = name if name in self.models else ""
        self.not_sent.withhold(model, reason, name, values)
        self._wake()

    def notes(self) -> dict[tuple[str, str], int]:
        """What was withheld so far: (reason, feature or model) to how many values or rows."""
        return self.not_sent.notes()

    def missing(self) -> dict[str, int]:
        """Values that were given and are missing, by reason."""
        by_reason: Counter[str] = Counter()
        for (_, reason), values in self.not_sent.values().items():
            by_reason[reason] += values
        return dict(by_reason)

    def drops(self) -> dict[tuple[str, str], int]:
        """Rows that were not sent: (model, reason) to how many."""
        return self.not_sent.rows()

    def flush(self, timeout_s: float) -> bool:
        """Send everything recorded so far; true when the receiver has it."""
        return self._buffer is None or self._buffer.flush(timeout_s)

    def shutdown(self, timeout_s: float) -> bool:
        """Flush and stop; nothing is recorded afterwards, until `use`."""
        buffer, self._buffer, self.on = self._buffer, None, False
        self.append = self._drop_late
        self._end.leave()
        return buffer is None or buffer.close(timeout_s)

    def after_fork(self) -> None:
        """In the child: new random numbers and a lock; what the parent lost, the parent tells."""
        ids.reseed()
        disown_threads()
        self._lock = threading.RLock()
        self.not_sent.after_fork()
        self._told = ({}, {})

    def _drop_late(self, item: Item) -> None:
        """Count what was begun while there was an endpoint, and comes when there is none any more."""
        self.not_sent.drop(model_of(item), "shutdown", rows_of(item))
        if self.not_sent.has_news():
            run_apart(self.not_sent.say_new, SAY_S)

    def _wake(self) -> None:
        """Have somebody there who says and reports what was counted, also where no row is given."""
        if self._buffer is not None:
            self._buffer.ensure_thread()

    def _flush_at_signal(self, timeout_s: float) -> None:
        """The process is about to die of a signal that nobody handles; unless it is the first of its machine or container."""
        if self._buffer is not None:
            self._buffer.flush(max(0.0, timeout_s - SAY_S))

    def _finish(self, timeout_s: float) -> None:
        """The process is at its end."""
        if self._buffer is not None:
            self._buffer.end(timeout_s)

    def _go_on(self) -> None:
        """What looked like the end was none. What was given up for it is begun anew."""
        if self._buffer is not None and not self._buffer.go_on():
            self._use(self.settings)

    def _connect(self, settings: SdkSettings) -> Shipper:
        # By name and not by import, so that the guest's modules stay free of grpc and the SDK until the flush thread needs them.
        channel = importlib.import_module("calidris.instrument.sending.channel")
        return cast(Shipper, channel.connect(settings, self.not_sent, self._told))


runtime = Runtime()
renew_in_child(runtime)


def configure(
    endpoint: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    model_name: str | None = None,
    model_version: str | None = None,
    model_role: str | None = None,
    allow: Iterable[str] = (),
    drop: Iterable[str] = (),
    hash: Iterable[str] = (),
    bucket: Mapping[str, Iterable[float]] | None = None,
    hash_key: str | bytes = b"",
    **others: Any,
) -> None:
    """Set in code what the environment would: arguments win, lists are added to the environment's.

    Args:
        endpoint: OTLP/gRPC address of the receiver; ``""`` switches monitoring off.
        headers: of each request.
        model_name: for labels and auto-instrumented models that name none.
        model_version: for auto-instrumented models.
        model_role: what the models of this process do beside other versions: ``champion``, ``canary`` or ``shadow``.
        allow: features whose strings may leave.
        drop: features that never leave.
        hash: features that leave as a keyed hash.
        bucket: features that leave as a range, with its edges.
        hash_key: secret of the hash.
        others: further fields of `SdkSettings`: ``timeout_s``, ``delay_s``, ``queue_rows``, ``queue_bytes``, ``handle_sigterm``,
            ``certificate``, ``client_certificate``, ``client_key``, ``slices``.

    Never raises: what cannot be used is logged, and then nothing is recorded that was not before.
    """
    try:
        settings = SdkSettings.from_env(os.environ)
        given = {
            "endpoint": endpoint,
            "headers": headers,
            "model_name": model_name,
            "model_version": model_version,
            "model_role": model_role,
            **others,
        }
        policy = settings.policy.with_(Policy.of(allow, drop, hash, bucket, hash_key))
        settings = replace(settings, policy=policy, **{k: v for k, v in given.items() if v is not None})
        problem = settings.find_problem()
        if problem:
            log.error("calidris: configure: %s; nothing was changed.", problem)
        else:
            runtime.use(settings)
    except BaseException:
        caught("configure")


@shielded("flush")
def _flush(timeout_s: float) -> bool:
    return runtime.flush(timeout_s)


def flush(timeout_s: float = 5.0) -> bool:
    """Send everything recorded so far, waiting at most so long, and trying again while the receiver does not answer.

    True only when the receiver has acknowledged everything given since the last flush; else the log says what not, by reason.
    """
    return bool(_flush(timeout_s))


@shielded("shutdown")
def _shutdown(timeout_s: float) -> bool:
    return runtime.shutdown(timeout_s)


def shutdown(timeout_s: float = 3.0) -> bool:
    """Flush and stop recording in this process; `configure` starts again. True when everything was delivered."""
    return bool(_shutdown(timeout_s))
