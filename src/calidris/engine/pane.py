"""Pane: the states of one model version, one time step and one spec. Windows, baselines and replays are merges of panes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from calidris.batch import Ints, PredictionBatch
from calidris.engine.figures.whole import dense_labels
from calidris.state import CountsState, DisplayState, LevelsState, MomentsState, ScoresState, Spec
from calidris.state.labelled import LabelledRows, LabelStates, LabelTables

HOUR_NS = 3_600_000_000_000
EXAMPLES = 5
"""Trace ids that a pane keeps, so that an alarm can point at calls."""
MOST_NAMES = 2000
"""Names of features that a pane remembers having seen."""


class PaneKey(NamedTuple):
    """Begin of the step in ns since the epoch, and the number of the model's spec."""

    start_ns: int
    spec: int


@dataclass(slots=True)
class Pane:
    """What is kept of one step.

    Attributes:
        counts: every row.
        moments: their exact moments.
        levels: names of the levels that the baseline did not have.
        labels: the labelled rows, in the pane of their prediction.
        display: log-linear bins of the numbers, which no baseline decides, so that a later one can re-bin the past; None in
            steps shorter than an hour.
        features: rows in batches that carried each feature, by its name.
        late: rows that came after the step was sealed: shown, and scored only by a longer window that was still open.
        trace_ids: of the first few calls.
        dirty: whether the checkpoint has an older copy.
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

    @classmethod
    def empty(cls, spec: Spec, step_ns: int = 0) -> Pane:
        """A pane without rows, of a step of some length."""
        display = DisplayState(spec) if step_ns >= HOUR_NS else None
        return cls(CountsState(spec), MomentsState(spec), LevelsState(spec), LabelTables(spec), display)

    def add(self, batch: PredictionBatch, cells: Ints, trace_ids: Iterable[str]) -> None:
        """Count rows, whose cells the spec's ``encode`` gave, and keep the first few trace ids."""
        self.counts.update(cells)
        self.moments.update(batch)
        self.levels.update(batch, cells)
        if self.display is not None:
            self.display.update(batch)
        for name in batch.features:
            if name in self.features or len(self.features) < MOST_NAMES:
                self.features[name] = self.features.get(name, 0) + len(batch)
        self.dirty = True
        self.trace_ids = _examples([*self.trace_ids, *trace_ids])

    def add_labels(self, rows: LabelledRows) -> None:
        """Count labelled rows."""
        self.labels.add(rows)
        self.dirty = True


@dataclass(frozen=True, slots=True)
class Window:
    """Panes of one spec, merged: the same parts, the labelled rows as dense states."""

    counts: CountsState
    moments: MomentsState
    levels: LevelsState
    labels: LabelStates
    features: dict[str, int]
    trace_ids: tuple[str, ...]

    @property
    def scores(self) -> ScoresState:
        """State C of the labelled rows."""
        return self.labels.scores


def merge_panes(spec: Spec, panes: Iterable[Pane]) -> Window:
    """One window with the rows of all panes; those of other specs are left out."""
    mine = [pane for pane in panes if pane.counts.spec.hash == spec.hash]
    examples = _examples([trace_id for pane in mine for trace_id in pane.trace_ids])
    out = Window(CountsState(spec), MomentsState(spec), LevelsState(spec), LabelStates.empty(spec), {}, tuple(examples))
    dense_labels(out.labels, (pane.labels for pane in mine))
    for pane in mine:
        out.counts.merge(pane.counts)
        out.moments.merge(pane.moments)
        out.levels.merge(pane.levels)
        for name, n in pane.features.items():
            out.features[name] = out.features.get(name, 0) + n
    return out


def _examples(trace_ids: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(trace_ids))[:EXAMPLES]
