"""Features belong to the model: counted once over all versions that serve, watched with the weights that they had, over every deploy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.engine.conftest import KEY, SECOND, START, Journal, MakeEngine, baseline, configuration, rows

from calidris.baseline import Baseline
from calidris.batch import ModelKey, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig
from calidris.detect import Alert, Detector, Slot
from calidris.engine.build_snapshot import snapshot
from calidris.engine.checkpoint.digest import digest
from calidris.engine.checkpoint.save import Checkpoint
from calidris.engine.checkpoint.store import Store
from calidris.engine.commands import CLEAR, FORGET, Command
from calidris.engine.core import Engine
from calidris.engine.detectors.set_aside import set_aside
from calidris.state import CountsState, Role

SLOT = Slot(Alert.DRIFT, 1.0)
BASE = baseline()
FEATURES = ("age", "income", "country")


def settings() -> CalidrisConfig:
    """Drift alone is watched: what else a version has is its own, and costs time."""
    others = ("performance", "calibration", "errors", "latency", "fairness", "versions")
    shares = {"drift": 1.0, **dict.fromkeys(others, 0.0)}
    return configuration(detect={"windows": ["1s"], "false_alarms": "1 per day", "shares": shares})


def version(number: int) -> ModelKey:
    return KEY._replace(version=str(number))


def at(second: int, key: ModelKey = KEY, n: int = 60, shift: float = 0.0, role: str | None = None) -> PredictionBatch:
    """The rows of one version in one second; only their ages move, the scores are those of before."""
    batch = rows(1000 * int(key.version) + second, n, START + second * SECOND, span_s=0.9, key=key)
    age = batch.features["age"]
    assert isinstance(age, NumberColumn)
    moved = NumberColumn.of(age.values + shift)
    return replace(batch, features={**batch.features, "age": moved}, role=role)


def run(engine: Engine, journal: Journal, second: int, *batches: PredictionBatch) -> None:
    for batch in batches:
        engine.apply(journal.request(batch))
    engine.apply(journal.seal(START + (second + 1) * SECOND))


def features_of(batches: list[PredictionBatch]) -> CountsState:
    """Counts of features alone, one row after the other, by the baseline's bins."""
    counts, spec = CountsState(BASE.spec), BASE.spec
    for batch in batches:
        cells = spec.encode(batch)
        for place, field in enumerate(spec.fields):
            if place == 0 or field.role is Role.FEATURE:
                np.add.at(counts.array, cells[place], 1)
    return counts


def test_what_serves_is_counted_once_and_shadows_are_not(make_engine: MakeEngine) -> None:
    journal, engine = Journal(), make_engine(settings(), BASE)
    champion, canary, shadow = at(0), at(0, version(8), role="canary"), at(0, version(9), role="shadow")
    for batch in (champion, shadow, canary, at(1)):
        engine.apply(journal.request(batch))
    world = engine.worlds.of(KEY)
    assert world is not None
    # Rows of before the world began lie in a window that is open: they are in it too.
    assert np.array_equal(world.shared.counts_of(START, SECOND), features_of([champion, canary]).array)
    assert np.array_equal(world.shared.counts_of(START + SECOND, SECOND), features_of([at(1)]).array)


@pytest.mark.parametrize("role", ["shadow", None, "canary"])
def test_a_shadow_begins_no_world(make_engine: MakeEngine, role: str | None) -> None:
    journal, engine = Journal(), make_engine(settings(), BASE)
    run(engine, journal, 0, at(0), at(0, version(8), role=role))
    assert (engine.worlds.of(KEY) is None) == (role == "shadow")
    for batch in (at(1), at(1, version(8))):  # promoted: it serves from here on
        engine.apply(journal.request(batch))
    world = engine.worlds.of(KEY)
    assert world is not None
    # What it was asked as a shadow stays out.
    expected = features_of([at(1), at(1, version(8))])
    assert np.array_equal(world.shared.counts_of(START + SECOND, SECOND), expected.array)


def test_evidence_is_that_of_one_detector_on_all_windows(make_engine: MakeEngine) -> None:
    """A version every five seconds: the world's evidence is that of the version's own bets on all rows, to the last bit."""
    journal, engine = Journal(), make_engine(settings(), BASE)
    seen = []
    for second in range(40):
        key = version(1 + second // 5)
        batch = at(second, key, shift=3.0)
        run(engine, journal, second, batch)
        if second >= 5:
            world = engine.worlds.of(key)
            assert world is not None
            last = world.slots[SLOT].last
            assert last is not None
            seen.append(last.evidence)
    watch = engine.watchers[version(8)].slots[SLOT]
    assert watch.detector is not None
    whole = watch.recipe.game  # with features left out; the weights come from the baseline alone
    bets = set_aside(_own_game(engine), {"ml.prediction.score"})
    alone = Detector(bets, watch.threshold, watch.minimum_rows)
    expected = [alone.score(features_of([at(s, version(1 + s // 5), shift=3.0)]).array).evidence for s in range(40)]
    assert whole is not None
    fired = next((s for s, value in enumerate(expected) if value >= 1.0), 40)
    assert fired < 40, "a test that says nothing"
    assert seen[: fired - 5] == expected[5:fired]


def _own_game(engine: Engine):  # type: ignore[no-untyped-def]
    fresh = Engine(engine.config, lambda key, _: (BASE, ""))
    fresh.apply(Journal().request(at(0)))
    detector = fresh.watchers[KEY].slots[SLOT].detector
    assert detector is not None
    return detector.bets


def test_the_budget_is_spent_once(make_engine: MakeEngine) -> None:
    """Weights of the world's bets and of the version's add up to what one slot had; the threshold is the same."""
    journal, engine = Journal(), make_engine(settings(), BASE)
    before = _own_game(engine)
    run(engine, journal, 0, at(0), at(0, version(8)))
    world = engine.worlds.of(KEY)
    assert world is not None
    for key in (KEY, version(8)):
        mine, shared = engine.watchers[key].slots[SLOT], world.slots[SLOT]
        assert mine.detector is not None and shared.detector is not None
        assert mine.threshold == shared.threshold
        bets = (mine.detector.bets, shared.detector.bets)
        assert np.array_equal(sum(one.field_weight for one in bets), before.field_weight)  # type: ignore[attr-defined]
        assert not (bets[0].field_weight * bets[1].field_weight).any()  # type: ignore[attr-defined]
        told = dict(zip(bets[0].names, bets[0].field_weight, strict=True))  # type: ignore[attr-defined]
        assert {name for name, weight in told.items() if weight} == {"ml.prediction.score"}


def deploy_daily(engine: Engine, journal: Journal, seconds: range, shift: Callable[[int], float]) -> None:
    for second in seconds:
        run(engine, journal, second, at(second, version(1 + second // 4), shift=shift(second)))


def test_a_change_is_found_across_deploys_and_told_of_the_version_that_leads(make_engine: MakeEngine) -> None:
    journal, engine = Journal(), make_engine(settings(), BASE)
    deploy_daily(engine, journal, range(60), lambda second: 0.0 if second < 10 else 3.0)
    (alarm,) = [alarm for alarm in engine.alarms if alarm.kind == "drift"]
    assert alarm.shared and [feature.name for feature in alarm.features] == ["age"]
    assert alarm.features[0].direction == "mean up" and alarm.baseline == BASE.id
    raised = (alarm.raised_ns - START) // SECOND - 1
    assert alarm.model == version(1 + raised // 4) and alarm.trace_ids
    assert START + 8 * SECOND <= alarm.since_ns <= alarm.raised_ns and alarm.n == 60 * alarm.windows


def test_nothing_is_found_where_nothing_changes(make_engine: MakeEngine) -> None:
    journal, engine = Journal(), make_engine(settings(), BASE)
    deploy_daily(engine, journal, range(120), lambda second: 0.0)
    assert not engine.alarms


def test_a_standing_alarm_of_the_version_before_is_not_raised_again(make_engine: MakeEngine) -> None:
    """The world takes it: the same change raises no second one, clearing it lets the evidence begin anew."""
    journal, engine = Journal(), make_engine(settings(), BASE)
    second = 0
    while not engine.latched:
        run(engine, journal, second, at(second, shift=9.0))
        second += 1
    (alarm,) = engine.alarms
    assert not alarm.shared
    for later in range(second, second + 20):
        run(engine, journal, later, at(later, version(8), shift=9.0))
    assert [one.id for one in engine.alarms] == [1] and engine.alarms[0].shared
    assert engine.alarms[0].model == KEY
    engine.apply(journal.order(Command(1, CLEAR, "ada", "the branch asks older people", START)))
    assert not engine.latched
    for later in range(second + 20, second + 40):
        run(engine, journal, later, at(later, version(8), shift=9.0))
    assert [(one.id, one.shared, one.model) for one in engine.alarms] == [(1, True, KEY), (2, True, version(8))]


class Receiver:
    """An engine over its state file, which may be killed at any moment: what came since the last checkpoint is replayed."""

    def __init__(self, path: Path, journal: Journal) -> None:
        self.path, self.journal = path, journal
        self.start()

    def start(self) -> None:
        self.store = Store(self.path)
        self.checkpoint = Checkpoint(self.store)
        self.engine = Engine(settings(), lambda key, _: (BASE, ""), self.checkpoint)
        self.checkpoint.restore(self.engine)
        self.catch_up()

    def catch_up(self) -> None:
        for record in self.journal.records[self.engine.sequence :]:
            self.engine.apply(record)

    def kill(self) -> None:
        self.store.close()
        self.start()


@pytest.mark.parametrize("every", [1, 7])
def test_killed_at_any_moment_it_goes_on_bit_by_bit(make_engine: MakeEngine, tmp_path: Path, every: int) -> None:
    """A kill after each second, a checkpoint now and then, against an engine that ran through; the alarm stands in both."""
    journal, engine = Journal(), make_engine(settings(), BASE)
    receiver = Receiver(tmp_path, journal)
    for second in range(24):
        run(engine, journal, second, at(second, version(1 + second // 4), shift=0.0 if second < 10 else 4.0))
        receiver.catch_up()
        if second % every == 0:
            receiver.checkpoint.save(receiver.engine)
        receiver.kill()
        assert digest(receiver.engine) == digest(engine), second
    assert engine.latched and receiver.engine.latched == engine.latched
    (alarm,) = receiver.engine.alarms
    assert alarm.shared and receiver.engine.worlds.of(KEY) is not None
    receiver.store.close()


def test_gathered_rows_are_shared_bit_by_bit(make_engine: MakeEngine) -> None:
    journal, one, many = Journal(), make_engine(settings(), BASE), make_engine(settings(), BASE)
    for second in range(12):
        for part in range(5):
            key = version(1 + (second * 5 + part) // 7)
            record = journal.request(at(second * 7 + part, key, n=20))
            one.apply(record)
            many.gather(record)
        record = journal.seal(START + (second * 7 + 1) * SECOND)
        one.apply(record)
        many.gather(record)
    many.settle()
    assert digest(one) == digest(many)


def test_forgetting_all_versions_ends_the_world_and_its_alarm(make_engine: MakeEngine, tmp_path: Path) -> None:
    journal, engine = Journal(), make_engine(settings(), BASE)
    deploy_daily(engine, journal, range(30), lambda second: 0.0 if second < 10 else 9.0)
    receiver = Receiver(tmp_path, journal)
    receiver.checkpoint.save(receiver.engine)
    assert engine.latched and receiver.engine.latched
    everything = KEY._replace(version="")
    engine.apply(journal.order(Command(0, FORGET, "ada", "retired", START, model=everything)))
    receiver.catch_up()
    receiver.checkpoint.save(receiver.engine)
    receiver.kill()
    for one in (engine, receiver.engine):
        assert not one.latched and one.worlds.of(KEY) is None and not one.models
    assert digest(receiver.engine) == digest(engine)
    (left,) = receiver.store.db.execute("SELECT (SELECT count(*) FROM panes) + (SELECT count(*) FROM blobs)").fetchone()
    assert left == 0, "nothing of it is left on the disk"
    run(engine, journal, 31, at(31, version(9)))
    assert engine.worlds.of(KEY) is None, "one version alone has its features to itself"
    receiver.store.close()


def test_a_shared_alarm_outlives_the_version_that_it_was_told_of(make_engine: MakeEngine) -> None:
    """It is told of another one that is watched, so that its series stays; it ends with the last version."""
    journal, engine = Journal(), make_engine(settings(), BASE)
    deploy_daily(engine, journal, range(24), lambda second: 0.0 if second < 10 else 9.0)
    (alarm,) = engine.alarms
    newest = version(6)
    assert alarm.shared and alarm.model != newest
    engine.apply(journal.order(Command(0, FORGET, "ada", "", START, model=alarm.model)))
    assert alarm.model not in engine.models and engine.latched == {alarm.id}
    assert [(one.id, one.model) for one in engine.alarms] == [(alarm.id, newest)]
    for key in [key for key in engine.models if key != newest]:
        engine.apply(journal.order(Command(0, FORGET, "ada", "", START, model=key)))
    engine.apply(journal.order(Command(0, FORGET, "ada", "", START, model=newest)))
    assert engine.latched == {alarm.id}, "the last one takes the alarm with it, which needs a reason"
    engine.apply(journal.order(Command(0, FORGET, "ada", "retired", START, model=newest)))
    assert not engine.latched and not engine.models and engine.worlds.of(KEY) is None


def test_versions_of_other_bins_share_the_first_ones(make_engine: MakeEngine) -> None:
    """A baseline a version: the features are coded once more, by the spec of the version that came first."""
    other = baseline(windows=61)
    bases: dict[str, Baseline] = {"7": BASE, "8": other}
    engine = Engine(settings(), lambda key, _: (bases[key.version], ""))
    journal = Journal()
    assert BASE.spec.hash != other.spec.hash
    first, second = at(0), at(1, version(8))
    run(engine, journal, 0, first)
    run(engine, journal, 1, second)
    world = engine.worlds.of(KEY)
    assert world is not None and world.baseline.id == BASE.id
    engine.apply(journal.request(at(2, version(8))))
    assert np.array_equal(world.shared.counts_of(START + 2 * SECOND, SECOND), features_of([at(2, version(8))]).array)


def test_what_is_shown_of_a_version_has_the_evidence_of_the_world(make_engine: MakeEngine) -> None:
    journal, engine = Journal(), make_engine(settings(), BASE)
    for second in range(5):
        run(engine, journal, second, at(second, shift=3.0), at(second, version(8), role="canary", shift=3.0))
    world = engine.worlds.of(KEY)
    assert world is not None
    last = world.slots[SLOT].last
    assert last is not None and last.evidence > 0
    for model in snapshot(engine, START).models:
        found = {
            dict(r.attributes).get("ml.feature.name"): r.value
            for r in model.readings
            if r.metric.name == "ml.detection.evidence" and dict(r.attributes)["ml.detection.kind"] == "drift"
        }
        assert found["age"] == pytest.approx(last.fields["age"]), last
        assert found["age"] > 0
        assert set(found) == {None, *FEATURES, "ml.prediction.score"}
        assert found[None] == pytest.approx(max(last.evidence, found["ml.prediction.score"]))
        assert model.history[-1].evidence == pytest.approx(found[None])
