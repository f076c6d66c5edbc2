"""Labels that overtook their prediction: kept for a while, bounded, and joined when the prediction arrives.

Spans of one process keep their order, but the label may come from another process, or through another Collector.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from calidris.labels.id_hashes import Hashes

LABEL_BYTES = 1400
"""The most that a waiting label takes, its outcome being a thousand characters; a fifth of that for short ones."""


class EarlyLabel(NamedTuple):
    """A label whose prediction has not been seen: the outcome as text, when it was known, when it arrived."""

    outcome: str
    label_time_ns: int
    arrival_ns: int


@dataclass(slots=True)
class EarlyLabels:
    """A bounded map from the id's hash to the label, oldest first. Whatever goes without a prediction is returned as a count."""

    max_labels: int = 100_000
    horizon_ns: int = 3_600_000_000_000
    waiting: dict[int, EarlyLabel] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.waiting)

    def add(self, ids: Hashes, labels: list[EarlyLabel]) -> int:
        """Keep labels until their predictions come; the first label of an id stays.

        Returns:
            How many repeat an id that waits already.
        """
        before = len(self.waiting)
        for key, label in zip(ids.tolist(), labels, strict=True):
            self.waiting.setdefault(key, label)
        return len(labels) - (len(self.waiting) - before)

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
        return json.dumps([[key, *label] for key, label in self.waiting.items()])

    def restore(self, text: str) -> None:
        """Take over what ``to_json`` wrote."""
        self.waiting = {int(key): EarlyLabel(*label) for key, *label in json.loads(text)}


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
