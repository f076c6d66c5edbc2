"""Caps: what is beyond them is counted by name, memory stays, and a restart or a replay decides as the first run did."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.engine.conftest import SECOND, START, Journal, baseline, configuration, rows

from calidris import semconv
from calidris.batch import CodedColumn, LabelBatch, ModelKey, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.checkpoint.digest import digest
from calidris.engine.checkpoint.save import Checkpoint
from calidris.engine.checkpoint.store import Store
from calidris.engine.core import Engine
from calidris.engine.inbox import Received
from calidris.engine.learning import MAX_BYTES, Reservoir

Restart = Callable[[Engine], Engine]
HOUR = 3600 * SECOND
DAY = 24 * HOUR


def limited(
    configured: tuple[str, ...] = (), tenants: tuple[str, ...] = ("default",), **limits: object
) -> CalidrisConfig:
    models = tuple({"name": name, "tenant": tenant} for name in configured for tenant in tenants)
    return CalidrisConfig.model_validate({"limits": limits, "models": models})


def few(name: str, version: str = "1", n: int = 1, at_ns: int = START, tenant: str = "default") -> PredictionBatch:
    return PredictionBatch(
        ModelKey(tenant, name, version),
        np.full(n, at_ns),
        {"x": NumberColumn.of(np.arange(float(n)))},
        ids=[f"{name} {version} {at_ns} {i}" for i in range(n)],
        score=NumberColumn.of(np.full(n, 0.5)),
    )


def engine_of(config: CalidrisConfig) -> Engine:
    return Engine(config, lambda *_: (None, ""))


def fed(engine: Engine, records: list[Received]) -> Engine:
    for record in records:
        engine.apply(record)
    return engine


def told(engine: Engine, metric: semconv.Metric) -> dict[str, int]:
    return dict(engine.counters[metric.name])


def conserved(engine: Engine) -> None:
    """What was read is what was counted, what is retired and what found no room."""

    def total(metric: semconv.Metric) -> int:
        return sum(told(engine, metric).values())

    sent = total(semconv.METRIC_CALIDRIS_ENGINE_ROWS)
    counted = sum(model.rows for model in engine.models.values())
    assert sent == counted + sum(
        map(
            total,
            (
                semconv.METRIC_CALIDRIS_ROWS_RETIRED,
                semconv.METRIC_CALIDRIS_MODELS_OVERFLOW,
                semconv.METRIC_CALIDRIS_RECEIVER_ROWS_DUPLICATE,
                semconv.METRIC_CALIDRIS_ENGINE_ROWS_FAILED,
            ),
        )
    )
    assert not total(semconv.METRIC_CALIDRIS_ENGINE_FAILURES)
    assert not any(model.left_out for model in engine.models.values()), "a checkpoint would lose it"


def test_each_tenant_has_its_own_models_and_configured_ones_always_have_room() -> None:
    engine, journal = engine_of(limited(("credit",), ("one", "two"), models=2)), Journal()
    names = ["a", "b", "c", "credit", "b"]
    fed(engine, [journal.request(few(name, tenant=t, n=2)) for t in ("one", "two") for name in names])
    assert [f"{k}" for k in engine.models] == [f"{t}/{n}:1" for t in ("one", "two") for n in ("a", "b", "credit")]
    assert told(engine, semconv.METRIC_CALIDRIS_MODELS_OVERFLOW) == {"models": 4}
    conserved(engine)


def deploys(n: int, every_ns: int) -> Journal:
    """A pipeline that stamps each deploy with a new version; rows and a seal each time."""
    journal = Journal()
    for i in range(n):
        at = START + i * every_ns
        journal.request(few("credit", f"build {i}", n=3, at_ns=at), arrival_ns=at)
        journal.seal(at + every_ns)
    return journal


def test_a_version_that_is_silent_makes_room_for_a_new_one() -> None:
    engine = fed(engine_of(limited(versions=3, silent_after="1d")), deploys(8, DAY).records)
    assert [k.version for k in engine.models] == ["build 5", "build 6", "build 7"]
    assert told(engine, semconv.METRIC_CALIDRIS_MODELS_RETIRED) == {"": 5}
    assert told(engine, semconv.METRIC_CALIDRIS_ROWS_RETIRED) == {"": 15}
    assert told(engine, semconv.METRIC_CALIDRIS_LIMITS_OVERFLOW)["pending_retired"] == 15
    assert not told(engine, semconv.METRIC_CALIDRIS_MODELS_OVERFLOW)
    conserved(engine)


def test_deploys_in_a_hurry_overflow_and_a_busy_version_never_goes() -> None:
    engine, journal = engine_of(limited(versions=3, silent_after="1d")), Journal()
    for i in range(30):
        at = START + i * HOUR
        journal.request(few("credit", "stable", at_ns=at), few("credit", f"build {i}", at_ns=at), arrival_ns=at)
        journal.seal(at + HOUR)
    fed(engine, journal.records)
    assert [k.version for k in engine.models] == ["stable", "build 25", "build 26"]  # a day after builds 0 and 1
    assert told(engine, semconv.METRIC_CALIDRIS_MODELS_OVERFLOW) == {"versions": 26}
    conserved(engine)


def test_a_version_that_comes_back_begins_anew_and_only_its_new_rows_are_in_the_store(tmp_path: Path) -> None:
    journal = deploys(4, DAY)
    back = START + 4 * DAY
    journal.request(few("credit", "build 0", n=2, at_ns=START), arrival_ns=back)  # an event time of its former life
    store = Store(tmp_path)
    checkpoint = Checkpoint(store)
    engine = Engine(limited(versions=3, silent_after="1d"), lambda *_: (None, ""), checkpoint)
    for record in journal.records:
        engine.apply(record)
        checkpoint.save(engine)
    key = ModelKey("default", "credit", "build 0")
    assert engine.models[key].rows == 2
    found = checkpoint.pane_keys(key, 0, 2**63 - 1)
    stored = [checkpoint.load_pane(key, pane, engine.models[key].specs[pane.spec]) for pane in found]
    assert [pane.counts.count for pane in stored if pane is not None and pane.counts.count] == [2]
    assert store.db.execute("SELECT version FROM models ORDER BY id").fetchall() == [
        ("build 2",), ("build 3",), ("build 0",)
    ]  # fmt: skip
    (orphans,) = store.db.execute("SELECT count(*) FROM panes WHERE model NOT IN (SELECT id FROM models)").fetchone()
    assert orphans == 0
    conserved(engine)


@pytest.mark.parametrize("saves", [(), (5,), (3, 9, 14), tuple(range(0, 40, 2))])
def test_a_replay_and_restarts_anywhere_decide_alike(tmp_path: Path, saves: tuple[int, ...]) -> None:
    journal = Journal()
    for i in range(14):
        at = START + i * 16 * HOUR
        batches = [few("credit", f"build {i // 2 * 7 % 5}", n=2, at_ns=at), few(f"model {i % 6}", at_ns=at)]
        journal.request(*batches, arrival_ns=at)
        journal.request(few("many", str(i), at_ns=at), few("credit", "9", at_ns=at), arrival_ns=at)
        journal.seal(at + 16 * HOUR)
    config = limited(versions=2, models=4, watched=6, silent_after="1d")
    live = fed(engine_of(config), journal.records)
    runs = itertools.count()
    checkpoint = Checkpoint(Store(tmp_path / str(next(runs))))
    engine = Engine(config, lambda *_: (None, ""), checkpoint)
    for place, record in enumerate(journal.records):
        engine.apply(record)
        if place in saves:
            checkpoint.save(engine)
            engine = Engine(config, lambda *_: (None, ""))
            checkpoint = Checkpoint(checkpoint.store)
            checkpoint.restore(engine)
    assert digest(engine) == digest(live)
    assert [*engine.models] == [*live.models]
    assert told(live, semconv.METRIC_CALIDRIS_MODELS_RETIRED)[""] > 5
    assert set(told(live, semconv.METRIC_CALIDRIS_MODELS_OVERFLOW)) <= {"models", "versions", "watched"}
    conserved(live)


def test_an_alarm_keeps_its_version(make_engine: Callable[..., Engine]) -> None:
    engine = make_engine(configuration(), baseline())
    engine = Engine(
        engine.config.model_copy(update={"limits": limited(versions=1, silent_after="1h").limits}),
        engine.fleet.find_baseline,
    )
    journal = Journal()
    for w in range(30):
        journal.request(rows(w, 100, START + w * SECOND, shift=12.0 if w > 20 else 0.0))
        journal.seal(START + (w + 1) * SECOND)
    journal.seal(START + DAY)
    fed(engine, journal.records)
    assert engine.latched
    new = journal.request(few("credit", "8", at_ns=START + DAY), arrival_ns=START + DAY)
    assert fed(engine, [new]).models.keys() == {ModelKey("default", "credit", "7")}
    assert told(engine, semconv.METRIC_CALIDRIS_MODELS_OVERFLOW) == {"versions": 1}


@pytest.mark.parametrize("what", ["models", "versions", "both"])
def test_a_flood_of_model_names_is_counted_and_costs_a_look_up_each(what: str) -> None:
    engine, journal = engine_of(limited(("credit",), models=50, versions=5, watched=60)), Journal()
    flood = 30_000
    batches = []
    for i in range(flood):
        name = "credit" if what == "versions" else f"model {i % 1000 if what == 'both' else i}"
        batches.append(few(name, "1" if what == "models" else str(i)))
    records = [journal.request(*batches[i : i + 1000]) for i in range(0, flood, 1000)]
    fed(engine, records)
    assert len(engine.models) == {"models": 50, "versions": 5, "both": 60}[what]
    assert sum(told(engine, semconv.METRIC_CALIDRIS_MODELS_OVERFLOW).values()) == flood - len(engine.models)
    assert len(engine.registry) == len(engine.models)
    conserved(engine)


def wide(first: int, n: int, model: str = "wide") -> PredictionBatch:
    """One row of features that nobody has sent before."""
    features = {f"feature {i}": NumberColumn.of([1.0]) for i in range(first, first + n)}
    return PredictionBatch(ModelKey("default", model, "1"), np.array([START]), features)


def test_a_flood_of_feature_names_is_counted_value_by_value(restart: Restart) -> None:
    engine, journal = engine_of(limited(features=100)), Journal()
    records = [journal.request(wide(i * 2000, 2000)) for i in range(20)]
    half = restart(fed(engine_of(limited(features=100)), records[:7]))
    (model,) = fed(engine, records).models.values()
    (pane,) = (p for p in model.panes.memory.values() if p.counts.count)
    spec = model.spec
    present = sum(int(pane.counts.field(i)[:-4].sum()) for i, f in enumerate(spec.fields) if f.name in pane.features)
    others = sum(n for name, n in pane.features.items() if name not in spec.feature_names)
    left_out = told(engine, semconv.METRIC_CALIDRIS_LIMITS_OVERFLOW)["features"]
    assert (present, others, left_out) == (100, 64, 40_000 - 164)
    assert digest(fed(half, records[7:])) == digest(engine)
    assert model.reservoir is not None and len(model.reservoir._names) == 200


def test_a_flood_of_levels_is_counted_as_other_and_no_name_is_kept_for_it(
    make_engine: Callable[..., Engine], restart: Restart
) -> None:
    engine, journal = make_engine(base=baseline()), Journal()
    flood = CodedColumn.of([f"land {i}" for i in range(50_000)])
    batch = rows(1, 50_000)
    fed(engine, [journal.request(PredictionBatch(batch.model, batch.event_time_ns, {"country": flood}))])
    (model,) = engine.models.values()
    (pane,) = (p for p in model.panes.memory.values() if p.counts.count)
    place = next(i for i, f in enumerate(model.spec.fields) if f.name == "country")
    named = sum(level.at_least for level in pane.levels.top(place))
    left_out = told(engine, semconv.METRIC_CALIDRIS_LIMITS_OVERFLOW)["levels"]
    assert pane.levels.unseen(place) == named + left_out == 50_000
    assert told(restart(engine), semconv.METRIC_CALIDRIS_LIMITS_OVERFLOW)["levels"] == left_out


def early(name: str, n: int, tenant: str = "default") -> LabelBatch:
    ids = [f"{name} {i}" for i in range(n)]
    return LabelBatch(tenant, name, ids, NumberColumn.of(np.ones(n)), np.full(n, START))


def test_labels_that_wait_are_bounded_by_tenant_and_the_largest_heap_gives_way() -> None:
    engine, journal = engine_of(limited(("credit",), models=3, early_labels=1000)), Journal()
    fed(engine, [journal.request(early("credit", 400))])
    fed(engine, [journal.request(early(f"unknown {i}", 300)) for i in range(5)])
    waiting = {name: len(e) for (_, name), e in engine.early.items()}
    assert waiting == {"credit": 250, "unknown 0": 250, "unknown 1": 250, "unknown 2": 250}
    unmatched = told(engine, semconv.METRIC_CALIDRIS_LABELS_UNMATCHED)
    assert unmatched == {"too_many_early": 300, "too_many_models": 600}
    fed(engine, [journal.request(early("theirs", 500, tenant="other"))])
    assert told(engine, semconv.METRIC_CALIDRIS_LABELS_UNMATCHED) == unmatched


def test_labels_of_other_classes_are_counted_when_they_came_early_too(restart: Restart) -> None:
    config = CalidrisConfig.model_validate({"models": [{"name": "kinds", "task": "multiclass"}]})
    engine, journal = engine_of(config), Journal()
    ids = [f"id {i}" for i in range(20)]
    kinds = CodedColumn.of([f"kind {i}" for i in range(20)])
    fed(engine, [journal.request(LabelBatch("default", "kinds", ids, kinds, np.full(20, START)))])
    batch = PredictionBatch(
        ModelKey("default", "kinds", "1"), np.full(20, START), {}, task="multiclass", ids=ids, decision=kinds
    )
    fed(engine, [journal.request(batch)])
    assert told(engine, semconv.METRIC_CALIDRIS_LIMITS_OVERFLOW)["classes"] == 20
    conserved(engine)
    assert digest(restart(engine)) == digest(engine)


def test_predictions_beyond_the_cap_on_waiting_ones_are_counted() -> None:
    engine, journal = engine_of(limited(pending_labels=1000)), Journal()
    fed(engine, [journal.request(few("credit", n=500, at_ns=START + i)) for i in range(10)])
    (model,) = engine.models.values()
    left_out = told(engine, semconv.METRIC_CALIDRIS_LIMITS_OVERFLOW)["pending_labels"]
    assert len(model.pending) + left_out == 5000 and len(model.pending) <= 1000


def test_what_is_learned_from_takes_bounded_memory_whatever_the_rows() -> None:
    reservoir, text = Reservoir(1000), np.random.default_rng(1).bytes(1 << 20).hex()
    left_out = 0
    for i in range(60):
        cells = {
            f"t{k}": CodedColumn.of([text[(i * 400 + k) * 1024 % (len(text) - 1024) :][:1024]]) for k in range(400)
        }
        left_out += reservoir.add(PredictionBatch(ModelKey("default", "m", "1"), np.array([START]), cells))
    assert reservoir.rows + left_out == 60 and left_out > 0 and reservoir.size_bytes <= 2 * MAX_BYTES
    assert sum(map(len, reservoir._packed)) == reservoir.size_bytes


def test_rows_kept_for_learning_come_back_bit_equal(restart: Restart) -> None:
    engine, journal = engine_of(limited()), Journal()
    batches = [rows(seed, 7, START + seed * SECOND, key=ModelKey("default", "stranger", "1")) for seed in range(40)]
    fed(engine, [journal.request(batch) for batch in batches])
    back = restart(engine)
    assert digest(back) == digest(engine)
    more = [journal.request(rows(99, 400, START, key=batches[0].model)), journal.seal(START + HOUR)]
    learned = [fed(each, more).models[batches[0].model].baseline for each in (engine, back)]
    assert learned[0] is not None and learned[1] is not None and learned[0].id == learned[1].id
    assert snapshot(back, START).models[0].baseline == learned[0].id
