"""Predictions that wait: bounded, exact, the first label counts."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calidris.labels import Chunk, EarlyLabels, PendingPredictions, hash_ids, pending_dtype
from calidris.labels.early import EarlyLabel


def waiting(ids: list[str], time_ns: int = 0) -> np.typing.NDArray[np.void]:
    out = np.zeros(len(ids), dtype=pending_dtype(0))
    out["id"] = hash_ids(ids)
    out["time_ns"] = time_ns
    out["score"] = np.arange(len(ids))
    return out


@given(st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 200), max_size=40, unique=True)), max_size=30))
def test_matches_as_a_dictionary_does(steps: list[tuple[bool, list[int]]]) -> None:
    store = PendingPredictions(pending_dtype(0), max_rows=1_000_000)
    have: dict[str, bool] = {}
    for adding, numbers in steps:
        ids = [str(n) for n in numbers]
        if adding:
            ids = [i for i in ids if i not in have]
            store.add(waiting(ids))
            have.update(dict.fromkeys(ids, False))
        else:
            match = store.match(hash_ids(ids))
            assert match.found.tolist() == [have.get(i) is False for i in ids]
            assert match.repeated.tolist() == [have.get(i) is True for i in ids]
            assert match.rows["id"].tolist() == hash_ids(ids)[match.found].tolist()
            have.update({i: True for i in ids if i in have})
    assert len(store) == len(have)


def test_the_oldest_go_first_and_are_counted() -> None:
    store = PendingPredictions(pending_dtype(0), max_rows=100_000)
    for batch in range(5):
        store.add(waiting([f"{batch}-{i}" for i in range(50_000)], time_ns=batch))
        store.match(hash_ids([f"{batch}-0"]))
    store.settle()
    assert len(store) <= 100_000 and store.evicted > 0
    assert not store.match(hash_ids(["0-1"])).found.any()
    assert store.match(hash_ids(["4-1"])).found.all()


@given(st.lists(st.lists(st.booleans(), min_size=8, max_size=8), min_size=1, max_size=40), st.integers(0, 40))
def test_labelled_rows_make_room_and_those_that_wait_stay(blocks: list[list[bool]], before: int) -> None:
    """Blocks of eight rows, some labelled; a checkpoint in between changes nothing."""
    store = PendingPredictions(pending_dtype(0), max_rows=64)  # eight blocks of eight
    open_ids = []
    for n, labelled in enumerate(blocks[:7]):
        ids = [f"{n}-{i}" for i in range(8)]
        store.add(waiting(ids, time_ns=n))
        store.match(hash_ids([i for i, used in zip(ids, labelled) if used]))
        open_ids += [i for i, used in zip(ids, labelled) if not used]
    rows = len(store)
    store.thin(before)
    assert store.unlabelled == len(open_ids) and len(store) <= rows
    again = PendingPredictions(pending_dtype(0), max_rows=64)
    again.restore(
        [Chunk(c.number, c.rows, c.used.copy()) for c in sorted(store.chunks, key=lambda c: c.number)], len(store.full)
    )
    assert [c.rows.tobytes() for c in again.full] == [c.rows.tobytes() for c in store.full]
    for one in (store, again):
        one.add(waiting([f"new-{i}" for i in range(8)], time_ns=99))
        assert one.match(hash_ids([*open_ids, "new-0"])).found.all()
    assert [r.tobytes() for r, _ in store.blocks()] == [r.tobytes() for r, _ in again.blocks()]


def test_a_store_whose_labels_all_come_stays_small() -> None:
    store = PendingPredictions(pending_dtype(0), max_rows=10_000)
    for n in range(100):
        ids = [f"{n}-{i}" for i in range(1250)]
        store.add(waiting(ids, time_ns=n))
        store.match(hash_ids(ids[:-5]))
        store.thin(n)
    assert store.evicted == 0 and store.unlabelled == 500
    assert len(store) < 2 * 1250 and len(store.full) <= 3
    assert not store.match(hash_ids(["5-0"])).repeated.any(), "told from one without a prediction for a day"
    assert store.match(hash_ids(["5-1249"])).found.all()


def test_early_labels_are_bounded_and_expire() -> None:
    early = EarlyLabels(max_labels=3, horizon_ns=10)
    early.add(hash_ids(["a", "b", "c", "d"]), [EarlyLabel("1", 0, at) for at in range(4)])
    assert early.shrink() == 1 and len(early) == 3
    assert [place for place, _ in early.take(hash_ids(["x", "b"]))] == [1]
    assert early.expire(arrival_ns=13) == 1 and len(early) == 1
