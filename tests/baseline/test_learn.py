"""Edges, bundles and tables of baselines."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engine.conftest import baseline

from calidris.baseline import Baseline, read, write
from calidris.baseline.learn import MIN_CELL_ROWS, learn_edges
from calidris.baseline.row_files import TableColumns, read_rows
from calidris.batch import CodedColumn, ModelKey, NumberColumn
from calidris.errors import ConfigError, CorruptState
from calidris.state import Field, Kind, Role

KEY = ModelKey("default", "credit", "7")
NAMES = TableColumns(time="ts")

numbers = st.one_of(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=300),
    st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=300),
    st.lists(st.sampled_from([0.0, 0.0, 0.0, 1.5, 1e12]), min_size=1, max_size=300),
)


@given(numbers)
def test_every_baseline_row_has_a_bin_and_every_bin_has_rows(values: list[float]) -> None:
    array = np.array(values)
    f = Field("x", Role.FEATURE, Kind.NUMERIC, edges=learn_edges(array))
    cells = f.encode(NumberColumn.of(array), len(array))
    counts = np.bincount(cells, minlength=f.width)
    assert counts[f.ordered :].sum() == 0
    assert f.ordered <= 20 and (f.ordered == 1 or counts[: f.ordered].min() >= MIN_CELL_ROWS)


def test_a_bundle_round_trips_to_the_bit_and_notices_a_change(tmp_path: Path) -> None:
    made, path = baseline(), tmp_path / "b" / "credit.calidris"
    write(made, path)
    found = read(path)
    assert found.id == made.id and found.to_bytes() == made.to_bytes() == path.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    other = replace(made, counts=made.counts.copy())
    other.counts.array[0] += 1
    with zipfile.ZipFile(io.BytesIO(other.to_bytes())) as bundle:
        parts = {name: bundle.read(name) for name in bundle.namelist()}
    with zipfile.ZipFile(path, "w") as bundle:
        for name, data in parts.items():
            bundle.writestr(name, data.replace(other.id.encode(), made.id.encode()))
    with pytest.raises(CorruptState, match=r"credit\.calidris"):
        read(path)


@given(st.binary(max_size=200))
def test_other_bytes_are_no_baseline(data: bytes) -> None:
    with pytest.raises(CorruptState):
        Baseline.from_bytes(data)


def test_longer_windows_are_sums_of_the_stored_ones() -> None:
    made = baseline(windows=120, n=20)
    two = made.windows_of(2.0)
    assert two is not None and len(two) == 60
    assert np.array_equal(two, made.windows.reshape(60, 2, -1).sum(axis=1))
    assert made.windows_of(60.0) is None, "two windows say nothing about their spread"
    assert made.windows_of(1.5) is None


def table() -> pa.Table:
    times = [datetime(2026, 1, 1, 0, 0, s, tzinfo=UTC) for s in range(4)]
    return pa.table(
        {
            "age": pa.array([1, None, 3, 4]),
            "smoker": pa.array([True, False, None, True]),
            "country": pa.array(["NL", None, "DE", "NL"]),
            "score": pa.array([0.1, 0.2, 0.3, 0.4]),
            "label": pa.array([0, 1, 0, 1]),
            "ts": pa.array(times, type=pa.timestamp("us", tz="UTC")),
        }
    )


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_tables_are_read_with_nulls_kinds_and_times(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"rows.{kind}"
    (pyarrow.parquet.write_table if kind == "parquet" else pyarrow.csv.write_csv)(table(), path)
    found = read_rows(path, NAMES, KEY, optional=("score", "label", "decision"))
    age, country = found.batch.features["age"], found.batch.features["country"]
    assert isinstance(age, NumberColumn) and age.valid.tolist() == [True, False, True, True]
    assert isinstance(country, CodedColumn)
    assert sorted(found.batch.features) == ["age", "country", "smoker"]
    assert found.batch.event_time_ns.tolist() == [1767225600_000_000_000 + s * 10**9 for s in range(4)]
    assert found.timed and found.label is not None


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(table(), path)
    with pytest.raises(ConfigError, match=r"no column 'when'; its columns are age, smoker"):
        read_rows(path, TableColumns(time="when"), KEY, optional=("decision",))
    with pytest.raises(ConfigError, match="there is no such file"):
        read_rows(tmp_path / "absent.csv", NAMES, KEY)
