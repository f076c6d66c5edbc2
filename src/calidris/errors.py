"""The error tree of Calidris: what the caller may do about it is part of the type.

::

    CalidrisError
    ├── ConfigError          the user's file or flags are wrong: names file, key, line and the cure
    ├── IncompatibleState    two states with different specs were asked to merge
    ├── CorruptState         bytes that are not a state of the stated kind
    ├── PermanentError       the request can never succeed: do not retry it
    │   ├── MalformedRequest bytes that are not OTLP
    │   ├── Unauthenticated  nobody knows who asks
    │   └── Forbidden        who asks is known and may not
    └── RetryableError       try again after ``retry_after_s``: full memory, journal or disk
"""

from __future__ import annotations

from typing import Final

RETRY_AFTER_S: Final = 1.8
"""The Python exporter makes six tries within ten seconds: waits of 1.8 s spread them over nine of the ten, so that a stall
of nine seconds loses nothing. Waits of 1 s would make it give up after five."""

MAX_RETRY_AFTER_S: Final = 3.0
"""An exporter drops its data at once if it is told to wait longer than its time-out leaves."""


class CalidrisError(Exception):
    """Base of every error that Calidris raises on purpose."""


class ConfigError(CalidrisError):
    """What the user wrote cannot be used. The message names the file, the key, the line and the cure.

    Catch it in a command-line program, print it and exit with 2.
    """


class IncompatibleState(CalidrisError):
    """States of different specs, kinds or format versions never merge."""


class CorruptState(CalidrisError):
    """Bytes that should hold a state do not."""


class PermanentError(CalidrisError):
    """The same request would fail again: the sender must not retry it."""


class MalformedRequest(PermanentError):
    """The bytes are not an OTLP request."""


class Unauthenticated(PermanentError):
    """No token, or none that is known. The message names the cure and never the token."""


class Forbidden(PermanentError):
    """The token is known and is not good for this."""


class RetryableError(CalidrisError):
    """The request may succeed later; nothing of it was kept.

    Args:
        message: what is full or failing.
        retry_after_s: seconds the sender should wait, at most about 3 (longer ones are dropped by exporters).
    """

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


def printable(text: str, longest: int = 2000) -> str:
    r"""The text with everything escaped that a terminal does not simply show, and cut: for names from the wire.

    >>> print(printable("a\x1b[31m\nb é"))
    a\x1b[31m\nb é
    """
    cut = text if len(text) <= longest else text[:longest] + "…"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
