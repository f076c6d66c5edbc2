"""A codebook from the rows of a baseline: k-means++ and Lloyd's iterations, used once, when the baseline is built.

Arthur & Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007; Lloyd, "Least squares quantization in PCM",
IEEE Trans. Inf. Theory 28(2), 1982.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from calidris.batch import Floats, Ints, Mask
from calidris.state.coding.codebook import Codebook

ITERATIONS = 25
CENTROIDS, CENTROID_ROWS, MAX_FIT_ROWS = 32, 50, 20_000
LEAST_ROWS = 5
"""A centroid with fewer rows is dropped: its cell would say nothing about its own probability."""

GOLDEN = (5**0.5 - 1) / 2

FIT_SHARE = 4
"""One row in so many places centroids and picks levels, fewer where that would be more than ``MAX_FIT_ROWS``."""


def fitting_rows(n: int) -> Mask:
    """Which of n rows place centroids and pick levels, bool[n]: a baseline's histograms must not count these.

    They lie nearer to the centroids than any new row will, in cells drawn around them: with 5000 rows of 768 dimensions the
    histogram of the distance to the nearest of 32 centroids was 22 times as far from that of new rows as chance (χ² by its
    degrees of freedom), so that quiet traffic would have raised an alarm. Leaving each row out of its own centroid mends
    half of that; counting only the other rows mends all of it.

    Levels are the same: of a thousand equally common ones the fifty commonest of a sample are commoner there than they will
    ever be again, and what is left over ("unknown") is rarer. Five such columns raised an alarm in 40 of 40 quiet streams
    within 100 windows; leaving each row out of its own choice, in .73 of them; counting the other rows only, in none.

    They follow no period: the first of every four rows would all be one sensor's where rows of four sensors come in turn.
    """
    step = max(FIT_SHARE, -(-n // MAX_FIT_ROWS))
    row = np.arange(n)
    block, place = np.divmod(row, step)
    # One of each block, at the place that a multiple of the golden ratio says (Fibonacci hashing, Knuth 1973, section 6.4).
    chosen = np.floor(block * GOLDEN % 1.0 * step)
    used: Mask = place == chosen
    return used


def learn_codebook(name: str, rows: npt.ArrayLike, k: int = CENTROIDS, seed: int = 0) -> Codebook:
    """The codebook of an embedding: centroids from the rows of ``fitting_rows``, edges of the distance from all others.

    Args:
        name: of the embedding.
        rows: float[n, d]; a row with NaN in it is missing.
        k: centroids at the most; there are fewer where a centroid would have fewer than fifty rows.
        seed: of the choice of the first centroids.

    Raises:
        ValueError: fewer than fifty whole rows to place centroids, or no other row.
    """
    matrix = np.asarray(rows, dtype=np.float32)
    whole: Mask = np.asarray(np.isfinite(matrix).all(axis=1))
    used = fitting_rows(len(matrix))
    fitted = matrix[used & whole].astype(np.float64)
    if len(fitted) < CENTROID_ROWS or not (whole & ~used).any():
        raise ValueError(
            f"embedding {name!r}: {int(whole.sum())} whole rows are too few for a codebook, "
            f"{FIT_SHARE * CENTROID_ROWS} are needed"
        )
    points, code = fit(fitted, max(1, min(k, len(fitted) // CENTROID_ROWS)), seed)
    kept = np.bincount(code, minlength=len(points)) >= LEAST_ROWS
    centroids = points[kept].astype("<f4").tobytes()
    _, distance = Codebook(name, matrix.shape[1], centroids, (0.0, 1.0)).nearest(matrix[whole & ~used])
    return Codebook(name, matrix.shape[1], centroids, _distance_edges(distance))


def _distance_edges(distance: Floats) -> tuple[float, ...]:
    """From 0 by the deciles to the 99.9 %: what lies beyond is out of range."""
    edges = np.unique(np.concatenate([[0.0], np.quantile(distance, [*np.arange(1, 10) / 10, 0.999])]))
    return tuple(edges.tolist()) if len(edges) > 1 else (float(np.nextafter(0.0, -1.0)), 0.0)


def fit(rows: Floats, k: int, seed: int = 0) -> tuple[Floats, Ints]:
    """At most k centroids float64[k, d] of finite rows float64[n, d], and the centroid of each row int64[n].

    The same rows and seed give the same centroids on the same machine. Fewer than k come back where fewer rows are distinct.
    Cost: about ``(6 + 2 · ITERATIONS) · k · n · d`` operations at the most.

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
    """First centroids: rows drawn with a chance that grows with their squared distance to those before.

    Of a few candidates each time the one that leaves least distance is taken ("greedy" k-means++): with one candidate, clusters
    that lie well apart were often missed.
    """
    chosen = [rows[rng.integers(len(rows))]]
    distance = _squares(rows, chosen[0])
    while len(chosen) < k and distance.any():
        mass = np.cumsum(distance)
        drawn = np.searchsorted(mass[:-1], rng.random(2 + k.bit_length()) * mass[-1], side="right")
        candidates = [(row, np.minimum(distance, _squares(rows, rows[row]))) for row in np.unique(drawn)]
        row, distance = min(candidates, key=lambda candidate: float(candidate[1].sum()))
        chosen.append(rows[row])
    return np.array(chosen)


def _squares(rows: Floats, point: Floats) -> Floats:
    step = rows - point
    squares: Floats = np.einsum("nd,nd->n", step, step)
    return squares
