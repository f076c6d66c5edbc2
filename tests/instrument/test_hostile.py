"""Every door of the SDK, and at each everything that an application may hand over.

Nothing reaches the caller, the rows beside arrive whole, what is not sent is counted, a call takes neither long nor much, and
nothing of it is an error of ours: the shield lets those through in tests.
"""

from __future__ import annotations

import itertools
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.instrument.hostile_objects import OBJECTS, Recording

import calidris
from calidris import Model, semconv
from calidris.instrument import many_rows
from calidris.instrument.environment import OTEL_CALIDRIS_DEBUG_RAISE
from calidris.instrument.runtime import runtime
from calidris.instrument.shield import internal_errors

LONGEST_CALL_S = 3.0
"""What no call takes: a million rows of an endless iterator are read in some tenths of a second."""

MOST_BYTES = 200_000_000
"""What no call takes: those million rows are half of it."""

TENTH = 10
"""Memory is measured at a tenth of the rows that are read, and of the bound: to trace each object takes long."""

ROW = {"age": 41.0, "income": 2100.5}
Door = Callable[[Model, Any], object]


def answered(name: str) -> Door:
    def call(model: Model, thing: Any) -> None:
        with model.predict(features=ROW) as p:
            setattr(p, name, thing)

    return call


def predicted(**arguments: Callable[[Any], Any]) -> Door:
    def call(model: Model, thing: Any) -> None:
        with model.predict(**{"features": ROW} | {name: make(thing) for name, make in arguments.items()}) as p:
            p.score = 0.5

    return call


def observed(model: Model, thing: Any) -> None:
    assert model.observe(lambda row: thing)(thing) is thing


def observed_async(model: Model, thing: Any) -> None:
    @model.observe
    async def answer(row: Any) -> Any:
        return thing

    with pytest.raises(StopIteration) as ended:  # asyncio asks a result for its text, which some raise at
        answer(thing).send(None)
    assert ended.value.value is thing


def itself(thing: Any) -> Any:
    return thing


PREDICTIONS: dict[str, Door] = {
    "features": predicted(features=itself),
    "a feature": predicted(features=lambda thing: ROW | {"age": thing}),
    "a later feature": predicted(features=lambda thing: ROW | {"income": thing}),
    "a feature beside slices": predicted(
        features=lambda thing: ROW | {"age": thing}, slices=lambda thing: {"country": "NL"}
    ),
    "features by place": predicted(features=lambda thing: [thing, 1.0]),
    "a later feature by place": predicted(features=lambda thing: [1.0, thing]),
    "features in a list": predicted(features=lambda thing: [thing]),
    "id": predicted(id=itself),
    "slices": predicted(slices=itself),
    "a slice": predicted(slices=lambda thing: {"country": thing}),
    "embeddings": predicted(embeddings=itself),
    "an embedding": predicted(embeddings=lambda thing: {"text": thing}),
    "a number of an embedding": predicted(embeddings=lambda thing: {"text": [thing, 1.0]}),
    "time": predicted(time=itself),
    "time with a unit": predicted(time=itself, time_unit=lambda thing: "s"),
    "time unit": predicted(time=lambda thing: 1, time_unit=itself),
    "score": answered("score"),
    "class": answered("cls"),
    "value": answered("value"),
    "a score of a class": predicted() and (lambda model, thing: answered("score")(model, {"a": thing, "b": 0.5})),
    "scores": lambda model, thing: answered("score")(model, [thing, 0.5]),
    "observe": observed,
    "observe async": observed_async,
}


def batch(**arguments: Callable[[Any], Any]) -> Door:
    def call(model: Model, thing: Any) -> None:
        model.record_batch(**{"X": None} | {name: make(thing) for name, make in arguments.items()})

    return call


def two(thing: Any) -> list[Any]:
    return [thing, 0.5]


def beside(thing: Any) -> list[float]:
    return [0.5, 0.5]


COLUMNS = ("X", "scores", "ids", "classes", "values", "slices", "embeddings", "times")
BATCHES: dict[str, Door] = {
    **{f"{name} alone": batch(**{name: itself}) for name in COLUMNS},
    **{f"{name} beside scores": batch(**{"values": beside, name: itself}) for name in COLUMNS},
    **{
        f"one of {name}": batch(**{"values": beside, name: two})
        for name in COLUMNS
        if name not in ("slices", "embeddings")
    },
    "a column": batch(values=beside, X=lambda thing: {"age": thing}),
    "a column beside another": batch(values=beside, X=lambda thing: {"age": thing, "income": [0.5, 0.5]}),
    "one of a column": batch(values=beside, X=lambda thing: {"age": [thing, 1.0]}),
    "one of a row": batch(values=beside, X=lambda thing: [[thing, 1.0], [1.0, 2.0]]),
    "a row by name": batch(values=beside, X=lambda thing: [ROW | {"age": thing}, ROW]),
    "a slice column": batch(values=beside, slices=lambda thing: {"country": thing}),
    "one of a slice column": batch(values=beside, slices=lambda thing: {"country": two(thing)}),
    "scores of a class": batch(scores=lambda thing: {"a": thing, "b": [0.5, 0.5]}),
    "an embedding column": batch(values=beside, embeddings=lambda thing: {"text": thing}),
    "one of an embedding column": batch(values=beside, embeddings=lambda thing: {"text": [[0.5, 0.5], thing]}),
    "times with a unit": batch(values=beside, times=itself, time_unit=lambda thing: "ms"),
    "time unit": batch(values=beside, times=beside, time_unit=itself),
}

LABELS: dict[str, Door] = {
    "id of a label": lambda model, thing: model.record_label(thing, 1),
    "label": lambda model, thing: model.record_label("r", thing),
    "time of a label": lambda model, thing: model.record_label("r", 1, time=thing),
    "time in ns": lambda model, thing: model.record_label("r", 1, time_ns=thing),
    "unit of a label": lambda model, thing: model.record_label("r", 1, time=1, time_unit=thing),
}

MANY_LABELS: dict[str, Door] = {
    "ids": lambda model, thing: model.record_labels(thing, [1, 0]),
    "labels": lambda model, thing: model.record_labels(["r", "s"], thing),
    "one of the ids": lambda model, thing: model.record_labels([thing, "s"], [1, 0]),
    "one of the labels": lambda model, thing: model.record_labels(["r", "s"], [thing, 0]),
    "times": lambda model, thing: model.record_labels(["r", "s"], [1, 0], times=thing),
    "times in ns": lambda model, thing: model.record_labels(["r", "s"], [1, 0], times_ns=thing),
    "model": lambda model, thing: calidris.record_label("r", 1, model=thing),
}

ARGUMENTS = (
    "name",
    "version",
    "task",
    "features",
    "slices",
    "classes",
    "allow",
    "drop",
    "hash",
    "bucket",
    "embeddings",
)


def made(argument: str) -> Door:
    def call(model: Model, thing: Any) -> None:
        with Model(**{"name": "other"} | {argument: thing}).predict(features={"a": 1.0, "b": 2.0}) as p:
            p.score = 0.5

    return call


MODELS: dict[str, Door] = {argument: made(argument) for argument in ARGUMENTS}
STREAMS = [name for name in OBJECTS if "endless" in name and "mapping" not in name]


class Measured:
    """How long each call took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def call(self, door: Door, model: Model, name: str) -> None:
        thing = OBJECTS[name]()
        begun = time.monotonic()
        door(model, thing)
        self.seconds[name] = time.monotonic() - begun

    def check(self) -> None:
        assert {name: took for name, took in self.seconds.items() if took > LONGEST_CALL_S} == {}


@pytest.fixture
def measured() -> Any:
    return Measured()


def neighbour(model: Model, n: int) -> None:
    with model.predict(features=ROW | {"age": n}, id=f"n{n}", slices={"country": "NL"}) as p:
        p.score, p.cls = 0.25, "yes"
    model.record_label(f"n{n}", 1)


def arrived(receiver: Any, strings: Any, model: str) -> list[dict[str, Any]]:
    """Every row of a model that the receiver has."""
    found = []
    for span in receiver.spans():
        if span["name"] == f"predict {model}":
            ids = strings(span[semconv.ML_PREDICTION_ID])
            for at, one in enumerate(ids):
                columns = {
                    key: span[key][at]
                    for key in (semconv.ML_PREDICTION_SCORE, semconv.ML_PREDICTION_CLASS)
                    if isinstance(span.get(key), list)
                }
                found.append(
                    {
                        "id": one,
                        "features": {
                            k: v[at] for k, v in span.get(semconv.ML_FEATURES, {}).items() if isinstance(v, list)
                        },
                        **columns,
                    }
                )
    return found


def labels(receiver: Any, strings: Any, model: str) -> list[str]:
    spans = [span for span in receiver.spans() if span["name"] == f"feedback {model}"]
    return [one for span in spans for one in strings(span[semconv.ML_PREDICTION_ID])]


def dropped(model: str) -> int:
    return sum(rows for (name, _), rows in runtime.drops().items() if name == model)


def run(door: Door, receiver: Any, strings: Any, measured: Measured, **declared: Any) -> Model:
    """All objects through a door, each between two neighbours, which must arrive whole."""
    model = Model("m", slices=["country"], embeddings=["text"], allow=["country"], **declared)
    before = internal_errors()
    for n, name in enumerate(OBJECTS):
        neighbour(model, n)
        measured.call(door, model, name)
    neighbour(model, len(OBJECTS))
    receiver.settle()
    assert internal_errors() == before
    rows = {row["id"]: row for row in arrived(receiver, strings, "m")}
    for n in range(len(OBJECTS) + 1):
        row = rows[f"n{n}"]
        assert row["features"] | {"age": float(n), "income": 2100.5} == row["features"]
        assert row[semconv.ML_PREDICTION_CLASS] == "yes"
    assert {f"n{n}" for n in range(len(OBJECTS) + 1)} <= set(labels(receiver, strings, "m"))
    measured.check()
    return model


@pytest.mark.parametrize("declared", [{"features": ["age", "income"]}, {}], ids=["declared", "undeclared"])
@pytest.mark.parametrize("door", PREDICTIONS.values(), ids=PREDICTIONS)
def test_predictions(door: Door, declared: Any, receiver: Any, strings: Any, measured: Measured, request: Any) -> None:
    run(door, receiver, strings, measured, **declared)
    if "feature" in request.node.callspec.id.partition("-")[0]:
        assert b"secret" not in b"".join(receiver.requests)
    made = 2 * len(OBJECTS) + 1
    assert len(arrived(receiver, strings, "m")) + dropped("m") == made


@pytest.mark.parametrize("declared", [{"features": ["age", "income"]}, {}], ids=["declared", "undeclared"])
@pytest.mark.parametrize("door", BATCHES.values(), ids=BATCHES)
def test_batches(door: Door, declared: Any, receiver: Any, strings: Any, measured: Measured) -> None:
    run(door, receiver, strings, measured, **declared)


@pytest.mark.parametrize("door", LABELS.values(), ids=LABELS)
def test_labels(door: Door, receiver: Any, strings: Any, measured: Measured) -> None:
    run(door, receiver, strings, measured)
    assert len(labels(receiver, strings, "m")) + dropped("m") == 2 * len(OBJECTS) + 1


@pytest.mark.parametrize("door", MANY_LABELS.values(), ids=MANY_LABELS)
def test_many_labels(door: Door, receiver: Any, strings: Any, measured: Measured) -> None:
    run(door, receiver, strings, measured)


@pytest.mark.parametrize("door", MODELS.values(), ids=MODELS)
def test_models(door: Door, receiver: Any, strings: Any, measured: Measured) -> None:
    run(door, receiver, strings, measured)
    rows = [
        span
        for span in receiver.spans()
        if span["name"].startswith("predict ") and span["name"] not in ("predict m", "predict inner")
    ]
    lost = sum(count for (name, _), count in runtime.drops().items() if name != "m")
    assert sum(span[semconv.ML_PREDICTION_COUNT] for span in rows) + lost == len(OBJECTS)


@pytest.mark.parametrize("name", STREAMS)
def test_what_can_be_read_once_is_the_applications_to_read(name: str, receiver: Any) -> None:
    stream = OBJECTS[name]()
    model = Model("m", features=["a"])
    with model.predict(features=stream) as p:
        p.score = stream
    with model.predict(features={"a": stream}) as p:
        p.cls = p.value = stream
    assert model.observe(lambda row: row)(stream) is stream
    receiver.settle()
    assert next(stream) == next(OBJECTS[name]())


EVERY = PREDICTIONS | BATCHES | LABELS | MANY_LABELS | MODELS

# Recipes and not the things themselves: the generator looks at what it generates.
recipes = st.recursive(
    st.sampled_from(sorted(OBJECTS)).map(lambda name: ("thing", name))
    | (st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary()).map(
        lambda plain: ("plain", plain)
    ),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda parts: ("list", parts))
        | st.dictionaries(st.text(max_size=8), inner, max_size=4).map(lambda parts: ("dict", parts))
    ),
    max_leaves=6,
)


def prepare(recipe: tuple[str, Any]) -> Any:
    kind, content = recipe
    if kind == "list":
        return list(map(prepare, content))
    if kind == "dict":
        return {name: prepare(part) for name, part in content.items()}
    return OBJECTS[content]() if kind == "thing" else content


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(sorted(EVERY)), recipes), min_size=1, max_size=5))
def test_whatever_comes_together(receiver: Any, strings: Any, calls: list[tuple[str, Any]]) -> None:
    receiver.requests.clear()
    model = Model("m", features=["age", "income"], slices=["country"], embeddings=["text"], allow=["country"])
    neighbour(model, 1)
    for door, recipe in calls:
        EVERY[door](model, prepare(recipe))
    neighbour(model, 2)
    receiver.settle()
    rows = {row["id"]: row["features"] for row in arrived(receiver, strings, "m")}
    assert [rows["n1"], rows["n2"]] == [{"age": 1.0, "income": 2100.5}, {"age": 2.0, "income": 2100.5}]


def test_the_sending_thread_lives_and_what_it_reads_may_record(receiver: Any, strings: Any) -> None:
    model = Model("m", features=["a", "b"])
    for _ in range(3):
        for make in OBJECTS.values():
            with model.predict(features={"a": make(), "b": 1.0}):
                pass
        receiver.settle()
    assert len(arrived(receiver, strings, "m")) == 3 * len(OBJECTS)
    assert Recording in map(type, (make() for make in OBJECTS.values()))
    assert arrived(receiver, strings, "inner")


def test_wrong_arguments_are_told_at_each_call(receiver: Any) -> None:
    model: Any = Model("m", colour="red")  # type: ignore[arg-type]
    for _ in range(2):
        model.record_batch([[1.0], [2.0]], [0.5, 0.5], when=3)
    model.record_batch(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
    model.record_labels(["a", "b", "c"])
    with model.predict({"a": 1}, "id", feature=3) as p:
        p.score = 0.5
    receiver.settle()
    assert runtime.drops() == {("m", "malformed"): 2 * 2 + 1 + 3}
    assert receiver.only("predict m")[semconv.ML_PREDICTION_SCORE] == [0.5]
    told = [name for reason, name in runtime.notes() if reason == "wrong_arguments"]
    assert all(any(argument in name for name in told) for argument in ("when", "colour", "feature=", "labels"))
    assert runtime.notes()["malformed", "m"] == 8


def test_reading_stops_one_row_beyond_what_was_said(receiver: Any) -> None:
    model = Model("m")
    for name in ("scores", "ids", "classes", "values", "times"):
        stream = itertools.count()
        model.record_batch(np.zeros((3, 2)), **{name: stream}, time_unit="s")  # type: ignore[arg-type]
        assert next(stream) == 4, name
    assert runtime.drops() == {("m", "malformed"): 15}


SETTINGS = (
    "endpoint",
    "headers",
    "model_name",
    "model_version",
    "model_role",
    "allow",
    "drop",
    "hash",
    "bucket",
    "hash_key",
    "timeout_s",
    "delay_s",
    "queue_rows",
    "queue_bytes",
    "handle_sigterm",
    "certificate",
    "client_certificate",
    "client_key",
    "slices",
)


@pytest.mark.parametrize("argument", SETTINGS)
def test_settings(argument: str, receiver: Any, measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(OTEL_CALIDRIS_DEBUG_RAISE)  # settings that cannot be used are told as errors are
    reached: dict[str, str] = {}

    def configure(model: Model, thing: Any) -> None:
        calidris.configure(**{"endpoint": receiver.endpoint, argument: thing})

    for name in OBJECTS:
        try:
            measured.call(configure, Model("m"), name)
        except BaseException as error:
            reached[name] = type(error).__name__
    assert reached == {}
    calidris.configure(endpoint=receiver.endpoint)
    neighbour(Model("m"), 1)
    receiver.settle()
    assert receiver.only("predict m")[semconv.ML_PREDICTION_COUNT] == 1
    measured.check()


TIMES: dict[str, Callable[[Any], object]] = {"flush": calidris.flush, "shutdown": calidris.shutdown}


@pytest.mark.parametrize("wait", TIMES.values(), ids=TIMES)
def test_times_to_wait(wait: Any, receiver: Any, measured: Measured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(OTEL_CALIDRIS_DEBUG_RAISE)
    for name in OBJECTS:
        measured.call(lambda model, thing: wait(thing), Model("m"), name)
    calidris.configure(endpoint=receiver.endpoint)
    neighbour(Model("m"), 1)
    receiver.settle()
    assert receiver.only("predict m")[semconv.ML_PREDICTION_COUNT] == 1
    measured.check()


def test_ids_of_hostile_things_are_texts(receiver: Any) -> None:
    model = Model("m")
    for make in OBJECTS.values():
        with model.predict(id=make()):
            pass
        (one,) = calidris.last_prediction_ids()
        assert type(one) is str and one
        model.record_batch(None, [0.5, 0.5], ids=[make(), make()])
        assert set(map(type, calidris.last_prediction_ids())) == {str}


LARGE = [
    name
    for name in OBJECTS
    if any(word in name for word in ("endless", "length", "much", "large", "listing", "range", "long"))
]


@pytest.mark.parametrize("name", LARGE)
def test_no_call_takes_much_memory(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "on", True)
    monkeypatch.setattr(runtime, "append", lambda row: None)
    monkeypatch.setattr(runtime, "append_many", lambda item: None)
    monkeypatch.setattr(many_rows, "MAX_READ", many_rows.MAX_READ // TENTH)
    model, taken = Model("m", embeddings=["text"]), {}
    things = [OBJECTS[name]() for _ in EVERY]
    tracemalloc.start()
    try:
        for (place, door), thing in zip(EVERY.items(), things):
            tracemalloc.reset_peak()
            held = tracemalloc.get_traced_memory()[0]
            door(model, thing)
            taken[place] = tracemalloc.get_traced_memory()[1] - held
    finally:
        tracemalloc.stop()
    assert {place: size for place, size in taken.items() if size > MOST_BYTES // TENTH} == {}
