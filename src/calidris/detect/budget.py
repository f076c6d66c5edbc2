"""The thresholds of a model's detectors, from its false-alarm budget."""

from __future__ import annotations

import math
from collections.abc import Sequence

from calidris.config.budget import CURE


def thresholds(budget_s: float, windows_s: Sequence[float], shares: Sequence[float] | None = None) -> tuple[float, ...]:
    """Thresholds A_i so that a model's detectors together keep one budget.

    Guarantee: if E[e | past] <= 1 for every bet of every detector, the mean time to the first false alarm of any of them is
    at least B = ``budget_s``, and the chance of one within any time t is at most t/B, whatever the dependence between the
    detectors. They see the same rows, so it is strong.

    Proof of the second: detector i closes t/w_i windows in a time t and alarms in them with probability at most
    (t/w_i)/A_i; with N_i = B/w_i and A_i >= N_i/v_i that is at most v_i·t/B, and the shares v_i add up to 1.

    Proof of the first: let S = Σ v_i·R_i/N_i. When any detector fires, R_i >= A_i, so S >= 1. Each R_i grows in the mean by at
    most 1 a window, so S by at most Σ v_i/(N_i·w_i) = 1/B a second, and 1 <= E[S] <= E[τ]/B. With one length that is all.
    With several, an alarm may fall inside another detector's window, of which the 1 has joined R_i already, and
    E[S] <= E[τ]/B' + Σ v_i·w_i/B'; hence B' = B + Σ v_i·w_i is put in B's place. (Inside a window R_i is read as its value after
    the rows so far, which for log e-values that are sums over rows is a supermartingale too.)

    Args:
        budget_s: B, mean seconds between false alarms.
        windows_s: length of each detector's windows, seconds.
        shares: v_i, how the budget is split; even by default. Fixed: not to be renormalised when a detector stops.

    Raises:
        ValueError: nothing can keep this budget; the message names the cure.

    >>> thresholds(365 * 86400.0, [3600.0])
    (8760.0,)
    >>> [round(a) for a in thresholds(365 * 86400.0, [300.0, 3600.0])]
    [210253, 17521]
    """
    if not windows_s or not all(0 < w < math.inf for w in windows_s):
        raise ValueError(f"window lengths must be positive, got {list(windows_s)}")
    if not 0 < budget_s < math.inf:
        raise ValueError(f"the mean time between false alarms must be positive, got {budget_s} s: {CURE}")
    split = _split(windows_s, shares)
    stretched = budget_s + (sum(v * w for v, w in zip(split, windows_s)) if len(windows_s) > 1 else 0.0)
    limits = tuple(stretched / (w * v) for w, v in zip(windows_s, split))
    for limit, window in zip(limits, windows_s):
        if limit <= 1.0:
            raise ValueError(
                f"a false alarm every {budget_s:g} s is more than one per window of {window:g} s: "
                "allow fewer false alarms or take shorter windows"
            )
    return limits


def _split(windows_s: Sequence[float], shares: Sequence[float] | None) -> list[float]:
    split = [1.0 / len(windows_s)] * len(windows_s) if shares is None else list(shares)
    if len(split) != len(windows_s) or min(split) <= 0 or sum(split) > 1.0 + 1e-9:
        raise ValueError(f"shares {split} must be positive, one per window, and add up to at most 1")
    return split
