"""What every table of bets offers to the detector: one life cycle and one verdict, whatever is being watched."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from calidris.batch import Floats, Ints, Mask
from calidris.detect.layout import Layout

SHAPE = "shape"
"""The direction of a bet that was learned and that no plain direction describes."""


EITHER = "either way"
"""The direction of a bet that was learned where there are but two: the plain bets say which."""


WORSE = "worse"
"""The direction of a bet on a loss: of losses alone there are parts."""


WHERE = " where "
"""Between a thing and a part of it, in the name of the part."""


class Play(NamedTuple):
    """The outcome of one window.

    Attributes:
        log_e: log e-value of each bet, float64[B].
        idle: bets that were not laid in this window, bool[B]: their evidence stays as it was, and their log_e is 0.
        memory: what the next window's bets are made from.
    """

    log_e: Floats
    idle: Mask
    memory: Floats


class Game(Protocol):
    """B bets of fixed weight on F named things, frozen before the first window.

    A bet keeps this contract: given everything before the window, and the numbers of rows in it, ``E[exp(log_e)] <= 1``
    under "no change", where each kind of bet states in its docstring what that means and how surely.
    """

    @property
    def layout(self) -> Layout:
        """What the window's counts are."""
        ...

    @property
    def identity(self) -> bytes:
        """16 bytes; games of equal identity score alike."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """The F things that an alarm can name."""
        ...

    @property
    def owner(self) -> Ints:
        """The thing that each bet is about, int64[B]."""
        ...

    @property
    def directions(self) -> tuple[str, ...]:
        """What each bet says has happened, B texts."""
        ...

    @property
    def log_weight(self) -> Floats:
        """Log weight of each bet within its thing, float64[B]; the weights add up to at most 1."""
        ...

    @property
    def field_weight(self) -> Floats:
        """Weight of each thing, float64[F]; adds up to at most 1."""
        ...

    @property
    def nothing(self) -> Floats:
        """The memory before the first window."""
        ...

    def stratum(self, start_ns: int) -> int:
        """Windows of different strata are never merged; 0 where there is only one."""
        ...

    def play(self, counts: Ints, memory: Floats, stratum: int) -> Play:
        """Score one window of counts int64[cells]."""
        ...


def is_part(name: str, names: Collection[str]) -> bool:
    """Whether a thing is a part of one of some others: nothing new beside it.

    >>> is_part("accuracy where age > 40", ["accuracy"]), is_part("accuracy", ["accuracy where age > 40"])
    (True, False)
    """
    # By its name, so that games need not say what is within what.
    whole, found, _ = name.partition(WHERE)
    return bool(found) and whole in names


def log_weights(owner: Ints, groups: Sequence[str | None], fields: int) -> Floats:
    """Log weight of each bet within its field, float64[B].

    A field's groups share it equally, and so do a group's bets. A bet of no group (None) has no weight.

    >>> np.exp(log_weights(np.array([0, 0, 0]), ["a", "a", "b"], 1)).tolist()
    [0.25, 0.25, 0.5]
    """
    members: dict[tuple[int, str], list[int]] = {}
    for bet, (f, group) in enumerate(zip(owner.tolist(), groups)):
        if group is not None:
            members.setdefault((f, group), []).append(bet)
    per_field = np.bincount([f for f, _ in members], minlength=fields) if members else np.zeros(fields)
    weight = np.zeros(len(owner))
    for (f, _), bets in members.items():
        weight[bets] = 1.0 / (per_field[f] * len(bets))
    return safe_log(weight)


def safe_log(values: Floats) -> Floats:
    """Logs, minus infinity at 0, without a warning."""
    logs: Floats = np.log(values, out=np.full_like(values, -np.inf), where=values > 0.0)
    return logs
