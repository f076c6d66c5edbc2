"""``calidris status``: once, as JSON, and live on a terminal."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import grpc
import pytest
from rich.console import Console
from running import CALIDRIS, rows, until
from served import Started, configuration
from shell import Done, run

from calidris.cli import alarms
from calidris.cli.status import next_look
from calidris.cli.status_view import Look, view
from calidris.errors import CalidrisError
from calidris.wire import encode_predictions

SECOND_NS = 1_000_000_000
ALARM_BEGAN = 1_800_000_000 * SECOND_NS
KNOWN_ONSET = {"status": "ok", "at_ns": ALARM_BEGAN, "earliest_ns": ALARM_BEGAN, "latest_ns": ALARM_BEGAN}
NASTY = "evil\x1b[31m[red]name\n"


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """A receiver that has seen two models, a repeat and nonsense."""
    started = Started(configuration(tmp_path_factory.mktemp("status")))
    good = encode_predictions(rows(1200, seed=1), form="packed", one_span_per_row=False)
    for raw in (good, good, encode_predictions(rows(7, seed=2, name=NASTY), form="packed", one_span_per_row=False)):
        started.export(raw)
    with contextlib.suppress(grpc.RpcError):
        started.export(b"\xff ml.model.name")
    until(lambda: started.rows() == 1207)
    yield started
    started.server.stop()


@pytest.fixture(scope="module")
def endpoint(receiver: Started) -> str:
    return next(line.rpartition(" ")[2] for line in receiver.lines if line.startswith("api"))


@pytest.fixture
def told(endpoint: str) -> dict[str, Any]:
    return json.loads(run("status", "--endpoint", endpoint, "--json").out)


def shown(look: Look) -> str:
    console = Console(width=140, record=True, file=open(os.devnull, "w"))  # noqa: SIM115  # Rich wants one
    with console.file:
        console.print(view(look))
        return console.export_text()


def test_once(endpoint: str) -> None:
    done = run("status", "--endpoint", endpoint, "--once")
    assert done.code == 0, done.err
    lines = {line.split("  ")[0].strip(): line for line in done.out.splitlines() if line.strip()}
    assert lines["calidris 0.1.0"].split("  ")[1] == "ready" and "up " in lines["calidris 0.1.0"]
    assert "3 requests and" in lines["arrives"] and "2,407 rows" in lines["arrives"]
    assert "0% of 256 MiB; lag" in lines["queue"] and "of 4 GiB" in lines["journal"]
    assert "1 requests (malformed 1)" in lines["refused"] and "1,200 rows repeated" in lines["set aside"]
    assert "1,200" in lines["credit"]


def test_not_a_terminal_is_told_once(endpoint: str) -> None:
    assert run("status", "--endpoint", endpoint).out.count("calidris 0.1.0") == 1


def test_rows_that_are_not_scored_are_told_by_model(told: dict[str, Any]) -> None:
    assert "rows came after" not in shown(Look(told, 10.0))
    credit = next(model for model in told["models"] if model["name"] == "credit")
    assert credit["arrival"] == "live"
    credit |= {"late": 900, "moved": 12}
    text = shown(Look(told, 10.0))
    assert "credit:7: 900 of 1,200 (75.0%) rows came after their window was closed" in text
    assert "credit:7: 12 of 1,200 (1.0%) rows had a time beyond `receiver.max_age`" in text


@pytest.mark.parametrize(
    ("status", "said"), [("ok", "1h: 5,800 "), ("stale", "1h: 5,800, stale"), (None, "1h: 5,800 ")]
)
def test_a_window_says_what_is_to_be_known_of_its_figures(told: dict[str, Any], status: str | None, said: str) -> None:
    credit = next(model for model in told["models"] if model["name"] == "credit")
    window = {"window": "1h", "rows": 5800} | ({"status": status} if status else {})  # an older receiver says nothing
    credit["windows"] = [window]
    assert said in shown(Look(told, 10.0))


def test_names_from_the_wire_do_nothing_to_the_terminal(endpoint: str) -> None:
    out = run("status", "--endpoint", endpoint).out
    assert "\x1b" not in out and "evil\\x1b[31m[red]name\\n" in out


def test_json_is_the_answer_of_the_api(told: dict[str, Any]) -> None:
    assert told["receiver"]["state"] == "ready" and told["receiver"]["replay"]["done"] == 0
    assert told["counters"]["calidris.receiver.rows.duplicate"] == {"": 1200}
    assert {model["name"] for model in told["models"]} == {"credit", NASTY}


def test_json_is_not_watched(calidris: Callable[..., Done], endpoint: str) -> None:
    done = calidris("status", "--endpoint", endpoint, "--json", "--watch")
    assert done.code == 2 and "leave --watch out" in done.err


def test_rates_are_between_two_looks(told: dict[str, Any]) -> None:
    later = copy.deepcopy(told)
    later["counters"]["calidris.engine.rows"][""] += 5000
    later["health"]["calidris.receiver.requests"]["throttled"] = 30
    credit = next(model for model in later["models"] if model["name"] == "credit")
    credit["rows"] += 4000
    text = shown(Look(later, 12.0, Look(told, 10.0)))
    assert "rows 2,500/s" in text and "2,000/s" in text
    assert "throttled 30" in text and "15/s now" in text


def test_a_restart_between_two_looks_gives_no_rate(told: dict[str, Any]) -> None:
    later = copy.deepcopy(told)
    later["receiver"]["started_ns"] += 1
    later["health"]["calidris.receiver.requests"] = {}
    text = shown(Look(later, 12.0, Look(told, 10.0)))
    assert "-" not in text.split("arrives")[1].splitlines()[0] and "/s" not in text.split("arrives")[1].splitlines()[0]


def test_a_receiver_that_is_away_keeps_its_last_figures_on_the_screen(told: dict[str, Any]) -> None:
    before = Look(told, 1.0)

    def nobody() -> dict[str, Any]:
        raise CalidrisError("no receiver answers")

    after, screen = next_look(before, nobody, lambda: 2.0)
    console = Console(width=140, record=True, quiet=False, force_terminal=False)
    with console.capture() as captured:
        console.print(screen)
    assert after is before and "no answer: no receiver answers" in captured.get() and "credit" in captured.get()
    again, _ = next_look(after, lambda: told, lambda: 3.0)
    assert again.at_s == 3.0


def test_a_replay_shows_how_far_it_is(told: dict[str, Any]) -> None:
    told["receiver"] |= {
        "state": "starting",
        "why": "reading the journal back: 5 of 10 records, 1.0 MB, about 3 s left",
    }
    told["models"] = []
    text = shown(Look(told, 1.0))
    assert "starting  reading the journal back: 5 of 10 records" in text and "no model has been seen yet" in text


def test_the_worst_figure_and_the_alarms(told: dict[str, Any]) -> None:
    credit = next(model for model in told["models"] if model["name"] == "credit")
    whole = {"window": "1h", "kind": "drift", "feature": None, "value": 1.21, "n": 1, "status": "ok"}
    column = whole | {"feature": "income", "value": 1.1}
    other = whole | {"feature": "age", "value": 0.4}
    credit["evidence"] = [whole, other, column, whole | {"kind": "errors", "value": 0.2}]
    credit["latched"] = [9]
    features = [{"name": "income", "direction": "mean down", "evidence": 1.2}]
    alarm = {"id": 9, "tenant": "default", "name": "credit", "version": "7", "kind": "drift", "features": features}
    told["alarms"] = [alarm | {"id": number} for number in range(1, 12)]
    text = shown(Look(told, 1.0))
    assert "121% drift income, 1h" in text and "alarm 11 credit:7 drift: income (mean down)" in text
    assert "and 3 older ones: `calidris alarms list`" in text


def test_a_tenant_sees_its_models_and_no_receiver(told: dict[str, Any]) -> None:
    told["health"], told["counters"] = {}, {}
    text = shown(Look(told, 1.0))
    assert "queue" not in text and "credit" in text


@pytest.mark.e2e
def test_live_on_a_terminal_until_ctrl_c(endpoint: str, receiver: Started, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [*CALIDRIS, "status", "--endpoint", endpoint, "--interval", "0.2"]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "140", "LINES": "40"}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    seen = b""
    try:
        deadline = time.monotonic() + 30
        while b"requests 0/s" not in seen:
            assert time.monotonic() < deadline, seen[-2000:]
            seen += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # the terminal is gone
            while os.read(ours, 65536):
                pass
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert seen.count(b"calidris ") > 1, "shown again and again"


def alarm_of(number: int, name: str, **changes: Any) -> dict[str, Any]:
    """As the read API has it."""
    plain = {
        "id": number, "tenant": "default", "name": "credit", "version": "7", "kind": "drift", "window": "1h", "latched": True,
        "since_ns": ALARM_BEGAN, "features": [{"name": name, "direction": "mean up"}], "budget": "1 per year", "budgeted": True,
        "recovered_ns": 0, "orders": [], "onset": KNOWN_ONSET, "renews": None, "level": "strong", "severity": "ticket",
    }  # fmt: skip
    return plain | changes


def listed(*told: dict[str, Any]) -> str:
    receiver = mock.Mock()
    receiver.get.return_value.json.return_value = list(told)
    out = Console(width=300, record=True, file=mock.Mock())
    assert alarms.show(receiver, False, out) == 0
    return out.export_text()


def test_a_renewal_says_what_is_new_and_beside_which_alarm() -> None:
    text = listed(alarm_of(1, "age"), alarm_of(2, "income", renews=1))
    assert "age (mean up)" in text and "new beside alarm 1: income (mean up)" in text


@pytest.mark.parametrize(
    ("onset", "said"),
    [
        (KNOWN_ONSET, "2027-01-15 08:00:00 UTC"),
        (
            KNOWN_ONSET | {"latest_ns": ALARM_BEGAN + 3600 * SECOND_NS},
            "2027-01-15 08:00:00 UTC (2027-01-15 08:00:00 UTC to 2027-01-15 09:00:00 UTC)",
        ),
        ({"status": "undefined", "at_ns": None, "earliest_ns": None, "latest_ns": None}, "2027-01-15 08:00:00 UTC"),
    ],
)
def test_it_says_when_a_change_began_with_the_interval_where_there_is_one(onset: dict[str, Any], said: str) -> None:
    assert said in listed(alarm_of(1, "age", onset=onset))
