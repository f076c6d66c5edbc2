"""Pairs in the baseline's file: from its rows to the marks of one that an earlier version built."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from tests.cli.shell import run

from calidris.baseline import Baseline, BaselineColumns, build, file_baselines, read
from calidris.batch import Floats, ModelKey, NumberColumn, PredictionBatch
from calidris.config import ModelConfig
from calidris.detect import Alert, Bets, Slot
from calidris.engine.detectors.recipes import recipe
from calidris.engine.learning import Reservoir
from calidris.engine.standing.reasons import rebuild
from calidris.state import Role, Spec

OLD = Path(__file__).parent / "testdata" / "levels-format2.calidris"
KEY = ModelKey("default", "m", "1")
HOUR_NS = 3_600_000_000_000


def rows(seed: int, n: int = 4000) -> dict[str, Floats]:
    """Forty hours in which income goes with age and height with nothing."""
    rng = np.random.default_rng(seed)
    age = rng.normal(40.0, 10.0, n)
    return {"age": age, "height": rng.normal(170.0, 9.0, n), "income": 30.0 * age + rng.normal(0.0, 300.0, n)}


def made_of(columns: dict[str, Floats], pairs: int = 10) -> Baseline:
    n = len(columns["age"])
    times = np.sort(np.arange(n) * 40 // n) * HOUR_NS
    batch = PredictionBatch(KEY, times, {name: NumberColumn.of(values) for name, values in columns.items()})
    return build(BaselineColumns(batch), Spec(), window_s=3600.0, pairs=pairs)


def test_a_baseline_counts_its_pairs_in_each_window() -> None:
    made = made_of(rows(1))
    assert [pair.name for pair in made.spec.pairs] == ["age × income"]
    at = made.spec.index(Role.PAIR, "age × income")
    assert at is not None
    begin, end = made.spec.offsets[at : at + 2]
    assert made.counts.field(at).sum() == made.rows == 4000
    assert made.windows[:, begin:end].sum(axis=0).tolist() == made.counts.field(at).tolist()
    assert (made.windows[:, begin:end].sum(axis=1) == 100).all()


def test_the_file_says_pairs_and_their_cuts_and_comes_back_the_same() -> None:
    made = made_of(rows(1))
    data = made.to_bytes()
    again = Baseline.from_bytes(data)
    assert (again.id, again.spec, again.wanted_pairs) == (made.id, made.spec, 10)
    assert again.to_bytes() == data
    manifest = json.loads(zipfile.ZipFile(BytesIO(data)).read("manifest.json"))
    assert (manifest["format"], manifest["pairs"]) == (4, 10)
    (pair,) = manifest["spec"]["pairs"]
    assert pair["columns"] == ["age", "income"]
    shares = [np.mean(values[:, None] <= cuts, axis=0) for values, cuts in zip(
        (rows(1)["age"], rows(1)["income"]), map(np.array, pair["cuts"]))]  # fmt: skip
    assert np.round(shares, 2).tolist() == [[0.2, 0.5, 0.8]] * 2


def test_pairs_that_nobody_wants_leave_nothing_behind() -> None:
    without = made_of(rows(1), 0)
    assert (without.spec.pairs, without.wanted_pairs) == ((), 0)
    assert "pairs" not in without.spec.to_json()
    assert not without.lacks_pairs
    assert rebuild(without) == ""
    assert "it lacks `pairs`, as it was built with `detect.pairs: 0`" in rebuild(without, 10)


def test_one_that_an_earlier_version_built_loads_and_is_marked() -> None:
    """The file of that version has one number, and nobody misses a pair there; the same with two has lost its key."""
    assert not read(OLD).lacks_pairs
    made = made_of(rows(1), 0)
    data = BytesIO(made.to_bytes())
    older = BytesIO()
    with zipfile.ZipFile(data) as source, zipfile.ZipFile(older, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "manifest.json":
                content = json.dumps({k: v for k, v in json.loads(content).items() if k != "pairs"}).encode()
            target.writestr(name, content)
    old = Baseline.from_bytes(older.getvalue())
    assert old.lacks_pairs
    assert rebuild(old, 0) == ""
    assert "rebuild its baseline: it lacks `pairs`, as an earlier version built it" in rebuild(old, 10)


def test_evidence_of_an_earlier_version_goes_on() -> None:
    """The bets of a baseline without pairs are those that they were: the same bytes find the same detector."""
    without = made_of(rows(1), 0)
    config = ModelConfig(name="m", baseline="m.calidris")
    slot = Slot(Alert.DRIFT, 3600.0)
    found = [recipe(slot, config.model_copy(update={"detect": config.detect.model_copy(update={"pairs": n})}), without)
             for n in (0, 10)]  # fmt: skip
    identities = {one.game(one.spread, one.days).identity for one in found if one is not None}
    assert len(identities) == 1


def test_settings_bound_what_is_watched_of_a_file() -> None:
    columns = rows(1)
    columns["weight"] = columns["height"] + np.random.default_rng(4).normal(0.0, 9.0, 4000)
    made = made_of(columns)
    assert [pair.name for pair in made.spec.pairs] == ["age × income", "height × weight"]
    weights = []
    for most in (0, 1, 10):
        config = ModelConfig(name="m", baseline="m.calidris", detect={"pairs": most, "early_tolerance": 0.05})  # type: ignore[arg-type]
        found = recipe(Slot(Alert.DRIFT, 3600.0), config, made)
        assert found is not None
        game = found.game(found.spread, found.days)
        assert isinstance(game, Bets)
        shares = dict(zip(game.names, game.field_weight.tolist()))
        weights.append([round(shares.get(pair.name, 0.0), 3) for pair in made.spec.pairs])
    assert weights == [[0.0, 0.0], [0.1, 0.0], [0.05, 0.05]]


def test_a_baseline_that_is_learned_live_has_none() -> None:
    reservoir = Reservoir()
    batch = PredictionBatch(KEY, np.zeros(4000, np.int64), {n: NumberColumn.of(v) for n, v in rows(1).items()})
    reservoir.add(batch)
    learned = reservoir.learn(Spec(), 3600.0, (), 100)
    assert learned is not None
    assert (learned.spec.pairs, learned.provisional) == ((), True)
    assert rebuild(learned, 10) == ""


def test_the_command_says_which_relations_are_watched(tmp_path: Path) -> None:
    columns = rows(2)
    table = {"ts": 1_767_225_600 + np.arange(4000) * 36, **columns}
    pyarrow.parquet.write_table(pa.table(table), tmp_path / "rows.parquet")
    settings = tmp_path / "calidris.yaml"
    for pairs, said in ((10, True), (0, False)):
        settings.write_text(f"models: [{{name: m, detect: {{pairs: {pairs}}}}}]\n")
        out = tmp_path / f"m-{pairs}.calidris"
        done = run(
            "baseline",
            "build",
            "-c",
            settings,
            "--model",
            "m",
            "--data",
            tmp_path / "rows.parquet",
            "--time",
            "ts",
            "-o",
            out,
        )
        assert done.code == 0, done.err
        assert ("age × income" in done.out) == said
        assert len(read(out).spec.pairs) == said


def test_no_windows_are_refused_for_pairs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where there is room for the columns alone, or for one pair beside them, there are no more."""
    columns = rows(3)
    columns["weight"] = columns["height"] + np.random.default_rng(4).normal(0.0, 9.0, 4000)
    pyarrow.parquet.write_table(
        pa.table({"ts": 1_767_225_600 + np.arange(4000) * 36, **columns}), tmp_path / "rows.parquet"
    )
    settings = tmp_path / "calidris.yaml"
    settings.write_text("models: [{name: m, windows: [1h]}]\n")
    alone = made_of(columns, 0).spec.cells
    for room, pairs in ((0, 0), (20, 1), (40, 2)):
        monkeypatch.setattr(file_baselines, "WINDOW_CELLS", 40 * (alone + room))
        out = tmp_path / f"m-{room}.calidris"
        done = run(
            "baseline",
            "build",
            "-c",
            settings,
            "--model",
            "m",
            "--data",
            tmp_path / "rows.parquet",
            "--time",
            "ts",
            "-o",
            out,
        )
        assert done.code == 0, done.err
        made = read(out)
        assert [pair.name for pair in made.spec.pairs] == ["age × income", "height × weight"][:pairs]
        assert made.spec.cells == alone + room
