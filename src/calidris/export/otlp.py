"""Pushing: the newest points by OTLP over gRPC, every interval, from a thread of its own.

A target that is dead, slow or refusing disturbs nobody: a push has a deadline, nothing is queued, the failure is counted,
and the next push carries the newest values. All points are absolute and cumulative, so a lost push loses no information.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event, Lock, Thread

from grpc import StatusCode
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from calidris import semconv
from calidris.config import OtlpConfig
from calidris.export.points import Point, Points, is_counter

SERVICE_NAME = "calidris"
POINTS_PER_REQUEST = 4000
"""Some 250 bytes a point: a request stays far below the 4 MiB that a Collector takes by default."""

_PUSH_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 5.0
_NO_RETRY = frozenset(
    {StatusCode.OK}
)  # an empty set would mean the exporter's own list: it would send old values again
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PushCounts:
    """Pushes so far; ``error`` tells of the newest one, None where it went well."""

    sent: int = 0
    failed: int = 0
    error: str | None = None


class OtlpExporter:
    """Pushes the points of a source to an OTLP target until stopped.

    Args:
        config: target, interval and headers.
        source: gives the newest points; called from a thread of ours, once a push.
        instance: ``service.instance.id``, which tells several receivers apart; the host's name by default.
    """

    def __init__(self, config: OtlpConfig, source: Callable[[], Points], instance: str | None = None) -> None:
        self._config = config
        self._source = source
        self._instance = instance or socket.gethostname()
        self._exporter = OTLPMetricExporter(
            endpoint=config.endpoint,
            insecure=config.insecure,
            headers=config.headers or None,
            timeout=min(_PUSH_TIMEOUT_S, config.interval),
            max_export_batch_size=POINTS_PER_REQUEST,
            retryable_error_codes=_NO_RETRY,
            # A target that comes back is found at the next push; gRPC alone would wait up to two minutes.
            channel_options=(("grpc.max_reconnect_backoff_ms", round(config.interval * 1000)),),  # type: ignore[arg-type]
        )
        self._stop = Event()
        self._lock = Lock()
        self._counts = PushCounts()
        self._thread = Thread(target=self._run, name="calidris-otlp", daemon=True)

    @property
    def counts(self) -> PushCounts:
        """Pushes sent and failed so far."""
        return self._counts

    def start(self) -> None:
        """Push every interval from now on; the first push comes after one interval."""
        self._thread.start()

    def stop(self) -> None:
        """Push the newest values once more and end, within some seconds whatever the target does."""
        if self._stop.is_set():
            return
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_TIMEOUT_S)
        self._exporter.shutdown()
        if self._thread.is_alive():  # a push hung; closing the channel has cancelled it
            self._thread.join(_STOP_TIMEOUT_S)

    def push(self) -> bool:
        """Send the newest points now; true where the target took them. Never raises."""
        with self._lock:
            try:
                sent = self._exporter.export(metrics_data(self._source(), self._instance))
                error = None if sent is MetricExportResult.SUCCESS else f"{self._config.endpoint} did not take the push"
            except Exception as failure:
                error = f"{type(failure).__name__}: {failure}"
            self._count(error)
            return error is None

    def _run(self) -> None:
        while not self._stop.wait(self._config.interval):
            self.push()
        self.push()

    def _count(self, error: str | None) -> None:
        before = self._counts
        if error is not None and before.error is None:
            _LOG.warning("export.otlp: %s; trying again every %g s", error, self._config.interval)
        if error is None and before.error is not None:
            _LOG.info("export.otlp: %s takes pushes again", self._config.endpoint)
        self._counts = replace(
            before, sent=before.sent + (error is None), failed=before.failed + (error is not None), error=error
        )


def metrics_data(points: Points, instance: str) -> MetricsData:
    """Points as the SDK's own data: one metric each name, one resource, one scope with our schema URL."""
    by_metric: dict[semconv.Metric, list[Point]] = {}
    for point in points:
        by_metric.setdefault(point.metric, []).append(point)
    resource = Resource({"service.name": SERVICE_NAME, "service.instance.id": instance})
    scope = InstrumentationScope("calidris", schema_url=semconv.SCHEMA_URL)
    metrics = [_metric(metric, found) for metric, found in by_metric.items()]
    inner = ScopeMetrics(scope=scope, metrics=metrics, schema_url=semconv.SCHEMA_URL)
    return MetricsData([ResourceMetrics(resource=resource, scope_metrics=[inner], schema_url="")])


def _metric(metric: semconv.Metric, points: list[Point]) -> Metric:
    data_points = [NumberDataPoint(p.attributes, p.start_ns, p.time_ns, p.value) for p in points]
    data = (
        Sum(data_points, AggregationTemporality.CUMULATIVE, is_monotonic=True)
        if is_counter(metric)
        else Gauge(data_points)
    )
    return Metric(metric.name, metric.description, metric.unit, data)
