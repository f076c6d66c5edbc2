"""What the page says of labelled rows, groups and columns, from engines that were fed raw rows of each task."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk
from tests.engine.readings.test_readings import BEGIN, KEY, Raw, base_of, draw, fed
from tests.report.test_render import Page

from calidris.batch import CodedColumn, NumberColumn, PredictionBatch
from calidris.engine.panes.days import DayPoint, Days
from calidris.engine.readings.day_trend import day_trend_readings
from calidris.engine.snapshot import ModelSnapshot, Snapshot
from calidris.report import render
from calidris.report import wording as words

DAY = 86_400.0


def page(model: ModelSnapshot) -> Page:
    return Page(render(Snapshot(BEGIN, (model,)), None, title="t", generated_ns=BEGIN))


@pytest.fixture(scope="module")
def binary() -> Page:
    return page(fed("binary", base_of("binary"), draw("binary", 5, 4000)))


def test_binary_has_every_section(binary: Page) -> None:
    raw = draw("binary", 5, 4000)
    said = (raw.predicted == "1").astype(float)
    for text in (
        "Performance, of the labels that are in",
        words.number(sk.accuracy_score(raw.truth, said)), words.number(sk.recall_score(raw.truth, said)),
        "Decisions by true outcome", "Slice by slice", "country NL", "country BE, sex f", "Without labels",
        "Fairness by sex", "Decided positive equally often?", "Rates of each group", "Means and spreads", "p-value",
        "Spiegelhalter",
    ):  # fmt: skip
        assert text in binary.text, text


def test_verdicts_are_words(binary: Page) -> None:
    assert "beyond the tolerance" in binary.text or "may be on either side of the tolerance" in binary.text
    assert "within the tolerance" in binary.text


def test_several_classes_name_the_one_that_suffers() -> None:
    raw = draw("multiclass", 6, 1500)
    found = page(fed("multiclass", base_of("multiclass"), raw)).text
    owl = sk.recall_score(raw.truth, raw.predicted, labels=["owl"], average=None)[0]
    assert "Which class suffers" in found and f"owl {words.number(owl)}" in found and "F1, every class alike" in found


def test_a_regression_speaks_in_its_own_unit_and_has_no_calibration() -> None:
    raw = draw("regression", 7, 1500)
    found = page(fed("regression", base_of("regression"), raw, fairness=None)).text
    assert words.number(sk.mean_absolute_error(raw.truth, raw.predicted)) in found
    assert "A regression has no scores to be calibrated." in found and "Fairness by" not in found


def test_columns_and_levels_are_named() -> None:
    raw = draw("binary", 12, 300)
    features = {"z": NumberColumn.of(np.zeros(300)), "y": CodedColumn.of(["a"] * 280 + ["<new>"] * 20)}
    batch = PredictionBatch(KEY, raw.batch.event_time_ns, features, ids=raw.batch.ids, score=raw.batch.score)
    model = fed("binary", base_of("binary"), Raw(batch, raw.truth, raw.predicted, raw.score, raw.sex, raw.country))
    found = page(model).text
    assert "x did not come in 100 % of rows" in found
    assert "z came in 100 % of rows; the baseline does not know it" in found
    assert "“<new>” (20)" in found


def test_days_have_a_picture_and_a_direction() -> None:
    model = fed("binary", base_of("binary"), draw("binary", 5, 500))
    now = BEGIN / 1e9
    points = [DayPoint(now - (10 - d) * DAY, "accuracy", 0.9 - 0.01 * d, 0.002) for d in range(10)]
    days = Days(points=points)
    model = replace(model, days=tuple(points), readings=(*model.readings, *day_trend_readings(days, BEGIN)))
    found = page(model)
    assert "Accuracy, a day −0.0100" in found.text and "getting worse" in found.text
    titles = [words for words in found.words if "by day" in words]
    assert titles == ["Accuracy by day"]
