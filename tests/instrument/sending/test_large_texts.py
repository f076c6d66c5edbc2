"""Single rows with large texts are bounded by their bytes, the oldest make room; usual rows by their number."""

from __future__ import annotations

from typing import Any

import pytest

import calidris
from calidris import Model
from calidris.instrument.runtime import runtime
from calidris.instrument.sending.waiting import FIRST_LOOK

MIB = 1024 * 1024
ROWS = 300


@pytest.fixture(autouse=True)
def nothing_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calidris.instrument.sending.sender.Sender.start", lambda self: None)


def record(model: Model, rows: int, text: str, **arguments: Any) -> None:
    for n in range(rows):
        with model.predict(features={"n": float(n), "t": f"{n}{text}"}, **arguments):
            pass


def count_waiting() -> int:
    assert runtime._buffer is not None
    return sum(runtime._buffer._unsent().values())


@pytest.mark.parametrize("declared", [None, ["n", "t"]], ids=["open", "declared"])
def test_large_texts_are_bounded_by_their_bytes(declared: list[str] | None) -> None:
    calidris.configure(endpoint="http://127.0.0.1:9", queue_bytes=20 * MIB)
    record(Model("m", features=declared, allow=["t"]), ROWS, "x" * MIB)
    assert count_waiting() <= 20 + FIRST_LOOK
    assert runtime.drops() == {("m", "queue_full"): ROWS - count_waiting()}
    assert runtime._buffer is not None
    newest: Any = runtime._buffer._waiting.items[-1]
    assert float(ROWS - 1) in (newest[5] if declared else newest[5].values())


def test_large_ids_are_bounded_by_their_bytes() -> None:
    calidris.configure(endpoint="http://127.0.0.1:9", queue_bytes=20 * MIB)
    model = Model("m")
    for n in range(ROWS):
        with model.predict(id=f"{n}" + "x" * MIB):
            pass
    assert count_waiting() <= 20 + FIRST_LOOK


def test_texts_between_usual_rows_are_bounded_too() -> None:
    calidris.configure(endpoint="http://127.0.0.1:9", queue_bytes=20 * MIB)
    model = Model("m")
    for _ in range(ROWS):
        record(model, 1, "")
        record(model, 1, "x" * MIB)
    assert count_waiting() <= 8 * 20 + FIRST_LOOK


def test_usual_rows_are_bounded_by_their_number_alone() -> None:
    calidris.configure(endpoint="http://127.0.0.1:9", queue_bytes=20 * MIB)
    record(Model("m"), 5000, "NL")
    assert count_waiting() == 5000
    assert runtime.drops() == {}
