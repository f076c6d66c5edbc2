"""Fairness of a window: do decisions, and their errors, fall alike on the levels of the attribute that the user named?"""

from __future__ import annotations

import numpy as np

from calidris import semconv
from calidris.batch import Ints
from calidris.config import ModelConfig
from calidris.metrics.base import Reading
from calidris.metrics.fairness.gap_readings import gap_readings, group_readings
from calidris.metrics.performance.performance_measures import OTHER_LEVELS
from calidris.state import Spec
from calidris.state.blocks.labelled import Decisions, LabelStates


def fairness_readings(config: ModelConfig, spec: Spec, labels: LabelStates, window: str) -> list[Reading]:
    """Gaps and rates of the labelled rows so far; nothing where no attribute is named, or it is no slice of the baseline.

    Of several classes there is only ``accuracy``: no class is the good one. Regressions decide nothing.
    """
    groups = None if config.fairness is None else group_rows(spec, config.fairness.attribute)
    if config.fairness is None or groups is None or spec.task == semconv.ML_MODEL_TASK_REGRESSION:
        return []
    (first, names), attribute = groups, config.fairness.attribute
    rows = range(first, first + len(names))
    if spec.task == semconv.ML_MODEL_TASK_BINARY:
        counts, bins = np.array([labels.groups.confusion(row) for row in rows]), [labels.scores.bins(r) for r in rows]
        gaps = gap_readings(counts, attribute, window, bins=bins, tolerance=config.fairness.tolerance)
        return gaps + group_readings(counts, attribute, names, window)
    decisions = [labels.decisions(row) for row in rows]
    known = [one for one in decisions if one is not None]
    if len(known) < len(decisions):  # nobody knows which of them were right
        return []
    counts, only = np.array([_right_or_wrong(one) for one in known]), ("accuracy",)
    gaps = gap_readings(counts, attribute, window, measures=only, tolerance=config.fairness.tolerance)
    return gaps + group_readings(counts, attribute, names, window, measures=only)


def group_rows(spec: Spec, attribute: str) -> tuple[int, tuple[str, ...]] | None:
    """First row of an attribute on the slice axis, and the names of its levels; None where it is no slice."""
    for s, first in zip(spec.slices, spec.axis.starts):
        if s.name == attribute:
            return first, (*s.levels, OTHER_LEVELS)
    return None


def _right_or_wrong(decisions: Decisions) -> Ints:
    """Right and wrong decisions as int64[2, 2] with every truth "1"."""
    return np.array([[0, 0], [decisions.rows - decisions.right, decisions.right]])
