"""How long senders are told to wait."""

from __future__ import annotations

from typing import Final

RETRY_AFTER_S: Final = 1.8
"""The Python exporter makes six tries within ten seconds: waits of 1.8 s spread them over nine of the ten, so that a stall
of nine seconds loses nothing. Waits of 1 s would make it give up after five."""

MAX_RETRY_AFTER_S: Final = 3.0
"""An exporter drops its data at once if it is told to wait longer than its time-out leaves."""
