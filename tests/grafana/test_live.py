"""The whole way, for real: OTLP -> `calidris serve` -> Prometheus -> every query of every panel, variable and alert.

Nothing is exempt. Alerts are asked for their value (``Alert.expr``, without the threshold), which must be there whether or
not they fire; and one state is made to happen: rows drift, the detector raises its alarm, and Prometheus fires ModelDrift.
"""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub

from calidris.config import CalidrisConfig, load

pytestmark = pytest.mark.e2e

ROWS = 100
"""Rows of one request; four requests a second."""

BASELINE_ROWS = 50
"""Rows of the baseline in each second."""

CONFIG = """
receiver: {grpc: {endpoint: "127.0.0.1:0"}, http: null, lateness: 1s}
storage: {path: ./data, checkpoint_interval: 1s}
export: {prometheus: {endpoint: "127.0.0.1:0"}}
api: {endpoint: "127.0.0.1:0"}
models:
  - name: credit
    baseline: baselines/credit-{version}.calidris
    # The default windows too: rules for models that nobody configured ask for them.
    windows: [1s, 5s, 5m, 1h, 1d]
    detect: {windows: [1s, 5s], false_alarms: 1 per hour, label_age: 1h}
    slices: [country]
    fairness: {attribute: sex}
    schema: {features: {age: {type: integer, min: 18, max: 80}}}
    slo: {latency: {objective: 0.99, under: 200ms}, errors: {objective: 0.999}}
  - name: animals
    task: multiclass
    windows: [1s, 5s, 5m, 1h, 1d]
    detect: {windows: [1s, 5s], false_alarms: 1 per hour}
"""


class Rows:
    """Rows of a model whose scores are right: an outcome is 1 with just the probability that the score says."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._made = 0

    def make(self, n: int, shift: float = 0.0, older: int = 0) -> dict[str, list[Any]]:
        """Columns of n rows; a shift moves one feature by so many standard deviations, and people may be so many years older."""
        rng = self._random
        income = [rng.gauss(shift, 1.0) for _ in range(n)]
        score = [min(max(0.5 + 0.2 * x + rng.gauss(0, 0.1), 0.01), 0.99) for x in income]
        self._made += n
        return {
            "income": income,
            "age": [float(older + rng.randint(18, 80)) for _ in range(n)],
            "country": [rng.choice(["NL", "BE"]) for _ in range(n)],
            "sex": [rng.choice(["f", "m"]) for _ in range(n)],
            "score": score,
            "label": [int(rng.random() < p) for p in score],
            "duration": [rng.lognormvariate(-5, 0.5) for _ in range(n)],
            "id": [f"r{self._made - n + i}" for i in range(n)],
        }


class Sender:
    """Sends model spans and feedback spans as any language can: attributes that are JSON strings, over gRPC."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address)
        self._stub = TraceServiceStub(self._channel)

    def close(self) -> None:
        self._channel.close()

    def predictions(self, rows: dict[str, list[Any]], at_s: float | None = None) -> ExportTraceServiceRequest:
        """Send rows; returns the request, for sending it again."""
        features = {name: rows[name] for name in ("income", "age")}
        attributes = {
            "ml.model.name": "credit",
            "ml.model.version": "7",
            "ml.model.task": "binary",
            "ml.prediction.count": len(rows["id"]),
            "ml.prediction.id": json.dumps(rows["id"]),
            "ml.features": json.dumps(features),
            "ml.slices": json.dumps({name: rows[name] for name in ("country", "sex")}),
            "ml.prediction.score": json.dumps(rows["score"]),
            "ml.prediction.duration": json.dumps(rows["duration"]),
        }
        return self.send("predict credit", attributes, at_s)

    def labels(self, rows: dict[str, list[Any]], at_s: float | None = None, name: str = "credit") -> None:
        """Send the outcomes of rows, known at some time."""
        attributes = {
            "ml.model.name": name,
            "ml.model.version": "7",
            "ml.prediction.count": len(rows["id"]),
            "ml.prediction.id": json.dumps(rows["id"]),
            "ml.label": json.dumps(rows["label"]),
            "ml.label.time": json.dumps([int((at_s or time.time()) * 1e9)] * len(rows["id"])),
        }
        self.send(f"feedback {name}", attributes)

    def animals(self, rows: dict[str, list[Any]]) -> None:
        """Send decisions between several classes, and what they should have been."""
        decided = [("cat", "dog", "owl")[int(p * 3)] for p in rows["score"]]
        attributes = {
            "ml.model.name": "animals",
            "ml.model.version": "7",
            "ml.model.task": "multiclass",
            "ml.prediction.count": len(rows["id"]),
            "ml.prediction.id": json.dumps(rows["id"]),
            "ml.prediction.class": json.dumps(decided),
            "ml.prediction.score": json.dumps(rows["score"]),
        }
        self.send("predict animals", attributes)
        self.labels({**rows, "label": decided}, name="animals")

    def send(self, name: str, attributes: dict[str, Any], at_s: float | None = None) -> ExportTraceServiceRequest:
        start_ns = int((at_s or time.time()) * 1e9)
        request = ExportTraceServiceRequest()
        span = (
            request.resource_spans.add()
            .scope_spans.add()
            .spans.add(
                name=name,
                trace_id=os.urandom(16),
                span_id=os.urandom(8),
                start_time_unix_nano=start_ns,
                end_time_unix_nano=start_ns + 1000,
            )
        )
        for key, value in attributes.items():
            kind = {"int_value": value} if isinstance(value, int) else {"string_value": value}
            span.attributes.add(key=key).value.MergeFrom(type(span.attributes[0].value)(**kind))
        self.again(request)
        return request

    def again(self, request: ExportTraceServiceRequest) -> None:
        """Send a request as it is."""
        self._stub.Export(request, timeout=10)


class Feeder(threading.Thread):
    """Sends rows and their labels until told to stop; ``shift`` and ``older`` move them from then on."""

    def __init__(self, sender: Sender) -> None:
        super().__init__(name="feeder", daemon=True)
        self._sender, self._rows, self._ended = sender, Rows(seed=2), threading.Event()
        self._animals = Rows(seed=4)
        self.shift, self.older = 0.0, 0
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self._an_hour_ago()
            while not self._ended.wait(0.25):
                rows = self._rows.make(ROWS, self.shift, self.older)
                self._sender.predictions(rows)
                self._sender.labels(rows)
                self._sender.animals(self._animals.make(ROWS))
        except Exception as error:
            self.error = error

    def _an_hour_ago(self) -> None:
        """Rows that come of age while the tests run: a row a second and more, from a minute more than an hour ago.

        And some two hours older: delays of labels are told of whole hours that are old enough.
        """
        past, begin = Rows(seed=5), time.time() - 3660
        for second in (-7200, *range(360)):
            rows = past.make(ROWS)
            rows["id"] = [f"past{name}" for name in rows["id"]]
            self._sender.predictions(rows, begin + second)
            self._sender.labels(rows, begin + second + 1)

    def stop(self) -> None:
        self._ended.set()
        self.join(10)
        if self.error is not None:
            raise self.error


def run_calidris(folder: Path, *arguments: str) -> str:
    """Run a command as a user does."""
    command = [sys.executable, "-m", "calidris.cli", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build_baseline(folder: Path) -> None:
    """Rows of 200 seconds, as `calidris baseline build` takes them: 30 windows of 5 s and more have a known spread."""
    made, start = Rows(seed=1), 1_700_000_000
    with (folder / "train.csv").open("w", newline="") as out:
        table = csv.writer(out)
        table.writerow(["ts", "income", "age", "country", "sex", "score", "label"])
        for second in range(200):
            rows = made.make(BASELINE_ROWS)
            columns = [rows[name] for name in ("income", "age", "country", "sex", "score", "label")]
            table.writerows((start + second + i / BASELINE_ROWS, *row) for i, row in enumerate(zip(*columns)))
    (folder / "baselines").mkdir()
    run_calidris(
        folder,
        *("baseline", "build", "-c", "calidris.yaml", "--model", "credit", "--data", "train.csv", "--time", "ts"),
        *("-o", "baselines/credit-7.calidris"),
    )


class Served:
    """A running `calidris serve`, with its endpoints as it printed them."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.folder, self.process = folder, process
        self.endpoints: dict[str, str] = {}

    def read_endpoints(self) -> None:
        """Read the lines ``<what> listening on <where>`` until the last one, which is the API's."""
        assert self.process.stdout is not None
        while "api" not in self.endpoints:
            line = self.process.stdout.readline()
            assert line, f"serve ended: {(self.folder / 'serve.log').read_text()}"
            what, listening, where = line.strip().partition(" listening on ")
            if listening:
                self.endpoints[what] = where


def start_serving(folder: Path, stack: ExitStack) -> Served:
    log = stack.enter_context((folder / "serve.log").open("w"))
    command = [sys.executable, "-m", "calidris.cli", "serve", "-c", str(folder / "calidris.yaml")]
    process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder))
    stack.callback(process.kill)
    watchdog = threading.Timer(60, process.kill)
    watchdog.start()
    served = Served(folder, process)
    try:
        served.read_endpoints()
    finally:
        watchdog.cancel()
    return served


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("live")
    (folder / "calidris.yaml").write_text(CONFIG, encoding="utf-8")
    build_baseline(folder)
    return folder


@pytest.fixture(scope="module")
def config(folder: Path) -> CalidrisConfig:
    return load(folder / "calidris.yaml")


@pytest.fixture(scope="module")
def asked(ask: Any, config: CalidrisConfig) -> Any:
    return ask.questions(config, "5s")


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[Served]:
    with ExitStack() as stack:
        yield start_serving(folder, stack)


@pytest.fixture(scope="module")
def feeder(served: Served) -> Iterator[Feeder]:
    sender = Sender(served.endpoints["otlp/grpc"])
    feeder = Feeder(sender)
    feeder.start()
    yield feeder
    feeder.stop()
    sender.close()


@pytest.fixture(scope="module")
def prometheus(folder: Path, served: Served, feeder: Feeder, start_prometheus: Any, asked: Any) -> Any:
    """Prometheus with our rules, scraping the receiver, once the first windows were scored."""
    run_calidris(folder, "render", "-c", "calidris.yaml", "--out", "rendered")
    for path, text in asked.rule_files:
        assert (folder / "rendered" / path).read_text(encoding="utf-8") == text
    target = served.endpoints["prometheus"].removeprefix("http://").removesuffix("/metrics")
    running = start_prometheus(
        folder,
        {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(folder / "rendered" / "prometheus" / "*.rules.yml")],
            "scrape_configs": [{"job_name": "calidris", "static_configs": [{"targets": [target]}]}],
        },
    )
    running.until('up{job="calidris"} == 1')
    running.until('ml_detection_evidence{ml_feature_name="income",ml_window="5s"}', 40)
    running.until('ml_model_slo:burn_rate:ratio{ml_slo_window="3d"}')
    running.until("changes(ml_received_labels_total[1m]) > 3")
    running.until('ml_performance_residual{ml_window="5s"}', 40)
    running.until('ml_performance_score{ml_prediction_class!="",ml_window="5s"}', 40)
    return running


WHILE_ALARMED = ("/How long ago it began", "/New while an alarm stands")
"""Panels of alarms that stand, and of what else changes meanwhile."""


def test_every_panel_has_series(prometheus: Any, ask: Any, asked: Any) -> None:
    # A trend takes five days, and others an alarm: they are asked for once one stands.
    patient = [a for a in asked.panels if not any(name in a.where for name in ("/Trend over", *WHILE_ALARMED))]
    assert len(asked.panels) - len(patient) == 8 and not ask.unanswered(prometheus, tuple(patient))


def test_every_alert_has_a_value(prometheus: Any, ask: Any, asked: Any) -> None:
    assert not ask.unanswered(prometheus, asked.alerts)


def test_every_variable_offers_values(prometheus: Any, ask: Any, asked: Any) -> None:
    offered = {where.rpartition("$")[2]: ask.variable_values(prometheus, query) for where, query in asked.variables}
    assert offered["model"] == ["animals", "credit"] and offered["version"] == ["7"]
    assert {"1s", "5s", "5m", "1h", "1d"} <= set(offered["window"])
    assert {"income", "age"} <= set(offered["feature"]) and offered["measure"]


def test_all_is_well_and_nothing_fires(prometheus: Any) -> None:
    assert prometheus.query('ml_monitoring_status{ml_monitoring_state=~"ok|partial"} == 1')
    assert not prometheus.query('ALERTS{alertstate="firing"}')
    assert all(value < 1 for value in prometheus.values("ml_detection_evidence"))
    assert prometheus.query('ml_performance_score{ml_label_maturity="fixed_age",ml_performance_measure="accuracy"}')


def test_losses_are_told_by_reason(prometheus: Any, feeder: Feeder, served: Served) -> None:
    """A span that cannot be, a request sent twice and a row from yesterday: each shows where it belongs."""
    sender, rows = Sender(served.endpoints["otlp/grpc"]), Rows(seed=3).make(5)
    try:
        sender.predictions({**rows, "score": [7.0] * 5})
        sender.again(sender.predictions({**rows, "id": [f"again{i}" for i in range(5)]}))
        sender.predictions({**rows, "id": [f"late{i}" for i in range(5)]}, at_s=time.time() - 60)
    finally:
        sender.close()
    prometheus.until('calidris_receiver_spans_rejected_total{calidris_reason="score_out_of_range"} > 0')
    prometheus.until("calidris_receiver_requests_duplicate_total > 0")
    prometheus.until("calidris_receiver_rows_late_total > 0")


def test_drift_raises_the_alarm_and_prometheus_fires_the_ticket(
    prometheus: Any, feeder: Feeder, ask: Any, asked: Any
) -> None:
    feeder.shift = 1.5
    prometheus.until("ml_detection_alarm == 1", 60)
    prometheus.until('ALERTS{alertname="ModelDrift",alertstate="firing",severity="ticket"}')
    assert prometheus.values('ml_detection_evidence{ml_feature_name=""} >= 1')
    alerts = prometheus.get("/api/v1/alerts")["alerts"]
    (text, *_) = [a["annotations"]["description"] for a in alerts if a["labels"]["alertname"] == "ModelDrift"]
    assert "credit 7" in text and "Most evidence: " in text and " income" in text, text
    feeder.older = 15
    prometheus.until("ml_detection_alarm_renewed == 1", 60)
    of_alarms = tuple(a for a in asked.panels if any(name in a.where for name in WHILE_ALARMED))
    assert len(of_alarms) == 2 and not ask.unanswered(prometheus, of_alarms)


def test_the_receiver_ends_and_prometheus_tells(prometheus: Any, feeder: Feeder, served: Served) -> None:
    feeder.stop()
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(30) == 0, (served.folder / "serve.log").read_text()
    prometheus.until('1 - max by (instance) (up{job="calidris"}) > 0')
    with pytest.raises(OSError):
        urllib.request.urlopen(served.endpoints["prometheus"], timeout=5)
