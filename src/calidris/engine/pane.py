"""Pane: the states of one model version, one time step and one spec. Windows, baselines and replays are merges of panes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from calidris.batch import Ints
from calidris.state import CountsState, ScoresState, SparseTable, Spec

EXAMPLES = 5
"""Trace ids that a pane keeps, so that an alarm can point at calls."""


class PaneKey(NamedTuple):
    """Begin of the step in ns since the epoch, and the number of the model's spec."""

    start_ns: int
    spec: int


@dataclass(slots=True)
class Pane:
    """Counts, labelled scores and what else is kept of one step.

    ``late`` are the rows that came after the step was sealed: shown, and scored only by a longer window that was still open.
    ``dirty`` says that the checkpoint has an older copy.
    """

    counts: CountsState
    scores: SparseTable[ScoresState]
    late: int = 0
    trace_ids: list[str] = field(default_factory=list)
    dirty: bool = True

    @classmethod
    def empty(cls, spec: Spec) -> Pane:
        """A pane without rows."""
        return cls(CountsState(spec), SparseTable(ScoresState, spec))

    def add(self, cells: Ints, trace_ids: Iterable[str]) -> None:
        """Count encoded rows and keep the first few trace ids."""
        self.counts.update(cells)
        self.dirty = True
        self.trace_ids = _examples([*self.trace_ids, *trace_ids])


@dataclass(frozen=True, slots=True)
class Window:
    """Panes of one spec, merged.

    Attributes:
        counts: every row.
        scores: the labelled ones.
        trace_ids: examples from its oldest panes.
    """

    counts: CountsState
    scores: ScoresState
    trace_ids: tuple[str, ...]


def merge_panes(spec: Spec, panes: Iterable[Pane]) -> Window:
    """One window with the rows of all panes; those of other specs are left out."""
    mine = [pane for pane in panes if pane.counts.spec.hash == spec.hash]
    out = Window(
        CountsState(spec),
        ScoresState(spec),
        tuple(_examples([trace_id for pane in mine for trace_id in pane.trace_ids])),
    )
    for pane in mine:
        out.counts.merge(pane.counts)
        pane.scores.add_to(out.scores)
    return out


def _examples(trace_ids: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(trace_ids))[:EXAMPLES]
