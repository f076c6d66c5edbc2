"""What a start makes of the directory it finds."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running import rows, until
from served import FREE, configuration

from calidris.app.restore import Storage
from calidris.errors import ConfigError
from calidris.wire import encode_predictions

Make = Callable[..., Any]


def opened(tmp_path: Path) -> Storage:
    return Storage(configuration(tmp_path), on_failure=lambda error: None)


def refused(tmp_path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        opened(tmp_path)
    return str(caught.value)


def state(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir(exist_ok=True)
    return tmp_path / "data" / "state.sqlite"


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_foreign_file_is_left_alone(tmp_path: Path, content: bytes) -> None:
    state(tmp_path).write_bytes(content)
    said = refused(tmp_path)
    assert said.startswith(f"storage.path: {state(tmp_path)} is damaged or is not a checkpoint")
    assert f"move {state(tmp_path)}* away and start again" in said
    assert state(tmp_path).read_bytes() == content


def test_another_format_is_left_alone(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with sqlite3.connect(state(tmp_path)) as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'format'")
    db.close()
    assert "is not a checkpoint of this release" in refused(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE meta SET value = 'x' WHERE key = 'sequence'",
        "UPDATE meta SET value = '[' WHERE key = 'alarms'",
        "UPDATE models SET state = '{}'",
        "UPDATE panes SET counts = substr(counts, 1, 20)",
    ],
)
def test_damaged_content_names_the_file_and_the_cure(make: Make, tmp_path: Path, damage: str) -> None:
    started = make()
    started.export(encode_predictions(rows(20, seed=1), form="packed", one_span_per_row=False))
    started.server.stop()
    with sqlite3.connect(state(tmp_path)) as db:
        db.execute(damage)
    db.close()
    assert f"move {state(tmp_path)}* away" in refused(tmp_path)
    for file in (tmp_path / "data").glob("state.sqlite*"):
        file.rename(tmp_path / file.name)
    opened(tmp_path).close()


@pytest.mark.parametrize(("killed", "moved"), [(False, 20), (True, 0)])
def test_another_bound_on_ages_is_for_what_no_checkpoint_has(make: Make, killed: bool, moved: int) -> None:
    """As docs/batch.md says: in good order nothing is read again; what only the journal has is read by today's setting."""
    old_ns = time.time_ns() - 40 * 86_400 * 10**9
    endpoints = {"grpc": {"endpoint": FREE}, "http": {"endpoint": FREE}, "lateness": "1s"}
    started = make(storage={"checkpoint_interval": "1h"})
    started.export(encode_predictions(rows(20, seed=1, time_ns=old_ns), form="packed", one_span_per_row=False))
    until(lambda: started.rows() == 20)
    assert started.server.snapshot().models[0].moved == 20
    if killed:
        started.server.loop.save = lambda: None  # as after kill -9: the journal has to tell
    started.server.stop()
    (model,) = make(receiver=endpoints | {"max_age": "60d"}).server.snapshot().models
    assert (model.rows, model.moved) == (20, moved)


def test_a_moved_checkpoint_leaves_what_the_journal_holds(make: Make, tmp_path: Path) -> None:
    keep = {"checkpoint_interval": "1h", "journal": {"keep": True}}
    started = make(storage=keep)
    for seed in range(3):
        started.export(encode_predictions(rows(20, seed=seed), form="packed", one_span_per_row=False))
    started.server.stop()
    state(tmp_path).rename(tmp_path / "aside")
    again = make(storage=keep)
    assert again.server.replayed >= 3
    until(lambda: again.rows() == 60)


def test_one_process_only(tmp_path: Path) -> None:
    first = opened(tmp_path)
    assert "is in use by another calidris process: stop it, or set another storage.path" in refused(tmp_path)
    first.close()
    opened(tmp_path).close()


def test_a_path_that_cannot_be_a_directory(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    said = refused(tmp_path)
    assert said.startswith("storage.path: ") and "set another storage.path" in said


def test_an_interrupted_replay_loses_nothing(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = make()
    monkeypatch.setattr(started.server.loop, "save", lambda: None)
    for seed in range(5):
        started.export(encode_predictions(rows(20, seed=seed), form="packed", one_span_per_row=False))
    started.server.stop()
    storage, asked = opened(tmp_path), iter([False, False, True])
    assert storage.replay(lambda: next(asked)) == 2
    storage.close()
    again = make()
    until(lambda: again.rows() == 100)
