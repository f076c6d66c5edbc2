"""Batches that are counted together leave what counting them one by one leaves, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engine.conftest import KEY, SECOND, START, Journal, MakeEngine, baseline, labels, rows

from calidris import semconv
from calidris.baseline import Baseline
from calidris.batch import CodedColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.engine import core, gathering
from calidris.engine.checkpoint.digest import digest
from calidris.engine.core import Engine
from calidris.engine.inbox import Received

Restart = Callable[[Engine], Engine]
KEYS = (KEY, KEY._replace(version="8"), ModelKey("default", "stranger", "1"))


@pytest.fixture(scope="module")
def base() -> Baseline:
    return baseline(timed=False)  # without windows of its own an engine is made faster


def one_by_one(engine: Engine, records: Sequence[Received]) -> Engine:
    for record in records:
        engine.apply(record)
    return engine


def together(engine: Engine, records: Sequence[Received]) -> Engine:
    for record in records:
        engine.gather(record)
    engine.settle()
    return engine


@st.composite
def batches(draw: Any, seed: int) -> PredictionBatch:
    """Few rows of some model: unseen levels (many at once too), other columns, several steps, the same ids again."""
    batch = rows(
        draw(st.sampled_from([seed, seed, 7])),
        draw(st.integers(1, 12)),
        START + draw(st.sampled_from([0, 0, 0, 1, 2])) * SECOND,
        span_s=draw(st.sampled_from([0.5, 0.5, 0.5, 2.5])),
        key=draw(st.sampled_from([KEY, KEY, KEY, *KEYS])),
    )
    n = len(batch)
    changes: dict[str, Any] = {}
    match draw(st.integers(0, 9)):
        case 0 | 1 | 2:
            names = draw(st.lists(st.integers(0, 60), min_size=n, max_size=n))
            country = CodedColumn.of([f"unseen {name}" for name in names])
            changes["features"] = {**batch.features, "country": country}
        case 3:
            nothing = NumberColumn.of(np.full(n, np.nan))
            changes["features"] = {**batch.features, draw(st.sampled_from(["country", "age"])): nothing}
        case 4:
            changes["features"] = dict(reversed(batch.features.items()))
        case 5:
            changes["features"] = {
                **batch.features,
                "new": NumberColumn.of(np.ones(n)),
                "age": CodedColumn.of(["x"] * n),
            }
        case 6:
            changes |= {"ids": None, "score": None}
    same = draw(st.integers(1, 6))
    changes["trace_ids"] = CodedColumn.of([f"{seed}-{place // same}" for place in range(n)])
    return replace(batch, **changes)


@st.composite
def journals(draw: Any) -> Journal:
    journal, sent = Journal(), []
    for number in range(draw(st.integers(2, 14))):
        match draw(st.integers(0, 9)):
            case 0:
                journal.seal(START + number * SECOND // 4)
            case 1 | 2:
                known = draw(st.sampled_from(sent)) if sent else rows(7, 3)
                journal.request(labels(known if known.ids is not None else rows(7, 3), number))
            case _:
                found = [draw(batches(number * 3 + k)) for k in range(draw(st.integers(1, 2)))]
                sent += [b for b in found if b.score is not None]
                journal.request(*found)
    return journal


@given(journal=journals(), most=st.sampled_from([8, 4096]), cut=st.integers(0, 14))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_together_is_one_by_one(make_engine: MakeEngine, base: Baseline, journal: Journal, most: int, cut: int) -> None:
    usual, gathering.MOST_ROWS = gathering.MOST_ROWS, most
    try:
        plain = one_by_one(make_engine(base=base), journal.records)
        whole = together(make_engine(base=base), journal.records)
        parts = together(together(make_engine(base=base), journal.records[:cut]), journal.records[cut:])
        assert digest(whole) == digest(plain) == digest(parts)
    finally:
        gathering.MOST_ROWS = usual


def full(n: int = 30) -> Journal:
    """Small requests of one model in one step, a seal, and labels for all of them."""
    journal = Journal()
    found = [rows(100 + k, 7, START, span_s=0.5) for k in range(n)]
    for batch in found:
        journal.request(batch)
    journal.seal(START + 5 * SECOND)
    for k, batch in enumerate(found):
        journal.request(labels(batch, k))
    return journal


def test_many_small_requests_are_counted_as_one(
    make_engine: MakeEngine, base: Baseline, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    add = core.WatchedModel.add

    def counting(self: Any, batch: PredictionBatch, *rest: Any) -> Any:
        counted.append(len(batch))
        return add(self, batch, *rest)

    monkeypatch.setattr(core.WatchedModel, "add", counting)
    together(make_engine(base=base), full().records)
    assert counted == [7, 29 * 7]  # the first one is what the model becomes known by


@pytest.mark.parametrize("cut", [1, 2, 15, 30, 31, 45])
def test_a_restart_between_any_two_leaves_the_same(
    make_engine: MakeEngine, base: Baseline, restart: Restart, cut: int
) -> None:
    records = full().records
    engine = restart(together(make_engine(base=base), records[:cut]))
    assert digest(together(engine, records[cut:])) == digest(one_by_one(make_engine(base=base), records))


def test_what_minds_the_borders_of_batches_is_told_of_them(make_engine: MakeEngine, base: Baseline) -> None:
    """Names of unseen levels beyond their capacity, and examples where a batch's calls are all of one trace."""
    journal = Journal()
    for k in range(6):
        batch = rows(k, 40, span_s=0.5)
        names = [f"unseen {(k * 17 + place) % 90}" for place in range(40)]
        features = {**batch.features, "country": CodedColumn.of(names)}
        journal.request(replace(batch, features=features, trace_ids=CodedColumn.of([f"trace {k}"] * 40)))
    engine = together(make_engine(base=base), journal.records)
    assert digest(engine) == digest(one_by_one(make_engine(base=base), journal.records))
    assert [len(pane.trace_ids) for _, pane in engine.models[KEY].panes_in(0, 1 << 62)] == [5]


def test_a_label_finds_the_prediction_of_the_request_before(make_engine: MakeEngine, base: Baseline) -> None:
    journal = Journal()
    for k in range(4):
        batch = rows(k, 5, span_s=0.5)
        journal.request(batch)
        journal.request(labels(batch, k))
    engine = together(make_engine(base=base), journal.records)
    assert (engine.models[KEY].labels, engine.early) == (20, {})


def test_labels_that_came_first_find_the_first_of_two(make_engine: MakeEngine, base: Baseline) -> None:
    journal, batch = Journal(), rows(1, 5, span_s=0.5)
    journal.request(rows(2, 5, span_s=0.5))
    journal.request(labels(batch, 1))
    journal.request(batch)
    journal.request(replace(batch, score=NumberColumn.of(np.full(5, 0.25))))
    plain = one_by_one(make_engine(base=base), journal.records)
    assert digest(together(make_engine(base=base), journal.records)) == digest(plain)
    assert plain.models[KEY].labels == 5


def test_a_batch_at_fault_costs_only_itself(
    make_engine: MakeEngine, base: Baseline, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = type(base.spec).encode

    def failing(self: Any, batch: PredictionBatch) -> Any:
        if "7-0" in (batch.ids or ()):
            raise ValueError("a defect")
        return encode(self, batch)

    monkeypatch.setattr(type(base.spec), "encode", failing)
    journal = Journal()
    for seed in (1, 2, 7, 3):
        journal.request(rows(seed, 5, span_s=0.5))
    engine = together(make_engine(base=base), journal.records)
    assert engine.models[KEY].rows == 15
    assert engine.counters[semconv.METRIC_CALIDRIS_ENGINE_FAILURES.name][""] == 1
    assert engine.counters[semconv.METRIC_CALIDRIS_ENGINE_ROWS_FAILED.name][""] == 5
