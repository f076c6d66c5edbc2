"""What every command shares: the option for the configuration, and errors as one line and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from calidris.errors import CalidrisError, ConfigError

ConfigOption = Annotated[
    Path, typer.Option("-c", "--config", envvar="CALIDRIS_CONFIG", help="Configuration file.", show_default=True)
]


def run(command: Callable[[], int | None]) -> None:
    """Run a command; what the user can mend is printed without a traceback. 2: wrong input, 1: it failed."""
    try:
        code = command()
    except ConfigError as error:
        sys.stderr.write(f"calidris: {error}\n")
        raise typer.Exit(2) from None
    except CalidrisError as error:
        sys.stderr.write(f"calidris: {error}\n")
        raise typer.Exit(1) from None
    raise typer.Exit(code or 0)
