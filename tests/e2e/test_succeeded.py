"""Gauges of a version that another one took the place of leave /metrics and the push; counters, status and alarms stay."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as service
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as rpc
from running import CONFIG, Running, rows, until
from tests.engine.conftest import SECOND, baseline
from tests.engine.conftest import rows as drawn

from calidris.baseline import write
from calidris.wire import encode_predictions

pytestmark = pytest.mark.e2e

STAYS = {
    "ml.monitoring.status",
    "ml.received.rows",
    "ml.received.labels",
    "ml.received.late",
    "ml.detection.alarms",
    "ml.detection.alarm",
    "ml.detection.onset",  # of an alarm that stands
}
LIMITS = "limits: {silent_after: 3s}\n"


class Target(rpc.MetricsServiceServicer):
    """Keeps the newest push: name and attributes of each point, to its value."""

    def __init__(self) -> None:
        self.newest: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}

    def Export(
        self, request: service.ExportMetricsServiceRequest, context: grpc.ServicerContext
    ) -> service.ExportMetricsServiceResponse:
        scopes = (s for r in request.resource_metrics for s in r.scope_metrics)
        found = {}
        for metric in (m for scope in scopes for m in scope.metrics):
            for point in (metric.sum if metric.HasField("sum") else metric.gauge).data_points:
                found[metric.name, frozenset((a.key, a.value.string_value) for a in point.attributes)] = point.as_double
        self.newest = found
        return service.ExportMetricsServiceResponse()


@pytest.fixture
def target() -> Iterator[tuple[Target, int]]:
    servicer, server = Target(), grpc.server(ThreadPoolExecutor(2))
    rpc.add_MetricsServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, port
    server.stop(None).wait()


@pytest.fixture
def watching(make_receiver: Callable[..., Running], target: tuple[Target, int], tmp_path: Path) -> Running:
    """A receiver that scores windows of a second, pushes thrice a second, and takes three seconds for silence."""
    write(baseline(), tmp_path / "credit.calidris")
    otlp = f'otlp: {{endpoint: "http://127.0.0.1:{target[1]}", interval: 300ms}}'
    model = 'models: [{name: credit, baseline: credit.calidris, windows: [1s], detect: {windows: [1s], false_alarms: "1 per day"}}]\n'
    return make_receiver(CONFIG.replace("export: {", f"export: {{{otlp}, ") + LIMITS + model)


def send(receiver: Running, version: str, seed: int, shift: float = 0.0) -> None:
    now = time.time_ns() // SECOND * SECOND - SECOND
    batch = drawn(seed, 200, start_ns=now, shift=shift)
    batch = drawn(seed, 200, start_ns=now, shift=shift, key=batch.model._replace(version=version))
    receiver.export(encode_predictions(batch, form="packed", one_span_per_row=False))


def scraped(receiver: Running, version: str) -> set[str]:
    """Names of the series of a version on /metrics."""
    return {name for name, labels in receiver.metrics() if ("ml_model_version", version) in labels}


def pushed(servicer: Target, version: str) -> set[str]:
    return {name for name, about in servicer.newest if ("ml.model.version", version) in about}


def test_the_old_versions_gauges_leave_once_a_new_one_is_live(watching: Running, target: tuple[Target, int]) -> None:
    receiver, (servicer, _) = watching.start(), target
    seeds = iter(range(3, 1000))
    send(receiver, "7", next(seeds), shift=15.0)
    until(lambda: [a["latched"] for a in receiver.get("/v1/alarms")])
    before = scraped(receiver, "7")
    assert {"ml_drift_score", "ml_window_rows", "ml_detection_evidence"} <= before

    time.sleep(5)  # silent for longer than silent_after, and nobody took its place
    assert scraped(receiver, "7") >= before - {"ml_detection_evidence"}
    send(receiver, "8", next(seeds))
    until(lambda: scraped(receiver, "8"))

    def left() -> bool:
        send(receiver, "8", next(seeds))
        return "ml_drift_score" not in scraped(receiver, "7") and "ml.drift.score" not in pushed(servicer, "7")

    until(left)
    assert pushed(servicer, "7") <= STAYS | {"ml.slo.events"}
    assert {"ml.monitoring.status", "ml.received.rows", "ml.detection.alarm"} <= pushed(servicer, "7")
    assert "ml.window.rows" in pushed(servicer, "8") and "ml_window_rows" in scraped(receiver, "8")
    alarms = {
        k: v
        for k, v in receiver.metrics().items()
        if k[0] == "ml_detection_alarm" and ("ml_model_version", "7") in k[1]
    }
    assert alarms and set(alarms.values()) == {1.0}
    assert {m["version"] for m in receiver.status()["models"]} == {"7", "8"}

    send(receiver, "7", next(seeds))  # back again: so are its figures
    until(lambda: "ml_drift_score" in scraped(receiver, "7"))


def test_a_model_that_is_silent_as_a_whole_keeps_its_figures(watching: Running) -> None:
    receiver = watching.start()
    send(receiver, "7", 3)
    until(lambda: "ml_drift_score" in scraped(receiver, "7"))
    receiver.export(encode_predictions(rows(20, seed=4, name="other"), form="packed", one_span_per_row=False))
    time.sleep(6)
    assert "ml_drift_score" in scraped(receiver, "7")
