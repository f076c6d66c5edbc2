"""What of a model's seals has failed: counted, logged once, told in its status; and the parts beside it go on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Failure:
    """A part that failed.

    Attributes:
        error: the type of the newest error; its text may quote a value, so only the log has it.
        times: how often since the process began.
    """

    error: str
    times: int = 0


class Failures:
    """Keeps the parts of one model's seals apart. It begins empty with each process; the engine's counter goes on.

    Args:
        who: the model version, for the log.
    """

    def __init__(self, who: str) -> None:
        self.found: dict[str, Failure] = {}
        self._who = who
        self._untold = 0

    @contextmanager
    def surviving(self, part: str) -> Iterator[None]:
        """Go on after a defect of ours in one part; the same one would cost every later window too."""
        try:
            yield
        except Exception as error:
            self._note(part, error)

    def _note(self, part: str, error: Exception) -> None:
        name = type(error).__name__
        failure = self.found.setdefault(part, Failure(""))
        if failure.error != name:  # once for each kind of error: a window a minute would fill the log
            _logger.error(
                "engine: model %s: %s of a seal failed and is left out, its other parts go on; this is logged once",
                self._who,
                part,
                exc_info=error,
            )
        failure.error = name
        failure.times += 1
        self._untold += 1

    def take_untold(self) -> int:
        """How many there were since somebody asked."""
        untold, self._untold = self._untold, 0
        return untold
