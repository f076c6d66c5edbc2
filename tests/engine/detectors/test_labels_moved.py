"""Labels that come at other times than they did: a ticket of their own, and what they say of the model is on hold meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from tests.engine.conftest import KEY, SECOND, START, Journal

from calidris.api.json_shapes import status_json
from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import CodedColumn, Floats, LabelBatch, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig, ExportConfig, ModelConfig
from calidris.detect import Slot
from calidris.engine.build_snapshot import snapshot
from calidris.engine.checkpoint.digest import digest
from calidris.engine.commands import RECOVERY, BadCommand, Command
from calidris.engine.core import Engine
from calidris.export import points
from calidris.state import Spec

HOUR = 3600 * SECOND
WINDOW = 5 * 60 * SECOND
ROWS = 300
LEARNED = 36
"""Windows of three hours, that live ones are learned for."""
AGE = 6 * HOUR
DETECT = {"windows": ["5m"], "false_alarms": "1 per month", "label_age": "6h", "learn": "3h"}
JUDGED = {"performance", "calibration", "fairness"}


@dataclass(frozen=True)
class How:
    """How labels come: the share of positive ones that come too late, and how fast those of either class come that do not."""

    late: float = 0.0
    slow: float = 0.4  # share that takes more than an hour
    wrong: float = 0.0  # share of outcomes that are turned round
    labelled: float = 0.9  # share of rows that ever get one


def draw(seed: int, n: int, start_ns: int, span_ns: int, how: How) -> tuple[PredictionBatch, LabelBatch, Floats]:
    """Rows of which most negative ones are plain, so that negative outcomes are wrong less often than positive ones."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(1.5, 1.0, n)
    outcome = rng.random(n) < 1 / (1 + np.exp(-logit))
    outcome ^= rng.random(n) < how.wrong
    times = start_ns + np.sort(rng.integers(0, span_ns, n))
    delay = np.where(rng.random(n) < how.slow, 3 * 3600.0, 600.0)
    delay = np.where(outcome & (rng.random(n) < how.late), 3 * 86400.0, delay)
    rows = PredictionBatch(
        model=KEY,
        event_time_ns=times,
        features={"x": NumberColumn.of(rng.normal(size=n))},
        ids=[f"{seed}-{i}" for i in range(n)],
        score=NumberColumn.of(1 / (1 + np.exp(-logit))),
        slices={"sex": CodedColumn.of(rng.choice(["f", "m"], n).tolist())},
    )
    assert rows.ids is not None
    some = np.nonzero(rng.random(n) < how.labelled)[0]
    known = times[some] + (delay[some] * SECOND).astype(np.int64)
    ids = [rows.ids[i] for i in some.tolist()]
    labels = LabelBatch("default", KEY.name, ids, NumberColumn.of(outcome[some]), known)
    return rows, labels, delay


def base_of(label_times: bool, windows: int = 200) -> Baseline:
    n = windows * ROWS
    rows, labels, delay = draw(1, n, START - windows * WINDOW, windows * WINDOW, How(labelled=1.0))
    columns = BaselineColumns(rows, labels.label, delay_s=delay if label_times else None)
    return build(columns, Spec(positive="1"), window_s=300.0, slices=["sex"])


@pytest.fixture(scope="module")
def plain() -> Baseline:
    """As README's command makes it: it does not know when its labels came."""
    return base_of(label_times=False)


@pytest.fixture(scope="module")
def dated() -> Baseline:
    return base_of(label_times=True)


def engine_with(base: Baseline, **detect: object) -> Engine:
    model = {
        "name": "credit", "windows": ["5m"], "slices": ["sex"], "detect": DETECT | detect,
        "fairness": {"attribute": "sex", "measures": ["accuracy"], "tolerance": 0.1},
    }  # fmt: skip
    return Engine(CalidrisConfig(models=(ModelConfig.model_validate(model),)), lambda *_: (base, ""))


def run(engine: Engine, journal: Journal, first: int, windows: int, how: How) -> None:
    """Windows with their labels, each closed at its end, and scored by their labels at once: the age is passed between them."""
    for w in range(first, first + windows):
        begin = START + w * WINDOW
        rows, labels, _ = draw(100 + w, ROWS, begin, WINDOW, how)
        for item in (rows, labels):
            engine.apply(journal.request(item, arrival_ns=begin))
        engine.apply(journal.seal(begin + WINDOW))


def come_of_age(engine: Engine, journal: Journal, windows: int) -> None:
    """The age passes without rows; those of one window come at last, so that the model is live."""
    run(engine, journal, windows + AGE // WINDOW, 1, How())


def waits(engine: Engine) -> dict[str, str]:
    """Kind to what it waits for, by the read API; the exposition says the same."""
    taken = snapshot(engine, 0)
    found = {p.attributes["ml.detection.kind"]: p.attributes["ml.detection.waits_for"]
             for p in points(taken, ExportConfig()) if p.metric.name == "ml.detection.waiting"}  # fmt: skip
    told = {w["kind"]: w["for"] for w in status_json(taken, ready=True, health={})["models"][0]["waiting"]}
    assert found == told
    return found


def scored(engine: Engine) -> dict[str, int]:
    slots = engine.watchers[KEY].slots.items()
    return {slot.kind.value: watch.detector.scored for slot, watch in slots if watch.detector is not None}


def test_one_outcome_late_from_the_start_is_no_loss_of_performance(plain: Baseline) -> None:
    """The baseline has labels of any age, live windows those of six hours: compared with each other they differ for ever."""
    engine, journal = engine_with(plain), Journal()
    late = How(late=0.6)
    run(engine, journal, 0, LEARNED + 40, late)
    come_of_age(engine, journal, LEARNED + 40)
    assert engine.alarms == []
    assert scored(engine)["performance"] == 40


def test_an_outcome_that_becomes_late_raises_a_ticket_of_the_labels_and_nothing_else(plain: Baseline) -> None:
    engine, journal = engine_with(plain), Journal()
    run(engine, journal, 0, LEARNED + 20, How())
    run(engine, journal, LEARNED + 20, 40, How(late=0.9))
    come_of_age(engine, journal, LEARNED + 60)
    (alarm,) = engine.alarms
    assert (alarm.kind, alarm.reference) == ("labels", "coverage")
    assert [(f.name, f.direction) for f in alarm.features] == [("a label within 6h", "less often")]
    assert waits(engine) == dict.fromkeys(JUDGED, "labels_moved")
    status = snapshot(engine, 0).models[0].status_detail
    assert "labels come at other times" in status and "performance, calibration, fairness are not judged" in status
    assert scored(engine)["performance"] <= 25, "those before the labels moved, and none since"


def test_a_real_loss_is_raised_as_before(plain: Baseline) -> None:
    engine, journal = engine_with(plain), Journal()
    run(engine, journal, 0, LEARNED + 20, How())
    run(engine, journal, LEARNED + 20, 40, How(wrong=0.2))
    come_of_age(engine, journal, LEARNED + 60)
    assert "performance" in {a.kind for a in engine.alarms} and "labels" not in {a.kind for a in engine.alarms}


def test_with_label_times_performance_begins_at_once(dated: Baseline, plain: Baseline) -> None:
    for base, begun in ((dated, 3), (plain, 0)):
        engine, journal = engine_with(base), Journal()
        run(engine, journal, 0, 3, How())
        come_of_age(engine, journal, 3)
        assert scored(engine).get("performance", 0) == begun
        said = snapshot(engine, 0).models[0].status_detail
        assert ("was built without --label-time" in said) == (not begun)


def test_delays_move_within_the_age_and_the_baseline_knows_them(dated: Baseline) -> None:
    engine, journal = engine_with(dated), Journal()
    run(engine, journal, 0, 30, How(slow=0.7))
    come_of_age(engine, journal, 30)
    first = engine.alarms[0]
    # The other outcome's labels may take a window longer to be sure of: they renew the alarm then.
    assert all((a.kind, a.reference, a.renews) == ("labels", "delays", first.id) for a in engine.alarms[1:])
    assert (first.kind, first.reference, first.renews) == ("labels", "delays", 0)
    named = {(f.name, f.direction) for a in engine.alarms for f in a.features}
    assert named <= {(f"outcome {outcome} within 1h", "less often") for outcome in (0, 1)}


def test_it_goes_on_when_the_labels_are_back_and_when_somebody_clears(dated: Baseline) -> None:
    engine, journal = engine_with(dated), Journal()
    run(engine, journal, 0, 10, How(slow=0.8))
    run(engine, journal, 10, 60, How())
    come_of_age(engine, journal, 70)
    (alarm,) = engine.alarms
    assert alarm.recovered_ns and engine.latched == set()
    assert [(order.action, order.by) for order in engine.commands] == [("clear", RECOVERY)]
    assert "labels_moved" not in waits(engine).values() and scored(engine)["performance"] >= 30
    run(engine, journal, 160, 10, How(slow=0.8))
    come_of_age(engine, journal, 170)
    assert 2 in engine.latched and set(waits(engine)) >= JUDGED
    for number in sorted(engine.latched):  # what took longer to be sure of is an alarm of its own
        assert "labels_moved" in waits(engine).values()
        engine.execute(Command(number, "clear", "ada", "looked at", START))
    assert "labels_moved" not in waits(engine).values()


def test_labels_that_moved_for_good_are_learned_anew(dated: Baseline, restart: Callable[[Engine], Engine]) -> None:
    """Somebody labels in another way now: the alarm ends, performance goes on and finds a loss, and labels can move again."""
    engine, journal = engine_with(dated), Journal()
    run(engine, journal, 0, 10, How(slow=0.8))
    come_of_age(engine, journal, 10)
    assert [a.kind for a in engine.book.standing()] == ["labels"] * len(engine.latched) and engine.latched
    before, held = engine.latched.copy(), scored(engine)["performance"]
    order = Command(0, "relabel", "ada", "a new vendor labels", START, model=KEY)
    engine.apply(journal.order(order))
    assert engine.latched == set() and engine.commands[0] == order
    assert {one.alarm for one in engine.commands if one.action == "relabel"} == {0, *before}
    assert waits(engine)["labels"] == "labels" and "labels_moved" not in waits(engine).values()
    run(engine, journal, 100, LEARNED + 10, How(slow=0.8))
    engine = restart(engine)
    come_of_age(engine, journal, 100 + LEARNED + 10)
    assert engine.latched == set() and scored(engine)["labels"] > 0, "how they come now is ordinary"
    assert scored(engine)["performance"] > held + LEARNED
    run(engine, journal, 300, 30, How(slow=0.8, wrong=0.5))
    come_of_age(engine, journal, 330)
    assert "performance" in {a.kind for a in engine.book.standing()} and before.isdisjoint(engine.latched)
    run(engine, journal, 500, 20, How(slow=0.1))
    come_of_age(engine, journal, 520)
    assert "labels" in {a.kind for a in engine.book.standing()}, "back at the old way they have moved again"
    again = engine_with(dated)
    for record in journal.records:
        again.apply(record)
    assert digest(again) == digest(engine)


def test_the_next_version_learns_on_and_every_version_may_be_meant(dated: Baseline) -> None:
    engine, journal = engine_with(dated), Journal()
    run(engine, journal, 0, 3, How())
    engine.apply(journal.order(Command(0, "relabel", "ada", "a new vendor", START, model=KEY._replace(version=""))))
    rows, _, _ = draw(1, ROWS, START + 4 * WINDOW, WINDOW, How())
    engine.apply(journal.request(replace(rows, model=KEY._replace(version="8"))))
    assert [watcher.relabelled for watcher in engine.watchers.values()] == [True, True]
    for order in (Command(0, "relabel", "ada", "why", START, model=KEY._replace(name="nobody")),):
        engine.apply(journal.order(order))
        assert order not in engine.commands
    with pytest.raises(BadCommand, match="for a reason"):
        Command(0, "relabel", "ada", " ", START, model=KEY)


@pytest.mark.parametrize("cut", [0.5, 0.72, 0.9])
def test_a_restart_changes_nothing(plain: Baseline, cut: float, restart: Callable[[Engine], Engine]) -> None:
    one, other, journal = engine_with(plain), engine_with(plain), Journal()
    run(one, journal, 0, LEARNED + 5, How())
    run(one, journal, LEARNED + 5, 80, How(late=0.9))
    run(one, journal, LEARNED + 85, 60, How())
    come_of_age(one, journal, LEARNED + 145)
    at = round(len(journal.records) * cut)
    for record in journal.records[:at]:
        other.apply(record)
    other = restart(other)
    for record in journal.records[at:]:
        other.apply(record)
    assert one.alarms == other.alarms and [a.kind for a in one.alarms] == ["labels"]
    assert digest(one) == digest(other)


def test_held_windows_neither_teach_nor_say_that_an_alarm_is_over(plain: Baseline) -> None:
    engine, journal = engine_with(plain), Journal()
    run(engine, journal, 0, LEARNED + 5, How())
    run(engine, journal, LEARNED + 5, 20, How(wrong=0.3))
    run(engine, journal, LEARNED + 25, 30, How(late=0.95))
    come_of_age(engine, journal, LEARNED + 55)
    kinds = [a.kind for a in engine.alarms]
    assert "performance" in kinds and "labels" in kinds
    loss = next(a for a in engine.alarms if a.kind == "performance")
    assert not loss.recovered_ns
    watch = engine.watchers[KEY].slots[
        Slot(next(s.kind for s in engine.watchers[KEY].slots if s.kind == "performance"), 300.0)
    ]
    assert watch.held >= 25


RARE = 0.0009
"""Of a score: of 36 windows not ten outcomes are expected, of 66 more."""


def rare(seed: int, windows: int, start_ns: int) -> tuple[PredictionBatch, LabelBatch]:
    n, rng = windows * ROWS, np.random.default_rng(seed)
    score = np.full(n, RARE) * rng.uniform(0.9, 1.1, n)
    times = start_ns + np.arange(n) * (WINDOW // ROWS)
    ids = [f"{seed}-{i}" for i in range(n)]
    batch = PredictionBatch(
        model=KEY, event_time_ns=times, features={"x": NumberColumn.of(rng.normal(size=n))}, ids=ids,
        score=NumberColumn.of(score), slices={"sex": CodedColumn.of(rng.choice(["f", "m"], n).tolist())},
    )  # fmt: skip
    outcome = NumberColumn.of((rng.random(n) < score).astype(np.float64))
    return batch, LabelBatch("default", KEY.name, ids, outcome, times + SECOND)


def test_where_outcomes_are_rare_calibration_learns_on_and_says_so(restart: Callable[[Engine], Engine]) -> None:
    rows, labels = rare(1, 200, START - 200 * WINDOW)
    base = build(BaselineColumns(rows, labels.label), Spec(positive="1"), window_s=300.0, slices=["sex"])
    engine, journal = engine_with(base), Journal()
    for first, windows, learns in ((0, LEARNED + 10, True), (LEARNED + 82, 40, False)):
        for w in range(first, first + windows):
            for item in rare(100 + w, 1, START + w * WINDOW):
                engine.apply(journal.request(item))
            engine.apply(journal.seal(START + (w + 1) * WINDOW))
        engine.apply(journal.seal(START + (first + windows) * WINDOW + AGE))
        engine = restart(engine)
        assert (waits(engine).get("calibration") == "learning") == learns
        assert "performance" not in waits(engine)
