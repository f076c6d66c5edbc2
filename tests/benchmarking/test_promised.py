"""What `make bench-detect` promises of streams, and that a detector which never speaks fails."""

import numpy as np
import pytest
from benchmarks.detection.promised import Promise, column_of, control, windows_of
from benchmarks.detection.table import NEVER

from calidris.batch import ModelKey, PredictionBatch
from calidris.state import Field, Kind, Role, Spec


def test_a_year_s_budget_over_four_weeks() -> None:
    promise = Promise(672, 8760.0)
    assert promise.share == pytest.approx(0.0767 + 0.05, abs=1e-4)
    cells, must = promise.row("rides", [NEVER] * 37 + [5.0, 80.0, 600.0])
    assert cells[-2:] == ["3 of 40", "12.7%"]
    assert must.met
    _, broken = promise.row("rides", [NEVER] * 14 + [5.0] * 6)
    assert not broken.met


def test_what_is_never_found_fails() -> None:
    _, (found,) = control("half of it missing", [3.0, 5.0], 10.0)
    _, (late,) = control("half of it missing", [3.0, 50.0], 10.0)
    _, (never,) = control("half of it missing", [3.0, NEVER], 10.0)
    assert (found.met, late.met, never.met) == (True, False, False)
    assert control("only told", [NEVER])[1] == []


def test_windows_of_rows_are_in_their_order() -> None:
    spec = Spec(fields=(Field("x", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 1.0, 2.0)),))
    times = np.array([3, 0, 3, 9]) * 3_600_000_000_000
    rows = PredictionBatch(ModelKey("t", "m", "1"), times, {"x": column_of(np.array([0.5, 1.5, 0.5, 5.0]))})
    counts = windows_of(spec, rows, 3600.0)
    at = int(spec.offsets[2])
    assert counts[:, at : at + 2].tolist() == [[0, 1], [2, 0], [0, 0]]
    assert counts[:, 0].tolist() == [1, 2, 1]
