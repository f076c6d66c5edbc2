"""All rules in the order in which they are asked. The first that knows a piece's shape decides."""

from __future__ import annotations

from collections.abc import Callable

from tests.docs import commands, names, places, shapes
from tests.docs.project import Outcome, Project, Stale
from tests.docs.reading import Piece

Rule = Callable[[Piece, Project], Outcome]


RULES: tuple[Rule, ...] = (
    places.link,
    names.role,
    commands.line,
    commands.short,
    places.request,
    places.path,
    shapes.literal,
    shapes.mapping,
    shapes.template,
    shapes.setting,
    shapes.assigned,
    shapes.call,
    names.dotted,
    names.word,
    names.hyphenated,
    shapes.expression,
    shapes.formula,
)


def judge(piece: Piece, project: Project) -> str | Stale:
    """What a piece is, or what is wrong with it."""
    outcomes = (rule(piece, project) for rule in RULES)
    return next(outcome for outcome in outcomes if outcome is not None)
