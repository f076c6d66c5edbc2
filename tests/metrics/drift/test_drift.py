"""Drift against scipy on the raw rows: never on the histograms that the code under test has made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from scipy.spatial.distance import jensenshannon

from calidris import semconv
from calidris.batch import CodedColumn, Column, ModelKey, NumberColumn, PredictionBatch
from calidris.errors import IncompatibleState
from calidris.metrics import Reading, Status, drift_readings, drift_table
from calidris.metrics.drift.drift_measures import MEASURES
from calidris.state import CountsState, Field, Kind, Role, Spec

EXACT = {"rel": 1e-9, "abs": 1e-12}
ALL = list(MEASURES)
NAN = float("nan")
Raw = Sequence[float | str | None] | NDArray[np.float64]


def column(values: Raw) -> Column:
    listed = list(values)
    if any(isinstance(v, str) for v in listed) or all(v is None for v in listed):
        return CodedColumn.of([None if v is None else str(v) for v in listed])
    return NumberColumn.of([NAN if v is None else v for v in listed])


def counts(spec: Spec, **features: Raw) -> CountsState:
    n = len(next(iter(features.values())))
    state = CountsState(spec)
    columns = {name: column(values) for name, values in features.items()}
    state.update(spec.encode(PredictionBatch(ModelKey("t", "m", "1"), np.zeros(n, np.int64), columns)))
    return state


def numeric(edges: Sequence[float], name: str = "x") -> Spec:
    return Spec(fields=(Field(name, Role.FEATURE, Kind.NUMERIC, edges=tuple(edges)),))


def categorical(levels: str, name: str = "x") -> Spec:
    return Spec(fields=(Field(name, Role.FEATURE, Kind.CATEGORICAL, levels=tuple(levels)),))


def place(value: float | str | None, edges: Sequence[float]) -> float:
    """Where a raw value stands on the number line of the bins, by a plain loop."""
    k = len(edges) - 1
    if value is None or value != value:
        return k + 2
    if isinstance(value, str):
        return k + 1
    if value < edges[0]:
        return -1
    if value > edges[-1]:
        return k
    return max(i for i in range(k) if i == 0 or value > edges[i])


def shares(raw: Sequence[object], other: Sequence[object], smooth: float = 0.0) -> tuple[NDArray, NDArray]:
    """Shares of both sides over the values that either has."""
    cells = sorted({*raw, *other}, key=str)
    a, b = ([sum(v == c for v in side) + smooth for c in cells] for side in (raw, other))
    return np.array(a) / sum(a), np.array(b) / sum(b)


def shapes() -> dict[str, tuple[list[float], list[float | str | None], list[float | str | None]]]:
    """Edges, baseline rows and window rows."""
    g = np.random.default_rng(7)
    normal = np.quantile(g.normal(size=4000), np.linspace(0, 1, 11)).tolist()
    tied = g.integers(0, 5, 900).astype(float).tolist()
    faults: list[float | str | None] = [*g.normal(0.4, 1.3, 180).tolist(), *[None] * 25, *["?"] * 7, 50.0, -50.0]
    return {
        "normal": (normal, g.normal(size=2000).tolist(), g.normal(0.3, 1.2, 400).tolist()),
        "same": (normal, [0.1, 0.2, 0.7] * 30, [0.7, 0.1, 0.2] * 30),
        "ties": ([0.0, 1.0, 2.0, 3.0, 4.0], tied, tied[:77]),
        "constant": ([1.0, 2.0], [1.5] * 100, [1.5] * 60),
        "moved constant": ([0.0, 1.0, 2.0], [0.5] * 100, [1.5] * 60),
        "faults": (normal, g.normal(size=700).tolist(), faults),
        "all missing": (normal, g.normal(size=700).tolist(), [None] * 90),
        "one row": (normal, g.normal(size=700).tolist(), [0.3]),
        "all above": (normal, g.normal(size=700).tolist(), [99.0] * 90),
    }


@pytest.fixture(params=list(shapes()))
def shape(request: pytest.FixtureRequest) -> tuple[list[float], list[float | str | None], list[float | str | None]]:
    return shapes()[request.param]


def mixed_counts(spec: Spec, raw: Sequence[float | str | None]) -> CountsState:
    """Numbers and strings of one feature come in batches of their own, as on the wire."""
    state = CountsState(spec)
    for part in ([v for v in raw if not isinstance(v, str)], [v for v in raw if isinstance(v, str)]):
        if part:
            state.merge(counts(spec, x=part))
    return state


def test_distances_of_shares_agree_with_scipy_on_raw_rows(shape) -> None:
    edges, before, after = shape
    spec = numeric(edges)
    table = drift_table(spec, mixed_counts(spec, before), mixed_counts(spec, after), ALL)
    placed = [[place(v, edges) for v in side] for side in (before, after)]
    (p, q), (sp, sq) = shares(*placed), shares(*placed, smooth=0.5)
    got = {name: float(values[0]) for name, values in table.values.items()}
    assert got["psi"] == pytest.approx(stats.entropy(sq, sp) + stats.entropy(sp, sq), **EXACT)
    assert got["kl"] == pytest.approx(stats.entropy(sq, sp), **EXACT)
    assert got["js"] == pytest.approx(jensenshannon(p, q) ** 2, **EXACT)
    assert got["hellinger"] ** 2 == pytest.approx(1 - np.sqrt(p * q).sum(), **EXACT)
    assert got["total_variation"] == pytest.approx(np.abs(p - q).sum() / 2, **EXACT)
    assert got["ks"] == pytest.approx(stats.ks_2samp(*placed, method="asymp").statistic, **EXACT)
    pooled = (p * len(before) + q * len(after)) / (len(before) + len(after))
    likelihood = len(before) * stats.entropy(p, pooled) + len(after) * stats.entropy(q, pooled)
    assert got["g"] == pytest.approx(2 * likelihood, rel=1e-9, abs=1e-9)
    if len(p) > 1:
        table_of_counts = np.array([p * len(before), q * len(after)])
        assert got["chi2"] == pytest.approx(stats.chi2_contingency(table_of_counts, correction=False)[0], **EXACT)
        g_test = stats.chi2_contingency(table_of_counts, correction=False, lambda_="log-likelihood")[0]
        assert got["g"] == pytest.approx(g_test, rel=1e-9, abs=1e-9)
    else:
        assert got["chi2"] == 0


def test_fields_of_unequal_width_do_not_touch_each_other() -> None:
    g = np.random.default_rng(1)
    wide = Field("wide", Role.FEATURE, Kind.NUMERIC, edges=tuple(np.linspace(-3, 3, 31).tolist()))
    narrow = Field("narrow", Role.FEATURE, Kind.NUMERIC, edges=(-1.0, 0.0, 1.0))
    levels = Field("levels", Role.FEATURE, Kind.CATEGORICAL, levels=tuple("abcdefgh"))
    present = Field("present", Role.FEATURE, Kind.PRESENCE)
    fields = (wide, narrow, levels, present)
    raw = {
        "wide": (g.normal(size=900), g.normal(0.2, 1, 300)),
        "narrow": (g.normal(size=900), g.normal(0.2, 1, 300)),
        "levels": (list(g.choice(list("abcdefgh"), 900)), list(g.choice(list("abcz"), 300))),
        "present": ([1.0] * 900, [1.0] * 280 + [None] * 20),
    }
    states = [counts(Spec(fields=fields), **{name: sides[i] for name, sides in raw.items()}) for i in (0, 1)]
    together = drift_table(Spec(fields=fields), *states, ALL)
    for i, f in enumerate(fields):
        spec = Spec(fields=(f,))
        alone = drift_table(spec, *(counts(spec, **{f.name: raw[f.name][side]}) for side in (0, 1)), ALL)
        for of in ("values", "expected", "lower", "upper", "error"):
            for name in getattr(together, of):
                assert getattr(together, of)[name][i] == pytest.approx(
                    getattr(alone, of)[name][0], **EXACT, nan_ok=True
                )
        assert together.cells[i] == alone.cells[0]
    assert together.names == ("wide", "narrow", "levels", "present")
    assert np.isnan(together.values["ks"]).tolist() == [False, False, True, True]


def test_many_fields_are_cut_into_blocks_without_a_seam() -> None:
    g = np.random.default_rng(2)
    spec = Spec(fields=tuple(Field(f"x{i}", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 1.0, 2.0)) for i in range(3000)))
    before = counts(spec, **{f"x{i}": [0.5, 1.5] for i in range(3000)})
    after = counts(spec, **{f"x{i}": g.uniform(0, 2, 3) for i in range(3000)})
    table = drift_table(spec, before, after, ["total_variation"])
    left = np.array([after.field(i + 2)[0] / 3 for i in range(3000)])
    assert table.values["total_variation"] == pytest.approx(np.abs(left - 0.5))
    assert table.names[2999] == "x2999"


@pytest.mark.parametrize("shift", [0.0, 0.3, 4.0])
def test_wasserstein_is_the_raw_one_within_the_width_of_a_bin(shift: float) -> None:
    g = np.random.default_rng(3)
    before, after = g.gamma(2.0, 1.0, 5000), g.gamma(2.0, 1.0, 1000) + shift
    edges = np.quantile(before, np.linspace(0, 1, 41))
    spec = numeric(edges.tolist())
    table = drift_table(spec, counts(spec, x=before), counts(spec, x=[*after, None, None]), ["wasserstein"])
    clipped = np.clip(after, edges[0], edges[-1])
    iqr = np.subtract(*np.quantile(before, [0.75, 0.25]))
    widths = np.diff(edges)
    moved = sum((np.histogram(side, edges)[0] / len(side) * widths).sum() for side in (before, clipped)) / 2
    raw = stats.wasserstein_distance(before, clipped)
    assert abs(table.values["wasserstein"][0] * iqr - raw) < moved + 0.02 * raw


def test_wasserstein_spreads_values_evenly_inside_a_bin() -> None:
    """Against scipy on rows that are spread evenly by hand, sign changes inside bins included."""
    g = np.random.default_rng(4)
    edges = np.array([0.0, 1.0, 3.0, 4.0, 8.0])
    b, c = g.integers(1, 9, 4), g.integers(1, 9, 4)
    fine = 400
    rows = [np.concatenate([np.linspace(lo, hi, fine * k + 2)[1:-1] for lo, hi, k in zip(edges, edges[1:], side)])
            for side in (b, c)]  # fmt: skip
    spec = numeric(edges.tolist())
    table = drift_table(spec, counts(spec, x=rows[0]), counts(spec, x=rows[1]), ["wasserstein"])
    want = stats.wasserstein_distance(*rows) / np.subtract(*np.quantile(rows[0], [0.75, 0.25]))
    assert table.values["wasserstein"][0] == pytest.approx(want, rel=2e-3)


def test_energy_is_the_square_of_scipys_on_rows_spread_inside_bins() -> None:
    g = np.random.default_rng(5)
    edges = np.array([0.0, 1.0, 3.0, 4.0, 8.0])
    b, c = g.integers(1, 9, 4), g.integers(1, 9, 4)
    rows = [np.concatenate([np.linspace(lo, hi, 400 * k + 2)[1:-1] for lo, hi, k in zip(edges, edges[1:], side)])
            for side in (b, c)]  # fmt: skip
    spec = numeric(edges.tolist())
    table = drift_table(spec, counts(spec, x=rows[0]), counts(spec, x=rows[1]), ["energy"])
    want = stats.energy_distance(*rows) ** 2 / np.subtract(*np.quantile(rows[0], [0.75, 0.25]))
    assert table.values["energy"][0] == pytest.approx(want, rel=4e-3)


@pytest.mark.parametrize("after", [["?"] * 60, [None] * 60])
def test_wasserstein_of_no_numbers_is_undefined_and_the_others_are_not(after: Raw) -> None:
    spec = numeric([0.0, 1.0, 2.0])
    found = readings_of(spec, [0.5] * 50 + [1.5] * 50, after)
    assert {name for name, r in found.items() if r.status is Status.UNDEFINED} == {"wasserstein", "energy"}
    assert {r.status for r in found.values()} == {Status.UNDEFINED, Status.OK}
    assert found["total_variation"].value == found["ks"].value == 1.0


@pytest.mark.parametrize("value", [0.0, 7.25, -1e12])
def test_wasserstein_needs_a_scale(value: float) -> None:
    """A constant is learned as a bin of one value's width; so are the zeros of a feature that is mostly zero."""
    below = float(np.nextafter(value, -np.inf))
    constant = readings_of(numeric([below, value]), [value] * 80, [value] * 40 + [value + 1] * 40)
    mostly = readings_of(
        numeric([below, value, value + 1, value + 2]), [value] * 90 + [value + 1.5] * 10, [value + 0.5] * 80
    )
    for found in (constant, mostly):
        assert found["wasserstein"].status is found["energy"].status is Status.UNDEFINED
        assert found["ks"].status is Status.OK


def readings_of(spec: Spec, before: Raw, after: Raw, **options: object) -> dict[str, Reading]:
    found = drift_readings(
        spec, counts(spec, x=before), counts(spec, x=after), window="1h", measures=ALL, baseline_id="b1", **options
    )
    return {dict(r.attributes)[semconv.ML_DRIFT_MEASURE]: r for r in found}


def test_a_reading_names_feature_measure_and_baseline() -> None:
    g = np.random.default_rng(5)
    found = readings_of(numeric([-3.0, 0.0, 3.0]), g.normal(size=500), g.normal(size=100))
    r = found["psi_debiased"]
    assert r.metric is semconv.METRIC_ML_DRIFT_SCORE
    assert r.attributes == ((semconv.ML_DRIFT_MEASURE, "psi_debiased"), (semconv.ML_FEATURE_NAME, "x"))
    assert (r.n, r.window, r.baseline, r.status) == (100, "1h", "b1", Status.OK)
    assert r.lower is not None
    assert r.upper is not None
    assert r.value is not None
    assert r.lower < r.value < r.upper
    assert found["psi"].lower is None


def test_statuses() -> None:
    spec = numeric([-3.0, 0.0, 3.0])
    few = readings_of(spec, [0.1] * 100, [0.1] * 49)
    assert {r.status for r in few.values()} == {Status.TOO_FEW}
    assert {r.value for r in few.values()} == {None}
    assert readings_of(spec, [0.1] * 100, [0.1] * 49, minimum=49)["psi"].status is Status.OK
    none = readings_of(spec, [], [0.1] * 60)
    assert {r.status for r in none.values()} == {Status.NO_BASELINE}
    empty = readings_of(spec, [0.1] * 100, [], minimum=0)
    assert {r.status for r in empty.values()} == {Status.TOO_FEW}
    letters = readings_of(categorical("ab"), ["a"] * 60, ["b"] * 60)
    assert {name for name, r in letters.items() if r.status is Status.UNDEFINED} == {"ks", "wasserstein", "energy"}


def test_only_inputs_and_outputs_are_compared() -> None:
    spec = numeric([0.0, 1.0])
    table = drift_table(spec, CountsState(spec), CountsState(spec))
    assert table.names == ("x",)  # the error and duration fields that every spec has are left out
    outputs = Spec(
        fields=(Field("s", Role.SCORE, Kind.NUMERIC, edges=(0.0, 1.0)), Field("v", Role.VALUE, Kind.PRESENCE))
    )
    assert drift_table(outputs, CountsState(outputs), CountsState(outputs)).names == ("s", "v")
    bare = Spec()
    assert drift_readings(bare, CountsState(bare), CountsState(bare), window="1h") == []


def test_states_of_another_spec_are_refused() -> None:
    one, two = numeric([0.0, 1.0]), numeric([0.0, 2.0])
    with pytest.raises(IncompatibleState):
        drift_table(one, CountsState(one), CountsState(two))
    with pytest.raises(KeyError):
        drift_table(one, CountsState(one), CountsState(one), ["psy"])


@pytest.fixture(scope="module")
def nulls() -> dict[str, tuple[float, float, float]]:
    """Mean of every measure over 3000 windows without any change, its standard error, and what is promised."""
    g = np.random.default_rng(20261120)
    fields, windows, n, m = 10, 3000, 500, 5000
    edges = tuple(np.linspace(0, 1, 11).tolist())
    spec = Spec(fields=tuple(Field(f"x{i}", Role.FEATURE, Kind.NUMERIC, edges=edges) for i in range(windows)))
    before, after = CountsState(spec), CountsState(spec)
    for i in range(windows):
        before.field(i + 2)[:fields] = g.multinomial(m, np.full(fields, 0.1))
        after.field(i + 2)[:fields] = g.multinomial(n, np.full(fields, 0.1))
    table = drift_table(spec, before, after, ALL)
    return {
        name: (values.mean(), values.std() / np.sqrt(windows), table.expected[name].mean())
        for name, values in table.values.items()
    }


@pytest.mark.parametrize("measure", [name for name in ALL if name != "ks"])
def test_expected_is_the_mean_without_any_change(measure: str, nulls: dict[str, tuple[float, float, float]]) -> None:
    """At n = 500, m = 5000, K = 10. First order in s: within 2 % of itself and four standard errors of the simulation."""
    mean, error, promised = nulls[measure]
    assert abs(mean - promised) < 4 * error + 0.02 * promised


def test_psi_without_any_change_is_its_noise(nulls: dict[str, tuple[float, float, float]]) -> None:
    assert nulls["psi"][0] == pytest.approx(9 * (1 / 500 + 1 / 5000), rel=0.03)


def test_ks_without_any_change_stays_below_the_promise(nulls: dict[str, tuple[float, float, float]]) -> None:
    mean, _, promised = nulls["ks"]
    assert 0.7 * promised < mean < promised
