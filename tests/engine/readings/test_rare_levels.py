"""Values beyond those that a baseline keeps by name: rare ones are not new ones, by raw rows, and no alarm comes of either."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.engine.conftest import Journal
from tests.engine.readings.test_readings import BEGIN, KEY, MINUTE

from calidris import semconv
from calidris.api.json_shapes import status_json
from calidris.baseline import Baseline, BaselineColumns, build
from calidris.baseline.bundle import Baseline as Bundle
from calidris.batch import CodedColumn, PredictionBatch
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.core import Engine
from calidris.engine.snapshot import ModelSnapshot, Snapshot
from calidris.state import Spec
from calidris.state.coding.fields import OTHER

SHOPS = 300


def shops(seed: int, n: int, new: int = 0) -> list[str]:
    """Shops of very unequal size; the last ``new`` rows have one that nobody has seen."""
    rng = np.random.default_rng(seed)
    shares = 1 / (np.arange(SHOPS) + 5.0)
    drawn = rng.choice(SHOPS, n - new, p=shares / shares.sum())
    return [*(f"shop {i}" for i in drawn.tolist()), *["Atlantis"] * new]


def rows(values: list[str], start_ns: int = BEGIN) -> PredictionBatch:
    n = len(values)
    times = start_ns + np.arange(n, dtype=np.int64) * (MINUTE // n)
    kinds = CodedColumn.of(["NL" if i % 2 else "BE" for i in range(n)])
    return PredictionBatch(KEY, times, {"shop": CodedColumn.of(values), "country": kinds})


def base_of(values: list[str]) -> Baseline:
    batch = rows(values, BEGIN - 60 * MINUTE)
    spread = BEGIN - 60 * MINUTE + np.arange(len(values), dtype=np.int64) * (60 * MINUTE // len(values))
    return build(BaselineColumns(replace(batch, event_time_ns=spread), None, True), Spec(), window_s=60.0)


def shown(base: Baseline, values: list[str]) -> Snapshot:
    model = ModelConfig.model_validate({"name": "m", "windows": ["1m"], "detect": {"windows": ["1m"]}})
    engine, journal = Engine(CalidrisConfig(models=(model,)), lambda *_: (base, "")), Journal()
    engine.apply(journal.request(rows(values), arrival_ns=BEGIN))
    engine.apply(journal.seal(BEGIN + MINUTE))
    return snapshot(engine, 0)


def shares(model: ModelSnapshot, feature: str) -> dict[str, float | None]:
    found = [(dict(r.attributes), r) for r in model.readings if r.metric is semconv.METRIC_ML_DATA_QUALITY_RATIO]
    return {
        about[semconv.ML_DATA_QUALITY_KIND]: r.value for about, r in found if about[semconv.ML_FEATURE_NAME] == feature
    }


def without_names(base: Baseline) -> Baseline:
    """The same as a file of an earlier version: it has the commonest levels only."""
    plain = base.spec.to_json()
    for field in plain["fields"]:
        field.pop("known", None)
    spec = Spec.from_json(plain)
    joined = {
        "counts": type(base.counts)(spec, base.spec.join_rare(base.counts.array)),
        "windows": base.spec.join_rare(base.windows),
        "moments": type(base.moments)(spec, base.moments.array),
        "labels": type(base.labels).empty(spec),
        "window_labels": (),
    }
    return replace(base, spec=spec, **joined)


@pytest.mark.parametrize("new", [0, 40])
def test_shares_are_those_of_the_raw_rows(new: int) -> None:
    met, live = shops(1, 6000), shops(2, 1000, new)
    base = base_of(met)
    at = next(i for i, f in enumerate(base.spec.fields) if f.name == "shop")
    kept = set(base.spec.fields[at].levels)
    rare = sum(one in set(met) and one not in kept for one in live) / 1000
    unseen = sum(one not in set(met) for one in live) / 1000
    taken = shown(base, live)
    found = shares(taken.models[0], "shop")
    assert found == {"missing": 0.0, "rare": pytest.approx(rare), "unseen": pytest.approx(unseen)}
    assert rare > 0.2 and unseen == pytest.approx(new / 1000, abs=0.01)
    (window,) = status_json(taken, ready=True, health={})["models"][0]["windows"]
    named = {one["name"] for one in window["unseen"].get("shop", [])}
    assert named == {one for one in live if one not in set(met)} and window["other"] == {}
    assert not [note for note in taken.models[0].notes if "earlier version" in note]


def test_no_row_of_the_baseline_is_new_to_it() -> None:
    base = base_of(shops(3, 6000))
    for i, f in enumerate(base.spec.fields):
        assert base.counts.field(i)[f.ordered + OTHER] == 0
    assert base.untold_rare == frozenset()


def test_a_file_comes_back_with_what_it_knows_and_a_column_of_few_levels_needs_nothing() -> None:
    base = base_of(shops(4, 6000))
    again = Bundle.from_bytes(base.to_bytes())
    assert again.id == base.id and again.spec == base.spec
    known = {f["name"] for f in base.spec.to_json()["fields"] if "known" in f}
    assert known == {"shop"}
    assert "shop 299" not in json.dumps(base.spec.to_json()), "rare names are in no file"


def test_of_an_older_baseline_nobody_says_which_are_new() -> None:
    met, live = shops(5, 6000), shops(6, 1000, 40)
    old = without_names(base_of(met))
    taken = shown(old, live)
    model = taken.models[0]
    at = next(i for i, f in enumerate(old.spec.fields) if f.name == "shop")
    beyond = sum(one not in old.spec.fields[at].levels for one in live) / 1000
    assert shares(model, "shop") == {"missing": 0.0, "other": pytest.approx(beyond)}
    assert shares(model, "country") == {"missing": 0.0, "unseen": 0.0}, "it kept all of them"
    (window,) = status_json(taken, ready=True, health={})["models"][0]["windows"]
    assert window["unseen"] == {} and "Atlantis" in {one["name"] for one in window["other"]["shop"]}
    (note,) = [note for note in model.notes if "earlier version" in note]
    assert "'shop'" in note and "baseline build" in note and "'country'" not in note


def test_distances_do_not_depend_on_what_is_known_of_rare_levels() -> None:
    met, live = shops(7, 6000), shops(8, 1000)
    base = base_of(met)
    found = []
    for one in (base, without_names(base)):
        model = shown(one, live).models[0]
        drift = [r for r in model.readings if r.metric is semconv.METRIC_ML_DRIFT_SCORE]
        evidence = [r for r in model.readings if r.metric is semconv.METRIC_ML_DETECTION_EVIDENCE]
        found.append([(r.attributes, r.value, r.lower, r.upper) for r in (*drift, *evidence)])
    assert found[0] == found[1] and any(value is not None for _, value, _, _ in found[0])
