"""Whatever a crash or a bad sector does to the files: the journal opens, keeps what it can, and counts the rest."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from calidris.errors import ConfigError
from calidris.journal.journal import Journal
from calidris.journal.segment_format import FILE_HEAD_BYTES, RECORD_HEAD_BYTES, Kind, seal_payload

PAYLOADS = (b"first request", b"", b"third, a little longer than the others", seal_payload(99))


def write(path: Path, *, segment_bytes: int = 1 << 20) -> list[tuple[Path, bytes]]:
    """A journal of four records; its segments and what they hold."""
    journal = Journal(path, segment_bytes=segment_bytes)
    for number, payload in enumerate(PAYLOADS):
        kind = Kind.SEAL if number == 3 else Kind.REQUEST
        journal.append(kind, number, "t", payload).wait()
    journal.close()
    return [(file, file.read_bytes()) for file in sorted(path.glob("*.journal"))]


def ends() -> list[int]:
    """Where each record of a one-segment journal ends."""
    position, found = FILE_HEAD_BYTES, []
    for payload in PAYLOADS:
        position += RECORD_HEAD_BYTES + 1 + len(payload)
        found.append(position)
    return found


def put_back(path: Path, segments: list[tuple[Path, bytes]]) -> None:
    for file in [*path.glob("*.journal"), *path.glob("*.corrupt")]:
        file.unlink()
    for file, content in segments:
        file.write_bytes(content)


def test_torn_at_every_byte(tmp_path: Path) -> None:
    """Everything before the tear is kept, the rest is cut off, and the next record goes on from there."""
    ((file, content),) = write(tmp_path)
    assert ends()[-1] == len(content)
    for size in range(len(content) + 1):
        put_back(tmp_path, [(file, content[:size])])
        whole = sum(1 for end in ends() if end <= size)
        journal = Journal(tmp_path)
        assert [record.payload for record in journal.replay(0)] == list(PAYLOADS[:whole])
        assert journal.torn_bytes == size - max(
            [end for end in ends() if end <= size], default=min(size, 16) // 16 * 16
        )
        assert journal.lost_records == 0
        assert journal.append(Kind.REQUEST, 0, "t", b"next").wait() == whole + 1
        journal.close()
        journal = Journal(tmp_path)
        assert [record.payload for record in journal.replay(0)] == [*PAYLOADS[:whole], b"next"]
        assert (journal.torn_bytes, journal.lost_records) == (0, 0)
        journal.close()


@pytest.mark.parametrize("junk", [bytes(1), bytes(100), bytes(5000), b"\xff" * 100, b"CALIDRIS" * 20])
def test_junk_after_the_end(tmp_path: Path, junk: bytes) -> None:
    """A file system may leave zeros, or another file's old blocks, where a write was cut short."""
    ((file, content),) = write(tmp_path)
    file.write_bytes(content + junk)
    journal = Journal(tmp_path)
    assert [record.payload for record in journal.replay(0)] == list(PAYLOADS)
    assert (journal.torn_bytes, journal.lost_records) == (len(junk), 0)
    assert file.read_bytes() == content
    journal.close()


def test_a_flipped_bit_at_every_byte_of_the_last_segment(tmp_path: Path) -> None:
    """One flip costs one record, or what follows it if it hit a head; it is always noticed."""
    ((file, content),) = write(tmp_path)
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << (position % 8)
        put_back(tmp_path, [(file, bytes(flipped))])
        journal = Journal(tmp_path)
        kept = [record.seq for record in journal.replay(0)]
        hit = sum(1 for end in ends() if end <= position)  # index of the record that was hit
        if position < FILE_HEAD_BYTES:
            assert kept == [1, 2, 3, 4]
        elif kept[hit:]:
            assert kept == [seq for seq in (1, 2, 3, 4) if seq != hit + 1]
        else:
            assert kept == [1, 2, 3, 4][:hit]
        assert journal.lost_records == max(kept, default=0) - len(kept)
        assert (journal.torn_bytes > 0) == (len(kept) + journal.lost_records < 4)
        assert journal.append(Kind.REQUEST, 0, "t", b"next").wait() == max(kept, default=0) + 1
        journal.close()


def test_a_flipped_bit_at_every_byte_of_a_closed_segment(tmp_path: Path) -> None:
    """The count is exact, and the sequence never goes back."""
    first, second = write(tmp_path, segment_bytes=150)
    assert [int(file.stem) for file, _ in (first, second)] == [1, 4]
    file, content = first
    for position in range(FILE_HEAD_BYTES, len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 0x80
        put_back(tmp_path, [(file, bytes(flipped)), second])
        journal = Journal(tmp_path)
        kept = [record.seq for record in journal.replay(0)]
        assert kept[-1] == 4
        assert journal.lost_records == 4 - len(kept) >= 1
        assert journal.torn_bytes == 0
        set_aside = b"".join(path.read_bytes() for path in tmp_path.glob("*.corrupt"))
        assert set_aside and set_aside in bytes(flipped)
        assert journal.append(Kind.REQUEST, 0, "t", b"next").wait() == 5
        journal.close()


def test_a_request_cannot_pose_as_records(tmp_path: Path) -> None:
    """A payload made of valid records, torn or rotten, is never replayed as such."""
    ((_, inner),) = write(tmp_path / "inner")
    journal = Journal(tmp_path / "outer")
    journal.append(Kind.REQUEST, 0, "t", inner[FILE_HEAD_BYTES:] * 3).wait()
    journal.append(Kind.REQUEST, 0, "t", b"good").wait()
    journal.close()
    (file,) = (tmp_path / "outer").glob("*.journal")
    content = bytearray(file.read_bytes())
    for position in range(FILE_HEAD_BYTES, FILE_HEAD_BYTES + RECORD_HEAD_BYTES + 8):
        content[position] ^= 1
        file.write_bytes(content)
        journal = Journal(tmp_path / "outer")
        assert [record.payload for record in journal.replay(0)] in ([b"good"], [])
        journal.close()
        content[position] ^= 1


def test_a_newer_format_is_refused_with_the_cure(tmp_path: Path) -> None:
    ((file, content),) = write(tmp_path)
    head = struct.pack("<8sHH", b"CALIDRIS", 2, 0)
    file.write_bytes(head + struct.pack("<I", zlib.crc32(head)) + content[FILE_HEAD_BYTES:])
    with pytest.raises(ConfigError, match="journal format 2, this release reads 1: start the newer release"):
        Journal(tmp_path)
    file.write_bytes(content)
    Journal(tmp_path).close()


def test_a_missing_middle_segment_is_a_gap_not_an_error(tmp_path: Path) -> None:
    files = [file for file, _ in write(tmp_path, segment_bytes=20)]
    assert len(files) == 4
    files[1].unlink()
    journal = Journal(tmp_path)
    assert [record.seq for record in journal.replay(0)] == [1, 3, 4]
    assert journal.lost_records == 1
    journal.close()


def test_set_aside_files_are_bounded(tmp_path: Path) -> None:
    for _ in range(20):
        journal = Journal(tmp_path)
        journal.append(Kind.REQUEST, 0, "t", b"x").wait()
        journal.close()
        last = max(tmp_path.glob("*.journal"))
        last.write_bytes(last.read_bytes() + b"torn")
    Journal(tmp_path).close()
    assert len(list(tmp_path.glob("*.corrupt"))) == 16
