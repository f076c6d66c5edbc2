"""Whether a baseline knows how old its labels were: in the file, of earlier files, and what the command says of it."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from tests.engine.conftest import labels, rows

from calidris.baseline import Baseline, BaselineColumns, build, read
from calidris.batch import Floats
from calidris.state import Spec

OLD = Path(__file__).parents[1] / "engine" / "checkpoint" / "testdata"


def made(delay_s: Floats | None, labelled: bool = True) -> Baseline:
    batch = rows(1, 400, span_s=40)
    label = labels(batch, 2).label if labelled else None
    return build(BaselineColumns(batch, label, delay_s=delay_s), Spec(positive="1"), window_s=1.0)


def manifest(baseline: Baseline) -> dict[str, object]:
    with zipfile.ZipFile(BytesIO(baseline.to_bytes())) as bundle:
        found: dict[str, object] = json.loads(bundle.read("manifest.json"))
    return found


@pytest.mark.parametrize(("delay_s", "known"), [(None, False), (np.zeros(400), True), (np.full(400, 9e4), True)])
def test_a_file_says_whether_it_has_label_times(delay_s: Floats | None, known: bool) -> None:
    baseline = made(delay_s)
    again = Baseline.from_bytes(baseline.to_bytes())
    assert baseline.label_times is again.label_times is known
    assert again.id == baseline.id and again.to_bytes() == baseline.to_bytes()
    said = manifest(baseline)
    assert (said["format"], said["label_times"]) == (4, known)


def test_without_labels_there_is_nothing_to_say() -> None:
    baseline = made(None, labelled=False)
    assert baseline.label_times is None and "label_times" not in manifest(baseline)


@pytest.mark.parametrize(("delay_s", "known"), [(None, None), (np.full(400, 600.0), None), (np.full(400, 9e4), True)])
def test_of_an_earlier_file_only_labels_that_took_longer_tell(delay_s: Floats | None, known: bool | None) -> None:
    """Labels within an hour may be those of a file without label times, in which all count as known at once."""
    earlier = replace(made(delay_s), stated_label_times=None)
    again = Baseline.from_bytes(earlier.to_bytes())
    assert manifest(earlier)["format"] == 3 and again.label_times is known


def test_files_of_earlier_versions_are_read_and_written_as_they_were() -> None:
    for path in sorted(OLD.glob("*/credit-7.calidris")):
        baseline = read(path)
        assert baseline.label_times is None and manifest(baseline)["format"] == 2
        assert Baseline.from_bytes(baseline.to_bytes()).id == baseline.id
