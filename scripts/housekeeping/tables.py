"""Reports as text: tables that read in a terminal and paste into an issue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from housekeeping.report import COLUMNS, LEGEND, Report, Row

PRECISION = {
    "tokens_a_line": 1,
    "comments": 2,
    "verbs": 1,
}
UNKNOWN = "–"
LISTED = 10

Line = list[str]
Table = list[Line]


def show_report(report: Report) -> str:
    """Show a report: the table by package, the tree's figures, the offenders."""
    parts = [
        show_table(arrange_packages(report, report)),
        LEGEND,
        show_table(arrange_tree(report, report)),
    ]
    for title, lines in report.lists.items():
        if lines:
            parts.append(show_list(title, lines))
    return "\n\n".join(parts)


def show_comparison(before: Report, after: Report) -> str:
    """Show two reports in one: every figure that differs as ``before → after``."""
    parts = [
        show_table(arrange_packages(before, after)),
        LEGEND,
        show_table(arrange_tree(before, after)),
    ]
    return "\n\n".join(parts)


def arrange_packages(before: Report, after: Report) -> Table:
    """Arrange the rows of two reports: the packages of either by name, then the total."""
    names = {*before.packages, *after.packages}
    names.discard("total")
    table = [["package", *COLUMNS.values()]]
    for name in [*sorted(names), "total"]:
        cells = show_changes(
            before.packages.get(name, {}),
            after.packages.get(name, {}),
            COLUMNS,
        )
        table.append([name, *cells])
    return table


def arrange_tree(before: Report, after: Report) -> Table:
    """Arrange what belongs to no package, a figure a line."""
    titles = list(after.tree)
    cells = show_changes(before.tree, after.tree, titles)
    table = [["whole tree", "figure"]]
    for title, cell in zip(titles, cells, strict=True):
        table.append([title, cell])
    return table


def show_changes(
    before: Row,
    after: Row,
    keys: Iterable[str],
) -> Line:
    """Show some figures of two rows: once where they are shown alike, else both."""
    cells = []
    for key in keys:
        old = show_figure(before.get(key), key)
        new = show_figure(after.get(key), key)
        cells.append(new if old == new else f"{old} → {new}")
    return cells


def show_figure(figure: float | None, key: str = "") -> str:
    """Show a figure with the digits that its column has; a dash where there is none.

    >>> show_figure(62.5), show_figure(63.0), show_figure(10.216, "tokens_a_line"), show_figure(None)
    ('62.5', '63', '10.2', '–')
    """
    if figure is None:
        return UNKNOWN
    if key not in PRECISION:
        return f"{figure:g}"
    return f"{figure:.{PRECISION[key]}f}"


def show_table(table: Table) -> str:
    """Show a table in Markdown with aligned columns: titles first, names to the left, figures to the right."""
    first, *others = zip(*table, strict=True)
    columns = [_align(first, str.ljust, "-")]
    for column in others:
        columns.append(_align(column, str.rjust, ":"))
    lines = []
    for cells in zip(*columns, strict=True):
        line = " | ".join(cells)
        lines.append(f"| {line} |")
    return "\n".join(lines)


def _align(
    column: Sequence[str],
    pad: Callable[[str, int], str],
    end: str,
) -> Line:
    """Pad the cells of a column, and put Markdown's rule, with its last sign, under the title."""
    width = max(map(len, column))
    title, *cells = [pad(cell, width) for cell in column]
    rule = "-" * (width - 1)
    return [title, rule + end, *cells]


def show_list(title: str, lines: Sequence[str]) -> str:
    """Show a list under its title, cut where it grows long; ``--json`` has the whole of it."""
    shown = [f"{title} ({len(lines)}):"]
    for line in lines[:LISTED]:
        shown.append(f"  {line}")
    rest = len(lines) - LISTED
    if rest > 0:
        shown.append(f"  and {rest} more (--json has them all)")
    return "\n".join(shown)
