"""The read API: stable shapes, honest errors, and nothing left behind."""

from __future__ import annotations

import importlib.util
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest
from tests.engine.readings.test_readings import base_of, draw, fed

from calidris.api import ApiServer, Sources
from calidris.api.json_shapes import status_json
from calidris.baseline.replayed import Replayed
from calidris.batch import CodedColumn, ModelKey, PredictionBatch
from calidris.engine.commands import Command
from calidris.engine.snapshot import SeasonStanding, Snapshot
from calidris.errors import ConfigError, RetryableError

_PLACE = Path(__file__).parents[1] / "report" / "snapshots.py"
_FOUND = importlib.util.spec_from_file_location("snapshots_of_api", _PLACE)
assert _FOUND is not None and _FOUND.loader is not None
build: Any = importlib.util.module_from_spec(_FOUND)
# dataclasses look their module up while the class is made
sys.modules["snapshots_of_api"] = build
_FOUND.loader.exec_module(build)

NASTY = 'a"b\n<script>/%2F é'
READY = threading.Event()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    nasty = build.new_model(ModelKey("default", NASTY, "1/2"))
    acme = build.new_model(ModelKey("acme", "churn", "3"))
    shot: Snapshot = build.snapshot()
    shot = Snapshot(shot.taken_ns, (*shot.models, nasty, acme), shot.alarms, shot.latched, shot.counters, shot.sequence)
    server = ApiServer(
        "127.0.0.1:0",
        Sources(
            lambda: shot,
            READY.is_set,
            lambda: {"calidris.queue.size": 12},
            lambda s, key: f"<p>{key.name} {key.version}</p>",
        ),
    )
    server.start()
    yield f"http://127.0.0.1:{server.port}"
    server.stop()


def test_health_is_at_once_and_readiness_when_told(url: str) -> None:
    READY.clear()
    assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}
    assert httpx.get(f"{url}/readyz").status_code == 503
    READY.set()
    assert httpx.get(f"{url}/readyz").json() == {"status": "ready"}


def test_seasons_are_told_only_where_the_settings_have_such_references() -> None:
    shot: Snapshot = build.snapshot()
    measured = Replayed("drift", "1h", "hour_of_week", 0, 14, 28, 336, 0.2)
    season = SeasonStanding("hour_of_week", "1h", "ready", 168, 168, True, "", measured)
    seasonal = replace(shot, models=tuple(replace(model, seasons=(season,)) for model in shot.models))
    plain = status_json(shot, ready=True, health={})["models"][0]
    told = status_json(seasonal, ready=True, health={})["models"][0]
    assert "seasons" not in plain and set(told) - set(plain) == {"seasons"}
    (found,) = told["seasons"]
    assert list(found) == ["reference", "window", "state", "ready", "hours", "replaces", "lacks", "measured"]
    assert (found["state"], found["replaces"], found["measured"]["windows"]) == ("ready", True, 336)
    assert orjson.loads(orjson.dumps(told["seasons"]))[0]["measured"]["days"] == 14


def test_status_has_its_documented_shape(url: str) -> None:
    answer = httpx.get(f"{url}/v1/status")
    assert answer.headers["content-type"] == "application/json" and "no-store" in answer.headers["cache-control"]
    status = answer.json()
    assert list(status) == ["taken_ns", "sequence", "ready", "models", "alarms", "counters", "health", "receiver"]
    credit = status["models"][0]
    assert list(credit) == [
        *("tenant", "name", "version", "task", "status", "status_detail", "notes", "baseline", "rows", "labels"),
        *("last_event_ns", "late", "moved", "arrival", "role", "weighted", "faults", "owner", "tier"),
        *("latched", "windows", "evidence", "waiting", "history", "days", "slo_events"),
    ]
    assert (credit["name"], credit["version"], credit["status"], credit["latched"]) == ("credit", "7", "ok", [2])
    assert {w["window"]: w["rows"] for w in credit["windows"]} == {"5m": 480, "1h": 5800, "1d": 60000}
    columns = ("window", "start_ns", "end_ns", "rows", "effective_rows", "labels", "status", "late", "unseen", "other")
    assert tuple(credit["windows"][0]) == columns
    whole = next(e for e in credit["evidence"] if e["window"] == "1h" and e["feature"] is None)
    assert whole == {"window": "1h", "kind": "drift", "feature": None, "value": 1.21, "n": 23310, "status": "ok"}
    assert list(credit["history"][0]) == ["window", "end_ns", "rows", "evidence", "top", "alarm"]
    assert None in {point["evidence"] for point in credit["history"]}
    assert credit["slo_events"][0] == {"name": "errors", "outcome": "good", "count": 1284000}
    assert [a["id"] for a in status["alarms"]] == [2]
    assert status["counters"]["calidris.receiver.rows.late"] == {"": 17}
    assert status["health"] == {"calidris.queue.size": 12}


def test_levels_that_are_new_have_names() -> None:
    raw = draw("binary", 12, 300)
    features = {"y": CodedColumn.of(["a"] * 280 + ["new"] * 20)}
    batch = PredictionBatch(
        raw.batch.model, raw.batch.event_time_ns, features, ids=raw.batch.ids, score=raw.batch.score
    )
    model = fed("binary", base_of("binary"), replace(raw, batch=batch))
    status = status_json(Snapshot(1, (model,)), ready=True, health={})
    assert status["models"][0]["windows"][0]["unseen"] == {"y": [{"name": "new", "at_least": 20, "at_most": 20}]}


def test_readings_list_every_figure_with_n_bounds_and_status(url: str) -> None:
    readings = httpx.get(f"{url}/v1/models/credit/7/readings").json()
    assert len(readings) == len(build.credit_model().readings)
    keys = ["metric", "attributes", "value", "n", "lower", "upper", "window", "baseline", "status"]
    assert all(list(r) == keys for r in readings)
    (unknown,) = (r for r in httpx.get(f"{url}/v1/models/churn/unknown/readings").json() if "drift" in r["metric"])
    assert (unknown["value"], unknown["status"], unknown["n"]) == (None, "no_baseline", 31)


def test_alarms_are_newest_last_with_what_since_when_and_examples(url: str) -> None:
    old, new = httpx.get(f"{url}/v1/alarms").json()
    assert (old["latched"], new["latched"]) == (False, True)
    assert list(new) == [
        *("id", "tenant", "name", "version", "kind", "window", "latched", "raised_ns", "since_ns", "windows", "n"),
        *(
            "evidence",
            "features",
            "baseline",
            "budget",
            "budgeted",
            "reference",
            "recovered_ns",
            "silent",
            "level",
            "severity",
            "strong_ns",
            "shared",
            "onset",
            "renews",
            "moved",
            "settings",
            "program",
            "trace_ids",
            "orders",
        ),
    ]
    assert new["features"][0] == {"name": "income", "direction": "mean down", "evidence": 1.18}


def test_unknown_model_is_404_and_names_the_known_ones(url: str) -> None:
    answer = httpx.get(f"{url}/v1/models/credit/8/readings")
    assert answer.status_code == 404
    assert answer.json()["error"] == "no model 'credit' of version '8' has been seen"
    assert {"tenant": "default", "name": "credit", "version": "7"} in answer.json()["known"]
    assert httpx.get(f"{url}/nowhere").json() == {"error": "no such path; try /v1/status"}
    assert httpx.get(f"{url}/v1/models/credit").status_code == 404
    assert httpx.post(f"{url}/v1/status").status_code == 405


def test_any_name_can_be_asked_for_and_other_tenants_by_query(url: str) -> None:
    path = f"{quote(NASTY, safe='')}/{quote('1/2', safe='')}"
    assert len(httpx.get(f"{url}/v1/models/{path}/readings").json()) == 3
    assert httpx.get(f"{url}/v1/models/churn/3/readings?tenant=acme").status_code == 200
    assert httpx.get(f"{url}/v1/models/churn/3/readings").status_code == 404
    assert NASTY in {m["name"] for m in httpx.get(f"{url}/v1/status").json()["models"]}


def test_report_is_rendered_where_somebody_renders_it(url: str) -> None:
    answer = httpx.get(f"{url}/v1/report/credit/7")
    assert answer.text == "<p>credit 7</p>" and answer.headers["content-type"].startswith("text/html")
    assert httpx.get(f"{url}/v1/report/credit/9").status_code == 404
    without = ApiServer("127.0.0.1:0", Sources(build.snapshot))
    without.start()
    assert httpx.get(f"http://127.0.0.1:{without.port}/v1/report/credit/7").status_code == 404
    without.stop()


def test_a_lone_surrogate_costs_one_character_not_the_answer() -> None:
    odd = Snapshot(build.NOW_NS, (build.new_model(ModelKey("default", "a\ud800b", "1")),))
    server = ApiServer("127.0.0.1:0", Sources(lambda: odd))
    server.start()
    answer = orjson.loads(httpx.get(f"http://127.0.0.1:{server.port}/v1/status").content)
    server.stop()
    assert answer["models"][0]["name"] == "a?b"


def test_a_port_in_use_names_endpoint_key_and_cure(url: str) -> None:
    endpoint = url.removeprefix("http://")
    with pytest.raises(ConfigError) as caught:
        ApiServer(endpoint, Sources(build.snapshot)).start()
    assert endpoint in str(caught.value) and "set api.endpoint to another port" in str(caught.value)


def test_stop_leaves_no_thread_and_no_socket() -> None:
    before = {t for t in threading.enumerate() if t.name == "calidris-api"}
    server = ApiServer("127.0.0.1:0", Sources(build.snapshot))
    server.stop()  # not started: nothing to do
    server.start()
    port = server.port
    with httpx.Client() as client:  # a connection that is kept alive must not hold up the end
        assert client.get(f"http://127.0.0.1:{port}/v1/status").status_code == 200
        server.stop()
    assert {t for t in threading.enumerate() if t.name == "calidris-api"} == before
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    server.start()
    server.stop()


class Decisions:
    """Takes decisions as the journal would; `full` makes it refuse."""

    def __init__(self) -> None:
        self.taken: list[Command] = []
        self.full = False

    def __call__(self, command: Command, tenant: str) -> None:
        if self.full:
            raise RetryableError("the journal is full")
        self.taken.append(command)


@pytest.fixture
def deciding() -> Iterator[tuple[str, Decisions]]:
    shot, decisions = build.snapshot(), Decisions()
    server = ApiServer("127.0.0.1:0", Sources(lambda: shot, command=decisions, clock_ns=lambda: 42))
    server.start()
    yield f"http://127.0.0.1:{server.port}/v1/alarms", decisions
    server.stop()


def test_a_decision_is_taken_with_who_why_and_when(deciding: tuple[str, Decisions]) -> None:
    url, decisions = deciding
    alarm = build.snapshot().alarms[-1].id
    assert httpx.post(f"{url}/{alarm}/ack", json={"by": "ada"}).status_code == 202
    assert httpx.post(f"{url}/{alarm}/clear", json={"by": "ada", "reason": "mended"}).status_code == 202
    assert decisions.taken == [Command(alarm, "ack", "ada", "", 42), Command(alarm, "clear", "ada", "mended", 42)]


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("999/ack", {"by": "ada"}, 404, "there is no alarm 999"),
        ("{id}/clear", {"by": "ada"}, 400, "needs a reason"),
        ("{id}/clear", {"reason": "mended"}, 400, '"by": who'),
        ("{id}/ack", {"by": " "}, 400, "who decided"),
        ("{id}/silence", {"by": "ada"}, 400, "no action"),
        ("{id}/ack", ["ada"], 400, '"by": who'),
    ],
)
def test_a_decision_that_nobody_can_follow_says_why(
    deciding: tuple[str, Decisions], path: str, body: Any, status: int, told: str
) -> None:
    url, decisions = deciding
    answer = httpx.post(f"{url}/{path.format(id=build.snapshot().alarms[-1].id)}", json=body)
    assert answer.status_code == status and told in answer.json()["error"]
    assert not decisions.taken


def test_a_page_of_another_origin_cannot_decide_and_a_full_journal_asks_to_try_again(
    deciding: tuple[str, Decisions],
) -> None:
    url, decisions = deciding
    path = f"{url}/{build.snapshot().alarms[-1].id}/ack"
    form = httpx.post(path, content=b'{"by": "eve"}', headers={"Content-Type": "text/plain"})
    decisions.full = True
    full = httpx.post(path, json={"by": "ada"})
    assert (form.status_code, full.status_code) == (415, 503) and not decisions.taken
