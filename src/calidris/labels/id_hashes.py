"""Ids as 64-bit hashes: eight bytes a waiting row instead of a string.

XXH3 is stable across processes and versions. With a million ids waiting, the chance that any two share a hash is about
3e-8; the cost of one is a single label on a wrong row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xxhash

Hashes = npt.NDArray[np.uint64]


def hash_text(text: str) -> int:
    """64-bit XXH3 of a text."""
    return xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass"))


def hash_ids(ids: Sequence[str]) -> Hashes:
    """64-bit XXH3 of n texts, uint64[n]; about 0.1 µs each."""
    try:
        texts = map(str.encode, ids)
        return np.fromiter(map(xxhash.xxh3_64_intdigest, texts), dtype=np.uint64, count=len(ids))
    except UnicodeEncodeError:  # half a character: a JSON string may hold one
        return np.fromiter(map(hash_text, ids), dtype=np.uint64, count=len(ids))


NO_ID = np.uint64(hash_text(""))
"""Hash of the empty id, which is a missing one: it joins nothing."""
