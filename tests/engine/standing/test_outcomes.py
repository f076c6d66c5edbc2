"""Labels that cannot be what the settings say that they are: told beside the model, and no figure is made of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.engine.conftest import Journal
from tests.engine.readings.test_readings import BEGIN, MINUTE, Raw, draw, engine_of, figures, shown

from calidris import semconv
from calidris.batch import CodedColumn, NumberColumn
from calidris.engine.core import Engine
from calidris.engine.outcomes import SCALE, Outcomes, labels_needed
from calidris.metrics.base import Status
from calidris.state import Spec

WORDS = np.array(["no", "yes"])


def named(raw: Raw, truth: np.ndarray = WORDS, decision: np.ndarray | None = None) -> Raw:
    """The same rows with outcomes, and decisions if any, called so."""
    said = None if decision is None else CodedColumn.of(decision[(raw.predicted == "1").astype(int)].tolist())
    return replace(raw, truth=truth[raw.truth.astype(int)], batch=replace(raw.batch, decision=said))


def fed(engine: Engine, raw: Raw) -> Engine:
    journal = Journal()
    for item in (raw.batch, raw.labels()):
        engine.apply(journal.request(item, arrival_ns=BEGIN))
    engine.apply(journal.seal(BEGIN + MINUTE))
    return engine


def test_a_positive_class_that_no_label_is() -> None:
    raw = named(draw("binary", 5, 400), decision=WORDS)
    engine = fed(engine_of("binary", None), raw)
    model = shown(engine)
    assert model.status is Status.UNDEFINED
    assert model.status_detail == (
        "none of 400 labels is the positive class '1'; they are called 'no', 'yes'. Set `positive` of the model to what a "
        "positive outcome is called"
    )
    for metric in (semconv.METRIC_ML_PERFORMANCE_SCORE, semconv.METRIC_ML_CALIBRATION_SCORE):
        assert {r.value for r in figures(model, metric)} == {None}
    (coverage,) = figures(model, semconv.METRIC_ML_LABEL_COVERAGE)
    assert coverage.value == 1.0
    right = shown(fed(engine_of("binary", None, positive="yes"), raw))
    assert right.status is not Status.UNDEFINED
    accuracy = figures(right, semconv.METRIC_ML_PERFORMANCE_SCORE, ML_PERFORMANCE_MEASURE="accuracy")[0]
    assert accuracy.value == pytest.approx(np.mean(raw.truth == WORDS[(raw.predicted == "1").astype(int)]))


def test_figures_come_back_with_the_first_positive_label() -> None:
    raw = draw("binary", 5, 400)
    negative = replace(raw, truth=np.zeros(400))
    engine = fed(engine_of("binary", None), negative)
    assert shown(engine).status is Status.UNDEFINED
    later = replace(raw, batch=replace(raw.batch, ids=[f"late-{i}" for i in range(400)]))
    journal = Journal([None] * engine.sequence)
    for item in (later.batch, later.labels()):
        engine.apply(journal.request(item, arrival_ns=BEGIN))
    model = shown(engine)
    assert model.status is not Status.UNDEFINED
    accuracy = figures(model, semconv.METRIC_ML_PERFORMANCE_SCORE, ML_PERFORMANCE_MEASURE="accuracy")[0]
    assert accuracy.value is not None


def test_names_of_labels_and_decisions_that_never_meet() -> None:
    raw = named(draw("binary", 5, 400), truth=np.array(["0", "1"]), decision=np.array(["reject", "approve"]))
    model = shown(fed(engine_of("binary", None), raw))
    assert model.status is Status.UNDEFINED
    assert model.status_detail == (
        "labels are called '0', '1' and decisions 'approve', 'reject': they have no name in common, so every decision counts as "
        "wrong. Send both under the same names"
    )


@pytest.mark.parametrize(
    ("share", "labels", "is_told"),
    [(0.5, 29, False), (0.5, 30, True), (0.01, 699, False), (0.01, 700, True), (None, 999, False), (None, 1000, True)],
)
def test_how_many_labels_it_takes(share: float | None, labels: int, is_told: bool) -> None:
    found = Outcomes()
    found.note_labels(CodedColumn.of(["no"] * labels), np.zeros(labels, dtype=np.int64))
    assert (found.contradiction(Spec(), share) is not None) is is_told
    assert (labels >= labels_needed(share)) is is_told


def test_mean_score_says_how_common_positives_should_be() -> None:
    raw = draw("binary", 5, 1000)
    found = Outcomes()
    found.note_predictions(replace(raw.batch, score=NumberColumn.of(np.full(1000, 0.01)), decision=None))
    found.note_labels(NumberColumn.of(np.zeros(699)), np.zeros(699, dtype=np.int64))
    assert found.contradiction(Spec(), None) is None
    found.note_labels(NumberColumn.of(np.zeros(1)), np.zeros(1, dtype=np.int64))
    assert found.contradiction(Spec(), None) is not None


def test_of_more_names_than_are_remembered_nothing_is_said() -> None:
    found = Outcomes()
    names = [f"c{n}" for n in range(60)]
    found.note_labels(CodedColumn.of(names), np.zeros(60, dtype=np.int64))
    decided = replace(draw("binary", 5, 60).batch, decision=CodedColumn.of([f"d{n}" for n in range(60)]))
    found.note_predictions(decided)
    assert found.contradiction(Spec(task="multiclass"), None) is None


@pytest.mark.parametrize(
    ("names", "positive", "counted"), [(("1", "0"), 1, "1"), (("yes", "no"), "no", "no"), (("b", "a"), 1, "b")]
)
def test_the_score_of_two_named_classes_is_the_positive_ones(
    names: tuple[str, str], positive: object, counted: str
) -> None:
    raw = draw("binary", 5, 200)
    scores = {names[0]: NumberColumn.of(raw.score), names[1]: NumberColumn.of(1 - raw.score)}
    engine = engine_of("binary", None, positive=positive)
    engine.apply(
        Journal().request(replace(raw.batch, score=None, decision=None, class_scores=scores), arrival_ns=BEGIN)
    )
    (pane,) = [pane for _, pane in next(iter(engine.models.values())).panes_in(0, BEGIN + MINUTE)]
    assert next(iter(engine.models.values())).outcomes.score_sum / SCALE == pytest.approx(scores[counted].values.sum())
    assert pane.counts.count == 200


@pytest.mark.parametrize("spelling", ["True", "true", "TRUE", "1", "1.0"])
def test_a_boolean_class_is_the_positive_one_however_it_is_spelled(spelling: str) -> None:
    raw = named(draw("binary", 5, 400), truth=np.array(["False", spelling]), decision=np.array(["0", "1"]))
    model = shown(fed(engine_of("binary", None), raw))
    assert model.status is not Status.UNDEFINED


def test_what_is_remembered_survives_a_checkpoint() -> None:
    found = Outcomes()
    found.note_labels(CodedColumn.of(["no"] * 40), np.zeros(40, dtype=np.int64))
    assert Outcomes.from_json(found.to_json()) == found and not Outcomes()
