"""Performance without labels. Its interval is for what labels would show, so that is what it is held against."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from benchmarks.coverage.populations import Population, Scored, balanced, quantiles, trees
from benchmarks.coverage.tally import Case, Trial, figure_of
from scipy.special import expit, ndtri

from calidris.batch import Floats
from calidris.engine.readings.estimate import SOURCE, Estimated, class_share_readings
from calidris.metrics.base import Reading
from calidris.metrics.estimate.assumptions import estimate_readings, residual_reading
from calidris.metrics.estimate.estimates import average_confidence, bin_means
from calidris.metrics.performance.performance_measures import score_reading
from calidris.state.blocks.scores import N

BASELINE_ROWS = 5000


def realised(rows: Scored, threshold: float) -> dict[str, float]:
    """What labels show, from the rows."""
    up, y = rows.score >= threshold, rows.outcome == 1
    tp, fp, fn = float((up & y).sum()), float((up & ~y).sum()), float((~up & y).sum())
    return {
        "accuracy": float((up == y).mean()),
        "average_confidence": float((up == y).mean()),
        "precision": tp / (tp + fp) if tp + fp else math.nan,
        "recall": tp / (tp + fn) if tp + fn else math.nan,
        "f1": 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else math.nan,
        "roc_auc": _area(rows.score, y),
    }


def _area(score: Floats, y: Floats) -> float:
    from scipy.stats import rankdata

    ones = float(y.sum())
    zeros = len(y) - ones
    if not ones or not zeros:
        return math.nan
    return float((rankdata(score)[y].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def of_estimates(name: str, base: Population, now: Population) -> Case:
    """A baseline of one population and windows of another in which a score means the same."""
    spec, share = base.spec, float(now.chance.mean())

    def read(g: np.random.Generator, n: int) -> Iterator[Trial]:
        then, rows = base.drawn(g, BASELINE_ROWS), now.drawn(g, n)
        bins = rows.bins(spec)
        found = Estimated(spec, bins[..., N].sum(axis=0), then.bins(spec), then.confusion(spec), by_threshold=True)
        truths = realised(rows, spec.threshold)
        for reading in _readings(found, bins):
            figure = figure_of(reading)
            yield Trial(figure, reading, truths[figure.measure] if reading.metric.name.endswith("score") else 0.0)
        if share == float(base.chance.mean()):  # who comes is fixed: what a class looks like is too
            for reading in class_share_readings(found, "1h"):
                yield Trial(figure_of(reading), reading, share)

    return Case(name, read)


def _readings(found: Estimated, matured: Floats) -> Iterator[Reading]:
    verdict = found.verdict(None)
    yield from estimate_readings(found.bins, found.rows, found.spec, "1h", verdict, measures=found.measures)
    confidence = average_confidence(found.rows, found.spec, bin_means(found.bins, found.spec))
    yield score_reading("average_confidence", confidence, "1h", None, source=SOURCE, status=verdict.status)
    yield residual_reading(found.bins, matured, found.spec, "1h")


def of_class_share(name: str, base: Population, share: float) -> Case:
    """Rows of each class look as they did, and so many are positive."""

    def read(g: np.random.Generator, n: int) -> Iterator[Trial]:
        then = base.drawn(g, BASELINE_ROWS)
        pool = base.drawn(g, 20 * n + 2000)
        positive = g.random(n) < share
        score = np.where(
            positive,
            g.choice(pool.score[pool.outcome == 1], n),
            g.choice(pool.score[pool.outcome == 0], n),
        )
        rows = Scored(score, positive.astype(np.int64)).bins(base.spec)[..., N].sum(axis=0)
        found = Estimated(base.spec, rows, then.bins(base.spec), then.confusion(base.spec), by_threshold=True)
        for reading in class_share_readings(found, "1h"):
            yield Trial(figure_of(reading), reading, share)

    return Case(name, read, share=0.5)


def cases() -> Iterator[Case]:
    shifted = expit(1.5 * ndtri(quantiles()) + 0.7)
    later = Population("", shifted, shifted)
    yield of_estimates("balanced, nothing changed", balanced(), balanced())
    yield of_estimates("balanced, others come", balanced(), later)
    yield of_estimates("tree-like", trees(), trees())
    yield of_class_share("half positive", balanced(), 0.5)
    yield of_class_share("a tenth positive", balanced(), 0.1)
