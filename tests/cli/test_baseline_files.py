"""``calidris baseline build`` trusts nothing: what cannot be used is one line with file, column, row, value and cure."""

from __future__ import annotations

import io
import os
import resource
import shlex
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from shell import Done, run

from calidris.baseline import read
from calidris.state import Role

N = 3000
BEGIN_S = 1_767_225_600
SECONDS = BEGIN_S + 5 * np.arange(N)
SCORES = np.linspace(0.0, 1.0, N)
Write = Callable[..., Path]


def columns(**other: Any) -> dict[str, Any]:
    """Rows of 50 windows of five minutes."""
    age = np.random.default_rng(7).normal(40, 10, N)
    return {"age": age, "ts": SECONDS, "score": SCORES, "label": np.arange(N) % 2} | other


@pytest.fixture
def build(tmp_path: Path) -> Callable[..., Done]:
    """Builds from a table, from the bytes of a file, or from what is there."""
    config = tmp_path / "calidris.yaml"
    config.write_text("models: [{name: credit, windows: [5m]}, {name: price, task: regression}]\n")

    def build(data: Any, *more: object, name: str = "rows.parquet", model: str = "credit") -> Done:
        path = tmp_path / name
        if isinstance(data, bytes):
            path.write_bytes(data)
        elif data is not None:
            pyarrow.parquet.write_table(data if isinstance(data, pa.Table) else pa.table(data), path)
        out = tmp_path / "made.calidris"
        return run("baseline", "build", "-c", config, "--model", model, "--data", path, "-o", out, *more)

    return build


def refused(done: Done, said: str) -> None:
    """One line, exit code 2."""
    (line,) = done.err.splitlines()
    assert done.code == 2 and line.startswith("calidris: ") and said in line, done


TIMED = ("--time", "ts")
NO_TEXT = pa.StringArray.from_buffers(N, pa.py_buffer(np.arange(N + 1, dtype=np.int32)), pa.py_buffer(b"\xff" * N))


@pytest.mark.parametrize(
    ("changed", "options", "said"),
    [
        (
            {"ts": SECONDS * 1000},
            TIMED,
            "rows.parquet: column 'ts', row 1: 1767225600000 as seconds since 1970 is no time between 1990 and now; "
            "as milliseconds it is 2026-01-01: add --time-unit ms",
        ),
        ({"ts": SECONDS * 10**9}, TIMED, "add --time-unit ns"),
        ({}, (*TIMED, "--time-unit", "ms"), "add --time-unit s"),
        ({"ts": pa.nulls(N)}, TIMED, "column 'ts' has no value in any row"),
        (
            {"ts": [*SECONDS[:-1], datetime(2090, 1, 1, tzinfo=UTC).timestamp()]},
            (*TIMED, "--time-unit", "s"),
            "row 3000: 3786912000.0 as seconds since 1970 is no time between 1971 and now",
        ),
        (
            {"known": SECONDS * 1000},
            (*TIMED, "--label-time", "known"),
            "column 'known', row 1: 1767225600000 as seconds",
        ),
        ({}, ("--label", "outcome"), "there is no column 'outcome'; its columns are age, ts, score, label"),
        ({}, ("--features", "age,income"), "there is no feature 'income'"),
        ({}, ("--features", "age,age"), "feature 'age' is listed twice"),
        ({}, ("--features", "age,score"), "column 'score' is named as feature and as score"),
        ({}, ("--label", "score"), "column 'score' is named as score and as label"),
        ({"score": [*SCORES[:-1], 1.2]}, (), "column 'score', row 3000: 1.2 is no probability"),
        ({"score": [*SCORES[:-1], np.inf]}, (), "column 'score', row 3000: inf is no probability"),
        ({"score": ["0.5"] * (N - 1) + ["n/a"]}, (), "column 'score', row 3000: 'n/a' is no number"),
        ({"score": ["0.5"] * N}, (), "column 'score', row 1: '0.5' is text, where numbers belong"),
        ({"score": pa.nulls(N, pa.float64())}, (), "column 'score' has no value in any row"),
        ({"label": pa.nulls(N)}, (), "column 'label' has no value in any row"),
        ({"who": [{"a": 1}] * N}, ("--features", "who"), "column 'who' is struct<a: int64>, which cannot be counted"),
        (
            {"raw": pa.array([b"\xff"] * N).dictionary_encode()},
            ("--features", "raw"),
            "column 'raw' is dictionary<values=binary, indices=int32, ordered=0>, which cannot be counted",
        ),
        ({"name": NO_TEXT}, (), "column 'name' holds text that is no UTF-8"),
        ({"weight": np.arange(N)}, ("--weight", "weight"), "column 'weight', row 1: 0 is no weight"),
        (
            {"weight": pa.array([1, None] * (N // 2))},
            ("--weight", "weight"),
            "column 'weight', row 2: (empty) is no weight",
        ),
        ({"failed": np.arange(N)}, ("--error", "failed"), "column 'failed', row 3: 2 is neither true nor false"),
        (
            {"took": ["fast"] * N},
            ("--duration", "took"),
            "column 'took', row 1: 'fast' is no number, and a duration is one",
        ),
    ],
)
def test_a_column_that_cannot_be_used(
    build: Callable[..., Done], changed: dict[str, Any], options: tuple[str, ...], said: str
) -> None:
    refused(build(columns(**changed), *options), said)


def test_outcomes_of_a_regression_are_numbers(build: Callable[..., Done]) -> None:
    rows = columns(value=SCORES, label=["1.5"] * 9 + ["much"] * (N - 9))
    refused(build(rows, model="price"), "column 'label', row 10: 'much' is no number")


def parquet(rows: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pa.table(rows), out)
    return out.getvalue()


LONG = b"age,city,score\n" + b"1,Delft,0.5\n" * 500_000


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("cut.parquet", parquet(columns())[:-200], "cut.parquet: cannot be read as Parquet"),
        ("rows", b"age,score\n1,0.5\n", "does not begin as Parquet does and is not called .csv"),
        ("empty.csv", b"", "cannot be read as CSV: Empty CSV file"),
        ("header.csv", b"age,score\n", "has no rows"),
        ("ragged.csv", b"age,score\n1,0.5\n2\n", "row 2 has 1 cells and the header 2"),
        ("ragged.csv", LONG + b"1,2\n", "row 500001 has 2 cells and the header 3"),
        ("twice.csv", b"age,age,score\n1,2,0.5\n", "column 'age' is there more than once, as columns 1 and 2"),
        ("german.csv", b"age;score\n1;0.5\n", "(age;score) are not separated by commas"),
        ("german.csv", b"age;score\n1;0,5\n", "save the file with commas between its columns"),
        ("latin.csv", LONG + "1,Münster,0.5\n".encode("latin-1"), "column 'city', row 500001: its bytes are no UTF-8"),
        ("latin.csv", "größe,score\n1,0.5\n".encode("latin-1"), "its header is no UTF-8"),
        ("wide.csv", "age,score\n1,0.5\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        ("word.csv", LONG + b"1,Delft,much\n", "column 'score', row 500001: 'much' is no number"),
    ],
)
def test_a_file_that_cannot_be_used(build: Callable[..., Done], name: str, content: bytes, said: str) -> None:
    refused(build(content, name=name), said)


def test_no_rows_no_file_and_a_folder(build: Callable[..., Done], tmp_path: Path) -> None:
    refused(build(pa.table(columns()).slice(0, 0)), "rows.parquet: has no rows")
    refused(build(None, name="absent.csv"), "absent.csv: there is no such file")
    (tmp_path / "folder").mkdir()
    refused(build(None, name="folder"), "folder: is a directory")
    same = pa.Table.from_arrays([pa.array([0.1, 0.2])] * 3, ["age", "age", "score"])
    refused(build(same), "column 'age' is there more than once, as columns 1 and 2")


@pytest.mark.parametrize(
    "times",
    [
        SECONDS.astype(np.float64),
        [datetime.fromtimestamp(s, UTC) for s in SECONDS.tolist()],
        [datetime.fromtimestamp(s, UTC).isoformat() for s in SECONDS.tolist()],
        [datetime.fromtimestamp(s, UTC).replace(tzinfo=None) for s in SECONDS.tolist()],
    ],
    ids=["numbers", "timestamps", "text", "without a zone"],
)
def test_every_form_of_the_same_times_gives_the_same_baseline(
    build: Callable[..., Done], tmp_path: Path, times: Any
) -> None:
    assert build(columns(ts=SECONDS * 1000), "--time", "ts", "--time-unit", "ms").code == 0
    expected = read(tmp_path / "made.calidris").id
    done = build(columns(ts=times), *TIMED)
    assert done.code == 0 and read(tmp_path / "made.calidris").id == expected
    naive = isinstance(times, list) and isinstance(times[0], datetime) and times[0].tzinfo is None
    assert ("no zone and were taken as UTC" in done.out) is naive


def test_rows_without_a_time_are_told_and_lie_in_no_window(build: Callable[..., Done], tmp_path: Path) -> None:
    done = build(columns(ts=pa.array(SECONDS, mask=np.arange(N) % 3 == 0)), *TIMED)
    assert "column 'ts': without a time, counted in no window: 1,000 rows, the first is row 1" in done.out
    made = read(tmp_path / "made.calidris")
    assert made.rows == N
    first = made.windows[:, : made.spec.offsets[1]]
    assert first.sum() == 2000 and len(made.window_starts) == 50


def test_outcomes_of_unknown_age_are_told_and_left_out(build: Callable[..., Done], tmp_path: Path) -> None:
    known = pa.array(SECONDS + 60, mask=np.arange(N) % 3 == 0)
    done = build(columns(known=known), *TIMED, "--label-time", "known")
    assert "column 'known': an outcome of unknown age, not counted: 1,000 rows" in done.out
    assert read(tmp_path / "made.calidris").labels.count == 2000


def test_a_hair_outside_of_the_scores_range_is_cut_off_and_counted(build: Callable[..., Done], tmp_path: Path) -> None:
    assert build(columns()).code == 0
    expected = read(tmp_path / "made.calidris").labels
    done = build(columns(score=[-0.00005, *SCORES[1:-1], 1.0001]))
    assert "column 'score': a hair outside of [0, 1], cut off there: 2 rows, the first is row 1: -5e-05" in done.out
    assert read(tmp_path / "made.calidris").labels.scores == expected.scores


def test_what_was_taken_is_told_column_by_column(build: Callable[..., Done]) -> None:
    rows = columns(
        age=pa.array(SCORES, mask=np.arange(N) % 10 == 0),
        city=[f"c{i % 60}" for i in range(N)],
        day=[date(2026, 1, 1)] * N,
        who=[{"a": 1}] * N,
    )
    index = pa.table(rows).append_column("__index_level_0__", pa.array(range(N)))
    said = build(index, *TIMED).out
    lines = [line.split() for line in said.splitlines()]
    assert ["score", "score", "double", "10", "bins", "0"] in lines
    # Of the 3000 rows one in four picked the levels of the city.
    assert f"of credit: {N} rows, {N} labelled" in said
    assert "missing of 2,250" in said
    assert ["age", "feature", "double", "10", "bins", "225"] in lines
    (city,) = (line for line in lines if line[:1] == ["city"])
    others = int(city[5])
    assert city == ["city", "feature", "string", "50", "levels,", str(others), "rows", "of", "others", "0"]
    assert 375 <= others < 450, "ten of sixty, those that are picked least"
    assert "more than 20 levels in 'city': 750 rows" in " ".join(said.split())
    for name in ("day", "who", "__index_level_0__"):
        assert f"left out: column '{name}': " in said


def test_a_column_of_ids_is_told(build: Callable[..., Done]) -> None:
    said = " ".join(build(columns(key=[f"row {i}" for i in range(N)]), *TIMED).out.split())
    assert "hardly a value of 'key' comes twice" in said
    assert "if that is an id, list the others with --features" in said


def test_no_label_by_wish(build: Callable[..., Done], tmp_path: Path) -> None:
    done = build(columns(label=pa.nulls(N)), "--label", "")
    assert done.code == 0 and "left out: column 'label': by wish" in done.out
    assert "label" not in read(tmp_path / "made.calidris").spec.feature_names


def test_rows_by_weight_count_as_many_as_they_are_worth(build: Callable[..., Done], tmp_path: Path) -> None:
    weight = np.arange(N) + 1.0
    done = build(columns(weight=weight), "--weight", "weight")
    worth = round(weight.sum() ** 2 / (weight**2).sum())
    assert f"{N:,} rows are worth {worth:,} of equal weight" in " ".join(done.out.split())
    made = read(tmp_path / "made.calidris")
    assert (made.rows, made.given_rows) == (worth, N)


PAGE = Path(__file__).parents[2] / "docs" / "baselines.md"
LINES = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("calidris baseline build ")]


@pytest.mark.parametrize("line", LINES)
def test_the_lines_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "calidris.yaml").write_text("models: [{name: credit, windows: [5m]}]\n")
    rows = columns(took=SCORES * 90 + 1, failure=["Timeout" if i % 50 == 0 else "" for i in range(N)])
    pyarrow.parquet.write_table(pa.table(rows), "rows.parquet")
    millis = columns(ts=SECONDS * 1000, known=SECONDS * 1000 + 60_000)
    pyarrow.parquet.write_table(pa.table(millis), "millis.parquet")
    done = run(*shlex.split(line)[1:])
    assert (done.code, done.err) == (0, "") and done.out.endswith("wrote credit.calidris\n")
    assert len(LINES) == 3


def test_the_refusal_that_the_page_shows(build: Callable[..., Done], tmp_path: Path) -> None:
    said = build(columns(ts=SECONDS * 1000), *TIMED).err.replace(f"{tmp_path}/", "")
    assert said in PAGE.read_text(encoding="utf-8")


MEMORY_MB = 1000
"""Of a process that builds a baseline of a file whose columns alone, as doubles, would fill a third of it."""


def limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MB << 20, MEMORY_MB << 20))


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    """Ten million rows: before, all of them were held as doubles, cells and windows at once, some 1.7 GB."""
    rows = 10_000_000
    draw = np.random.default_rng(1)
    numbers = {f"f{i}": draw.integers(0, 1000, rows).astype(np.int16) for i in range(3)}
    moments = BEGIN_S + np.arange(rows) // 100
    pyarrow.parquet.write_table(pa.table(numbers | {"ts": moments}), tmp_path / "rows.parquet")
    (tmp_path / "calidris.yaml").write_text("models: [{name: credit, windows: [1h]}]\n")
    names = ["-c", "calidris.yaml", "--model", "credit", "--data", "rows.parquet", "-o", "made.calidris"]
    # One arena and no threads of libraries: what each of them reserves is not what is asked about.
    quiet = {"MALLOC_ARENA_MAX": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "calidris.cli", "baseline", "build", *names, *TIMED],
        cwd=tmp_path,
        env={**os.environ, **quiet, "ARROW_DEFAULT_MEMORY_POOL": "system"},
        preexec_fn=limit_memory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "bins and levels were learned from 1,000,000 rows, evenly spread; all rows were counted" in done.stdout
    made = read(tmp_path / "made.calidris")
    assert made.rows == rows
    # Every row is counted exactly, in its window and in its bin.
    assert made.windows[:, : made.spec.offsets[1]].sum(axis=1).tolist() == np.bincount(moments // 3600)[-28:].tolist()
    at = made.spec.index(Role.FEATURE, "f0")
    assert at is not None
    expected = np.histogram(numbers["f0"], [-np.inf, *np.nextafter(made.spec.fields[at].edges[1:-1], np.inf), np.inf])[
        0
    ]
    assert made.counts.field(at)[: len(expected)].tolist() == expected.tolist()
