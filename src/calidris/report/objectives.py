"""Service level objectives for the page."""

from __future__ import annotations

from calidris.engine.snapshot import ModelSnapshot
from calidris.report import words
from calidris.report.tables import Cell, Row, Table


def objectives(model: ModelSnapshot) -> Table | None:
    """Events of each service level objective since the state began."""
    names = sorted({name for name, _ in model.slo_events})
    if not names:
        return None
    rows = []
    for name in names:
        good, bad = (model.slo_events.get((name, outcome), 0) for outcome in ("good", "bad"))
        met = (
            Cell(words.share(good / (good + bad)), (words.rows(good + bad),))
            if good + bad
            else Cell("no events yet", known=False)
        )
        rows.append(Row(name, (met, Cell(f"{bad:,}"))))
    return Table("Service level objectives, since the state began", ("Objective", "Met by", "Missed by"), tuple(rows))
