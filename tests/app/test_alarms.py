"""From a change to an alarm to a person's decision, through a real receiver, the API and the command line; and a restart."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from served import Started
from tests.engine.conftest import SECOND, baseline, rows

from calidris.baseline import write
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
