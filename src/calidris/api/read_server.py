"""The read API's server: uvicorn in a thread of its own."""

from __future__ import annotations

import errno
import socket
import time
from threading import Thread

import uvicorn

from calidris.access import Certificates
from calidris.api.routes import Sources, application
from calidris.errors import ConfigError

KEY = "api.endpoint"
_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 5.0
_GRACE_S = 2


class ApiServer:
    """Serves the read API at an endpoint until stopped.

    Args:
        endpoint: ``host:port``; port 0 takes a free one.
        sources: where answers come from; called from worker threads of ours.
        certificates: for HTTPS; None speaks HTTP.
    """

    def __init__(self, endpoint: str, sources: Sources, certificates: Certificates | None = None) -> None:
        self._certificates = certificates
        self._endpoint = endpoint
        self._sources = sources
        self._socket: socket.socket | None = None
        self._server: uvicorn.Server | None = None
        self._thread: Thread | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; the asked one before ``start``."""
        if self._socket is None:
            return int(self._endpoint.rpartition(":")[2])
        return int(self._socket.getsockname()[1])

    def start(self) -> None:
        """Listen, and answer from a thread; returns when requests are answered.

        Raises:
            ConfigError: the endpoint cannot be listened on.
        """
        self._socket = _listen(self._endpoint)
        config = uvicorn.Config(
            application(self._sources),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )
        config.load()
        if self._certificates is not None:
            config.ssl = self._certificates.server_context()
        self._server = uvicorn.Server(config)
        self._thread = Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="calidris-api", daemon=True
        )
        self._thread.start()
        self._wait()

    def stop(self) -> None:
        """Finish what is being answered and free the port; harmless when not started."""
        if self._server is None or self._thread is None or self._socket is None:
            return
        self._server.should_exit = True
        self._thread.join(_STOP_TIMEOUT_S)
        self._socket.close()
        self._server = self._thread = self._socket = None

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self._server is not None and not self._server.started and time.monotonic() < deadline:
            time.sleep(0.005)


def _listen(endpoint: str) -> socket.socket:
    """A bound socket, so that a port in use is told before any thread begins."""
    host, _, port = endpoint.rpartition(":")
    host = host.strip("[]")
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, int(port)))
        listener.listen()
    except OSError as error:
        listener.close()
        raise ConfigError(_cannot_listen(endpoint, error)) from error
    return listener


def _cannot_listen(endpoint: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"{KEY}: {endpoint} is in use by another program; stop that one, or set {KEY} to another port "
            "(port 0 takes a free one)"
        )
    return f"{KEY}: cannot listen on {endpoint}: {error.strerror or error}; set {KEY} to an address of this host"
