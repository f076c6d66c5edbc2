"""The file calls that the journal makes, all in one place, so that a test can count them and break each one; and what it leaves free.

Some of the disk is left alone, so that a checkpoint can always be written. A journal that takes the last byte locks itself out:
only a checkpoint makes records unnecessary, and that needs space too.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from calidris.errors import ConfigError

Buffer = bytes | memoryview

_IOV_MAX = 1024
_sync = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class Disk:
    """The real thing. Every method raises OSError as the operating system does."""

    def create(self, path: Path) -> int:
        """A new file, readable by its owner only, that is only ever appended to."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        return os.open(path, flags, 0o600)

    def write(self, fd: int, buffers: Sequence[Buffer]) -> None:
        """Append all of the buffers, without copying them together."""
        left = list(buffers)
        while left:
            written = os.writev(fd, left[:_IOV_MAX])
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if written:
                left[0] = memoryview(left[0])[written:]

    def sync(self, fd: int) -> None:
        """Return when the file's data is on the device."""
        _sync(fd)

    def cut(self, fd: int, size: int) -> None:
        """Shorten the file to ``size`` bytes."""
        os.ftruncate(fd, size)

    def close(self, fd: int) -> None:
        """Close the file."""
        os.close(fd)

    def free_bytes(self, path: Path) -> tuple[int, int]:
        """Bytes that we may still write on the file system of ``path``, and its size; both huge where it does not tell."""
        told = os.statvfs(path)
        return (told.f_bavail * told.f_frsize, told.f_blocks * told.f_frsize) if told.f_blocks else (1 << 62, 1 << 62)

    def remove(self, path: Path) -> None:
        """Delete the file, if somebody else has not done it already."""
        path.unlink(missing_ok=True)

    def sync_directory(self, path: Path) -> None:
        """Make creations and deletions in a directory durable: syncing the file itself does not do that."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _make_directory(path: Path) -> None:
    """Create it and what is missing above it, each entry durable: else a power cut could take all that is in them."""
    missing = [one for one in (path, *path.parents) if not one.exists()]
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    for one in missing:
        Disk().sync_directory(one.parent)


def lock_directory(path: Path) -> int:
    """Create the directory if need be and keep every other process out until the returned descriptor is closed.

    Raises:
        ConfigError: another process has it, or it cannot be written.
    """
    try:
        _make_directory(path)
        fd = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(
            f"storage.path: cannot write the journal in {path} ({error.strerror}): "
            "free or mount the disk, give the directory to this user, or set another storage.path"
        ) from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise ConfigError(
            f"storage.path: the journal in {path} is in use by another calidris process: "
            "stop it, or set another storage.path"
        ) from error
    return fd


RESERVE_BYTES = 64 << 20
RESERVE_PART = 8  # of a smaller disk, an eighth
_LOOK_S = 0.1

_logger = logging.getLogger(__name__)


class Space:
    """What the file system of a directory has to spare, looked up at most ten times a second; thread-safe.

    Args:
        path: a directory.
        disk: the operating system's calls.
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self._spare_bytes = 0
        self._next_look_s = 0.0
        self._short = False

    def spare_bytes(self) -> int:
        """Bytes that may be taken without touching the reserve; zero or less where it has been touched."""
        now_s = time.monotonic()
        if now_s >= self._next_look_s:
            self._next_look_s = now_s + _LOOK_S
            self._spare_bytes = self._look()
            self._tell(self._spare_bytes <= 0)
        return self._spare_bytes

    def _look(self) -> int:
        free, total = self._disk.free_bytes(self._path)
        return free - min(RESERVE_BYTES, total // RESERVE_PART)

    def _tell(self, short: bool) -> None:
        """Say when it begins and when it is over."""
        if short and not self._short:
            _logger.warning("journal: the disk of %s is nearly full: senders are asked to come back", self._path)
        if self._short and not short:
            _logger.info("journal: the disk of %s has room again", self._path)
        self._short = short
