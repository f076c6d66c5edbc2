"""What must hold of any request whatsoever, from its bytes to the exported series."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from calidris import semconv
from calidris.batch import CodedColumn, LabelBatch, MatrixColumn, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig, LimitsConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.core import Engine
from calidris.engine.inbox import Received
from calidris.errors import PermanentError
from calidris.export import points
from calidris.receive.http.otlp_json import traces_to_protobuf
from calidris.receive.intake import digest_of
from calidris.wire import CURES, Decoded, decode, holds_model_telemetry

NOW_NS = 1_800_000_000_000_000_000
MAX_CPU_S = 1.0
"""Processor time of one request in this target; a whole second for inputs of a few kilobytes is a hang."""

_STEP_NS = 60_000_000_000
_REQUESTS = 100  # requests that one engine takes before a fresh one is made: a find can be repeated with few inputs


class Target:
    """Feeds requests to the decoder and an engine, and looks at everything that comes out.

    ``target(raw)`` returns whether the bytes were a request, protobuf or (beginning with a brace) JSON, and raises
    AssertionError (or whatever the code under test raised) where a promise is broken:

    * JSON becomes protobuf or a refusal that tells its sender to drop it;
    * the decoder raises nothing but ``MalformedRequest``, and the cheap look never misses model telemetry;
    * each span is counted once: used, ignored or rejected for a reason that has a cure;
    * columns are as long as their batch and finite where they are valid;
    * the engine applies it without a failure, seals, and gives a snapshot that exports;
    * all of that takes less than ``MAX_CPU_S``.
    """

    def __init__(self) -> None:
        self._renew()

    def __call__(self, raw: bytes) -> bool:
        """Feed one request; whether it was one."""
        began_s = time.process_time()
        try:
            raw = traces_to_protobuf(raw) if raw[:1] == b"{" else raw
            decoded = decode(raw, tenant="default", arrival_ns=self._now_ns)
        except PermanentError as error:
            assert str(error).isprintable(), "a message that a terminal would obey"
            return False
        check(raw, decoded)
        self._apply(raw, decoded)
        spent_s = time.process_time() - began_s
        assert spent_s < MAX_CPU_S, f"{len(raw)} bytes took {spent_s:.1f} s"
        return True

    def _apply(self, raw: bytes, decoded: Decoded) -> None:
        if self._sequence >= _REQUESTS:
            self._renew()
        self._put(digest_of(raw), decoded, None)
        self._now_ns += _STEP_NS
        self._put(b"", None, self._now_ns)
        taken = snapshot(self._engine, self._now_ns)
        points(taken, self._engine.config.export, {}, start_ns=NOW_NS)
        failures = self._engine.counters[semconv.METRIC_CALIDRIS_ENGINE_FAILURES.name]
        assert not failures, f"the engine failed: {dict(failures)}"

    def _put(self, digest: bytes, decoded: Decoded | None, seal_ns: int | None) -> None:
        self._sequence += 1
        self._engine.apply(Received(self._sequence, self._now_ns, "default", digest, 0, decoded, seal_ns, lambda: None))

    def _renew(self) -> None:
        self._engine = Engine(CalidrisConfig(limits=LimitsConfig(models=20, features=50)), lambda *_: (None, ""))
        self._sequence, self._now_ns = 0, NOW_NS


def check(raw: bytes, decoded: Decoded) -> None:
    """What must hold of a decoded request."""
    assert holds_model_telemetry(raw) or not decoded.items, "the cheap look missed model telemetry"
    assert decoded.rejected.keys() <= CURES.keys(), f"a rejection without a cure: {decoded.rejected}"
    assert all(count > 0 for count in decoded.rejected.values())
    assert sum(decoded.rejected.values()) + decoded.ignored <= decoded.spans
    assert bool(decoded.message) == bool(decoded.rejected)
    assert len(decoded.message) < 4096, "the message is not bounded"
    assert all(line.isprintable() for line in decoded.message.split("\n")), "a message that a terminal would obey"
    for batch in decoded.items:
        assert len(batch) > 0
        for column in _columns(batch):
            _check_column(column, len(batch))


def _columns(batch: PredictionBatch | LabelBatch) -> Iterator[Any]:
    for name in type(batch).__dataclass_fields__:
        held = getattr(batch, name)
        yield from held.values() if isinstance(held, dict) else [held]


def _check_column(column: Any, rows: int) -> None:
    if isinstance(column, NumberColumn):
        assert len(column.values) == len(column.valid) == rows
        assert np.isfinite(column.values[column.valid]).all()
    elif isinstance(column, MatrixColumn):
        assert len(column.valid) == rows and len(column.values) == np.count_nonzero(column.valid)
        assert np.isfinite(column.values).all()
    elif isinstance(column, CodedColumn):
        assert len(column.codes) == rows
        assert column.codes.min() >= -1 and column.codes.max() < len(column.levels)
    elif isinstance(column, np.ndarray):
        assert len(column) == rows
