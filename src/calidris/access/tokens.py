"""The file of bearer tokens: one line a token, with a hash of it and never the token itself.

::

    # name=who  tenant=whose models  may=send,read,decide  sha256=hash of the token  expires=date (left out: never)
    name=checkout tenant=acme    may=send         sha256=2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
    name=oncall   tenant=*       may=read,decide  sha256=fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9

A name may have several lines: give out the new token, then take the old line away. ``tenant=*`` sees all tenants and cannot
send, because what is sent belongs to one. ``calidris token`` makes a token and its line. The hash needs no salt and no
slowness: our tokens are 256 random bits, which nobody can guess from it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from pydantic import ValidationError, field_validator, model_validator

from calidris.config.frozen import Config
from calidris.errors import ConfigError

Action = Literal["send", "read", "decide"]
ACTIONS: tuple[str, ...] = get_args(Action)
ALL = "*"
"""The tenant of tokens that see all tenants."""

PREFIX = "cal_"
"""Tokens begin with it, so that scanners for leaked secrets can know them."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
_HASH = re.compile(r"[0-9a-f]{64}")


class Token(Config):
    """One line of the file.

    Attributes:
        name: who it was given to; it stands in logs and in the audit trail.
        tenant: whose models it sends or sees; ``*`` sees all.
        may: what it is good for.
        sha256: hash of the token, hexadecimal.
        expires: not valid from then on; UTC unless it says otherwise.
    """

    name: str
    tenant: str
    may: frozenset[Action]
    sha256: str
    expires: datetime | None = None

    @field_validator("name")
    @classmethod
    def _plain_name(cls, name: str) -> str:
        return _plain(name)

    @field_validator("tenant")
    @classmethod
    def _plain_tenant(cls, tenant: str) -> str:
        return tenant if tenant == ALL else _plain(tenant)

    @field_validator("sha256")
    @classmethod
    def _hash(cls, text: str) -> str:
        if _HASH.fullmatch(text.lower()) is None:
            raise ValueError("is not 64 hexadecimal digits; `calidris token` makes a line")
        return text.lower()

    @field_validator("may", mode="before")
    @classmethod
    def _actions(cls, text: object) -> object:
        actions = text.split(",") if isinstance(text, str) else text
        if isinstance(actions, list) and not set(actions) <= set(ACTIONS):
            raise ValueError(f"knows {', '.join(ACTIONS)}, separated by commas")
        return actions

    @field_validator("expires")
    @classmethod
    def _in_utc(cls, at: datetime | None) -> datetime | None:
        return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at

    @model_validator(mode="after")
    def _senders_have_one_tenant(self) -> Token:
        if self.tenant == ALL and "send" in self.may:
            raise ValueError("tenant=* cannot send: what is sent belongs to one tenant")
        return self

    @property
    def line(self) -> str:
        """The token's line in the file."""
        may = ",".join(action for action in ACTIONS if action in self.may)
        until = f" expires={self.expires:%Y-%m-%dT%H:%M:%SZ}" if self.expires else ""
        return f"name={self.name} tenant={self.tenant} may={may} sha256={self.sha256}{until}"


def new_token() -> str:
    """256 random bits as text.

    >>> len(new_token()), new_token() == new_token()
    (47, False)
    """
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """What the file holds of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def read_tokens(path: Path, key: str = "receiver.tokens") -> tuple[Token, ...]:
    """The tokens of a file; none where it holds comments only.

    Raises:
        ConfigError: it cannot be read, is empty, or a line cannot be used. The message names the line and quotes nothing
            of it: somebody may have written the token itself.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{key}: there is no file {path}; `calidris token` makes its first line") from None
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{key}: {path} cannot be read: {said}") from None
    if not text.strip():
        raise ConfigError(f"{key}: {path} is empty: a file that shuts everybody out says so in a comment")
    lines = ((number, line.split()) for number, line in enumerate(text.splitlines(), start=1))
    tokens = [_token(f"{key}: {path}:{number}", parts) for number, parts in lines if parts and parts[0][0] != "#"]
    if len({token.sha256 for token in tokens}) != len(tokens):
        raise ConfigError(f"{key}: {path}: two lines have the same hash: make a token for each with `calidris token`")
    return tuple(tokens)


def _token(where: str, parts: list[str]) -> Token:
    pairs = [part.partition("=")[::2] for part in parts]
    names = [name for name, _ in pairs]
    if not all("=" in part for part in parts) or not set(names) <= set(Token.model_fields):
        raise ConfigError(f"{where}: a line is name=… tenant=… may=… sha256=…, and expires=… if it ends one day")
    if len(set(names)) != len(names):
        raise ConfigError(f"{where}: a key stands twice")
    try:
        return Token.model_validate(dict(pairs))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        named = f"{first['loc'][0]}: " if first["loc"] else ""
        raise ConfigError(f"{where}: {named}{first['msg'].removeprefix('Value error, ')}") from None


def _plain(name: str) -> str:
    """Names stand in logs, series and the journal: one short word."""
    if _NAME.fullmatch(name) is None:
        raise ValueError("is a word of at most 63 letters, digits, dots, dashes and underscores")
    return name
