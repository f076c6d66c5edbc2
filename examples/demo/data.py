"""The data, the model and the sampler: real measurements of tumours that ship inside scikit-learn.

569 rows of the Wisconsin breast cancer data set, cell nuclei measured on images. A part of them trains the model; the rest
is the pool from which one sampler draws the baseline and the traffic alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

FEATURES = [
    f"{kind} {measure}"
    for kind in ("mean", "worst")
    for measure in ("radius", "texture", "smoothness", "concavity", "symmetry")
]
CHANGED = "worst radius"
"""The feature that one client starts to send in another unit."""

UNIT_FACTOR = 0.1
_SPLIT_SEED = 0


@dataclass(frozen=True)
class Pool:
    """Rows that the model never saw, and their true outcomes (1 = malignant)."""

    rows: pd.DataFrame
    outcome: npt.NDArray[np.int64]


def split() -> tuple[Pool, Pool]:
    """Rows to train on, and the pool to draw from."""
    bunch = load_breast_cancer(as_frame=True)
    outcome = 1 - bunch.target.to_numpy()  # scikit-learn codes malignant as 0
    train, pool, y_train, y_pool = train_test_split(
        bunch.data[FEATURES], outcome, test_size=0.6, random_state=_SPLIT_SEED, stratify=outcome
    )
    return Pool(train, y_train), Pool(pool, y_pool)


def train_model() -> Pipeline:
    """The model that the service serves."""
    train, _ = split()
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.5)).fit(train.rows, train.outcome)


@dataclass
class Sampler:
    """Draws patients from the pool, with replacement; baseline and traffic come from the same one.

    Set ``changed`` to send ``CHANGED`` in another unit from then on.
    """

    seed: int
    changed: bool = False
    pool: Pool = field(default_factory=lambda: split()[1])

    def __post_init__(self) -> None:
        self._random = np.random.default_rng(self.seed)

    def draw(self, n: int) -> tuple[pd.DataFrame, npt.NDArray[np.int64]]:
        """Draw n patients: measurements and true outcomes."""
        at = self._random.integers(len(self.pool.rows), size=n)
        rows = self.pool.rows.iloc[at].reset_index(drop=True)
        if self.changed:
            rows[CHANGED] *= UNIT_FACTOR
        return rows, self.pool.outcome[at]

    def __iter__(self) -> Iterator[tuple[dict[str, float], int]]:
        """Patients one by one, for ever."""
        while True:
            rows, outcome = self.draw(1)
            yield {str(k): float(v) for k, v in rows.iloc[0].items()}, int(outcome[0])


def baseline_table(sampler: Sampler, model: Pipeline, *, windows: int, rows: int, window_s: float) -> pd.DataFrame:
    """What the model saw and said while all was well: one row a patient, with score, outcome and time."""
    table, outcome = sampler.draw(windows * rows)
    table["score"] = model.predict_proba(table[FEATURES])[:, 1]
    table["label"] = outcome
    start = pd.Timestamp("2026-01-05T00:00:00Z")
    table["ts"] = start + pd.to_timedelta(np.arange(len(table)) * (window_s / rows), unit="s")
    return table
