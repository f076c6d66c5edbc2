"""Labels that overtook their prediction: kept for a while, bounded, and joined when the prediction arrives.

Spans of one process keep their order, but the label may come from another process, or through another Collector.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from calidris.labels.keys import Hashes


class EarlyLabel(NamedTuple):
    """A label whose prediction has not been seen: the outcome as text, when it was known, when it arrived."""

    outcome: str
    label_time_ns: int
    arrival_ns: int


@dataclass(slots=True)
class EarlyLabels:
    """A bounded map from the id's hash to the label; the oldest goes first, counted in ``dropped``."""

    max_labels: int = 100_000
    horizon_ns: int = 3_600_000_000_000
    dropped: int = 0
    waiting: dict[int, EarlyLabel] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.waiting)

    def add(self, ids: Hashes, labels: list[EarlyLabel]) -> None:
        """Keep labels until their predictions come."""
        for key, label in zip(ids.tolist(), labels, strict=True):
            self.waiting.setdefault(key, label)
        while len(self.waiting) > self.max_labels:
            self._drop_oldest()

    def take(self, ids: Hashes) -> list[tuple[int, EarlyLabel]]:
        """Position in ``ids`` and label of each prediction whose label came first; they stop waiting."""
        if not self.waiting:
            return []
        keys = np.fromiter(self.waiting, dtype=np.uint64, count=len(self.waiting))
        places = np.flatnonzero(np.isin(ids, keys)).tolist()
        out = []
        for place in places:
            label = self.waiting.pop(int(ids[place]), None)
            if label is not None:
                out.append((place, label))
        return out

    def expire(self, arrival_ns: int) -> None:
        """Drop labels that arrived more than the horizon before ``arrival_ns``."""
        while self.waiting and next(iter(self.waiting.values())).arrival_ns < arrival_ns - self.horizon_ns:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self.waiting.pop(next(iter(self.waiting)))
        self.dropped += 1

    def to_json(self) -> str:
        """Text that ``restore`` reads back exactly."""
        return json.dumps([[key, *label] for key, label in self.waiting.items()])

    def restore(self, text: str) -> None:
        """Take over what ``to_json`` wrote."""
        self.waiting = {int(key): EarlyLabel(*label) for key, *label in json.loads(text)}
