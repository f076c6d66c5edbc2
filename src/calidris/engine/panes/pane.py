"""Pane: the states of one model version, one time step and one spec. Windows, baselines and replays are merges of panes.

In the checkpoint its labels are a row of their own, for they change when nothing else does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import NamedTuple

from calidris.batch import Ints, PredictionBatch
from calidris.engine.panes.label_totals import dense_labels
from calidris.state import CountsState, DisplayState, LevelsState, MomentsState, ScoresState, Spec
from calidris.state.blocks.labelled import LabelledRows, LabelStates, LabelTables
from calidris.state.blocks.weighted_rows import WeightedRows
from calidris.state.effective import (
    EffectiveMoments,
    effective_counts,
    effective_labels,
    rounded_counts,
    rounded_labels,
)
from calidris.state.weights import units_of

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
        weighted: all rows by weight; None until one has another weight than one.
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
    weighted: WeightedRows | None = None
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
        by_weight = 0 if self.weighted is None else self.weighted.array.nbytes
        tables = self.labels.nbytes + by_weight
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
        self._weigh(cells, units_of(batch.weight), batch)
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

    def _weigh(self, cells: Ints, units: Ints | None, batch: PredictionBatch | None = None) -> None:
        """Count rows by weight, before they are counted by row: those of before are taken from there."""
        if units is not None:
            self.weighted = self.by_weight()
        if self.weighted is not None:
            self.weighted.update(cells, units, batch)

    def by_weight(self) -> WeightedRows:
        """All rows by weight: each once where none has another one."""
        return self.weighted or WeightedRows.at_one(self.counts, self.moments)

    def count_cells(self, cells: Ints, units: Ints | None = None) -> None:
        """Count rows whose cells, int64[fields, n], are those of some fields of the spec; nothing else is kept of them."""
        self._weigh(cells, units)
        self.counts.update(cells)
        self.dirty = True

    def merge_counts(self, counts: CountsState, weighted: WeightedRows | None) -> None:
        """Add counts of other rows, with what they are by weight where that is not the same."""
        if self.weighted is not None or weighted is not None:
            self.weighted = self.by_weight()
            self.weighted.merge(weighted or WeightedRows.at_one(counts))
        self.counts.merge(counts)
        self.dirty = True

    def show(self, batch: PredictionBatch) -> None:
        """Count rows in the display bins alone."""
        if self.display is None:
            self.display = DisplayState(self.counts.spec)
        self.display.update(batch)
        self.dirty = True

    def add_labels(self, rows: LabelledRows, gone: LabelledRows | None = None) -> None:
        """Count labelled rows, some of them in place of ``gone``: of what they were counted as before."""
        # In this order: no count is ever below what it ends at.
        self.labels.add(rows)
        if gone is not None:
            self.labels.take_off(gone)
        self.relabelled = True

    def merge(self, other: Pane) -> None:
        """Add the rows of a later pane, which stays untouched.

        Raises:
            IncompatibleState: another spec.
        """
        if self.weighted is not None or other.weighted is not None:
            self.weighted = self.by_weight()
            self.weighted.merge(other.by_weight())
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
    """Panes of one spec, merged: the same parts, the labelled rows as dense states.

    Where rows have weights, ``counts`` and ``labels`` are by row all the same, and ``figures`` and ``evidence`` by weight.
    """

    counts: CountsState
    moments: MomentsState
    levels: LevelsState
    labels: LabelStates
    features: dict[str, int]
    trace_ids: tuple[str, ...]
    late: int = 0
    weighted: WeightedRows | None = None
    _made: dict[str, Window] = field(default_factory=dict, compare=False, repr=False)

    @property
    def scores(self) -> ScoresState:
        """State C of the labelled rows."""
        return self.labels.scores

    @property
    def is_weighted(self) -> bool:
        """Whether a row of it has another weight than one."""
        return self.weighted is not None or self.labels.weighted is not None

    @property
    def figures(self) -> Window:
        """The rows as so many as they are worth, for figures; the same window where each counts once."""
        if not self.is_weighted:
            return self
        if "figures" not in self._made:
            made = replace(self, labels=effective_labels(self.labels), _made={})
            if self.weighted is not None:
                counts, moments = effective_counts(self.weighted), EffectiveMoments(self.weighted)
                made = replace(made, counts=counts, moments=moments)
            self._made["figures"] = made
        return self._made["figures"]

    @property
    def evidence(self) -> Window:
        """The same in whole rows, for detectors."""
        if not self.is_weighted:
            return self
        if "evidence" not in self._made:
            shown = self.figures
            counts = shown.counts if self.weighted is None else rounded_counts(shown.counts)
            labels = shown.labels if self.labels.weighted is None else rounded_labels(shown.labels)
            self._made["evidence"] = replace(shown, counts=counts, labels=labels, weighted=None, _made={})
        return self._made["evidence"]


def merge_panes(spec: Spec, panes: Iterable[Pane]) -> Window:
    """One window with the rows of all panes; those of other specs are left out."""
    mine = [pane for pane in panes if pane.counts.spec.hash == spec.hash]
    examples = _examples([trace_id for pane in mine for trace_id in pane.trace_ids])
    late = sum(pane.late for pane in mine)
    labels = dense_labels(spec, (pane.labels for pane in mine))
    sums = (CountsState(spec), MomentsState(spec), LevelsState(spec))
    out = Window(*sums, labels, {}, tuple(examples), late, weighted_rows(spec, mine))
    for pane in mine:
        out.counts.merge(pane.counts)
        out.moments.merge(pane.moments)
        out.levels.merge(pane.levels)
        for name, n in pane.features.items():
            out.features[name] = out.features.get(name, 0) + n
    _keep_commonest(out.features, spec.feature_names)
    return out


def weighted_rows(spec: Spec, panes: Sequence[Pane]) -> WeightedRows | None:
    """The rows of some panes of a spec by weight; None where each counts once."""
    if all(pane.weighted is None for pane in panes):
        return None
    out = WeightedRows(spec)
    for pane in panes:
        out.merge(pane.by_weight())
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
    counts, moments, levels = (state.to_bytes() for state in (pane.counts, pane.moments, pane.levels))
    notes: list[object] = [pane.trace_ids, pane.features]
    if pane.weighted is not None:
        # Behind the counts, and where they end: nothing more of a pane without weights.
        notes.append(len(counts))
        counts += pane.weighted.to_bytes()
    display = None if pane.display is None else pane.display.to_bytes()
    return counts, moments, levels, display, pane.late, json.dumps(notes)


def pane_from(spec: Spec, row: PaneRow, labels: bytes | None) -> Pane:
    """The pane that ``pane_row`` described, and its labels' bytes, if it has any.

    Raises:
        CorruptState: not such bytes.
        IncompatibleState: bytes of another spec or format version.
    """
    counts, moments, levels, display, late, notes = row
    trace_ids, features, *end = json.loads(notes)
    counts, weighted = (counts[: end[0]], counts[end[0] :]) if end else (counts, None)
    return Pane(
        counts=CountsState.from_bytes(spec, counts),
        weighted=None if weighted is None else WeightedRows.from_bytes(spec, weighted),
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
