"""Estimators of somebody else, imported only after instrumentation."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression


class Majority(ClassifierMixin, BaseEstimator):
    """Answers the class it saw most."""

    def __init__(self, shift: int = 0) -> None:
        self.shift = shift

    def fit(self, X: Any, y: Any) -> Majority:
        self.classes_, counts = np.unique(y, return_counts=True)
        self.winner_ = self.classes_[counts.argmax()]
        self.predict(X)  # an inner call of fit is no prediction
        return self

    def predict(self, X: Any) -> Any:
        """Doc."""
        return np.full(len(X), self.winner_)


class Cautious(LogisticRegression):
    """Inherits what is patched already, and overrides one method."""

    def predict_proba(self, X: Any) -> Any:
        return super().predict_proba(X) / 2 + 0.25
