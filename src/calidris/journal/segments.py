"""The journal's directory: which segments there are, which one is written, what was damaged.

::

    00000000000000000001.journal   closed   records 1..812      ── dropped once all are applied
    00000000000000000813.journal   closed   records 813..1490
    00000000000000001491.journal   active   records 1491..
    00000000000000000001.4096.corrupt       bytes that could not be read, set aside

A segment is named by its first sequence number. A new process never appends to an old segment, so a write that was cut
short by a crash can only be at the very end of the last one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from calidris.journal.disk import Buffer, Disk
from calidris.journal.segment_format import FILE_HEAD_BYTES, Damage, Record, file_head, read_segment

_SUFFIX = ".journal"
_MAX_SET_ASIDE = 16

_logger = logging.getLogger(__name__)


class BrokenDisk(Exception):
    """What is on the device is unknown; nothing may be acknowledged any more."""


@dataclass(slots=True)
class Segment:
    """One file of records ``first_seq`` to ``last_seq``; nothing of it is read beyond ``size``.

    ``last_seq`` is ``first_seq - 1`` while there are no records.
    """

    path: Path
    first_seq: int
    last_seq: int
    size: int

    @property
    def empty(self) -> bool:
        """True while there are no records."""
        return self.last_seq < self.first_seq


class Segments:
    """The segments of one directory. Not thread-safe: the journal's I/O lock guards it.

    Opening costs one pass over the last segment. Nothing that is found there makes it fail: what is unreadable at the
    end of the last segment is a write cut short, never acknowledged, and is cut off; damage elsewhere waits for
    ``read``.

    Attributes:
        torn_bytes: how much was cut off the last segment at opening.
        lost_records: numbers that ``read`` should have given back and could not, so far.
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self._fd: int | None = None
        self._floor = 0  # the last number that was ever written, once its segment is gone
        self.torn_bytes = 0
        self.lost_records = 0
        self.segments = _list(path)
        self._recover_last()

    @property
    def last_seq(self) -> int:
        """The highest sequence number written, as far as this directory knows; 0 if there never was one."""
        return self.segments[-1].last_seq if self.segments else self._floor

    @property
    def size_bytes(self) -> int:
        """Bytes of all segments, kept ones too."""
        return sum(segment.size for segment in self.segments)

    def append(self, first_seq: int, count: int, buffers: Sequence[Buffer], *, roll_at: int) -> None:
        """Write ``count`` records that begin with ``first_seq`` and return when they are durable.

        Raises:
            OSError: nothing was kept; it may succeed later.
            BrokenDisk: it is unknown what was kept.
        """
        fd = self._writable(first_seq, roll_at)
        segment = self.segments[-1]
        try:
            self._disk.write(fd, buffers)
        except OSError:
            self._undo(fd, segment.size)
            if not segment.empty:  # it may be this file that has reached a limit: the next record tries another
                self.close_active()
            raise
        self._sync(fd)
        segment.size += sum(map(len, buffers))
        segment.last_seq = first_seq + count - 1

    def above(self, seq: int) -> list[Segment]:
        """The segments that hold records above ``seq``, as they are now."""
        return [replace(segment) for segment in self.segments if segment.last_seq > seq]

    def read(self, segments: Sequence[Segment], after_seq: int) -> Iterator[Record]:
        """Every readable record above ``after_seq``, in order. Damage is set aside; the numbers it cost are counted."""
        seen = max(after_seq, segments[0].first_seq - 1) if segments else after_seq
        for segment in segments:
            for found in read_segment(segment.path, segment.size):
                if isinstance(found, Damage):
                    _logger.error("journal: %d bytes of %s cannot be read", found.size, segment.path)
                    self._set_aside(segment.path, found)
                elif found.seq > after_seq:
                    self._miss(seen + 1, found.seq - 1)
                    seen = found.seq
                    yield found
            self._miss(seen + 1, segment.last_seq)
            seen = max(segment.last_seq, seen)

    def _miss(self, first_seq: int, last_seq: int) -> None:
        """Count the records between two numbers as lost, if there are any, and say so."""
        if last_seq >= first_seq:
            _logger.error("journal: records %d to %d are lost", first_seq, last_seq)
            self.lost_records += last_seq - first_seq + 1

    def drop(self, up_to_seq: int) -> None:
        """Delete the closed segments without a record above ``up_to_seq``, oldest first: a crash leaves no hole.

        The directory is synced afterwards only: what must be durable before (the newer segments) was made so when they
        were created. A failure is logged, and tried again next time.
        """
        closed = self.segments[: -1 if self._fd is not None else None]
        gone = [segment for segment in closed if segment.last_seq <= up_to_seq]
        try:
            for segment in gone:
                self._forget(segment)
            if gone:
                self._disk.sync_directory(self._path)
        except OSError as error:
            _logger.warning("journal: cannot delete old segments: %s", error)

    def close_active(self) -> None:
        """The next record begins a new segment."""
        if self._fd is not None:
            self._disk.close(self._fd)
            self._fd = None
        if self.segments and self.segments[-1].empty:
            self._forget(self.segments[-1])

    @property
    def active(self) -> Segment | None:
        """The segment that is being written."""
        return self.segments[-1] if self._fd is not None else None

    def _writable(self, first_seq: int, roll_at: int) -> int:
        if self._fd is not None and self.segments[-1].size >= roll_at:
            self.close_active()
        if self._fd is None:
            self._fd = self._create(first_seq)
        return self._fd

    def _create(self, first_seq: int) -> int:
        path = self._path / f"{first_seq:020d}{_SUFFIX}"
        fd = self._disk.create(path)
        try:
            self._disk.write(fd, [file_head()])
        except OSError:
            self._disk.close(fd)
            self._disk.remove(path)
            raise
        try:
            self._disk.sync_directory(self._path)
        except OSError as error:
            raise BrokenDisk(f"cannot sync the directory {self._path}: {error}") from error
        self.segments.append(Segment(path, first_seq, first_seq - 1, FILE_HEAD_BYTES))
        return fd

    def _undo(self, fd: int, size: int) -> None:
        try:
            self._disk.cut(fd, size)
        except OSError as error:
            raise BrokenDisk(f"cannot take back a failed write: {error}") from error

    def _sync(self, fd: int) -> None:
        try:
            self._disk.sync(fd)
        except OSError as error:
            # Never again: after a failed sync the kernel may have dropped the pages and would report success next time.
            raise BrokenDisk(f"cannot sync the journal: {error}") from error

    def _recover_last(self) -> None:
        """Find where the last segment ends, cut off what is unreadable there, and drop it if nothing remains."""
        if not self.segments:
            return
        last = self.segments[-1]
        tail: int | None = None  # where the unreadable end begins
        for found in read_segment(last.path, last.size):
            if isinstance(found, Record):
                last.last_seq = found.seq
                tail = None
            elif tail is None and (found.offset > 0 or found.rest):
                tail = found.offset
        if tail is not None:
            self._cut_off(last, tail)
        if last.empty:
            self._forget(last)

    def _cut_off(self, segment: Segment, end: int) -> None:
        self.torn_bytes += segment.size - end
        self._set_aside(segment.path, Damage(end, segment.size - end, rest=True))
        segment.size = end
        try:
            fd = os.open(segment.path, os.O_WRONLY | os.O_CLOEXEC)
            try:
                self._disk.cut(fd, end)
                self._disk.sync(fd)
            finally:
                self._disk.close(fd)
        except OSError as error:  # nothing beyond ``size`` is read, so the start can go on without
            _logger.warning("journal: cannot shorten %s: %s", segment.path, error)

    def _forget(self, segment: Segment) -> None:
        self._disk.remove(segment.path)
        self.segments.remove(segment)
        self._floor = max(self._floor, segment.last_seq)

    def _set_aside(self, path: Path, damage: Damage) -> None:
        """Keep the bytes for whoever investigates, as far as the disk has room; at most a few files."""
        if sum(1 for _ in self._path.glob("*.corrupt")) >= _MAX_SET_ASIDE:
            return
        try:
            with path.open("rb") as file:
                file.seek(damage.offset)
                content = file.read(damage.size)
            target = path.with_suffix(f".{damage.offset}.corrupt")
            target.touch(mode=0o600)
            target.write_bytes(content)
        except OSError as error:
            _logger.warning("journal: cannot set aside damaged bytes of %s: %s", path, error)


def _list(path: Path) -> list[Segment]:
    """The segments of a directory in order; each ends where the next begins."""
    paths = sorted(file for file in path.glob(f"*{_SUFFIX}") if file.stem.isdigit())
    firsts = [int(file.stem) for file in paths]
    lasts = [following - 1 for following in firsts[1:]] + [firsts[-1] - 1] if firsts else []
    return [
        Segment(file, first, last, file.stat().st_size) for file, first, last in zip(paths, firsts, lasts, strict=True)
    ]
