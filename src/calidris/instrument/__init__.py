"""What runs inside other people's services: it never raises into the application, never blocks it, never changes a result."""

# Nothing of Calidris is imported in this package but the names (semconv): a service needs no package of the server.

from __future__ import annotations

from typing import Final

__all__ = ["SCOPE", "VERSION"]

SCOPE: Final = "calidris.instrument"
"""Name of the instrumentation scope of everything the SDK emits."""

VERSION: Final = "0.1.0"
"""Version of the SDK."""
