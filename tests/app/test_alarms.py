"""From a change to an alarm to a person's decision, through a real receiver, the API and the command line; and a restart."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from rich.console import Console
from served import Started
from tests.engine.conftest import KEY, SECOND, baseline, rows

from calidris.baseline import write
from calidris.batch import CodedColumn
from calidris.cli import alarms
from calidris.cli.receiver_client import Receiver
from calidris.errors import CalidrisError
from calidris.wire import encode_predictions

WAIT_S = 30.0


def model(path: Path) -> dict[str, Any]:
    file = path / "credit.calidris"
    write(baseline(), file)
    detect = {"windows": ["1s"], "false_alarms": "1 per day"}
    return {"name": "credit", "baseline": str(file), "windows": ["1s"], "detect": detect}


def until(told: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not told():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def latched(started: Started) -> set[int]:
    return set(started.server.snapshot().latched)


def raise_alarm(started: Started) -> None:
    now = time.time_ns() // SECOND * SECOND
    batch = rows(3, 200, start_ns=now - SECOND, shift=15.0)
    started.export(encode_predictions(batch, form="packed", one_span_per_row=False))
    until(lambda: latched(started))


def shown(text: Path, receiver: Receiver, everything: bool) -> str:
    with text.open("w", encoding="utf-8") as file:
        alarms.show(receiver, everything, Console(file=file, width=200))
    return text.read_text(encoding="utf-8")


def test_an_alarm_is_listed_acknowledged_cleared_and_remembered(make: Callable[..., Started], tmp_path: Path) -> None:
    started = make(models=[model(tmp_path)])
    config, text, out = tmp_path / "calidris.yaml", tmp_path / "out", Console(file=None, quiet=True)
    (api,) = (line.rpartition("//")[2] for line in started.lines if line.startswith("api"))
    config.write_text(f'api: {{endpoint: "{api}"}}\n')
    receiver = Receiver(config)
    assert "no alarm was ever raised" in shown(text, receiver, False)
    raise_alarm(started)
    assert "age (mean up)" in shown(text, receiver, False)
    alarms.decide(receiver, 1, "ack", "ada", "", out)
    until(lambda: started.server.snapshot().commands)
    assert "acknowledged by ada" in shown(text, receiver, False)
    with pytest.raises(CalidrisError, match="needs a reason"):
        alarms.decide(receiver, 1, "clear", "ada", " ", out)
    alarms.decide(receiver, 1, "clear", "ada", "sensor replaced", out)
    until(lambda: not latched(started))
    assert "--all shows" in shown(text, receiver, False)
    assert "cleared by ada: sensor replaced" in shown(text, receiver, True)
    started.server.stop()
    again = make(models=[model(tmp_path)])
    taken = again.server.snapshot()
    assert [o.action for o in taken.commands] == ["ack", "clear"] and not taken.latched and len(taken.alarms) == 1


def test_a_canary_is_told_from_what_to_what_by_every_door(make: Callable[..., Started], tmp_path: Path) -> None:
    """A quarter of version 8's calls fails and none of 7's: the list, the read API and the report say so, with the rows of both."""
    canary = {"version": "8", "against": "7", "on": ["errors"]}
    told = model(tmp_path)
    told["detect"] |= {"shares": {"versions": 0.5}}
    started = make(models=[told | {"canary": canary}])
    (api,) = (line.rpartition(" ")[2] for line in started.lines if line.startswith("api"))
    config = tmp_path / "calidris.yaml"
    config.write_text(f'api: {{endpoint: "{api.partition("//")[2]}"}}\n')

    def found() -> list[Any]:
        return [alarm for alarm in started.server.snapshot().alarms if alarm.kind == "versions"]

    for n in range(40):
        now = time.time_ns() // SECOND * SECOND
        for key, every in ((KEY, 10_000), (KEY._replace(version="8"), 4)):
            batch = rows(100 + n, 200, start_ns=now, key=key)
            codes = np.where(np.arange(200) % every == every - 1, 0, -1).astype(np.int32)
            batch = replace(batch, error=CodedColumn(("Timeout",), codes), ids=None)
            started.export(encode_predictions(batch, form="packed", one_span_per_row=False))
        if found():
            break
        time.sleep(1.0)
    (alarm,) = found()
    (moved,) = alarm.moved
    assert (moved.figure, moved.version, moved.against) == ("calls that failed", "8", "7")
    assert (moved.before, moved.after) == (0.0, 0.25) and moved.before_n == moved.after_n == alarm.n // 2
    listed = " ".join(shown(tmp_path / "out", Receiver(config), False).split())
    n = f"{moved.after_n:,}"
    for part in ("calls that failed", f"0 of {n}", "in 7", f"0.25 of {n}", "in 8"):
        assert part in listed, listed
    (said,) = [one for one in httpx.get(f"{api}/v1/alarms", trust_env=False).json() if one["id"] == alarm.id]
    assert said["moved"] == [
        {"figure": "calls that failed", "unit": "1", "version": "8", "against": "7",
         "from": {"value": 0.0, "n": moved.before_n, "status": "ok"},
         "to": {"value": 0.25, "n": moved.after_n, "status": "ok"}}
    ]  # fmt: skip
    page = httpx.get(f"{api}/v1/report/credit/8", trust_env=False).text
    assert f"calls that failed: 0 % of {n} in version 7, 25 % of {n} in version 8" in page
