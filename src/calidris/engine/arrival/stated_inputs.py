"""What rows of a model version had other than the settings state of its inputs, and which of it stands as an alarm.

Every row is looked at as it comes: no window, no baseline, no budget.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from itertools import accumulate, pairwise
from typing import Any, Final, Self

import numpy as np

from calidris.batch import Mask, PredictionBatch
from calidris.config import ModelConfig
from calidris.engine.alarms import AlarmBook
from calidris.engine.alarms.provenance import stamp
from calidris.engine.columns import rows_of
from calidris.engine.snapshot import Alarm, NamedFeature
from calidris.metrics.input_faults import Fault, FaultCount, FaultCounts, find_faults, list_checks
from calidris.state.coding.stated_gaps import remove_stated_gaps

KIND: Final = "schema"
"""Of the alarms, in ``ml.detection.kind``."""

EACH_ROW: Final = "row"
"""Stands for the window of such alarms: there is none."""

MOST_EXAMPLES: Final = 5
"""Trace ids of an alarm."""

ENOUGH_ROWS: Final = 100
"""A service may send its columns by turns; a name that was written wrongly is told soon enough after these."""

Place = tuple[str, str]
"""Name of a feature, and the kind of its fault."""


class StatedInputs:
    """The faults of one model version.

    Args:
        config: the user's settings for the model.

    Attributes:
        checks: what every row is looked at for, by feature and kind.
    """

    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        stated = config.stated_schema
        self.checks: tuple[Place, ...] = ()
        if stated is not None:
            self.checks = tuple(list_checks(stated))
        self._found = FaultCounts()
        self._came: set[str] = set()  # features of the schema that some row had a column for
        self._rows = 0
        self._standing: dict[Place, int] = {}  # to the number of the alarm that tells of it

    @property
    def counts(self) -> tuple[FaultCount, ...]:
        """All faults so far, by feature and kind."""
        return tuple(self._found)

    def note(
        self,
        batch: PredictionBatch,
        sizes: Sequence[int],
        book: AlarmBook,
    ) -> None:
        """Look at rows, and raise the alarms of faults that no standing alarm tells of yet.

        Args:
            batch: rows as they came.
            sizes: rows of the batches that this one was joined of: each raises what it would raise by itself.
            book: where alarms are written down.
        """
        stated = self.config.stated_schema
        if stated is None:
            return
        self._rows += len(batch)
        for columns in (batch.features, batch.slices, batch.embeddings):
            self._came |= columns.keys() & stated.features.keys()
        faults = self._find(batch)
        # Mostly nothing is new, and then it does not matter how rows were joined.
        if len(sizes) < 2 or not self._new(faults):
            self._note_part(batch, faults, book)
            return
        for part in _split(batch, sizes):
            found = self._find(part)
            self._note_part(part, found, book)

    def never_came(self) -> list[str]:
        """Features of the schema that no row has had a column for, once there were enough rows to say so."""
        stated = self.config.stated_schema
        if stated is None or self._rows < ENOUGH_ROWS:
            return []
        return [name for name in stated.features if name not in self._came]

    def _find(self, batch: PredictionBatch) -> list[Fault]:
        stated = self.config.stated_schema
        assert stated is not None, "there is nothing to find without one"
        batch = remove_stated_gaps(batch, self.config.missing)
        found = find_faults(batch, stated, self.config.types)
        return list(found)

    def _new(self, faults: list[Fault]) -> list[Fault]:
        """Those that no standing alarm tells of."""
        return [fault for fault in faults if _place(fault) not in self._standing]

    def _note_part(
        self,
        batch: PredictionBatch,
        faults: list[Fault],
        book: AlarmBook,
    ) -> None:
        self._found.add(faults)
        new = self._new(faults)
        if new:
            number = book.next_id
            alarm = _alarm(batch, new, number)
            told = stamp(alarm, self.config)
            book.open(told)
            for fault in new:
                self._standing[_place(fault)] = alarm.id

    def clear(self, number: int) -> None:
        """End an alarm: the next row with such a fault raises one anew."""
        for place, alarm in list(self._standing.items()):
            if alarm == number:
                del self._standing[place]

    def forget_ended(self, latched: Set[int]) -> None:
        """Let go of what no standing alarm tells of any more: the next such row raises one."""
        for place, alarm in list(self._standing.items()):
            if alarm not in latched:
                del self._standing[place]

    def to_json(self) -> dict[str, Any]:
        """Plain values for a checkpoint; nothing where there is nothing to tell."""
        if not self._rows:
            return {}
        standing = [[*place, number] for place, number in self._standing.items()]
        told = {
            "counts": self.counts,
            "came": sorted(self._came),
            "rows": self._rows,
            "standing": sorted(standing),
        }
        return {"inputs": told}

    @classmethod
    def from_json(cls, config: ModelConfig, data: dict[str, Any]) -> Self:
        """What ``to_json`` wrote, out of everything that a checkpoint says of a model."""
        found = cls(config)
        told = data.get("inputs")
        if told is None:
            return found
        found._came.update(told["came"])
        found._rows = told["rows"]
        for counted in told["counts"]:
            found._found.put(FaultCount(*counted))
        for feature, kind, number in told["standing"]:
            found._standing[feature, kind] = number
        return found


def _place(fault: Fault) -> Place:
    return fault.feature, fault.kind


def _split(batch: PredictionBatch, sizes: Sequence[int]) -> Iterator[PredictionBatch]:
    bounds = [0, *accumulate(sizes)]
    for begin, end in pairwise(bounds):
        rows = np.arange(begin, end)
        yield rows_of(batch, rows)


def _alarm(batch: PredictionBatch, faults: list[Fault], number: int) -> Alarm:
    rows: Mask = np.logical_or.reduce([fault.rows for fault in faults])
    times = batch.event_time_ns[rows]
    return Alarm(
        id=number,
        model=batch.model,
        kind=KIND,
        window=EACH_ROW,
        raised_ns=int(times.max()),
        since_ns=int(times.min()),
        windows=0,
        n=len(times),
        evidence=1.0,
        features=tuple(map(_named, faults)),
        baseline="",
        budget="",
        trace_ids=_examples(batch, rows),
        reference=KIND,
        budgeted=False,
    )


def _named(fault: Fault) -> NamedFeature:
    said = f"{fault.kind}: {fault.example}"
    return NamedFeature(fault.feature, said, 1.0)


def _examples(batch: PredictionBatch, rows: Mask) -> tuple[str, ...]:
    """The first traces of some rows, each once."""
    if batch.trace_ids is None:
        return ()
    traces = batch.trace_ids.take(rows)
    found = []
    for trace in traces.strings():
        if trace is not None and trace not in found:
            found.append(trace)
        if len(found) == MOST_EXAMPLES:
            break
    return tuple(found)
