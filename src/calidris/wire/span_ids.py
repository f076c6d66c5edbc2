"""Who a span is: 64 bits of (tenant, trace id, span id), so that one that comes again can be told, in whatever request."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import xxhash

Hashes = npt.NDArray[np.uint64]

TRACE_ID_BYTES: Final = 16
SPAN_ID_BYTES: Final = 8
NO_IDS: Final[Hashes] = np.empty(0, dtype=np.uint64)

# One round a word and one more: in counted ids only a few bits differ, often the first ones, which a product leaves there.
_FACTORS: Final = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93, 0xBF58476D1CE4E5B9)
_SHIFTS: Final = (32, 32, 32, 29)
_ALL: Final = 2**64 - 1
_THREE: Final = struct.Struct("<3Q")
_FEW: Final = 8
"""So many spans are hashed one by one."""


def span_hashes(trace_ids: Sequence[bytes], span_ids: Sequence[bytes], tenant: str) -> Hashes:
    """A hash for each of n spans, uint64[n]; 0 where the trace id or the span id is not valid in OTLP's sense.

    A valid id has 16 or 8 bytes, not all of them zero. The same ids of two tenants have two hashes. The function never
    changes: hashes are kept in checkpoints. It is no secret and no cryptography. About 0.1 µs a span in bulk, 3 µs for one.

    >>> span_hashes([b"t" * 16] * 3, [b"s" * 8, b"s" * 8, b""], "default").tolist()
    [11296805811496216651, 11296805811496216651, 0]
    """
    seed = xxhash.xxh3_64_intdigest(tenant.encode("utf-8", "surrogatepass"))
    if len(trace_ids) <= _FEW:
        return np.array([_one(*pair, seed) for pair in zip(trace_ids, span_ids)], dtype=np.uint64)
    high, low = _words(trace_ids, TRACE_ID_BYTES).T
    (span,) = _words(span_ids, SPAN_ID_BYTES).T
    hashes: Hashes = np.full(len(trace_ids), seed, dtype=np.uint64)
    for word, factor, shift in zip((high, low, span, np.uint64(0)), _FACTORS, _SHIFTS):
        hashes ^= word
        hashes *= np.uint64(factor)
        hashes ^= hashes >> np.uint64(shift)
    hashes[hashes == 0] = 1  # 0 says that there is no id
    hashes[((high | low) == 0) | (span == 0)] = 0
    return hashes


def _one(trace_id: bytes, span_id: bytes, seed: int) -> int:
    """The same of one span, ten times faster than arrays of one."""
    if len(trace_id) != TRACE_ID_BYTES or len(span_id) != SPAN_ID_BYTES or not (any(trace_id) and any(span_id)):
        return 0
    number = seed
    for word, factor, shift in zip((*_THREE.unpack(trace_id + span_id), 0), _FACTORS, _SHIFTS):
        number = (number ^ word) * factor & _ALL
        number ^= number >> shift
    return number or 1


def _words(ids: Sequence[bytes], size: int) -> Hashes:
    """Ids as little-endian words, uint64[n, size / 8]; those of another length as zeros."""
    if set(map(len, ids)) != {size}:
        ids = [one if len(one) == size else bytes(size) for one in ids]
    words: Hashes = np.frombuffer(b"".join(ids), dtype="<u8").reshape(len(ids), size // 8)
    return words
