"""Scraping: the newest points in Prometheus' text format, over HTTP."""

from __future__ import annotations

import errno
import io
import logging
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import CollectorRegistry, generate_latest, make_wsgi_app
from prometheus_client.core import Metric as Family
from prometheus_client.core import Sample
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.registry import Collector

from calidris.errors import ConfigError
from calidris.export.points import Points, is_counter
from calidris.semconv import prometheus_label

KEY = "export.prometheus.endpoint"
_CLIENT_TIMEOUT_S = 10.0
_LOG = logging.getLogger(__name__)
_STOP_TIMEOUT_S = 5.0


class PointCollector(Collector):
    """The points of a source as metric families, made anew for every scrape."""

    def __init__(self, source: Callable[[], Points]) -> None:
        self._source = source

    def collect(self) -> Iterator[Family]:
        """Families in the order in which their metrics first appear."""
        try:
            found = self._source()
        except Exception:
            _LOG.exception("export.prometheus: the figures cannot be told")
            raise
        families: dict[str, Family] = {}
        for point in found:
            kind = "counter" if is_counter(point.metric) else "gauge"
            name = point.metric.prometheus
            family = families.get(name)
            if family is None:
                # A counter's family is named without the suffix that its samples carry.
                family = families[name] = Family(name.removesuffix("_total"), point.metric.description, kind)
            family.samples.append(Sample(name, labels(point.attributes), point.value))
        yield from families.values()


def labels(attributes: Mapping[str, str]) -> dict[str, str]:
    """Attributes as Prometheus labels; those that become one label are joined by ";", as OpenTelemetry asks for.

    >>> labels({"ml.window": "1h", "home country": "NL", "home.country": "BE", "7th": "x"})
    {'ml_window': '1h', 'home_country': 'NL;BE', 'key_7th': 'x'}
    """
    out: dict[str, str] = {}
    for name, value in attributes.items():
        label = re.sub(r"[^a-zA-Z0-9_]", "_", prometheus_label(name))
        label = f"key_{label}" if not label or label[0].isdigit() else label
        out[label] = f"{out[label]};{value}" if label in out else value
    return out


class _Handler(WSGIRequestHandler):
    """Silent, and rid of a client that does not speak."""

    timeout = _CLIENT_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a scrape every few seconds is no news."""

    def get_stderr(self) -> Any:
        """Where the server of the standard library would write a traceback, values and all, at every scrape: nowhere."""
        return io.StringIO()


class PrometheusExporter:
    """Serves the points of a source at ``http://endpoint/metrics`` until stopped.

    Args:
        endpoint: ``host:port``; port 0 takes a free one.
        source: gives the newest points; called from a thread of ours, once a scrape.
    """

    def __init__(self, endpoint: str, source: Callable[[], Points]) -> None:
        self._endpoint = endpoint
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(PointCollector(source))
        self._server: ThreadingWSGIServer | None = None
        self._thread: Thread | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; the asked one before ``start``."""
        return self._server.server_port if self._server else int(self._endpoint.rpartition(":")[2])

    def start(self) -> None:
        """Listen, and answer from a thread.

        Raises:
            ConfigError: the endpoint cannot be listened on.
        """
        host, _, port = self._endpoint.rpartition(":")
        host = host.strip("[]")
        server_class = _server_class(v6=":" in host)
        try:
            app = make_wsgi_app(self._registry)
            self._server = make_server(host, int(port), app, server_class, handler_class=_Handler)
        except OSError as error:
            raise ConfigError(_cannot_listen(self._endpoint, error)) from error
        self._thread = Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, name="calidris-prometheus", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop listening and free the port; harmless when not started."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join(_STOP_TIMEOUT_S)
        self._server.server_close()
        self._server = self._thread = None

    def exposition(self) -> bytes:
        """What a scrape would answer now, in the plain text format."""
        return generate_latest(self._registry)


def _server_class(*, v6: bool) -> type[ThreadingWSGIServer]:
    family = socket.AF_INET6 if v6 else socket.AF_INET
    return type("_Server", (ThreadingWSGIServer,), {"address_family": family, "daemon_threads": True})


def _cannot_listen(endpoint: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"{KEY}: {endpoint} is in use by another program; stop that one, or set {KEY} to another port "
            "(port 0 takes a free one)"
        )
    return f"{KEY}: cannot listen on {endpoint}: {error.strerror or error}; set {KEY} to an address of this host"
