"""``calidris compat evidently``: a table that can be read, JSON that can be used, errors that name file and cure."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from shell import Done, run

LEVELS = np.array([f"city {i}" for i in range(20)])


def rows(seed: int, n: int, shift: float = 0.0) -> pa.Table:
    rng = np.random.default_rng(seed)
    share = 1.0 / np.arange(1, 21)
    return pa.table(
        {
            "income": rng.normal(shift, 1.0, n),
            "city": rng.choice(LEVELS, n, p=share / share.sum()),
            "day": [datetime.date(2026, 1, 1 + i % 28) for i in range(n)],
            "embedding": [[1.0, 2.0]] * n,
        }
    )


def saved(path: Path, table: pa.Table) -> Path:
    if path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    else:
        pyarrow.parquet.write_table(table, path)
    return path


@pytest.fixture
def baseline(tmp_path: Path) -> Path:
    return saved(tmp_path / "train.parquet", rows(1, 10_000))


def compat(baseline: Path, window: Path, *more: str) -> Done:
    return run("compat", "evidently", "--baseline", baseline, "--window", window, *more)


def test_small_windows_drift_there_and_are_chance_here(tmp_path: Path, baseline: Path) -> None:
    """The same shares, 100 rows: the distance of twenty levels is over 0.1 by sampling alone."""
    done = compat(baseline, saved(tmp_path / "today.parquet", rows(3, 100)))
    assert done.code == 0 and done.err == ""
    city = next(line for line in done.out.splitlines() if line.strip().startswith("city"))
    assert "Jensen-Shannon distance" in city and " drift " in city and "no more than chance" in city
    assert "called drift there, no more than chance here: city" in done.out
    assert "a type that tool leaves out" in done.out
    assert "baseline 10000 rows, window 100 rows" in done.out


def test_json(tmp_path: Path, baseline: Path) -> None:
    done = compat(baseline, saved(tmp_path / "today.parquet", rows(3, 10_000, shift=0.07)), "--json")
    said = json.loads(done.out)
    assert (said["profile"], said["baseline_rows"], said["window_rows"]) == ("evidently", 10_000, 10_000)
    assert [c["column"] for c in said["columns"]] == ["income", "city", "day"]
    income, _, day = said["columns"]
    assert income["test"] == "Wasserstein distance (normed)" and income["drifted"] is False
    ours = income["calidris"]
    assert ours["finding"] == "more than chance" and ours["lower"] <= ours["psi_debiased"] <= ours["upper"]
    assert (ours["n"], ours["status"]) == (10_000, "ok") and ours["p_value"] < 0.01
    assert (day["test"], day["score"], day["drifted"]) == (None, None, None) and day["why_no_verdict"]
    assert said["drifted"] is False


def test_few_rows_are_no_answer_here(tmp_path: Path, baseline: Path) -> None:
    window = saved(tmp_path / "today.parquet", rows(3, 20))
    ours = json.loads(compat(baseline, window, "--json").out)["columns"][0]["calidris"]
    assert (ours["psi_debiased"], ours["p_value"]) == (None, None)
    assert (ours["status"], ours["finding"]) == ("too_few", "cannot be told")
    assert "too_few" in compat(baseline, window).out


def test_csv_and_a_column_of_one_side(tmp_path: Path, baseline: Path) -> None:
    window = saved(tmp_path / "today.csv", rows(3, 500).select(["income"]))
    done = compat(baseline, window)
    assert done.code == 0 and "not in the window" in done.out and "not in both tables" in done.out


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("none.parquet", None, "there is no such file; pass a .parquet or .csv file"),
        ("broken.parquet", b"PK nothing", "cannot be read as Parquet"),
        ("empty.csv", b"", "cannot be read as CSV"),
        ("no_rows.csv", b"income,city\n", "has no rows: there is nothing to compare"),
        ("other.csv", b"a,b\n1,2\n", "has no column of"),
        ("twice.csv", b"income,income\n1,2\n", "column 'income' is there more than once, as columns 1 and 2"),
        ("ragged.csv", b"income,city\n1,a\n2\n", "row 2 has 1 cells and the header 2"),
        ("latin.csv", "income,city\n1,Köln\n".encode("latin-1"), "column 'city', row 1: its bytes are no UTF-8"),
        ("head.csv", "größe\n1\n".encode("latin-1"), "its header is no UTF-8"),
        ("rows", b"income,city\n1,a\n", "does not begin as Parquet does and is not called .csv"),
    ],
)
def test_errors_name_the_file_and_the_cure(
    tmp_path: Path, baseline: Path, name: str, content: bytes | None, expected: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    done = compat(baseline, path)
    (line,) = done.err.splitlines()
    assert done.code == 2 and line.startswith(f"calidris: {path}: ") and expected in line


def test_a_folder_and_a_file_that_was_cut(tmp_path: Path, baseline: Path) -> None:
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(baseline.read_bytes()[:-100])
    for path, expected in ((tmp_path, "is a directory"), (cut, "cannot be read as Parquet")):
        (line,) = compat(baseline, path).err.splitlines()
        assert line.startswith(f"calidris: {path}: ") and expected in line


def test_columns_that_cannot_be_compared(tmp_path: Path) -> None:
    path = saved(tmp_path / "odd.parquet", rows(1, 10).select(["embedding"]).append_column("b", pa.array([b"x"] * 10)))
    done = compat(path, path)
    assert done.code == 2 and "has no column to compare" in done.err


def test_types_that_pandas_would_leave_out_are_shown(tmp_path: Path) -> None:
    n = 60
    odd = pa.table(
        {
            "nothing": pa.nulls(n),
            "decimal": pa.array([1.5] * n).cast(pa.decimal128(5, 2)),
            "time": pa.array([datetime.time(1, 2)] * n),
            "span": pa.array([datetime.timedelta(seconds=1)] * n),
            "stamp": pa.array([datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)] * n),
            "coded": pa.array(["a", "b"] * (n // 2)).dictionary_encode(),
        }
    )
    path = saved(tmp_path / "odd.parquet", odd)
    said = json.loads(compat(path, path, "--json").out)
    assert [c["type"] for c in said["columns"]] == ["other"] * 5 + ["categorical"]
    assert said["drifted"] is False
