"""A detector without its bets on some columns, which another one makes: the others keep the weight that they have."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from calidris.batch import Ints
from calidris.detect import Bets, Game
from calidris.detect.bets.window_scores import WindowScoreBets
from calidris.detect.evidence.day_blocks import Days
from calidris.detect.levels import TwoLevels
from calidris.engine.detectors.recipes import Recipe


def without(
    recipe: Recipe,
    names: Collection[str],
) -> Recipe:
    """The same detector, in which some columns carry no weight.

    The weights of the others are not raised and its threshold is not moved, so that a second detector with the weights that are
    taken off here spends what is left of the budget, and no more. What the bets are made of is the same, so is their identity:
    evidence of either goes on in the other.
    """
    make = recipe.game

    def game(
        windows: Ints | None,
        days: Days | None,
    ) -> Game:
        made = make(windows, days)
        return set_aside(made, names)

    return replace(recipe, game=game)


def set_aside(
    game: Game,
    names: Collection[str],
) -> Game:
    """The same bets; those on some columns carry no weight. Other games than those on columns stay as they are."""
    if isinstance(game, TwoLevels):
        strong = set_aside(game.strong, names)
        early = set_aside(game.early, names)
        return TwoLevels(strong, early)
    if not isinstance(game, Bets | WindowScoreBets):
        return game
    kept = game.field_weight.copy()
    for place, name in enumerate(game.names):
        if name in names:
            kept[place] = 0.0
    # The digest of what bets are made from stays: evidence is found again by it.
    return replace(game, field_weight=kept)
