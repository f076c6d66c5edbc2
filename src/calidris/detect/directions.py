"""The two directions in which the histogram of a number is watched: its location and its spread."""

from __future__ import annotations

import numpy as np

from calidris.batch import Floats, Mask


def directions(p: Floats, ordered: Mask) -> tuple[Floats, Mask]:
    """Location and spread over the bins by mid-rank u, and whether they vary: float64[F, 2, K], bool[F, 2].

    Both have mean 0 and variance 1 under p and are 0 on special cells.
    """
    inside = p * ordered
    total = np.maximum(inside.sum(-1, keepdims=True), 1e-300)
    u = (np.cumsum(inside, -1) - inside / 2) / total
    location = (u - (inside * u).sum(-1, keepdims=True) / total) * ordered
    square = location**2
    spread = (square - (inside * square).sum(-1, keepdims=True) / total) * ordered
    g = np.stack([location, spread], axis=1)
    deviation = np.sqrt(np.einsum("fk,fdk->fd", p, g**2))
    varies = deviation > 1e-6
    return np.where(varies[..., None], g / np.where(varies, deviation, 1.0)[..., None], 0.0), varies
