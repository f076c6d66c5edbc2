"""A model is forgotten by a command of the journal: what goes, what stays, and that a replay does the same."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.engine.conftest import KEY, SECOND, START, Journal, MakeEngine, baseline, labels, rows

from calidris import semconv
from calidris.batch import ModelKey
from calidris.engine.build_snapshot import snapshot
from calidris.engine.checkpoint.digest import digest
from calidris.engine.commands import BadCommand, Command
from calidris.engine.core import Engine
from calidris.engine.inbox import Received
from calidris.wire import Report

EIGHT = KEY._replace(version="8")
EVERY = KEY._replace(version="")
RETIRED, RECEIVED = semconv.METRIC_CALIDRIS_ROWS_RETIRED.name, semconv.METRIC_CALIDRIS_ENGINE_ROWS.name


def forgetting(model: ModelKey = EVERY, reason: str = "retired") -> Command:
    return Command(0, "forget", "ada", reason, START, "oncall", model)


def ordered(journal: Journal, command: Command) -> Received:
    """The record of a command."""
    record = Received(len(journal.records) + 1, START, "default", b"", 0, None, None, lambda: None, command)
    journal.records.append(record)
    return record


def story(alarm: bool) -> Journal:
    """Two versions, labels, some of which wait, and perhaps an alarm of version 7."""
    journal = Journal()
    for w in range(6):
        batch = rows(w, 100, START + w * SECOND, shift=20.0 if alarm and w > 1 else 0.0)
        eight = rows(50 + w, 30, START + w * SECOND, key=EIGHT)
        journal.request(batch)
        journal.request(eight)
        journal.request(labels(batch, w))
        journal.seal(START + (w + 1) * SECOND)
    journal.request(labels(rows(99, 10), 99))  # of predictions that never came
    return journal


def played(engine: Engine, records: list[Received]) -> Engine:
    for record in records:
        engine.apply(record)
    return engine


def balanced(engine: Engine) -> bool:
    rows_now = sum(model.rows for model in engine.models.values())
    counted = {name: sum(reasons.values()) for name, reasons in engine.counters.items()}
    labels_now = sum(model.labels for model in engine.models.values()) + sum(map(len, engine.early.values()))
    lost = counted.get("calidris.labels.unmatched", 0) + counted.get("calidris.labels.retired", 0)
    return (
        counted[RECEIVED] == rows_now + counted.get(RETIRED, 0)
        and counted["calidris.engine.labels"] == labels_now + lost
    )


def test_all_of_a_model_goes_and_its_totals_stay_as_retired(make_engine: MakeEngine) -> None:
    journal = story(alarm=False)
    engine = played(make_engine(base=baseline()), journal.records)
    assert set(engine.models) == {KEY, EIGHT} and engine.early
    engine.apply(ordered(journal, forgetting()))
    assert not engine.models and not engine.watchers and not len(engine.registry) and not engine.early
    assert not snapshot(engine, START).models
    assert engine.counters[RETIRED][""] == 780 and balanced(engine)
    assert engine.counters["calidris.labels.unmatched"]["forgotten"] == 10
    assert semconv.METRIC_CALIDRIS_MODELS_RETIRED.name not in engine.counters  # nobody made room
    (order,) = engine.commands
    assert (order.by, order.reason, order.token, order.model) == ("ada", "retired", "oncall", EVERY)


def test_one_version_goes_and_the_other_stays(make_engine: MakeEngine) -> None:
    journal = story(alarm=False)
    engine = played(make_engine(base=baseline()), [*journal.records, ordered(journal, forgetting(EIGHT, ""))])
    assert set(engine.models) == {KEY} and engine.early and balanced(engine)


def test_an_alarm_needs_a_reason_and_ends_with_its_model(make_engine: MakeEngine) -> None:
    journal = story(alarm=True)
    engine = played(make_engine(base=baseline()), journal.records)
    standing = set(engine.latched)
    assert standing
    engine.apply(ordered(journal, forgetting(KEY, " ")))  # raised since somebody looked
    assert engine.latched == standing and KEY in engine.models and not engine.commands
    engine.apply(ordered(journal, forgetting(EIGHT, "")))  # none of its alarms stands
    engine.apply(ordered(journal, forgetting(KEY)))
    assert not engine.latched and not engine.models
    assert len(engine.alarms) >= len(standing)  # the list of alarms is history
    assert {order.alarm for order in engine.commands} == {0, *standing}
    assert balanced(engine)


def test_one_that_sends_again_begins_anew(make_engine: MakeEngine) -> None:
    journal = story(alarm=True)
    engine = played(make_engine(base=baseline()), journal.records)
    before = snapshot(engine, START)
    played(engine, [ordered(journal, forgetting()), journal.request(rows(7, 40, START + 9 * SECOND))])
    (model,) = snapshot(engine, START, before).models
    assert (model.rows, model.labels, model.days) == (40, 0, ()) and not engine.latched
    assert sum(window.counts.count for window in model.windows) <= 80 and not model.history
    assert balanced(engine)


@pytest.mark.parametrize("cut", [3, 20, 25, 26, 27])
def test_replays_and_restarts_anywhere_agree(
    make_engine: MakeEngine, restart: Callable[[Engine], Engine], cut: int
) -> None:
    journal = story(alarm=True)
    ordered(journal, forgetting(KEY))
    for w in range(9, 12):
        journal.request(rows(w, 40, START + w * SECOND))
        journal.seal(START + (w + 1) * SECOND)
    straight = played(make_engine(base=baseline()), journal.records)
    broken = restart(played(make_engine(base=baseline()), journal.records[:cut]))
    played(broken, journal.records[cut:])
    assert digest(broken) == digest(straight)
    assert broken.models[KEY].rows == 120


def test_what_nobody_has_seen_is_left_out(make_engine: MakeEngine) -> None:
    journal = story(alarm=False)
    engine = played(make_engine(base=baseline()), journal.records)
    for model in (KEY._replace(version="9"), KEY._replace(tenant="acme"), KEY._replace(name="x")):
        engine.apply(ordered(journal, forgetting(model)))
    assert set(engine.models) == {KEY, EIGHT} and not engine.commands


def test_what_senders_left_out_stays(make_engine: MakeEngine) -> None:
    journal = story(alarm=False)
    engine = played(make_engine(base=baseline()), journal.records)
    engine.senders.add("default", Report("credit", {"exit": 3}, {}, 0))
    engine.apply(ordered(journal, forgetting()))
    assert engine.senders.taken()[0].dropped == {"exit": 3}


def test_bytes() -> None:
    for command in (forgetting(), forgetting(KEY, ""), Command(4, "ack", "ada", "", 1)):
        assert Command.from_bytes(command.to_bytes()) == command
    assert b"model" not in Command(4, "ack", "ada", "", 1).to_bytes()  # as releases before this one read it
    with pytest.raises(BadCommand):
        Command(0, "forget", "ada", "", 1)
    with pytest.raises(BadCommand):
        Command(1, "clear", "ada", "why", 1, "", KEY)
    with pytest.raises(BadCommand):
        Command(0, "forget", " ", "why", 1, "", KEY)
