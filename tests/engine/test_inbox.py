"""The engine sees every item once and in the journal's order, whatever the threads do."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from calidris.engine.inbox import Inbox, Received


def item(seq: int) -> Received:
    return Received(seq, 0, "default", b"", 0, None, None, lambda: None)


def test_order_from_many_threads() -> None:
    inbox = Inbox(first_seq=100)
    numbers = list(range(100, 2100))
    random.Random(0).shuffle(numbers)
    seen: list[int] = []

    def drain() -> None:
        while items := inbox.take(7, timeout_s=5):
            seen.extend(received.seq for received in items)

    reader = threading.Thread(target=drain)
    reader.start()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(inbox.put, map(item, numbers)))
    inbox.close()
    reader.join()
    assert seen == list(range(100, 2100))
    assert len(inbox) == 0


def test_a_gap_holds_everything_behind_it() -> None:
    inbox = Inbox(first_seq=1)
    inbox.put(item(2))
    inbox.put(item(3))
    assert inbox.take(10, timeout_s=0.01) == []
    assert len(inbox) == 2
    inbox.put(item(1))
    assert [received.seq for received in inbox.take(2, timeout_s=0)] == [1, 2]
    assert [received.seq for received in inbox.take(2, timeout_s=0)] == [3]


@pytest.mark.parametrize("again", [1, 2, 5])
def test_the_same_number_twice_is_refused(again: int) -> None:
    inbox = Inbox(first_seq=1)
    for seq in (1, 2, 5):
        inbox.put(item(seq))
    with pytest.raises(ValueError, match=f"{again} was already"):
        inbox.put(item(again))


def test_close_wakes_the_reader_and_leaves_what_is_ready() -> None:
    inbox = Inbox(first_seq=1)
    threading.Timer(0.05, inbox.close).start()
    began = time.monotonic()
    assert inbox.take(1, timeout_s=30) == []
    assert time.monotonic() - began < 10
    inbox.put(item(1))
    assert inbox.closed
    assert [received.seq for received in inbox.take(1, timeout_s=0)] == [1]
