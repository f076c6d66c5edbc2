"""Logs of ``calidris serve``: text for people or JSON lines, bounded whatever arrives, and never a payload.

* **Bounded.** Each place in the code may log ``BURST`` times a minute; its next line says how many were left out. Whoever
  sends a million bad requests gets a handful of lines. What was left out is counted in ``calidris.log.suppressed``.
* **No payloads.** The text of an exception often quotes the value that it met (``could not convert 'secret'``), so only
  exceptions that we word ourselves, and the operating system's, show theirs. Of others the type and the place are logged.
* **One line is one event.** Control characters, line breaks among them, are escaped: a model's name cannot draw on a
  terminal or forge a line.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import orjson

from calidris.config import LogConfig
from calidris.errors import CalidrisError, printable

BURST = 5
WINDOW_S = 60.0
UNLIMITED = {"unlimited": True}
"""``extra`` of lines that have a pace of their own."""

_PLACES = 1000
_FRAMES = 8
_logger = logging.getLogger(__name__)


class Limiter(logging.Filter):
    """Lets ``burst`` records of each place through in each window of time; thread-safe, bounded.

    Args:
        clock_s: a clock that never goes back, in seconds.
        burst: records of one place in one window.
        window_s: its length.
    """

    def __init__(
        self, clock_s: Callable[[], float] = time.monotonic, burst: int = BURST, window_s: float = WINDOW_S
    ) -> None:
        super().__init__()
        self._clock_s = clock_s
        self._burst = burst
        self._window_s = window_s
        self._lock = threading.Lock()  # guards the fields below
        self._places: dict[tuple[str, int], list[float]] = {}  # begin of the window, records in it, left out of it
        self.suppressed = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written; one that is learns how many before it were not."""
        if getattr(record, "unlimited", False):
            return True
        with self._lock:
            place = self._place(record)
            now_s = self._clock_s()
            left_out = 0
            if now_s - place[0] >= self._window_s:
                left_out = int(place[2])
                place[:] = [now_s, 0, 0]
            place[1] += 1
            if place[1] > self._burst:
                place[2] += 1
                self.suppressed += 1
                return False
        record.left_out = left_out
        return True

    def _place(self, record: logging.LogRecord) -> list[float]:
        """Lines of code are few; a program that makes them up shares one account."""
        key = (record.pathname, record.lineno)
        if key not in self._places and len(self._places) >= _PLACES:
            key = ("", 0)
        return self._places.setdefault(key, [self._clock_s(), 0, 0])


class TextFormatter(logging.Formatter):
    """For people: time, level, message, and the place of an error."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and one for each frame of an error."""
        at = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%d %H:%M:%S")
        left_out = getattr(record, "left_out", 0)
        more = f" ({left_out:,} more like this were left out)" if left_out else ""
        lines = [f"{at} {record.levelname:<7} {printable(record.getMessage())}{more}"]
        if record.exc_info and record.exc_info[1] is not None:
            told = exception_json(record.exc_info[1])
            lines += [f"    {told['type']}{': ' * bool(told['message'])}{told['message']}"]
            lines += [f"      at {frame}" for frame in told["at"]]
        return "\n".join(lines)


class JsonFormatter(logging.Formatter):
    """For machines: one object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Keys: time (UTC), level, logger, message; left_out and exception where there are any."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": printable(record.getMessage()),
        }
        if getattr(record, "left_out", 0):
            line["left_out"] = record.left_out  # type: ignore[attr-defined]  # the limiter set it
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = exception_json(record.exc_info[1])
        return orjson.dumps(line, default=str).decode()


def exception_json(error: BaseException) -> dict[str, Any]:
    """Type, innermost frames, and the message where we or the operating system wrote it."""
    ours = isinstance(error, CalidrisError) or (isinstance(error, OSError) and error.strerror)
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    at = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in reversed(frames)]
    return {"type": type(error).__name__, "message": printable(str(error)) if ours else "", "at": at}


class Logs:
    """Logging of this process from now on, until ``close``.

    Args:
        config: format and level.
        stream: where lines go.
        limiter: bounds them.
    """

    def __init__(self, config: LogConfig, stream: TextIO, limiter: Limiter | None = None) -> None:
        self.limiter = limiter or Limiter()
        as_json = config.format == "json" or (config.format == "auto" and not stream.isatty())
        self._handler = logging.StreamHandler(stream)
        self._handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
        self._handler.addFilter(self.limiter)
        self._before = (logging.raiseExceptions, threading.excepthook)
        # A line that cannot be formatted would be written with its arguments.
        logging.raiseExceptions = False
        threading.excepthook = _thread_died
        logging.captureWarnings(True)
        logging.getLogger().addHandler(self._handler)  # of other libraries: warnings and worse
        logging.getLogger("calidris").setLevel(config.level.upper())

    @property
    def suppressed(self) -> int:
        """Lines left out so far."""
        return self.limiter.suppressed

    def close(self) -> None:
        """Log as before."""
        logging.getLogger().removeHandler(self._handler)
        logging.getLogger("calidris").setLevel(logging.NOTSET)
        logging.captureWarnings(False)
        logging.raiseExceptions, threading.excepthook = self._before


def _thread_died(told: Any) -> None:
    found: tuple[type[BaseException], BaseException, TracebackType | None] | None = None
    if told.exc_value is not None:
        found = (told.exc_type, told.exc_value, told.exc_traceback)
    _logger.error("thread %s died", told.thread.name if told.thread else "?", exc_info=found)
