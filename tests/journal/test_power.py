"""The power fails at any call to the disk: only what was synced is sure to be there, and that must be enough."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from calidris.journal.disk import Buffer, Disk, lock_directory
from calidris.journal.journal import Journal
from calidris.journal.segment_format import Kind


class PowerCut(Exception):
    """Nothing after this happens."""


class UnsureDisk(Disk):
    """Knows what has reached the device. At its ``fails_at``-th call it leaves in ``after`` what a machine might find.

    That is every byte that was synced, of every file whose name was; and of the rest whatever chance wants: names that
    were not synced are there or not, files end anywhere behind their synced part, or in junk.
    """

    def __init__(self, after: Path, fails_at: int, seed: int) -> None:
        self.after = after
        self.left = fails_at
        self.drawn = random.Random(seed)
        self.lock = threading.RLock()
        self.paths: dict[int, Path] = {}
        self.written: dict[Path, bytes] = {}
        self.synced: dict[Path, int] = {}
        self.named: set[Path] = set()  # in the directory for sure
        self.gone: set[Path] = set()  # removed, if the device has heard of it
        self.acknowledged: list[int] = []
        self.found: list[int] = []  # what was acknowledged before the end

    def _tick(self) -> None:
        if self.left == 0:
            raise PowerCut
        self.left -= 1
        if self.left == 0:
            self.found = list(self.acknowledged)
            self._leave()
            raise PowerCut

    def _leave(self) -> None:
        self.after.mkdir()
        for path, content in self.written.items():
            if (path not in self.named or path in self.gone) and self.drawn.random() < 0.5:
                continue
            end = self.drawn.randint(self.synced[path], len(content))
            junk = self.drawn.randbytes(self.drawn.choice([0, 0, 40]))
            (self.after / path.name).write_bytes(content[:end] + junk)

    def create(self, path: Path) -> int:
        with self.lock:
            self._tick()
            fd = super().create(path)
            self.paths[fd], self.written[path], self.synced[path] = path, b"", 0
            return fd

    def write(self, fd: int, buffers: Sequence[Buffer]) -> None:
        with self.lock:
            path = self.paths[fd]
            self.written[path] += b"".join(buffers)
            self._tick()
            super().write(fd, buffers)

    def sync(self, fd: int) -> None:
        with self.lock:
            self._tick()
            self.synced[self.paths[fd]] = len(self.written[self.paths[fd]])

    def remove(self, path: Path) -> None:
        with self.lock:
            self._tick()
            super().remove(path)
            self.gone.add(path)

    def sync_directory(self, path: Path) -> None:
        with self.lock:
            self._tick()
            self.named |= self.written.keys()
            for removed in self.gone:
                self.written.pop(removed)
            self.gone.clear()


def work(journal: Journal, disk: UnsureDisk) -> int:
    """Append from three threads and truncate now and then, until the power fails; how far was truncated."""
    truncated = 0

    def append(worker: int) -> None:
        with suppress(Exception):
            while True:
                disk.acknowledged.append(journal.append(Kind.REQUEST, 0, "t", os.urandom(200 + worker)).wait(10))

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(append, worker) for worker in range(3)]
        while disk.left and not all(one.done() for one in running):
            with suppress(PowerCut):
                upto = max(disk.acknowledged[-20:-10], default=0)
                truncated = max(truncated, upto)
                journal.truncate(truncated)
    return truncated


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4, 5, 7, 11, *range(20, 200, 6)])
def test_what_was_acknowledged_survives(tmp_path: Path, fails_at: int) -> None:
    disk = UnsureDisk(tmp_path / "after", fails_at, seed=fails_at)
    journal = Journal(tmp_path / "before", segment_bytes=2000, disk=disk)
    truncated = work(journal, disk)
    with suppress(PowerCut):
        journal.close()
    again = Journal(tmp_path / "after", start_after=truncated)
    kept = [record.seq for record in again.replay(truncated)]
    assert {seq for seq in disk.found if seq > truncated} <= set(kept)
    assert kept == sorted(set(kept)) and again.lost_records == 0
    assert again.append(Kind.REQUEST, 0, "t", b"next").wait() > max(disk.found, default=0)
    again.close()


def test_a_new_directory_is_named_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is only found again where every directory above it is."""
    synced: list[Path] = []
    monkeypatch.setattr(Disk, "sync_directory", lambda self, path: synced.append(path))
    os.close(lock_directory(tmp_path / "a" / "b"))
    assert synced == [tmp_path / "a", tmp_path]
    os.close(lock_directory(tmp_path / "a" / "b"))
    assert len(synced) == 2
