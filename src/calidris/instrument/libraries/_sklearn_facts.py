"""Facts about scikit-learn estimators: what they predict, what they are called, what an answer means."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from calidris import semconv
from calidris.instrument.identity import identity_of
from calidris.instrument.items import Series
from calidris.instrument.libraries._wrapping import Answer
from calidris.instrument.runtime import runtime

_series: dict[tuple[type, str, int], Series] = {}
MAX_SERIES = 1000


def final_of(estimator: Any) -> Any:
    """The estimator that answers: the last step of a pipeline, the best one of a search."""
    for _ in range(8):
        steps = getattr(estimator, "steps", None)
        if isinstance(steps, list) and steps:
            estimator = steps[-1][1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            break
    return estimator


def task_of(estimator: Any) -> str | None:
    """The task of a fitted classifier or regressor; None for anything else, which is not watched."""
    base = sys.modules["sklearn.base"]
    final = final_of(estimator)
    if isinstance(final, base.ClassifierMixin):
        classes = classes_of(estimator)
        several = classes is not None and len(classes) > 2
        return semconv.ML_MODEL_TASK_MULTICLASS if several else semconv.ML_MODEL_TASK_BINARY
    return semconv.ML_MODEL_TASK_REGRESSION if isinstance(final, base.RegressorMixin) else None


def classes_of(estimator: Any) -> Any:
    """The array of classes; None where there are several outputs, or none yet."""
    classes = getattr(estimator, "classes_", None)
    return classes if getattr(classes, "ndim", 0) == 1 else None


def feature_names(estimator: Any) -> Sequence[str] | None:
    """The names it was fitted with, if it was fitted with names."""
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else names.tolist()


def series_of(estimator: Any, task: str) -> Series:
    """Name and version by the zero-code rules, resolved once per class of estimator and configuration."""
    kind = type(final_of(estimator))
    key = kind, task, runtime.generation
    series = _series.get(key)
    if series is None:
        series = Series(*identity_of(kind, runtime.settings), task, slices=runtime.settings.slices)
        runtime.seen(series)
        if len(_series) >= MAX_SERIES:
            _series.clear()
        _series[key] = series
    return series


def answer_of(estimator: Any, method: str, result: Any) -> Answer:
    """What a result says, copied. Several outputs at once say nothing that the convention has words for."""
    classes = classes_of(estimator)
    if method == "predict":
        if isinstance(result, tuple):
            result = result[0]  # return_std
        flat = _flat(result)
        regression = task_of(estimator) == semconv.ML_MODEL_TASK_REGRESSION
        return Answer(values=flat) if regression else Answer(classes=flat)
    if classes is None or not hasattr(result, "ndim"):
        return Answer()
    if method == "decision_function":
        return Answer(classes=_decided(classes, result))
    return _probable(classes, sys.modules["numpy"].exp(result) if method == "predict_log_proba" else result)


def _probable(classes: Any, probabilities: Any) -> Answer:
    """Binary: the probability of ``classes_[1]``. More: a column a class, and the likeliest class."""
    if probabilities.ndim != 2 or probabilities.shape[1] != len(classes):
        return Answer()
    if len(classes) == 2:
        return Answer(scores=probabilities[:, 1].copy())
    scores = {name: probabilities[:, at].copy() for at, name in enumerate(classes.tolist())}
    return Answer(scores=scores, classes=classes[probabilities.argmax(axis=1)])


def _decided(classes: Any, margins: Any) -> Any:
    """The class that margins stand for; they are no probabilities, so there is no score."""
    if margins.ndim == 1 and len(classes) == 2:
        return classes[(margins > 0).astype(int)]
    if margins.ndim == 2 and margins.shape[1] == len(classes):
        return classes[margins.argmax(axis=1)]
    return None


def _flat(result: Any) -> Any:
    """One value a row, copied, or None."""
    if getattr(result, "ndim", 1) == 2 and result.shape[1] == 1:
        result = result.reshape(-1)
    if getattr(result, "ndim", 1) != 1:
        return None
    return result.copy() if hasattr(result, "copy") else list(result)
