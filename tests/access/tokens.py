"""A file of bearer tokens, as tests write and change it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from calidris.access import Access, Token, hash_of, new_token


class Tokens:
    """A file of tokens and a clock that a test moves."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now_s = 1_000.0
        self.lines: list[str] = []

    def add(self, name: str, tenant: str = "acme", may: str = "send", **more: Any) -> str:
        """A new token, whose line is in the file after ``write``; the header that shows it."""
        token = new_token()
        self.lines.append(
            Token(name=name, tenant=tenant, may=frozenset(may.split(",")), sha256=hash_of(token), **more).line  # type: ignore[arg-type]
        )
        return f"Bearer {token}"

    def write(self, text: str | None = None) -> None:
        """Replace the file as an editor does: another one takes its name."""
        new = self.path.with_suffix(".new")
        new.write_text("# tokens\n" + "\n".join(self.lines) if text is None else text)
        new.chmod(0o600)
        new.replace(self.path)

    def open(self) -> Access:
        return Access(self.path, clock_s=lambda: self.now_s, now_s=lambda: self.now_s)

    def later(self, seconds: float = 1.1) -> None:
        self.now_s += seconds
