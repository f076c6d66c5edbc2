from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from calidris import semconv
from calidris.batch import CodedColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.state import Codebook, CountsState, Field, Kind, Loss, Role, ScoresState, Slice, Spec

AGE = Field("age", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 30.0, 60.0))
COUNTRY = Field("country", Role.FEATURE, Kind.CATEGORICAL, levels=("NL", "BE"))
FULL = Spec(
    task=semconv.ML_MODEL_TASK_MULTICLASS,
    fields=(AGE, COUNTRY, Field("note", Role.FEATURE, Kind.PRESENCE)),
    positive="yes",
    classes=("a", "b"),
    threshold=1 / 3,
    slices=(Slice("country", ("NL", "é")), Slice("sex", ())),
    losses=(Loss("error"), Loss("absolute_error", 1 / 3)),
    intersections=(("country", "sex"),),
    slice_cap=100,
    codebooks=(Codebook("text", 2, np.array([0.0, 1.0, -2.0, 3.5], "<f4").tobytes(), (0.0, 0.25, 1 / 3)),),
)


def test_the_hash_is_the_same_on_every_machine_and_release() -> None:
    """A change of these two makes every stored baseline unreadable: it needs a new format number and a way over."""
    assert Spec().hash == "905aac0da93958513abff2b2f668207f"
    assert FULL.hash == "c98c109bef489c8eb06976e92526fced"


def test_json_round_trip_keeps_the_identity() -> None:
    back = Spec.from_json(json.loads(json.dumps(FULL.to_json())))
    assert back == FULL
    assert back.hash == FULL.hash
    assert hash(back) == hash(FULL)
    assert back.to_json() == FULL.to_json()
    assert np.array_equal(back.score_edges, FULL.score_edges)


@pytest.mark.parametrize(
    "other",
    [
        replace(FULL, task="binary"),
        replace(FULL, fields=FULL.fields[:4]),
        replace(FULL, fields=(*FULL.fields[:2], replace(AGE, edges=(0.0, 30.0, 60.5)), *FULL.fields[3:])),
        replace(FULL, fields=(*FULL.fields[:3], replace(COUNTRY, levels=("BE", "NL")), *FULL.fields[4:])),
        replace(FULL, positive="no"),
        replace(FULL, classes=("b", "a")),
        replace(FULL, threshold=0.333),
        replace(FULL, slices=(FULL.slices[0], Slice("sex", ("f",)))),
        replace(FULL, losses=FULL.losses[:1]),
        replace(FULL, losses=(FULL.losses[0], Loss("absolute_error", 0.333))),
        replace(FULL, intersections=()),
        replace(FULL, intersections=(("sex", "country"),)),
        replace(FULL, slice_cap=101),
        replace(FULL, fields=FULL.fields[:5], codebooks=(replace(FULL.codebooks[0], edges=(0.0, 0.25, 0.5)),)),
        replace(FULL, codebooks=(replace(FULL.codebooks[0], centroids=bytes(16)),)),
    ],
)
def test_every_part_is_in_the_hash(other: Spec) -> None:
    assert other.hash != FULL.hash
    assert other != FULL


def test_whole_numbers_and_floats_are_one_spec() -> None:
    whole = Field("age", Role.FEATURE, Kind.NUMERIC, edges=(0, 30, np.float64(60)))
    assert Spec(fields=(whole,), threshold=1) == Spec(fields=(AGE,), threshold=1.0)


def test_every_spec_counts_errors_and_durations_whatever_the_features_are_called() -> None:
    disguised = Field(semconv.ML_PREDICTION_ERROR, Role.FEATURE, Kind.PRESENCE)
    spec = Spec(fields=(disguised,))
    assert [f.role for f in spec.fields] == [Role.ERROR, Role.DURATION, Role.FEATURE]
    own = Field("seconds", Role.DURATION, Kind.NUMERIC, edges=(0.0, 1.0))
    assert [f.name for f in Spec(fields=(own,)).fields] == [semconv.ML_PREDICTION_ERROR, "seconds"]


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="threshold"):
        Spec(threshold=threshold)


def test_a_field_listed_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        Spec(fields=(AGE, AGE))


@pytest.mark.parametrize("threshold", [0.5, 1 / 3, 0.1 + 0.2, 0.0, 1.0])
def test_score_edges_hold_the_tenths_and_the_threshold_exactly(threshold: float) -> None:
    edges = Spec(threshold=threshold).score_edges.tolist()
    assert {k / 10 for k in range(1, 10)} | {threshold} <= set(edges)
    assert edges == sorted(set(edges))


def test_padded_histograms_put_every_field_and_the_specials_in_their_columns() -> None:
    spec = Spec(fields=(AGE, COUNTRY))
    state = CountsState(spec)
    state.array[:] = np.arange(1, spec.cells + 1)
    padded, widest = state.padded(), max(f.ordered for f in spec.fields)
    for i, f in enumerate(spec.fields):
        assert padded[i, : f.ordered].tolist() == state.field(i)[: f.ordered].tolist()
        assert not padded[i, f.ordered : widest].any()
        assert padded[i, widest:].tolist() == state.field(i)[f.ordered :].tolist()


def test_padded_edges_end_in_bins_of_no_width() -> None:
    spec = Spec(fields=(AGE, COUNTRY))
    edges = spec.padded_edges
    assert edges.shape == (4, max(f.ordered for f in spec.fields) + 1)
    assert edges[2, :4].tolist() == [0.0, 30.0, 60.0, 60.0]
    assert np.diff(edges[2, 2:]).max() == 0
    assert not edges[3].any()


def test_each_role_reads_its_own_column() -> None:
    roles = {
        Role.SCORE: (semconv.ML_PREDICTION_SCORE, 0.25),
        Role.DECISION: (semconv.ML_PREDICTION_CLASS, 0.35),
        Role.VALUE: (semconv.ML_PREDICTION_VALUE, 0.45),
        Role.DURATION: (semconv.ML_PREDICTION_DURATION, 0.55),
    }
    edges = (0.2, 0.3, 0.4, 0.5, 0.6)
    spec = Spec(fields=tuple(Field(name, role, Kind.NUMERIC, edges=edges) for role, (name, _) in roles.items()))
    score, decision, value, duration = (NumberColumn.of([v]) for _, v in roles.values())
    batch = PredictionBatch(
        ModelKey("t", "m", "1"), np.zeros(1, np.int64), {}, score=score, decision=decision, value=value,
        duration_s=duration, error=CodedColumn.of(["Timeout"]),
    )  # fmt: skip
    cells = spec.encode(batch)[:, 0] - spec.offsets[:-1]
    assert cells.tolist() == [2, 0, 1, 2, 3]  # an error is a level that nobody listed
    fine = replace(batch, error=CodedColumn.of([None]))
    assert spec.encode(fine)[0, 0] == 0


def test_slices_have_a_row_for_each_level_and_one_for_the_rest() -> None:
    country = CodedColumn.of(["é", "NL", "FR", None])
    sex = CodedColumn.of(["f", None, "m", "f"])
    assert FULL.slice_count == 8
    assert FULL.slice_rows([country, sex]).tolist() == [[2, 1, 3, -1], [4, -1, 4, 4]]
    assert FULL.slice_rows([None, sex]).tolist() == [[4, -1, 4, 4]]  # rows keep their place on the axis


def test_a_field_that_contradicts_its_codebook_is_refused() -> None:
    with pytest.raises(ValueError, match=r"text\.distance"):
        replace(FULL, codebooks=(replace(FULL.codebooks[0], edges=(0.0, 0.5)),))


def test_a_loss_listed_twice_or_unknown_or_without_a_cap_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        Spec(losses=(Loss("error"), Loss("error", 2.0)))
    with pytest.raises(ValueError, match="brier"):
        Loss("hinge")
    for cap in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="cap"):
            Loss("absolute_error", cap)


@pytest.mark.parametrize("score", [float("nan"), -0.1, 1.1])
def test_a_labelled_score_that_is_no_probability_is_refused(score: float) -> None:
    state = ScoresState(Spec())
    with pytest.raises(ValueError, match="probability"):
        state.update(np.array([0.5, score]), np.array([1, 0]), np.zeros(2))
    with pytest.raises(ValueError, match="outcome"):
        state.update(np.array([0.5]), np.array([2]), np.zeros(1))
    assert state == ScoresState(Spec())
