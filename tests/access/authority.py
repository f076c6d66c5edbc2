"""Real certificates, made for one test."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import trustme

from calidris.config import MutualTlsConfig


class Authority:
    """An authority of its own, whose certificates are files of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.roots = folder / "roots.pem"
        self._ca.cert_pem.write_to_path(self.roots)

    def issue(self, name: str = "localhost", *, to: str = "server", until: datetime | None = None) -> tuple[Path, Path]:
        """Certificate and key of a host or a client, in two files that replace those of before."""
        made = self._ca.issue_cert(name, not_after=until, key_type=trustme.KeyType.ECDSA)
        cert, key = self.folder / f"{to}.pem", self.folder / f"{to}.key"
        chain = b"".join(blob.bytes() for blob in made.cert_chain_pems)
        for path, content in ((key, made.private_key_pem.bytes()), (cert, chain)):
            new = path.with_suffix(".new")
            new.touch(mode=0o600)
            new.write_bytes(content)
            new.replace(path)
        return cert, key

    def server(self, *, client_ca: Path | None = None, until: datetime | None = None) -> MutualTlsConfig:
        """TLS of a server at localhost."""
        cert, key = self.issue(until=until)
        return MutualTlsConfig(cert=cert, key=key, client_ca=client_ca)


def past() -> datetime:
    """A certificate that ends then has ended; it begins in the year 2000."""
    return datetime(2020, 1, 1, tzinfo=UTC)
