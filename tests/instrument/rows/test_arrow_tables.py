"""Tables and columns of Arrow, which a service may read its rows with: what they hold is what leaves."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import calidris
from calidris import Model, semconv

TABLE = pa.table(
    {
        "country": pa.array(["nl", None, "de"]).dictionary_encode(),
        "price": pa.array([Decimal("1.5"), None, Decimal("2.5")]),
        "paid": pa.array([True, None, False]),
        "age": pa.array([41, None, 43], pa.int32()),
    }
)
SENT = {
    "country": ["nl", None, "de"],
    "price": [1.5, None, 2.5],
    "paid": [1.0, None, 0.0],
    "age": [41.0, None, 43.0],
}  # fmt: skip


@pytest.mark.parametrize("rows", [TABLE, TABLE.to_batches()[0], dict(zip(TABLE.column_names, TABLE.columns))], ids=["table", "batch", "columns"])  # fmt: skip
def test_columns_are_what_they_hold(receiver: Any, rows: Any) -> None:
    Model("m", allow=["country"]).record_batch(rows, scores=pa.chunked_array([[0.1, 0.2, 0.3]]))
    assert calidris.flush()
    sent = receiver.only("predict m")
    found = {name: [None if v != v else v for v in column] for name, column in sent[semconv.ML_FEATURES].items()}
    assert found == SENT
    assert sent[semconv.ML_PREDICTION_SCORE] == [0.1, 0.2, 0.3]


def test_a_table_of_one_row_is_a_row(receiver: Any) -> None:
    with Model("m", features=["age", "country"], allow=["country"]).predict(features=TABLE.slice(2, 1)) as p:
        p.score = 0.5
    assert calidris.flush()
    assert receiver.only("predict m")[semconv.ML_FEATURES] == {"age": [43.0], "country": ["de"]}


def test_a_day_is_a_day_in_every_library(receiver: Any) -> None:
    days = [date(2026, 1, 5), None, date(2026, 1, 6)]
    model = Model("m", slices=["day"])
    model.record_batch(None, scores=[0.1, 0.2, 0.3], slices={"day": pl.Series(days)})
    model.record_batch(None, scores=[0.1, 0.2, 0.3], slices={"day": days})
    model.record_batch(None, scores=[0.1, 0.2, 0.3], slices={"day": np.array(days, dtype="M8[D]")})
    assert calidris.flush()
    assert receiver.only("predict m")[semconv.ML_SLICES] == {"day": ["2026-01-05", None, "2026-01-06"] * 3}
