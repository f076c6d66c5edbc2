"""Pane: the states of one model version, one time step and one spec. Windows, baselines and replays are merges of panes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from calidris.batch import Ints
from calidris.state import CountsState, ScoresState, Spec

EXAMPLES = 5
"""Trace ids that a pane keeps, so that an alarm can point at calls."""


class PaneKey(NamedTuple):
    """Begin of the step in ns since the epoch, and the number of the model's spec."""

    start_ns: int
    spec: int


@dataclass(slots=True)
class Pane:
    """Counts, labelled scores and what else is kept of one step.

    ``late`` are the rows that came after the step was sealed: shown, never scored. ``dirty`` says that the checkpoint has
    an older copy.
    """

    counts: CountsState
    scores: ScoresState
    late: int = 0
    trace_ids: list[str] = field(default_factory=list)
    dirty: bool = True

    @classmethod
    def empty(cls, spec: Spec) -> Pane:
        """A pane without rows."""
        return cls(CountsState(spec), ScoresState(spec))

    def add(self, cells: Ints, trace_ids: Iterable[str]) -> None:
        """Count encoded rows and keep the first few trace ids."""
        self.counts.update(cells)
        self.dirty = True
        for trace_id in trace_ids:
            if len(self.trace_ids) >= EXAMPLES:
                break
            if trace_id not in self.trace_ids:
                self.trace_ids.append(trace_id)


def merge_panes(spec: Spec, panes: Iterable[Pane]) -> Pane:
    """One pane with the rows of all of them; panes of other specs are left out."""
    out = Pane.empty(spec)
    for pane in panes:
        if pane.counts.spec.hash == spec.hash:
            out.counts.merge(pane.counts)
            out.scores.merge(pane.scores)
            out.late += pane.late
            out.trace_ids.extend(pane.trace_ids)
    del out.trace_ids[EXAMPLES:]
    return out
