"""The engine's thread: what happens when one of its parts fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from running import rows, until

from calidris import semconv
from calidris.app import loop
from calidris.engine.core import Engine
from calidris.wire import encode_predictions

Make = Callable[..., Any]
FAILURES = semconv.METRIC_CALIDRIS_ENGINE_FAILURES.name


def packed(n: int, seed: int, name: str = "credit") -> bytes:
    return encode_predictions(rows(n, seed=seed, name=name), form="packed", one_span_per_row=False)


def poison(engine: Engine) -> None:
    """Make the engine fail on the model ``poison``, as a defect of ours would."""
    usual = engine.fleet.find_baseline

    def fail(key: Any, config: Any) -> Any:
        return 1 // 0 if key.name == "poison" else usual(key, config)

    engine.fleet.find_baseline = fail


def test_a_record_that_cannot_be_applied_is_counted_and_left_behind(make: Make) -> None:
    started = make()
    poison(started.server.loop.engine)
    started.export(packed(10, 1))
    started.export(packed(10, 2, name="poison"))
    started.export(packed(10, 3))
    until(lambda: started.rows() == 20)
    assert started.server.snapshot().counters[FAILURES] == {"": 1}
    assert started.server.admission.used_bytes == 0


def test_it_does_not_stop_the_next_start_either(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay meets the same record: it must not end the process at every restart."""
    started = make()
    monkeypatch.setattr(started.server.loop, "save", lambda: None)
    started.export(packed(10, 1, name="poison"))
    started.export(packed(10, 2))
    until(lambda: started.rows() == 20)
    started.server.stop()
    usual = Engine.__init__

    def poisoned(engine: Engine, *arguments: Any) -> None:
        usual(engine, *arguments)
        poison(engine)

    monkeypatch.setattr(Engine, "__init__", poisoned)
    again = make()
    assert again.server.replayed >= 2
    until(lambda: again.rows() == 10)
    assert again.server.snapshot().counters[FAILURES] == {"": 1}


def test_a_snapshot_that_cannot_be_made(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last good one stays, the receiver says that it is not ready, and takes and keeps what comes."""
    started = make()
    usual = loop.snapshot
    monkeypatch.setattr(loop, "snapshot", lambda *_: 1 // 0)
    until(lambda: not started.server.ready)
    started.export(packed(10, 1))
    assert started.rows() == 0 and started.server.health()[FAILURES]["snapshot"] >= 1
    monkeypatch.setattr(loop, "snapshot", usual)
    until(lambda: started.rows() == 10)
    assert started.server.ready


def test_a_checkpoint_that_fails_is_tried_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    started = make(storage={"checkpoint_interval": "100ms"})
    checkpoint = started.server.loop.checkpoint
    usual = checkpoint.save
    monkeypatch.setattr(checkpoint, "save", lambda engine: 1 // 0)
    saved_ns = started.server.loop.saved_ns
    started.export(packed(10, 1))
    until(lambda: started.server.health()[FAILURES].get("checkpoint", 0) >= 2)
    assert started.server.health()["calidris.checkpoint.age"] >= (time.time_ns() - saved_ns) / 1e9 - 1
    monkeypatch.setattr(checkpoint, "save", usual)
    until(lambda: started.server.loop.saved_ns > saved_ns + 10**8)
    started.server.stop()
    again = make(storage={})
    assert again.server.replayed == 0
    until(lambda: again.rows() == 10)


def test_a_loop_that_dies_ends_the_process(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests would be acknowledged and never applied."""
    started = make()
    monkeypatch.setattr(started.server.loop, "turn", lambda timeout_s: 1 // 0)
    started.server.wait()
    assert started.server.failed


def test_a_filling_journal_is_checkpointed_before_its_time(make: Make) -> None:
    small = {"grpc": {"endpoint": "127.0.0.1:0", "max_message_bytes": "100KiB"}, "http": None}
    journal = {"max_bytes": "800KiB"}
    started = make(receiver=small, storage={"checkpoint_interval": "1h", "journal": journal})
    for seed in range(100):  # 1.6 MB
        started.export(packed(300, seed))
    until(lambda: started.rows() == 30_000)
    assert started.server.journal.size_bytes < 800 * 1024


@pytest.mark.parametrize("keep", [True, False])
def test_kept_segments_ask_for_no_checkpoints(make: Make, keep: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """They stay on the disk beyond the cap on the others: a checkpoint would free nothing."""
    small = {"grpc": {"endpoint": "127.0.0.1:0", "max_message_bytes": "100KiB"}, "http": None}
    journal = {"max_bytes": "800KiB", "keep": keep}
    started = make(receiver=small, storage={"checkpoint_interval": "1h", "journal": journal})
    saves: list[int] = []
    save = started.server.loop.checkpoint.save
    monkeypatch.setattr(
        started.server.loop.checkpoint, "save", lambda engine: (saves.append(engine.sequence), save(engine))
    )
    for seed in range(150):
        started.export(packed(300, seed))
    until(lambda: started.rows() == 45_000)
    assert (started.server.journal.size_bytes > 1 << 20) == keep
    assert 1 <= len(saves) <= 8
