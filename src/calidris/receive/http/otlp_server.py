"""The OTLP/HTTP server: an event loop that reads and waits, and a few threads that do the work."""

from __future__ import annotations

import asyncio
import resource
import socket
import ssl
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any, Final

from calidris.access import TenantOf
from calidris.batch import DEFAULT_TENANT
from calidris.errors import ConfigError
from calidris.receive.admission import Admission
from calidris.receive.http.connection import Connection
from calidris.receive.http.otlp_routes import Routes
from calidris.receive.http.request_response import Reply
from calidris.receive.http.sender_limits import BUFFER_BYTES, Patience
from calidris.receive.intake import Intake

KEY: Final = "receiver.http.endpoint"
BODIES: Final = 2
"""How many bodies of the largest size may be in memory in front of the queue, as sent and decompressed together."""

_BACKLOG = 1024
_MAX_CONNECTIONS = 4096


class HttpReceiver:
    """Serves ``POST /v1/traces``, ``/v1/metrics`` and ``/v1/logs`` in protobuf and JSON, ``/healthz`` and ``/readyz``.

    Metrics and logs are acknowledged, counted and forgotten: an exporter pointed here by mistake would otherwise retry
    them for ever. A connection costs about 10 kB; those that sent nothing for a while are closed, and where there are
    too many, the one that has been silent longest. Bodies in memory are bounded together, at ``BODIES`` times
    ``max_message_bytes``; beyond that senders are asked to try again.

    Args:
        endpoint: ``host:port``; port 0 takes a free one.
        intake: what takes the requests in.
        max_message_bytes: larger bodies are refused with 413, as sent or once decompressed.
        threads: requests handled at the same time; each waits for the disk most of its life.
        tenant_of: the tenant of an Authorization header (None without one), or an error that ``refusal_of`` knows.
        ready: what ``/readyz`` says.
        about: why it says so.
        ssl_context: for HTTPS; None speaks HTTP.
        patience: how long senders are waited for.
        max_connections: by default half of the descriptors that this process may open, 4096 at the most.

    Example:
        receiver = HttpReceiver("127.0.0.1:4328", intake)
        receiver.start()
        ...
        receiver.stop(grace_s=5)
    """

    def __init__(
        self,
        endpoint: str,
        intake: Intake,
        *,
        max_message_bytes: int = 64 << 20,
        threads: int = 32,
        tenant_of: TenantOf = lambda authorization: DEFAULT_TENANT,
        ready: Callable[[], bool] = lambda: True,
        about: Callable[[], Mapping[str, Any]] = dict,
        ssl_context: ssl.SSLContext | None = None,
        patience: Patience | None = None,
        max_connections: int | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._ssl_context = ssl_context
        self._patience = patience or Patience()
        self._counters = intake.counters
        self._routes = Routes(
            intake, max_message_bytes=max_message_bytes, tenant_of=tenant_of, ready=ready, about=about
        )
        self._memory = Admission(BODIES * max_message_bytes)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="calidris-http")
        self._max_connections = max_connections or _affordable_connections()
        self._connections: dict[asyncio.Task[None], Connection] = {}  # the oldest first; touched by the loop alone
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="calidris-http", daemon=True)
        self._server: asyncio.Server | None = None
        self._port: int | None = None

    @property
    def port(self) -> int:
        """The port that is listened on, once started."""
        if self._port is None:
            raise RuntimeError("the receiver has not been started")
        return self._port

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._connections)

    @property
    def held_bytes(self) -> int:
        """Bytes of bodies in memory now."""
        return self._memory.used_bytes

    def start(self) -> None:
        """Listen and serve, in threads of its own.

        Raises:
            ConfigError: the endpoint cannot be listened on.
        """
        listener = _listen(self._endpoint)
        self._port = int(listener.getsockname()[1])
        self._thread.start()
        self._call(self._serve(listener))

    def stop(self, grace_s: float) -> None:
        """Stop accepting, then wait for the requests that run.

        Requests that take longer than ``grace_s`` are cut off for their sender, but what is in the journal also reaches
        the inbox. May be called without ``start``, and more than once.
        """
        if self._thread.is_alive():
            self._call(self._finish(grace_s))
        self._pool.shutdown(wait=True)  # before the loop ends: jobs report to it
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        if not self._loop.is_closed():
            self._loop.close()

    def _call(self, what: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(what, self._loop).result()

    async def _serve(self, listener: socket.socket) -> None:
        self._server = await asyncio.start_server(
            self._connected, sock=listener, limit=BUFFER_BYTES, backlog=_BACKLOG, ssl=self._ssl_context,
            ssl_handshake_timeout=self._patience.head_s if self._ssl_context else None,
        )  # fmt: skip

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._connections) >= self._max_connections and not self._evict_one():
            return writer.close()
        connection = Connection(
            reader, writer, routes=self._routes, memory=self._memory, work=self._work, patience=self._patience,
            count_stray=lambda calls: self._counters.add("requests", "stray_grpc", calls),
        )  # fmt: skip
        self._connections[task] = connection
        try:
            await connection.serve()
        except asyncio.CancelledError:  # by us: it was idle, or took too long to finish
            writer.transport.abort()
        finally:
            self._connections.pop(task, None)

    async def _work(self, job: Callable[[], Reply]) -> Reply:
        return await self._loop.run_in_executor(self._pool, job)

    def _evict_one(self) -> bool:
        """Close the connection whose sender has been silent longest: it opens another one when it has something to say."""
        self._counters.add("connections_closed", "crowded")
        waiting = [
            (c.waiting_since, n, task)
            for n, (task, c) in enumerate(self._connections.items())
            if c.waiting_since is not None
        ]
        if not waiting:
            return False
        task = min(waiting)[2]
        task.cancel()
        if self._connections.pop(task).busy:  # a body that was on its way
            self._counters.add("requests", "crowded")
        return True

    async def _finish(self, grace_s: float) -> None:
        if self._server is not None:
            self._server.close()
        for task, connection in list(self._connections.items()):
            connection.finish()
            if not connection.busy:
                task.cancel()
        if self._connections:
            _, late = await asyncio.wait(list(self._connections), timeout=grace_s)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)


def _listen(endpoint: str) -> socket.socket:
    host, _, port = endpoint.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, int(port)), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"{KEY}: cannot listen on {endpoint}: it is in use, or not an address of this machine. "
            "Stop the other process, or set another host:port, or set receiver.http to null to do without OTLP/HTTP"
        ) from error
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # of those it accepts: no answer waits
    return listener


def _affordable_connections() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else max(16, min(_MAX_CONNECTIONS, soft // 2))
