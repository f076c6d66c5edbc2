"""``calidris baseline build`` takes a column for what the SDK would send of it, or for what somebody states."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from shell import Done, run

from calidris.baseline import read
from calidris.state import Kind

N = 600
SETTINGS = "models: [{name: m, types: {zip: text}}, {name: plain}]\n"
ZIPS = np.random.default_rng(1).choice([1067, 10115, 80331], N)


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Done]:
    config = tmp_path / "calidris.yaml"
    config.write_text(SETTINGS)

    def build(columns: dict[str, Any], *more: object, name: str = "rows.csv", model: str = "plain") -> Done:
        path = tmp_path / name
        frame = pd.DataFrame({"age": np.arange(float(N)), **columns})
        if name.endswith("csv"):
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path, index=False)
        out = tmp_path / "made.calidris"
        return run("baseline", "build", "-c", config, "--model", model, "--data", path, "-o", out, *more)

    return build


def levels(tmp_path: Path, name: str) -> tuple[str, ...]:
    """Levels of a field that was learned; none of a number."""
    spec = read(tmp_path / "made.calidris").spec
    (found,) = (f for f in spec.fields if f.name == name)
    return tuple(sorted(found.levels))


def test_whole_numbers_with_a_zero_in_front_are_codes(build: Callable[..., Done], tmp_path: Path) -> None:
    assert build({"zip": [f"{z:05d}" for z in ZIPS]}).code == 0
    assert levels(tmp_path, "zip") == ("01067", "10115", "80331")


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
@pytest.mark.parametrize(("model", "option"), [("m", ()), ("plain", ("--types", "zip=text"))])
def test_a_type_is_stated_in_the_settings_or_the_command(
    build: Callable[..., Done], tmp_path: Path, name: str, model: str, option: tuple[str, ...]
) -> None:
    assert build({"zip": ZIPS}, *option, name=name, model=model).code == 0
    assert levels(tmp_path, "zip") == ("10115", "1067", "80331")


def test_numbers_and_truth_values_stored_as_text(build: Callable[..., Done], tmp_path: Path) -> None:
    columns = {"zip": ZIPS, "price": [f"{k % 9}.5" for k in range(N)], "paid": ["True", "false", None] * (N // 3)}
    assert build(columns, "--types", "price=number", "--types", "paid=boolean", name="rows.parquet").code == 0
    fields = {f.name: f for f in read(tmp_path / "made.calidris").spec.fields}
    assert fields["price"].kind is Kind.NUMERIC and fields["price"].edges[-1] == 8.5
    assert fields["paid"].edges == (0.0, 0.5, 1.0)


@pytest.mark.parametrize(
    ("columns", "options", "said"),
    [
        (
            {"price": ["1.5", "1,5"] * (N // 2)},
            ("--types", "price=number"),
            "column 'price', row 2: '1,5' is no number, and",
        ),
        ({"price": [1.5] * N}, ("--types", "cost=number"), "there is no column 'cost', of which `types` states one"),
        ({"price": [1.5] * N}, ("--types", "price=date"), "--types price=date: write NAME=TYPE, where TYPE is one of"),
        (
            {"day": pd.date_range("2026-01-01", periods=N)},
            ("--features", "day"),
            "feature 'day' is date32[day], which the SDK does not send: give the model numbers made of it",
        ),
    ],
)
def test_what_cannot_be_is_one_line(build: Callable[..., Done], columns: Any, options: Any, said: str) -> None:
    done = build(columns, *options)
    (line,) = done.err.splitlines()
    assert done.code == 2 and said in line, done


def test_what_never_arrives_is_listed(build: Callable[..., Done]) -> None:
    columns = {"country": ["nl", "de"] * (N // 2), "day": pd.date_range("2026-01-01", periods=N)}
    done = build({**columns, "Unnamed: 0": np.arange(N)}, name="rows.parquet")
    assert "left out: column 'Unnamed: 0': an index of the table, not of the model" in done.out
    assert "left out: column 'day': timestamp[" in done.out
    assert "text leaves the service only where it is allowed: allow=['country']" in done.out.replace("\n", " ")
