"""What a version does beside others is remembered by its newest rows, over restarts, and is never mixed up by gathering."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.engine.conftest import KEY, START, Journal, MakeEngine, baseline, configuration, rows

from calidris.batch import PredictionBatch
from calidris.engine.build_snapshot import snapshot
from calidris.engine.checkpoint.digest import digest
from calidris.engine.core import Engine


def of_role(seed: int, role: str | None) -> PredictionBatch:
    return replace(rows(seed, 20), role=role)


@pytest.mark.parametrize("role", ["canary", "shadow", "champion", None])
def test_it_is_that_of_the_newest_rows_over_a_restart(
    make_engine: MakeEngine, restart: Callable[[Engine], Engine], role: str | None
) -> None:
    journal, engine = Journal(), make_engine(configuration(), baseline())
    engine.apply(journal.request(of_role(1, "shadow")))
    engine.apply(journal.request(of_role(2, role)))
    again = restart(engine)
    for one in (engine, again):
        (model,) = snapshot(one, START).models
        assert model.role == (role or "champion")
    assert digest(again) == digest(engine)


def test_batches_of_two_roles_are_not_counted_as_one(make_engine: MakeEngine) -> None:
    """Whatever is gathered, the newest rows say what the version does."""
    journal, together, apart = (
        Journal(),
        make_engine(configuration(), baseline()),
        make_engine(configuration(), baseline()),
    )
    for seed, role in enumerate([None, None, "shadow", "shadow", "canary", None, "shadow"]):
        record = journal.request(of_role(seed, role))
        together.gather(record)
        apart.apply(record)
    together.settle()
    assert together.models[KEY].role == apart.models[KEY].role == "shadow"
    assert digest(together) == digest(apart)
