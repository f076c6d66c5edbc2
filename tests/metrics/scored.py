"""Labelled scores of many shapes, raw and as a state, for the tests of this folder."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calidris.state import ScoresState, Spec


class Rows(NamedTuple):
    score: NDArray[np.float64]
    outcome: NDArray[np.int64]


def state_of(rows: Rows, spec: Spec | None = None) -> ScoresState:
    state = ScoresState(spec or Spec())
    state.update(rows.score, rows.outcome, np.zeros(len(rows.score)))
    return state


def bins_of(rows: Rows, spec: Spec | None = None) -> NDArray[np.float64]:
    return state_of(rows, spec).bins()


def drawn(p: NDArray[np.float64], g: np.random.Generator, shift: float = 0.0, scale: float = 1.0) -> Rows:
    """Outcomes of probability p, and scores whose logit is p's, shifted and scaled."""
    outcome = (g.random(len(p)) < p).astype(np.int64)
    return Rows(1 / (1 + np.exp(-(shift + scale * np.log(p / (1 - p))))), outcome)


def shapes() -> dict[str, Rows]:
    g = np.random.default_rng(11)
    p = g.beta(2, 3, 5000)
    tied = np.round(g.random(700), 1)  # every score on a tenth, 0.0 and 1.0 among them
    return {
        "calibrated": drawn(p, g),
        "overconfident": drawn(p, g, scale=3.0),
        "too high": drawn(p, g, shift=0.7),
        "rare": drawn(g.beta(0.5, 30, 8000) + 1e-6, g, shift=0.2),
        "small": drawn(g.beta(2, 3, 50), g),
        "on edges": Rows(tied, (g.random(700) < tied).astype(np.int64)),
        "constant": Rows(np.full(60, 0.37), g.integers(0, 2, 60)),
        "only positives": Rows(g.random(50), np.ones(50, np.int64)),
        "only negatives": Rows(g.random(50), np.zeros(50, np.int64)),
        "certain": Rows(np.array([0.0, 1.0] * 20), np.array([0, 1] * 20)),
        "certain and wrong": Rows(np.array([0.0, 1.0] * 20), np.array([1, 0] * 20)),
        "one row": Rows(np.array([0.8]), np.array([1])),
        "no rows": Rows(np.zeros(0), np.zeros(0, np.int64)),
        "extremes": Rows(10.0 ** -g.integers(0, 300, 80).astype(float), g.integers(0, 2, 80)),
    }
