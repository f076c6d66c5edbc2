"""How an address is guarded: certificates, and the words by which somebody takes the risk of doing without."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

from calidris.config.frozen import Config

Exposed = Literal["no TLS", "no login", "no TLS, no login"]
"""What an address lacks that other machines can reach, said in words: without them such an address is refused."""


class TlsConfig(Config):
    """Files in PEM; they are read again when they change.

    Attributes:
        cert: certificate, and those between it and its authority.
        key: private key, without a password; readable by its owner only.
    """

    cert: Path
    key: Path


class MutualTlsConfig(TlsConfig):
    """TLS that may ask senders for a certificate too.

    Attributes:
        client_ca: authorities that sign senders' certificates; with it nobody connects without one.
    """

    client_ca: Path | None = None


Tls = TypeVar("Tls", bound=TlsConfig)


def under(folder: Path, tls: Tls | None) -> Tls | None:
    """The same files, relative to the folder of the configuration."""
    if tls is None:
        return None
    paths = {name: folder / path for name, path in tls if path is not None}
    return tls.model_copy(update=paths)
