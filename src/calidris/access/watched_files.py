"""What a few files say, read again when they change, without a thread: whoever asks looks, at most once a second."""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from calidris.errors import ConfigError

T = TypeVar("T")
LOOK_S = 1.0
_YOUNG_NS = 2_000_000_000
"""A file written so shortly before it was read may be written again without a new time; it is read once more."""

_logger = logging.getLogger(__name__)
_Seen = tuple[tuple[int, int, int, int] | None, ...]


class Watched(Generic[T]):
    """A value made from files. Thread-safe; a look costs one ``stat`` a file (2 µs), at most once a second.

    What cannot be used does not replace what could: the old value stays, the failure is counted and logged once for each
    change. That holds for a file that is gone too, so whoever wants to shut everybody out must say so in the file.

    Attributes:
        changes: how often a new value replaced an old one.
        failures: how often the files changed into something that cannot be used.

    Args:
        key: key of the configuration, for messages.
        paths: the files.
        read: makes the value; raises ConfigError, whose message must not quote the files.
        clock_s: seconds, for the pace of the looks.
        secret: those of the files that nobody else should read; all of them unless said.

    Raises:
        ConfigError: the first reading failed.
    """

    def __init__(
        self,
        key: str,
        paths: Sequence[Path],
        read: Callable[[], T],
        clock_s: Callable[[], float] = time.monotonic,
        secret: Sequence[Path] | None = None,
    ) -> None:
        self.changes = self.failures = 0
        self._key = key
        self._paths = tuple(paths)
        self._secret = self._paths if secret is None else tuple(secret)
        self._read = read
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._seen, self._young = self._look()
        self._value = read()
        self._warn_of_readers()
        self._due_s = clock_s() + LOOK_S

    def get(self) -> T:
        """The newest usable value. Never raises; never waits for another thread that is reading."""
        if self._clock_s() >= self._due_s and self._lock.acquire(blocking=False):
            try:
                self._due_s = self._clock_s() + LOOK_S
                self._refresh()
            finally:
                self._lock.release()
        return self._value

    def _refresh(self) -> None:
        seen, young = self._look()
        changed = seen != self._seen
        if not changed and not self._young:
            return
        self._seen, self._young = seen, young
        try:
            value = self._read()
        except ConfigError as error:
            self._failed(error, changed)
            return
        if value != self._value:
            self._value = value
            self.changes += 1
            _logger.info("%s: read again", self._key)
            self._warn_of_readers()

    def _failed(self, error: ConfigError, changed: bool) -> None:
        if changed:  # a young file is read twice
            self.failures += 1
            _logger.error("%s; what was read before stays in force", error)

    def _look(self) -> tuple[_Seen, bool]:
        """What tells a change of the files, and whether one was written just now."""
        found: list[tuple[int, int, int, int] | None] = []
        for path in self._paths:
            try:
                status = os.stat(path)
            except OSError:
                found.append(None)
            else:
                found.append((status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns))
        newest = max((one[0] for one in found if one), default=0)
        return tuple(found), abs(time.time_ns() - newest) < _YOUNG_NS

    def _warn_of_readers(self) -> None:
        for path in self._secret:
            warn_of_readers(self._key, path)


def warn_of_readers(key: str, path: Path) -> None:
    """Say it where others than the owner may read a file that holds secrets, or their hashes."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return
    if mode & 0o077:
        _logger.warning("%s: others than its owner may read %s (mode %04o): chmod 600 %s", key, path, mode, path)
