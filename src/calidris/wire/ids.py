"""Who a span is: 64 bits of (tenant, trace id, span id), so that one that comes again can be told, in whatever request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash

Hashes = npt.NDArray[np.uint64]

TRACE_ID_BYTES: Final = 16
SPAN_ID_BYTES: Final = 8
NO_IDS: Final[Hashes] = np.empty(0, dtype=np.uint64)

# Odd and random: one for each 64-bit word of the ids.
_FACTORS: Final = tuple(map(np.uint64, (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93)))
_MIX: Final = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)
_LAST_SHIFT: Final = np.uint64(31)


def span_hashes(trace_ids: Sequence[bytes], span_ids: Sequence[bytes], tenant: str) -> Hashes:
    """A hash for each of n spans, uint64[n]; 0 where the trace id or the span id is not valid in OTLP's sense.

    A valid id has 16 or 8 bytes, not all of them zero. The same ids of two tenants have two hashes. The function never
    changes: hashes are kept in checkpoints. It is no secret and no cryptography. About 0.1 µs a span in bulk, 15 µs for one.

    >>> span_hashes([b"t" * 16] * 3, [b"s" * 8, b"s" * 8, b""], "default").tolist()
    [17721541599462207074, 17721541599462207074, 0]
    """
    high, low = _words(trace_ids, TRACE_ID_BYTES).T
    (span,) = _words(span_ids, SPAN_ID_BYTES).T
    hashes: Hashes = high * _FACTORS[0]
    hashes += low * _FACTORS[1]
    hashes += span * _FACTORS[2]
    hashes ^= np.uint64(xxhash.xxh3_64_intdigest(tenant.encode("utf-8", "surrogatepass")))
    for shift, factor in _MIX:
        hashes ^= hashes >> shift
        hashes *= factor
    hashes ^= hashes >> _LAST_SHIFT
    hashes[hashes == 0] = 1  # 0 says that there is no id
    hashes[((high | low) == 0) | (span == 0)] = 0
    return hashes


def _words(ids: Sequence[bytes], size: int) -> Hashes:
    """Ids as little-endian words, uint64[n, size / 8]; those of another length as zeros."""
    if set(map(len, ids)) != {size}:
        ids = [one if len(one) == size else bytes(size) for one in ids]
    words: Hashes = np.frombuffer(b"".join(ids), dtype="<u8").reshape(len(ids), size // 8)
    return words
