"""Centroids of rows: k-means++ and Lloyd's iterations. Used once, when a baseline is built.

Arthur & Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007; Lloyd, "Least squares quantization in PCM",
IEEE Trans. Inf. Theory 28(2), 1982.
"""

from __future__ import annotations

import numpy as np

from calidris.batch import Floats, Ints

ITERATIONS = 25


def fit(rows: Floats, k: int, seed: int = 0) -> tuple[Floats, Ints]:
    """At most k centroids float64[k, d] of finite rows float64[n, d], and the centroid of each row int64[n].

    The same rows and seed give the same centroids on the same machine. Fewer than k come back where fewer rows are distinct.
    Cost: ``(k + 2 · ITERATIONS · k) · n · d`` operations at the most.

    Raises:
        ValueError: no rows.
    """
    if not len(rows):
        raise ValueError("k-means of no rows")
    centroids = _spread(rows, k, np.random.default_rng(seed))
    code = assign(rows, centroids)
    for _ in range(ITERATIONS):
        for j in range(len(centroids)):
            mine = code == j
            if mine.any():  # one that lost all its rows stays where it was
                centroids[j] = rows[mine].mean(axis=0)
        before, code = code, assign(rows, centroids)
        if np.array_equal(before, code):
            break
    return centroids, code


def assign(rows: Floats, centroids: Floats) -> Ints:
    """Nearest centroid of each row, int64[n]."""
    nearest: Ints = np.argmin(np.einsum("kd,kd->k", centroids, centroids) - 2.0 * (rows @ centroids.T), axis=1)
    return nearest


def _spread(rows: Floats, k: int, rng: np.random.Generator) -> Floats:
    """First centroids: rows drawn one by one, each with a chance that grows with its squared distance to those before."""
    chosen = [rows[rng.integers(len(rows))]]
    distance = np.full(len(rows), np.inf)
    while len(chosen) < k:
        step = rows - chosen[-1]
        distance = np.minimum(distance, np.einsum("nd,nd->n", step, step))
        total = distance.sum()
        if not total > 0.0:
            break
        chosen.append(rows[int(np.searchsorted(np.cumsum(distance), rng.random() * total, side="right"))])
    return np.array(chosen)
