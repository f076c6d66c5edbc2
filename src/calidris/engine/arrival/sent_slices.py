"""Which of the slices that a model's settings name have ever come with a value: figures by one that never does stay empty.

Slices come as ``ml.slices``. The same name among the features is another thing: it is watched for drift, and nothing is cut by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from calidris.batch import CodedColumn, PredictionBatch

ENOUGH: Final = 100
"""Rows without a value before anything is said. An attribute that 7 rows in 100 have is missing from so many once in 1100 times (e^-7)."""


@dataclass(slots=True)
class SentSlices:
    """What rows of one model version have brought of the names in ``slices`` and ``fairness.attribute``.

    Attributes:
        lacking: rows that came before the first value of each name, by name; None once there was one. Counted from the first row that
            came while the settings had the name.
        features: those of the names that came as features, while they are lacking.
    """

    lacking: dict[str, int | None] = field(default_factory=dict)
    features: set[str] = field(default_factory=set)

    def note(
        self,
        names: Sequence[str],
        batch: PredictionBatch,
    ) -> None:
        """Take down what some rows have.

        Cost: a look-up a name, and one pass over the rows for a name that has not come yet.
        """
        for name in names:
            rows = self.lacking.get(name, 0)
            if rows is None:
                continue
            if _has_values(batch.slices, name):
                self.lacking[name] = None
                # Forgotten, so that rows counted together leave what they leave one by one.
                self.features.discard(name)
                continue
            self.lacking[name] = rows + len(batch)
            if name in batch.features:
                self.features.add(name)

    def never_sent(
        self,
        names: Iterable[str],
    ) -> Iterator[tuple[str, int]]:
        """Names of which no value came in enough rows, and how many rows those are."""
        for name in names:
            rows = self.lacking.get(name)
            if rows is None:
                continue
            if rows >= ENOUGH:
                yield name, rows

    def to_json(self) -> dict[str, Any]:
        """Plain values for a checkpoint; nothing where a model has no slices."""
        if not self.lacking:
            return {}
        found = {}
        for name, rows in self.lacking.items():
            is_feature = name in self.features
            found[name] = [rows, is_feature]
        return {"sent_slices": found}

    @classmethod
    def from_json(
        cls,
        data: Mapping[str, Any],
    ) -> SentSlices:
        """What ``to_json`` wrote, out of all that a checkpoint says of a model."""
        # Checkpoints of earlier versions say nothing: then counting begins here, as if the settings had got the names today.
        found = data.get("sent_slices", {})
        sent = cls()
        for name, (rows, is_feature) in found.items():
            sent.lacking[name] = rows
            if is_feature:
                sent.features.add(name)
        return sent


def _has_values(
    slices: Mapping[str, CodedColumn],
    name: str,
) -> bool:
    column = slices.get(name)
    if column is None:
        return False
    has_value = column.codes >= 0
    return bool(np.any(has_value))
