"""A stated schema at the engine's door: the first row at fault raises an alarm, without a window and without a baseline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tests.engine.conftest import KEY, SECOND, START, Journal, MakeEngine, configuration, rows

from calidris.batch import NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.checkpoint.digest import digest
from calidris.engine.commands import CLEAR, Command
from calidris.engine.core import Engine
from calidris.metrics.input_faults import FaultCount

SCHEMA = {
    "features": {"age": {"min": 0, "max": 120}, "income": {"nulls": False}, "country": {"levels": ["NL", "DE", "FR"]}}
}


def config() -> CalidrisConfig:
    return configuration(schema=SCHEMA)


def at_fault(seed: int, **changed: dict[int, float]) -> PredictionBatch:
    """Rows of which some have another number."""
    batch = rows(seed, 100, START + seed * SECOND)
    features = dict(batch.features)
    for name, places in changed.items():
        column = features[name]
        assert isinstance(column, NumberColumn)
        values = column.values.copy()
        values[list(places)] = list(places.values())
        features[name] = NumberColumn.of(values)
    return replace(batch, features=features)


def apply(engine: Engine, journal: Journal, *batches: PredictionBatch, together: bool = False) -> Engine:
    records = [journal.request(batch) for batch in batches]
    for record in records:
        (engine.gather if together else engine.apply)(record)
    engine.settle()
    return engine


def test_the_first_row_at_fault_raises_an_alarm_without_a_seal(make_engine: MakeEngine) -> None:
    journal = Journal()
    engine = apply(make_engine(config()), journal, rows(1, 100))
    assert not engine.alarms, "right rows raise nothing"
    batch = at_fault(2, age={7: 130.0, 9: 200.0}, income={9: float("nan")})
    apply(engine, journal, batch)
    (alarm,) = engine.alarms
    assert engine.latched == {1}
    assert (alarm.kind, alarm.window, alarm.n, alarm.budgeted, alarm.budget) == ("schema", "row", 2, False, "")
    assert [(f.name, f.direction) for f in alarm.features] == [
        ("age", "out_of_range: 130, above 120"),
        ("income", "missing: no value"),
    ]
    assert (alarm.since_ns, alarm.raised_ns) == (batch.event_time_ns[7], batch.event_time_ns[9])
    assert alarm.trace_ids == (f"{2:032x}",)


def test_a_standing_alarm_does_not_hide_another_fault(make_engine: MakeEngine) -> None:
    journal = Journal()
    engine = apply(make_engine(config()), journal, at_fault(2, age={1: 130.0}), at_fault(3, age={1: 131.0, 2: 140.0}))
    assert [a.id for a in engine.alarms] == [1], "told already"
    apply(engine, journal, at_fault(4, age={1: 130.0}, income={1: float("nan")}))
    assert [[f.name for f in a.features] for a in engine.alarms] == [["age"], ["income"]]
    assert engine.latched == {1, 2}
    taken = snapshot(engine, START)
    assert taken.models[0].faults == (
        FaultCount("age", "out_of_range", 4, "130, above 120"),
        FaultCount("income", "missing", 1, "no value"),
    )


def test_a_cleared_alarm_comes_again_with_the_next_fault(make_engine: MakeEngine) -> None:
    journal = Journal()
    engine = apply(make_engine(config()), journal, at_fault(2, age={1: 130.0}))
    engine.execute(Command(1, CLEAR, "ada", "mended", START))
    assert not engine.latched
    apply(engine, journal, rows(3, 100, START + 3 * SECOND))
    assert not engine.latched
    apply(engine, journal, at_fault(4, age={1: 130.0}))
    assert engine.latched == {2}


def test_the_same_whether_batches_are_counted_together_or_one_by_one(make_engine: MakeEngine) -> None:
    first, warm = at_fault(1), at_fault(2)
    batches = [
        at_fault(5, age={1: 130.0}),
        at_fault(5),
        at_fault(5, age={1: 1e9}, income={0: float("nan")}),
        at_fault(5, income={0: float("nan")}),
    ]
    batches = [replace(b, ids=[f"{i}-{j}" for j in range(len(b))]) for i, b in enumerate(batches)]
    apart = apply(make_engine(config()), Journal(), first, warm, *batches)
    journal = Journal()
    together = apply(make_engine(config()), journal, first, warm)
    together.apply(journal.seal(START + SECOND))  # learned: from here on rows are only counted
    apart.apply(Journal(journal.records[:2]).seal(START + SECOND))
    together = apply(together, journal, *batches, together=True)
    assert [(a.id, [f.name for f in a.features]) for a in together.alarms] == [(1, ["age"]), (2, ["income"])]
    assert together.alarms == apart.alarms
    assert together.models[KEY].inputs.to_json() == apart.models[KEY].inputs.to_json()


def test_what_stands_goes_on_after_a_restart(make_engine: MakeEngine, restart: Callable[[Engine], Engine]) -> None:
    journal = Journal()
    engine = apply(make_engine(config()), journal, at_fault(2, age={1: 130.0}))
    back = restart(engine)
    assert digest(back) == digest(engine)
    for one in (engine, back):
        apply(one, Journal(list(journal.records)), at_fault(3, age={1: 130.0}, income={2: float("nan")}))
    assert back.alarms == engine.alarms
    assert [[f.name for f in a.features] for a in back.alarms] == [["age"], ["income"]]
    assert digest(back) == digest(engine)


def test_a_name_that_no_row_has_is_told(make_engine: MakeEngine, restart: Callable[[Engine], Engine]) -> None:
    schema = {"features": {"agee": {"type": "integer", "min": 18}, "income": {}, "wealth": {}}}
    journal = Journal()
    engine = apply(make_engine(configuration(schema=schema)), journal, rows(1, 99))
    assert snapshot(engine, START).models[0].notes == (), "few rows say nothing"
    apply(engine, journal, rows(2, 10, START + SECOND))
    told = snapshot(engine, START).models[0].notes
    assert told == (
        "`schema` states 'agee', which no row has had; did you mean 'age'?",
        "`schema` states 'wealth', which no row has had; what comes: age, country, income",
    )
    assert not engine.alarms
    assert snapshot(restart(engine), START).models[0].notes == told


def test_a_model_without_a_schema_pays_nothing(make_engine: MakeEngine) -> None:
    engine = apply(make_engine(), Journal(), at_fault(2, age={1: 1e9}))
    assert not engine.alarms
    assert "inputs" not in engine.models[KEY].inputs.to_json()
    assert engine.models[KEY].inputs.counts == ()
