"""One generation of remembered spans: sorted runs of hashes, with a filter before them that answers nearly every question."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from calidris.batch import Mask
from calidris.labels.id_hashes import Hashes

_BITS = 8
"""Bits of the filter a span, at least: 1 to 5 % of new spans have to be looked for in the runs."""

_RECENT = 1024
"""Spans that came in small requests, before they are made a run."""

_ONE, _SIX, _LOW = np.uint64(1), np.uint64(6), np.uint64(63)


def masks_of(hashes: Hashes) -> Hashes:
    """Two of a word's 64 bits for each hash, by its last twelve."""
    return (_ONE << (hashes & _LOW)) | (_ONE << ((hashes >> _SIX) & _LOW))


class Filter:
    """Two bits a hash, in a word that its first bits choose: says of most hashes, at once, that they are not there."""

    def __init__(self, bits: int = 14) -> None:
        self.bits = bits  # 2 ** bits of them
        self._words = np.zeros(1 << (bits - 6), dtype=np.uint64)
        self._shift = 70 - bits

    def may_hold(self, hashes: Hashes, masks: Hashes) -> Mask:
        """False where a hash is certainly not there; 10 ns each."""
        places = (hashes >> np.uint64(self._shift)).view(np.int64)
        found: Mask = (self._words.take(places) & masks) == masks
        return found

    def may_hold_one(self, number: int) -> bool:
        """The same of one; half a microsecond."""
        mask = 1 << (number & 63) | 1 << (number >> 6 & 63)
        return int(self._words[number >> self._shift]) & mask == mask

    def add(self, hashes: Hashes) -> None:
        """Set the bits of these hashes."""
        places = (hashes >> np.uint64(self._shift)).view(np.int64)
        np.bitwise_or.at(self._words, places, masks_of(hashes))

    def add_one(self, number: int) -> None:
        """Set the bits of one."""
        mask = 1 << (number & 63) | 1 << (number >> 6 & 63)
        self._words[number >> self._shift] |= np.uint64(mask)

    def fits(self, count: int) -> bool:
        """Whether so many hashes leave most bits unset."""
        return count * _BITS <= 1 << self.bits


@dataclass(slots=True)
class Generation:
    """Hashes of the spans of one stretch of time: sorted runs, each at least twice as long as the next.

    Attributes:
        number: counts generations.
        began_ns: arrival from which on its spans came, ns since the epoch.
        count: how many spans.
        runs: sorted; none is in two of them.
        recent: those of small requests, not in a run yet.
        fresh: parts of the runs that no checkpoint holds yet.
    """

    number: int
    began_ns: int
    count: int = 0
    runs: list[Hashes] = field(default_factory=list)
    recent: set[int] = field(default_factory=set)
    fresh: list[Hashes] = field(default_factory=list)
    filter: Filter = field(default_factory=Filter)

    def knows(self, hashes: Hashes, masks: Hashes) -> Mask:
        """Which of these sorted hashes are here."""
        found = self.filter.may_hold(hashes, masks)
        places = np.flatnonzero(found)
        if len(places):
            asked = hashes[places]
            known = np.array([number in self.recent for number in asked.tolist()])
            for run in self.runs:
                known |= run[np.minimum(run.searchsorted(asked), len(run) - 1)] == asked
            found[places] = known
        return found

    def knows_one(self, number: int) -> bool:
        """Whether one hash is here; a microsecond."""
        if number in self.recent or not self.filter.may_hold_one(number):
            return number in self.recent
        asked = np.uint64(number)
        return any(run[min(int(run.searchsorted(asked)), len(run) - 1)] == asked for run in self.runs)

    def add(self, hashes: Hashes) -> None:
        """Remember sorted hashes, none of which is here yet; amortised, some dozen ns each."""
        if len(hashes):
            self.fresh.append(hashes)
            self.restore(hashes)

    def add_one(self, number: int) -> None:
        """Remember one hash that is not here yet."""
        self.recent.add(number)
        self.count += 1
        if len(self.recent) >= _RECENT:
            self.settle()
        elif self.filter.fits(self.count):
            self.filter.add_one(number)
        else:
            self._grow()

    def settle(self) -> None:
        """Make a run of what is not in one."""
        if self.recent:
            self.count -= len(self.recent)
            hashes = _sorted(self.recent)
            self.recent = set()
            self.add(hashes)

    def restore(self, hashes: Hashes) -> None:
        """Remember sorted hashes that a checkpoint holds."""
        self.count += len(hashes)
        run = hashes
        while self.runs and len(self.runs[-1]) < 2 * len(run):
            run = merged([self.runs.pop(), run])
        self.runs.append(run)
        if self.filter.fits(self.count):
            self.filter.add(hashes)
        else:
            self._grow()

    def end(self) -> None:
        """Make one run of all, because nothing more will come: 10 ns a span."""
        self.settle()
        if len(self.runs) > 1:
            self.runs = [merged(self.runs)]

    def _grow(self) -> None:
        self.filter = Filter((self.count * _BITS - 1).bit_length())
        for part in (*self.runs, _sorted(self.recent)):
            self.filter.add(part)

    @property
    def saved(self) -> int:
        """How many of its spans a checkpoint holds."""
        return self.count - len(self.recent) - sum(map(len, self.fresh))

    def hashes(self) -> Hashes:
        """All of them, sorted."""
        return merged([*self.runs, _sorted(self.recent)])


def _sorted(numbers: Iterable[int]) -> Hashes:
    return np.array(sorted(numbers), dtype=np.uint64)


def merged(runs: list[Hashes]) -> Hashes:
    """Sorted parts as one."""
    joined = np.concatenate(runs)
    joined.sort(kind="stable")  # of sorted parts it is a merge
    return joined
