"""Predictions that wait, and labels that labelled ones hold: bounded, exact."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calidris.labels import Chunk, EarlyLabels, Match, PendingPredictions, hash_ids, held_dtype, newest, pending_dtype
from calidris.labels.early import EarlyLabel
from calidris.labels.held import KNOWN


def waiting(ids: list[str], time_ns: int = 0) -> np.typing.NDArray[np.void]:
    out = np.zeros(len(ids), dtype=pending_dtype(0))
    out["id"] = hash_ids(ids)
    out["time_ns"] = time_ns
    out["score"] = np.arange(len(ids))
    return out


def label(store: PendingPredictions, ids: list[str], as_of_ns: int = 1) -> Match:
    """Label all rows that are there."""
    match = store.find(hash_ids(ids))
    held = np.zeros(len(match.rows), held_dtype("binary"))
    held["as_of_ns"], held["marks"] = as_of_ns, KNOWN
    store.hold(match, np.ones(len(held), dtype=bool), held)
    return match


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
            match = label(store, ids)
            assert match.found.tolist() == [i in have for i in ids]
            assert match.used.tolist() == [have[i] for i in ids if i in have]
            assert match.rows["id"].tolist() == hash_ids(ids)[match.found].tolist()
            assert [mark > 0 for mark in match.held["marks"]] == match.used.tolist()
            have.update({i: True for i in ids if i in have})
    assert len(store) == len(have)


def test_the_oldest_go_first_and_are_counted() -> None:
    store = PendingPredictions(pending_dtype(0), max_rows=100_000)
    for batch in range(5):
        store.add(waiting([f"{batch}-{i}" for i in range(50_000)], time_ns=batch))
        label(store, [f"{batch}-0"])
    store.settle()
    assert len(store) <= 100_000 and store.evicted > 0
    assert not store.find(hash_ids(["0-1"])).found.any()
    assert store.find(hash_ids(["4-1"])).found.all()


@given(st.lists(st.lists(st.booleans(), min_size=8, max_size=8), min_size=1, max_size=40), st.integers(1, 9))
def test_labelled_rows_make_room_the_oldest_first_and_those_that_wait_stay(blocks: list[list[bool]], by: int) -> None:
    """Blocks of eight rows, some labelled; neither a checkpoint in between nor how rows came together changes anything."""
    store, other = PendingPredictions(pending_dtype(0), max_rows=64), PendingPredictions(pending_dtype(0), max_rows=64)
    labelled: list[str] = []
    unlabelled: list[str] = []
    for n, marks in enumerate(blocks):
        ids = [f"{n}-{i}" for i in range(8)]
        store.add(waiting(ids, time_ns=n))
        for begin in range(0, 8, by):
            other.add(waiting(ids, time_ns=n)[begin : begin + by])
        for one in (store, other):
            label(one, [i for i, used in zip(ids, marks) if used], as_of_ns=n)
        labelled += [i for i, used in zip(ids, marks) if used]
        unlabelled += [i for i, used in zip(ids, marks) if not used]
        other = restored(other)
    assert len(store) <= 64
    there = store.find(hash_ids(labelled)).found
    kept = [store.find(hash_ids([name])).found.all() for name in unlabelled]
    if (
        store.evicted
    ):  # rows that wait go only where there is hardly a labelled row: none but those since the last full block
        assert not there[: -8 * 2].any()
    assert kept.count(False) == store.evicted
    assert [[part.tobytes() for part in block] for block in store.blocks()] == [
        [part.tobytes() for part in block] for block in other.blocks()
    ]


def restored(store: PendingPredictions) -> PendingPredictions:
    """The same after a checkpoint."""
    store.settle()
    again = PendingPredictions(pending_dtype(0), max_rows=64, evicted=store.evicted)
    chunks = sorted(store.chunks, key=lambda c: c.number)
    again.restore([Chunk(c.number, c.rows, c.used.copy(), c.held.copy()) for c in chunks], len(store.full))
    return again


def test_a_store_whose_labels_all_come_lets_none_go_that_waits() -> None:
    store = PendingPredictions(pending_dtype(0), max_rows=10_000)
    for n in range(100):
        ids = [f"{n}-{i}" for i in range(1250)]
        store.add(waiting(ids, time_ns=n))
        label(store, ids[:-5])
    assert store.evicted == 0 and store.unlabelled == 500
    assert len(store) <= 10_000 and len(store.full) <= 8
    assert not store.find(hash_ids(["5-0"])).found.any() and store.find(hash_ids(["98-0"])).used.all()
    assert store.find(hash_ids(["5-1249"])).found.all()


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=20))
def test_the_newest_of_each_id_and_its_first(labels: list[tuple[int, int]]) -> None:
    ids, times = np.array([i for i, _ in labels], dtype=np.uint64), np.array([t for _, t in labels], dtype=np.int64)
    last, first = newest(ids, times)
    places = {i: [at for at, (name, _) in enumerate(labels) if name == i] for i, _ in labels}
    assert first.tolist() == [found[0] for found in places.values()]
    assert last.tolist() == [max(found, key=lambda at: (labels[at][1], at)) for found in places.values()]


def test_early_labels_are_bounded_and_expire() -> None:
    early = EarlyLabels(max_labels=3, horizon_ns=10)
    early.add(hash_ids(["a", "b", "c", "d"]), [EarlyLabel("1", 0, at, 0) for at in range(4)])
    assert early.shrink() == 1 and len(early) == 3
    assert [place for place, _ in early.take(hash_ids(["x", "b"]))] == [1]
    assert early.expire(arrival_ns=13) == 1 and len(early) == 1


def test_early_labels_that_name_no_time_of_their_own_are_read_as_they_were() -> None:
    """Earlier versions wrote three values a label."""
    early, again = EarlyLabels(), EarlyLabels()
    early.restore('[[7, "1", 20, 30], [8, "0", 20, 30, 40]]')
    assert early.waiting == {7: EarlyLabel("1", 20, 30, 20), 8: EarlyLabel("0", 20, 30, 40)}
    again.restore(early.to_json())
    assert again.waiting == early.waiting
