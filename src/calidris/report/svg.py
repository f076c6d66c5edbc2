"""Drawing: a few SVG shapes. Colours come from the page's style sheet, every text is escaped by ``Markup.format``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup

Shape = Markup
Scale = Callable[[float], float]
"""From a value to its place on an axis."""


def picture(width: float, height: float, title: str, description: str, shapes: Iterable[Shape]) -> Markup:
    """An image with a name and a description for those who do not see it."""
    head = Markup('<svg viewBox="0 0 {} {}" role="img" class="chart"><title>{}</title><desc>{}</desc>')
    return head.format(f"{width:g}", f"{height:g}", title, description) + Markup("").join(shapes) + Markup("</svg>")


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Shape:
    """A straight line."""
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>').format(*_at(x1, y1, x2, y2), kind)


def rect(x: float, y: float, width: float, height: float, kind: str, hint: str = "") -> Shape:
    """A rectangle, with a hint that shows under the pointer."""
    shape = Markup('<rect x="{}" y="{}" width="{}" height="{}" class="{}">{}</rect>')
    return shape.format(*_at(x, y, max(width, 0.0), max(height, 0.0)), kind, _hint(hint))


def circle(x: float, y: float, radius: float, kind: str, hint: str = "") -> Shape:
    """A dot, with a hint that shows under the pointer."""
    return Markup('<circle cx="{}" cy="{}" r="{}" class="{}">{}</circle>').format(*_at(x, y, radius), kind, _hint(hint))


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "middle") -> Shape:
    """Words at a point."""
    shape = Markup('<text x="{}" y="{}" text-anchor="{}" class="{}">{}</text>')
    return shape.format(*_at(x, y), anchor, kind, words)


def slanted(x: float, y: float, words: str, kind: str = "") -> Shape:
    """Words that end at a point and rise to it, for labels that would touch each other."""
    shape = Markup('<text x="{0}" y="{1}" text-anchor="end" transform="rotate(-38 {0} {1})" class="{2}">{3}</text>')
    return shape.format(*_at(x, y), kind, words)


def path(points: Sequence[tuple[float, float]], kind: str, floor: float | None = None) -> Shape:
    """A line through points; down to ``floor`` on both ends where an area is wanted."""
    if floor is not None and points:
        points = [(points[0][0], floor), *points, (points[-1][0], floor)]
    steps = " ".join(f"{'M' if i == 0 else 'L'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(points))
    return Markup('<path d="{}" class="{}"/>').format(steps, kind)


def scale(low: float, high: float, start: float, end: float) -> Scale:
    """The place of a value on an axis from ``start`` to ``end``."""
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (end - start)


def short(words: str, limit: int) -> str:
    """At most ``limit`` characters, the rest as an ellipsis.

    >>> short("employment_length", 10)
    'employmen…'
    """
    return words if len(words) <= limit else words[: limit - 1] + "…"


def _at(*values: float) -> tuple[str, ...]:
    return tuple(f"{v:.1f}" for v in values)


def _hint(words: str) -> Markup:
    return Markup("<title>{}</title>").format(words) if words else Markup("")
