"""Which baseline belongs to a model version. The version comes from the wire, so it may be anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from running import labels, rows

from calidris.app.baselines import check_baselines, find_baseline
from calidris.app.dry_run import count_series
from calidris.baseline import Baseline, BaselineColumns, build, write
from calidris.batch import ModelKey
from calidris.config import CalidrisConfig, ModelConfig, load
from calidris.errors import ConfigError
from calidris.state import Spec


def made(seed: int = 1) -> Baseline:
    batch = rows(3000, seed=seed, time_ns=0)
    return build(BaselineColumns(batch, labels(batch).label), Spec(positive="1"), window_s=300.0)


def key(version: str) -> ModelKey:
    return ModelKey("default", "credit", version)


@pytest.fixture
def config(tmp_path: Path) -> ModelConfig:
    for age, (version, seed) in enumerate((("7", 1), ("9", 2), ("10", 3))):
        path = tmp_path / f"credit-{version}.calidris"
        write(made(seed), path)
        os.utime(path, (1000 + age, 1000 + age))
    return ModelConfig(name="credit", baseline=str(tmp_path / "credit-{version}.calidris"))


def test_a_version_has_its_own(config: ModelConfig) -> None:
    baseline, note = find_baseline(key("7"), config)
    assert baseline is not None and baseline.id == made(1).id and note == ""


@pytest.mark.parametrize(
    "version", ["11", "", "x" * 4000, "../credit-7", "a/b", "\0", "*", "[0-9]", "{version}", "\ud800"]
)
def test_any_other_version_has_the_newest_and_says_so(config: ModelConfig, version: str) -> None:
    """A version of 4000 characters is no file name at all: asking the system for it is an error."""
    baseline, note = find_baseline(key(version), config)
    assert baseline is not None and baseline.id == made(3).id
    assert note.endswith("compared with credit-10.calidris")


def test_a_version_cannot_leave_the_directory(config: ModelConfig, tmp_path: Path) -> None:
    (tmp_path / "credit-x").mkdir()
    write(made(4), tmp_path / "secret.calidris")
    baseline, _ = find_baseline(key("x/../secret"), config)
    assert baseline is not None and baseline.id == made(3).id


def test_no_baseline_configured() -> None:
    assert find_baseline(key("7"), ModelConfig(name="credit")) == (None, "")


def test_files_that_vanish_or_break_after_the_start_stop_nothing(config: ModelConfig, tmp_path: Path) -> None:
    (tmp_path / "credit-7.calidris").write_bytes(b"broken")
    baseline, note = find_baseline(key("7"), config)
    assert baseline is None and "cannot be used" in note and "not a baseline file" in note
    for path in tmp_path.glob("*.calidris"):
        path.unlink()
    baseline, note = find_baseline(key("7"), config)
    assert baseline is None and note.startswith("there is no baseline file")


def written(tmp_path: Path) -> tuple[CalidrisConfig, Path]:
    path = tmp_path / "calidris.yaml"
    path.write_text("models:\n  - name: plain\n  - name: credit\n    baseline: credit-{version}.calidris\n")
    return load(path), path


def test_a_missing_baseline_stops_the_start(tmp_path: Path) -> None:
    config, path = written(tmp_path)
    with pytest.raises(ConfigError) as caught:
        check_baselines(config, path)
    assert str(caught.value).startswith(f"{path}:4: models.1.baseline: there is no file {tmp_path}")
    assert f"calidris baseline build -c {path} --model credit" in str(caught.value)


def test_a_broken_baseline_stops_the_start(tmp_path: Path) -> None:
    config, path = written(tmp_path)
    write(made(), tmp_path / "credit-7.calidris")
    check_baselines(config, path)
    (tmp_path / "credit-8.calidris").write_bytes(b"PK broken")
    with pytest.raises(ConfigError) as caught:
        check_baselines(config, path)
    assert str(caught.value).startswith(
        f"{path}:4: models.1.baseline: {tmp_path / 'credit-8.calidris'}: not a baseline"
    )
    assert "build it again" in str(caught.value)


def test_series_are_counted_by_trying(tmp_path: Path) -> None:
    def count(level: str) -> int:
        config = CalidrisConfig.model_validate({"export": {"series": level}, "models": [{"name": "credit"}]})
        return count_series(config, config.models[0], made())

    assert 50 < count("minimal") < count("standard") < count("full") <= 2000
