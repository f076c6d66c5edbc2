"""What columns of outputs mean to ``calidris baseline build``, in the forms in which libraries write it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from shell import Done, run

from calidris.baseline import Baseline, read

N = 3000
BEGIN_S = 1_767_225_600
MICROSECONDS = np.random.default_rng(3).integers(1000, 900_000, N)
TIMED = ("--time", "ts")


def columns(**other: Any) -> dict[str, Any]:
    """Rows of 50 windows of five minutes."""
    age = np.random.default_rng(7).normal(40, 10, N)
    return {"age": age, "ts": BEGIN_S + 5 * np.arange(N), "score": np.linspace(0.0, 1.0, N)} | other


Build = Callable[..., tuple[Done, Baseline]]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    config = tmp_path / "calidris.yaml"
    config.write_text("models: [{name: credit, windows: [5m]}, {name: price, task: regression, windows: [5m]}]\n")

    def build(data: dict[str, Any], *more: object, model: str = "credit") -> tuple[Done, Baseline]:
        path, out = tmp_path / "rows.parquet", tmp_path / "made.calidris"
        pyarrow.parquet.write_table(pa.table(data), path)
        done = run("baseline", "build", "-c", config, "--model", model, "--data", path, "-o", out, *more)
        assert done.code == 0, done.err
        return done, read(out)

    return build


def counts(made: Baseline, name: str) -> list[int]:
    at = [field.name for field in made.spec.fields].index(name)
    found: list[int] = made.counts.field(at).tolist()
    return found


@pytest.mark.parametrize("unit", ["s", "ms"])
def test_a_length_of_time_has_its_unit_by_itself(build: Build, unit: str) -> None:
    _, expected = build(columns(took=MICROSECONDS / 1e6), *TIMED, "--duration", "took")
    lengths = pa.array(MICROSECONDS, pa.duration("us"))
    _, made = build(columns(took=lengths), *TIMED, "--duration", "took", "--duration-unit", unit)
    assert counts(made, "ml.prediction.duration") == counts(expected, "ml.prediction.duration")


@pytest.mark.parametrize(
    ("said", "errors"),
    [
        (["False", "True", "false"], 1000),
        (["0", "1", ""], 1000),
        (["None", "Timeout", "nan"], 1000),
        ([None, "Timeout", "<NA>"], 1000),
        (["Timeout", "Reset", "none of these"], 3000),
    ],
    ids=str,
)
def test_texts_that_say_that_there_was_no_error_are_none(build: Build, said: list[Any], errors: int) -> None:
    done, _ = build(columns(failure=pa.array(said * 1000)), *TIMED, "--error", "failure")
    assert f"column 'failure': errors: {errors:,} rows" in done.out
    assert ("most rows have an error" in done.out) is (errors == N)


@pytest.mark.parametrize("gap", ["", "nan", "<NA>"])
def test_a_label_that_is_no_class_is_none(build: Build, gap: str) -> None:
    done, made = build(columns(label=pa.array(["1", "0", gap] * 1000)), *TIMED)
    assert made.labels.count == 2000
    assert "column 'label': empty: 1,000 rows, the first is row 3" in done.out


def test_label_times_without_times_are_told(build: Build) -> None:
    known = BEGIN_S + np.arange(N)
    done, _ = build(columns(label=np.arange(N) % 2, known=known), "--label-time", "known")
    assert "--label-time is of no use without --time" in done.out


def fields(made: Baseline) -> set[str]:
    """Features and outputs; of calls every baseline has both."""
    return {field.name for field in made.spec.fields} - {"ml.prediction.error", "ml.prediction.duration"}


PRICES = np.random.default_rng(5).normal(100.0, 20.0, N)


@pytest.mark.parametrize("name", ["value", "prediction"])
def test_the_output_of_a_regression_is_a_number_whatever_it_is_called(build: Build, name: str) -> None:
    said = PRICES + np.random.default_rng(6).normal(0.0, 3.0, N)
    table = {"score": PRICES * 2, name: said, "label": PRICES}
    _, made = build(table, model="price")
    assert made.labels.count == N
    assert fields(made) == {"score", "ml.prediction.value"}


def test_a_value_of_a_model_of_classes_is_a_feature(build: Build) -> None:
    _, made = build(columns(value=PRICES, label=np.arange(N) % 2), *TIMED)
    assert fields(made) == {"age", "value", "ml.prediction.score"}


def test_two_columns_that_may_be_the_output_are_refused(build: Build) -> None:
    with pytest.raises(AssertionError, match="'value' and 'prediction' may each be what the model predicted"):
        build({"value": PRICES, "prediction": PRICES, "label": PRICES}, model="price")
    _, made = build(
        {"value": PRICES, "prediction": PRICES + 1, "label": PRICES}, "--value", "prediction", model="price"
    )
    assert fields(made) == {"value", "ml.prediction.value"}
