"""Slices that the settings name: which of them ever came, told of enough rows, across restarts and in whatever batches."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.engine.arrival.test_jobs import fed
from tests.engine.conftest import KEY, START, Journal, MakeEngine, configuration, rows

from calidris.batch import CodedColumn, PredictionBatch
from calidris.engine.arrival.sent_slices import ENOUGH, SentSlices
from calidris.engine.core import Engine
from calidris.engine.standing.notes import notes

NAMES = ("country", "sex")


def sending(n: int, *names: str, values: tuple[str | None, ...] = ("a", "b")) -> PredictionBatch:
    """So many rows that bring these slices; sex is a feature of them all."""
    batch = rows(1, n, START)
    column = CodedColumn.of([values[row % len(values)] for row in range(n)])
    features = {**batch.features, "sex": column}
    return replace(batch, features=features, slices=dict.fromkeys(names, column))


def told(engine: Engine) -> list[str]:
    return list(notes(engine.models[KEY]))


def test_a_slice_that_never_comes_is_told_after_enough_rows() -> None:
    sent = SentSlices()
    sent.note(NAMES, sending(ENOUGH - 1, "country"))
    assert list(sent.never_sent(NAMES)) == []
    sent.note(NAMES, sending(1, "country"))
    assert list(sent.never_sent(NAMES)) == [("sex", ENOUGH)]
    assert sent.features == {"sex"}


@pytest.mark.parametrize("values", [("a", None), (None, None, None, "a")])
def test_the_first_value_ends_it_for_good(values: tuple[str | None, ...]) -> None:
    sent = SentSlices()
    sent.note(NAMES, sending(500))
    sent.note(NAMES, sending(8, "country", "sex", values=values))
    sent.note(NAMES, sending(500))
    assert list(sent.never_sent(NAMES)) == []


def test_a_column_without_a_value_is_none() -> None:
    sent = SentSlices()
    sent.note(NAMES, sending(200, *NAMES, values=(None,)))
    assert [name for name, _ in sent.never_sent(NAMES)] == list(NAMES)


def test_a_name_that_the_settings_get_later_is_counted_from_there() -> None:
    sent = SentSlices()
    sent.note(NAMES[:1], sending(500, "country"))
    sent.note(NAMES, sending(20, "country"))
    assert sent.lacking == {"country": None, "sex": 20}


def test_it_is_kept_in_checkpoints_and_older_ones_begin_to_count() -> None:
    sent = SentSlices()
    sent.note(NAMES, sending(300, "country"))
    assert SentSlices.from_json(sent.to_json()) == sent
    assert SentSlices.from_json({}) == SentSlices() and SentSlices().to_json() == {}


def test_settings_rows_and_the_cure_are_in_the_sentence(make_engine: MakeEngine) -> None:
    journal = Journal()
    journal.request(sending(150, "country"))
    config = configuration(slices=["country"], fairness={"attribute": "sex"})
    (note,) = told(fed(make_engine(config), journal))
    assert note.startswith("150 rows came without a value of 'sex' (`fairness.attribute`): it comes as a feature")
    assert note.endswith("slices=['sex'] of Model, OTEL_CALIDRIS_SLICES=sex, or `ml.slices` on the wire")
    assert told(fed(make_engine(configuration()), journal)) == []
    journal.request(sending(10, "country", "sex"))
    assert told(fed(make_engine(config), journal)) == []


def test_requests_counted_together_leave_what_one_by_one_leaves(make_engine: MakeEngine) -> None:
    journal = Journal()
    for _ in range(120):  # the first thousands of rows are learned from, and counted one by one
        journal.request(sending(50))
    for n in range(20):
        journal.request(sending(9, *(["sex"] if n % 3 == 2 else []), values=(None, "a") if n == 5 else (None,)))
    config = configuration(slices=list(NAMES))
    plain, together = make_engine(config), make_engine(config)
    for record in journal.records:
        plain.apply(record)
        together.gather(record)
    together.settle()
    assert plain.models[KEY].sent_slices == together.models[KEY].sent_slices
    assert plain.models[KEY].sent_slices.lacking == {"country": 6180, "sex": None}
