"""Recognise a span that came before, whatever request it came in: a Collector sends the same spans in other batches."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from calidris.batch import Mask
from calidris.labels.keys import Hashes

GENERATIONS = 4
"""The newest, and three full ones that together cover the horizon."""

_BITS = 8
"""Bits of the filter a span, at least: 12 % of new spans at the most have to be looked for in the runs."""

_ONE, _LOW, _WORD_BITS = np.uint64(1), np.uint64(63), 6


class Filter:
    """One bit for a hash's first bits: says of most hashes, at once, that they are not there. Grows with what is in it."""

    def __init__(self) -> None:
        self._resize(14)

    def _resize(self, bits: int) -> None:
        self.bits = bits  # 2 ** bits of them
        self._words = np.zeros(1 << (bits - _WORD_BITS), dtype=np.uint64)
        self._shift = np.uint64(64 - bits)

    def may_hold(self, hashes: Hashes) -> Mask:
        """False where a hash is certainly not there; 10 ns each."""
        place = hashes >> self._shift
        found: Mask = (self._words.take((place >> _WORD_BITS).view(np.int64)) >> (place & _LOW)) & _ONE != 0
        return found

    def add(self, hashes: Hashes) -> None:
        """Set the bits of these hashes."""
        place = hashes >> self._shift
        np.bitwise_or.at(self._words, (place >> _WORD_BITS).view(np.int64), _ONE << (place & _LOW))

    def fits(self, count: int) -> bool:
        """Whether so many hashes leave most bits unset."""
        return count * _BITS <= 1 << self.bits

    def rebuild(self, runs: list[Hashes], count: int) -> None:
        """Room for ``count`` hashes, and those of the runs in it."""
        self._resize((count * _BITS - 1).bit_length())
        for run in runs:
            self.add(run)


@dataclass(slots=True)
class SpanGeneration:
    """Hashes of the spans of one stretch of time: sorted runs, each at least twice as long as the next.

    Attributes:
        number: counts generations.
        began_ns: arrival from which on its spans came, ns since the epoch.
        count: how many spans.
        fresh: those that no checkpoint holds yet, as they came; ``saved`` are in one.
    """

    number: int
    began_ns: int
    runs: list[Hashes] = field(default_factory=list)
    count: int = 0
    fresh: list[Hashes] = field(default_factory=list)
    filter: Filter = field(default_factory=Filter)

    def knows(self, hashes: Hashes) -> Mask:
        """Which of these sorted hashes are here."""
        found = self.filter.may_hold(hashes)
        if found.any():
            places = np.flatnonzero(found)
            asked = hashes[places]
            known = np.zeros(len(asked), dtype=np.bool_)
            for run in self.runs:
                at = np.minimum(run.searchsorted(asked), len(run) - 1)
                known |= run[at] == asked
            found[places] = known
        return found

    def add(self, hashes: Hashes) -> None:
        """Remember sorted hashes, none of which is here yet; amortised, a few dozen ns each."""
        if len(hashes):
            self.fresh.append(hashes)
            self.restore(hashes)

    def restore(self, hashes: Hashes) -> None:
        """Remember sorted hashes that a checkpoint holds."""
        self.count += len(hashes)
        run = hashes
        while self.runs and len(self.runs[-1]) < 2 * len(run):
            run = np.concatenate([self.runs.pop(), run])
            run.sort(kind="stable")  # two sorted parts: a merge
        self.runs.append(run)
        if self.filter.fits(self.count):
            self.filter.add(hashes)
        else:
            self.filter.rebuild(self.runs, self.count)

    @property
    def saved(self) -> int:
        """How many of its spans a checkpoint holds."""
        return self.count - sum(map(len, self.fresh))

    def hashes(self) -> Hashes:
        """All of them, sorted."""
        return np.sort(np.concatenate(self.runs)) if self.runs else np.empty(0, dtype=np.uint64)


class SpanMemory:
    """Hashes of the spans of the last ``horizon_ns`` to 4/3 of that, by arrival time, at most ``max_spans`` of them.

    A span that comes again within the horizon after it last came is recognised; one that comes after twice the horizon never
    is. Four generations, each for a third of the horizon: the oldest one is forgotten when a new one begins. A generation
    of ``max_spans`` / 4 spans ends early, which makes the horizon shorter (``covered_s`` tells), never the memory larger:
    9 to 10 bytes a span, and for an instant 8 more while runs are merged. One request may exceed it by its own spans.

    Two different spans have one hash with a chance of 2⁻⁶⁴: of 12 million that are remembered, none are alike in all but 4 of a
    million cases (n²/2⁶⁵), and one new span in 1.5·10¹² is taken for a repeat wrongly, one in five years of 10 000 a second.

    The same spans in the same order give the same answers: only arrival times that the journal holds are used.

    >>> memory, span = SpanMemory(horizon_ns=30, max_spans=100), np.array([7], dtype=np.uint64)
    >>> [bool(memory.repeats(span, arrival)[0]) for arrival in (0, 30, 60, 100)]
    [False, True, True, False]
    """

    def __init__(self, horizon_ns: int, max_spans: int) -> None:
        self.horizon_ns = horizon_ns
        self._length_ns = -(-horizon_ns // (GENERATIONS - 1))
        self._most = max(max_spans // GENERATIONS, 1)
        self.last_ns = 0
        # As if it had been there for ever: nothing within the horizon was forgotten.
        self.generations = [SpanGeneration(0, -2 * horizon_ns)]

    @property
    def covered_s(self) -> float:
        """Seconds of the past whose spans are all remembered, at most the horizon."""
        covered_ns = min(self.last_ns - self.generations[0].began_ns, self.horizon_ns)
        return max(covered_ns, 0) / 1e9

    def repeats(self, hashes: Hashes, arrival_ns: int) -> Mask:
        """Which spans came before, earlier in ``hashes`` too; all of them are remembered from now on, bool[n].

        Measured: 0.1 to 0.2 µs a span where requests bring 512, 40 µs a request where they bring one.
        """
        self._turn(arrival_ns)
        distinct, first = np.unique(hashes, return_index=True)
        newest = self.generations[-1]
        fresh = ~newest.knows(distinct)
        known = ~fresh
        for generation in self.generations[:-1]:
            known |= generation.knows(distinct)
        # A repeat is remembered anew: who goes on sending it has not had an answer yet.
        newest.add(distinct[fresh])
        repeated = np.ones(len(hashes), dtype=np.bool_)
        repeated[first[~known]] = False
        return repeated

    def _turn(self, arrival_ns: int) -> None:
        """Begin the generation of this time."""
        self.last_ns = arrival_ns
        newest = self.generations[-1]
        if arrival_ns < newest.began_ns - self._length_ns:
            newest.began_ns = arrival_ns  # the clock was set back
        passed = (arrival_ns - newest.began_ns) // self._length_ns
        for step in range(max(passed - GENERATIONS, 0), max(passed, 0)):
            self._begin(newest.began_ns + (step + 1) * self._length_ns)
        if self.generations[-1].count >= self._most:
            self._begin(arrival_ns)

    def _begin(self, began_ns: int) -> None:
        number = self.generations[-1].number + 1
        self.generations = [*self.generations, SpanGeneration(number, began_ns)][-GENERATIONS:]
