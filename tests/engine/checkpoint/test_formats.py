"""What earlier releases left on the disk loads, and says the same: state, journal, baseline."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.engine.checkpoint.testdata.make import configuration, told

from calidris.app.restore import Storage
from calidris.baseline import read
from calidris.engine.checkpoint.digest import digest
from calidris.engine.checkpoint.store import FORMAT
from calidris.journal.journal import Journal

DATA = Path(__file__).parent / "testdata"
OF_MEMORY = {"ml.label.delay"}
"""Figures of whatever panes memory happened to hold: today they are of the rows that windows need."""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A copy of what format 4 left: a checkpoint of 30 steps, a journal of 40."""
    return Path(shutil.copytree(DATA / "format4", tmp_path / "format4"))


@pytest.fixture
def opened(old: Path) -> Iterator[Storage]:
    storage = Storage(configuration(old), on_failure=lambda error: None)
    yield storage
    storage.close()


def same(now: object, then: object) -> bool:
    return now == pytest.approx(then, rel=1e-9) if isinstance(then, float) else now == then


def test_readings_and_alarms_are_those_that_it_gave_itself(opened: Storage, old: Path) -> None:
    expected = json.loads((old / "expected.json").read_text())
    assert opened.engine.sequence == 88, "the checkpoint"
    assert opened.replay(lambda: False) == 30, "the journal"
    (model,) = opened.engine.models.values()
    totals = {"rows": model.rows, "labels": model.labels}
    totals |= {"sequence": opened.engine.sequence, "sealed_ns": opened.engine.sealed_ns}
    assert totals == expected["totals"]
    assert [[a.id, a.kind, a.window, a.raised_ns, a.n] for a in opened.engine.alarms] == expected["alarms"]
    now = {json.dumps(r[:3]): r[3:] for r in told(opened)}
    wrong = {
        json.dumps(r): now.get(json.dumps(r[:3]))
        for r in expected["readings"]
        if r[0] not in OF_MEMORY and not all(map(same, now.get(json.dumps(r[:3]), [None] * 3), r[3:]))
    }
    assert not wrong and len(expected["readings"]) > 100


def test_the_file_is_brought_to_todays_format_once_and_holds_every_pane(opened: Storage, old: Path) -> None:
    before = sqlite3.connect(DATA / "format4" / "state.sqlite").execute("SELECT count(*) FROM panes").fetchone()
    opened.replay(lambda: False)
    opened.checkpoint.save(opened.engine)
    was = digest(opened.engine)
    opened.close()
    file = sqlite3.connect(old / "state.sqlite")
    assert file.execute("SELECT value FROM meta WHERE key = 'format'").fetchone() == (str(FORMAT).encode(),)
    assert file.execute("SELECT count(*) FROM panes WHERE level = 0").fetchone() == (before[0] + 10,)
    assert file.execute("SELECT name FROM sqlite_master WHERE name = 'panes_4'").fetchone() is None
    assert file.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    file.close()
    again = Storage(configuration(old), on_failure=lambda error: None)
    assert digest(again.engine) == was
    again.close()


def test_its_journal_and_its_baseline_are_read_whole(old: Path) -> None:
    journal = Journal(old / "journal")
    assert [record.seq for record in journal.replay(0)] == list(range(1, 119))
    assert (journal.lost_records, journal.torn_bytes) == (0, 0)
    journal.close()
    made = read(old / "credit-7.calidris")
    assert (made.counts.count, made.labels.count, len(made.windows)) == (2400, 2400, 144)


def test_another_format_is_refused_with_its_number(old: Path) -> None:
    file = sqlite3.connect(old / "state.sqlite")
    file.execute("UPDATE meta SET value = ? WHERE key = 'format'", (b"3",))
    file.commit()
    file.close()
    with pytest.raises(Exception, match="format 3, this version reads 4 and 5"):
        Storage(configuration(old), on_failure=lambda error: None)
