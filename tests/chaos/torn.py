"""What a crash of the whole machine may leave of a write that was under way: never less than what somebody relied on."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from running import Running
from senders import Load

from calidris.journal.segment_format import (
    FILE_HEAD_BYTES,
    RECORD_HEAD_BYTES,
    Kind,
    Record,
    body_crc,
    file_head,
    read_segment,
    record_head,
)


@dataclass(frozen=True)
class End:
    """The newest segment of a killed receiver.

    Attributes:
        path: the file.
        last: where its last record begins.
        safe: where that ends which somebody relied on: acknowledged, or applied and in the checkpoint.
        size: of the file.
        next_seq: number of the next record.
    """

    path: Path
    last: int
    safe: int
    size: int
    next_seq: int


def end_of(receiver: Running, senders: Load) -> End | None:
    """The newest segment, if there is any."""
    storage = receiver.folder / "data"
    segments = sorted((storage / "journal").glob("*.journal"))
    if not segments:
        return None
    acknowledged = {request.raw for request in senders.ledger if request.acknowledged}
    path, saved = segments[-1], checkpointed(storage)
    end = last = safe = FILE_HEAD_BYTES
    seq = int(path.stem) - 1
    for found in read_segment(path, path.stat().st_size):
        if isinstance(found, Record):
            last, seq = end, found.seq
            end += RECORD_HEAD_BYTES + len(found.tenant.encode()) + len(found.payload)
            safe = end if seq <= saved or found.payload in acknowledged else safe
    return End(path, max(last, safe), safe, path.stat().st_size, seq + 1)


def checkpointed(storage: Path) -> int:
    """The sequence number of the checkpoint."""
    with closing(sqlite3.connect(storage / "state.sqlite")) as db:
        row = db.execute("SELECT value FROM meta WHERE key = 'sequence'").fetchone()
        return int(row[0]) if row else 0


def _append(end: End, content: bytes) -> None:
    with end.path.open("ab") as file:
        file.write(content)


def junk(end: End, drawn: random.Random) -> None:
    """Bytes of another file behind the end."""
    _append(end, drawn.randbytes(drawn.randint(1, 5000)))


def zeros(end: End, drawn: random.Random) -> None:
    """Room that was given to the file and never filled."""
    _append(end, bytes(drawn.choice([1, 512, 4096])))


def part(end: End, drawn: random.Random) -> None:
    """A record whose end did not get to the disk."""
    tenant, payload = b"default", drawn.randbytes(1000)
    head = record_head(Kind.REQUEST, end.next_seq, 0, tenant, payload, body_crc(tenant, payload))
    _append(end, (head + tenant + payload)[: drawn.randint(1, len(head) + 1000)])


def header(end: End, drawn: random.Random) -> None:
    """A new segment that did not get all of its first bytes."""
    path = end.path.with_stem(f"{end.next_seq:020d}")
    if not path.exists():
        path.write_bytes(file_head()[: drawn.randint(0, FILE_HEAD_BYTES)])


def cut(end: End, drawn: random.Random) -> None:
    """The end of what nobody relied on is missing."""
    os.truncate(end.path, drawn.randrange(end.safe, end.size))


def flip(end: End, drawn: random.Random) -> None:
    """A bit of a last record that nobody relied on is wrong."""
    content = bytearray(end.path.read_bytes())
    content[drawn.randrange(end.last, end.size)] ^= 1 << drawn.randrange(8)
    end.path.write_bytes(content)


BEHIND = (junk, zeros, part, header)
UNSAFE = (cut, flip)


def tear(receiver: Running, senders: Load, drawn: random.Random) -> str:
    """Hurt the journal of a killed receiver, where possible in what it wrote and nobody relied on; returns how."""
    end = end_of(receiver, senders)
    if end is None:
        return "no journal yet"
    how: Callable[[End, random.Random], None] = drawn.choice(UNSAFE if end.size > end.last else BEHIND)
    how(end, drawn)
    return how.__name__
