"""The servers that take telemetry, as the settings want them, and what is said about where they listen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

from calidris.app.listeners import Doors
from calidris.config import CalidrisConfig
from calidris.receive.grpc import GrpcReceiver
from calidris.receive.http.server import HttpReceiver
from calidris.receive.intake import Intake


class Receiver(Protocol):
    """A server of OTLP."""

    @property
    def port(self) -> int:
        """The port that is listened on, once started."""
        ...

    def start(self) -> None:
        """Listen and serve, in threads of its own."""
        ...

    def stop(self, grace_s: float) -> None:
        """Stop accepting, then wait for the requests that run; also where it was not started."""
        ...


def receivers(
    config: CalidrisConfig,
    doors: Doors,
    intake: Intake,
    ready: Callable[[], bool],
    about: Callable[[], dict[str, Any]],
) -> Iterator[tuple[str, Receiver, str]]:
    """Name, server and, as ``{port}`` in it is not known yet, where it will listen, of each server that is wanted."""
    grpc, http = config.receiver.grpc, config.receiver.http
    on_grpc = GrpcReceiver(
        grpc.endpoint, intake, max_message_bytes=grpc.max_message_bytes, tenant_of=doors.access.tenant_of,
        certificates=doors.grpc,
    )  # fmt: skip
    yield "grpc", on_grpc, f"otlp/grpc listening on {host(grpc.endpoint)}:{{port}}"
    if http is not None:
        on_http = HttpReceiver(
            http.endpoint, intake, max_message_bytes=http.max_message_bytes, tenant_of=doors.access.tenant_of,
            ssl_context=None if doors.http is None else doors.http.server_context(), ready=ready, about=about,
        )  # fmt: skip
        yield "http", on_http, f"otlp/http listening on {scheme(doors.http)}://{host(http.endpoint)}:{{port}}"


def host(endpoint: str) -> str:
    """An endpoint without its port."""
    return endpoint.rpartition(":")[0]


def scheme(certificates: object | None) -> str:
    """How an address with or without certificates begins."""
    return "http" if certificates is None else "https"
