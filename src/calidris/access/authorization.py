"""The one place where it is decided who somebody is and what they may do."""

from __future__ import annotations

import hmac
import logging
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from calidris.access.tokens import ALL, Action, Token, hash_of, read_tokens
from calidris.access.watched_files import Watched
from calidris.batch import DEFAULT_TENANT
from calidris.errors import Forbidden, Unauthenticated

KEY = "receiver.tokens"
_WORD_S = 60.0
_OWN_PACE = {"unlimited": True}
"""The log's own limit counts lines of a place; here one reason must not drown another."""
_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,512}={0,2})", re.IGNORECASE)  # RFC 6750, bounded
_CURE = "send `authorization: Bearer <token>`; `calidris token` makes one"

TenantOf = Callable[[str | None], str]
"""The tenant of an Authorization header, None without one; raises Unauthenticated or Forbidden. Never blocks."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        name: of the token; empty where no tokens are configured.
        tenant: whose models it may touch; ``*`` is everybody's.
        whole: whether the receiver's own figures are its business: those of all tenants together.
    """

    name: str
    tenant: str
    whole: bool = True

    def sees(self, tenant: str) -> bool:
        """Whether models of this tenant exist for it."""
        return self.tenant in (ALL, tenant)

    @property
    def home(self) -> str:
        """The tenant that is meant where none is named."""
        return DEFAULT_TENANT if self.tenant == ALL else self.tenant


ANYBODY = Caller("", ALL)
"""Whoever asks where no tokens are configured."""


class _Known(NamedTuple):
    """The tokens of the file by what they are looked up with, and whether they are all of one tenant."""

    tokens: dict[bytes, Token]
    alone: bool


class Access:
    """Tells senders, readers and deciders by their bearer token. Thread-safe; some 5 µs a question, whatever the file's size.

    The file is read again when it changes. What is compared is a keyed hash, with a key of this process: how long it takes
    tells nothing about tokens that exist.

    Attributes:
        refused: questions that were refused, by action and reason.

    Args:
        path: the file of tokens, or None: then everybody may do everything, as tenant ``default``.
        clock_s: seconds, for the pace of looks at the file and of log lines.
        now_s: seconds since the epoch, for tokens that expire.

    Raises:
        ConfigError: the file cannot be used.

    Example:
        access = Access(Path("tokens"))
        tenant = access.tenant_of("Bearer cal_…")
        caller = access.authorize("Bearer cal_…", "read")
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.refused: Counter[str] = Counter()
        self._clock_s = clock_s
        self._now_s = now_s
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._said_s: dict[str, float] = {}
        self._quiet: Counter[str] = Counter()
        self._file = None if path is None else Watched(KEY, (path,), lambda: self._index(read_tokens(path)), clock_s)

    @property
    def required(self) -> bool:
        """Whether there is a file of tokens, so that nobody gets in without one."""
        return self._file is not None

    @property
    def failures(self) -> int:
        """How often the file changed into one that cannot be used."""
        return 0 if self._file is None else self._file.failures

    def tenant_of(self, authorization: str | None) -> str:
        """The tenant that a request belongs to, by its Authorization header; None where it has none.

        Raises:
            Unauthenticated: no token, or none that is known here.
            Forbidden: the token may not send.
        """
        return self.authorize(authorization, "send").home

    def authorize(self, authorization: str | None, action: Action) -> Caller:
        """Who asks, if they may.

        Raises:
            Unauthenticated: no token, or none that is known here, or an expired one.
            Forbidden: the token is good for other things only.
        """
        if self._file is None:
            return ANYBODY
        known = self._file.get()
        try:
            token = self._known(known.tokens, authorization)
            if action not in token.may:
                raise Forbidden(f"the token {token.name!r} may not {action}: give its line in the file may={action}")
        except (Unauthenticated, Forbidden) as error:
            self.refuse(action, "forbidden" if isinstance(error, Forbidden) else "unauthenticated", str(error))
            raise
        return Caller(token.name, token.tenant, known.alone or token.tenant == ALL)

    def refuse(self, action: Action, reason: str, why: str) -> None:
        """Count a refusal, and log it at most once a minute for each action and reason."""
        what = f"{action}_{reason}"
        with self._lock:
            self.refused[what] += 1
            if self._clock_s() - self._said_s.get(what, -_WORD_S) < _WORD_S:
                self._quiet[what] += 1
                return
            self._said_s[what], more = self._clock_s(), self._quiet.pop(what, 0)
        told = f" ({more:,} more since this was last said)" if more else ""
        _logger.warning("access: refused to %s: %s%s", action, why, told, extra=_OWN_PACE)

    def _known(self, tokens: Mapping[bytes, Token], authorization: str | None) -> Token:
        if authorization is None:
            raise Unauthenticated(f"no token: {_CURE}")
        found = _BEARER.fullmatch(authorization)
        if found is None:
            raise Unauthenticated(f"the authorization header is not one bearer token: {_CURE}")
        token = tokens.get(self._blind(hash_of(found[1])))
        if token is None:
            raise Unauthenticated(f"this token is not known here: {_CURE}")
        if token.expires is not None and self._now_s() >= token.expires.timestamp():
            raise Unauthenticated(f"the token {token.name!r} has expired: {_CURE}")
        return token

    def _index(self, tokens: Sequence[Token]) -> _Known:
        alone = len({token.tenant for token in tokens} - {ALL}) == 1
        return _Known({self._blind(token.sha256): token for token in tokens}, alone)

    def _blind(self, sha256: str) -> bytes:
        """Where a token is looked up: nobody outside can choose these bytes or know how many of them are right."""
        return hmac.digest(self._key, sha256.encode(), "sha256")


def joined(values: Sequence[str | bytes]) -> str | None:
    """A header that was sent once or several times, as HTTP joins it; None where there is none.

    Several tokens make no token: a proxy in front may have believed another one than we.

    >>> joined([]), joined(["Bearer a"]), joined([b"Bearer a", b"Bearer b"])
    (None, 'Bearer a', 'Bearer a, Bearer b')
    """
    texts = [value if isinstance(value, str) else value.decode("latin-1") for value in values]
    return ", ".join(texts) if texts else None
