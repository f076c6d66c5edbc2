"""``kill -9`` at fifty random moments under load: what was acknowledged is counted, once."""

from __future__ import annotations

import itertools
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from account import UNMATCHED, accounted, conserved, journalled, replayed, restored, total
from hatched import Moment, Reborn
from running import until
from senders import Rebatching, load
from torn import tear
from watched import WATCHED, write_baseline

KILLS = int(os.environ.get("CALIDRIS_CHAOS", "50"))
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240 + 3 * KILLS),
    pytest.mark.usefixtures("still"),  # which stands still meanwhile
]

Make = Callable[..., Reborn]
BUSY = WATCHED.replace("checkpoint_interval: 1s", "checkpoint_interval: 50ms").replace("256KiB", "16KiB")
KEPT = BUSY.replace("journal: {", "journal: {keep: true, ").replace("16KiB", "128KiB")


@pytest.fixture
def baseline(tmp_path: Path) -> None:
    """A baseline, so that detectors have something to remember too."""
    write_baseline(tmp_path)


def moments(seed: int) -> Iterator[Moment]:
    """One in five falls anywhere into the start, the others into the work."""
    drawn = random.Random(seed)
    for _ in range(KILLS):
        yield Moment(drawn.uniform(0.01, 0.2), at_work=drawn.random() < 0.8)


def test_what_was_acknowledged_is_counted(make_receiver: Make, baseline: None) -> None:
    """Nobody repeats anything here: what was not acknowledged is counted once or not at all, and the journal says which."""
    receiver = make_receiver(KEPT)
    with load(receiver, copies=0, seed=1) as senders:
        for moment in moments(seed=1):
            receiver.live(moment)
        receiver.start()
        ledger = {request.raw: request for request in senders.finish()}
    assert receiver.terminate() == 0
    kept = journalled(receiver)
    acknowledged = {raw for raw, request in ledger.items() if request.acknowledged}
    assert len(acknowledged) > KILLS
    assert acknowledged <= kept.keys() <= ledger.keys() and set(kept.values()) == {1}
    before, engine = restored(receiver)
    assert replayed(receiver)[0] == before, "a replay from nothing gives the same state, to the bit"
    assert any(watcher.history for watcher in engine.watchers.values())
    receiver.start()
    conserved(receiver, [ledger[raw] for raw in kept])


def test_ten_copies_of_every_request_count_once(make_receiver: Make, baseline: None) -> None:
    """Copies come later, mixed with others and across restarts."""
    receiver = make_receiver(BUSY)
    with load(receiver, copies=10, senders=8, seed=2) as senders:
        for moment in moments(seed=2):
            receiver.live(moment)
        receiver.start()
        ledger = senders.finish()
    assert min(request.acknowledged for request in ledger) >= 10 and len(ledger) > KILLS
    told = conserved(receiver, ledger)
    assert told["counters"].get(UNMATCHED, {}) == {}, "every label found its prediction"


def test_a_torn_write_costs_nothing(make_receiver: Make, baseline: None) -> None:
    """Between kill and start the journal's end is hurt, as a crash of the machine might."""
    receiver, drawn = make_receiver(BUSY), random.Random(3)
    how: Counter[str] = Counter()
    with load(receiver, copies=2, senders=8, seed=3) as senders:
        for moment in moments(seed=3):
            receiver.live(moment)
            how[tear(receiver, senders, drawn)] += 1
        receiver.start()
        ledger = senders.finish()
    assert how["cut"] + how["flip"] > 0, how
    conserved(receiver, ledger)


def test_copies_in_other_batches_count_once(make_receiver: Make, baseline: None) -> None:
    """A Collector puts the same spans into other requests, over every restart: their ids tell."""
    receiver = make_receiver(BUSY)
    with load(receiver, copies=6, senders=6, seed=4, kind=Rebatching) as senders:
        for moment in itertools.islice(moments(seed=4), 12):
            receiver.live(moment)
        receiver.start()
        ledger = senders.finish()
    wanted = sum(r.rows for r in ledger), sum(r.labels for r in ledger)
    fewest = sum(r.rows * (r.acknowledged - 1) for r in ledger), sum(r.labels * (r.acknowledged - 1) for r in ledger)
    until(lambda: total(receiver.status(), "calidris.receiver.rows.duplicate") >= fewest[0], 60)
    until(lambda: total(receiver.status(), "calidris.labels.duplicate") >= fewest[1], 60)
    told = receiver.status()
    assert accounted(told) == wanted and wanted[0] > 1000, "each counted once"
    assert told["counters"].get(UNMATCHED, {}) == {}, "every label found its prediction"
    assert total(told, "calidris.receiver.spans.duplicate") > len(ledger)
    for kind, before in (("rows", wanted[0]), ("labels", wanted[1])):
        duplicate = total(told, "calidris.receiver.rows.duplicate" if kind == "rows" else "calidris.labels.duplicate")
        assert total(told, f"calidris.engine.{kind}") == before + duplicate
