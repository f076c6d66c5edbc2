"""Certificates from files, read again when they change: for gRPC as bytes, for HTTP as a context of the standard library."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calidris.access.watched_files import Watched
from calidris.config.listener_tls import MutualTlsConfig, TlsConfig
from calidris.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Pem:
    """What the files held at one moment.

    Attributes:
        cert: the certificate chain.
        key: the private key.
        client_ca: authorities of senders' certificates, or None where none are asked for.
        context: made of them.
    """

    cert: bytes
    key: bytes = field(repr=False)
    client_ca: bytes | None
    context: ssl.SSLContext = field(repr=False, compare=False)


class Certificates:
    """Certificate, key and authorities of one address. Thread-safe.

    A new certificate is in force a second or two after its files changed, for new connections; those that stand keep theirs.
    Files that cannot be used (half of a pair replaced, say) change nothing, are counted and logged.

    Args:
        key: key of the configuration, for messages.
        tls: the files.
        clock_s: seconds, for the pace of looks at them.

    Raises:
        ConfigError: the files cannot be used.
    """

    def __init__(self, key: str, tls: TlsConfig, clock_s: Callable[[], float] | None = None) -> None:
        self._key = key
        self._tls = tls
        self._client_ca = tls.client_ca if isinstance(tls, MutualTlsConfig) else None
        paths = [tls.cert, tls.key, *([self._client_ca] if self._client_ca else [])]
        more = {} if clock_s is None else {"clock_s": clock_s}
        self._watched = Watched(key, paths, self._read, secret=(tls.key,), **more)

    @property
    def mutual(self) -> bool:
        """Whether senders must have a certificate."""
        return self._client_ca is not None

    @property
    def failures(self) -> int:
        """How often the files changed into something that cannot be used."""
        return self._watched.failures

    def now(self) -> Pem:
        """What is in force now."""
        return self._watched.get()

    def server_context(self) -> ssl.SSLContext:
        """A context for a server's socket; each handshake uses what is in force at that moment."""
        context = _context(self._tls, self._client_ca, self._key)

        def newest(wire: Any, name: str | None, before: ssl.SSLContext) -> None:
            wire.context = self.now().context

        context.sni_callback = newest  # called for every handshake, with or without a name
        return context

    def _read(self) -> Pem:
        before = self._files()
        context = _context(self._tls, self._client_ca, self._key)
        if self._files() != before:
            raise ConfigError(f"{self._key}: the files changed while they were read")
        cert, key, client_ca = before
        assert cert is not None and key is not None
        return Pem(cert, key, client_ca, context)

    def _files(self) -> tuple[bytes | None, ...]:
        paths = (("cert", self._tls.cert), ("key", self._tls.key), ("client_ca", self._client_ca))
        return tuple(None if path is None else _bytes(f"{self._key}.{name}", path) for name, path in paths)


def _bytes(key: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{key}: {path} cannot be read: {error.strerror}: name a PEM file of this user") from None


def _context(tls: TlsConfig, client_ca: Path | None, key: str) -> ssl.SSLContext:
    """TLS 1.2 or newer; who once showed a certificate must show it again at the next connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(tls.cert, tls.key, password=_no_password)
    except (ssl.SSLError, OSError, ValueError) as error:
        said = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"{key}.cert: {tls.cert} and {tls.key} are no certificate and its key without a password ({said}): "
            "give both in PEM, the key of this very certificate"
        ) from None
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except (ssl.SSLError, OSError) as error:
            said = getattr(error, "reason", None) or error.strerror
            raise ConfigError(f"{key}.client_ca: {client_ca} holds no certificate in PEM ({said})") from None
        context.verify_mode = ssl.CERT_REQUIRED
        context.num_tickets = 0  # a resumed session would not be checked against authorities that have changed
        context.options |= ssl.OP_NO_TICKET
    return context


def _no_password() -> str:
    raise ValueError("it has a password")
