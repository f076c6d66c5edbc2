"""Levels are picked by rows that no histogram counts: otherwise what is commonest in a sample is taken for common."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from tests.cli.shell import run

from calidris.baseline import Baseline, BaselineColumns, build, read
from calidris.batch import CodedColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.config import ModelConfig
from calidris.detect import Alert, Detector, Slot, freeze
from calidris.engine.detectors.recipes import recipe
from calidris.engine.learning import Reservoir
from calidris.engine.standing.reasons import rebuild
from calidris.state import Role, Spec

OLD = Path(__file__).parent / "testdata" / "levels-format2.calidris"
"""Of an earlier version: 60 shops and three plans, 1200 rows in 40 hours."""
KEY = ModelKey("default", "m", "1")
HOUR_NS = 3_600_000_000_000
SHOPS, BASELINE_ROWS, WINDOW_ROWS = 1000, 3000, 1000


def rows(rng: np.random.Generator, n: int, shops: int = SHOPS, columns: int = 1) -> PredictionBatch:
    """Rows whose shops are equally common, whatever the time."""
    names = tuple(f"s{i}" for i in range(shops))
    drawn = (CodedColumn(names, rng.integers(0, shops, n).astype(np.int32)) for _ in range(columns))
    times = 1_790_000_000_000_000_000 + np.sort(rng.integers(0, 60 * HOUR_NS, n))
    return PredictionBatch(KEY, times, {f"shop{i}": column for i, column in enumerate(drawn)})


def made_of(batch: PredictionBatch) -> Baseline:
    return build(BaselineColumns(batch), Spec(), window_s=3600.0)


def test_a_thousand_equally_common_values_never_alarm() -> None:
    """Promised: at most one in ten streams of a hundred windows. Picked and counted by the same rows, all of them did."""
    alarms = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        made = made_of(rows(rng, BASELINE_ROWS, columns=5))
        detector = Detector(freeze(made.spec, made.counts, made.windows_of(3600.0)), 1000.0)
        for _ in range(40):
            cells = made.spec.encode(rows(rng, WINDOW_ROWS, columns=5))
            alarms += detector.score(np.bincount(cells.ravel(), minlength=made.spec.cells)).opened
    assert alarms == 0


def test_rows_that_pick_levels_are_in_no_histogram_and_their_labels_count() -> None:
    rng = np.random.default_rng(1)
    batch, label = rows(rng, 4000), NumberColumn.of(rng.integers(0, 2, 4000))
    scored = PredictionBatch(KEY, batch.event_time_ns, batch.features, score=NumberColumn.of(rng.random(4000)))
    made = build(BaselineColumns(scored, label), Spec(), window_s=3600.0)
    assert (made.set_apart, made.rows, made.labels.count) == (1000, 3000, 4000)
    assert made.windows.sum(0).tolist() == made.counts.array.tolist()
    assert sum(tables.count for tables in made.window_labels) == 4000
    at = made.spec.index(Role.FEATURE, "shop0")
    assert at is not None
    assert made.counts.field(at).sum() == 3000


@pytest.mark.parametrize(("shops", "apart"), [(20, 0), (21, 1000)])
def test_few_levels_are_counted_by_all_rows(shops: int, apart: int) -> None:
    made = made_of(rows(np.random.default_rng(2), 4000, shops))
    assert (made.set_apart, made.rows) == (apart, 4000 - apart)


def test_decisions_of_many_classes_too() -> None:
    rng = np.random.default_rng(3)
    many = NumberColumn.of(rng.integers(0, 200, 4000))
    batch = PredictionBatch(KEY, np.zeros(4000, np.int64), {}, decision=many)
    assert made_of(batch).set_apart == 1000
    assert made_of(PredictionBatch(KEY, np.zeros(4000, np.int64), {"code": many})).set_apart == 0


def test_a_baseline_learned_from_live_rows_too() -> None:
    kept = Reservoir()
    kept.add(rows(np.random.default_rng(4), 2000))
    made = kept.learn(Spec(), 3600.0, (), 10)
    assert made is not None
    assert (made.set_apart, made.rows) == (500, 1500)


def test_baseline_build_says_which_columns_and_how_many_rows(tmp_path: Path) -> None:
    batch = rows(np.random.default_rng(5), 4000)
    shops = batch.features["shop0"]
    assert isinstance(shops, CodedColumn)
    table = {"shop": shops.strings(), "ts": batch.event_time_ns // 10**9}
    data, config, output = tmp_path / "rows.parquet", tmp_path / "calidris.yaml", tmp_path / "m.calidris"
    pyarrow.parquet.write_table(pa.table(table), data)
    config.write_text("models: [{name: m, windows: [1h]}]\n")
    done = run("baseline", "build", "-c", config, "--model", "m", "--data", data, "--time", "ts", "-o", output)
    assert done.code == 0
    assert "more than 20 levels in 'shop': 1,000 rows" in " ".join(done.out.split())
    assert read(output).set_apart == 1000


def test_a_file_of_an_earlier_version_says_what_it_lacks() -> None:
    old = read(OLD)
    assert (old.set_apart, set(old.same_rows)) == (None, {"shop"})
    assert "levels of 'shop'" in rebuild(old)
    new = made_of(rows(np.random.default_rng(6), 1200))
    assert (rebuild(new), new.same_rows) == ("", frozenset())


def test_of_such_a_file_only_missing_values_of_the_column_are_bet_on() -> None:
    old = read(OLD)
    config = ModelConfig(name="m", windows=("1h",))
    found = recipe(Slot(Alert.DRIFT, 3600.0), config, old)
    assert found is not None
    game = found.game(found.spread, found.days)
    carries = np.isfinite(game.log_weight)
    words = {"shop": set(), "plan": set()}
    for field, word, some in zip(game.owner.tolist(), game.directions, carries.tolist()):
        if some:
            words[game.names[field]].add(word)
    assert words["shop"] == {"missing more"}
    assert {"unknown values more", "shape"} < words["plan"]


def test_check_says_that_it_must_be_built_again(tmp_path: Path) -> None:
    (tmp_path / "m-1.calidris").write_bytes(OLD.read_bytes())
    config = tmp_path / "calidris.yaml"
    config.write_text(f"models: [{{name: m, windows: [1h], baseline: '{tmp_path}/m-{{version}}.calidris'}}]\n")
    done = run("check", "-c", config)
    said = " ".join(done.out.split())
    assert "m: rebuild its baseline: an earlier version picked and counted the levels of 'shop'" in said
    assert "whole days of 1h windows, 10 are needed" in said
