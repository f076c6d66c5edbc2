"""Exactly once: what came before is recognised, in whatever request it comes again, within a horizon and a bound that are stated."""

from __future__ import annotations

import itertools
import json
import random
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xxhash
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.engine.conftest import KEY, SECOND, START, Journal, MakeEngine, configuration
from tests.wire.conftest import Wire

from calidris import semconv
from calidris.batch import ModelKey
from calidris.config import CalidrisConfig
from calidris.engine.checkpoint.digest import digest
from calidris.engine.checkpoint.save import Checkpoint
from calidris.engine.checkpoint.store import Store
from calidris.engine.core import Engine
from calidris.engine.dedup.memory import GENERATIONS, DedupMemory, drop_repeats
from calidris.engine.inbox import Received
from calidris.receive.intake import digest_of
from calidris.wire import Decoded, decode

HORIZON = 30
REQUESTS = semconv.METRIC_CALIDRIS_RECEIVER_REQUESTS_DUPLICATE.name
SPANS = semconv.METRIC_CALIDRIS_RECEIVER_SPANS_DUPLICATE.name
ROWS = semconv.METRIC_CALIDRIS_RECEIVER_ROWS_DUPLICATE.name
LABELS = semconv.METRIC_CALIDRIS_LABELS_DUPLICATE.name


def hashed(names: Iterable[int]) -> Any:
    """Different numbers, spread over all 64 bits."""
    return np.array([(n + 1) * 0x9E3779B97F4A7C15 % 2**64 for n in names], dtype=np.uint64)


requests = st.lists(
    st.tuples(st.integers(0, HORIZON), st.lists(st.integers(0, 40), max_size=12)), min_size=1, max_size=60
)


@settings(max_examples=150, deadline=None)
@given(requests)
def test_a_span_is_recognised_within_the_horizon_and_never_beyond_twice_of_it(
    sent: Sequence[tuple[int, list[int]]],
) -> None:
    memory, last, now = DedupMemory(HORIZON, 10_000), {}, 1000
    for pause, names in sent:
        now += pause
        for name, repeated, place in zip(names, memory.repeats(hashed(names), now), itertools.count()):
            age = 0 if name in names[:place] else now - last.get(name, -now)
            assert not (age <= HORIZON and not repeated), "within the horizon"
            assert not (age > 2 * HORIZON and repeated), "beyond twice the horizon"
        last |= dict.fromkeys(names, now)
    assert memory.covered_s(now) == HORIZON / 1e9


@settings(max_examples=100, deadline=None)
@given(requests, st.integers(1, 60))
@example([(0, [1]), (0, [0]), (0, [0]), (0, [0]), (0, [1])], 1)
def test_the_bound_shortens_the_horizon_and_says_by_how_much(sent: Sequence[tuple[int, list[int]]], most: int) -> None:
    memory, last, now = DedupMemory(HORIZON, most), {}, 1000
    for pause, names in sent:
        now += pause
        distinct = list(dict.fromkeys(names))
        again = memory.repeats(hashed(distinct), now)
        for name, repeated in zip(distinct, again):
            # What is exactly as old as the oldest generation may have come in the one before it, at the same moment.
            assert repeated or now - last.get(name, -now) >= memory.covered_s(now) * 1e9 or name not in last
        last |= dict.fromkeys(names, now)
        assert sum(g.count for g in memory.generations) <= max(most, GENERATIONS) + GENERATIONS * 12
        assert 0 <= memory.covered_s(now) <= HORIZON / 1e9


def test_a_full_memory_forgets_the_oldest_first() -> None:
    memory = DedupMemory(HORIZON * SECOND, 4000)
    for step in range(20):
        assert not memory.repeats(hashed(range(step * 1000, step * 1000 + 1000)), START + step * SECOND).any()
    now = START + 19 * SECOND
    assert memory.covered_s(now) == 3.0
    known = [bool(memory.repeats(hashed([step * 1000]), now)[0]) for step in (19, 18, 17, 16, 15)]
    assert known == [True, True, True, False, False]


def test_one_at_a_time_is_known_until_the_horizon_after_it_last_came() -> None:
    memory, day = DedupMemory(HORIZON * SECOND, 1000), 86_400 * SECOND
    for now in (START, START - 30 * day, START + day):
        request = int(hashed([now])[0])
        assert not memory.seen(request, now)
        assert all(memory.seen(request, now + n * HORIZON * SECOND) for n in range(5))
        assert not memory.seen(request, now + (4 + 2) * HORIZON * SECOND + 1)
        assert memory.covered_s(now + 6 * HORIZON * SECOND + 1) == HORIZON


@pytest.mark.parametrize("seed", range(3))
def test_many_spans_as_a_set_would_know_them(seed: int) -> None:
    """Runs are merged and the filter grows; nothing is forgotten and nothing is made up."""
    rng, memory, seen = np.random.default_rng(seed), DedupMemory(HORIZON * SECOND, 10**6), set[int]()
    for _ in range(1500):
        most = rng.choice([2, 9, 900], p=[0.6, 0.3, 0.1])
        asked = rng.integers(0, 60_000, int(rng.integers(1, most))).tolist()
        expected = [n in seen or n in asked[:i] for i, n in enumerate(asked)]
        assert memory.repeats(hashed(asked), START).tolist() == expected
        seen.update(asked)
    assert sum(g.count for g in memory.generations) == len(seen)
    assert memory.repeats(hashed(seen), START).all() and not memory.repeats(hashed(range(60_000, 70_000)), START).any()


def test_a_clock_that_is_set_back_or_forth_costs_nothing_but_the_horizon() -> None:
    memory, day = DedupMemory(HORIZON * SECOND, 10**6), 86_400 * SECOND
    for number, now in enumerate((START, START + 30 * day, START, START - 30 * day, START)):
        assert not memory.repeats(hashed([number]), now)[0]
        assert memory.repeats(hashed([number]), now + HORIZON * SECOND)[0]
        assert len(memory.generations) <= GENERATIONS


class Sender(Journal):
    """Spans with ids of their own, in any batching, as records of a journal."""

    def spans(self, first: int, count: int, **kind: Any) -> list[Any]:
        return [self.span(first + n, **kind) for n in range(count)]

    @staticmethod
    def span(number: int, rows: int = 1, attributes: dict[str, Any] | None = None, **more: Any) -> Any:
        scores = [((number * 7 + row) % 100) / 100 for row in range(rows)]
        ids = [f"{number}-{row}" for row in range(rows)]
        found: dict[str, Any] = {"ml.prediction.score": scores[0], "ml.prediction.id": ids[0]}
        if rows > 1:
            found = {"ml.prediction.count": rows, "ml.prediction.score": scores, "ml.prediction.id": ids}
        identity = {"trace_id": bytes([number % 251 + 1]) * 16, "span_id": number.to_bytes(8, "big")}
        return Wire.span(found | (attributes or {}), **(identity | more))

    def send(self, spans: Sequence[Any], arrival_ns: int = START, tenant: str = "default") -> Received:
        raw = Wire.request(*spans)
        decoded = decode(raw, tenant=tenant, arrival_ns=arrival_ns)
        seq = len(self.records) + 1
        return self._keep(Received(seq, arrival_ns, tenant, digest_of(raw), 0, decoded, None, lambda: None))


def decoded(spans: Sequence[Any]) -> Decoded:
    return decode(Wire.request(*spans), tenant="default", arrival_ns=START)


def feedback(number: int) -> Any:
    identity = {"trace_id": b"f" * 16, "span_id": (number + 1).to_bytes(8, "little")}
    label = {"ml.label": number % 2, "ml.prediction.id": f"{number}-0"}
    return Wire.span(label, name="feedback credit", **identity)


def fed(engine: Engine, records: Iterable[Received]) -> Engine:
    for record in records:
        engine.apply(record)
    return engine


def left_out(engine: Engine) -> dict[str, int]:
    names = {"requests": REQUESTS, "spans": SPANS, "rows": ROWS, "labels": LABELS}
    return {what: engine.counters[name][""] for what, name in names.items()}


def test_a_collector_that_batches_anew_counts_nothing_twice(make_engine: MakeEngine) -> None:
    sender = Sender()
    first = sender.spans(1, 5)
    engine = fed(make_engine(), [sender.send(first), sender.send(first[2:] + sender.spans(6, 2))])
    assert engine.models[KEY].rows == 7
    assert left_out(engine) == {"requests": 0, "spans": 3, "rows": 3, "labels": 0}
    packed = sender.span(20, rows=50)
    fed(engine, [sender.send([packed]), sender.send([packed, sender.span(21)])])
    assert engine.models[KEY].rows == 7 + 51
    assert left_out(engine) == {"requests": 0, "spans": 4, "rows": 53, "labels": 0}
    assert len(engine.models[KEY].pending) == 7 + 51


def test_a_repeated_request_is_left_out_in_the_same_units(make_engine: MakeEngine) -> None:
    sender = Sender()
    refused = sender.span(90, attributes={"ml.prediction.score": 7.0})
    other = Wire.span({}, model={}, name="GET /")
    spans = [sender.span(1), sender.span(2, rows=30), feedback(1), refused, other]
    engine = fed(make_engine(), [sender.send(spans), sender.send(spans), sender.send(spans)])
    assert (engine.models[KEY].rows, engine.models[KEY].labels) == (31, 1)
    assert left_out(engine) == {"requests": 2, "spans": 6, "rows": 62, "labels": 2}


def test_a_span_twice_in_one_request_counts_once(make_engine: MakeEngine) -> None:
    sender = Sender()
    engine = fed(make_engine(), [sender.send([sender.span(1, rows=3), sender.span(2), *sender.spans(1, 2)])])
    assert engine.models[KEY].rows == 4
    assert left_out(engine) == {"requests": 0, "spans": 2, "rows": 2, "labels": 0}


def test_labels_of_a_repeated_span_count_once(make_engine: MakeEngine) -> None:
    sender = Sender()
    marks = [feedback(n) for n in range(1, 5)]
    fed(engine := make_engine(), [sender.send(sender.spans(1, 4)), sender.send(marks[:3]), sender.send(marks[::-1])])
    assert engine.models[KEY].labels == 4
    assert left_out(engine) == {"requests": 0, "spans": 3, "rows": 0, "labels": 3}
    assert not engine.counters[semconv.METRIC_CALIDRIS_LABELS_UNMATCHED.name]


@pytest.mark.parametrize(
    "ids",
    [
        {"trace_id": b"", "span_id": b""},
        {"trace_id": bytes(16), "span_id": bytes(8)},
        {"trace_id": bytes(16), "span_id": b"12345678"},
        {"trace_id": b"1" * 16, "span_id": bytes(8)},
        {"trace_id": b"1" * 15, "span_id": b"12345678"},
        {"trace_id": b"1" * 16, "span_id": b"123456789"},
    ],
)
def test_without_valid_ids_every_span_counts(make_engine: MakeEngine, ids: dict[str, bytes]) -> None:
    sender = Sender()
    spans = [sender.span(1, **ids), sender.span(1, **ids), sender.span(5)]
    engine = fed(make_engine(), [sender.send(spans), sender.send(spans[:2])])
    assert engine.models[KEY].rows == 5
    assert left_out(engine) == {"requests": 0, "spans": 0, "rows": 0, "labels": 0}


def test_a_refused_span_may_be_mended_and_sent_again(make_engine: MakeEngine) -> None:
    sender = Sender()
    broken = sender.span(1, attributes={"ml.prediction.score": 7.0})
    engine = fed(make_engine(), [sender.send([broken, sender.span(2)]), sender.send([sender.span(1), sender.span(2)])])
    assert engine.models[KEY].rows == 2
    assert left_out(engine) == {"requests": 0, "spans": 1, "rows": 1, "labels": 0}
    both = [broken, sender.span(3)], [sender.span(1, rows=2, attributes={"ml.prediction.weight": [0.0, 1.0]})]
    fed(engine, map(sender.send, both))
    assert engine.models[KEY].rows == 3


def test_tenants_do_not_hide_each_other_s_spans(make_engine: MakeEngine) -> None:
    sender = Sender()
    spans = sender.spans(1, 3)
    engine = fed(make_engine(), [sender.send(spans), sender.send(spans, tenant="other"), sender.send(spans[:2])])
    assert engine.models[KEY].rows == 3
    assert engine.models[ModelKey("other", "credit", "7")].rows == 3
    assert left_out(engine)["spans"] == 2


def test_a_model_span_and_a_feedback_span_with_the_same_ids(make_engine: MakeEngine) -> None:
    sender, ids = Sender(), {"trace_id": b"1" * 16, "span_id": b"12345678"}
    label = Wire.span({"ml.label": 1, "ml.prediction.id": "1-0"}, name="feedback credit", **ids)
    engine = fed(make_engine(), [sender.send([sender.span(1, **ids), label]), sender.send([label])])
    assert (engine.models[KEY].rows, engine.models[KEY].labels) == (1, 0)
    assert left_out(engine) == {"requests": 0, "spans": 2, "rows": 0, "labels": 2}


def test_what_is_left_of_a_batch_is_what_would_have_come_alone() -> None:
    """Every column of the rows that stay, in every form a batch can have."""
    sender = Sender()
    rich = {
        "ml.slices": '{"country": "AT"}', "error.type": "Timeout",
        "ml.prediction.class": "yes", "ml.prediction.duration": 0.25, "ml.model.task": "multiclass",
    }  # fmt: skip
    spans = []
    for n in range(1, 9):
        scores = {"ml.prediction.score": {"yes": n / 10, "no": 1 - n / 10}}
        features = {"ml.features": f'{{"a": {n}, "land": "l{n}", "v": [[{n}, 0.5]]}}'}
        spans.append(sender.span(n, attributes=rich | scores | features))
    mixed = [*spans[3:6], spans[0], *spans[6:], spans[2], feedback(1), feedback(2)]
    memory = DedupMemory(HORIZON * SECOND, 1000)
    for sent in ([*spans[:3], feedback(1)], mixed):
        kept, _ = drop_repeats(decoded(sent), memory, START)
    assert [Wire.plain(batch) for batch in kept] == [
        Wire.plain(batch) for batch in decoded([*spans[3:], feedback(2)]).items
    ]


def repeated_story(seed: int) -> list[Received]:
    """Predictions and labels in random batches, with repeats of spans and of whole requests, and seals."""
    rng, sender = random.Random(seed), Sender()
    spans = [sender.span(n, rows=rng.choice([1, 1, 1, 5])) for n in range(1, 60)] + [feedback(n) for n in range(1, 30)]
    for step in range(24):
        now = START + step * SECOND
        sender.send(rng.choices(spans, k=rng.randint(1, 12)), arrival_ns=now)
        if rng.random() < 0.3:
            old = rng.choice([r for r in sender.records if r.decoded])
            again = Received(len(sender.records) + 1, now, old.tenant, old.digest, 0, old.decoded, None, lambda: None)
            sender._keep(again)
        if step % 4 == 3:
            sender.seal(now)
    return sender.records


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**16), cuts=st.dictionaries(st.integers(1, 28), st.booleans(), max_size=4))
def test_checkpoints_and_restarts_at_any_record_remember_every_span(
    make_engine: MakeEngine, short: CalidrisConfig, tmp_path: Path, seed: int, cuts: dict[int, bool]
) -> None:
    """``cuts`` are checkpoints, and whether a new process goes on from there."""
    records, folder = repeated_story(seed), tmp_path / uuid.uuid4().hex
    straight = fed(make_engine(short), records)
    engine, checkpoint = make_engine(short), Checkpoint(Store(folder))
    for number, record in enumerate(records):
        if number in cuts:
            checkpoint.save(engine)
        if cuts.get(number):
            checkpoint.store.close()
            engine, checkpoint = make_engine(short), Checkpoint(Store(folder))
            checkpoint.restore(engine)
        engine.apply(record)
    assert digest(engine) == digest(straight)
    checkpoint.store.close()


def test_a_checkpoint_writes_each_span_once_and_drops_what_is_forgotten(
    make_engine: MakeEngine, short: CalidrisConfig, tmp_path: Path
) -> None:
    sender, engine, store = Sender(), make_engine(short), Store(tmp_path)
    checkpoint = Checkpoint(store)

    def kept() -> list[int]:
        checkpoint.save(engine)
        return [
            size // 8 for (size,) in store.db.execute("SELECT length(hashes) FROM spans ORDER BY generation, first")
        ]

    fed(engine, [sender.send(sender.spans(1, 5))])
    assert (kept(), kept()) == ([5], [5])
    fed(engine, [sender.send(sender.spans(4, 4), arrival_ns=START + SECOND)])
    assert kept() == [5, 2]
    fed(engine, [sender.send(sender.spans(30, 1), arrival_ns=START + 7 * SECOND)])
    assert kept() == [5, 2, 1]
    fed(engine, [sender.send(sender.spans(31, 1), arrival_ns=START + 9 * SECOND)])
    assert kept() == [1, 1]
    store.close()


def test_digests_of_an_earlier_store_are_still_known(make_engine: MakeEngine, tmp_path: Path) -> None:
    sender, store, nameless = Sender(), Store(tmp_path), {"trace_id": b"", "span_id": b""}
    first, second = sender.send([sender.span(1, **nameless)]), sender.send([sender.span(2, **nameless)])
    Checkpoint(store).save(fed(make_engine(), [first, second]))
    for table in ("seen", "meta WHERE key = 'seen'"):
        store.db.execute(f"DELETE FROM {table}")
    digests = [xxhash.xxh3_128_digest(b"default\0" + record.digest) for record in (first, second)]
    store.db.executemany("INSERT INTO requests VALUES (?, 0, ?)", zip((4, 5), digests))
    store.put("requests", json.dumps([[4, START - SECOND], [5, START]]).encode())
    store.close()
    engine, checkpoint = make_engine(), Checkpoint(Store(tmp_path))
    checkpoint.restore(engine)
    fed(engine, [replace(record, seq=record.seq + 2) for record in (first, second)])
    assert (left_out(engine)["requests"], engine.models[KEY].rows) == (2, 2)
    checkpoint.save(engine)
    again, seen = make_engine(), checkpoint.store.db.execute("SELECT count(*) FROM requests").fetchone()
    checkpoint.restore(again)
    assert seen == (0,) and digest(again) == digest(engine)
    checkpoint.store.close()


def test_a_store_that_has_never_heard_of_spans_is_opened(make_engine: MakeEngine, tmp_path: Path) -> None:
    sender, store = Sender(), Store(tmp_path)
    Checkpoint(store).save(fed(make_engine(), [sender.send(sender.spans(1, 5))]))
    store.db.execute("DROP TABLE spans")
    store.db.execute("DELETE FROM meta WHERE key = 'spans'")
    store.close()
    engine, checkpoint = make_engine(), Checkpoint(Store(tmp_path))
    checkpoint.restore(engine)
    fed(engine, [sender.send(sender.spans(3, 5)), sender.send(sender.spans(1, 8))])
    assert engine.models[KEY].rows == 5 + 5 + 3
    checkpoint.save(engine)
    checkpoint.store.close()


@pytest.fixture
def short() -> CalidrisConfig:
    """A horizon that is over many times in the story, and a bound that it meets."""
    config = configuration()
    receiver = config.receiver.model_copy(update={"dedup_horizon": 6.0, "dedup_spans": 40})
    return config.model_copy(update={"receiver": receiver})
