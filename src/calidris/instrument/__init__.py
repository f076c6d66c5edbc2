"""What runs inside other people's services. It never raises into the host, never blocks it, never changes a result.

It imports nothing of Calidris but the names (`semconv`) and the errors, so that a guest needs no server packages.
"""

from __future__ import annotations

from typing import Final

__all__ = ["SCOPE", "VERSION"]

SCOPE: Final = "calidris.instrument"
"""Name of the instrumentation scope of everything the guest emits."""

VERSION: Final = "0.1.0"
"""Version of the guest."""
