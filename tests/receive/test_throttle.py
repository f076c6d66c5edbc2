"""When the receiver cannot take more: what senders are told, and that exporters lose nothing by it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from calidris.errors import RetryableError
from calidris.grafana.alerts.backpressure_alerts import WAIT
from calidris.journal.disk import Disk
from calidris.receive.admission import refusal_of
from calidris.receive.grpc import TRACES

Bench = Any
MakeBench = Callable[..., Any]


def test_a_full_queue_is_throttled_in_both_trailers(make_bench: MakeBench) -> None:
    bench = make_bench(max_bytes=100)
    bench.export(bench.request("predict", "predict"))
    error = bench.refused(bench.request("predict", "predict"))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    trailers = dict(error.trailing_metadata())
    retry = error_details_pb2.RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"])
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    packed = error_details_pb2.RetryInfo()
    assert status.code == 14 and status.details[0].Unpack(packed)
    assert packed == retry and 0 < retry.retry_delay.ToTimedelta().total_seconds() <= 3
    assert bench.counts() == {"ok": 1, "throttled": 1}
    bench.taken()[0].release()
    assert bench.export(bench.request("predict")) == b""


def test_a_request_larger_than_the_queue_is_let_in_alone(make_bench: MakeBench) -> None:
    bench = make_bench(max_bytes=10)
    assert bench.export(bench.request("predict")) == b""


def spans(count: int) -> list[Any]:
    tracer = TracerProvider().get_tracer("test")
    made = [tracer.start_span("predict", attributes={"ml.model.name": "credit"}) for _ in range(count)]
    for span in made:
        span.end()
    return made


def test_the_python_exporter_obeys_the_throttle_and_loses_nothing(make_bench: MakeBench) -> None:
    bench = make_bench(max_bytes=50)
    bench.export(bench.request("predict"))
    (first,) = bench.taken()
    threading.Timer(0.5, first.release).start()
    exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{bench.receiver.port}", timeout=10)
    began = time.monotonic()
    assert exporter.export(spans(3)) is SpanExportResult.SUCCESS
    assert 1.7 <= time.monotonic() - began < 5
    exporter.shutdown()
    (second,) = bench.taken()
    assert second.decoded.spans == 3
    assert bench.counts() == {"ok": 2, "throttled": 1}


def test_the_python_exporter_survives_a_full_journal(make_bench: MakeBench) -> None:
    bench = make_bench(journal_bytes=1 << 11)
    filler = bench.request("x" * 1800)
    bench.export(filler)
    threading.Timer(0.3, lambda: bench.journal.truncate(1)).start()
    exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{bench.receiver.port}", timeout=10)
    assert exporter.export(spans(1)) is SpanExportResult.SUCCESS
    exporter.shutdown()
    assert bench.counts() == {"ok": 2, "throttled": 1}
    assert [received.seq for received in bench.taken()] == [1, 2]


def test_a_failed_journal_refuses_everything_and_says_so_to_the_health_check(make_bench: MakeBench) -> None:
    class BrokenDisk(Disk):
        def sync(self, fd: int) -> None:
            raise OSError(5, "Input/output error")

    bench = make_bench(disk=BrokenDisk())
    for _ in range(2):
        error = bench.refused(bench.request("predict"))
        assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert bench.taken() == [] and bench.intake.failed and bench.admission.used_bytes == 0
    check = health_pb2_grpc.HealthStub(bench.channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert check.status == health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_oversize_is_refused_without_retry_info(make_bench: MakeBench, compression: grpc.Compression) -> None:
    """After decompression too, so that a small bomb cannot fill the memory."""
    bench = make_bench(max_message_bytes=10_000, max_bytes=1 << 30)
    raw = bench.request("x" * 20_000)
    with pytest.raises(grpc.RpcError) as caught:
        bench.channel.unary_unary(f"/{TRACES}/Export")(raw, timeout=10, compression=compression)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert not {"google.rpc.retryinfo-bin", "grpc-status-details-bin"} & dict(caught.value.trailing_metadata()).keys()
    assert bench.counts("begun") == {"traces": 1} and bench.counts() == {}
    assert bench.export(bench.request("predict")) == b""


def test_the_alert_on_refusals_hears_of_every_kind_of_them() -> None:
    """Dashboards know names only, so they cannot ask the table themselves."""
    kinds = [RetryableError, *RetryableError.__subclasses__()]
    assert {refusal_of(kind("full", 1.0)).reason for kind in kinds} == set(WAIT)
