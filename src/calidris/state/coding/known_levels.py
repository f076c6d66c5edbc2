"""Known levels: which texts a baseline met beside the levels that it keeps, so that what is rare is not taken for new.

A field keeps its commonest levels by name. Of all others it knows hashes, which is enough to tell a rare one from one that was never
there: up to ``MOST_HASHES`` levels 64 bits of each, so that fewer than one level in 10^14 that was never there is called rare; beyond
that a Bloom filter of one MiB, which errs as its ``error_rate`` says: 2 % at a million levels. A level that was there is never called new.

What a hash reveals: nobody reads a name out of it, but whoever has the file can ask whether a name that he has in mind is in it. The
hashes are salted by all of the levels together, so that tables made beforehand and the files of other baselines are of no use.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import xxhash

from calidris.batch import Ints, Mask

MOST_HASHES: Final = 100_000
FILTER_BYTES: Final = 1 << 20
"""Of a field at the most."""

MOST_ERROR: Final = 0.05
"""A filter that is wrong more often is no answer: then nobody knows which levels are rare."""

SALT_BYTES: Final = 8

MOST_PROBES: Final = 16
"""Bits of a filter that a level sets at the most: more would cost time and mend errors that nobody sees."""

_LOW_HALF: Final = np.uint64(0xFFFFFFFF)
_HALF_BITS: Final = np.uint64(32)

Hashes = npt.NDArray[np.uint64]
Plain = dict[str, "str | int"]


@dataclass(frozen=True)
class BloomFilter:
    """A set of hashes in bounded bytes, which may take a stranger for a member and never a member for a stranger.

    B. Bloom, "Space/time trade-offs in hash coding with allowable errors", CACM 13(7), 1970. The bits of a hash come of its two halves
    (Kirsch & Mitzenmacher, "Less hashing, same performance: building a better Bloom filter", ESA 2006).

    Attributes:
        bits: eight of them a byte, the lowest first.
        members: how many it was made of.

    >>> import numpy as np
    >>> hashes = np.arange(1000, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    >>> made = BloomFilter.of(hashes, size_bytes=4096)
    >>> bool(made.find(hashes).all()), made.error_rate < 1e-5
    (True, True)
    """

    bits: bytes
    members: int

    @classmethod
    def of(cls, hashes: Hashes, size_bytes: int) -> Self:
        """A filter of so many bytes with some distinct hashes."""
        empty = cls(bytes(size_bytes), len(hashes))
        bits = np.zeros(empty.size_bits, dtype=np.uint8)
        bits[empty.places(hashes)] = 1
        packed = np.packbits(bits, bitorder="little")
        return cls(packed.tobytes(), len(hashes))

    @property
    def size_bits(self) -> int:
        """All bits, set or not."""
        return 8 * len(self.bits)

    @property
    def probes(self) -> int:
        """Bits of a member: as many as make the fewest errors."""
        members = max(self.members, 1)
        best = round(self.size_bits / members * math.log(2))
        return min(max(best, 1), MOST_PROBES)

    @property
    def error_rate(self) -> float:
        """Share of strangers that are taken for members."""
        probes = self.probes
        load = probes * self.members / self.size_bits
        filled = -math.expm1(-load)
        return float(filled**probes)

    def find(self, hashes: Hashes) -> Mask:
        """Which hashes are members, or taken for some, bool[n]."""
        places = self.places(hashes)
        held = self._table[places >> 3]
        shifted = held >> (places & 7)
        is_set = shifted & 1
        found: Mask = is_set.all(axis=0)
        return found

    def places(self, hashes: Hashes) -> Ints:
        """The bits of each hash, int64[probes, n]."""
        first = (hashes & _LOW_HALF).astype(np.int64)
        # An odd step: an even one would visit half of the places only.
        step = (hashes >> _HALF_BITS).astype(np.int64) | 1
        numbers = np.arange(self.probes)
        walked = np.multiply.outer(numbers, step)
        places: Ints = (first + walked) % self.size_bits
        return places

    @cached_property
    def _table(self) -> npt.NDArray[np.uint8]:
        return np.frombuffer(self.bits, dtype=np.uint8)


@dataclass(frozen=True)
class KnownLevels:
    """Levels by hash.

    Attributes:
        salt: of all hashes, 8 bytes.
        hashes: ascending little-endian uint64; empty where there is a filter.
        bits: of the filter; empty where there are hashes.
        levels: how many levels the filter was made of.

    Raises:
        ValueError: parts that no levels make.

    >>> rare = KnownLevels.of(["Vaduz", "Valletta"])
    >>> rare.find(["Valletta", "Atlantis"]).tolist(), rare.error_rate < 1e-14
    ([True, False], True)
    """

    salt: bytes
    hashes: bytes = b""
    bits: bytes = b""
    levels: int = 0

    def __post_init__(self) -> None:
        # What is read from a file was not made here.
        is_salted = len(self.salt) == SALT_BYTES
        held = self._is_filter() if self.bits else self._is_list()
        if not (is_salted and held):
            raise ValueError("known levels: bytes that no levels make")

    def _is_filter(self) -> bool:
        if self.hashes or not self.levels > 0:
            return False
        return len(self.bits) == FILTER_BYTES

    def _is_list(self) -> bool:
        held, rest = divmod(len(self.hashes), 8)
        if rest or self.levels:
            return False
        return held <= MOST_HASHES

    @classmethod
    def of(cls, names: Collection[str]) -> Self | None:
        """Those of some texts, in whatever order; None of more than a filter can hold.

        Cost: some 0.5 µs a text.
        """
        texts = sorted(set(names))
        salt = _salt_of(texts)
        hashes = _hash(texts, salt)
        found = np.unique(hashes)
        if len(found) > MOST_HASHES:
            return cls._filtered(salt, found)
        stored = found.astype("<u8")
        return cls(salt, stored.tobytes())

    @classmethod
    def _filtered(cls, salt: bytes, found: Hashes) -> Self | None:
        made = BloomFilter.of(found, FILTER_BYTES)
        if made.error_rate > MOST_ERROR:
            return None
        return cls(
            salt,
            bits=made.bits,
            levels=made.members,
        )

    @property
    def error_rate(self) -> float:
        """Share of levels that were never there and are called rare all the same."""
        if self.bits:
            return self._filter.error_rate
        return len(self._sorted) / 2.0**64

    def find(self, texts: Sequence[str]) -> Mask:
        """Which of some texts are among them, bool[n]; some 0.3 µs a text."""
        asked = _hash(texts, self.salt)
        if self.bits:
            return self._filter.find(asked)
        if self.hashes:
            return self._look_up(asked)
        return np.zeros(len(texts), dtype=np.bool_)

    def _look_up(self, asked: Hashes) -> Mask:
        at = np.searchsorted(self._sorted, asked)
        # What lies behind all of them is laid against the last one, which it is not.
        nearest = self._sorted.take(at, mode="clip")
        found: Mask = nearest == asked
        return found

    @cached_property
    def _sorted(self) -> Hashes:
        stored = np.frombuffer(self.hashes, dtype="<u8")
        return stored.astype(np.uint64)

    @cached_property
    def _filter(self) -> BloomFilter:
        return BloomFilter(self.bits, self.levels)

    def to_json(self) -> Plain:
        """Plain values that ``KnownLevels.from_json`` reads back exactly."""
        return {
            "salt": _write(self.salt),
            "hashes": _write(self.hashes),
            "bits": _write(self.bits),
            "levels": self.levels,
        }

    @classmethod
    def from_json(cls, data: Plain) -> Self:
        """What ``to_json`` described.

        Raises:
            ValueError: other values.
        """
        return cls(
            _read(data, "salt"),
            _read(data, "hashes"),
            _read(data, "bits"),
            int(data["levels"]),
        )


def _write(part: bytes) -> str:
    return base64.b64encode(part).decode("ascii")


def _read(data: Plain, name: str) -> bytes:
    text = str(data.get(name, ""))
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"known levels: {name}: {error}") from error


def _salt_of(texts: Sequence[str]) -> bytes:
    """The same levels have the same salt: the same rows give the same baseline."""
    digest = hashlib.blake2b(digest_size=SALT_BYTES)
    for text in texts:
        digest.update(_framed(text))
    return digest.digest()


def _framed(text: str) -> bytes:
    # With its length, or two texts could be one that is as long as both.
    raw = _bytes_of(text)
    length = len(raw)
    return length.to_bytes(8, "little") + raw


def _hash(texts: Sequence[str], salt: bytes) -> Hashes:
    seed = int.from_bytes(salt, "little")
    digest = xxhash.xxh3_64_digest
    # Bytes become an array at once; a list of whole numbers would be looked at one by one.
    found = (digest(_bytes_of(text), seed) for text in texts)
    joined = b"".join(found)
    stored = np.frombuffer(joined, dtype=">u8")
    return stored.astype(np.uint64)


def _bytes_of(text: str) -> bytes:
    # Half of a surrogate pair is no UTF-8, and may come all the same.
    return text.encode("utf-8", "surrogatepass")
