"""A journal that has gone bad in its middle: it starts, tells exactly what is gone, and sets the bytes aside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from account import LOST, accounted, total
from hatched import Reborn
from running import CONFIG, rows, until

from calidris.journal.segment_format import RECORD_HEAD_BYTES, Kind, Record, read_segment
from calidris.wire import encode_predictions

pytestmark = pytest.mark.e2e

Make = Callable[..., Reborn]
NEVER_SAVED = CONFIG.replace("checkpoint_interval: 1s", "checkpoint_interval: 1h").replace("256KiB", "16KiB")


@dataclass(frozen=True)
class Place:
    """A request in a journal, somewhere in the middle."""

    segment: Path
    offset: int
    index: int
    records: list[Record]


def middle(receiver: Reborn) -> Place:
    """The second of several requests in a segment that is neither the first nor the last."""
    segments = sorted((receiver.folder / "data" / "journal").glob("*.journal"))
    segment = segments[len(segments) // 2]
    records = [r for r in read_segment(segment, segment.stat().st_size) if isinstance(r, Record)]
    index = [i for i, r in enumerate(records) if r.kind == Kind.REQUEST][1]
    sizes = [RECORD_HEAD_BYTES + len(r.tenant) + len(r.payload) for r in records]
    return Place(segment, segment.stat().st_size - sum(sizes[index:]), index, records)


def flip(place: Place, at: int) -> None:
    content = bytearray(place.segment.read_bytes())
    content[place.offset + at] ^= 0x10
    place.segment.write_bytes(content)


def body(place: Place) -> list[Record]:
    """One byte of a request: that request is lost."""
    flip(place, RECORD_HEAD_BYTES + 100)
    return place.records[place.index : place.index + 1]


def head(place: Place) -> list[Record]:
    """One byte of a record's head, which says how long it is: the rest of the file is lost."""
    flip(place, 9)
    return place.records[place.index :]


def block(place: Place) -> list[Record]:
    """A sector that reads as zeros, from the head of a record on."""
    content = bytearray(place.segment.read_bytes())
    content[place.offset : place.offset + 512] = bytes(512)
    place.segment.write_bytes(content)
    return place.records[place.index :]


def missing(place: Place) -> list[Record]:
    """A file that somebody deleted."""
    place.segment.unlink()
    return place.records


@pytest.mark.parametrize("damage", [body, head, block, missing])
def test_what_is_lost_is_told_exactly(make_receiver: Make, damage: Callable[[Place], list[Record]]) -> None:
    receiver = make_receiver(NEVER_SAVED).start()
    sent = {}
    for seed in range(60):
        raw = encode_predictions(rows(20 + seed, seed=seed), form="packed", one_span_per_row=False)
        sent[raw] = 20 + seed
        receiver.export(raw)
    receiver.kill()
    lost = damage(middle(receiver))
    receiver.start()
    left = sum(sent.values()) - sum(sent.get(record.payload, 0) for record in lost)
    told = receiver.status()
    assert accounted(told) == (left, 0) and total(told, LOST) == len(lost)
    assert receiver.total("calidris_journal_lost_total") == len(lost)
    assert f"records {lost[0].seq} to {lost[-1].seq} are lost" in receiver.log
    aside = list((receiver.folder / "data" / "journal").glob("*.corrupt"))
    assert [file.read_bytes()[-50:] in b"".join(sent) for file in aside] == ([] if damage is missing else [True])
    receiver.export(encode_predictions(rows(10, seed=99), form="json", one_span_per_row=True))
    until(lambda: accounted(receiver.status()) == (left + 10, 0))
    assert receiver.terminate() == 0
    told = receiver.start().status()
    assert accounted(told) == (left + 10, 0) and total(told, LOST) == 0, "the checkpoint covers the gap"
