"""Steps become hours and hours days: nothing is lost, nothing counts twice, and it is the same after any restart."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engine.conftest import KEY, SECOND, Journal, baseline, labels, rows

from calidris import semconv
from calidris.baseline import Baseline
from calidris.batch import PredictionBatch
from calidris.config import CalidrisConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.checkpoint.digest import digest
from calidris.engine.checkpoint.save import Checkpoint
from calidris.engine.checkpoint.store import Store
from calidris.engine.core import Engine
from calidris.engine.inbox import Received
from calidris.engine.panes.pane import DAY_NS, HOUR_NS, Level

START = 1_800_000_000 * SECOND // DAY_NS * DAY_NS
STEP = HOUR_NS // 2
DELETED = semconv.METRIC_CALIDRIS_PANES_DELETED.name
MODEL = {"name": "credit", "windows": ["30m", "6h"], "detect": {"windows": ["30m"], "label_age": "1h"}}


def configuration(pane_bytes: int = 1, days: str = "9d", windows: tuple[str, ...] = ("30m", "6h")) -> CalidrisConfig:
    retention = {"steps": "1h", "hours": "1d", "days": days}
    limits = {"pane_bytes": pane_bytes, "label_horizon": "4d", "pending_labels": 1000}
    model = MODEL | {"windows": windows}
    return CalidrisConfig.model_validate({"storage": {"retention": retention}, "limits": limits, "models": [model]})


@pytest.fixture(scope="module")
def base() -> Baseline:
    return baseline()


class Receiver:
    """An engine with a store; ``crash`` is what a new process finds."""

    def __init__(self, path: Path, base: Baseline | None, config: CalidrisConfig) -> None:
        self.path, self.base, self.config = path, base, config
        self.crash()

    def crash(self) -> None:
        self.store = Store(self.path)
        self.checkpoint = Checkpoint(self.store)
        self.engine = Engine(self.config, lambda *_: (self.base, ""), self.checkpoint)
        self.checkpoint.restore(self.engine)

    def feed(self, records: list[Received], saves: frozenset[int] = frozenset(), crashes: tuple[int, ...] = ()) -> None:
        for record in records:
            self.engine.apply(record)
            if record.seq in saves:
                self.checkpoint.save(self.engine)
            if record.seq in crashes:
                self.store.close()
                self.crash()
                for again in records:
                    if again.seq <= record.seq:
                        self.engine.apply(again)  # those that the checkpoint has are skipped


@pytest.fixture
def receiver(tmp_path: Path, base: Baseline) -> Callable[..., Receiver]:
    made: list[Receiver] = []

    def make(config: CalidrisConfig | None = None) -> Receiver:
        made.append(Receiver(tmp_path / str(len(made)), base, config or configuration()))
        return made[-1]

    return make


def story(hours: int, asides: dict[int, list[tuple[int, int]]]) -> Journal:
    """Three rows every half hour and a seal; at some steps, rows that are so many steps late and labels of such old ones."""
    journal = Journal()
    sent: dict[int, PredictionBatch] = {}
    for step in range(2 * hours):
        at = START + step * STEP
        sent[step] = rows(1000 + step, 3, at, span_s=1700)
        journal.request(sent[step])
        for late, old in asides.get(step, []):
            if late:
                journal.request(rows(5000 + 100 * step + late, 2, max(at - late * STEP, START), span_s=1700))
            if old and step - old in sent:
                journal.request(labels(sent.pop(step - old), step, delay_s=old * STEP / SECOND))
        journal.seal(at + STEP)
    return journal


ASIDES = {step: [(step % 97, step % 31), (step % 5, 2)] for step in range(0, 10_000, 3)}


def levels(engine: Engine) -> dict[int, int]:
    """How many panes there are of each length."""
    found = [key.level for key, _ in engine.models[KEY].panes.every()]
    return {level: found.count(level) for level in Level}


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_saves_and_crashes_anywhere_change_nothing(receiver: Callable[..., Receiver], data: st.DataObject) -> None:
    asides = data.draw(
        st.dictionaries(st.integers(0, 118), st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=3))
    )
    records = story(60, asides).records
    numbers = st.integers(1, len(records))
    saves = data.draw(st.frozensets(numbers, max_size=12))
    crashes = tuple(data.draw(st.lists(numbers, max_size=3, unique=True)))
    straight = receiver(configuration(pane_bytes=2**30))
    straight.feed(records)
    broken = receiver()
    broken.feed(records, saves, crashes)
    assert digest(broken.engine) == digest(straight.engine)
    assert snapshot(broken.engine, 0).models[0].readings == snapshot(straight.engine, 0).models[0].readings


@pytest.mark.parametrize("crash", [130, 275, 399])
def test_labelled_predictions_are_let_go_alike(receiver: Callable[..., Receiver], crash: int) -> None:
    """Where room is needed they go, and none that waits; a crash, before or after a checkpoint that saw it, changes nothing."""
    records = story(100, {step: [(0, 2)] for step in range(2, 200)}).records
    config = configuration()
    limits = config.limits.model_copy(update={"pending_labels": 320})
    small = config.model_copy(update={"limits": limits})
    straight, broken = receiver(small), receiver(small)
    straight.feed(records)
    broken.feed(records, frozenset(range(0, crash, 60)), (crash,))
    assert digest(broken.engine) == digest(straight.engine)
    model = straight.engine.models[KEY]
    assert (model.rows, model.labels) == (600, 594)
    assert len(model.pending) <= 320 and model.pending.unlabelled == 6 and model.pending.evicted == 0
    assert sum(int(used.sum()) for _, used, _ in model.pending.blocks()) > 240, "the others may be revised"


def test_every_row_and_label_is_in_one_pane_whose_time_it_has(receiver: Callable[..., Receiver]) -> None:
    records = story(120, ASIDES).records
    kept = receiver()
    kept.feed(records, frozenset(range(0, len(records), 50)))
    model = kept.engine.models[KEY]
    found = dict(model.panes.every())
    assert sum(pane.counts.count for pane in found.values()) == model.rows > 720
    assert sum(pane.labels.count for pane in found.values()) == model.labels > 0
    assert sum(pane.display.rows for pane in found.values() if pane.display is not None) == model.rows
    spans = sorted((k.start_ns, k.start_ns + k.length_ns(STEP)) for k, pane in found.items() if pane.counts.count)
    assert all(end <= begin for (_, end), (begin, _) in pairwise(spans)), "no time has two panes"
    assert levels(kept.engine)[Level.DAY] == 4 and levels(kept.engine)[Level.HOUR] > 12
    assert levels(kept.engine)[Level.STEP] < 2 * 10


def test_a_rolled_up_pane_is_what_its_rows_make_in_one_pass(receiver: Callable[..., Receiver], base: Baseline) -> None:
    kept = receiver()
    kept.feed(story(72, {}).records)
    (day,) = (p for k, p in kept.engine.models[KEY].panes.every() if k.start_ns == START and k.level == Level.DAY)
    batches = [rows(1000 + step, 3, START + step * STEP, span_s=1700) for step in range(48)]
    raw = type(day.counts)(base.spec)
    for batch in batches:
        raw.update(base.spec.encode(batch))
    assert day.counts == raw and day.counts.count == 144
    shown = type(day.display)(base.spec)  # type: ignore[misc]
    for batch in batches:
        shown.update(batch)
    assert day.display == shown


@pytest.mark.parametrize(("age_h", "level"), [(1, Level.STEP), (12, Level.HOUR), (70, Level.DAY)])
def test_late_rows_and_labels_join_the_pane_that_covers_them(
    receiver: Callable[..., Receiver], age_h: int, level: Level
) -> None:
    journal = story(72, {})
    kept = receiver()
    kept.feed(journal.records, frozenset({100, 140}))
    model, before = kept.engine.models[KEY], levels(kept.engine)
    at = START + 72 * HOUR_NS - age_h * HOUR_NS
    panes = {key: (pane.counts.count, pane.labels.count) for key, pane in model.panes.every()}
    old = rows(1000 + (72 - age_h) * 2, 3, at, span_s=1700)
    kept.feed([journal.request(rows(7, 5, at)), journal.request(labels(old, 3, delay_s=age_h * 3600.0))])
    assert levels(kept.engine) == before
    changed = {
        k: (p.counts.count, p.labels.count)
        for k, p in model.panes.every()
        if panes[k] != (p.counts.count, p.labels.count)
    }
    ((key, (n, labelled)),) = changed.items()
    assert key.level == level and (n - panes[key][0], labelled - panes[key][1]) == (5, 3)


def test_a_window_longer_than_a_day_is_made_of_hours(receiver: Callable[..., Receiver]) -> None:
    kept = receiver(configuration(windows=("30m", "2d")))
    kept.feed(story(96, {}).records, frozenset({50, 150}))
    (window,) = (w for w in snapshot(kept.engine, 0).models[0].windows if w.window == "2d")
    assert window.counts.count == 3 * 96
    kept.feed(story(96, {}).records)


def test_days_beyond_the_retention_are_deleted_and_counted(receiver: Callable[..., Receiver]) -> None:
    kept = receiver(configuration(days="4d"))
    journal = story(240, {})
    kept.feed(journal.records, frozenset({200, 400}))
    kept.checkpoint.save(kept.engine)
    model = kept.engine.models[KEY]
    assert kept.engine.counters[DELETED][""] == 6
    assert min(key.start_ns for key, _ in model.panes.every()) == START + 6 * DAY_NS
    assert sum(pane.counts.count for _, pane in model.panes.every()) == 3 * 2 * 96
    assert model.rows == 1440, "totals forget nothing"


def test_deleted_panes_give_their_room_back_to_the_disk(receiver: Callable[..., Receiver], tmp_path: Path) -> None:
    kept = receiver(configuration(days="4d"))
    records = story(144, {}).records
    for i in range(0, len(records), 40):
        kept.feed(records[i : i + 40])
        kept.checkpoint.save(kept.engine)
    (pages,) = kept.store.db.execute("PRAGMA page_count").fetchone()
    kept.store.db.execute("VACUUM INTO ?", (str(tmp_path / "packed"),))
    assert pages * 4096 < 1.5 * (tmp_path / "packed").stat().st_size


def test_a_silent_model_keeps_the_steps_of_its_windows(receiver: Callable[..., Receiver]) -> None:
    kept = receiver()
    journal = story(24, {})
    kept.feed(journal.records)
    before = [w for w in snapshot(kept.engine, 0).models[0].windows if w.window == "6h"]
    kept.feed([journal.seal(START + DAY_NS + h * HOUR_NS) for h in range(1, 24 * 8)], frozenset({60, 100}))
    after = [w for w in snapshot(kept.engine, 0).models[0].windows if w.window == "6h"]
    assert [w.counts for w in after] == [w.counts for w in before] and after[0].counts.count == 36


def test_little_memory_shows_what_much_memory_shows(receiver: Callable[..., Receiver]) -> None:
    records = story(40, ASIDES).records
    small, large = receiver(), receiver(configuration(pane_bytes=2**30))
    for i in range(0, len(records), 7):
        for kept in (small, large):
            kept.feed(records[i : i + 7])
            kept.checkpoint.save(kept.engine)
        told = [snapshot(kept.engine, 0).models[0].readings for kept in (small, large)]
        assert told[0] == told[1]
    held = [len(kept.engine.models[KEY].panes.memory) for kept in (small, large)]
    assert held[0] < held[1] / 2
    assert np.sum([pane.nbytes for pane in small.engine.models[KEY].panes.memory.values()]) < 2**20
