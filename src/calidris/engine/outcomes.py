"""What outcomes and decisions of a model are called, and whether that can be right: labels that nobody means count as wrong.

A label is the positive class or it is not. Where the settings call the positive class otherwise than the labels do, every outcome
is negative, and accuracy, Brier score and all the rest look like figures and are none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from calidris import semconv
from calidris.batch import Column, Ints, NumberColumn, PredictionBatch
from calidris.config.class_names import class_text
from calidris.state import Spec
from calidris.state.coding.fields import as_coded

FEWEST: Final = 30
"""Labels before anything is said."""

NONE_EXPECTED: Final = 7.0
"""Expected positives among labels without one: with so many expected, chance leaves all of them out once in 1100 (e^-7)."""

WITHOUT_SHARE: Final = 1000
"""Labels that are waited for where nobody knows how common positives are."""

MOST_NAMES: Final = 50
"""Names that are remembered of each side. Where there are more, nobody says that they have none in common."""

SHOWN_NAMES: Final = 3

SCALE: Final = 1 << 30
"""Units that scores are summed in: whole ones, so that no order of additions makes a difference."""

NO_CODES: Final[Ints] = np.empty(0, dtype=np.int64)


@dataclass
class Outcomes:
    """Names of a model version's classes as they come, and how many labels were positive.

    Attributes:
        labels: labels counted.
        positives: those that were the positive class.
        decided: rows with a decision.
        label_names: what labels were called, the first `MOST_NAMES`, each in one spelling.
        decision_names: likewise decisions, and classes that scores name.
        score_names: likewise the latter alone.
        scored: rows with a score.
        score_sum: of their scores, in units of `SCALE`: the same in whatever batches rows come.
    """

    labels: int = 0
    positives: int = 0
    decided: int = 0
    label_names: list[str] = field(default_factory=list)
    decision_names: list[str] = field(default_factory=list)
    scored: int = 0
    score_sum: int = 0
    score_names: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return self != Outcomes()

    def note_predictions(self, batch: PredictionBatch) -> None:
        """Take down decisions and scores; O(levels), and O(rows) where a name is new."""
        _remember(self.decision_names, batch.class_scores)
        _remember(self.score_names, batch.class_scores)
        decision = batch.decision
        if decision is not None:
            self.decided += int(np.count_nonzero(decision.valid))
            names = _names(decision, self.decision_names)
            _remember(self.decision_names, names)
        score = batch.score
        if score is not None:
            known = score.values[score.valid]
            self.scored += len(known)
            scaled = np.rint(known * SCALE)
            self.score_sum += int(scaled.astype(np.int64).sum())

    def note_labels(self, label: Column, truth: Ints, gone: Ints = NO_CODES) -> None:
        """Take down labels and their codes, ``class_codes`` of a binary task; ``gone`` are codes in whose place some of them stand."""
        self.labels += len(truth)
        self.labels -= len(gone)
        self.positives += _count_positives(truth)
        self.positives -= _count_positives(gone)
        names = _names(label, self.label_names)
        _remember(self.label_names, names)

    def contradiction(self, spec: Spec, baseline_share: float | None) -> str | None:
        """Why labels cannot be what the settings say that they are, with the cure; None while they can.

        Args:
            spec: task and positive class.
            baseline_share: share of positive labels of the baseline, where it has labels.
        """
        if spec.task == semconv.ML_MODEL_TASK_REGRESSION:
            return None
        if self.labels < FEWEST:
            return None
        if self._lacks_positives(spec, baseline_share):
            return never_positive(spec.positive, self.labels, self.label_names)
        if self._scores_lack_positive(spec):
            return unnamed_positive(spec.positive, self.score_names)
        if self._have_nothing_in_common():
            labels = listed(self.label_names)
            decisions = listed(self.decision_names)
            return (
                f"labels are called {labels} and decisions {decisions}: they have no name in common, so every decision counts as "
                "wrong. Send both under the same names"
            )
        return None

    def _lacks_positives(self, spec: Spec, baseline_share: float | None) -> bool:
        if spec.task != semconv.ML_MODEL_TASK_BINARY:
            return False
        if self.positives:
            return False
        share = baseline_share
        if not share and self.scored:
            share = self.score_sum / SCALE / self.scored
        return self.labels >= labels_needed(share)

    def _scores_lack_positive(self, spec: Spec) -> bool:
        if spec.task != semconv.ML_MODEL_TASK_BINARY:
            return False
        names = self.score_names
        if not names or len(names) >= MOST_NAMES:
            return False
        return class_text(spec.positive) not in names

    def _have_nothing_in_common(self) -> bool:
        if self.decided < FEWEST:
            return False
        if len(self.label_names) >= MOST_NAMES:
            return False
        if len(self.decision_names) >= MOST_NAMES:
            return False
        labels = set(self.label_names)
        return labels.isdisjoint(self.decision_names)

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``from_json`` reads back exactly."""
        return dict(vars(self))

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Outcomes:
        """What ``to_json`` described."""
        return cls(**data)


def labels_needed(share: float | None) -> int:
    """Labels without a positive one after which there ought to have been some.

    >>> labels_needed(0.5), labels_needed(0.001), labels_needed(None)
    (30, 7000, 1000)
    """
    if not share:
        return WITHOUT_SHARE
    return max(FEWEST, round(NONE_EXPECTED / share))


def never_positive(positive: str, labels: int, names: Iterable[str] = ()) -> str:
    """The sentence for labels of which none is the positive class."""
    called = listed(names)
    others = f"; they are called {called}" if called else ""
    return (
        f"none of {labels:,} labels is the positive class {positive!r}{others}. Set `positive` of the model to what a positive "
        "outcome is called"
    )


def unnamed_positive(positive: str, names: Iterable[str]) -> str:
    """The sentence for scores by class of which none is the positive one's."""
    return (
        f"scores are of the classes {listed(names)}, and labels of the positive class {positive!r}: nobody knows which of them it "
        "is, so figures of scores may be upside down. Send scores, decisions and labels under the same names, and set `positive` to one of them"
    )


def listed(names: Iterable[str]) -> str:
    """The first names, quoted.

    >>> listed(["no", "yes"])
    "'no', 'yes'"
    """
    ordered = sorted(names)
    first = ordered[:SHOWN_NAMES]
    shown = ", ".join(map(repr, first))
    more = len(ordered) - len(first)
    return f"{shown} and {more} more" if more else shown


def _count_positives(truth: Ints) -> int:
    return int(np.count_nonzero(truth == 1))


def _names(column: Column, known: list[str]) -> Iterator[str]:
    """Names of the classes in a column that are not known yet."""
    if len(known) >= MOST_NAMES:
        return
    coded = as_coded(column) if isinstance(column, NumberColumn) else column
    levels = [class_text(level) for level in coded.levels]
    if set(levels).issubset(known):
        return
    # A column may have levels that none of its rows has.
    codes = np.unique(coded.codes)
    for code in codes.tolist():
        if code >= 0:
            yield levels[code]


def _remember(names: list[str], more: Iterable[str]) -> None:
    for name in more:
        if len(names) >= MOST_NAMES:
            break
        spelled = class_text(name)
        if spelled not in names:
            names.append(spelled)
