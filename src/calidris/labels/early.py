"""Labels that overtook their prediction: kept for a while, bounded, and joined when the prediction arrives.

Spans of one process keep their order, but the label may come from another process, or through another Collector.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from calidris.config.class_names import class_text
from calidris.labels.held import REVISED
from calidris.labels.id_hashes import Hashes

LABEL_BYTES = 1400
"""The most that a waiting label takes, its outcome being a thousand characters; a fifth of that for short ones."""


class EarlyLabel(NamedTuple):
    """A label whose prediction has not been seen.

    Attributes:
        outcome: as text.
        label_time_ns: when the first outcome of the prediction was known.
        arrival_ns: when this one arrived.
        as_of_ns: which of two is newer.
    """

    outcome: str
    label_time_ns: int
    arrival_ns: int
    as_of_ns: int

    def plain(self) -> list[str | int]:
        """Its values, without the last one where that is the time of the outcome, as earlier versions had them."""
        return [*self[:3]] if self.as_of_ns == self.label_time_ns else [*self]


@dataclass(slots=True)
class EarlyLabels:
    """A bounded map from the id's hash to the label, oldest first. Whatever goes without a prediction is returned as a count."""

    max_labels: int = 100_000
    horizon_ns: int = 3_600_000_000_000
    waiting: dict[int, EarlyLabel] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.waiting)

    def add(self, ids: Hashes, labels: list[EarlyLabel]) -> Counter[str]:
        """Keep labels until their predictions come; of two for one id the newer one, of equal times the later.

        Returns:
            What became of those whose id waits already: `REVISED`, where one takes the other's place, "repeated" or "superseded".
        """
        told = Counter[str]()
        for key, label in zip(ids.tolist(), labels, strict=True):
            before = self.waiting.get(key)
            if before is None:
                self.waiting[key] = label
            else:
                told[self._add_again(key, before, label)] += 1
        return told

    def _add_again(self, key: int, before: EarlyLabel, label: EarlyLabel) -> str:
        if class_text(label.outcome) == class_text(before.outcome):
            as_of_ns = max(label.as_of_ns, before.as_of_ns)
            self.waiting[key] = before._replace(as_of_ns=as_of_ns)
            return "repeated"
        if label.as_of_ns < before.as_of_ns:
            return "superseded"
        del self.waiting[key]  # the oldest stand first
        self.waiting[key] = label._replace(label_time_ns=before.label_time_ns)
        return REVISED

    def take(self, ids: Hashes) -> list[tuple[int, EarlyLabel]]:
        """Position in ``ids`` and label of each prediction whose label came first; they stop waiting. O(ids)."""
        if not self.waiting:
            return []
        known = [(place, key) for place, key in enumerate(ids.tolist()) if key in self.waiting]
        taken = [(place, self.waiting.pop(key, None)) for place, key in known]
        return [(place, label) for place, label in taken if label is not None]

    def shrink(self, too_many: int = 0) -> int:
        """Drop the oldest labels beyond ``max_labels``, and at least ``too_many`` if there are; returns how many."""
        excess = min(max(len(self.waiting) - self.max_labels, too_many, 0), len(self.waiting))
        for key in list(islice(self.waiting, excess)):
            del self.waiting[key]
        return excess

    def expire(self, arrival_ns: int) -> int:
        """Drop labels that arrived more than the horizon before ``arrival_ns``; returns how many."""
        old = [key for key, label in self.waiting.items() if label.arrival_ns < arrival_ns - self.horizon_ns]
        for key in old:
            del self.waiting[key]
        return len(old)

    def to_json(self) -> str:
        """Text that ``restore`` reads back exactly."""
        return json.dumps([[key, *label.plain()] for key, label in self.waiting.items()])

    def restore(self, text: str) -> None:
        """Take over what ``to_json`` wrote."""
        # Of earlier versions the time that a label was known is all that there is.
        stated = ((int(key), label, label[1]) for key, *label in json.loads(text))
        self.waiting = {key: EarlyLabel(*label[:3], *(label[3:] or [known_ns])) for key, label, known_ns in stated}


def even_level(sizes: list[int], most: int) -> int:
    """What each heap may have so that all of them together have ``most`` at the most, and none is cut below another.

    >>> even_level([400, 300, 300], 900), even_level([400, 10, 10], 300), even_level([4, 5], 300)
    (300, 280, 300)
    """
    left = most
    for i, size in enumerate(sorted(sizes)):
        share = left // (len(sizes) - i)
        if size > share:
            return share
        left -= size
    return most
