"""The journal: what is acknowledged is here first.

::

              handlers                       one committer thread                 engine
    append ─► queued ─► group ─► one write ─► one fdatasync ─► tickets done       truncate(checkpoint) ─► files deleted
                          │ disk full: nothing kept, tickets refused, the next group tries again
                          └ sync failed: nothing is acknowledged ever again, the process should exit

**Numbers.** The committer numbers the records of a group when it writes them, and a group that fails keeps no numbers. So
numbers follow the order of the file, have no gaps, and exist for durable records only: whoever holds a number must hand it
to the inbox, whatever else goes wrong. After a restart they go on from the highest of the last readable record and the
checkpoint's ``start_after``.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from calidris.journal.disk import Buffer, Disk, Space, lock_directory
from calidris.journal.group_commit import Committer, Ticket
from calidris.journal.segment_format import Record, record_head
from calidris.journal.segments import Segments
from calidris.journal.timing import Timing

_MIB = 1 << 20
_SEGMENTS_IN_CAP = 8  # so that dropping whole segments always frees most of a full journal


class Journal:
    """Append-only, checksummed, group-committed. Thread-safe.

    Attributes:
        sync_timing: how long writing and syncing groups takes, failed ones too.

    Args:
        path: its directory; created if need be, and locked against other processes.
        segment_bytes: a segment is closed at this size (or at an eighth of ``max_bytes``, if that is less).
        max_bytes: cap on what is not yet truncated; above it, appends are refused until ``truncate``. They are refused too
            while the disk has no more than the checkpoint's reserve (``disk.RESERVE_BYTES``).
        start_after: the sequence number in the engine's checkpoint; numbers go on above it.
        keep_truncated: keep the files of truncated segments for replays. They do not count towards ``max_bytes``:
            somebody else must bound them.
        disk: the operating system's calls.
        on_failure: called once, from the committer's thread, when a sync failed and the process should exit.

    Raises:
        ConfigError: the directory cannot be written or is in use. Damaged content never stops the start.

    Example:
        >>> import tempfile
        >>> from calidris.journal.segment_format import Kind
        >>> journal = Journal(tempfile.mkdtemp())
        >>> journal.append(Kind.REQUEST, arrival_ns=5, tenant="default", payload=b"spans").wait()
        1
        >>> [record.payload for record in journal.replay(after_seq=0)]
        [b'spans']
        >>> journal.close()
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        segment_bytes: int = 64 * _MIB,
        max_bytes: int = 4096 * _MIB,
        start_after: int = 0,
        keep_truncated: bool = False,
        disk: Disk | None = None,
        on_failure: Callable[[BaseException], None] | None = None,
    ) -> None:
        self._lock_fd: int | None = lock_directory(Path(path))
        self._segment_bytes = min(segment_bytes, max_bytes // _SEGMENTS_IN_CAP)
        self._max_bytes = max_bytes
        self._kept_to = start_after if keep_truncated else None
        self._io = threading.Lock()  # guards the fields below; held during a write and its sync
        self._segments = self._open_segments(Path(path), disk or Disk())
        self._space = Space(Path(path), disk or Disk())
        self._last_seq = max(self._segments.last_seq, start_after)
        self._live_bytes = self._count_live()
        self._opened_after = self._last_seq
        self.sync_timing = Timing()
        self._committer = Committer(self._write, on_failure)

    @property
    def last_seq(self) -> int:
        """Number of the last durable record."""
        return self._last_seq

    @property
    def size_bytes(self) -> int:
        """Bytes on disk, kept segments too."""
        return self._segments.size_bytes

    @property
    def live_bytes(self) -> int:
        """Bytes that count towards the cap: what no checkpoint covers, by whole segments."""
        return self._live_bytes

    @property
    def limit_bytes(self) -> int:
        """The cap."""
        return self._max_bytes

    @property
    def filling(self) -> bool:
        """More than half of what cap and disk allow is taken: a checkpoint should come before its time."""
        return self._live_bytes > max(self._free_bytes(), self._segment_bytes)

    @property
    def records(self) -> int:
        """Records made durable since the start."""
        return self._last_seq - self._opened_after

    @property
    def syncs(self) -> int:
        """Groups written since the start, each with one sync."""
        return self.sync_timing.count

    @property
    def torn_bytes(self) -> int:
        """Bytes cut off the end at the start: a write that a crash cut short, so never acknowledged."""
        return self._segments.torn_bytes

    @property
    def lost_records(self) -> int:
        """Records that ``replay`` could not give back: above zero, acknowledged data is lost."""
        return self._segments.lost_records

    @property
    def failed(self) -> bool:
        """True once a sync failed: nothing will be acknowledged any more and the process should exit."""
        return self._committer.failure is not None

    def append(self, kind: int, arrival_ns: int, tenant: str, payload: bytes) -> Ticket:
        """Queue one record to be written; never blocks on the disk. Costs a checksum of the payload.

        Args:
            kind: a ``Kind``.
            arrival_ns: when it arrived, ns since the epoch.
            tenant: who sent it, at most 255 bytes.
            payload: the raw request, or ``seal_payload``.

        Raises:
            RetryableError: the journal is full, has failed, or is closed. Nothing was kept.
        """
        ticket = Ticket(kind, arrival_ns, tenant.encode(), payload)
        self._committer.submit(ticket, self._free_bytes)
        return ticket

    def replay(self, after_seq: int) -> Iterator[Record]:
        """Every durable record above ``after_seq`` in order, one in memory at a time.

        A record that cannot be read is left out and counted; its bytes are set aside as ``*.corrupt``. Call it before
        ``truncate`` deletes what it would read.
        """
        with self._io:
            segments = self._segments.above(after_seq)
        return self._segments.read(segments, after_seq)

    def truncate(self, up_to_seq: int) -> None:
        """Delete every segment whose records are all at or below ``up_to_seq``.

        Call it only when the checkpoint that covers them is durable. The segment being written stays, unless it is
        large. A file that cannot be deleted is tried again next time.
        """
        with self._io:
            active = self._segments.active
            if active and active.last_seq <= up_to_seq and active.size >= self._segment_bytes // 2:
                self._segments.close_active()
            if self._kept_to is not None:
                self._kept_to = up_to_seq
            else:
                self._segments.drop(up_to_seq)
            self._live_bytes = self._count_live()

    def close(self) -> None:
        """Make what is queued durable, then stop. May be called more than once."""
        self._committer.close()
        with self._io:
            self._segments.close_active()
            self._unlock()

    def _open_segments(self, path: Path, disk: Disk) -> Segments:
        try:
            return Segments(path, disk)
        except BaseException:
            self._unlock()
            raise

    def _unlock(self) -> None:
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def _write(self, group: list[Ticket]) -> int:
        """Number a group's records and make them durable; the number of the first one. Called by the committer."""
        with self._io:
            first_seq = self._last_seq + 1
            with self.sync_timing.measure():
                self._segments.append(first_seq, len(group), _buffers(group, first_seq), roll_at=self._segment_bytes)
            self._last_seq += len(group)
            self._live_bytes = self._count_live()
            return first_seq

    def _free_bytes(self) -> int:
        return min(self._max_bytes - self._live_bytes, self._space.spare_bytes())

    def _count_live(self) -> int:
        kept_to = -1 if self._kept_to is None else self._kept_to
        return sum(segment.size for segment in self._segments.segments if segment.last_seq > kept_to)


def _buffers(group: list[Ticket], first_seq: int) -> list[Buffer]:
    buffers: list[Buffer] = []
    for seq, ticket in enumerate(group, first_seq):
        head = record_head(ticket.kind, seq, ticket.arrival_ns, ticket.tenant, ticket.payload, ticket.crc)
        buffers += [head + ticket.tenant, ticket.payload]
    return buffers
