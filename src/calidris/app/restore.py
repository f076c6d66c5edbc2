"""What a start finds on the disk: the engine as the last checkpoint knew it, and the journal since.

::

    storage.path/
        lock            held while the process runs
        state.sqlite    the checkpoint
        journal/        what came after it, and before it where ``storage.journal.keep`` is on
"""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

from calidris.app.baselines import find_baseline
from calidris.app.loop import apply
from calidris.app.replay_progress import Progress
from calidris.config import CalidrisConfig
from calidris.engine.checkpoint.save import Checkpoint
from calidris.engine.checkpoint.store import Store
from calidris.engine.commands import Command
from calidris.engine.core import Engine
from calidris.engine.standing.settings_trail import find_changes
from calidris.errors import ConfigError, CorruptState, IncompatibleState, RetryableError
from calidris.journal.disk import lock_directory
from calidris.journal.journal import Journal
from calidris.receive.intake import received_again
from calidris.wire import decode
from calidris.wire.limits import WireLimits

_logger = logging.getLogger("calidris.audit")
_UNREADABLE = (sqlite3.DatabaseError, CorruptState, IncompatibleState, ValueError, LookupError, TypeError)
"""What a file that is not ours, or not whole, makes of reading it."""


class Storage:
    """The directory of one receiver, opened: nobody else can open it until ``close``.

    Attributes:
        engine: as the checkpoint left it, until ``replay``.
        checkpoint: coupled to the engine's store.
        progress: of the replay.
        decode: how requests are read, the first time and at a replay.
        journal: goes on after its last record.

    Args:
        config: the user's settings.
        on_failure: called once, from another thread, when the disk failed and the process should exit.

    Raises:
        ConfigError: the directory cannot be written, is in use, or holds a checkpoint that cannot be read.
    """

    def __init__(self, config: CalidrisConfig, on_failure: Callable[[BaseException], None]) -> None:
        path, journal = config.storage.path, config.storage.journal
        self._path = path
        with ExitStack() as parts:
            parts.callback(os.close, lock_directory(path))
            store = _open(path)
            parts.callback(store.close)
            self.checkpoint = Checkpoint(store)
            self.engine = Engine(config, find_baseline, self.checkpoint)
            _restore(self.checkpoint, self.engine, path)
            self.journal = Journal(
                path / "journal",
                segment_bytes=journal.segment_bytes,
                max_bytes=journal.max_bytes,
                start_after=self.engine.sequence,
                keep_truncated=journal.keep,
                on_failure=on_failure,
            )
            parts.callback(self.journal.close)
            self.decode = partial(decode, limits=WireLimits(max_age_ns=round(config.receiver.max_age * 1e9)))
            self.progress = Progress(self.journal.last_seq - self.engine.sequence)
            self._parts = parts.pop_all()

    def replay(self, interrupted: Callable[[], bool]) -> int:
        """Apply the journal's records after the checkpoint; how many there were. ``progress`` tells of it meanwhile.

        May be interrupted between two records: nothing is lost by that, the next start replays them.
        """
        try:
            for record in self.journal.replay(self.engine.sequence):
                if interrupted():
                    return self.progress.done
                apply(self.engine, received_again(record, self.decode))
                self.progress.add(len(record.payload))
        finally:
            self.progress.end()
        # Numbers that could not be read back are gone for good: the next record is the one after the journal's last.
        self.engine.sequence = self.journal.last_seq
        return self.progress.done

    @property
    def checkpoint_bytes(self) -> int:
        """Bytes of the checkpoint on disk, with what SQLite has not folded in yet."""
        files = (self._path / f"state.sqlite{suffix}" for suffix in ("", "-wal"))
        total = 0
        for file in files:
            with suppress(FileNotFoundError):  # SQLite deletes the second one when it closes
                total += file.stat().st_size
        return total

    def close(self) -> None:
        """Make what is queued durable, close the files, let the directory go. May be called more than once."""
        self._parts.close()


def note_settings(engine: Engine, keep: Callable[[Command, str], None], at_ns: int) -> None:
    """Have the journal say which settings hold from here on, where they are others than its newest record says.

    Args:
        engine: restored and replayed.
        keep: makes a command durable, with its tenant.
        at_ns: now, since the epoch.

    A journal that takes nothing now is told at the next start: telemetry must not wait for it.
    """
    for command in find_changes(engine.config, engine.models, engine.configured, at_ns):
        assert command.model is not None, "settings are a model's"
        try:
            keep(command, command.model.tenant)
        except RetryableError as error:
            _logger.warning("journal: that settings changed is not noted before the next start: %s", error)
            return
        _logger.info("audit: model %r: %s", command.model.name, command.reason)


def _open(path: Path) -> Store:
    try:
        return Store(path)
    except sqlite3.OperationalError as error:  # locked, read-only, no room
        raise ConfigError(
            f"storage.path: {path / 'state.sqlite'} cannot be used ({error}): "
            "free or mount the disk, give it to this user, or set another storage.path"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"storage.path: {path} cannot be written ({error.strerror or error}): "
            "free or mount the disk, give the directory to this user, or set another storage.path"
        ) from error
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def _restore(checkpoint: Checkpoint, engine: Engine, path: Path) -> None:
    try:
        checkpoint.restore(engine)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ConfigError:
    """Never overwritten, never skipped: whoever runs the receiver decides to do without what the file remembered."""
    return ConfigError(
        f"storage.path: {path / 'state.sqlite'} is damaged or is not a checkpoint of this release ({error}): "
        f"move {path / 'state.sqlite'}* away and start again; the journal replays what it still holds"
    )
