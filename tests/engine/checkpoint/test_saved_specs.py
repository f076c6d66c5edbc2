"""A spec may be megabytes, and a checkpoint is made every ten seconds: it is written once, and held once however many versions have it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from tests.engine.conftest import KEY, SECOND, START, Journal, baseline, rows

from calidris.baseline import Baseline
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.checkpoint.digest import digest
from calidris.engine.checkpoint.save import Checkpoint
from calidris.engine.checkpoint.store import Store
from calidris.engine.core import Engine
from calidris.errors import CorruptState

OTHER = KEY._replace(version="8")


def engine_of(base: Baseline | None) -> Engine:
    return Engine(CalidrisConfig(models=(ModelConfig(name="credit"),)), lambda *_: (base, ""))


def told(folder: Path) -> list[list[object]]:
    """What each version's own record says of its specs."""
    with sqlite3.connect(folder / "state.sqlite") as file:
        return [json.loads(state)["specs"] for (state,) in file.execute("SELECT state FROM models ORDER BY id")]


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Store, Engine, Baseline]:
    base = baseline()
    engine, journal, store = engine_of(base), Journal(), Store(tmp_path)
    checkpoint = Checkpoint(store)
    for step in range(3):
        batches = [rows(10 * step + at, 50, START + step * SECOND, key=key) for at, key in enumerate((KEY, OTHER))]
        engine.apply(journal.request(*batches))
        engine.apply(journal.seal(START + (step + 1) * SECOND))
        checkpoint.save(engine)
    return store, engine, base


def test_a_spec_is_written_once_and_held_once(saved: tuple[Store, Engine, Baseline], tmp_path: Path) -> None:
    store, engine, base = saved
    assert told(tmp_path) == [[base.spec.hash], [base.spec.hash]]
    written = store.db.execute("SELECT model, name FROM blobs WHERE kind = 'spec'").fetchall()
    assert sorted(written) == [(1, base.spec.hash), (2, base.spec.hash)]
    again = engine_of(base)
    Checkpoint(store).restore(again)
    assert digest(again) == digest(engine)
    assert all(model.spec is base.spec for model in again.models.values())


def test_rows_of_a_baseline_whose_file_is_gone_keep_their_spec(saved: tuple[Store, Engine, Baseline]) -> None:
    store, _, base = saved
    again = engine_of(None)
    Checkpoint(store).restore(again)
    assert [model.spec == base.spec for model in again.models.values()] == [True, True]


def test_specs_in_the_record_itself_are_read(saved: tuple[Store, Engine, Baseline]) -> None:
    """As until November 2026."""
    store, engine, base = saved
    for number, state in store.db.execute("SELECT id, state FROM models").fetchall():
        older = json.loads(state) | {"specs": [base.spec.to_json()]}
        store.db.execute("UPDATE models SET state=? WHERE id=?", (json.dumps(older).encode(), number))
    store.db.execute("DELETE FROM blobs WHERE kind = 'spec'")
    again = engine_of(base)
    Checkpoint(store).restore(again)
    assert digest(again) == digest(engine)


def test_a_spec_that_is_not_there_is_damage(saved: tuple[Store, Engine, Baseline]) -> None:
    store, _, base = saved
    store.db.execute("DELETE FROM blobs WHERE kind = 'spec'")
    with pytest.raises(CorruptState, match=f"no spec {base.spec.hash[:8]}"):
        Checkpoint(store).restore(engine_of(None))
