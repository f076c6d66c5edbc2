"""The one guest of a process: its settings, its buffer, and the names it has seen.

Everything that records goes through `runtime`. It reads the environment at the first use, not at import, and `configure`
replaces what it read.
"""

from __future__ import annotations

import importlib
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

from calidris.instrument import ids
from calidris.instrument.environment import OTEL_EXPORTER_CALIDRIS_ENDPOINT
from calidris.instrument.fork import renew_in_child
from calidris.instrument.privacy import Policy
from calidris.instrument.rows.buffered_items import Item, Row, Series
from calidris.instrument.sending.buffer import RowBuffer, Shipper
from calidris.instrument.settings import SdkSettings
from calidris.instrument.shield import caught, shielded

_log = logging.getLogger("calidris")

_CURES = {
    "string_feature": "Its strings stay here. List it in OTEL_CALIDRIS_ALLOW (or HASH), or pass allow= to Model.",
    "hash_without_key": "It is withheld. Set OTEL_CALIDRIS_HASH_KEY.",
    "unsupported_type": "Values that are no number, boolean or string are sent as missing.",
    "score_out_of_range": "It is no probability and is sent as missing; use p.value for other outputs.",
    "features_not_copied": "The input is too large or of an unknown kind; its rows are sent without features.",
    "embedding_not_declared": "It stays here. List it in embeddings= of Model.",
    "embedding_not_copied": "It is no vector of 1 to 4096 numbers, or of another length than its neighbours, or too many at once; it is sent as missing.",
    "embedding_rule": "It is withheld: a vector can be dropped or allowed, not hashed or bucketed.",
    "label_without_model": "Pass model=..., or set OTEL_CALIDRIS_MODEL_NAME; the label is dropped.",
    "malformed": "Lengths do not agree; the call is dropped.",
    "missing_label": "Labels that are None or NaN are left out.",
    "backlog_full": "The receiver has been away for long; the oldest rows made room.",
    "shutdown": "Recording ended before the receiver took its last rows.",
    "queue_full": "Rows come faster than they leave; raise OTEL_CALIDRIS_QUEUE_SIZE or check the receiver.",
}
MAX_NOTES = 1000


class Runtime:
    """Owns the buffer. `on` is false until there is an endpoint; then nothing is kept and nothing costs.

    Attributes:
        on: whether rows are recorded.
        settings: in force.
        models: names of the models seen in this process.
        generation: counts the configurations, so that caches know when they are stale.
    """

    def __init__(self) -> None:
        self.on = False
        self.append: Callable[[Row], None] = _ignore  # the buffer's own method while on: one call less for each row
        self.settings = SdkSettings()
        self.models: set[str] = set()
        self.generation = 0
        self._ready = False
        self._warned = False
        self._buffer: RowBuffer | None = None
        self._lock = threading.Lock()
        self._notes: Counter[tuple[str, str]] = Counter()

    def ensure(self) -> None:
        """Read the environment if nobody configured yet."""
        if not self._ready:
            with self._lock:
                if not self._ready:
                    self._use(SdkSettings.from_env(os.environ))

    def use(self, settings: SdkSettings) -> None:
        """Replace settings, buffer and connection. Rows of the old ones are flushed first."""
        self.shutdown(1.0)
        with self._lock:
            self._use(settings)

    def _use(self, settings: SdkSettings) -> None:
        self.settings = settings
        self._ready = True
        self.generation += 1
        self.on = bool(settings.endpoint)
        if self.on:
            self._warned = False
            self._buffer = RowBuffer(
                self._connect, settings.queue_rows, settings.delay_s, settings.timeout_s, self.note
            )
            self.append = self._buffer.append

    def append_many(self, item: Item) -> None:
        """Record many rows or labels, or one row with embeddings."""
        if self._buffer is not None:
            self._buffer.append_many(item)

    def seen(self, series: Series) -> None:
        """A model exists in this process; without an endpoint, say once what to set."""
        self.ensure()
        if len(self.models) < MAX_NOTES:
            self.models.add(series.name)
        if self._buffer is not None:
            self._buffer.narrow(len(series.features or ()) + len(series.slices))
        if not self.on and not self._warned:
            self._warned = True
            _log.warning(
                "calidris: model %r is not monitored: set %s, for example http://localhost:4327, or call calidris.configure().",
                series.name,
                OTEL_EXPORTER_CALIDRIS_ENDPOINT,
            )

    def label_model(self) -> str | None:
        """The model that a label without one belongs to: the only one seen here, else the environment's."""
        self.ensure()
        return next(iter(self.models)) if len(self.models) == 1 else self.settings.model_name or None

    def drop(self, model: str, reason: str, rows: int) -> None:
        """Count rows or labels that are not sent, and say so once a reason."""
        if self.on and self._buffer is not None:
            self._buffer.drop(model, reason, rows)

    def note(self, reason: str, name: str) -> None:
        """Count something withheld; the first of each kind is logged with its cure."""
        with self._lock:
            if (reason, name) not in self._notes and len(self._notes) >= MAX_NOTES:
                name = "(others)"
            self._notes[reason, name] += 1
            first = self._notes[reason, name] == 1
        if first:
            _log.warning("calidris: %s: %s. %s", name or "(no model)", reason.replace("_", " "), _CURES.get(reason, ""))

    def notes(self) -> dict[tuple[str, str], int]:
        """What was withheld so far: (reason, feature or model) to how often."""
        with self._lock:
            return dict(self._notes)

    def drops(self) -> dict[tuple[str, str], int]:
        """Rows that were not sent: (model, reason) to how many."""
        return {} if self._buffer is None else self._buffer.drops()

    def flush(self, timeout_s: float) -> bool:
        """Send everything recorded so far; true when the receiver has it."""
        return self._buffer is None or self._buffer.flush(timeout_s)

    def shutdown(self, timeout_s: float) -> bool:
        """Flush and stop; nothing is recorded afterwards, until `use`."""
        buffer, self._buffer, self.on = self._buffer, None, False
        self.append = _ignore
        return buffer is None or buffer.close(timeout_s)

    def after_fork(self) -> None:
        """New random numbers and locks in the child."""
        ids.reseed()
        self._lock = threading.Lock()

    def _connect(self) -> Shipper:
        # By name and not by import, so that the guest's modules stay free of grpc and the SDK until the flush thread needs them.
        channel = importlib.import_module("calidris.instrument.sending.channel")
        return cast(Shipper, channel.connect(self.settings, self.note, self.drop))


def _ignore(row: Row) -> None:
    """What happens to a row while there is no endpoint."""


runtime = Runtime()
renew_in_child(runtime)


def configure(
    endpoint: str | None = None,
    *,
    headers: Mapping[str, str] | None = None,
    model_name: str | None = None,
    model_version: str | None = None,
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
        allow: features whose strings may leave.
        drop: features that never leave.
        hash: features that leave as a keyed hash.
        bucket: features that leave as a range, with its edges.
        hash_key: secret of the hash.
        others: further fields of `SdkSettings`: ``timeout_s``, ``delay_s``, ``queue_rows``, ``certificate``, ``client_certificate``,
            ``client_key``, ``slices``.

    Never raises: what cannot be used is logged, and then nothing is recorded that was not before.
    """
    try:
        settings = SdkSettings.from_env(os.environ)
        given = {
            "endpoint": endpoint,
            "headers": headers,
            "model_name": model_name,
            "model_version": model_version,
            **others,
        }
        policy = settings.policy.with_(Policy.of(allow, drop, hash, bucket, hash_key))
        runtime.use(replace(settings, policy=policy, **{k: v for k, v in given.items() if v is not None}))
    except Exception:
        caught("configure")


@shielded("flush")
def _flush(timeout_s: float) -> bool:
    return runtime.flush(timeout_s)


def flush(timeout_s: float = 5.0) -> bool:
    """Send everything recorded so far, waiting at most so long; true when the receiver has acknowledged it."""
    return bool(_flush(timeout_s))


@shielded("shutdown")
def _shutdown(timeout_s: float) -> bool:
    return runtime.shutdown(timeout_s)


def shutdown(timeout_s: float = 3.0) -> bool:
    """Flush and stop recording in this process; `configure` starts again. True when everything was delivered."""
    return bool(_shutdown(timeout_s))
