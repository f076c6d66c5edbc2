"""What ``learn_spec`` learns for the states beyond edges and levels."""

from __future__ import annotations

import numpy as np
import pytest

from calidris import semconv
from calidris.baseline import learn_spec
from calidris.batch import CodedColumn, Column, ModelKey, NumberColumn, PredictionBatch
from calidris.state import Field, Kind, Loss, Role, Spec, learn_codebook

N = 4000
BINARY, MULTICLASS, REGRESSION = (
    Spec(task=task) for task in (
        semconv.ML_MODEL_TASK_BINARY, semconv.ML_MODEL_TASK_MULTICLASS, semconv.ML_MODEL_TASK_REGRESSION
    )
)  # fmt: skip


def rows(**columns: object) -> PredictionBatch:
    return PredictionBatch(ModelKey("t", "m", "1"), np.zeros(N, np.int64), **({"features": {}} | columns))  # type: ignore[arg-type]


def field(spec: Spec, role: Role, name: str | None = None) -> Field:
    at = spec.index(role, name)
    assert at is not None
    return spec.fields[at]


G = np.random.default_rng(0)
AGE = NumberColumn.of(G.normal(40, 10, N))
NAME = CodedColumn(("a", "b"), G.integers(0, 2, N, dtype=np.int32))


def test_bins_of_the_user_are_taken_as_they_are() -> None:
    batch = rows(features={"age": AGE, "name": NAME}, score=NumberColumn.of(G.random(N)))
    score = semconv.ML_PREDICTION_SCORE
    spec = learn_spec(batch, BINARY, bins={"age": (18, 65, 1000), score: (0.0, 0.5, 1.0)})
    assert field(spec, Role.FEATURE, "age").edges == (18.0, 65.0, 1000.0)
    assert field(spec, Role.SCORE).edges == (0.0, 0.5, 1.0)
    assert field(spec, Role.FEATURE, "name").kind is Kind.CATEGORICAL
    empty = rows(features={"age": NumberColumn.of(np.full(N, np.nan))})
    assert field(learn_spec(empty, BINARY, bins={"age": (0.0, 1.0)}), Role.FEATURE, "age").kind is Kind.NUMERIC


@pytest.mark.parametrize(
    ("bins", "message"),
    [
        ({"ago": (0.0, 1.0)}, "'ago'.*they have age, name"),
        ({"name": (0.0, 1.0)}, "'name', which holds text"),
        ({"age": (1.0, 0.0)}, "'age'.*ascending"),
    ],
)
def test_bins_that_cannot_be_used_are_refused(bins: dict[str, tuple[float, ...]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        learn_spec(rows(features={"age": AGE, "name": NAME}), BINARY, bins=bins)


def test_losses_follow_the_task() -> None:
    assert learn_spec(rows(), BINARY).losses == (Loss("error"), Loss("brier"))
    assert learn_spec(rows(), MULTICLASS).losses == (Loss("error"),)
    assert learn_spec(rows(), Spec(losses=(Loss("brier"),))).losses == (Loss("brier"),)
    assert learn_spec(rows(), REGRESSION).losses == ()


def test_regression_losses_are_capped_by_the_baselines_own_errors() -> None:
    truth, value = G.normal(size=N), G.normal(size=N)
    truth[:10], value[5:15] = np.nan, np.nan
    spec = learn_spec(rows(value=NumberColumn.of(value)), REGRESSION, label=NumberColumn.of(truth))
    cap = np.nanquantile(np.abs(truth - value), 0.99)
    assert spec.losses == (Loss("absolute_error", cap), Loss("squared_error", cap**2))
    for label in (NumberColumn.of(np.full(N, np.nan)), NumberColumn.of(value), NAME, None):
        assert learn_spec(rows(value=NumberColumn.of(value)), REGRESSION, label=label).losses == ()


def test_classes_are_the_commonest_of_decisions_and_outcomes() -> None:
    decision = CodedColumn.of((["cat"] * 5 + ["dog"] * 3 + [None] * 2) * (N // 10))
    label = NumberColumn.of(np.repeat([7.0, 7.0, 7.0, 7.0, 8.0], N // 5))
    assert learn_spec(rows(decision=decision), MULTICLASS, label=label).classes == ("7", "cat", "dog", "8")
    assert learn_spec(rows(decision=decision), Spec(task="multiclass", classes=("dog",))).classes == ("dog",)
    assert learn_spec(rows(decision=decision), BINARY).classes == ()
    many = CodedColumn(tuple(f"c{i:02}" for i in range(40)), (np.arange(N) % 40).astype(np.int32))
    assert learn_spec(rows(decision=many), MULTICLASS).classes == tuple(f"c{i:02}" for i in range(20))


def test_slices_keep_as_many_levels_as_there_are_rows_for() -> None:
    def slices(levels: int, *names: str) -> dict[str, CodedColumn]:
        codes = (G.random(N) ** 2 * levels).astype(np.int32)
        return {name: CodedColumn(tuple(f"l{i:02}" for i in range(levels)), codes) for name in names}

    batch = rows(slices=slices(50, "a", "b") | slices(2, "sex"))
    wide = learn_spec(batch, BINARY, ("a", "b", "sex"))
    assert wide.slice_count == 1 + 51 + 51 + 3
    crossed = learn_spec(batch, BINARY, ("a", "b", "sex"), intersections=(("a", "b"), ("a", "sex")))
    assert 150 < crossed.slice_count <= 200
    assert crossed.slices[0].levels == wide.slices[0].levels[: len(crossed.slices[0].levels)]
    assert crossed.slices[2].levels == wide.slices[2].levels
    unknown = learn_spec(batch, BINARY, ("a", "gone"), intersections=(("a", "gone"),))
    assert [s.name for s in unknown.slices] == ["a"]
    assert unknown.intersections == ()
    with pytest.raises(ValueError, match="slice_cap"):
        learn_spec(batch, Spec(slice_cap=3), ("a", "b"), intersections=(("a", "b"),))


def test_the_fields_of_a_codebook_are_its_own() -> None:
    matrix = G.normal(size=(N, 4))
    book = learn_codebook("text", matrix)
    columns: dict[str, Column] = {"age": AGE, **book.columns(matrix)}
    spec = learn_spec(rows(features=columns), BINARY, codebooks=(book,))
    assert [f.name for f in spec.fields[2:]] == ["age", "text.nearest", "text.distance"]
    assert spec.fields[-2:] == book.fields
    assert Spec.from_json(spec.to_json()) == spec
