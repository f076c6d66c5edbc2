"""What a detector is fed with: one vector of whole numbers a window, which adds up over rows and over windows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from calidris.batch import Ints
from calidris.state import Spec


@dataclass(frozen=True, slots=True)
class Layout:
    """The shape of that vector.

    Attributes:
        cells: its length; the vector is int64[cells].
        head: its first ``head`` entries hold every row exactly once, so that they add up to the rows of the window.
        identity: 16 bytes; vectors of equal identity mean the same.
    """

    cells: int
    head: int
    identity: bytes

    @classmethod
    def of(cls, what: Spec | Layout) -> Layout:
        """The layout of a model's counts (every row is in one cell of the first field), or the layout itself."""
        if isinstance(what, Layout):
            return what
        return cls(what.cells, int(what.offsets[1]), bytes.fromhex(what.hash))

    def rows(self, counts: Ints) -> int:
        """Rows behind counts int64[cells]."""
        return int(counts[: self.head].sum())


def identity(*parts: object) -> bytes:
    """16 bytes of BLAKE2b over values whose ``repr`` is exact, and over bytes.

    >>> identity("a", 1.0) == identity("a", 1.0), identity("a", 1.0) == identity("a", 2.0)
    (True, False)
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        raw = part if isinstance(part, bytes) else repr(part).encode()
        digest.update(len(raw).to_bytes(8, "little") + raw)
    return digest.digest()
