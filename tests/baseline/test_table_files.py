"""Files in blocks: the same types, rows and baseline as of the whole file at once."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from calidris.baseline import BaselineColumns, Wanted, first_pass, table_files
from calidris.baseline import build as build_at_once
from calidris.baseline.file_baselines import Built, build_from_file
from calidris.baseline.first_pass import places_to_learn_from
from calidris.baseline.roles import TableColumns, assign_roles
from calidris.baseline.row_files import RowReader, read_rows
from calidris.baseline.table_files import open_table, tell_nobody
from calidris.batch import ModelKey
from calidris.errors import ConfigError
from calidris.state import Spec

KEY = ModelKey("default", "credit", "baseline")
CELLS = {
    "null": "",
    "int": "7",
    "zero": "0",
    "bool": "true",
    "day": "2026-01-01",
    "second": "2026-01-01 10:00:00",
    "fraction": "2026-01-01 10:00:00.123",
    "zoned": "2026-01-01 10:00:00Z",
    "double": "1.5",
    "text": "007x",
}


@pytest.mark.parametrize("kinds", list(itertools.permutations(CELLS, 2)), ids="-".join)
def test_a_csv_column_has_the_type_of_the_whole_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: tuple[str, str]
) -> None:
    """The second kind of cell comes blocks later than the first."""
    monkeypatch.setattr(table_files, "BLOCK_BYTES", 64)
    path = tmp_path / "rows.csv"
    first, then = (CELLS[kind] for kind in kinds)
    path.write_text("a,b\n" + f"{first},1\n" * 50 + f"{then},1\n" * 50)
    table = open_table(path)
    # Empty cells of texts are missing, as those of all other types are; "1" and "0" are numbers, and no truth values.
    options = pyarrow.csv.ConvertOptions(strings_can_be_null=True, true_values=["true"], false_values=["false"])
    expected = pyarrow.csv.read_csv(path, convert_options=options)
    assert (table.schema, table.rows) == (expected.schema, 100)
    assert pa.concat_tables(table.blocks(["a", "b"])) == expected


def test_a_line_break_in_a_cell_is_no_new_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_files, "BLOCK_BYTES", 64)
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n" + '"one\ntwo, 5"" wide",1\n' * 40)
    table = open_table(path)
    assert table.rows == 40
    assert set(pa.concat_tables(table.blocks(["a"]))["a"].to_pylist()) == {'one\ntwo, 5" wide'}


def rows(n: int, vectors: bool = False) -> pa.Table:
    draw = np.random.default_rng(3)
    score = draw.random(n)
    columns = {
        "age": pa.array(draw.normal(40, 10, n), mask=draw.random(n) < 0.1),
        "city": draw.choice([f"c{i}" for i in range(9)], n),
        "score": score,
        "label": (draw.random(n) < score).astype(np.int64),
        "ts": 1_767_225_600 + draw.permutation(n),
    }
    if vectors:
        columns["text"] = pa.FixedSizeListArray.from_arrays(draw.normal(size=n * 4).astype(np.float32), 4)
    return pa.table(columns)


NAMES = TableColumns(time="ts", slices=("city",), decision=None)
WANTED = Wanted(Spec(), window_s=60.0, slices=("city",))


def build(path: Path, names: TableColumns = NAMES) -> Built:
    table = open_table(path)
    reader = RowReader(path, assign_roles(table, names), KEY)
    return build_from_file(table, reader, WANTED, lambda rows, spec: None, tell_nobody)


@pytest.mark.parametrize("vectors", [False, True])
def test_a_file_that_fits_gives_the_baseline_of_its_rows_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vectors: bool
) -> None:
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(rows(5000, vectors), path)
    names = replace(NAMES, embeddings=("text",)) if vectors else NAMES
    whole: BaselineColumns = read_rows(path, names, KEY)
    expected = build_at_once(whole, WANTED.template, window_s=60.0, slices=("city",))
    monkeypatch.setattr(table_files, "BLOCK_ROWS", 700)
    assert build(path, names).baseline.to_bytes() == expected.to_bytes()


@pytest.mark.parametrize("vectors", [False, True])
def test_of_a_longer_file_every_row_is_counted_under_what_a_part_taught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, vectors: bool
) -> None:
    monkeypatch.setattr(first_pass, "LEARNED_ROWS", 1000)
    monkeypatch.setattr(table_files, "BLOCK_ROWS", 700)
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(rows(5000, vectors), path)
    names = replace(NAMES, embeddings=("text",)) if vectors else NAMES
    found = build(path, names)
    made = found.baseline
    assert found.learned_rows == 1000
    # One in four of the rows that were learned from placed centroids.
    assert made.rows == (4750 if vectors else 5000)
    assert made.windows.sum(axis=0).tolist() == made.counts.array.tolist()
    # Labels know nothing of centroids.
    assert made.labels.count == 5000
    assert build(path, names).baseline.id == made.id, "the same file gives the same baseline"
    if not vectors:
        whole = read_rows(path, names, KEY)
        assert (
            made.counts.array.tolist()
            == np.bincount(made.spec.encode(whole.batch).ravel(), minlength=made.spec.cells).tolist()
        )


def test_rows_to_learn_from_are_evenly_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_pass, "LEARNED_ROWS", 1000)
    places = places_to_learn_from(70_001, 25)
    assert len(places) == 1000 and (np.diff(places) > 0).all() and places[-1] < 70_001
    assert np.unique(places % 70).size == 70, "no rhythm of the file is met"
    assert len(places_to_learn_from(70_001, 32_000 * 100)) == 10


def test_more_windows_than_can_be_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calidris.baseline.file_baselines.WINDOW_CELLS", 1000)
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(rows(5000), path)
    with pytest.raises(
        ConfigError, match=r"its rows lie in 84 windows of 60 s, and .* are the most: give rows of a shorter"
    ):
        build(path)
