"""Pushing: a real gRPC target gets every point, a dead one disturbs nobody."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as rpc
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1 import metrics_pb2 as pb
from snapshots import snapshot

from calidris import semconv
from calidris.config import ExportConfig, OtlpConfig
from calidris.export import OtlpExporter, Point, Points, points


class Target(rpc.MetricsServiceServicer):
    """Keeps every request."""

    def __init__(self) -> None:
        self.requests: list[service.ExportMetricsServiceRequest] = []
        self.metadata: list[dict[str, str | bytes]] = []

    def Export(
        self, request: service.ExportMetricsServiceRequest, context: grpc.ServicerContext
    ) -> service.ExportMetricsServiceResponse:
        self.metadata.append({item.key: item.value for item in context.invocation_metadata()})
        self.requests.append(request)
        return service.ExportMetricsServiceResponse()

    def metrics(self) -> list[pb.Metric]:
        return [m for r in self.requests for rm in r.resource_metrics for sm in rm.scope_metrics for m in sm.metrics]


@pytest.fixture
def target() -> Iterator[tuple[Target, str]]:
    servicer, server = Target(), grpc.server(ThreadPoolExecutor(2))
    rpc.add_MetricsServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, f"http://127.0.0.1:{port}"
    server.stop(None).wait()


def everything() -> Points:
    return points(snapshot(), ExportConfig(series="full"), start_ns=5)


def config(endpoint: str, interval: str = "1h") -> OtlpConfig:
    return OtlpConfig.model_validate({"endpoint": endpoint, "interval": interval, "headers": {"x-key": "secret"}})


def pairs(attributes: list[KeyValue]) -> frozenset[tuple[str, str]]:
    return frozenset((a.key, a.value.string_value) for a in attributes)


def test_every_point_arrives_once_as_it_is(target: tuple[Target, str]) -> None:
    servicer, endpoint = target
    exporter = OtlpExporter(config(endpoint), everything, "one")
    assert exporter.push() and exporter.counts.sent == 1
    exporter.stop()
    got = {}
    for metric in servicer.metrics():
        body = metric.sum if metric.HasField("sum") else metric.gauge
        for p in body.data_points:
            key = metric.name, pairs(list(p.attributes))
            assert key not in got
            got[key] = (p.as_double, p.time_unix_nano, p.start_time_unix_nano)
    asked = {(p.metric.name, frozenset(p.attributes.items())): (p.value, p.time_ns, p.start_ns) for p in everything()}
    assert got == asked


def test_kind_temporality_resource_and_scope(target: tuple[Target, str]) -> None:
    servicer, endpoint = target
    exporter = OtlpExporter(config(endpoint), everything, "one")
    exporter.push()
    exporter.stop()
    for metric in servicer.metrics():
        asked = next(m for m in semconv.METRICS if m.name == metric.name)
        assert (metric.unit, metric.description) == (asked.unit, asked.description)
        assert metric.HasField("sum") == (asked.instrument == "counter")
        if metric.HasField("sum"):
            assert metric.sum.is_monotonic
            assert metric.sum.aggregation_temporality == pb.AGGREGATION_TEMPORALITY_CUMULATIVE
    (found,) = servicer.requests[0].resource_metrics
    assert pairs(list(found.resource.attributes)) == {("service.name", "calidris"), ("service.instance.id", "one")}
    assert found.scope_metrics[0].schema_url == semconv.SCHEMA_URL
    assert servicer.metadata[0]["x-key"] == "secret"


def test_many_points_leave_in_several_requests(target: tuple[Target, str], monkeypatch: pytest.MonkeyPatch) -> None:
    servicer, endpoint = target
    monkeypatch.setattr("calidris.export.otlp.POINTS_PER_REQUEST", 50)
    exporter = OtlpExporter(config(endpoint), everything)
    assert exporter.push()
    exporter.stop()
    sizes = [
        sum(
            len(m.gauge.data_points) + len(m.sum.data_points)
            for rm in r.resource_metrics
            for sm in rm.scope_metrics
            for m in sm.metrics
        )
        for r in servicer.requests
    ]
    assert sum(sizes) == len(everything()) and max(sizes) <= 50


def test_thread_pushes_every_interval_and_once_more_at_the_end(target: tuple[Target, str]) -> None:
    servicer, endpoint = target
    calls = 0

    def source() -> Points:
        nonlocal calls
        calls += 1
        return (Point(semconv.METRIC_ML_WINDOW_ROWS, {}, float(calls), calls),)

    before = threading.active_count()
    exporter = OtlpExporter(config(endpoint, "50ms"), source)
    exporter.start()
    deadline = time.monotonic() + 20
    while len(servicer.requests) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    exporter.stop()
    exporter.stop()
    values = [m.gauge.data_points[0].as_double for m in servicer.metrics()]
    assert len(values) >= 4 and values == sorted(values) and values[-1] == calls
    assert not [t for t in threading.enumerate() if t.name == "calidris-otlp"]
    assert threading.active_count() <= before + 2  # the target's own workers


def test_dead_target_is_counted_and_the_newest_values_go_when_it_is_back() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    exporter = OtlpExporter(config(f"http://127.0.0.1:{port}", "2s"), everything)
    began = time.monotonic()
    assert not exporter.push() and not exporter.push()
    assert time.monotonic() - began < 10
    assert (exporter.counts.sent, exporter.counts.failed) == (0, 2)
    assert "did not take the push" in (exporter.counts.error or "")
    servicer, server = Target(), grpc.server(ThreadPoolExecutor(2))
    rpc.add_MetricsServiceServicer_to_server(servicer, server)
    assert server.add_insecure_port(f"127.0.0.1:{port}") == port
    server.start()
    deadline = time.monotonic() + 30
    while not exporter.push() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert exporter.counts.error is None and len(servicer.requests) == 1
    exporter.stop()
    server.stop(None).wait()


def test_a_target_that_accepts_and_never_answers_cannot_hold_up_the_end() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        exporter = OtlpExporter(config(f"http://127.0.0.1:{silent.getsockname()[1]}", "1s"), everything)
        exporter.start()
        began = time.monotonic()
        exporter.stop()
        assert time.monotonic() - began < 12
    assert not [t for t in threading.enumerate() if t.name == "calidris-otlp"]


def test_a_source_that_fails_is_counted_and_survived(target: tuple[Target, str]) -> None:
    def broken() -> Points:
        raise RuntimeError("no snapshot yet")

    exporter = OtlpExporter(config(target[1]), broken)
    assert not exporter.push()
    assert exporter.counts.error == "RuntimeError: no snapshot yet"
    exporter.stop()


def translated(metric: semconv.Metric) -> str:
    """OpenTelemetry's rules (compatibility/prometheus_and_openmetrics.md), default strategy, written anew from the text."""
    tokens = [t for t in re.split(r"[^a-zA-Z0-9]+", metric.name) if t]
    words = {"s": "seconds", "By": "bytes", "%": "percent", "1": "ratio" if metric.instrument == "gauge" else ""}
    unit = words.get(metric.unit, "" if metric.unit.startswith("{") else metric.unit)
    if unit and unit not in tokens:
        tokens.append(unit)
    if metric.instrument == "counter":
        tokens = [t for t in tokens if t != "total"] + ["total"]
    return "_".join(tokens)


@pytest.mark.parametrize("metric", semconv.METRICS, ids=lambda m: m.name)
def test_otlp_names_translate_to_the_scraped_ones(metric: semconv.Metric) -> None:
    assert translated(metric) == metric.prometheus
