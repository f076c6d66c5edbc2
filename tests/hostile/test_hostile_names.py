"""Names that try to break out: through the wire to every place that shows them, whole where it is data, escaped where it is text."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from calidris import semconv
from calidris.api.json_shapes import alarms_json, status_json
from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import CodedColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.cli import alarms
from calidris.cli.status import status
from calidris.config import CalidrisConfig, ExportConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.core import Engine
from calidris.engine.inbox import Received
from calidris.engine.snapshot import Snapshot
from calidris.export import PrometheusExporter, points
from calidris.export.otlp import metrics_data
from calidris.export.prometheus import labels as prometheus_labels
from calidris.receive.intake import digest_of
from calidris.report import render
from calidris.state import Spec
from calidris.wire import decode, encode_predictions

SECOND = 1_000_000_000
START = 1_800_000_000 * SECOND
HOSTILE = (
    "\x1b[31mred\x1b[2J\x07\x08",
    "nul\x00nul",
    "line\nbreak\r\nand\u2028others\u0085too\x0b\x0c",
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>&amp;<!--]]>",
    'x"} 1\nml_injected_total{a="b"} 5\n# HELP ml_injected',
    "back\\slash\\n\\",
    "\u202etxt.exe\u2066\u200f\ufeff",
    "[bold red]rich[/] :skull: [link=http://x]y[/link]",
    "{{7*7}}{% raw %}${7*7}#{7}",
    "../../etc/passwd%2f..%00",
    "=cmd|' /C calc'!A0",
    " ",
    "é\u0301中𝕏",
    "𝕏" * 1024,
)


@dataclass
class Telling:
    """A receiver's read API, without a receiver: what the commands ask."""

    taken: Snapshot

    def get(self, path: str) -> Telling:
        self.path = path
        return self

    def json(self) -> Any:
        if self.path == "/v1/alarms":
            return orjson.loads(orjson.dumps(alarms_json(self.taken)))
        return orjson.loads(orjson.dumps(status_json(self.taken, ready=True, health={})))


def batch(key: ModelKey, name: str, n: int = 40, at_ns: int = START) -> PredictionBatch:
    """Rows in which everything that can be named has this name."""
    return PredictionBatch(
        key,
        np.full(n, at_ns),
        {name: NumberColumn.of(np.arange(float(n))), "text": CodedColumn.of([name] * n)},
        ids=[f"{name[:900]}{i}" for i in range(n)],
        score=NumberColumn.of(np.full(n, 0.5)),
        decision=CodedColumn.of([name] * n),
        error=CodedColumn.of([name] * n),
        slices={name: CodedColumn.of([name] * n)},
    )


def applied(engine: Engine, raws: list[bytes], arrival_ns: int = START) -> None:
    for raw in raws:
        decoded = decode(raw, tenant="default", arrival_ns=arrival_ns)
        assert not decoded.rejected, decoded.message
        seq = engine.sequence + 1
        engine.apply(Received(seq, arrival_ns, "default", digest_of(raw), 0, decoded, None, lambda: None))


@pytest.fixture(scope="module")
def shown() -> Snapshot:
    """One model for each name, as the wire brought it: packed, as maps and as JSON."""
    engine = Engine(CalidrisConfig(), lambda *_: (None, ""))
    for i, name in enumerate(HOSTILE):
        form = ("packed", "map", "json")[i % 3]
        key = ModelKey("default", name, name)
        applied(engine, [encode_predictions(batch(key, name), form=form, one_span_per_row=form == "json")])  # type: ignore[arg-type]
    engine.seal(START + 300 * SECOND)
    taken = snapshot(engine, START + 300 * SECOND)
    assert {model.key.name for model in taken.models} == set(HOSTILE)
    return taken


def console() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=4000, force_terminal=True, color_system=None), out


def of_text(out: io.StringIO) -> list[str]:
    """Its lines, each of which a terminal shows as it is."""
    lines = out.getvalue().split("\n")
    for line in lines:
        assert line.isprintable(), repr(line)
    return [line for line in lines if line.strip()]


def test_status_is_one_printable_line_a_model(shown: Snapshot) -> None:
    terminal, out = console()
    status(Telling(shown), terminal, watch=False, as_json=False, every_s=1)  # type: ignore[arg-type]
    lines = of_text(out)
    assert len(lines) == 2 + len(HOSTILE), "state, heads of the columns, models"
    assert any("[bold red]rich[/] :skull:" in line for line in lines), "markup was obeyed"


def test_what_prometheus_scrapes_has_the_names_and_nothing_else(shown: Snapshot) -> None:
    found = points(shown, ExportConfig(series="full"))
    text = PrometheusExporter("127.0.0.1:0", lambda: found).exposition().decode()
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    assert {s.labels.get("ml_model_name") for s in samples} == {*HOSTILE, None}
    wanted = sorted((p.metric.prometheus, *sorted(prometheus_labels(p.attributes).items())) for p in found)
    assert sorted((s.name, *sorted(s.labels.items())) for s in samples) == wanted
    known = {m.prometheus for m in semconv.METRICS}
    lines = [line for line in text.split("\n") if line and not line.startswith("#")]
    assert len(lines) == len(found) and {re.split(r"[{ ]", line)[0] for line in lines} <= known
    tool = shutil.which("promtool", path=Path(__file__).parents[2] / ".tools" / "prometheus") or shutil.which(
        "promtool"
    )
    assert tool is not None, "make setup fetches promtool"
    done = subprocess.run([tool, "check", "metrics"], input=text.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_what_otlp_carries_has_the_names_whole(shown: Snapshot) -> None:
    sent = encode_metrics(metrics_data(points(shown, ExportConfig(series="full")), "here"))
    again = ExportMetricsServiceRequest.FromString(sent.SerializeToString())
    names = {
        pair.value.string_value
        for resource in again.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in (*metric.gauge.data_points, *metric.sum.data_points)
        for pair in point.attributes
        if pair.key == semconv.ML_MODEL_NAME
    }
    assert names == set(HOSTILE)


class Tags(HTMLParser):
    """The elements of a page, and their attributes' names, in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, ...]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, *(name for name, _ in attrs)))


def test_a_report_has_the_elements_of_an_ordinary_one(shown: Snapshot) -> None:
    engine = Engine(CalidrisConfig(), lambda *_: (None, ""))
    key = ModelKey("default", "plain", "plain")
    applied(engine, [encode_predictions(batch(key, "plain"), form="packed", one_span_per_row=False)])
    engine.seal(START + 300 * SECOND)
    ordinary = Tags(render(snapshot(engine, START), key, title="plain", generated_ns=START)).found
    for name in HOSTILE:
        page = render(shown, ModelKey("default", name, name), title=name, generated_ns=START)
        assert Tags(page).found == ordinary, repr(name)
        assert "<script>alert" not in page and "<img" not in page
        assert all(c.isprintable() or c == "\n" for c in page), repr(name)


def test_the_read_api_gives_the_names_back(shown: Snapshot) -> None:
    told = json.loads(orjson.dumps(status_json(shown, ready=True, health={})))
    assert {model["name"] for model in told["models"]} == set(HOSTILE)


def drifting(shift: float, seed: int, at_ns: int) -> PredictionBatch:
    """Rows whose features have these names, all but the longest."""
    rng = np.random.default_rng(seed)
    return PredictionBatch(
        ModelKey("default", "credit", "7\x1b[31m"),
        np.full(200, at_ns),
        {name: NumberColumn.of(rng.normal(shift, 1.0, 200)) for name in HOSTILE},
        trace_ids=CodedColumn.of(["<b>\n\x1b"] * 200),
    )


@pytest.fixture(scope="module")
def alarmed() -> Snapshot:
    """A model whose features drift all at once, with names that try to break out."""
    parts = [drifting(0.0, seed, START) for seed in range(40)]
    reference = PredictionBatch(
        parts[0].model,
        START + np.arange(8000) * SECOND // 100,
        {
            name: NumberColumn.of(np.concatenate([part.features[name].values for part in parts]))  # type: ignore[union-attr]
            for name in HOSTILE
        },
    )
    base: Baseline = build(BaselineColumns(reference, None, True), Spec(task="binary", positive="1"), window_s=1.0)
    model = {"name": "credit", "windows": ["1s"], "detect": {"windows": ["1s"], "false_alarms": "1 per hour"}}
    engine = Engine(CalidrisConfig.model_validate({"models": [model]}), lambda *_: (base, ""))
    for second in range(30):
        at = START + second * SECOND
        raw = encode_predictions(drifting(2.0, 100 + second, at), form="packed", one_span_per_row=False)
        applied(engine, [raw], arrival_ns=at)
        engine.seal(at + SECOND)
        if engine.alarms:
            break
    return snapshot(engine, START)


def test_alarms_are_one_printable_line_each(alarmed: Snapshot) -> None:
    assert alarmed.alarms and alarmed.alarms[0].features
    terminal, out = console()
    status(Telling(alarmed), terminal, watch=False, as_json=False, every_s=1)  # type: ignore[arg-type]
    # The model, its alarm, and the detectors of it that wait.
    assert sum("credit" in line for line in of_text(out)) == 3
    terminal, out = console()
    alarms.show(Telling(alarmed), True, terminal)  # type: ignore[arg-type]
    assert len(of_text(out)) == 2
    page = render(alarmed, alarmed.models[0].key, title="credit", generated_ns=START)
    assert "<script>alert" not in page and "<img" not in page and "\x1b" not in page


def hand_made(old: bytes, new: bytes) -> bytes:
    """A request with other bytes of the same length in the place of a name."""
    assert len(old) == len(new)
    raw = encode_predictions(
        batch(ModelKey("default", "good", "1"), old.decode(), n=1), form="map", one_span_per_row=True
    )
    return raw.replace(old, new)


def rejected(raw: bytes) -> Iterator[str]:
    decoded = decode(raw, tenant="default", arrival_ns=START)
    assert decoded.rows == 0
    assert all(line.isprintable() for line in decoded.message.split("\n"))
    yield from decoded.rejected


@pytest.mark.parametrize("bad", [b"\xed\xa0\x80", b"\xff\xfe\xfd", b"\xc0\x80\x80", b"\xe2\x28\xa1"])
def test_names_that_are_no_utf_8_are_refused(bad: bytes) -> None:
    assert list(rejected(hand_made(b"abc", bad))) == ["wrong_type"]


@pytest.mark.parametrize("length", [1025, 65_536])
def test_names_that_are_too_long_are_refused(length: int) -> None:
    for key in (ModelKey("default", "x" * length, "1"), ModelKey("default", "x", "y" * length)):
        raw = encode_predictions(batch(key, "z"), form="packed", one_span_per_row=False)
        assert list(rejected(raw)) == ["too_long"]
    raw = encode_predictions(batch(ModelKey("default", "x", "1"), "z" * length), form="packed", one_span_per_row=False)
    assert list(rejected(raw)) == ["too_long"]


def test_lone_surrogates_in_json_are_refused() -> None:
    text = r'{"\ud800": 1.0}'
    raw = hand_made(b"abc", b"abc")
    request = encode_predictions(
        batch(ModelKey("default", "good", "1"), "abc", n=1), form="json", one_span_per_row=True
    )
    marked = request.replace(b'{"abc":0.0,"text":"abc"}', text.encode().ljust(len(b'{"abc":0.0,"text":"abc"}')))
    assert marked != request and raw
    assert list(rejected(marked)) == ["bad_json"]
