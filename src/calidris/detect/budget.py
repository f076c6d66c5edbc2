"""One false-alarm budget for all detectors of a model, with fixed shares for each kind of alarm."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from calidris.config.budget import CURE


class Alert(StrEnum):
    """What kind of thing an alarm is about."""

    DRIFT = "drift"
    PERFORMANCE = "performance"
    CALIBRATION = "calibration"
    ERRORS = "errors"
    LATENCY = "latency"
    FAIRNESS = "fairness"
    VERSIONS = "versions"
    LABELS = "labels"


SHARES: Mapping[Alert, float] = MappingProxyType(
    {
        Alert.DRIFT: 0.3,
        Alert.PERFORMANCE: 0.2,
        Alert.CALIBRATION: 0.1,
        Alert.ERRORS: 0.1,
        Alert.LATENCY: 0.1,
        Alert.FAIRNESS: 0.1,
        Alert.VERSIONS: 0.05,
        Alert.LABELS: 0.05,
    }
)
"""How a model's budget is shared by default; adds up to 1."""


class Slot(NamedTuple):
    """One detector's place in the budget.

    ``reference`` tells detectors of a kind and a length apart: a baseline ("frozen", "hour_of_week", "decayed"), a measure,
    a protected attribute.
    """

    kind: Alert
    window_s: float
    reference: str = "frozen"


class Budget:
    """Thresholds of all slots of a model: ``A_i = (B + w_max)/(w_i·v_i)``, v_i the kind's share over the kind's slots.

    Guarantee: if E[e | past] <= 1 for every bet of every detector, then

    * the chance of a false alarm of any of them within any time t is at most t/B, however they depend on each other and
      whenever their windows are scored. Proof: slot i is scored at most t/w_i times in t and alarms in them with chance at
      most (t/w_i)/A_i <= v_i·t/B; the shares add up to at most 1. Hence the mean time to the first one is at least B/2;
    * that mean time is at least B if moreover each window's e keeps its mean given all that was known to *every* detector
      when the window's rows came. That holds for windows that are scored when they close. For labels, which are scored at a
      fixed age, it takes that labels do not depend on later rows.

      Proof: let ``S = Σ v_i·R_i/N_i`` with ``N_i = B'/w_i`` and ``B' = B + w_max``, so that A_i = N_i/v_i. When any detector
      fires, R_i >= A_i, so S >= 1. Each R_i grows in the mean by at most 1 a window, so S by at most
      ``Σ v_i/(N_i·w_i) <= 1/B'`` a second. An alarm may fall inside another detector's window, of which the 1 has joined R_i
      already: ``1 <= E[S] <= E[τ]/B' + Σ v_i·w_i/B'``. As ``Σ v_i·w_i <= w_max``, E[τ] >= B. (Inside a window R_i is read as
      its value after the rows so far, which for log e-values that are sums over rows is a supermartingale too.)

    A slot that is not filled (no labels, no groups) leaves its share unused: nothing is renormalised, so that a kind that
    appears or goes never moves the threshold of another.

    Args:
        seconds: B, mean seconds between false alarms of the model.
        slots: all detectors that the configuration may ever fill.
        shares: of the kinds; a kind that is not listed has none.

    >>> hour = Slot(Alert.DRIFT, 3600.0)
    >>> round(Budget(365 * 86400.0, [hour], {Alert.DRIFT: 1.0}).threshold(hour))
    8761
    """

    def __init__(self, seconds: float, slots: Sequence[Slot], shares: Mapping[Alert, float] = SHARES) -> None:
        if not 0 < seconds < math.inf:
            raise ValueError(f"the mean time between false alarms must be positive, got {seconds} s: {CURE}")
        if min(shares.values(), default=0.0) < 0 or sum(shares.values()) > 1.0 + 1e-9:
            raise ValueError(f"shares {dict(shares)} must not be negative and add up to at most 1")
        if len(set(slots)) != len(slots) or not all(0 < s.window_s < math.inf for s in slots):
            raise ValueError(f"slots must differ and have windows of a positive length, got {list(slots)}")
        self.seconds = seconds
        self.slots = tuple(slots)
        self.shares = dict(shares)
        for slot in self.slots:
            self.threshold(slot)

    def share(self, slot: Slot) -> float:
        """v_i: the slot's part of the whole budget."""
        return self.shares.get(slot.kind, 0.0) / sum(s.kind is slot.kind for s in self.slots)

    def threshold(self, slot: Slot) -> float:
        """A_i.

        Raises:
            ValueError: no such slot, a kind without a share, or no threshold can keep this budget.
        """
        if slot not in self.slots:
            raise ValueError(f"{slot} is no slot of this budget")
        if self.share(slot) == 0.0:
            raise ValueError(f"alarms of kind {slot.kind} have no share of the budget: give them one or leave them out")
        limit = (self.seconds + max(s.window_s for s in self.slots)) / (slot.window_s * self.share(slot))
        if self.seconds <= slot.window_s or limit <= 1.0:
            raise ValueError(
                f"a false alarm every {self.seconds:g} s is more than one per window of {slot.window_s:g} s: "
                "allow fewer false alarms or take shorter windows"
            )
        return limit
