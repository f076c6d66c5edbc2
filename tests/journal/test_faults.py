"""A full disk, a failing one, and a process that dies: what was acknowledged is there, what was refused is not."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import calidris
from calidris.errors import RetryableError
from calidris.journal.disk import RESERVE_BYTES, Buffer, Disk
from calidris.journal.group_commit import Ticket
from calidris.journal.journal import Journal
from calidris.journal.segment_format import Kind

KIB = 1024


def append(journal: Journal, payload: bytes) -> Ticket:
    return journal.append(Kind.REQUEST, 0, "default", payload)


class FaultyDisk(Disk):
    """Fails on demand; a failed write leaves half of its bytes, as a full disk does."""

    def __init__(self) -> None:
        self.fail: set[str] = set()
        self.syncs = 0

    def _check(self, call: str, code: int = errno.EIO) -> None:
        if call in self.fail:
            raise OSError(code, os.strerror(code))

    def write(self, fd: int, buffers: Sequence[Buffer]) -> None:
        if "write" in self.fail:
            whole = b"".join(buffers)
            os.write(fd, whole[: len(whole) // 2])
        self._check("write", errno.ENOSPC)
        super().write(fd, buffers)

    def sync(self, fd: int) -> None:
        self.syncs += 1
        self._check("sync")
        super().sync(fd)

    def cut(self, fd: int, size: int) -> None:
        self._check("cut")
        super().cut(fd, size)

    def remove(self, path: Path) -> None:
        self._check("remove")
        super().remove(path)

    def sync_directory(self, path: Path) -> None:
        self._check("sync_directory")
        super().sync_directory(path)


@pytest.fixture
def disk() -> FaultyDisk:
    return FaultyDisk()


@pytest.fixture
def journal(tmp_path: Path, disk: FaultyDisk) -> Iterator[Journal]:
    journal = Journal(tmp_path, disk=disk)
    yield journal
    disk.fail.clear()
    journal.close()


def payloads(journal: Journal) -> list[bytes]:
    return [record.payload for record in journal.replay(0)]


def test_a_refused_group_leaves_no_bytes_and_no_gap(tmp_path: Path, journal: Journal, disk: FaultyDisk) -> None:
    append(journal, b"one").wait()
    size = journal.size_bytes
    disk.fail.add("write")
    with pytest.raises(RetryableError, match="No space left"):
        append(journal, b"refused").wait()
    assert not journal.failed
    assert sum(file.stat().st_size for file in tmp_path.glob("*.journal")) == journal.size_bytes == size
    disk.fail.clear()
    assert append(journal, b"two").wait() == 2
    assert payloads(journal) == [b"one", b"two"]


def test_a_full_disk_at_the_first_record(tmp_path: Path, journal: Journal, disk: FaultyDisk) -> None:
    """The new segment cannot even get its header: it goes away again."""
    disk.fail.add("write")
    for _ in range(2):
        with pytest.raises(RetryableError):
            append(journal, b"refused").wait()
    assert list(tmp_path.glob("*.journal")) == []
    disk.fail.clear()
    assert append(journal, b"one").wait() == 1


def test_a_file_that_may_not_grow_is_left_for_the_next(tmp_path: Path, journal: Journal, disk: FaultyDisk) -> None:
    """A limit on the size of files must not stop a receiver that could write another file."""
    append(journal, b"one").wait()
    disk.fail.add("write")
    with pytest.raises(RetryableError):
        append(journal, b"refused").wait()
    disk.fail.clear()
    append(journal, b"two").wait()
    assert [int(file.stem) for file in sorted(tmp_path.glob("*.journal"))] == [1, 2]
    assert payloads(journal) == [b"one", b"two"]


def test_the_checkpoint_has_a_reserve(tmp_path: Path) -> None:
    """The journal never takes the last of a disk, says so, and goes on by itself when there is room."""

    class NearlyFullDisk(Disk):
        free = RESERVE_BYTES + 10 * KIB

        def free_bytes(self, path: Path) -> tuple[int, int]:
            return self.free, 1 << 40

    disk = NearlyFullDisk()
    journal = Journal(tmp_path, segment_bytes=4 * KIB, disk=disk)
    append(journal, bytes(6 * KIB)).wait()
    assert not journal.filling
    disk.free = RESERVE_BYTES + KIB
    time.sleep(0.15)
    assert journal.filling
    with pytest.raises(RetryableError, match="full"):
        append(journal, bytes(6 * KIB))
    disk.free = RESERVE_BYTES + 10 * KIB
    time.sleep(0.15)
    assert append(journal, bytes(6 * KIB)).wait() == 2
    journal.close()


@pytest.mark.parametrize("faults", [{"sync"}, {"write", "cut"}, {"sync_directory"}])
def test_an_unknown_outcome_ends_the_acknowledging(tmp_path: Path, faults: set[str]) -> None:
    """A failed sync is never tried again, however healthy the disk looks afterwards."""
    disk, seen = FaultyDisk(), []
    journal = Journal(tmp_path, disk=disk, on_failure=seen.append)
    if faults != {"sync_directory"}:
        append(journal, b"one").wait()
    disk.fail |= faults
    with pytest.raises(RetryableError, match="has failed"):
        append(journal, b"lost").wait()
    disk.fail.clear()
    syncs = disk.syncs
    with pytest.raises(RetryableError, match="has failed"):
        append(journal, b"later").wait()
    assert journal.failed and len(seen) == 1
    assert disk.syncs == syncs
    journal.close()


def test_every_waiting_ticket_hears_of_the_failure(tmp_path: Path, disk: FaultyDisk) -> None:
    journal = Journal(tmp_path, disk=disk, on_failure=lambda error: 1 // 0)
    disk.fail.add("sync")
    tickets = []
    with pytest.raises(RetryableError):
        while True:
            tickets.append(append(journal, b"x"))
    for ticket in tickets:
        with pytest.raises(RetryableError):
            ticket.wait(10)
    journal.close()


def test_a_file_that_cannot_be_deleted_is_tried_again(tmp_path: Path, disk: FaultyDisk) -> None:
    journal = Journal(tmp_path, segment_bytes=KIB, disk=disk)
    for _ in range(4):
        append(journal, bytes(KIB)).wait()
    disk.fail.add("remove")
    journal.truncate(3)
    assert len(list(tmp_path.glob("*.journal"))) == 4
    disk.fail.clear()
    journal.truncate(3)
    assert [int(file.stem) for file in tmp_path.glob("*.journal")] == [4]
    journal.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of two megabytes."""
    libc = ctypes.CDLL(None, use_errno=True)
    path = tmp_path / "small"
    path.mkdir()
    if libc.mount(b"tmpfs", bytes(path), b"tmpfs", 0, b"size=2m") != 0:
        pytest.skip("mounting needs root")
    yield path
    libc.umount2(bytes(path), 2)


def test_a_really_full_disk(small_disk: Path) -> None:
    """It refuses while full, recovers alone when space is free, and every number given is in the replay."""
    journal = Journal(small_disk / "journal", segment_bytes=256 * KIB)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1000 * KIB))
    acked = fill(journal)
    ballast.unlink()
    acked += fill(journal)
    journal.truncate(acked[len(acked) // 2])
    acked += fill(journal)
    assert acked == list(range(1, len(acked) + 1))
    left = [record.seq for record in journal.replay(0)]
    assert left == acked[-len(left) :] and left[0] <= len(acked) // 2 + 1
    assert not journal.failed and journal.lost_records == 0
    journal.close()


def fill(journal: Journal) -> list[int]:
    """Append from several threads until the disk has refused each of them."""

    def until_refused(_: int) -> list[int]:
        numbers = []
        try:
            while True:
                numbers.append(append(journal, os.urandom(20 * KIB)).wait())
        except RetryableError:
            return numbers

    with ThreadPoolExecutor(4) as pool:
        numbers = sorted(number for found in pool.map(until_refused, range(4)) for number in found)
    assert numbers
    return numbers


WRITER = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from calidris.journal.journal import Journal

journal = Journal(sys.argv[1], segment_bytes=200_000)

def forever(worker):
    while True:
        payload = b"%d:" % worker + bytes(3000)
        os.write(1, b"%d %d\\n" % (journal.append(1, 0, "t", payload).wait(), worker))

with ThreadPoolExecutor(4) as pool:
    list(pool.map(forever, range(4)))
"""


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.1, 0.3])
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, delay_s: float) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(next(iter(calidris.__path__))).parent)}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, env=environment, text=True
    ) as writer:
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(delay_s)
        writer.send_signal(signal.SIGKILL)
        lines = [first, *writer.stdout.read().splitlines(keepends=True)]
    acked = dict(map(int, line.split()) for line in lines if line.endswith("\n"))
    journal = Journal(tmp_path)
    found = {record.seq: int(record.payload.partition(b":")[0]) for record in journal.replay(0)}
    assert list(found) == list(range(1, journal.last_seq + 1))
    assert acked.items() <= found.items()
    assert journal.lost_records == 0
    journal.close()
