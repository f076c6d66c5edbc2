"""p-values by bootstrap, and what PSI reads where nothing changed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from calidris.metrics.drift.drift_measures import MEASURES
from calidris.metrics.drift.drift_readings import drift_table
from calidris.metrics.drift.resampling import drift_p_values
from calidris.state import CountsState, Field, Kind, Role, Spec


def multinomials(fields: int, n: int, m: int, seed: int) -> tuple[Spec, CountsState, CountsState]:
    g = np.random.default_rng(seed)
    edges = tuple(np.linspace(0, 1, 11).tolist())
    spec = Spec(fields=tuple(Field(f"x{i}", Role.FEATURE, Kind.NUMERIC, edges=edges) for i in range(fields)))
    before, after = CountsState(spec), CountsState(spec)
    for i in range(fields):
        p = g.dirichlet(np.full(10, 3.0))
        before.field(i + 2)[:10], after.field(i + 2)[:10] = g.multinomial(m, p), g.multinomial(n, p)
    return spec, before, after


@pytest.mark.parametrize("n", [50, 500])
def test_p_values_without_change_are_uniform(n: int) -> None:
    """300 fields, each with its own baseline."""
    spec, before, after = multinomials(300, n, 3000, n)
    found = drift_p_values(spec, before, after, measures=list(MEASURES), draws=300)
    for name, p in found.items():
        assert np.mean(p <= 0.1) == pytest.approx(0.1, abs=0.06), name
        assert p.mean() == pytest.approx(0.5, abs=0.07), name
        assert p.min() >= 1 / 301


def test_p_values_see_a_change_and_depend_on_the_seed_only() -> None:
    spec, before, after = multinomials(3, 400, 3000, 1)
    after.field(2)[:10] = after.field(2)[:10][::-1]
    after.field(2)[0] += 60
    first = drift_p_values(spec, before, after, measures=["psi", "ks"], draws=500, seed=7)
    assert first["psi"][0] == pytest.approx(1 / 501)
    again = drift_p_values(spec, before, after, measures=["psi", "ks"], draws=500, seed=7)
    assert all((first[name] == again[name]).all() for name in first)
    other = drift_p_values(spec, before, after, measures=["psi"], draws=500, seed=8)
    assert (other["psi"] != first["psi"]).any()


def test_p_values_where_nothing_is_defined() -> None:
    levels = Spec(fields=(Field("c", Role.FEATURE, Kind.CATEGORICAL, levels=("a", "b")),))
    before, after = CountsState(levels), CountsState(levels)
    before.field(2)[:2], after.field(2)[:2] = [50, 50], [20, 30]
    found = drift_p_values(levels, before, after, measures=["psi", "ks"], draws=50)
    assert 0 < found["psi"][0] <= 1
    assert math.isnan(found["ks"][0])
    assert math.isnan(drift_p_values(levels, before, CountsState(levels), draws=50)["psi"][0])
    with pytest.raises(KeyError):
        drift_p_values(levels, before, after, measures=["psy"])


def test_psi_and_its_debiased_form_without_change_are_what_is_promised() -> None:
    """Mean of PSI is (K-1)(1/n + 1/m) within 3 %, that of the de-biased one 0 within four standard errors and 2 %."""
    g, fields, n, m = np.random.default_rng(9), 4000, 1000, 5000
    edges = tuple(np.linspace(0, 1, 11).tolist())
    spec = Spec(fields=tuple(Field(f"x{i}", Role.FEATURE, Kind.NUMERIC, edges=edges) for i in range(fields)))
    before, after = CountsState(spec), CountsState(spec)
    for i in range(fields):
        before.field(i + 2)[:10], after.field(i + 2)[:10] = g.multinomial(m, [0.1] * 10), g.multinomial(n, [0.1] * 10)
    table = drift_table(spec, before, after, ["psi", "psi_debiased"])
    promised = 9 * (1 / n + 1 / m)
    assert table.values["psi"].mean() == pytest.approx(promised, rel=0.03)
    debiased = table.values["psi_debiased"]
    assert abs(debiased.mean()) < 4 * debiased.std() / math.sqrt(fields) + 0.02 * promised
