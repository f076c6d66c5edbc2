"""What every command shares: the option for the configuration, and errors as one line and an exit code."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from calidris.config.load import locate
from calidris.errors import CalidrisError, ConfigError, printable

ConfigOption = Annotated[Path, typer.Option("-c", "--config", envvar="CALIDRIS_CONFIG", help="Configuration file.")]
DEFAULT_CONFIG = Path("calidris.yaml")

LONGEST = 80
"""Characters of a name that a terminal shows."""

_KEY = re.compile(r"[a-z_]+(\.\w+)+(?=: )")


def run(command: Callable[[], int | None]) -> None:
    """Run a command; what the user can mend is printed without a traceback. 2: wrong input, 1: it failed."""
    try:
        code = command() or 0
    except ConfigError as error:
        code = _say(error, 2)
    except CalidrisError as error:
        code = _say(error, 1)
    except OSError as error:
        code = _say(f"{error.filename}: {error.strerror}" if error.filename else error, 1)
    raise typer.Exit(code)


@contextmanager
def placed(path: Path) -> Iterator[None]:
    """Put file and line in front of errors about a key that are found after the configuration was read."""
    try:
        yield
    except ConfigError as error:
        found = _KEY.match(str(error))
        if found is None:
            raise
        loc = tuple(int(part) if part.isdigit() else part for part in found[0].split("."))
        raise ConfigError(f"{path}:{locate(path, loc)}: {error}") from error


def shown(text: object, most: int = LONGEST) -> Text:
    r"""Text from the wire for rich: one line, cut; nothing in it is markup, moves the cursor or turns the writing.

    >>> shown("a\n\x1b[2J[bold]:skull:\u202eb").plain == "a\\n\\x1b[2J[bold]:skull:\\u202eb", len(shown("x" * 999))
    (True, 81)
    """
    cut = str(text)
    return Text(printable(cut if len(cut) <= most else cut[:most] + "…"))


def _say(error: object, code: int) -> int:
    """One line for each error; a configuration may have several."""
    for line in str(error).splitlines():
        sys.stderr.write(f"calidris: {printable(line)}\n")
    return code


EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        envvar="CALIDRIS_ENDPOINT",
        help="URL of the receiver's read API, such as https://host:4329; by default api.endpoint of the configuration.",
    ),
]
TokenOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        "--token",
        envvar="CALIDRIS_TOKEN_FILE",
        help="File with the bearer token. CALIDRIS_TOKEN holds the token itself: on a command line everybody could see it.",
    ),
]
CertificateOption = Annotated[
    Path | None,
    typer.Option(
        "--certificate",
        envvar="CALIDRIS_CERTIFICATE",
        help="PEM file of the authority that signed the receiver's certificate, beside those that the system trusts.",
    ),
]
