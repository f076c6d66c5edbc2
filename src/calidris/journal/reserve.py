"""Room on the disk that the journal leaves alone, so that a checkpoint can always be written.

A journal that takes the last byte locks itself out: only a checkpoint makes records unnecessary, and that needs room too.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from calidris.journal.disk import Disk

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
        free, total = self._disk.room(self._path)
        return free - min(RESERVE_BYTES, total // RESERVE_PART)

    def _tell(self, short: bool) -> None:
        """Say when it begins and when it is over."""
        if short and not self._short:
            _logger.warning("journal: the disk of %s is nearly full: senders are asked to come back", self._path)
        if self._short and not short:
            _logger.info("journal: the disk of %s has room again", self._path)
        self._short = short
