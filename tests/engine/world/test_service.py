"""Errors and latency of a new version are held against what the version before it has shown, from its first window on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.engine.conftest import KEY, SECOND, START, Journal, MakeEngine, configuration, labels, rows

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import CodedColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig, ModelConfig
from calidris.detect import Alert, Slot
from calidris.engine.checkpoint.digest import digest
from calidris.engine.checkpoint.save import Checkpoint
from calidris.engine.checkpoint.store import Store
from calidris.engine.commands import Command
from calidris.engine.core import Engine
from calidris.state import Spec

ERRORS, LATENCY = Slot(Alert.ERRORS, 1.0), Slot(Alert.LATENCY, 1.0)


def trained() -> Baseline:
    """A baseline of training rows: neither durations nor errors, so that both are learned live."""
    batch = replace(rows(1, 6000, span_s=60.0), duration_s=None)
    return build(BaselineColumns(batch, labels(batch, 2).label, True), Spec(task="binary", positive="1"), window_s=1.0)


BASE = trained()
LEARN = 30
"""Windows that are learned: the fewest."""


def own_files() -> MakeEngine:
    """An engine that finds a baseline of its own for each version, each with bins of its own."""
    made: dict[str, Baseline] = {}

    def of(version: str) -> Baseline:
        if version not in made:
            batch = replace(rows(50 + len(made), 6000, span_s=60.0), duration_s=None)
            columns = BaselineColumns(batch, labels(batch, 2).label, True)
            made[version] = build(columns, Spec(task="binary", positive="1"), window_s=1.0)
        return made[version]

    def make(config: CalidrisConfig | None = None, _base: object = None) -> Engine:
        return Engine(config or settings(), lambda key, _: (of(key.version), ""))

    return make


@pytest.fixture(params=["one file", "a file per version"])
def make(request: pytest.FixtureRequest, make_engine: MakeEngine) -> MakeEngine:
    return make_engine if request.param == "one file" else own_files()


def settings() -> CalidrisConfig:
    others = ("drift", "performance", "calibration", "fairness", "versions")
    shares = {"errors": 0.5, "latency": 0.5, **dict.fromkeys(others, 0.0)}
    return configuration(detect={"windows": ["1s"], "false_alarms": "1 per day", "learn": "30s", "shares": shares})


def called(second: int, version: str, failed: float, slower: float = 1.0, n: int = 400) -> PredictionBatch:
    """Calls of a second, of which a share fails and that take so much longer."""
    key: ModelKey = KEY._replace(version=version)
    batch = rows(second, n, START + second * SECOND, span_s=0.9, key=key)
    rng = np.random.default_rng(second + 1)
    errors = CodedColumn(("Timeout",), np.where(rng.random(n) < failed, 0, -1).astype(np.int32))
    return replace(batch, error=errors, duration_s=NumberColumn.of(rng.lognormal(-4.0, 0.5, n) * slower))


def run(engine: Engine, journal: Journal, second: int, *batches: PredictionBatch) -> None:
    for batch in batches:
        engine.apply(journal.request(batch))
    engine.apply(journal.seal(START + (second + 1) * SECOND))


def windows_to(engine: Engine, journal: Journal, kind: str, failed: float, slower: float) -> int | None:
    """Windows of new versions, one every ten, until an alarm of the kind; None where none comes in a hundred."""
    for n in range(100):
        second = LEARN + 5 + n
        run(engine, journal, second, called(second, f"{8 + n // 10}", failed, slower))
        if any(alarm.kind == kind for alarm in engine.alarms):
            return n + 1
    return None


@pytest.mark.parametrize(
    ("kind", "failed", "slower", "most"), [("errors", 0.08, 1.0, 40), ("latency", 0.04, 1.3, 6), ("errors", 0.04, 1.0, None)]
)  # fmt: skip
def test_a_new_version_is_held_against_the_one_before(
    make: MakeEngine, kind: str, failed: float, slower: float, most: int | None
) -> None:
    """Version 7 shows 4 %; from 8 on there is a version every ten windows: none lives as long as it would have to learn."""
    journal, engine = Journal(), make(settings(), BASE)
    for second in range(LEARN + 5):
        run(engine, journal, second, called(second, "7", 0.04))
    assert engine.watchers[KEY].slots[ERRORS].detector is not None
    found = windows_to(engine, journal, kind, failed, slower)
    if most is None:
        assert found is None and not engine.alarms
    else:
        assert found is not None and found <= most
        (alarm,) = [alarm for alarm in engine.alarms if alarm.kind == kind]
        assert alarm.model.version == str(8 + (found - 1) // 10) and not alarm.shared


def test_a_bad_first_day_is_no_baseline(make: MakeEngine) -> None:
    """What version 8 is from its first window on, half of its calls failing, is never taken for ordinary."""
    journal, engine = Journal(), make(settings(), BASE)
    for second in range(LEARN + 5):
        run(engine, journal, second, called(second, "7", 0.04))
    run(engine, journal, LEARN + 5, called(LEARN + 5, "8", 0.5))
    new = engine.watchers[KEY._replace(version="8")].slots[ERRORS]
    assert new.learner is None and new.live == engine.watchers[KEY].slots[ERRORS].live
    assert new.last is not None and new.last.evidence > engine.watchers[KEY].slots[ERRORS].last.evidence  # type: ignore[union-attr]


def test_what_is_half_learned_is_learned_on(make: MakeEngine) -> None:
    """A version a few windows long: the next one learns on where it ended, so that the learning ends at all."""
    journal, engine = Journal(), make(settings(), BASE)
    for second in range(LEARN):
        run(engine, journal, second, called(second, str(second // 4), 0.04))
    newest = engine.watchers[KEY._replace(version=str((LEARN - 1) // 4))]
    assert newest.slots[ERRORS].detector is not None and newest.slots[LATENCY].detector is not None


def test_evidence_goes_on_and_an_alarm_stays_with_its_version(make: MakeEngine) -> None:
    journal, engine = Journal(), make(settings(), BASE)
    second = 0
    for second in range(LEARN + 5):
        run(engine, journal, second, called(second, "7", 0.04))
    while not engine.latched:
        second += 1
        run(engine, journal, second, called(second, "7", 0.3))
    engine.apply(journal.request(called(second + 1, "8", 0.04)))
    old, new = (engine.watchers[KEY._replace(version=v)].slots[ERRORS] for v in "78")
    assert old.latched and not new.latched and new.alarmed is None
    assert new.detector is not None and old.detector is not None
    assert new.detector._log_r.tobytes() == old.detector._log_r.tobytes()
    assert [alarm.model.version for alarm in engine.alarms] == ["7"]


def test_a_shadow_is_not_what_a_new_version_is_held_against(make: MakeEngine) -> None:
    journal, engine = Journal(), make(settings(), BASE)
    for second in range(LEARN + 5):
        shadow = replace(called(second, "shadow", 0.9), role="shadow")
        run(engine, journal, second, called(second, "7", 0.04), shadow)
    engine.apply(journal.request(called(LEARN + 5, "8", 0.04)))
    old, new = (engine.watchers[KEY._replace(version=v)].slots[ERRORS] for v in "78")
    assert new.live == old.live != b""


def test_a_replay_gives_the_same_bits(make: MakeEngine) -> None:
    journal, engine, again = Journal(), make(settings(), BASE), make(settings(), BASE)
    for second in range(LEARN + 12):
        run(engine, journal, second, called(second, str(second // 9), 0.04))
    for record in journal.records:
        again.gather(record)
    again.settle()
    assert digest(again) == digest(engine)


def log_r(engine: Engine, version: str, slot: Slot) -> bytes:
    detector = engine.watchers[KEY._replace(version=version)].slots[slot].detector
    assert detector is not None
    return detector._log_r.tobytes()


def test_evidence_is_bit_for_bit_that_of_one_file_for_all(make_engine: MakeEngine) -> None:
    """Errors and durations are counted alike in every file, whatever bins its features have."""
    one, each, journals = make_engine(settings(), BASE), own_files()(), (Journal(), Journal())
    for second in range(LEARN + 20):
        version = "7" if second < LEARN + 5 else str(8 + second // 4)
        for engine, journal in zip((one, each), journals, strict=True):
            run(engine, journal, second, called(second, version, 0.04 if version == "7" else 0.2, 1.4))
    assert len({model.spec.hash for model in each.models.values()}) == len(each.models) > 4
    for key in one.models:
        for slot in (ERRORS, LATENCY):
            assert log_r(one, key.version, slot) == log_r(each, key.version, slot)
    told = [[(a.kind, a.model, a.raised_ns, a.evidence, a.n) for a in engine.alarms] for engine in (one, each)]
    assert told[0] == told[1] != []


def test_files_that_know_errors_and_durations_are_held_against_the_version_before_too() -> None:
    """Version 8's own file says that half of its calls fail, slowly: that is not what it is compared with."""

    def served(version: str) -> Baseline:
        batch = called(0, version, 0.04 if version == "7" else 0.5, 1.0 if version == "7" else 3.0, n=6000)
        spread = replace(batch, event_time_ns=START + (np.arange(6000) * SECOND // 100))
        return build(BaselineColumns(spread, None, True), Spec(task="binary", positive="1"), window_s=1.0)

    bases = {version: served(version) for version in "78"}
    journal, engine = Journal(), Engine(settings(), lambda key, _: (bases[key.version], ""))
    for second in range(10):
        run(engine, journal, second, called(second, "7", 0.04))
    assert not engine.alarms
    for second in range(10, 16):
        run(engine, journal, second, called(second, "8", 0.5, 3.0))
    assert {alarm.kind for alarm in engine.alarms} == {"errors", "latency"}
    assert {alarm.baseline for alarm in engine.alarms} == {bases["7"].id}


@pytest.fixture
def born_again(tmp_path: Path) -> Iterator[Callable[[Engine], Engine]]:
    """Save an engine and bring it back, again and again from one file."""
    with ExitStack() as stores:

        def opened() -> Checkpoint:
            store = Store(tmp_path)
            stores.callback(store.close)
            return Checkpoint(store)

        saved = {"last": opened()}

        def again(engine: Engine) -> Engine:
            saved["last"].save(engine)
            saved["last"] = opened()
            back = Engine(engine.config, engine.fleet.find_baseline, saved["last"])
            saved["last"].restore(back)
            return back

        yield again


def test_it_outlives_restarts_and_the_file_of_the_version_before(born_again: Callable[[Engine], Engine]) -> None:
    """A restart before, between and after deploys changes no bit; the first version may be forgotten, and its file be gone."""
    journal, through, stopped = Journal(), own_files()(), own_files()()
    for second in range(LEARN + 15):
        version = "7" if second < LEARN + 5 else str(8 + second // 4)
        records = len(journal.records)
        run(through, journal, second, called(second, version, 0.04 if version == "7" else 0.3))
        for record in journal.records[records:]:
            stopped.apply(record)
        if second % 6 == 0 or second > LEARN + 5:
            stopped = born_again(stopped)
    assert digest(stopped) == digest(through)
    assert any(alarm.kind == "errors" for alarm in stopped.alarms)
    newest = list(stopped.models)[-1]
    for key in [key for key in stopped.models if key != newest]:
        order = Command(0, "forget", "ada", "gone", START, model=key)
        for engine in (through, stopped):
            engine.execute(order)
    find, first = stopped.fleet.find_baseline, through.watchers[newest].carried
    assert first is not None

    def without(key: ModelKey, config: ModelConfig) -> tuple[Baseline | None, str]:
        assert key == newest, "nobody asks for the others' files"
        return find(key, config)

    stopped.fleet.find_baseline = without
    stopped = born_again(stopped)
    found = stopped.watchers[newest].carried
    assert found is not None and found.id == first.id
    assert log_r(stopped, newest.version, ERRORS) == log_r(through, newest.version, ERRORS)


def test_an_alarm_is_cleared_and_the_list_and_latches_agree(restart: Callable[[Engine], Engine]) -> None:
    journal, engine = Journal(), own_files()()
    second = 0
    for second in range(LEARN + 5):
        run(engine, journal, second, called(second, "7", 0.04))
    while not engine.latched:
        second += 1
        run(engine, journal, second, called(second, "8", 0.3))
    engine = restart(engine)
    (alarm,) = engine.book.standing()
    watcher = engine.watchers[alarm.model]
    assert watcher.carried is not None and alarm.baseline == watcher.carried.id != watcher.baseline.id  # type: ignore[union-attr]
    assert watcher.latch_of(alarm) is watcher.slots[ERRORS] and watcher.slots[ERRORS].latched
    engine.execute(Command(alarm.id, "clear", "ada", "mended", START))
    assert not watcher.slots[ERRORS].latched and not restart(engine).latched


def test_a_rebase_goes_by_the_versions_own_file_again(restart: Callable[[Engine], Engine]) -> None:
    journal, engine = Journal(), own_files()()
    for second in range(LEARN + 8):
        run(engine, journal, second, called(second, "7" if second < LEARN + 5 else "8", 0.04))
    key = KEY._replace(version="8")
    assert engine.watchers[key].carried is not None
    engine.apply(journal.order(Command(0, "rebase", "ada", "meant", START, model=key)))
    assert engine.watchers[key].carried is None and engine.watchers[key].slots[ERRORS].learner is not None
    run(engine, journal, LEARN + 8, called(LEARN + 8, "9", 0.04))
    back = restart(engine)
    assert digest(back) == digest(engine)
    nine = back.watchers[KEY._replace(version="9")].carried
    assert nine is not None and nine.id == engine.models[key].baseline.id  # type: ignore[union-attr]
