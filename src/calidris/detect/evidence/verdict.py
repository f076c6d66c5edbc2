"""What a detector says about one window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from calidris.batch import Floats, Ints
from calidris.detect.evidence.onset import Onset


@dataclass(frozen=True, slots=True)
class Change:
    """A field that an alarm names.

    Attributes:
        field: its name.
        direction: "mean up", "spread wider", "missing more", "above the range", "level X more", … or "shape".
        evidence: share of the alarm's evidence, in logs; 1 is what would alarm by itself.
    """

    field: str
    direction: str
    evidence: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one window.

    Attributes:
        scored: whether the window, with the small ones before it, had rows enough to count.
        rows: rows that were scored; 0 where not.
        evidence: ``log(mean R) / log A`` of the model, 0 where that is negative: 1 alarms.
        fields: the same of each field alone at its weight, ``log(w_f·R_f) / log A``: 1 is what would alarm by itself.
        fired: the evidence reached the threshold in this window; while an alarm stands, the change persists.
        opened: fired, and no alarm stood before: this is the one to count against the budget.
        alarm: fired now or before, and not cleared since.
        changes: the fields that changed, strongest first; only where ``fired``.
        onset: when that began, where ``opened`` and it is known.
        level: ``strong`` or ``early`` where ``fired``, else empty; of bets at one level always strong.
        renewed: what reached the threshold by itself that no standing alarm names, as a verdict of its own: one more to count.
    """

    scored: bool
    rows: int
    evidence: float
    fields: Mapping[str, float]
    fired: bool
    opened: bool
    alarm: bool
    changes: tuple[Change, ...] = field(default=())
    onset: Onset | None = None
    renewed: Verdict | None = None
    level: str = ""


def named(weighted: Floats, log_threshold: float) -> Ints:
    """Fields that an alarm names, strongest first, by the weighted e-BH rule at level 1/A.

    With the weighted evidences ``w_f·R_f`` in descending order, the first k where the k-th is at least A/k; the strongest one
    in any case. For e-values, e-BH (Wang and Ramdas 2022) bounds the expected share of wrongly named fields under any
    dependence. R is an e-detector and no e-value; for it, Dandapanthula and Ramdas (2025, e-d-BH) bound the errors of this
    rule against the time waited. Nothing here rests on it: the alarm is decided by the mean, this rule only names.

    Args:
        weighted: ``log(w_f·R_f)``, float64[F].
        log_threshold: log A.

    >>> named(np.log([2.0, 700.0, 5.0, 600.0]), np.log(1000.0)).tolist()
    [1, 3]
    """
    order = np.argsort(-weighted, kind="stable")
    rank = np.arange(1, len(order) + 1)
    reached = np.nonzero(weighted[order] >= log_threshold - np.log(rank))[0]
    count = int(reached[-1]) + 1 if len(reached) else 1
    return order[:count].astype(np.int64)
