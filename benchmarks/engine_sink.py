"""The engine behind the receiver's benchmark: real baseline, panes, pending labels, seals and snapshots."""

from __future__ import annotations

import time

from benchmarks.payloads import batch

from calidris.baseline import BaselineColumns, build
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.core import Engine
from calidris.engine.inbox import Received
from calidris.state import Spec

SNAPSHOT_S = 0.5
_STEP_NS = 300 * 10**9


def make_sink() -> object:
    """A function of items that applies them as the engine's thread does, checkpoints apart."""
    config = CalidrisConfig(models=(ModelConfig.model_validate({"name": "credit", "windows": ["5m", "1h", "1d"]}),))
    base = build(BaselineColumns(batch(20_000, 99), timed=False), Spec(), window_s=300.0)
    engine = Engine(config, lambda *_: (base, ""))
    due = time.monotonic()

    def sink(items: list[Received]) -> None:
        nonlocal due
        for item in items:
            engine.gather(item)
        engine.settle()
        if time.monotonic() >= due:
            engine.seal(time.time_ns() // _STEP_NS * _STEP_NS)
            snapshot(engine, time.time_ns())
            due = time.monotonic() + SNAPSHOT_S

    return sink
