"""What a figure is of: the whole model, a class, a group or a slice; and at which maturity of labels."""

from __future__ import annotations

from collections.abc import Iterator

from calidris import semconv
from calidris.engine.snapshot import ModelSnapshot
from calidris.metrics import BASELINE_WINDOW, Reading
from calidris.report import wording
from calidris.semconv import Metric

PERFORMANCE, CALIBRATION = semconv.METRIC_ML_PERFORMANCE_SCORE, semconv.METRIC_ML_CALIBRATION_SCORE
ARRIVED, FIXED_AGE, ADJUSTED, COMPLETE = (
    semconv.ML_LABEL_MATURITY_ARRIVED,
    semconv.ML_LABEL_MATURITY_FIXED_AGE,
    semconv.ML_LABEL_MATURITY_DELAY_ADJUSTED,
    semconv.ML_LABEL_MATURITY_COMPLETE,
)
_PARTS = frozenset({semconv.ML_FEATURE_NAME, semconv.ML_PREDICTION_CLASS, semconv.ML_FAIRNESS_GROUP})


def attribute(reading: Reading, name: str) -> str | None:
    """The value of one attribute, or None."""
    return next((value for key, value in reading.attributes if key == name), None)


def cut(reading: Reading) -> tuple[tuple[str, str], ...]:
    """The slice that a figure is of, as pairs of name and level; none is all rows."""
    return tuple((k, v) for k, v in reading.attributes if not k.startswith("ml."))


def is_whole(reading: Reading) -> bool:
    """Whether a figure is of the whole model: of no feature, class, group or slice."""
    return not cut(reading) and not any(k in _PARTS for k, _ in reading.attributes)


def measure(reading: Reading) -> str:
    """The measure of performance, calibration or fairness."""
    return next((v for k, v in reading.attributes if k.endswith(".measure")), "")


def of(model: ModelSnapshot, metric: Metric, **about: str | None) -> Iterator[Reading]:
    """Readings of a metric with these attributes, named as in ``semconv``; None is without it."""
    wanted = {getattr(semconv, name): value for name, value in about.items()}
    for r in model.readings:
        if r.metric is metric and all(attribute(r, k) == v for k, v in wanted.items()):
            yield r


def labelled_window(model: ModelSnapshot) -> str | None:
    """The shortest window in which the headline figure is known with the tightest interval; None without labels."""
    known = [
        r
        for r in of(model, PERFORMANCE, ML_LABEL_MATURITY=ARRIVED, ML_PERFORMANCE_MEASURE=headline(model))
        if is_whole(r) and r.window != BASELINE_WINDOW and r.value is not None
    ]
    return max(known, key=lambda r: (r.n, wording.window_order(r.window))).window if known else None


def headline(model: ModelSnapshot) -> str:
    """The one measure of performance that speaks for a task."""
    return "mae" if model.task == semconv.ML_MODEL_TASK_REGRESSION else "accuracy"


def cut_name(pairs: tuple[tuple[str, str], ...]) -> str:
    """A slice in words.

    >>> cut_name((("country", "NL"), ("sex", "(other)")))
    'country NL, sex (other)'
    """
    return ", ".join(f"{name} {level}" for name, level in pairs) or "all rows"
