"""The checkpoint: one SQLite file, one transaction. Start-up loads it and replays the journal from its sequence number.

::

    meta      key → value        sequence, sealed time, alarms, counters, request digests, early labels
    models    key → JSON, spec list, provisional baseline
    panes     (model, begin, spec) → states; closed panes stay here and are read again when a late label names them
    detectors (model, window) → bytes
    pending   (model, chunk) → rows (written once), marks (when they changed)

No pickle: states are their own self-describing bytes, the rest is JSON. ``synchronous=FULL``: a commit is on the disk.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calidris.errors import CorruptState

FORMAT = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS models (id INTEGER PRIMARY KEY, tenant TEXT, name TEXT, version TEXT, state BLOB NOT NULL,
  UNIQUE (tenant, name, version));
CREATE TABLE IF NOT EXISTS panes (model INTEGER, start_ns INTEGER, spec INTEGER, counts BLOB, scores BLOB, late INTEGER,
  traces TEXT, PRIMARY KEY (model, start_ns, spec)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blobs (model INTEGER, kind TEXT, name TEXT, value BLOB NOT NULL, PRIMARY KEY (model, kind, name))
  WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pending (model INTEGER, chunk INTEGER, rows BLOB NOT NULL, marks BLOB NOT NULL,
  PRIMARY KEY (model, chunk)) WITHOUT ROWID;
"""


class Store:
    """A directory's ``state.sqlite``; used by the engine's thread only.

    Raises:
        CorruptState: the file is of another format.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = path / "state.sqlite"
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite would take the umask's mode
        self.db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("PRAGMA synchronous=FULL")
        self.db.executescript(_SCHEMA)
        found = self.get("format")
        if found is None:
            self.put("format", str(FORMAT).encode())
        elif found != str(FORMAT).encode():
            raise CorruptState(f"{file}: format {found.decode(errors='replace')}, this version reads {FORMAT}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def get(self, key: str) -> bytes | None:
        """A value of ``meta``."""
        row = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else bytes(row[0])

    def put(self, key: str, value: bytes) -> None:
        """Set a value of ``meta``."""
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

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

    def put_blob(self, model: int, kind: str, name: str, value: bytes) -> None:
        """Set a named blob of a model."""
        self.db.execute("INSERT OR REPLACE INTO blobs VALUES (?, ?, ?, ?)", (model, kind, name, value))

    def drop_blobs(self, model: int, kind: str) -> None:
        """Forget all blobs of one kind of a model."""
        self.db.execute("DELETE FROM blobs WHERE model=? AND kind=?", (model, kind))

    def close(self) -> None:
        """Close the file; nothing is written."""
        self.db.close()
