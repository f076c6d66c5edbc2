"""More series than the SDK's instruments take (2000 of a name, without a word): all of them reach who asks for them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as rpc

from calidris import semconv
from calidris.batch import ModelKey
from calidris.config import ExportConfig, OtlpConfig
from calidris.engine.snapshot import ModelSnapshot, Snapshot
from calidris.export import OtlpExporter, Points, PrometheusExporter, points
from calidris.metrics import Reading
from calidris.metrics.base import Status

SERIES = 5000
ASKED = {f"f{i}" for i in range(SERIES)}


def many() -> Points:
    """One name, 5000 features."""
    pairs = [((semconv.ML_DRIFT_MEASURE, "psi"), (semconv.ML_FEATURE_NAME, f"f{i}")) for i in range(SERIES)]
    readings = tuple(
        Reading(semconv.METRIC_ML_DRIFT_SCORE, pair, i / SERIES, 100, None, None, "1h", "b", Status.OK)
        for i, pair in enumerate(pairs)
    )
    key = ModelKey("default", "wide", "1")
    model = ModelSnapshot(key, "binary", Status.OK, "", "b", None, None, 1, 0, 0, readings, (), (), {})
    return points(Snapshot(time.time_ns(), (model,)), ExportConfig(series="full", max_series_per_model=10 * SERIES))


class Target(rpc.MetricsServiceServicer):
    """An OTLP receiver with the limit on messages that a Collector has by default."""

    def __init__(self) -> None:
        self.features: list[str] = []
        self.sizes: list[int] = []

    def Export(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.sizes.append(request.ByteSize())
        found = [m for r in request.resource_metrics for s in r.scope_metrics for m in s.metrics]
        drift = [p for m in found if m.name == semconv.METRIC_ML_DRIFT_SCORE.name for p in m.gauge.data_points]
        pairs = ({a.key: a.value.string_value for a in p.attributes} for p in drift)
        self.features += [pair[semconv.ML_FEATURE_NAME] for pair in pairs]
        return service.ExportMetricsServiceResponse()


@pytest.fixture
def target() -> Iterator[tuple[Target, str]]:
    servicer, server = (
        Target(),
        grpc.server(ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", 4 << 20)]),
    )
    rpc.add_MetricsServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, f"http://127.0.0.1:{port}"
    server.stop(None).wait()


def test_all_series_reach_an_otlp_receiver(target: tuple[Target, str]) -> None:
    servicer, endpoint = target
    exporter = OtlpExporter(OtlpConfig.model_validate({"endpoint": endpoint, "interval": "1h"}), many)
    assert exporter.push()
    exporter.stop()
    assert len(servicer.features) == SERIES and set(servicer.features) == ASKED
    assert max(servicer.sizes) < 4 << 20 and len(servicer.sizes) > 1


@pytest.mark.e2e
def test_all_series_reach_the_real_prometheus(tmp_path: Path, start_prometheus: Any) -> None:
    exporter = PrometheusExporter("127.0.0.1:0", many)
    exporter.start()
    try:
        scrape = {"job_name": "calidris", "static_configs": [{"targets": [f"127.0.0.1:{exporter.port}"]}]}
        running = start_prometheus(
            tmp_path, {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": [scrape]}
        )
        running.until('up{job="calidris"} == 1')
        running.until("count(ml_drift_score)")
        assert running.values("count(ml_drift_score)") == [float(SERIES)]
        assert running.values("max(ml_drift_score)") == [(SERIES - 1) / SERIES]
    finally:
        exporter.stop()
