"""Who may read and decide: tokens in front of the read API, and nothing of another tenant behind it."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.access.tokens import Tokens
from tests.api.test_api import build

from calidris.access import ALL, Access
from calidris.api import ApiServer, Sources
from calidris.batch import ModelKey
from calidris.engine.commands import START, Command, Effective
from calidris.engine.snapshot import Snapshot


def two_tenants() -> Snapshot:
    """The same model, with alarms 1 and 2 in the default tenant and 11 and 12 in acme."""
    shot = build.snapshot()
    credit = shot.models[0]
    theirs = replace(credit, key=credit.key._replace(tenant="acme"), rows=77)
    alarms = tuple(replace(a, id=a.id + 10, model=a.model._replace(tenant="acme")) for a in shot.alarms)
    commands = (Command(2, "ack", "ada", "", 1), Command(12, "ack", "eve", "", 2))
    # A receiver that started by settings of each.
    configured = tuple(
        Command(
            0, "configure", START, "settings", 1, "", ModelKey(tenant, "credit", ""), effective=Effective("5e", "1", {})
        )
        for tenant in ("default", "acme")
    )
    latched = frozenset({*shot.latched, *(i + 10 for i in shot.latched)})
    return replace(
        shot, models=(*shot.models, theirs), alarms=(*shot.alarms, *alarms), latched=latched, commands=commands,
        configured=configured,
    )  # fmt: skip


class Asked:
    """A read API with a file of tokens in front, and those who ask it."""

    def __init__(self, folder: Path) -> None:
        self.tokens = Tokens(folder / "tokens")
        self.ours = self.tokens.add("home", "default", "read,decide")
        self.theirs = self.tokens.add("guest", "acme", "read,decide")
        self.reader = self.tokens.add("wall", "acme", "read")
        self.sender = self.tokens.add("checkout", "acme", "send")
        self.oncall = self.tokens.add("oncall", ALL, "read,decide")
        self.tokens.write()
        self.access: Access = self.tokens.open()
        self.taken: list[tuple[Command, str]] = []
        shot = two_tenants()
        self.server = ApiServer(
            "127.0.0.1:0",
            Sources(
                lambda: shot,
                health=lambda: {"calidris.queue.size": 12},
                report=lambda seen, key: f"{key} {[str(m.key) for m in seen.models]}",
                command=lambda command, tenant: self.taken.append((command, tenant)),
                clock_ns=lambda: 42,
                access=self.access,
            ),
        )
        self.server.start()
        self.url = f"http://127.0.0.1:{self.server.port}"

    def get(self, path: str, token: str | None) -> httpx.Response:
        return httpx.get(self.url + path, headers=self._headers(token), trust_env=False)

    def decide(self, path: str, token: str | None, **more: Any) -> httpx.Response:
        body = {"json": {"by": "ada", "reason": "mended"}} | more
        return httpx.post(f"{self.url}/v1/alarms/{path}", headers=self._headers(token), trust_env=False, **body)

    @staticmethod
    def _headers(token: str | None) -> dict[str, str]:
        return {} if token is None else {"Authorization": token}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Asked]:
    asked = Asked(tmp_path)
    yield asked
    asked.server.stop()


PATHS = ["/v1/status", "/v1/alarms", "/v1/models/credit/7/readings", "/v1/report/credit/7"]


@pytest.mark.parametrize("path", PATHS)
def test_nobody_reads_without_a_token_that_may(api: Asked, path: str) -> None:
    answer = api.get(path, None)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert list(answer.json()) == ["error"] and "calidris token" in answer.json()["error"]
    assert api.get(path, "Bearer cal_unknown").status_code == 401
    forbidden = api.get(path, api.sender)
    assert forbidden.status_code == 403 and "may=read" in forbidden.json()["error"]
    assert api.get(path, api.reader).status_code == 200
    assert api.access.refused == {"read_unauthenticated": 2, "read_forbidden": 1}


def test_probes_need_no_token(api: Asked) -> None:
    assert [api.get(path, None).status_code for path in ("/healthz", "/readyz")] == [200, 200]


def test_each_tenant_sees_its_own(api: Asked) -> None:
    ours, theirs = api.get("/v1/status", api.ours).json(), api.get("/v1/status", api.theirs).json()
    assert {m["tenant"] for m in ours["models"]} == {"default"}
    assert [(m["tenant"], m["name"], m["rows"], m["latched"]) for m in theirs["models"]] == [
        ("acme", "credit", 77, [12])
    ]
    assert [a["id"] for a in ours["alarms"]] == [2] and [a["id"] for a in theirs["alarms"]] == [12]
    alarms = api.get("/v1/alarms", api.theirs).json()
    assert [a["id"] for a in alarms] == [11, 12]
    assert [[o["by"] for o in a["orders"]] for a in alarms] == [[], ["eve"]]
    assert "default" not in api.get("/v1/report/credit/7", api.theirs).text
    assert api.get("/v1/report/credit/7", api.theirs).text == "acme/credit:7 ['acme/credit:7']"


def test_the_receivers_own_figures_are_of_all_tenants_together(api: Asked) -> None:
    theirs, all_of_it = api.get("/v1/status", api.theirs).json(), api.get("/v1/status", api.oncall).json()
    assert theirs["counters"] == theirs["health"] == {}
    assert all_of_it["counters"] and all_of_it["health"] == {"calidris.queue.size": 12}
    api.tokens.lines = [line for line in api.tokens.lines if "tenant=default" not in line]
    api.tokens.write()
    api.tokens.later()
    assert api.get("/v1/status", api.theirs).json()["health"] == {"calidris.queue.size": 12}, "now it is alone"


@pytest.mark.parametrize("path", ["/v1/models/{}/readings", "/v1/report/{}"])
def test_what_another_tenant_has_is_like_what_nobody_has(api: Asked, path: str) -> None:
    """404 and not 403, and the same words: nobody can ask which models a neighbour has."""
    for named in ("churn/unknown", "never/1"):
        asked = api.get(path.format(named), api.theirs)
        assert asked.status_code == 404
        name, version = named.split("/")
        assert asked.json() == {
            "error": f"no model {name!r} of version {version!r} has been seen",
            "known": [{"tenant": "acme", "name": "credit", "version": "7"}],
        }
    assert api.get(path.format("credit/7") + "?tenant=default", api.theirs).status_code == 404
    assert api.get(path.format("credit/7") + "?tenant=acme", api.ours).status_code == 404


def test_a_token_of_all_tenants_names_the_one_it_means(api: Asked) -> None:
    texts = [api.get(f"/v1/report/credit/7{query}", api.oncall).text for query in ("", "?tenant=acme")]
    assert [text.partition(" ")[0] for text in texts] == ["credit:7", "acme/credit:7"]
    assert {m["tenant"] for m in api.get("/v1/status", api.oncall).json()["models"]} == {"default", "acme"}


def test_a_decision_is_kept_with_the_token_beside_the_claim(api: Asked, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "calidris.audit"):
        assert api.decide("12/clear", api.theirs).status_code == 202
        assert api.decide("2/ack", api.oncall, json={"by": "eve\nroot"}).status_code == 202
        assert api.decide("12/ack", api.oncall).status_code == 202
    assert api.taken == [
        (Command(12, "clear", "ada", "mended", 42, "guest"), "acme"),
        (Command(2, "ack", "eve\nroot", "", 42, "oncall"), "default"),
        (Command(12, "ack", "ada", "mended", 42, "oncall"), "acme"),
    ]
    told = [record.getMessage() for record in caplog.records if record.name == "calidris.audit"]
    assert told == [
        "audit: alarm 12: clear by 'ada', token 'guest'",
        "audit: alarm 2: ack by 'eve\\nroot', token 'oncall'",
        "audit: alarm 12: ack by 'ada', token 'oncall'",
    ]


def test_nobody_decides_about_another_tenants_alarm(api: Asked, caplog: pytest.LogCaptureFixture) -> None:
    there, nowhere = api.decide("2/clear", api.theirs), api.decide("999/clear", api.theirs)
    assert (there.status_code, nowhere.status_code) == (404, 404)
    assert there.json()["error"] == nowhere.json()["error"].replace("999", "2")
    assert api.decide("12/clear", api.reader).status_code == 403
    assert api.decide("12/clear", None).status_code == 401
    assert not api.taken
    assert api.access.refused == {
        "decide_unknown_alarm": 2,
        "decide_forbidden": 1,
        "decide_unauthenticated": 1,
    }
    assert "'guest' sees no alarm 2" in caplog.text and api.theirs.split()[1] not in caplog.text


def test_a_body_without_end_is_cut_off(api: Asked) -> None:
    answer = api.decide("12/ack", api.theirs, json=None, content=b'{"by": "' + b"a" * 100_000)
    assert answer.status_code == 415
    long = {"json": {"by": "a" * 100_000}}
    assert api.decide("12/ack", api.theirs, **long).status_code == 413
    assert api.decide("12/ack", None, **long).status_code == 401, "asked before the body is read"


def test_two_headers_and_bytes_that_no_token_has(api: Asked) -> None:
    good = api.theirs
    request = "GET /v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{}\r\n"
    for lines in (
        f"Authorization: {good}\r\nAuthorization: {good}\r\n",
        f"Authorization: {good}\x80\r\n",
        f"Authorization: {good},\r\n",
    ):
        with socket.create_connection(("127.0.0.1", api.server.port), timeout=10) as wire:
            wire.sendall(request.format(lines).encode("latin-1"))
            assert wire.makefile("rb").readline().split()[1] == b"401"


def test_the_token_is_changed_while_it_runs(api: Asked) -> None:
    assert api.get("/v1/alarms", api.reader).status_code == 200
    api.tokens.lines = [line for line in api.tokens.lines if "name=wall" not in line]
    api.tokens.write()
    api.tokens.later()
    assert api.get("/v1/alarms", api.reader).status_code == 401
