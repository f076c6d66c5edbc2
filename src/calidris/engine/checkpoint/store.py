"""The checkpoint: one SQLite file, one transaction. Start-up loads it and replays the journal from its sequence number.

::

    meta      key → value          sequence, sealed time, alarms, counters, early labels, generations of requests
    spans     (generation, first)  → hashes from that one on; written once, a generation goes as a whole
    seen      likewise             → hashes of requests; ``requests`` held digests, before
    models    (tenant, name, version) → totals, hashes of specs, history as JSON
    panes     (model, begin, spec, level) → states; closed panes stay here and are read again when somebody asks for them
    labels    likewise → their labelled rows, which change long after all else
    blobs     (model, kind, name)  → a window's watch, a spec, reservoir rows, the provisional baseline
    pending   (model, chunk)       → rows (written once), marks (when they changed)
    held      (model, chunk, part) → labels of its rows: each part has those that changed since the last one

No pickle: states are their own self-describing bytes, the rest is JSON. ``synchronous=FULL``: a commit is on the disk.

Hashes of what came before go there once when they are new; a generation of them is dropped as a whole.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from calidris.engine.dedup.hash_runs import Generation, merged
from calidris.engine.dedup.memory import DedupMemory
from calidris.errors import CorruptState, IncompatibleState

FORMAT = 5
READ = (4, FORMAT)
"""Formats that are read: 4 (0.1.0 until November 2026) is brought to 5 when it is opened. Older ones were never released."""

_WAL_PAGES = 4000
"""Pages of 4 KiB after which the write-ahead log goes into the file; it keeps no more room than that."""
_VACUUM_PAGES = 2000
"""Free pages that one checkpoint gives back to the disk: 8 MiB, some milliseconds."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS requests (generation INTEGER, first INTEGER, digests BLOB NOT NULL,
  PRIMARY KEY (generation, first)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen (generation INTEGER, first INTEGER, hashes BLOB NOT NULL,
  PRIMARY KEY (generation, first)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS spans (generation INTEGER, first INTEGER, hashes BLOB NOT NULL,
  PRIMARY KEY (generation, first)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS models (id INTEGER PRIMARY KEY, tenant TEXT, name TEXT, version TEXT, state BLOB NOT NULL,
  UNIQUE (tenant, name, version));
CREATE TABLE IF NOT EXISTS panes (model INTEGER, start_ns INTEGER, spec INTEGER, level INTEGER, counts BLOB, moments BLOB,
  levels BLOB, display BLOB, late INTEGER, notes TEXT, PRIMARY KEY (model, start_ns, spec, level));
CREATE TABLE IF NOT EXISTS labels (model INTEGER, start_ns INTEGER, spec INTEGER, level INTEGER, labels BLOB NOT NULL,
  PRIMARY KEY (model, start_ns, spec, level));
CREATE TABLE IF NOT EXISTS blobs (model INTEGER, kind TEXT, name TEXT, value BLOB NOT NULL, PRIMARY KEY (model, kind, name))
  WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pending (model INTEGER, chunk INTEGER, rows BLOB NOT NULL, marks BLOB NOT NULL,
  PRIMARY KEY (model, chunk)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (model INTEGER, chunk INTEGER, part INTEGER, labels BLOB NOT NULL,
  PRIMARY KEY (model, chunk, part)) WITHOUT ROWID;
"""
_TABLES = re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", _SCHEMA)
_FROM_4 = """
INSERT INTO panes SELECT model, start_ns, spec, 0, counts, moments, levels, display, late, notes FROM panes_4;
INSERT INTO labels SELECT model, start_ns, spec, 0, labels FROM panes_4;
DROP TABLE panes_4;
"""
# Panes have large rows, which belong into tables with row ids; the rest are small or few.


class Store:
    """A directory's ``state.sqlite``; used by the engine's thread only.

    Raises:
        CorruptState: the file is no checkpoint, a damaged one, or one of another format; the message names it.
        OSError: the directory cannot be used.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.file = path / "state.sqlite"
        os.close(os.open(self.file, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite would take the umask's mode
        self.db = sqlite3.connect(self.file, isolation_level=None, check_same_thread=False)
        try:
            with self.readable():
                self._open()
        except BaseException:
            self.db.close()
            raise

    def _open(self) -> None:
        tables = {name for (name,) in self.db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if tables and "meta" not in tables:
            raise CorruptState(f"{self.file}: a database of something else; set storage.path to a directory of its own")
        if not tables:
            self.db.execute("PRAGMA auto_vacuum=INCREMENTAL")  # only before there is a table
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=FULL")
        self.db.execute(f"PRAGMA wal_autocheckpoint={_WAL_PAGES}")
        self.db.execute(f"PRAGMA journal_size_limit={_WAL_PAGES * 4096}")
        self._bring_up_to_date(self.get("format") if tables else None, tables)

    def _bring_up_to_date(self, found: bytes | None, tables: set[str]) -> None:
        """Make the tables of this format; in one transaction, so that a crash leaves the old ones."""
        if found is not None and found not in {str(number).encode() for number in READ}:
            stated = found.decode(errors="replace")
            raise CorruptState(
                f"{self.file}: format {stated}, this version reads {' and '.join(map(str, READ))}; "
                "move the file away to begin anew"
            )
        if found == str(FORMAT).encode() and set(_TABLES) <= tables:
            return  # nothing is written without need: the disk may be full
        old = found == b"4"
        script = ["ALTER TABLE panes RENAME TO panes_4;" if old else "", _SCHEMA, _FROM_4 if old else ""]
        with self.transaction():
            for statement in "".join(script).split(";"):
                self.db.execute(statement)
            self.put("format", str(FORMAT).encode())
        if self.db.execute("PRAGMA auto_vacuum").fetchone() != (2,):  # a file of format 4: rewritten once
            self.db.execute("PRAGMA auto_vacuum=INCREMENTAL")
            self.db.execute("VACUUM")

    def give_back(self) -> None:
        """Give some of the room that deleted panes left back to the disk; called after each checkpoint, which is safe by then."""
        with suppress(sqlite3.OperationalError):  # no room even for that: the next call tries again
            self.db.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()

    @contextmanager
    def readable(self) -> Iterator[None]:
        """Say of damage which file it is in, and what to do."""
        try:
            yield
        except (sqlite3.OperationalError, sqlite3.ProgrammingError):
            raise  # locked, full, read-only: nothing is wrong with the content
        except (sqlite3.DatabaseError, CorruptState, IncompatibleState, ValueError, LookupError, TypeError) as error:
            if str(error).startswith(str(self.file)):
                raise
            said = f"damaged ({type(error).__name__}: {error})"
            raise CorruptState(f"{self.file}: {said}; put a copy back, or move it away to begin anew") from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; after an error, also one of the commit itself, nothing is left open."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:  # SQLite itself rolls back after some errors
                self.db.execute("ROLLBACK")
            self._give_back()
            raise

    def _give_back(self) -> None:
        """Empty the write-ahead file, which may hold megabytes: on a full disk they are what the next try needs."""
        with suppress(sqlite3.Error):
            self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def get(self, key: str) -> bytes | None:
        """A value of ``meta``."""
        row = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def put(self, key: str, value: bytes) -> None:
        """Set a value of ``meta``."""
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    def drop(self, key: str) -> None:
        """Forget a value of ``meta``."""
        self.db.execute("DELETE FROM meta WHERE key = ?", (key,))

    def blob(self, model: int, kind: str, name: str = "") -> bytes | None:
        """A named blob of a model."""
        row = self.db.execute(
            "SELECT value FROM blobs WHERE model=? AND kind=? AND name=?", (model, kind, name)
        ).fetchone()
        return None if row is None else bytes(row[0])

    def blobs(self, model: int, kind: str) -> dict[str, bytes]:
        """All blobs of one kind of a model, in the order of their names."""
        rows = self.db.execute("SELECT name, value FROM blobs WHERE model=? AND kind=? ORDER BY name", (model, kind))
        return {name: bytes(value) for name, value in rows}

    def blob_names(self, model: int, kind: str) -> set[str]:
        """Names of all blobs of one kind of a model."""
        rows = self.db.execute("SELECT name FROM blobs WHERE model=? AND kind=?", (model, kind))
        return {name for (name,) in rows}

    def count_blobs(self, model: int, kind: str) -> int:
        """How many blobs of one kind a model has."""
        row = self.db.execute("SELECT count(*) FROM blobs WHERE model=? AND kind=?", (model, kind)).fetchone()
        return int(row[0])

    def put_blob(self, model: int, kind: str, name: str, value: bytes) -> None:
        """Set a named blob of a model."""
        self.db.execute("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?, ?)", (model, kind, name, value))

    def drop_blobs(self, model: int, kind: str) -> None:
        """Forget all blobs of one kind of a model."""
        self.db.execute("DELETE FROM blobs WHERE model=? AND kind=?", (model, kind))

    def drop_model(self, model: int) -> None:
        """Forget a model version and all that belongs to it."""
        for table in ("panes", "labels", "blobs", "pending", "held"):
            self.db.execute(f"DELETE FROM {table} WHERE model=?", (model,))
        self.db.execute("DELETE FROM models WHERE id=?", (model,))

    def close(self) -> None:
        """Close the file; nothing is written."""
        self.db.close()


Memories = Mapping[str, DedupMemory]
"""Table and key of ``meta`` to what is kept there."""

_DIGESTS = "requests"
"""Where digests of 16 bytes were kept until November 2026, in two generations."""


def save_dedup(store: Store, memories: Memories) -> None:
    """Write what no checkpoint holds yet, inside the caller's transaction; 8 bytes each."""
    for table, memory in memories.items():
        store.put(table, json.dumps([[g.number, g.began_ns] for g in memory.generations]).encode())
        store.db.execute(f"DELETE FROM {table} WHERE generation < ?", (memory.generations[0].number,))
        for generation in memory.generations:
            generation.settle()
            if generation.fresh:
                joined = np.concatenate(generation.fresh).astype("<u8").tobytes()
                store.db.execute(f"INSERT INTO {table} VALUES (?, ?, ?)", (generation.number, generation.saved, joined))
    store.db.execute(f"DELETE FROM {_DIGESTS}")
    store.db.execute("DELETE FROM meta WHERE key = ?", (_DIGESTS,))


def mark_saved(memories: Memories) -> None:
    """Note that the transaction went well."""
    for memory in memories.values():
        for generation in memory.generations:
            generation.fresh = []


def restore_dedup(store: Store, memories: Memories) -> None:
    """Bring back what was saved; a store that has never heard of a memory leaves it empty."""
    for table, memory in memories.items():
        raw = store.get(table)
        if raw is not None:
            memory.generations = [_generation(store, table, int(n), int(began)) for n, began in json.loads(raw)]


def restore_dedup_digests(store: Store, memory: DedupMemory) -> None:
    """Bring back the requests of a store that has their digests, by the first 8 bytes of each."""
    raw = store.get(_DIGESTS)
    if raw is None:
        return
    memory.generations = [Generation(int(number), int(began_ns)) for number, began_ns in json.loads(raw)]
    for generation in memory.generations:
        query = f"SELECT digests FROM {_DIGESTS} WHERE generation=? ORDER BY first"
        joined = b"".join(part for (part,) in store.db.execute(query, (generation.number,)))
        generation.add(np.unique(np.frombuffer(joined, dtype="<u8").reshape(-1, 2)[:, 0]).astype(np.uint64))


def _generation(store: Store, table: str, number: int, began_ns: int) -> Generation:
    generation = Generation(number, began_ns)
    query = f"SELECT hashes FROM {table} WHERE generation=? ORDER BY first"
    parts = [np.frombuffer(raw, dtype="<u8") for (raw,) in store.db.execute(query, (number,))]
    if parts:
        generation.restore(merged(parts).astype(np.uint64))
    return generation
