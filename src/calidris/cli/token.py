"""``calidris token``: make a bearer token, show it once, and write the line that makes it known."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from calidris.access import Token, hash_of, new_token
from calidris.errors import ConfigError


def token(name: str, tenant: str, may: str, expires: datetime | None, file: Path | None) -> int:
    """Print the token, and its line or where that was appended; nothing keeps the token itself."""
    made = new_token()
    line = _line(name, tenant, may, expires, made)
    if file is None:
        sys.stdout.write(
            f"the token, which is shown this once:\n{made}\nits line in the file of receiver.tokens:\n{line}\n"
        )
        return 0
    with open(file, "a+", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as lines:
        lines.seek(0)
        before = lines.read()
        lines.write(f"{line}\n" if not before or before.endswith("\n") else f"\n{line}\n")
    sys.stderr.write(f"calidris: {file} has its line; the token is shown this once\n")
    sys.stdout.write(f"{made}\n")
    return 0


def _line(name: str, tenant: str, may: str, expires: datetime | None, made: str) -> str:
    given = {"name": name, "tenant": tenant, "may": may, "sha256": hash_of(made), "expires": expires}
    try:
        return Token.model_validate(given).line
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = f"{first['loc'][0]}: " if first["loc"] else ""
        raise ConfigError(f"{option}{first['msg'].removeprefix('Value error, ')}") from None
