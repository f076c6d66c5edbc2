"""Make bets that two groups, two versions or a canary differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from calidris.batch import Floats, Ints, Mask
from calidris.detect.bets.group import GroupBets
from calidris.detect.evidence.design_effect import upper
from calidris.detect.evidence.windows import MINIMUM_ROWS
from calidris.detect.handicap import handicap
from calidris.detect.layout import Layout, identity

_RULES = 2


def group_bets(
    groups: Sequence[str],
    categories: Sequence[str] = ("no", "yes"),
    windows: Ints | None = None,
    *,
    tolerance: float = 0.05,
    ordered: bool = False,
    recovered: str | None = None,
    minimum_rows: int = MINIMUM_ROWS,
) -> GroupBets:
    """Bets that groups of rows differ in how often something happens (Turner, Ly and Grünwald 2024).

    With a pair's hits k and rows n on either side, and rates q that were chosen before the window,
    ``e = Π (q/θ)^k·((1-q)/(1-θ))^(n-k)`` over both sides, where θ = (θ_a, θ_b) is the point of the null that minimises
    ``n_a·kl(q_a, θ_a) + n_b·kl(q_b, θ_b)``. The null is ``|rate_a - rate_b| <= tolerance``. Without a tolerance θ is the common
    rate ``(n_a·q_a + n_b·q_b)/n``.

    Guarantee, exact: for rows that are independent given the past and the numbers of rows, E[e | past, n_a, n_b] <= 1 in
    every window in which the two rates differ by at most the tolerance, whatever they are and however they move from
    window to window. It needs no baseline. It needs that how many rows a side has does not depend on their outcomes.

    Proof. A row of side a with rate r multiplies in the mean by ``1 + (r - θ_a)·s_a``, with ``s = (q - θ)/(θ(1 - θ))``. By the
    inequality of the means the product over all rows is at most the n-th power of ``1 + (n_a(r_a-θ_a)s_a + n_b(r_b-θ_b)s_b)/n``,
    r_a and r_b being the sides' mean rates. As the null is convex and θ the minimum over it, the derivative of what is
    minimised is not negative on the way from θ to r in the null; and that derivative is the bracket's sum with the other sign.

    For more than two categories each event ("category is x", "at most x" where they are ordered, and the set in which the
    pair differed most so far) is a pair of rates of its own; the null is that the two distributions are within ``tolerance``
    in total variation.

    Windows give each pair's design effect, which divides the evidence; that part is approximate.
    ``recovered`` swaps the roles, for ``Recovery`` on two categories: the null is then ``rate_a - rate_b >= tolerance`` if the
    alarm said "yes more often", and so on.

    Cost: 9 bets an event and pair, by a bisection over all of them.

    Args:
        groups: names of the G groups; for two, one pair (the first against the second); for more, each against the rest.
        categories: names of the K outcomes. The window's vector is int64[G, K], flattened.
        windows: int64[W, G·K] in which all was well, or None.
        tolerance: gap of rates that is no news; 0.05 is five percentage points.
        ordered: whether categories have an order.
        recovered: the direction of the alarm, for ``Recovery``.
        minimum_rows: rows that either side of a pair needs; until then they wait.

    >>> bets = group_bets(["f", "m"], ["rejected", "granted"])
    >>> bets.names, bets.directions[0], len(bets.owner)
    (('f',), 'granted less often', 9)
    """
    _check(groups, categories, tolerance, recovered)
    g, k = len(groups), len(categories)
    events = np.eye(k, dtype=np.bool_)[1:] if k == 2 else np.eye(k, dtype=np.bool_)
    words = [(f"{c} more often", f"{c} less often") for c in (categories[1:] if k == 2 else categories)]
    if ordered and k > 3:
        events = np.concatenate([events, np.tri(k, dtype=np.bool_)[1:-2]])
        words += [(f"at most {c} more often", f"at most {c} less often") for c in categories[1:-2]]
    raw = None if windows is None else windows.astype("<i8").tobytes()
    settings = (tuple(groups), tuple(categories), tolerance, ordered, recovered, minimum_rows)
    name = identity("groups", _RULES, raw, settings)
    pairs = tuple(groups[:1] if g == 2 else groups)
    table = None if windows is None else windows.reshape(len(windows), g, k).astype(np.float64)
    effect = np.array([_effect(table, i, events, minimum_rows) for i in range(len(pairs))])
    layout = Layout(g * k, g * k, identity("groups", tuple(groups), tuple(categories)))
    rows = 0.0 if table is None or len(table) < 2 else float(table.sum((1, 2)).mean())
    bets = GroupBets(layout, name, pairs, g, events, tuple(words), tolerance, effect, rows, recovered, minimum_rows)
    return replace(bets, handicap=handicap(bets, None if recovered else windows, minimum_rows))


def _check(groups: Sequence[str], categories: Sequence[str], tolerance: float, recovered: str | None) -> None:
    if len(groups) < 2 or len(categories) < 2:
        raise ValueError(f"it takes two groups and two categories, got {list(groups)} and {list(categories)}")
    if not 0.0 <= tolerance < 0.5:
        raise ValueError(f"the tolerance must be at least 0 and below one half, got {tolerance}")
    if recovered is not None and len(categories) != 2:
        raise ValueError("recovery is known for two categories; of more, watch one against the rest")


def _effect(table: Floats | None, i: int, events: Mask, minimum_rows: int) -> float:
    """D of the difference between a group and the rest, the largest over events; 1 where windows are too few."""
    if table is None:
        return 1.0
    sides = np.stack([table[:, i], table.sum(1) - table[:, i]], axis=1)
    sides = sides[(sides.sum(-1) >= minimum_rows).all(-1)]
    if len(sides) < 2:
        return 1.0
    rows = sides.sum(-1)
    rate = np.einsum("wsk,ek->wse", sides, events.astype(np.float64)) / rows[..., None]
    common = np.einsum("wse,ws->e", rate, rows) / rows.sum()
    difference = rate[:, 0] - rate[:, 1]
    exact = 1.0 / (1.0 / rows).sum(-1)
    mean = (difference * exact[:, None]).sum(0) / exact.sum()
    scatter = (exact[:, None] * (difference - mean) ** 2).sum(0)
    return float(upper(scatter, common * (1.0 - common), len(sides) - 1).max())
