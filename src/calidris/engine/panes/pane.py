"""Pane: the states of one model version, one time step and one spec. Windows, baselines and replays are merges of panes.

In the checkpoint its labels are a row of their own, for they change when nothing else does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from calidris.batch import Ints, PredictionBatch
from calidris.engine.panes.label_totals import dense_labels
from calidris.state import CountsState, DisplayState, LevelsState, MomentsState, ScoresState, Spec
from calidris.state.blocks.labelled import LabelledRows, LabelStates, LabelTables

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS
EXAMPLES = 5
"""Trace ids that a pane keeps, so that an alarm can point at calls."""
MOST_NAMES = 64
"""Names of features that the spec does not have and that a pane remembers all the same, so that a schema change has names."""
MAX_CHARACTERS = 64
"""Such a name is cut here."""
NAME_BYTES = 80
"""Of a name's place and count in memory, the name apart, which the spec has too."""


class Level(IntEnum):
    """How long a pane is: the model's own step, or what steps are rolled up into."""

    STEP = 0
    HOUR = 1
    DAY = 2


class PaneKey(NamedTuple):
    """Begin of the pane in ns since the epoch, the number of the model's spec, and how long it is."""

    start_ns: int
    spec: int
    level: int = Level.STEP

    def length_ns(self, step_ns: int) -> int:
        """Its length in a model of some step."""
        return (step_ns, HOUR_NS, DAY_NS)[self.level]


@dataclass(slots=True)
class Pane:
    """What is kept of one step.

    Attributes:
        counts: every row.
        moments: their exact moments.
        levels: names of the levels that the baseline did not have.
        labels: the labelled rows, in the pane of their prediction.
        display: log-linear bins of the numbers, which no baseline decides, so that a later one can re-bin the past. Those of
            an hour's rows are in its hour pane from the first row on, while their counts are in steps until the roll-up.
        features: rows in batches that carried each feature, by its name.
        late: rows that came after the step was sealed: shown, and scored only by a longer window that was still open.
        trace_ids: of the first few calls.
        dirty: whether the checkpoint has an older copy, its labels apart.
        relabelled: likewise of the labels, which change long after all else.
    """

    counts: CountsState
    moments: MomentsState
    levels: LevelsState
    labels: LabelTables
    display: DisplayState | None = None
    features: dict[str, int] = field(default_factory=dict)
    late: int = 0
    trace_ids: list[str] = field(default_factory=list)
    dirty: bool = True
    relabelled: bool = True

    @classmethod
    def empty(cls, spec: Spec) -> Pane:
        """A pane without rows."""
        return cls(CountsState(spec), MomentsState(spec), LevelsState(spec), LabelTables(spec))

    @property
    def nbytes(self) -> int:
        """Bytes in memory, nearly all of them."""
        tables = sum(table.cells.nbytes + table.sums.nbytes for table in self.labels.tables)
        display = 0 if self.display is None else self.display.nbytes
        names = NAME_BYTES * len(self.features)
        return int(self.counts.array.nbytes + self.moments.nbytes) + tables + display + names

    def add(
        self, batch: PredictionBatch, cells: Ints, trace_ids: Iterable[str], sizes: Sequence[int] = ()
    ) -> tuple[int, int]:
        """Count rows, whose cells the spec's ``encode`` gave, and keep the first few trace ids.

        ``sizes`` are the rows of each batch that they came in, where there were several.

        Returns:
            How many values were counted nowhere, because there are too many features, and how many as ``other`` without a
            name, because the spec does not have their level and too many others have a name.
        """
        self.counts.update(cells)
        self.moments.update(batch, cells)
        levels = self.levels.update(batch, cells, sizes)
        features = self._note(batch)
        self.dirty = True
        self.trace_ids = _examples([*self.trace_ids, *trace_ids])
        return features, levels

    def _note(self, batch: PredictionBatch) -> int:
        """Note which features came; how many values are of features that there is no room to note."""
        known = self.counts.spec.feature_names
        others, left_out = -1, 0  # names beyond the spec's, counted when the first new one comes
        for sent in batch.features:
            name = sent if sent in known else sent[:MAX_CHARACTERS]
            if name in self.features:
                self.features[name] += len(batch)
                continue
            if sent not in known:
                others = sum(noted not in known for noted in self.features) if others < 0 else others
                if others >= MOST_NAMES:
                    left_out += len(batch)
                    continue
                others += 1
            self.features[name] = len(batch)
        return left_out

    def count_cells(self, cells: Ints) -> None:
        """Count rows whose cells, int64[fields, n], are those of some fields of the spec; nothing else is kept of them."""
        self.counts.update(cells)
        self.dirty = True

    def merge_counts(self, counts: Ints) -> None:
        """Add counts int64[cells] of other rows."""
        self.counts.merge(CountsState(self.counts.spec, counts))
        self.dirty = True

    def show(self, batch: PredictionBatch) -> None:
        """Count rows in the display bins alone."""
        if self.display is None:
            self.display = DisplayState(self.counts.spec)
        self.display.update(batch)
        self.dirty = True

    def add_labels(self, rows: LabelledRows) -> None:
        """Count labelled rows."""
        self.labels.add(rows)
        self.relabelled = True

    def merge(self, other: Pane) -> None:
        """Add the rows of a later pane, which stays untouched.

        Raises:
            IncompatibleState: another spec.
        """
        self.counts.merge(other.counts)
        self.moments.merge(other.moments)
        self.levels.merge(other.levels)
        self.labels.merge(other.labels)
        if other.display is not None:
            if self.display is None:
                self.display = DisplayState(self.counts.spec)
            self.display.merge(other.display)
        known = self.counts.spec.feature_names
        for name, n in sorted(other.features.items()):
            others = sum(noted not in known for noted in self.features) if name not in known else 0
            if name in self.features or others < MOST_NAMES:
                self.features[name] = self.features.get(name, 0) + n
        self.late += other.late
        self.trace_ids = _examples([*self.trace_ids, *other.trace_ids])
        self.dirty = self.relabelled = True


@dataclass(frozen=True, slots=True)
class Window:
    """Panes of one spec, merged: the same parts, the labelled rows as dense states."""

    counts: CountsState
    moments: MomentsState
    levels: LevelsState
    labels: LabelStates
    features: dict[str, int]
    trace_ids: tuple[str, ...]
    late: int = 0

    @property
    def scores(self) -> ScoresState:
        """State C of the labelled rows."""
        return self.labels.scores


def merge_panes(spec: Spec, panes: Iterable[Pane]) -> Window:
    """One window with the rows of all panes; those of other specs are left out."""
    mine = [pane for pane in panes if pane.counts.spec.hash == spec.hash]
    examples = _examples([trace_id for pane in mine for trace_id in pane.trace_ids])
    late = sum(pane.late for pane in mine)
    sums = (CountsState(spec), MomentsState(spec), LevelsState(spec))
    out = Window(*sums, LabelStates.empty(spec), {}, tuple(examples), late)
    dense_labels(out.labels, (pane.labels for pane in mine))
    for pane in mine:
        out.counts.merge(pane.counts)
        out.moments.merge(pane.moments)
        out.levels.merge(pane.levels)
        for name, n in pane.features.items():
            out.features[name] = out.features.get(name, 0) + n
    _keep_commonest(out.features, spec.feature_names)
    return out


def _keep_commonest(features: dict[str, int], known: frozenset[str]) -> None:
    """Of the features that the spec does not have, keep as many as a pane does."""
    others = sorted((name for name in features if name not in known), key=lambda name: (-features[name], name))
    for name in others[MOST_NAMES:]:
        del features[name]


def _examples(trace_ids: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(trace_ids))[:EXAMPLES]


COLUMNS = "counts, moments, levels, display, late, notes"
PaneRow = tuple[bytes, bytes, bytes, bytes | None, int, str]


def pane_row(pane: Pane) -> PaneRow:
    """The columns of a pane but for its labels, in the order of ``COLUMNS``."""
    notes = json.dumps([pane.trace_ids, pane.features])
    counts, moments, levels = (state.to_bytes() for state in (pane.counts, pane.moments, pane.levels))
    display = None if pane.display is None else pane.display.to_bytes()
    return counts, moments, levels, display, pane.late, notes


def pane_from(spec: Spec, row: PaneRow, labels: bytes | None) -> Pane:
    """The pane that ``pane_row`` described, and its labels' bytes, if it has any.

    Raises:
        CorruptState: not such bytes.
        IncompatibleState: bytes of another spec or format version.
    """
    counts, moments, levels, display, late, notes = row
    trace_ids, features = json.loads(notes)
    return Pane(
        counts=CountsState.from_bytes(spec, counts),
        moments=MomentsState.from_bytes(spec, moments),
        levels=LevelsState.from_bytes(spec, levels),
        labels=LabelTables(spec) if labels is None else LabelTables.from_bytes(spec, labels),
        display=None if display is None else DisplayState.from_bytes(spec, display),
        features=features,
        late=late,
        trace_ids=trace_ids,
        dirty=False,
        relabelled=False,
    )
