"""``calidris alarms list``: what is new beside a standing alarm, and when each change began."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
from rich.console import Console

from calidris.cli import alarms

SECOND = 1_000_000_000
BEGAN = 1_800_000_000 * SECOND
KNOWN = {"status": "ok", "at_ns": BEGAN, "earliest_ns": BEGAN, "latest_ns": BEGAN}


def alarm(number: int, name: str, **changes: Any) -> dict[str, Any]:
    """As the read API has it."""
    plain = {
        "id": number, "tenant": "default", "name": "credit", "version": "7", "kind": "drift", "window": "1h", "latched": True,
        "since_ns": BEGAN, "features": [{"name": name, "direction": "mean up"}], "budget": "1 per year", "budgeted": True,
        "recovered_ns": 0, "orders": [], "onset": KNOWN, "renews": None, "level": "strong", "severity": "ticket",
    }  # fmt: skip
    return plain | changes


def shown(*told: dict[str, Any]) -> str:
    receiver = mock.Mock()
    receiver.get.return_value.json.return_value = list(told)
    out = Console(width=300, record=True, file=mock.Mock())
    assert alarms.show(receiver, False, out) == 0
    return out.export_text()


def test_a_renewal_says_what_is_new_and_beside_which_alarm() -> None:
    text = shown(alarm(1, "age"), alarm(2, "income", renews=1))
    assert "age (mean up)" in text and "new beside alarm 1: income (mean up)" in text


@pytest.mark.parametrize(
    ("onset", "said"),
    [
        (KNOWN, "2027-01-15 08:00:00 UTC"),
        (
            KNOWN | {"latest_ns": BEGAN + 3600 * SECOND},
            "2027-01-15 08:00:00 UTC (2027-01-15 08:00:00 UTC to 2027-01-15 09:00:00 UTC)",
        ),
        ({"status": "undefined", "at_ns": None, "earliest_ns": None, "latest_ns": None}, "2027-01-15 08:00:00 UTC"),
    ],
)
def test_it_says_when_a_change_began_with_the_interval_where_there_is_one(onset: dict[str, Any], said: str) -> None:
    assert said in shown(alarm(1, "age", onset=onset))
