"""Models over the read API: who may list and forget them, and what is refused, with its cure."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.api.test_access import Asked

from calidris.batch import ModelKey
from calidris.engine.commands import Command


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Asked]:
    asked = Asked(tmp_path)
    yield asked
    asked.server.stop()


def forget(api: Asked, path: str, token: str | None, body: Any = None, **headers: str) -> httpx.Response:
    about = {} if token is None else {"Authorization": token}
    told = {"by": "ada", "reason": "retired"} if body is None else body
    return httpx.post(f"{api.url}/v1/models/{path}", json=told, headers=about | headers, trust_env=False)


def test_each_tenant_lists_its_own(api: Asked) -> None:
    theirs = api.get("/v1/models", api.theirs).json()
    assert list(theirs) == ["models", "absent", "forgotten", "orders"]
    (model,) = theirs["models"]
    assert (model["tenant"], model["rows"], model["live"], model["latched"]) == ("acme", 77, True, [12])
    (order,) = theirs["orders"]
    assert order["model"] == ["acme", "credit", ""] and order["effective"]["settings"] == "5e"
    assert {m["tenant"] for m in api.get("/v1/models", api.oncall).json()["models"]} == {"default", "acme"}
    assert api.get("/v1/models", None).status_code == 401


def test_who_may_decide_forgets_and_it_is_written_down(api: Asked, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "calidris.audit")
    answer = forget(api, "credit/7/forget", api.theirs)
    assert answer.status_code == 202
    assert answer.json() == {
        "action": "forget",
        "models": [{"tenant": "acme", "name": "credit", "version": "7"}],
        "alarms": [12],
    }
    ((command, tenant),) = api.taken
    assert command == Command(0, "forget", "ada", "retired", 42, "guest", ModelKey("acme", "credit", "7"))
    assert tenant == "acme" and "model 'credit' '7': forget by 'ada', token 'guest'" in caplog.text


def test_without_a_version_it_is_every_version(api: Asked) -> None:
    assert forget(api, "credit/forget?tenant=acme", api.oncall).status_code == 202
    assert api.taken[0][0].model == ModelKey("acme", "credit", "")


@pytest.mark.parametrize(("path", "version"), [("credit/7/relabel", "7"), ("credit/relabel", "")])
def test_labels_are_learned_anew_of_one_version_or_of_all(api: Asked, path: str, version: str) -> None:
    answer = forget(api, path, api.theirs, {"by": "ada", "reason": "a new vendor"})
    model = ModelKey("acme", "credit", version)
    assert (answer.status_code, answer.json()) == (202, {"action": "relabel", "model": model._asdict()})
    assert api.taken == [(Command(0, "relabel", "ada", "a new vendor", 42, "guest", model), "acme")]
    assert forget(api, path, api.theirs, {"by": "ada"}).status_code == 400
    assert forget(api, path.replace("credit", "churn"), api.theirs).status_code == 404
    assert forget(api, path, api.reader).status_code == 403 and len(api.taken) == 1


def test_a_standing_alarm_asks_for_a_reason(api: Asked) -> None:
    answer = forget(api, "credit/7/forget", api.theirs, {"by": "ada"})
    assert answer.status_code == 400 and answer.json()["error"].startswith(
        "alarm 12 stands and ends with the model: say why (--reason,"
    )
    assert forget(api, "churn/forget", api.ours, {"by": "ada"}).status_code == 202  # none of its own stands


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("never/forget", None, 404, "no model 'never' has been seen; `calidris models list`"),
        ("credit/9/forget", None, 404, "of version '9'"),
        ("churn/unknown/forget", None, 404, "has been seen"),  # another tenant's
        ("credit/7/forget?tenant=default", None, 404, "has been seen"),
        ("credit/7/mend", None, 404, "/v1/models/{name}/forget"),
        ("forget", None, 404, "/v1/models/{name}/forget"),
        ("credit/7/forget", {"reason": "x"}, 400, "the decision is"),
        ("credit/7/forget", {"by": " ", "reason": "x"}, 400, "who decided"),
        ("credit/7/forget", {"by": "a" * 2000, "reason": "x"}, 400, "at most 1000"),
    ],
)
def test_what_is_refused_says_the_cure(api: Asked, path: str, body: Any, status: int, said: str) -> None:
    answer = forget(api, path, api.theirs, body)
    assert answer.status_code == status and said in answer.json()["error"]
    assert not api.taken


def test_who_may_only_read_or_nothing_forgets_nothing(api: Asked) -> None:
    assert forget(api, "credit/7/forget", None).status_code == 401
    assert forget(api, "credit/7/forget", api.reader).status_code == 403
    plain = httpx.post(
        f"{api.url}/v1/models/credit/7/forget", content=b"{}", headers={"Authorization": api.theirs}, trust_env=False
    )
    assert plain.status_code == 415
    assert not api.taken


def test_readings_are_still_read(api: Asked) -> None:
    assert api.get("/v1/models/credit/7/readings", api.theirs).status_code == 200
    assert api.get("/v1/models/credit/7/forget", api.theirs).status_code == 404
