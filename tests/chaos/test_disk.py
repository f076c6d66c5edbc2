"""A full disk: senders are told to come back, nothing acknowledged is lost, and it goes on alone when there is room."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from account import FAILURES, conserved
from google.rpc import error_details_pb2, status_pb2
from hatched import Reborn
from running import CONFIG, until
from senders import Load, load

pytestmark = pytest.mark.e2e

Make = Callable[..., Reborn]
MIB = 1 << 20


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Makes a file system of so many megabytes."""
    path, libc = tmp_path / "small", ctypes.CDLL(None, use_errno=True)

    def make(megabytes: int) -> Path:
        path.mkdir()
        if libc.mount(b"tmpfs", bytes(path), b"tmpfs", 0, b"size=%dm" % megabytes) != 0:
            assert not os.environ.get("CI"), "mounting a file system failed: the tests need root here"
            pytest.skip("mounting needs root")
        return path

    yield make
    libc.umount2(bytes(path), 2)


@pytest.fixture
def small_disk(mount: Callable[[int], Path]) -> Path:
    return mount(8)


def fill(disk: Path) -> Path:
    """Take all room that is left."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (64 << 10, 4 << 10, 1):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
    return ballast


def told_to_come_back(error: grpc.RpcError) -> bool:
    """UNAVAILABLE, and when to try again in both trailers."""
    trailers = dict(error.trailing_metadata() or ())
    if error.code() is not grpc.StatusCode.UNAVAILABLE or len(trailers) < 2:
        return False
    retry = error_details_pb2.RetryInfo.FromString(trailers["google.rpc.retryinfo-bin"])
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    return 0 < retry.retry_delay.ToTimedelta().total_seconds() <= 3 and len(status.details) == 1


def failed_checkpoints(receiver: Reborn) -> int:
    return int(receiver.status()["health"][FAILURES].get("checkpoint", 0))


def test_a_full_disk_that_is_freed(make_receiver: Make, small_disk: Path) -> None:
    """Both the journal and the checkpoint hit it."""
    receiver = make_receiver(CONFIG, small_disk).start()
    with load(receiver, copies=1, senders=2) as senders:
        until(senders.grown(50))
        ballast = fill(small_disk)
        until(lambda: len(senders.refusals) > 10 and failed_checkpoints(receiver) >= 1)
        assert all(told_to_come_back(error) for error in senders.refusals)
        ballast.unlink()
        until(senders.grown(50))
        ledger = senders.finish()
    conserved(receiver, ledger)
    until(lambda: receiver.status()["health"]["calidris.checkpoint.age"] < 2)
    assert receiver.terminate() == 0
    conserved(receiver.start(), ledger)


def test_killed_and_started_on_a_full_disk(make_receiver: Make, small_disk: Path) -> None:
    """It starts, tells what it knows, and refuses until there is room."""
    receiver = make_receiver(CONFIG, small_disk).start()
    with load(receiver, copies=1, senders=2) as senders:
        until(senders.grown(50))
        ballast = fill(small_disk)
        until(lambda: len(senders.refusals) > 5)
        receiver.kill()
        receiver.start()
        assert receiver.status()["models"]
        refused = len(senders.refusals)
        until(lambda: len(senders.refusals) > refused)
        ballast.unlink()
        until(senders.grown(50))
        ledger = senders.finish()
    conserved(receiver, ledger)


def test_a_journal_that_has_the_disk_for_itself(make_receiver: Make, mount: Callable[[int], Path]) -> None:
    """It must not take the room that a checkpoint needs: nobody will come and free it."""
    config = CONFIG.replace("checkpoint_interval: 1s", "checkpoint_interval: 1h") + "limits: {pending_labels: 50000}\n"
    receiver = make_receiver(config, mount(32)).start()
    with load(receiver, copies=1, size=4000) as senders:
        until(lambda: sent_bytes(senders) > 40 * MIB, 60)
        ledger = senders.finish()
    conserved(receiver, ledger)
    assert failed_checkpoints(receiver) == 0


def test_files_that_may_not_grow(make_receiver: Make, tmp_path: Path) -> None:
    """``ulimit -f``: a segment that has reached the limit is left for the next one."""
    receiver = make_receiver(CONFIG.replace("256KiB", "8MiB"), tmp_path)
    receiver.limits = {"most_bytes": MIB}
    receiver.start()
    with load(receiver, copies=1) as senders:
        until(lambda: sent_bytes(senders) > 3 * MIB, 60)
        ledger = senders.finish()
    conserved(receiver, ledger)
    assert receiver.terminate() == 0


def sent_bytes(senders: Load) -> int:
    return sum(len(r.raw) * r.acknowledged for r in senders.ledger)
