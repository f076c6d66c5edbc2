"""What may leave the process: one rule a feature, applied before anything is packed.

By default numbers and booleans leave and strings do not. A rule that cannot be kept (a hash without a key, a bucket without
edges) withholds the feature: it fails closed.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from math import isfinite

ALL = "*"
"""Stands for every feature that no list names."""

MAX_LISTED = 10_000
"""Names, or edges, of one list: what goes beyond has no end, and would be read until the process has no memory."""


class Action(Enum):
    """What is done to one feature."""

    ALLOW = "allow"
    DROP = "drop"
    HASH = "hash"
    BUCKET = "bucket"


def text_of(value: object) -> str:
    """The one spelling of a value as a level: ``1``, ``1.0`` and numpy's 1 are all ``"1"``.

    Raises whatever an object of the application raises.

    >>> text_of(1.0), text_of(True), text_of("NL"), text_of(0.5), text_of(b"NL")
    ('1', 'true', 'NL', '0.5', 'NL')
    """
    if hasattr(type(value), "item") and getattr(value, "ndim", None) == 0:
        value = value.item()  # type: ignore[attr-defined]
    kind = type(value)
    if kind is bool:
        return "true" if value else "false"
    if issubclass(kind, float) and value.is_integer():  # type: ignore[attr-defined]
        return str(int(value))  # type: ignore[call-overload]
    if issubclass(kind, bytes):
        return bytes.decode(value, "utf-8", "replace")  # type: ignore[arg-type]
    text = str(value)
    return whole(text if type(text) is str else str.__str__(text))


def whole(text: str) -> str:
    r"""The text with its lone surrogates replaced: nothing that has one can be sent, nor what stands beside it.

    >>> whole("caf\u00e9"), whole("half \ud83d")
    ('café', 'half ?')
    """
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode()


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of a process or of one model; `of` reads them from plain arguments.

    Where lists disagree the strictest wins: drop, hash, bucket, allow; and a feature's own name wins over ``*``.
    """

    allow: frozenset[str] = frozenset()
    drop: frozenset[str] = frozenset()
    hash: frozenset[str] = frozenset()
    bucket: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    hash_key: bytes = b""

    @classmethod
    def of(
        cls,
        allow: Iterable[str] = (),
        drop: Iterable[str] = (),
        hash: Iterable[str] = (),  # the word that users write
        bucket: Mapping[str, Iterable[float]] | None = None,
        hash_key: str | bytes = b"",
    ) -> Policy:
        """Build a policy; edges are sorted, and a bucket without usable edges becomes a drop."""
        edges, unusable = {}, set()
        for name, raw in _rules(bucket or {}):
            try:
                cut = tuple(sorted(float(edge) for edge in islice(raw, MAX_LISTED)))
            except (TypeError, ValueError):
                cut = ()
            if cut and all(map(isfinite, cut)):
                edges[whole(str(name))] = cut
            else:
                unusable.add(whole(str(name)))
        key = hash_key.encode("utf-8", "replace") if isinstance(hash_key, str) else hash_key
        return cls(_names(allow), _names(drop) | unusable, _names(hash), edges, key)

    def with_(self, other: Policy) -> Policy:
        """Both sets of rules; ``other`` adds lists and wins on edges and key.

        >>> Policy.of(allow=["country"]).with_(Policy.of(drop=["country"])).action("country")
        <Action.DROP: 'drop'>
        """
        return Policy(
            self.allow | other.allow,
            self.drop | other.drop,
            self.hash | other.hash,
            {**self.bucket, **other.bucket},
            other.hash_key or self.hash_key,
        )

    def action(self, name: str) -> Action | None:
        """The rule for a feature, or ``None`` where nobody said: then numbers leave and strings do not."""
        lists = (
            (Action.DROP, self.drop),
            (Action.HASH, self.hash),
            (Action.BUCKET, self.bucket),
            (Action.ALLOW, self.allow),
        )
        for wanted in (name, ALL):
            for action, names in lists:
                if wanted in names:
                    return action
        return None

    def hashed(self, name: str, value: object) -> str:
        """Keyed BLAKE2 of a value, 16 hexadecimal digits; equal values of two features do not look alike.

        Raises:
            ValueError: there is no key. The caller withholds the column.
        """
        if not self.hash_key:
            raise ValueError("hashing needs a key")
        key = self.hash_key if len(self.hash_key) <= 64 else hashlib.blake2b(self.hash_key).digest()
        return hashlib.blake2b(f"{name}\0{text_of(value)}".encode(), key=key, digest_size=8).hexdigest()

    def range_of(self, name: str, number: float) -> str:
        """The range that a number falls in.

        >>> p = Policy.of(bucket={"age": [18, 30, 50]})
        >>> p.range_of("age", 17), p.range_of("age", 18), p.range_of("age", 99)
        ('<18', '[18,30)', '>=50')
        """
        edges = self.bucket.get(name) or self.bucket[ALL]
        at = bisect_right(edges, number)
        if at == 0:
            return f"<{edges[0]:g}"
        if at == len(edges):
            return f">={edges[-1]:g}"
        return f"[{edges[at - 1]:g},{edges[at]:g})"


def _rules(bucket: Mapping[str, Iterable[float]]) -> list[tuple[str, Iterable[float]]]:
    """The edges by name. Raises as `_names` does."""
    found = list(islice(bucket.items(), MAX_LISTED + 1))
    if len(found) > MAX_LISTED:
        raise ValueError(f"more than {MAX_LISTED} names")
    return found


def _names(names: Iterable[str]) -> frozenset[str]:
    """A list of names as features have them; one string is one name, not its letters.

    Raises:
        ValueError: there are more than anybody lists. A rule that is cut short would let something out.
    """
    found = [names] if isinstance(names, str) else list(islice(names, MAX_LISTED + 1))
    if len(found) > MAX_LISTED:
        raise ValueError(f"more than {MAX_LISTED} names")
    return frozenset(whole(str(name)) for name in found)
