"""What earlier releases left on the disk loads, and says the same: state, journal, baseline."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engine.checkpoint.testdata import make_standing_alarm as standing
from tests.engine.checkpoint.testdata.make import configuration, told
from tests.engine.checkpoint.testdata.standing_story import Said

from calidris.app.restore import Storage
from calidris.baseline import read
from calidris.batch import Mask
from calidris.detect import Alert
from calidris.detect.evidence.onset import PageSums
from calidris.engine.arrival import SentSlices
from calidris.engine.checkpoint.digest import digest
from calidris.engine.checkpoint.store import FORMAT
from calidris.engine.commands import Command
from calidris.engine.core import Engine
from calidris.engine.outcomes import Outcomes
from calidris.engine.panes.traffic_day import TrafficDay
from calidris.journal.journal import Journal
from calidris.journal.segment_format import Kind
from calidris.labels import Held, Match, PendingPredictions, Verdicts
from calidris.metrics import window_status
from calidris.metrics.day_figures import OF_ROWS
from calidris.metrics.drift.drift_measures import LENGTHS

DATA = Path(__file__).parent / "testdata"
OF_MEMORY = {"ml.label.delay"}
"""Figures of whatever panes memory happened to hold: today they are of the rows that windows need."""
OF_BETS = {"ml.detection.evidence"}
"""Goes on from what it was, by today's bets: cells that the baseline hardly saw have another design effect since, and losses have
a tolerance of their own and bets beside the frozen ones, which begin with nothing."""


def is_other_since(figure: list[Any]) -> bool:
    """Whether a figure is told otherwise than then."""
    name, _, attributes = figure[:3]
    measures = {value for _, value in attributes}
    return name in OF_MEMORY | OF_BETS or bool(standing.OTHER_SINCE & measures)


def as_called_then(figure: list[Any]) -> list[Any] | None:
    """What that version called complete was what had come so far; what is complete it did not tell."""
    name, window, attributes, *values = figure
    about = standing.as_called_then(dict(attributes))
    if LENGTHS & set(dict(attributes).values()):
        # From bins alone, as then, which is said since there are sums by cell.
        values = ["ok" if value == "approximate" else value for value in values]
    return None if about is None else [name, window, [[key, value] for key, value in about.items()], *values]


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
    now = {json.dumps(r[:3]): r[3:] for r in map(as_called_then, told(opened)) if r is not None}
    wrong = {
        json.dumps(r): now.get(json.dumps(r[:3]))
        for r in expected["readings"]
        if not is_other_since(r) and not all(map(same, now.get(json.dumps(r[:3]), [None] * 3), r[3:]))
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


@pytest.fixture
def stood(tmp_path: Path) -> Path:
    """A copy of what a receiver of format 5 left while alarms stood: a checkpoint of 16 steps, a journal of the next 7."""
    return Path(shutil.copytree(DATA / "store5-standing-alarm", tmp_path / "store5"))


@pytest.fixture
def expected(stood: Path) -> dict[str, Any]:
    """What that receiver said, at the checkpoint and at its end. Where deflate writes other bytes there is no hash of them."""
    found: dict[str, Any] = json.loads((stood / "expected.json").read_text())
    if standing.deflate() != found["deflate"]:
        for moment in ("saved", "replayed"):
            found[moment]["told"]["panes"]["sha256"] = None
    return found


@pytest.fixture
def first_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two labels for one row the first counts, and none is kept, as that version had it."""

    def judge_then(rows: Match, labels: Held, usable: Mask) -> Verdicts:
        never = np.zeros_like(usable)
        first = usable & ~rows.used
        return Verdicts(first, never, usable & rows.used, never, never, first)

    hold = PendingPredictions.hold
    monkeypatch.setattr("calidris.engine.model.judge", judge_then)
    monkeypatch.setattr(
        PendingPredictions, "hold", lambda self, match, which, labels: hold(self, match, which, np.zeros_like(labels))
    )


@pytest.fixture
def reopened(stood: Path) -> Iterator[Storage]:
    storage = Storage(standing.configuration(stood), on_failure=lambda error: None)
    yield storage
    storage.close()


@pytest.fixture
def as_then(stood: Path, first_counts: None) -> Iterator[Storage]:
    """By settings without the kinds and the level that were added since: they take their part from what there was."""
    config = standing.configuration(stood)
    (model,) = config.models
    shares = model.detect.shares.model_copy(update={"labels": 0.0})
    one_level = {"early_tolerance": model.detect.tolerance, "early_loss_tolerance": model.detect.loss_tolerance}
    detect = model.detect.model_copy(update={"shares": shares, **one_level})
    alike = config.model_copy(update={"models": (model.model_copy(update={"detect": detect}),)})
    storage = Storage(alike, on_failure=lambda error: None)
    yield storage
    storage.close()


LACKS_PAIRS = "; rebuild its baseline: it lacks `pairs`, as an earlier version built it, so that no relation of two columns is watched"
"""What is said since of a version whose baseline is of then."""


def said(storage: Storage, expected: dict[str, Any]) -> dict[str, Any]:
    found = standing.told(storage.engine)
    said_since = [told_of for told_of in found["models"].values() if told_of[2].endswith(LACKS_PAIRS)]
    assert said_since
    for told_of in said_since:
        told_of[2] = told_of[2].removesuffix(LACKS_PAIRS)
    if standing.deflate() != expected["deflate"]:
        found["panes"]["sha256"] = None
    return found


def test_what_was_remembered_while_alarms_stood_is_remembered(
    reopened: Storage, first_counts: None, expected: dict[str, Any]
) -> None:
    assert said(reopened, expected) == expected["saved"]["told"]
    assert reopened.replay(lambda: False) == 53
    assert said(reopened, expected) == expected["replayed"]["told"]


def test_labels_that_came_again_are_revised_where_it_is_known_how_the_row_was_labelled(
    reopened: Storage, expected: dict[str, Any]
) -> None:
    """What a row was labelled by before the checkpoint, that version did not keep: such a label is not taken off by guess."""
    then = expected["replayed"]["told"]
    reopened.replay(lambda: False)
    now = said(reopened, expected)
    assert now["models"] == then["models"] and now["waiting"] == then["waiting"]
    was, told = (found["counters"]["calidris.labels.unmatched"] for found in (then, now))
    revised = now["counters"]["calidris.labels.revised"][""]
    again = told["repeated"] - expected["saved"]["told"]["counters"]["calidris.labels.unmatched"]["repeated"]
    assert (revised, told["not_kept"], again) == (6, 62, 12)
    assert told["repeated"] + told["not_kept"] + revised == was["repeated"]


def test_no_evidence_begins_anew(stood: Path, old: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Losses have more bets since: those that were there before go on."""
    for storage in (
        Storage(standing.configuration(stood), on_failure=lambda error: None),
        Storage(configuration(old), on_failure=lambda error: None),
    ):
        storage.close()
    assert "begins anew" not in caplog.text


def test_its_alarms_stand_and_one_is_acknowledged(reopened: Storage) -> None:
    assert reopened.engine.latched == {2, 3}
    reopened.replay(lambda: False)
    assert reopened.engine.latched == {2, 3, 4, 5, 6, 7, 8}
    assert [(o.alarm, o.action, o.by, o.token) for o in reopened.engine.commands] == [
        (1, "clear", "bob", ""),
        (2, "ack", "ada", "oncall"),
    ]
    end = Command(2, "clear", "eve", "the branch asks older people", reopened.engine.sealed_ns)
    standing.feed(reopened, Said(Kind.COMMAND, end.to_bytes(), end.at_ns))
    assert 2 not in reopened.engine.latched and reopened.engine.commands[-1] == end


def forget_onsets(engine: Engine) -> None:
    """Forget when changes began, and what goes on beside a standing alarm."""
    for watcher in engine.watchers.values():
        for watch in watcher.slots.values():
            if watch.detector is not None:
                watch.detector.page = PageSums.continue_unknown(np.zeros(len(watch.detector.page)))
                watch.detector.renewal = None
            watch.last = watch.last and replace(watch.last, onset=None)
            watch.alarmed = watch.alarmed and replace(watch.alarmed, onset=None)
            if watch.recipe.slot.kind is Alert.VERSIONS:
                watch.recovery = None  # one version against another had no way back
    then = [replace(alarm, onset=None, settings="", program="", moved=()) for alarm in engine.alarms]
    engine.book.restore(then, engine.latched)


def test_it_is_the_same_to_the_last_bit(
    as_then: Storage, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # That version said nothing of rows that came late.
    monkeypatch.setattr(window_status, "LATE_SHARE", 2.0)
    if standing.deflate() != expected["deflate"]:
        pytest.skip("this deflate writes other bytes than that one, of the same content")
    assert digest(as_then.engine) == expected["saved"]["engine"]
    as_then.replay(lambda: False)
    exactly = expected["replayed"]["exactly"].get(standing.arithmetic())
    if exactly is None:
        pytest.skip("this machine's exp and log end in other bits than those of the machines that were recorded")
    for model in as_then.engine.models.values():
        model.outcomes = Outcomes()  # noted since: that version knew nothing of it
        model.sent_slices = SentSlices()  # likewise
        model.traffic_day = TrafficDay()  # likewise
        model.days.forget(OF_ROWS)  # likewise
        for panes in (model.panes.memory, model.panes.sums):
            for key, pane in panes.items():
                panes[key] = standing.as_kept_then(pane)  # likewise of sums by cell
    for watcher in as_then.engine.watchers.values():
        for limit in watcher.limits:
            limit.valueless = 0  # likewise
    forget_onsets(as_then.engine)  # likewise
    assert standing.exactly(as_then.engine) == exactly


def test_a_checkpoint_after_the_replay_holds_all_of_it(
    reopened: Storage, first_counts: None, stood: Path, expected: dict[str, Any]
) -> None:
    reopened.replay(lambda: False)
    reopened.checkpoint.save(reopened.engine)
    was = digest(reopened.engine)
    reopened.close()
    again = Storage(standing.configuration(stood), on_failure=lambda error: None)
    assert again.replay(lambda: False) == 0
    assert said(again, expected) == expected["replayed"]["told"]
    assert digest(again.engine) == was
    again.close()


def test_its_journal_and_its_baseline_are_whole_and_written_the_same(stood: Path, expected: dict[str, Any]) -> None:
    journal = Journal(stood / "journal")
    assert [record.seq for record in journal.replay(0)] == list(range(89, expected["replayed"]["told"]["sequence"] + 1))
    assert standing.hash_of(journal, 0) == expected["journal"]
    assert (journal.lost_records, journal.torn_bytes) == (0, 0)
    journal.close()
    made = read(stood / "credit-7.calidris")
    assert made.id == expected["baseline"]
    if standing.deflate() == expected["deflate"]:
        assert made.to_bytes() == (stood / "credit-7.calidris").read_bytes()
