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
MOST_NAMES = 64
"""Names of features that the spec does not have and that a pane remembers all the same, so that a schema change has names."""
MAX_CHARACTERS = 64
"""Such a name is cut here."""


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

    def add(self, batch: PredictionBatch, cells: Ints, trace_ids: Iterable[str]) -> tuple[int, int]:
        """Count rows, whose cells the spec's ``encode`` gave, and keep the first few trace ids.

        Returns:
            How many values were counted nowhere, because there are too many features, and how many as ``other`` without a
            name, because the spec does not have their level and too many others have a name.
        """
        self.counts.update(cells)
        self.moments.update(batch)
        levels = self.levels.update(batch, cells)
        if self.display is not None:
            self.display.update(batch)
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
    _keep_commonest(out.features, spec.feature_names)
    return out


def _keep_commonest(features: dict[str, int], known: frozenset[str]) -> None:
    """Of the features that the spec does not have, keep as many as a pane does."""
    others = sorted((name for name in features if name not in known), key=lambda name: (-features[name], name))
    for name in others[MOST_NAMES:]:
        del features[name]


def _examples(trace_ids: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(trace_ids))[:EXAMPLES]
