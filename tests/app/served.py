"""A receiver in this process, on free ports and a directory of its own, and a client of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from running import EXPORT

from calidris.app import Server
from calidris.config import CalidrisConfig

FREE = "127.0.0.1:0"


def configuration(path: Path, **changes: Any) -> CalidrisConfig:
    """Free ports, storage under ``path``, and whatever a test says."""
    base: dict[str, Any] = {
        "receiver": {"grpc": {"endpoint": FREE}, "http": {"endpoint": FREE}, "lateness": "1s"},
        "storage": {"checkpoint_interval": "1h"},
        "export": {"prometheus": {"endpoint": FREE}},
        "api": {"endpoint": FREE},
    }
    base |= changes
    base["storage"] = base["storage"] | {"path": path / "data"}
    return CalidrisConfig.model_validate(base)


class Started:
    """A server, and a client of it."""

    def __init__(self, config: CalidrisConfig, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self.server = Server(config, clock_ns)
        self.lines = self.server.start()

    def export(self, raw: bytes, authorization: str | None = None) -> None:
        (address,) = (line.rpartition(" ")[2] for line in self.lines if line.startswith("otlp/grpc"))
        with grpc.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            metadata = [("authorization", authorization)] if authorization else []
            channel.unary_unary(EXPORT)(raw, timeout=10, metadata=metadata)

    def rows(self) -> int:
        return sum(model.rows for model in self.server.snapshot().models)
