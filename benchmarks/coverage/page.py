"""The table: a row for each figure and kind of data, a column for each size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from benchmarks.coverage.config import LEAST
from benchmarks.coverage.tally import Cell, Figure, Tallies, Tally

SIGNIFICANT = 1e-3
FEWEST = 20


def under(found: Tallies, least: float = LEAST, chance: float = SIGNIFICANT) -> Tallies:
    """Cells whose intervals hold the truth less often than that, by more than chance."""
    return {
        cell: tally for cell, tally in found.items() if tally.coverage < least and tally.below_by_chance(least) < chance
    }


def told(cell: Cell, tally: Tally) -> str:
    """One cell in words."""
    figure = cell.figure
    return f"{figure.metric} {figure.name}, {cell.data}, n = {cell.n}: {tally.coverage:.3f} of {tally.ok}"


def table(found: Tallies) -> str:
    sizes = sorted({cell.n for cell in found})
    parts = []
    for metric in dict.fromkeys(cell.figure.metric for cell in found):
        rows = list(dict.fromkeys((c.figure, c.data) for c in found if c.figure.metric == metric))
        order = list(dict.fromkeys(figure for figure, _ in rows))
        rows.sort(key=lambda row: order.index(row[0]))
        head = ("figure", "data", "status ok in", *(f"n = {n}" for n in sizes))
        parts.append(_markdown(f"`{metric}`", head, (_row(found, *row, sizes) for row in rows)))
    return "\n\n".join(parts)


def _row(found: Tallies, figure: Figure, data: str, sizes: list[int]) -> list[str]:
    tallies = [found.get(Cell(figure, data, n), Tally()) for n in sizes]
    ok = " / ".join(f"{100 * t.ok / t.trials:.0f}" if t.trials else "–" for t in tallies) + " %"
    return [figure.name, data, ok, *map(_cell, tallies)]


def _cell(tally: Tally) -> str:
    if tally.ok < FEWEST:
        return "–"
    return f"{100 * tally.coverage:.1f} ± {100 * tally.error:.1f}, {tally.width:.2g}"


def _markdown(title: str, head: Iterable[str], rows: Iterator[list[str]]) -> str:
    cells = list(head)
    lines = [f"#### {title}", "", "| " + " | ".join(cells) + " |", "|" + "---|" * len(cells)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
