"""A column becomes the same in a baseline and in live traffic, whatever its type: rows that are drawn alike lie in the same cells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
from opentelemetry.sdk.resources import Resource
from tests.baseline.column_kinds import KINDS, NAN, WITHHELD, ColumnKind, Values

from calidris.baseline import Baseline, Wanted
from calidris.baseline.arriving import ANYTHING
from calidris.baseline.file_baselines import build_from_file
from calidris.baseline.roles import TableColumns, assign_roles
from calidris.baseline.row_files import RowReader
from calidris.baseline.row_times import Clock
from calidris.baseline.table_files import open_table, tell_nobody
from calidris.batch import Ints, ModelKey
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.core import Engine
from calidris.engine.inbox import Received
from calidris.instrument.privacy import Policy
from calidris.instrument.rows.buffered_items import Block, Series
from calidris.instrument.rows.input_table import table_of
from calidris.instrument.sending.not_sent import NotSent
from calidris.instrument.sending.packing import Encoder
from calidris.state import Role, Spec
from calidris.state.coding.fields import MISSING
from calidris.wire import decode

SECOND = 1_000_000_000
BEGIN_S = 1_767_225_600
WINDOW_ROWS, WINDOWS, LIVE = 250, 40, 20
KEY = ModelKey("default", "m", "1")


def built(path: Path, kinds: Iterable[str] = ()) -> Baseline:
    """The baseline of a file with times in ``ts``."""
    table = open_table(path)
    roles = assign_roles(table, TableColumns(score=None, label=None, decision=None, time="ts"))
    assert set(kinds) <= set(roles.left_out)
    reader = RowReader(path, roles, KEY, Clock(now_s=9e9))
    wanted = Wanted(Spec(task="binary", positive="1"), window_s=60.0)
    return build_from_file(table, reader, wanted, lambda rows, spec: None, tell_nobody).baseline


def times(n: int) -> list[int]:
    """``WINDOW_ROWS`` in each minute."""
    return (BEGIN_S + np.arange(n) * 60 // WINDOW_ROWS).tolist()


def parquet(path: Path, kind: ColumnKind, values: Values) -> Path:
    table = pa.table({"x": pa.array(values, kind.stored), "ts": times(len(values))})
    pyarrow.parquet.write_table(table, path)
    return path


def csv(path: Path, kind: ColumnKind, values: Values) -> Path:
    assert kind.csv is not None
    cells = ["" if value is None else kind.csv(value) for value in values]
    path.write_text("x,ts\n" + "".join(f"{cell},{at}\n" for cell, at in zip(cells, times(len(values)))))
    return path


def send(data: Any, begun_ns: int, policy: Policy = ANYTHING, slices: Any = None) -> list[bytes]:
    """What the SDK sends of a table, as requests."""
    table = table_of(data)
    block = Block(Series("m", "1", "binary"), begun_ns, None, (0, 0, 0), table.rows)
    block.features = table
    block.slices = None if slices is None else table_of(slices)
    encoder = Encoder(Resource({}), policy, NotSent())
    return [request.payload for request in encoder.encode([block])]


class Receiver:
    """An engine that is fed with requests, with its own baseline."""

    def __init__(self, base: Baseline, **settings: Any) -> None:
        model = ModelConfig.model_validate(
            {"name": "m", "windows": ["1m"], "detect": {"windows": ["1m"], "false_alarms": "1 per day"}, **settings}
        )
        self.engine = Engine(CalidrisConfig(models=(model,)), lambda key, _: (base, ""))
        self.records = 0

    def take(self, requests: Iterable[bytes], at_ns: int) -> None:
        for raw in requests:
            decoded = decode(raw, tenant="default", arrival_ns=at_ns)
            assert not decoded.message
            self._apply(decoded, at_ns)

    def seal(self, at_ns: int) -> None:
        self._apply(None, at_ns, at_ns)

    def _apply(self, decoded: Any, at_ns: int, seal_ns: int | None = None) -> None:
        self.records += 1
        digest = self.records.to_bytes(16, "little")
        self.engine.apply(Received(self.records, at_ns, "default", digest, 0, decoded, seal_ns, lambda: None))

    def counts(self, name: str) -> Ints:
        """Of all rows so far."""
        (model,) = self.engine.models.values()
        total = sum(pane.counts.array for _, pane in model.panes_in(0, 2**62))
        at = model.spec.index(Role.FEATURE, name)
        assert at is not None
        found: Ints = total[model.spec.offsets[at] : model.spec.offsets[at + 1]]
        return found

    def alarms(self) -> list[str]:
        return [feature.name for alarm in self.engine.alarms for feature in alarm.features]


def windows_of(kind: ColumnKind, seed: int, form: Any, change: Any = None) -> Iterator[tuple[int, Any]]:
    """Live windows drawn as the baseline's rows were: begin and column."""
    rng = np.random.default_rng(seed)
    for number in range(LIVE):
        values = kind.draw(rng, WINDOW_ROWS)
        values = values if change is None else list(map(change, values))
        yield (BEGIN_S + 60 * number) * SECOND, form(values)


def watch(base: Baseline, windows: Iterable[tuple[int, Any]]) -> Receiver:
    receiver = Receiver(base)
    for begin_ns, column in windows:
        receiver.take(send({"x": column}, begin_ns), begin_ns)
        receiver.seal(begin_ns + 60 * SECOND)
    return receiver


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], tuple[Baseline, Values]]:
    """A baseline of each type from each kind of file, and its values."""
    folder = tmp_path_factory.mktemp("files")
    found = {}
    for name, kind in KINDS.items():
        values = kind.draw(np.random.default_rng(1), WINDOWS * WINDOW_ROWS)
        place = folder / name.replace(" ", "-")
        found[name, "parquet"] = built(parquet(place.with_suffix(".parquet"), kind, values)), values
        if kind.csv is not None:
            found[name, "csv"] = built(csv(place.with_suffix(".csv"), kind, values)), values
    return found


CELLS = [
    (name, file, form)
    for name, kind in KINDS.items()
    for file in ("parquet", "csv")
    for form in kind.forms
    if file == "parquet" or kind.csv is not None
]


@pytest.mark.parametrize(("name", "file", "form"), CELLS)
def test_the_same_rows_lie_in_the_same_cells(files: Any, name: str, file: str, form: str) -> None:
    base, values = files[name, file]
    receiver = Receiver(base)
    receiver.take(send({"x": KINDS[name].forms[form](values)}, BEGIN_S * SECOND), BEGIN_S * SECOND)
    at = base.spec.index(Role.FEATURE, "x")
    assert receiver.counts("x").tolist() == base.counts.field(at).tolist()


@pytest.mark.parametrize(("name", "file"), sorted({(name, file) for name, file, _ in CELLS}))
def test_rows_drawn_alike_raise_nothing_and_a_fault_is_found(files: Any, name: str, file: str) -> None:
    base, _ = files[name, file]
    kind = KINDS[name]
    form = next(iter(kind.forms.values()))
    quiet = watch(base, windows_of(kind, 2, form))
    assert quiet.alarms() == []
    # Changed values may not fit the type, and come as they are.
    loud = watch(base, windows_of(kind, 2, list, kind.changed))
    assert "x" in loud.alarms()


@pytest.mark.parametrize(("name", "form"), [(name, form) for name, kind in WITHHELD.items() for form in kind.forms])
@pytest.mark.parametrize("file", ["parquet", "csv"])
def test_what_the_sdk_withholds_is_no_feature_of_a_baseline(tmp_path: Path, name: str, form: str, file: str) -> None:
    kind = WITHHELD[name]
    if file == "csv" and kind.csv is None:
        return
    values = kind.draw(np.random.default_rng(1), 1000)
    write = csv if file == "csv" else parquet
    base = built(write(tmp_path / f"rows.{file}", kind, values), ["x"])
    (raw,) = send({"x": kind.forms[form](values), "y": [1.0] * len(values)}, BEGIN_S * SECOND)
    (batch,) = decode(raw, tenant="default", arrival_ns=BEGIN_S * SECOND).items
    assert list(batch.features) == ["y"]
    assert base.spec.index(Role.FEATURE, "x") is None


def frame(rng: np.random.Generator, n: int) -> dict[str, Values]:
    return {name.replace(" ", "_"): kind.draw(rng, n) for name, kind in KINDS.items() if name != "float16"}


def as_pandas(columns: dict[str, Values]) -> Any:
    return pd.DataFrame({name: pd.Series(values) for name, values in columns.items()})


def as_polars(columns: dict[str, Values]) -> Any:
    return pl.DataFrame({name: pl.Series(values, strict=False) for name, values in columns.items()})


def as_rows(columns: dict[str, Values]) -> Any:
    return [dict(zip(columns, row)) for row in zip(*columns.values())]


@pytest.mark.parametrize("form", [as_pandas, as_polars, as_rows])
@pytest.mark.parametrize("file", ["pandas.parquet", "pandas.csv", "polars.parquet", "polars.csv"])
def test_whole_tables(tmp_path: Path, form: Any, file: str) -> None:
    """As libraries write and hold them, with the index that pandas writes too."""
    columns = frame(np.random.default_rng(3), 2000)
    if file.endswith("csv"):
        del columns["timedelta"]
    path = tmp_path / file
    write_table(path, {**columns, "ts": times(2000)})
    base = built(path)
    receiver = Receiver(base)
    receiver.take(send(form(columns), BEGIN_S * SECOND), BEGIN_S * SECOND)
    names = [name for _, name in base.spec.sent_features]
    assert sorted(names) == sorted(columns)
    for name in names:
        at = base.spec.index(Role.FEATURE, name)
        assert receiver.counts(name).tolist() == base.counts.field(at).tolist(), name


def write_table(path: Path, columns: dict[str, Values]) -> None:
    match path.name:
        case "pandas.parquet":
            as_pandas(columns).sort_values("ts", ascending=False).to_parquet(path)
        case "pandas.csv":
            as_pandas(columns).to_csv(path)
        case "polars.parquet":
            as_polars(columns).write_parquet(path)
        case "polars.csv":
            as_polars(columns).write_csv(path)


def test_pandas_reads_the_cells_of_a_file_as_a_baseline_does(tmp_path: Path) -> None:
    cells = ["nl", "", "NA", '""', "None", "n/a", "nan", "NULL", "de", " "] * 30
    path = tmp_path / "rows.csv"
    path.write_text(
        "x,y,ts\n" + "".join(f"{cell},{k % 7},{at}\n" for k, (cell, at) in enumerate(zip(cells, times(300))))
    )
    base = built(path)
    receiver = Receiver(base)
    receiver.take(send(pd.read_csv(path), BEGIN_S * SECOND), BEGIN_S * SECOND)
    for name in ("x", "y"):
        at = base.spec.index(Role.FEATURE, name)
        assert receiver.counts(name).tolist() == base.counts.field(at).tolist()
    at = base.spec.index(Role.FEATURE, "x")
    assert base.counts.field(at)[base.spec.fields[at].ordered + MISSING] == 210


@pytest.mark.parametrize(
    "cells", [["0x1F", "0x20"], ["True", "1", "0"], ["True", "FALSE", ""], ["+5", " 6", "7 "]], ids=str
)
def test_a_cell_is_a_number_where_pandas_takes_it_for_one(tmp_path: Path, cells: list[str]) -> None:
    path = tmp_path / "rows.csv"
    lines = [f"{cells[row % len(cells)]},{at}" for row, at in enumerate(times(300))]
    path.write_text("x,ts\n" + "\n".join(lines) + "\n")
    base = built(path)
    receiver = Receiver(base)
    receiver.take(send(pd.read_csv(path), BEGIN_S * SECOND), BEGIN_S * SECOND)
    at = base.spec.index(Role.FEATURE, "x")
    assert receiver.counts("x").tolist() == base.counts.field(at).tolist()


def test_an_empty_text_between_numbers_is_a_gap(tmp_path: Path) -> None:
    values = [25, None, 31.5] * 100
    base = built(parquet(tmp_path / "rows.parquet", KINDS["float64"], values))
    receiver = Receiver(base)
    receiver.take(send({"x": ["" if value is None else value for value in values]}, BEGIN_S * SECOND), BEGIN_S * SECOND)
    at = base.spec.index(Role.FEATURE, "x")
    assert receiver.counts("x").tolist() == base.counts.field(at).tolist()


@pytest.mark.parametrize(
    "column",
    [pd.Series(pd.period_range("2026-01", periods=300, freq="h")), pd.Series(pd.IntervalIndex.from_breaks(range(301)))],
    ids=["period", "interval"],
)
def test_objects_that_are_no_feature_are_left_out(tmp_path: Path, column: Any) -> None:
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"x": column, "y": np.arange(300.0), "ts": times(300)}).to_parquet(path)
    base = built(path, ["x"])
    assert [name for _, name in base.spec.sent_features] == ["y"]


def test_an_index_is_no_feature_whatever_it_is_called(tmp_path: Path) -> None:
    rows = pd.DataFrame({"x": np.arange(300.0), "ts": times(300)}, index=pd.Index([*range(300)], name="customer"))
    rows.to_parquet(tmp_path / "named.parquet")
    assert [name for _, name in built(tmp_path / "named.parquet", ["customer"]).spec.sent_features] == ["x"]
    rows.rename_axis(None).iloc[::-1].to_parquet(tmp_path / "unnamed.parquet")
    base = built(tmp_path / "unnamed.parquet", ["__index_level_0__"])
    assert [name for _, name in base.spec.sent_features] == ["x"]
    (raw,) = send(pl.read_parquet(tmp_path / "unnamed.parquet").drop("ts"), BEGIN_S * SECOND)
    (batch,) = decode(raw, tenant="default", arrival_ns=BEGIN_S * SECOND).items
    assert list(batch.features) == ["x"]


def test_infinite_and_huge_numbers_are_missing_on_both_sides(tmp_path: Path) -> None:
    values = [float("inf"), NAN, -float("inf"), 1.0, 2.0] * 60
    kind = KINDS["float64"]
    base = built(parquet(tmp_path / "rows.parquet", kind, values))
    receiver = Receiver(base)
    receiver.take(send({"x": values}, BEGIN_S * SECOND), BEGIN_S * SECOND)
    at = base.spec.index(Role.FEATURE, "x")
    assert receiver.counts("x").tolist() == base.counts.field(at).tolist()
