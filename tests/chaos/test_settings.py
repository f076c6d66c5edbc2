"""Since when which settings hold: a record of the journal, once for each change, over ``kill -9``, shown where an auditor looks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hatched import Reborn
from running import rows, until
from watched import WATCHED, write_baseline

import calidris
from calidris.config import load
from calidris.engine.alarms.provenance import hash_settings
from calidris.wire import encode_predictions

Make = Callable[..., Reborn]
CHANGED = WATCHED.replace("minimum_rows: 20", "minimum_rows: 25")
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


def trail(receiver: Reborn, n: int) -> list[dict[str, Any]]:
    """Its records of settings, once there are so many."""

    def told() -> list[dict[str, Any]] | None:
        orders = [order for order in receiver.get("/v1/models")["orders"] if order["action"] == "configure"]
        return orders if len(orders) >= n else None

    found: list[dict[str, Any]] = until(told)
    return found


def started_anew(receiver: Reborn, config: str) -> None:
    receiver.kill()
    receiver.config.write_text(config)
    receiver.start()


def settings_id(receiver: Reborn) -> str:
    (model,) = load(receiver.config).models
    return hash_settings(model)


def test_settings_are_in_the_journal_once_for_each_change(make_receiver: Make, tmp_path: Path) -> None:
    write_baseline(tmp_path)
    receiver = make_receiver(WATCHED)
    receiver.start()
    first = settings_id(receiver)
    (one,) = trail(receiver, 1)
    assert one["effective"] == {"settings": first, "program": calidris.__version__, "baselines": {}, "before": ""}
    receiver.export(encode_predictions(rows(50, seed=1), form="packed", one_span_per_row=False))
    until(lambda: receiver.status()["models"])
    started_anew(receiver, WATCHED)
    until(lambda: receiver.status()["models"])
    assert trail(receiver, 1) == [one], "nothing has changed"
    baseline = receiver.status()["models"][0]["baseline"]
    for _ in range(2):  # the second time nothing has changed, and no checkpoint has the record yet
        started_anew(receiver, CHANGED)
        second = settings_id(receiver)
        assert second != first
        told = trail(receiver, 2)
        assert told[0] == one and len(told) == 2
        assert told[1]["effective"] == {
            "settings": second, "before": first, "program": calidris.__version__, "baselines": {"7": baseline},
        }  # fmt: skip
        assert told[1]["reason"] == f"settings changed from {first} to {second}" and told[1]["by"] == "calidris serve"
        assert told[1]["model"] == ["default", "credit", ""]
    write_baseline(tmp_path, seed=2)
    started_anew(receiver, CHANGED)
    third = trail(receiver, 3)[2]
    assert third["reason"].startswith(f"baseline of version 7 changed from {baseline} to ")
    started_anew(receiver, WATCHED)
    assert trail(receiver, 4)[3]["effective"]["settings"] == first
