"""Figures of decisions between several classes, from K x K confusion counts, and calibration class by class.

Everywhere ``counts`` is int64[K, K], ``counts[truth, decision]``; numbers need not be whole where rows carry weights. A class that is neither true nor decided anywhere takes no
part in a mean over classes, as in scikit-learn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from calidris import semconv
from calidris.batch import Floats, Ints
from calidris.metrics.base import Reading, Status
from calidris.metrics.calibration.calibration_measures import MINIMUM_LABELS
from calidris.metrics.calibration.ece import ece, ece_debiased
from calidris.metrics.intervals import Z95
from calidris.metrics.performance.confusion import Performance, proportion
from calidris.metrics.performance.performance_measures import score_reading
from calidris.metrics.score_bins import Estimate, labelled
from calidris.state import Spec
from calidris.state.blocks.scores import N

_PSEUDO_ROWS = 2.0
"""Rows spread over all cells before a variance is taken, so that no figure of 1 gets an interval of no width."""


def accuracy(counts: Ints) -> Performance:
    """Share of rows on the diagonal, Wilson interval."""
    return proportion(np.trace(counts).item(), counts.sum().item())


def recall_of(counts: Ints, k: int, mistaken: float = 0) -> Performance:
    """Share of the rows of class k that were decided so; not defined without one. Wilson interval.

    Where k stands for several classes, ``mistaken`` rows more were of one of them and decided for another one.
    """
    return proportion(counts[k, k].item(), counts[k].sum().item() + mistaken)


def precision_of(counts: Ints, k: int, mistaken: float = 0) -> Performance:
    """Share of the decisions for class k that were right; not defined without one. Wilson interval; ``mistaken`` as above."""
    return proportion(counts[k, k].item(), counts[:, k].sum().item() + mistaken)


def balanced_accuracy(counts: Ints) -> Performance:
    """Mean recall over the true classes; the interval adds the variances of Wilson's, which are independent."""
    parts = [recall_of(counts, k) for k in range(len(counts)) if counts[k].any()]
    if not parts:
        return Performance(math.nan, 0)
    return _mean_of(parts, round(counts.sum().item()))


def _mean_of(parts: Sequence[Performance], n: int) -> Performance:
    """Mean of independent figures in [0, 1], from an interval of each (MOVER), and no nearer to it than half the widths tell.

    Figures at 1 have no room above, but their mean has: of ten classes nearly always right the interval held the truth in 84 %.
    """
    value = sum(p.value for p in parts) / len(parts)
    half = math.hypot(*((p.upper - p.lower) / 2 for p in parts))
    below = max(math.hypot(*(p.value - p.lower for p in parts)), half) / len(parts)
    above = max(math.hypot(*(p.upper - p.value for p in parts)), half) / len(parts)
    return Performance(value, n, max(0.0, value - below), min(1.0, value + above))


def macro_f1(counts: Ints) -> Performance:
    """Mean F1 over the classes, each counting alike; interval by the delta method for multinomial counts.

    K. Takahashi, K. Yamamoto, A. Kuchiba & T. Koyama, Applied Intelligence 2022. Trust it from some ten rows a class on.
    """
    return _mean_f1(counts, weighted=False)


def weighted_f1(counts: Ints) -> Performance:
    """Mean F1 over the classes, each by its share of true rows; interval as for ``macro_f1``."""
    return _mean_f1(counts, weighted=True)


def _mean_f1(counts: Ints, weighted: bool) -> Performance:
    n: float = counts.sum().item()
    if n == 0:
        return Performance(math.nan, 0)
    taking_part = (counts.sum(axis=0) + counts.sum(axis=1)) > 0
    cells = counts[np.ix_(taking_part, taking_part)]
    value = float(_weights(cells / n, weighted) @ _f1(cells / n))
    p = cells + _PSEUDO_ROWS / cells.size
    p = p / p.sum()
    slope = _slope(p, weighted)
    variance = float((p * slope**2).sum() - (p * slope).sum() ** 2)
    half = Z95 * math.sqrt(max(variance, 0.0) / n)
    if weighted:
        return Performance(value, round(n), max(0.0, value - half), min(1.0, value + half))
    apart = _mean_of([_f1_of(cells, k) for k in range(len(cells))], round(n))
    # Of a class that did not come this time anything may be true.
    absent = 1 - len(cells) / len(counts)
    below = math.hypot(max(half, value - apart.lower), absent * value)
    above = math.hypot(max(half, apart.upper - value), absent * (1 - value))
    return Performance(value, round(n), max(0.0, value - below), min(1.0, value + above))


def _f1_of(counts: Ints, k: int) -> Performance:
    """F1 of one class, with Wilson's interval for j carried through 2j/(1+j) as of two outcomes."""
    right = counts[k, k].item()
    j = proportion(right, (counts[k].sum() + counts[:, k].sum()).item() - right)
    value, lower, upper = (2 * x / (1 + x) for x in (j.value, j.lower, j.upper))
    return Performance(value, j.n, lower, upper)


def _f1(p: Floats) -> Floats:
    f: Floats = 2 * np.diag(p) / (p.sum(axis=0) + p.sum(axis=1))
    return f


def _weights(p: Floats, weighted: bool) -> Floats:
    return p.sum(axis=1) if weighted else np.full(len(p), 1 / len(p))


def _slope(p: Floats, weighted: bool) -> Floats:
    """Derivative of the mean F1 by each cell's share: F_k = 2 p_kk / s_k with s_k its row and column together."""
    f, w, s = _f1(p), _weights(p, weighted), p.sum(axis=0) + p.sum(axis=1)
    pull = w * f / s
    slope = np.diag(2 * w / s) - pull[:, None] - pull[None, :]
    out: Floats = slope + f[:, None] if weighted else slope
    return out


MEASURES = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "weighted_f1": weighted_f1,
}
"""Measures of all classes together, by their name on the wire (``ml.performance.measure``)."""


def multiclass_readings(
    counts: Ints,
    classes: Sequence[str],
    window: str,
    maturity: str,
    *,
    mistaken: float | None = None,
    minimum: int = MINIMUM_LABELS,
    class_attribute: str = semconv.ML_PREDICTION_CLASS,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> list[Reading]:
    """``ml.performance.score`` of all classes together, and recall and precision of each.

    Where the last class stands for several, it has no F1 and no recall that a mean over classes could take: those are
    ``undefined`` as soon as one of its rows is there. Accuracy is exact, and so are recall and precision of the others.

    Args:
        counts: int64[K, K], ``counts[truth, decision]``.
        classes: names of the K classes.
        window: length of the window.
        maturity: one of ``semconv.ML_LABEL_MATURITY_*``.
        mistaken: rows of which both classes are of those that the last one stands for, and not the same; None where it stands
            for one class only.
        minimum: fewer labelled rows are ``too_few``.
        class_attribute: attribute that carries the class.
        labels: further attributes, such as the slice's name and level.
    """
    if mistaken is not None and not _has_last(counts, mistaken):
        counts, classes, mistaken = counts[:-1, :-1], classes[: len(counts) - 1], None
    found = {measure: estimate(counts) for measure, estimate in MEASURES.items()}
    rows: float = counts.sum().item()
    if mistaken is not None:
        rows += mistaken
        found = dict.fromkeys(MEASURES, Performance(math.nan, round(rows)))
        found["accuracy"] = proportion(np.trace(counts).item(), rows)
    status = Status.TOO_FEW if rows < max(minimum, 1) else Status.OK
    out = [score_reading(m, one, window, maturity, status=status, labels=labels) for m, one in found.items()]
    for k, name in enumerate(classes):
        of_class = {**labels, class_attribute: name}
        more = mistaken or 0 if k == len(counts) - 1 else 0
        for measure, estimate in (("recall", recall_of(counts, k, more)), ("precision", precision_of(counts, k, more))):
            out.append(score_reading(measure, estimate, window, maturity, status=status, labels=of_class))
    return out


def _has_last(counts: Ints, mistaken: float) -> bool:
    """Whether a row is of the last class, true or decided."""
    return bool(counts[-1].any() or counts[:, -1].any() or mistaken)


def classwise_ece(
    bins: Sequence[Floats], spec: Spec, *, minimum: int = MINIMUM_LABELS, debiased: bool = False
) -> Estimate:
    """Mean over the classes of the ECE of each class's own probability against its being the true class.

    Stricter than the top label's: a class that is never on top counts too. M. Kull et al., NeurIPS 2019.

    Args:
        bins: float64[2, bins, stats] of each class, as ``ScoresState.bins`` gives them.
        spec: the spec of the bins.
        minimum: classes with fewer rows that are positive, or fewer that are negative, are left out.
        debiased: each ECE less the bias that its bins can show.
    """
    told = [b for b in bins if labelled(b) and min(*b[..., N].sum(axis=1)) >= max(minimum, 1)]
    one = ece_debiased if debiased else ece
    return Estimate(float(np.mean([one(b, spec).value for b in told])) if told else math.nan)
