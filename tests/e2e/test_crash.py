"""What was acknowledged is counted once, whatever happens to the process."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from running import CONFIG, Running, labels, rows, until

from calidris.app.restore import Storage
from calidris.baseline import BaselineColumns, build, write
from calidris.config import load
from calidris.engine.checkpoint.digest import digest
from calidris.engine.core import Engine
from calidris.journal.journal import Journal
from calidris.journal.segment_format import Kind
from calidris.receive.intake import received_again
from calidris.state import Spec
from calidris.wire import decode, encode_labels, encode_predictions

pytestmark = pytest.mark.e2e

MakeReceiver = Callable[..., Running]
SLICED = CONFIG + "models: [{name: credit, windows: [1s, 10s], slices: [country]}]\n"
COMPARED = CONFIG.replace("journal: {", "journal: {keep: true, ") + (
    "models: [{name: credit, windows: [1s, 10s], baseline: credit.calidris, slices: [country],"
    " detect: {windows: [1s], false_alarms: 1 per day, minimum_rows: 20}}]\n"
)


@dataclass
class Client(threading.Thread):
    """Sends predictions, then their labels, until it is told to end; repeats what was not acknowledged, byte for byte."""

    receiver: Running
    number: int
    ending: threading.Event
    rows: int = 0
    labels: int = 0
    repeated: int = 0

    __hash__ = threading.Thread.__hash__

    def __post_init__(self) -> None:
        super().__init__()

    def run(self) -> None:
        random_ = random.Random(self.number)
        for n in range(10_000):
            packed = random_.random() < 0.5
            batch = rows(random_.randint(50, 400) if packed else 10, seed=self.number * 100_000 + n)
            form = "packed" if packed else "json"
            self._deliver(encode_predictions(batch, form=form, one_span_per_row=not packed))
            self.rows += len(batch)
            self._deliver(encode_labels(labels(batch)))
            self.labels += len(batch)
            if self.ending.wait(0.02):
                return

    def _deliver(self, raw: bytes) -> None:
        while True:
            try:
                self.receiver.export(raw, timeout_s=5)
                return
            except grpc.RpcError:
                self.repeated += 1
                time.sleep(0.05)


@pytest.fixture
def clients() -> Iterator[Callable[[Running], list[Client]]]:
    """Starts clients; all have ended when the test has."""
    ending, all_of_them = threading.Event(), []

    def start(receiver: Running) -> list[Client]:
        all_of_them.extend(Client(receiver, number, ending) for number in range(4))
        for client in all_of_them:
            client.start()
        return all_of_them

    yield start
    ending.set()
    for client in all_of_them:
        client.join(60)


def finished(clients: list[Client]) -> tuple[int, int]:
    """Rows and labels acknowledged, once every client has ended."""
    clients[0].ending.set()
    for client in clients:
        client.join(60)
        assert not client.is_alive()
    return sum(c.rows for c in clients), sum(c.labels for c in clients)


def counted(receiver: Running, rows: int, labels: int) -> bool:
    told = receiver.model()
    assert told["rows"] <= rows and told["labels"] <= labels, "something counted twice"
    return bool(told["rows"] == rows and told["labels"] == labels)


def test_killed_again_and_again(make_receiver: MakeReceiver, clients: Callable[[Running], list[Client]]) -> None:
    receiver = make_receiver(SLICED).start()
    senders = clients(receiver)
    moments = random.Random(7)
    for _ in range(5):
        time.sleep(moments.uniform(0.1, 1.5))
        receiver.kill()
        receiver.start()
    acknowledged = finished(senders)
    assert acknowledged[0] > 1000 and sum(c.repeated for c in senders) > 0
    until(lambda: counted(receiver, *acknowledged))
    told = {"ml_model_name": "credit", "ml_model_version": "7"}
    assert receiver.total("ml_received_rows_total", **told) == acknowledged[0]
    assert receiver.total("ml_received_labels_total", **told) == acknowledged[1]
    assert receiver.total("calidris_labels_unmatched_total") == 0
    assert receiver.total("calidris_engine_failures_total") == 0
    assert receiver.terminate() == 0
    assert in_panes(receiver) == acknowledged


def in_panes(receiver: Running) -> tuple[int, int]:
    """Rows and labels in the panes of the stored state."""
    storage = Storage(load(receiver.config), on_failure=lambda error: None)
    try:
        (model,) = storage.engine.models.values()
        panes = [pane for _, pane in model.panes.every()]
        return sum(p.counts.count for p in panes), sum(p.labels.count for p in panes)
    finally:
        storage.close()


def replayed(receiver: Running) -> Engine:
    """A new engine after the whole journal."""
    config = load(receiver.config)
    storage = Storage(config, on_failure=lambda error: None)  # for its baseline look-up only
    storage.close()
    engine = Engine(config, storage.engine.fleet.find_baseline)
    journal = Journal(config.storage.path / "journal", keep_truncated=True)
    kinds = set()
    for record in journal.replay(0):
        kinds.add(record.kind)
        engine.apply(received_again(record, decode))
    assert journal.lost_records == 0 and kinds == {Kind.REQUEST, Kind.SEAL, Kind.COMMAND}
    journal.close()
    return engine


def test_a_replay_from_nothing_is_equal_to_the_bit(
    make_receiver: MakeReceiver, clients: Callable[[Running], list[Client]], tmp_path: Path
) -> None:
    """Checkpoints, a kill, a replay of the rest and a second run, against one pass over all records."""
    made = build(
        BaselineColumns(rows(5000, seed=1, time_ns=0), labels(rows(5000, seed=1, time_ns=0)).label),
        Spec(positive="1"),
        window_s=1.0,
        slices=["country"],
    )
    write(made, tmp_path / "credit.calidris")
    receiver = make_receiver(COMPARED).start()
    senders = clients(receiver)
    time.sleep(3)
    receiver.kill()
    receiver.start()
    acknowledged = finished(senders)
    until(lambda: counted(receiver, *acknowledged))
    until(lambda: receiver.model()["history"])
    assert receiver.terminate() == 0
    storage = Storage(load(receiver.config), on_failure=lambda error: None)
    try:
        assert storage.replay(lambda: False) == 0, "the last checkpoint holds everything"
        restored = digest(storage.engine)
    finally:
        storage.close()
    again = replayed(receiver)
    assert digest(again) == restored
    assert again.sealed_ns > 0 and any(again.watchers[key].history for key in again.models)


def test_sigterm_finishes_what_was_acknowledged(receiver: Running) -> None:
    batch = rows(300, seed=3)
    for n in range(20):
        receiver.export(encode_predictions(rows(300, seed=n), form="packed", one_span_per_row=False))
    receiver.export(encode_labels(labels(batch)))
    begun = time.monotonic()
    assert receiver.terminate() == 0
    assert time.monotonic() - begun < 10
    assert receiver.lines[-2:] == ["stopping: finishing what is under way\n", "stopped\n"]
    receiver.start()
    assert not any("replayed" in line for line in receiver.lines)
    assert receiver.model()["rows"] == 6000 and receiver.model()["labels"] == 300
