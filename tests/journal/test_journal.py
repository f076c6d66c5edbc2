"""The journal's promises while nothing is wrong with the disk."""

from __future__ import annotations

import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from calidris.errors import ConfigError, RetryableError
from calidris.journal.disk import Disk
from calidris.journal.group_commit import Ticket
from calidris.journal.journal import Journal
from calidris.journal.segment_format import Kind, Record, seal_payload

KIB = 1024


def append(journal: Journal, payload: bytes = b"x", arrival_ns: int = 7) -> Ticket:
    return journal.append(Kind.REQUEST, arrival_ns, "default", payload)


def seqs(journal: Journal, after_seq: int = 0) -> list[int]:
    return [record.seq for record in journal.replay(after_seq)]


def test_replay_gives_back_every_field(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "new" / "journal")
    assert append(journal, b"spans", arrival_ns=-5).wait() == 1
    assert journal.append(Kind.SEAL, 9, "zürich", seal_payload(1234)).wait() == 2
    journal.close()
    first, second = Journal(tmp_path / "new" / "journal").replay(0)
    assert first == Record(Kind.REQUEST, 1, -5, "default", b"spans")
    assert (second.kind, second.tenant, second.seal_ns) == (Kind.SEAL, "zürich", 1234)
    assert first.seal_ns is None


def test_a_seal_may_name_one_model(tmp_path: Path) -> None:
    names = ("zürich", "a\x00b", "7")
    journal = Journal(tmp_path)
    journal.append(Kind.MODEL_SEAL, 9, "zürich", seal_payload(1234, names)).wait()
    journal.append(Kind.SEAL, 9, "zürich", seal_payload(1235)).wait()
    journal.close()
    one, every = Journal(tmp_path).replay(0)
    assert (one.seal_ns, one.seal_model) == (1234, names)
    assert (every.seal_ns, every.seal_model) == (1235, None)


class SlowDisk(Disk):
    """Counts syncs, and makes each slow enough for the next group to gather."""

    def __init__(self) -> None:
        self.syncs = 0

    def sync(self, fd: int) -> None:
        super().sync(fd)
        self.syncs += 1
        time.sleep(0.02)


def test_group_commit(tmp_path: Path) -> None:
    disk = SlowDisk()
    journal = Journal(tmp_path, disk=disk)
    with ThreadPoolExecutor(50) as pool:
        numbers = list(pool.map(lambda n: append(journal, b"%d" % n).wait(), range(400)))
    assert sorted(numbers) == list(range(1, 401))
    assert journal.syncs == disk.syncs <= 40
    by_seq = {record.seq: record.payload for record in journal.replay(0)}
    assert all(by_seq[seq] == b"%d" % n for n, seq in enumerate(numbers))
    journal.close()


def test_a_ticket_is_done_only_after_the_sync(tmp_path: Path) -> None:
    release = threading.Event()

    class HeldDisk(Disk):
        def sync(self, fd: int) -> None:
            release.wait(10)
            super().sync(fd)

    journal = Journal(tmp_path, disk=HeldDisk())
    ticket = append(journal)
    with pytest.raises(TimeoutError):
        ticket.wait(0.05)
    assert journal.last_seq == 0
    release.set()
    assert ticket.wait() == ticket.wait() == journal.last_seq == 1
    journal.close()


def test_the_sequence_goes_on_after_a_restart(tmp_path: Path) -> None:
    for start_after, expected in [(0, 1), (0, 2), (1, 3), (50, 51), (20, 52)]:
        journal = Journal(tmp_path, start_after=start_after)
        assert append(journal).wait() == expected
        journal.close()
    journal = Journal(tmp_path)
    assert journal.last_seq == 52
    assert seqs(journal) == [1, 2, 3, 51, 52]
    assert seqs(journal, after_seq=3) == [51, 52]
    journal.close()


def test_close_writes_what_is_queued_and_refuses_more(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    tickets = [append(journal) for _ in range(100)]
    journal.close()
    journal.close()
    assert [ticket.wait() for ticket in tickets] == list(range(1, 101))
    with pytest.raises(RetryableError, match="shutting down"):
        append(journal)


def test_segments_roll_and_are_truncated_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=4 * KIB)
    for _ in range(20):
        append(journal, bytes(KIB)).wait()
    files = sorted(tmp_path.glob("*.journal"))
    assert [int(file.stem) for file in files] == [1, 5, 9, 13, 17]
    assert journal.size_bytes == sum(file.stat().st_size for file in files)
    journal.truncate(11)
    assert seqs(journal) == list(range(9, 21))
    journal.truncate(12)
    assert seqs(journal) == list(range(13, 21))
    assert journal.size_bytes == sum(file.stat().st_size for file in tmp_path.glob("*.journal"))
    journal.close()


def test_truncate_keeps_a_small_active_segment_and_rolls_a_large_one(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=4 * KIB)
    append(journal, bytes(KIB)).wait()
    journal.truncate(1)
    assert seqs(journal) == [1]
    append(journal, bytes(2 * KIB)).wait()
    journal.truncate(2)
    assert seqs(journal) == [] and journal.size_bytes == 0
    assert append(journal).wait() == 3
    journal.close()
    journal = Journal(tmp_path)
    assert seqs(journal) == [3]
    journal.close()


def test_an_empty_directory_goes_on_from_the_checkpoint(tmp_path: Path) -> None:
    journal = Journal(tmp_path, start_after=41)
    assert journal.last_seq == 41
    assert append(journal).wait() == 42
    journal.close()


def test_the_cap_refuses_until_truncated(tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_bytes=16 * KIB)
    accepted = 0
    with pytest.raises(RetryableError, match="full"):
        for _ in range(100):
            append(journal, bytes(KIB)).wait()
            accepted += 1
    assert 10 <= accepted <= 16
    assert journal.size_bytes <= 16 * KIB
    journal.truncate(journal.last_seq)
    assert append(journal, bytes(KIB)).wait() == accepted + 1
    journal.close()


def test_the_cap_counts_what_is_queued(tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_bytes=16 * KIB, disk=SlowDisk())
    tickets = []
    with pytest.raises(RetryableError, match="full"):
        for _ in range(100):
            tickets.append(append(journal, bytes(KIB)))
    assert len(tickets) <= 16
    journal.close()


def test_keep_truncated_keeps_files_out_of_the_cap(tmp_path: Path) -> None:
    journal = Journal(tmp_path, max_bytes=16 * KIB, keep_truncated=True)
    for seq in range(1, 101):
        append(journal, bytes(KIB)).wait()
        journal.truncate(seq)
    assert seqs(journal) == list(range(1, 101))
    assert journal.size_bytes > 100 * KIB
    journal.close()
    journal = Journal(tmp_path, max_bytes=16 * KIB, keep_truncated=True, start_after=100)
    assert append(journal, bytes(KIB)).wait() == 101
    journal.close()


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    append(journal).wait()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "journal").iterdir()}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "journal").stat().st_mode) == 0o700
    journal.close()


def test_a_directory_in_use_is_an_error_that_names_the_cure(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(ConfigError, match=r"storage\.path: .* in use by another calidris process: stop it"):
        Journal(tmp_path)
    journal.close()
    Journal(tmp_path).close()


def test_a_directory_that_cannot_be_made_is_an_error_that_names_the_cure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"storage\.path: cannot write"):
        Journal(tmp_path / "file" / "journal")
