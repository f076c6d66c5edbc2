"""Vectors through the guest, over real gRPC, as the house's own decoder reads them: declared, bounded, never in the way."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

import calidris
from calidris import Model, semconv
from calidris.batch import PredictionBatch
from calidris.instrument.rows import vectors
from calidris.instrument.runtime import runtime
from calidris.instrument.sending import packing
from calidris.wire import decode, limits


def received(receiver: Any) -> list[PredictionBatch]:
    found = []
    for raw in receiver.requests:
        decoded = decode(raw, tenant="default", arrival_ns=time.time_ns())
        assert not decoded.rejected
        found += [item for item in decoded.items if isinstance(item, PredictionBatch)]
    return found


def rows_of(receiver: Any, name: str = "text") -> dict[str, list[float] | None]:
    """The vector of each id, None where it is missing or was not sent."""
    found: dict[str, list[float] | None] = {}
    for batch in received(receiver):
        column = batch.embeddings.get(name)
        rows = [None] * len(batch) if column is None else column.dense().tolist()
        found |= {
            one: None if row is None or row != row or row[0] != row[0] else row for one, row in zip(batch.ids, rows)
        }  # type: ignore[arg-type]
    return found


class Tensor:
    """What a tensor of another library offers: ``tolist`` and a dtype that is not numpy's."""

    dtype = "bfloat16"

    def __init__(self, *values: float) -> None:
        self.values = list(values)

    def tolist(self) -> list[float]:
        return self.values


GIVEN = {
    "array": np.array([1.0, 2.5]),
    "float32": np.array([1.0, 2.5], np.float32),
    "integers": np.array([[1, 2]]),
    "tuple": (1, 2.5),
    "row of a list": [[1.0, 2.5]],
    "numpy scalars": [np.float32(1), np.float64(2.5)],
    "tensor": Tensor(1.0, 2.5),
}


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_whatever_vectors_the_application_has(receiver: Any, given: Any) -> None:
    model = Model("m", embeddings=["text"])
    with model.predict(features={"age": 1}, id="a", embeddings={"text": given}):
        pass
    assert calidris.flush()
    assert rows_of(receiver)["a"] == [1.0, 2.0 if given is GIVEN["integers"] else 2.5]
    (batch,) = received(receiver)
    assert list(batch.features) == ["age"]


MATRICES = {
    "matrix": np.array([[1.0, 2.0], [3.0, 4.0]]),
    "column-major": np.asfortranarray([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32),
    "lists": [[1.0, 2.0], (3.0, 4.0)],
    "arrays": [np.array([1.0, 2.0]), np.array([3.0, 4.0])],
    "series": pd.Series([[1.0, 2.0], [3.0, 4.0]]),
}


@pytest.mark.parametrize("given", MATRICES.values(), ids=MATRICES)
def test_many_rows(receiver: Any, given: Any) -> None:
    Model("m", embeddings=["text"]).record_batch({"age": [1, 2]}, ids=["a", "b"], embeddings={"text": given})
    assert calidris.flush()
    assert rows_of(receiver) == {"a": [1.0, 2.0], "b": [3.0, 4.0]}


def test_rows_without_a_vector_and_of_other_lengths(receiver: Any) -> None:
    model = Model("m", embeddings=["text", "image"])
    for name, given in {
        "a": {"text": [1, 2]}, "b": {"text": None}, "c": {}, "d": None, "e": {"text": [1, 2, 3], "image": [9]},
        "f": {"text": [float("nan"), 1]}, "g": {"text": [3, 4]},
    }.items():  # fmt: skip
        with model.predict(features={"age": 1}, id=name, embeddings=given):
            pass
    model.record_batch({"age": [1, 2]}, ids=["h", "i"], embeddings={"text": [None, [5, 6]]})
    assert calidris.flush()
    want: dict[str, Any] = dict.fromkeys("abcdefghi") | {"a": [1, 2], "e": [1, 2, 3], "g": [3, 4], "i": [5, 6]}
    assert rows_of(receiver) == want
    assert rows_of(receiver, "image")["e"] == [9]


def test_only_declared_vectors_leave(receiver: Any, caplog: Any) -> None:
    secret = np.full(4, 1234.5678, np.float32)
    for model in (Model("m"), Model("m", embeddings=["other"])):
        with model.predict(features={"age": 1, "text": secret}, embeddings={"text": secret}):
            pass
        model.record_batch({"age": [1]}, embeddings={"text": [secret]})
    assert calidris.flush()
    assert secret[:1].tobytes() not in b"".join(receiver.requests)
    assert runtime.notes()["embedding_not_declared", "text"] == 4
    assert "embeddings= of Model" in caplog.text


@pytest.mark.parametrize("rule", ["drop", "hash", "bucket"])
@pytest.mark.parametrize("name", ["text", "*"])
def test_a_rule_that_names_a_vector_keeps_it_here(receiver: Any, rule: str, name: str) -> None:
    rules: Any = {rule: {name: [1.0]} if rule == "bucket" else [name]}
    with Model("m", embeddings=["text"], **rules).predict(features={"age": 1}, embeddings={"text": [1.5, 2.5]}):
        pass
    assert calidris.flush()
    assert "text" not in receiver.only("predict m").get(semconv.ML_FEATURES, {})
    assert (("embedding_rule", "text") in runtime.notes()) == (rule != "drop")


BAD = {
    "text": "abc",
    "bytes": b"12345678",
    "strings": ["a"],
    "nothing in it": [],
    "too long": [0.0] * (vectors.MAX_DIMENSION + 1),
    "a number": 3.0,
    "a scalar array": np.array(3.0),
    "two vectors": np.zeros((2, 3)),
    "three dimensions": np.zeros((2, 2, 2)),
    "with a hole": [1.0, None],
    "an object": object(),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_vector_is_missing_and_the_row_is_not(receiver: Any, bad: Any) -> None:
    model = Model("m", embeddings=["text"])
    with model.predict(features={"age": 1}, id="a", embeddings={"text": bad}) as p:
        p.score = 0.5
    assert calidris.flush()
    assert rows_of(receiver) == {"a": None}
    assert runtime.notes()["embedding_not_copied", "text"] == 1


def test_arguments_that_are_no_mapping_raise_nothing(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_CALIDRIS_DEBUG_RAISE")
    model = Model("m", embeddings=["text"])
    with model.predict(features={"age": 1}, id="a", embeddings=[[1.0]]):  # type: ignore[arg-type]
        pass
    model.record_batch({"age": [1]}, ids=["b"], embeddings=3)
    model.record_batch({"age": [1, 2]}, ids=["c", "d"], embeddings={"text": [[1.0], [2.0], [3.0]]})
    model.record_batch({"age": [1, 2]}, ids=["e", "f"], embeddings={"text": [[1.0], [2.0, 3.0]]})
    assert not calidris.flush()
    assert set(rows_of(receiver)) == {"a", "e", "f"}
    assert runtime.drops()["m", "malformed"] == 2


def test_vectors_are_copied_and_huge_numbers_warn_nobody(receiver: Any) -> None:
    model, vector = Model("m", embeddings=["text"]), np.array([1.0, 2.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with model.predict(id="a", embeddings={"text": vector}):
            vector[:] = 7
        with model.predict(id="b", embeddings={"text": np.array([1e300, 1.0])}):
            pass
    assert calidris.flush()
    assert rows_of(receiver)["a"] == [1.0, 2.0]
    assert sum(batch.embeddings["text"].non_finite for batch in received(receiver)) == 1


@pytest.mark.parametrize("rows", [1, 700])
def test_spans_stay_within_their_size(receiver: Any, rows: int) -> None:
    model, matrix = (
        Model("m", embeddings=["text"]),
        np.random.default_rng(0).normal(size=(rows, 768)).astype(np.float32),
    )
    model.record_batch(None, ids=[f"b{n}" for n in range(rows)], embeddings={"text": matrix})
    for n in range(rows):
        with model.predict(id=f"r{n}", embeddings={"text": matrix[n]}):
            pass
    assert calidris.flush()
    sizes = [span["span"].ByteSize() for span in receiver.spans()]
    assert max(sizes) <= packing.MAX_SPAN_BYTES
    assert len(sizes) == 2 * -(-rows // 64)  # none was packed twice
    found = rows_of(receiver)
    assert len(found) == 2 * rows
    assert all(found[f"{kind}{n}"] == matrix[n].tolist() for n in range(rows) for kind in "br")


def test_waiting_vectors_are_bounded_by_their_bytes(receiver: Any) -> None:
    calidris.configure(endpoint=receiver.endpoint, queue_bytes=8000, delay_s=60)
    model = Model("m", embeddings=["text"])
    with model.predict():
        pass
    assert calidris.flush()  # its thread has begun to wait
    for _ in range(5):  # of 3200 bytes each
        with model.predict(embeddings={"text": np.zeros(800)}):
            pass
    model.record_batch(None, scores=[0.5], embeddings={"text": np.zeros((1, 800))})
    assert runtime.drops() == {("m", "queue_full"): 4}
    assert not calidris.flush()
    with model.predict(embeddings={"text": np.zeros(800)}):
        pass
    assert calidris.flush()
    assert runtime.drops() == {("m", "queue_full"): 4}
    assert sum(map(len, received(receiver))) == 4


def test_sdk_and_receiver_agree_on_the_longest_vector() -> None:
    assert vectors.MAX_DIMENSION == limits.MAX_DIMENSION
