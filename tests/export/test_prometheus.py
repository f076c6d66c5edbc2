"""Scraping: what a real client and the real tool make of it, and that it leaves nothing behind."""

from __future__ import annotations

import math
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from snapshots import NOW_NS, new_model, snapshot

from calidris import semconv
from calidris.batch import ModelKey
from calidris.config import ExportConfig
from calidris.engine.snapshot import Snapshot
from calidris.errors import ConfigError
from calidris.export import Points, PrometheusExporter, points
from calidris.export.prometheus import labels

NASTY = 'a"b\\c\nd <script>alert(1)</script> \u00e9\u4e2d {x="1"}'


def everything() -> Points:
    return points(snapshot(), ExportConfig(series="full"))


@pytest.fixture
def served() -> Iterator[PrometheusExporter]:
    exporter = PrometheusExporter("127.0.0.1:0", everything)
    exporter.start()
    yield exporter
    exporter.stop()


def test_a_scrape_gives_back_every_point(served: PrometheusExporter) -> None:
    answer = httpx.get(f"http://127.0.0.1:{served.port}/metrics")
    got = {(s.name, frozenset(s.labels.items())): s.value for f in parse(answer.text) for s in f.samples}
    asked = {(p.metric.prometheus, frozenset(labels(p.attributes).items())): p.value for p in everything()}
    assert got == asked
    assert not any(math.isnan(value) for value in got.values())  # no NaN


def test_types_and_help_are_those_of_the_convention(served: PrometheusExporter) -> None:
    by_name = {m.prometheus: m for m in semconv.METRICS}
    for family in parse(served.exposition().decode()):
        metric = by_name.get(family.name) or by_name[f"{family.name}_total"]
        assert (family.type, family.documentation) == (metric.instrument, metric.description)


def test_openmetrics_is_answered_where_it_is_asked_for(served: PrometheusExporter) -> None:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    answer = httpx.get(f"http://127.0.0.1:{served.port}/metrics", headers=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert sum(len(f.samples) for f in parse_openmetrics(answer.text)) == len(everything())


def test_any_model_name_survives() -> None:
    model = new_model(ModelKey("default", NASTY, NASTY))
    exporter = PrometheusExporter("127.0.0.1:0", lambda: points(Snapshot(NOW_NS, (model,)), ExportConfig()))
    found = {s.labels.get("ml_model_name") for f in parse(exporter.exposition().decode()) for s in f.samples}
    assert found == {NASTY, None}


@pytest.mark.parametrize(
    "made", [everything, lambda: points(Snapshot(NOW_NS, (new_model(ModelKey("t", NASTY, "1")),)), ExportConfig())]
)
def test_promtool_is_content(made: type) -> None:
    tool = shutil.which("promtool") or shutil.which(
        "promtool", path=Path(__file__).parents[2] / ".tools" / "prometheus"
    )
    if tool is None:
        pytest.skip("promtool is not installed")
    text = PrometheusExporter("127.0.0.1:0", made).exposition()
    done = subprocess.run([tool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_port_in_use_names_endpoint_key_and_cure(served: PrometheusExporter) -> None:
    endpoint = f"127.0.0.1:{served.port}"
    with pytest.raises(ConfigError) as caught:
        PrometheusExporter(endpoint, everything).start()
    assert endpoint in str(caught.value) and "set export.prometheus.endpoint to another port" in str(caught.value)
    with pytest.raises(ConfigError, match=r"cannot listen on 203\.0\.113\.1:0"):
        PrometheusExporter("203.0.113.1:0", everything).start()


def test_stop_leaves_no_thread_and_no_socket() -> None:
    before = threading.active_count()
    exporter = PrometheusExporter("127.0.0.1:0", everything)
    exporter.stop()  # not started: nothing to do
    exporter.start()
    port = exporter.port
    assert httpx.get(f"http://127.0.0.1:{port}/metrics").status_code == 200
    exporter.stop()
    assert threading.active_count() == before
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    exporter.start()  # and it can be started again
    exporter.stop()


def test_ipv6_loopback_is_served_where_the_host_has_it() -> None:
    exporter = PrometheusExporter("[::1]:0", everything)
    try:
        exporter.start()
    except ConfigError:
        pytest.skip("this host has no IPv6")
    assert httpx.get(f"http://[::1]:{exporter.port}/metrics").status_code == 200
    exporter.stop()
