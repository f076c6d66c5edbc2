"""A pane as rows of the checkpoint, and back: its labels are a row of their own, for they change when nothing else does."""

from __future__ import annotations

import json

from calidris.engine.panes.pane import Pane
from calidris.state import CountsState, DisplayState, LevelsState, MomentsState, Spec
from calidris.state.blocks.labelled import LabelTables

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
