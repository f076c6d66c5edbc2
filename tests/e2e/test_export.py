"""Metrics pushed by a real receiver to a real gRPC target, up to the last row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as rpc
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from running import CONFIG, Running, rows, until

from calidris.wire import encode_predictions

pytestmark = pytest.mark.e2e


class Target(rpc.MetricsServiceServicer):
    """Keeps the metrics of the newest push."""

    def __init__(self) -> None:
        self.newest: dict[str, Metric] = {}

    def Export(
        self, request: service.ExportMetricsServiceRequest, context: grpc.ServicerContext
    ) -> service.ExportMetricsServiceResponse:
        scopes = (s for r in request.resource_metrics for s in r.scope_metrics)
        self.newest = {m.name: m for scope in scopes for m in scope.metrics}
        return service.ExportMetricsServiceResponse()

    def rows(self) -> float:
        metric = self.newest.get("ml.received.rows", Metric())
        return sum(point.as_double for point in metric.sum.data_points)


@pytest.fixture
def target() -> Iterator[tuple[Target, int]]:
    servicer, server = Target(), grpc.server(ThreadPoolExecutor(2))
    rpc.add_MetricsServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, port
    server.stop(None).wait()


def test_a_target_gets_every_push_and_a_last_one(
    make_receiver: Callable[..., Running], target: tuple[Target, int]
) -> None:
    servicer, port = target
    otlp = f'otlp: {{endpoint: "http://127.0.0.1:{port}", interval: 300ms}}'
    receiver = make_receiver(CONFIG.replace("export: {", f"export: {{{otlp}, ")).start()
    assert receiver.said(r"metrics pushed to (\S+)") == f"http://127.0.0.1:{port}"
    receiver.export(encode_predictions(rows(100, seed=1), form="packed", one_span_per_row=False))
    until(lambda: servicer.rows() == 100)
    assert servicer.newest["ml.window.rows"].gauge.data_points
    assert servicer.newest["calidris.receiver.requests"].sum.is_monotonic
    receiver.export(encode_predictions(rows(50, seed=2), form="packed", one_span_per_row=False))
    assert receiver.terminate() == 0
    assert servicer.rows() == 150, "what came just before the end is in the last push"
