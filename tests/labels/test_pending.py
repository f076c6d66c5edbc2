"""Predictions that wait: bounded, exact, the first label counts."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calidris.labels import EarlyLabels, PendingPredictions, hash_ids, pending_dtype
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


def test_early_labels_are_bounded_and_expire() -> None:
    early = EarlyLabels(max_labels=3, horizon_ns=10)
    early.add(hash_ids(["a", "b", "c", "d"]), [EarlyLabel("1", 0, at) for at in range(4)])
    assert early.shrink() == 1 and len(early) == 3
    assert [place for place, _ in early.take(hash_ids(["x", "b"]))] == [1]
    assert early.expire(arrival_ns=13) == 1 and len(early) == 1
