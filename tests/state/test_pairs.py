"""Pairs of numbers: their cells on raw rows, and which of them are picked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from calidris.batch import Floats, Ints, ModelKey, NumberColumn, PredictionBatch
from calidris.state import CountsState, Field, Kind, Pair, Role, Spec, pick_pairs
from calidris.state.coding.fields import MISSING
from calidris.state.related import LEAST_RELATION, count_candidates, find_cuts

AGE = Field("age", Role.FEATURE, Kind.NUMERIC, edges=(18.0, 30.0, 40.0, 50.0, 90.0))
INCOME = Field("income", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 10.0, 20.0, 30.0))
FLAG = Field("flag", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 0.5, 1.0))
PAIRS = (
    Pair("age", "income", ((30.0, 40.0, 50.0), (10.0, 20.0))),
    Pair("income", "flag", ((20.0,), (0.5,))),
)
SPEC = Spec(fields=(AGE, INCOME, FLAG), pairs=PAIRS)


def batch(**columns: Floats) -> PredictionBatch:
    n = len(next(iter(columns.values())))
    numbers = {name: NumberColumn.of(values) for name, values in columns.items()}
    return PredictionBatch(ModelKey("default", "m", "1"), np.zeros(n, np.int64), numbers)


def drawn(rng: np.random.Generator, n: int) -> PredictionBatch:
    """Values in range, out of it, at edges and missing."""
    age = rng.choice([18.0, 29.0, 30.0, 30.5, 40.0, 50.0, 77.0, 90.0, 120.0, 3.0, np.nan], n)
    income = rng.choice([0.0, 5.0, 10.0, 20.0, 25.0, 30.0, 99.0, -4.0, np.nan], n)
    flag = rng.choice([0.0, 1.0, np.nan], n)
    return batch(age=age, income=income, flag=flag)


def by_hand(rows: PredictionBatch, pair: Pair) -> dict[str, int]:
    """Rows of each cell, one row at a time: a value belongs above as many cuts as are smaller than it."""
    found: dict[str, int] = {}
    one, two = (rows.features[name] for name in pair.columns)
    assert isinstance(one, NumberColumn) and isinstance(two, NumberColumn)
    for i in range(len(rows)):
        if one.valid[i] and two.valid[i]:
            groups = [sum(v > cut for cut in cuts) + 1 for v, cuts in zip((one.values[i], two.values[i]), pair.cuts)]
            name = f"{groups[0]},{groups[1]}"
        else:
            name = "missing"
        found[name] = found.get(name, 0) + 1
    return found


def cells_of(spec: Spec, counts: Ints, pair: Pair) -> dict[str, int]:
    at = spec.index(Role.PAIR, pair.name)
    assert at is not None
    field = spec.fields[at]
    own = counts[spec.offsets[at] : spec.offsets[at + 1]].tolist()
    assert own[field.ordered + MISSING + 1 :] == [0, 0, 0]
    named = dict(zip((*field.levels, "missing"), own))
    return {name: n for name, n in named.items() if n}


@pytest.mark.parametrize("seed", range(5))
def test_cells_are_those_of_the_raw_rows(seed: int) -> None:
    rows = drawn(np.random.default_rng(seed), 500)
    state = CountsState(SPEC)
    state.update(SPEC.encode(rows))
    for pair in PAIRS:
        assert cells_of(SPEC, state.array, pair) == by_hand(rows, pair)


def test_a_batch_without_a_column_is_missing_in_its_pairs_alone() -> None:
    state = CountsState(SPEC)
    state.update(SPEC.encode(batch(income=np.full(7, 25.0), flag=np.ones(7))))
    assert cells_of(SPEC, state.array, PAIRS[0]) == {"missing": 7}
    assert cells_of(SPEC, state.array, PAIRS[1]) == {"2,2": 7}


def test_parts_add_up_to_the_whole_and_margins_are_those_of_the_columns() -> None:
    rows = drawn(np.random.default_rng(9), 1000)
    whole = SPEC.encode(rows)
    parts = [CountsState(SPEC) for _ in range(3)]
    for part, cells in zip(parts, np.array_split(whole, 3, axis=1)):
        part.update(cells)
    parts[2].merge(parts[0])
    parts[2].merge(parts[1])
    state = CountsState(SPEC)
    state.update(whole)
    assert parts[2] == state
    for i in range(len(SPEC.fields)):
        assert state.field(i).sum() == 1000


def test_other_fields_are_counted_as_without_pairs() -> None:
    rows = drawn(np.random.default_rng(3), 200)
    plain = replace(SPEC, fields=(AGE, INCOME, FLAG), pairs=())
    assert SPEC.encode(rows)[: len(plain.fields)].tolist() == plain.encode(rows).tolist()


def test_a_spec_says_its_pairs_and_one_without_says_nothing_new() -> None:
    assert Spec.from_json(SPEC.to_json()) == SPEC
    assert Spec.from_json(SPEC.to_json()).hash == SPEC.hash
    assert "pairs" not in Spec(fields=(AGE, INCOME)).to_json()
    assert Spec(fields=(AGE, INCOME)).hash != Spec(fields=(AGE, INCOME), pairs=PAIRS[:1]).hash
    assert [f.name for f in SPEC.fields[-2:]] == ["age × income", "income × flag"]
    assert "age × income" not in SPEC.feature_names


@pytest.mark.parametrize(
    "pair",
    [
        Pair("age", "nobody", ((30.0,), (10.0,))),
        Pair("age", "income", ((31.0,), (10.0,))),
        Pair("age", "income", ((18.0,), (10.0,))),
    ],
)
def test_a_pair_is_of_bins_of_numbers(pair: Pair) -> None:
    with pytest.raises(ValueError, match=r"a pair with 'nobody'|no edges between its bins"):
        Spec(fields=(AGE, INCOME), pairs=(pair,))
    with pytest.raises(ValueError, match="one to three cuts"):
        Pair("age", "income", ((), (10.0,)))


def correlated(rng: np.random.Generator, n: int, shares: dict[tuple[int, int], float], columns: int = 8) -> Floats:
    """Normal columns, in which the second of each pair is made of the first."""
    x = rng.normal(size=(n, columns))
    for (one, two), rho in shares.items():
        x[:, two] = rho * x[:, one] + np.sqrt(1.0 - rho**2) * x[:, two]
    return x


def learned(x: Floats) -> tuple[Spec, Ints]:
    """Ten bins of equal mass a column, and the rows' cells."""
    edges = np.nanquantile(x, np.arange(11) / 10, axis=0).T
    fields = tuple(Field(f"x{i}", Role.FEATURE, Kind.NUMERIC, edges=tuple(e)) for i, e in enumerate(edges))
    spec = Spec(fields=fields)
    return spec, spec.encode(batch(**{f"x{i}": column for i, column in enumerate(x.T)}))


def test_the_most_related_are_picked_strongest_first() -> None:
    x = correlated(np.random.default_rng(1), 4000, {(0, 1): 0.7, (2, 3): -0.8, (4, 5): 0.4, (6, 7): 0.1})
    spec, cells = learned(x)
    assert [pair.columns for pair in pick_pairs(spec, cells)] == [("x2", "x3"), ("x0", "x1"), ("x4", "x5")]
    assert [pair.columns for pair in pick_pairs(spec, cells, 1)] == [("x2", "x3")]
    assert pick_pairs(spec, cells, 0) == ()
    assert count_candidates(spec) == 28


def test_the_measure_is_that_of_ranks_of_bins_over_rows_that_have_both() -> None:
    """Beside scipy: a pair is picked from the least correlation on, and not below it."""
    rng = np.random.default_rng(5)
    for rho in np.linspace(0.15, 0.27, 13):
        x = correlated(rng, 20_000, {(0, 1): float(rho)}, 2)
        x[rng.random(20_000) < 0.2, 0] = np.nan
        x[rng.random(20_000) < 0.1, 1] = np.nan
        spec, cells = learned(x)
        bins = cells[2:] - spec.offsets[2:4, None]
        both = (bins < 10).all(axis=0)
        size = abs(stats.spearmanr(bins[0, both], bins[1, both]).statistic)
        if abs(size - LEAST_RELATION) > 0.002:  # ranks are those of each column's own rows, not of the common ones
            assert bool(pick_pairs(spec, cells)) == (size >= LEAST_RELATION)


def test_unrelated_columns_make_no_pair() -> None:
    """Of few rows large correlations come by chance: at most 1 % of the baselines may have any."""
    rng = np.random.default_rng(11)
    found = sum(bool(pick_pairs(*learned(rng.normal(size=(60, 12))))) for _ in range(200))
    assert found <= 6


def test_constants_texts_and_rare_values_make_none() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=3000)
    fields = (
        Field("x", Role.FEATURE, Kind.NUMERIC, edges=(-9.0, 0.0, 9.0)),
        Field("constant", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 1.0)),
        Field("rare", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 0.5, 1.0)),
        Field("text", Role.FEATURE, Kind.CATEGORICAL, levels=("a", "b")),
    )
    spec = Spec(fields=fields)
    rows = batch(x=x, constant=np.ones(3000), rare=(x > 2.5).astype(float))
    assert pick_pairs(spec, spec.encode(rows)) == ()
    assert find_cuts(fields[2], np.array([2980, 20])) == ()
    assert find_cuts(fields[2], np.array([2000, 1000])) == (0.5,)


def test_a_feature_that_is_called_like_a_pair_keeps_its_name() -> None:
    x = correlated(np.random.default_rng(1), 2000, {(0, 1): 0.9}, 2)
    spec, cells = learned(x)
    named = Spec(fields=(*spec.fields, Field("x0 × x1", Role.FEATURE, Kind.PRESENCE)))
    there = np.vstack([cells, np.full((1, 2000), named.offsets[-2])])
    assert len(pick_pairs(spec, cells)) == 1
    assert pick_pairs(named, there) == ()


def test_two_pairs_that_would_be_called_alike_are_one_pair() -> None:
    fields = tuple(
        Field(n, Role.FEATURE, Kind.NUMERIC, edges=(-9.0, -0.5, 0.5, 9.0)) for n in ("a × b", "c", "a", "b × c")
    )
    spec = Spec(fields=fields)
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2000, 1)) + 0.3 * rng.normal(size=(2000, 4))
    rows = batch(**{f.name: column for f, column in zip(fields, np.clip(x, -8.9, 8.9).T)})
    names = [pair.name for pair in pick_pairs(spec, spec.encode(rows))]
    assert names.count("a × b × c") == 1 and len(names) == 5
