"""The command line: one function a command."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Entry point of ``calidris``; without the server extra it says how to get it."""
    try:
        from calidris.cli.commands import app
    except ModuleNotFoundError as error:
        sys.stderr.write(f"calidris: {error}. The command line needs more: pip install 'calidris[server]'\n")
        raise SystemExit(1) from None
    app()
