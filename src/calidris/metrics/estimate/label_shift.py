"""Label shift: how common each class is now, from decisions alone.

The mirror of CBPE's assumption: here what a row of a class looks like is fixed, and how many there are may change. Where the
two disagree, neither is to be believed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from calidris.batch import Floats, Ints
from calidris.metrics.intervals import Z95

SMALLEST_SINGULAR_VALUE = 0.1
"""Below it decisions say too little about the classes: noise would be blown up more than tenfold."""

MINIMUM_CLASS_ROWS = 10
"""Baseline rows that each class needs."""


class ClassShares(NamedTuple):
    """Estimated share of each class with its 95 % interval, each float64[K]; shares add up to 1 and lie in [0, 1]."""

    share: Floats
    lower: Floats
    upper: Floats


def bbse(confusion: Ints, decided: Ints) -> ClassShares | None:
    """Black box shift estimation: the class shares that turn the baseline's confusion into today's decisions.

    Solves ``Σ_k P(decision | class k) share_k = share of the decision``. The interval is the delta method's, for the noise of
    today's decisions and of each class's row of the baseline. For two classes it is Rogan & Gladen's estimate (American
    Journal of Epidemiology 1978). A share beyond 0 or 1 by less than
    its interval is clipped, its interval with it. Z. C. Lipton, Y.-X. Wang & A. Smola, ICML 2018.

    Args:
        confusion: labelled rows of the baseline, int64[K, K], ``[truth, decision]``.
        decided: decisions of the window, int64[K].

    Returns:
        None where the window is empty, a class of the baseline is too rare, or decisions hardly depend on the class; and where a share
        lies beyond 0 or 1 by more than its interval: no mixture of the baseline's classes decides so, and the assumption is refuted.
    """
    m, n = confusion.sum(axis=1).astype(np.float64), float(decided.sum())
    if n == 0 or m.min() < MINIMUM_CLASS_ROWS:
        return None
    given = (confusion / m[:, None]).T
    if np.linalg.svd(given, compute_uv=False)[-1] < SMALLEST_SINGULAR_VALUE:
        return None
    inverse, q = np.linalg.inv(given), decided / n
    share = inverse @ q
    noise = _multinomial(q) / n
    for k, part in enumerate(share.tolist()):
        noise = noise + part**2 * _multinomial(given[:, k]) / m[k]
    half = Z95 * np.sqrt(np.maximum(np.diag(inverse @ noise @ inverse.T), 0.0))
    if np.any((share + half < 0.0) | (share - half > 1.0)):
        return None
    clipped = np.clip(share, 0.0, 1.0)
    clipped = clipped / clipped.sum()
    return ClassShares(
        clipped,
        np.minimum(np.clip(share - half, 0.0, 1.0), clipped),
        np.maximum(np.clip(share + half, 0.0, 1.0), clipped),
    )


def _multinomial(p: Floats) -> Floats:
    """Covariance of one draw."""
    covariance: Floats = np.diag(p) - np.outer(p, p)
    return covariance
