"""What `Model.observe` is put around stays what it was: its kind, its type, and all that it has."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
from typing import Any

import pytest

import calidris
from calidris import Model, semconv
from calidris.instrument.runtime import runtime


def predictions(receiver: Any) -> list[list[Any]]:
    """The feature n and the score of each prediction."""
    calidris.flush(10)
    found = []
    for span in receiver.spans():
        if span["name"].startswith("predict"):
            features = span[semconv.ML_FEATURES]["n"]
            found += [list(row) for row in zip(features, span[semconv.ML_PREDICTION_SCORE])]
    return found


class Service:
    """Methods of every kind."""

    @Model("m").observe
    @staticmethod
    def static(row: Any) -> float:
        return 0.5

    @Model("m").observe
    @classmethod
    def of_class(cls, row: Any) -> float:
        assert cls is Service
        return 0.5

    @Model("m").observe
    @functools.lru_cache  # noqa: B019
    def cached(self, row: Any) -> float:
        assert type(self) is Service
        return 0.5

    def plain(self, row: Any) -> float:
        return 0.5


class Scorer:
    """An object that is called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, row: Any) -> float:
        self.calls += 1
        return 0.5

    def explain(self) -> str:
        return "because"


def scored(factor: float, row: Any) -> float:
    return factor


def test_static_and_class_methods_stay_such(receiver: Any) -> None:
    assert isinstance(inspect.getattr_static(Service, "static"), staticmethod)
    assert isinstance(inspect.getattr_static(Service, "of_class"), classmethod)
    for owner in (Service, Service()):
        assert owner.static({"n": 1.0}) == owner.of_class({"n": 2.0}) == 0.5
    assert sorted(predictions(receiver)) == [[1.0, 0.5], [1.0, 0.5], [2.0, 0.5], [2.0, 0.5]]


def test_a_bound_method_keeps_what_it_is_bound_to(receiver: Any) -> None:
    service = Service()
    observed: Any = Model("m").observe(service.plain)
    assert observed({"n": 1.0}) == 0.5
    assert observed.__self__ is service
    assert predictions(receiver) == [[1.0, 0.5]]


def test_a_cache_can_still_be_asked_and_cleared(receiver: Any) -> None:
    @functools.lru_cache
    def answer(row: Any) -> float:
        return 0.5

    cached: Any = Model("m", features=["n"]).observe(answer)
    given = (1.0,)
    assert cached(given) == cached(given) == 0.5
    assert cached.cache_info().hits == 1
    cached.cache_clear()
    assert cached.cache_info().currsize == 0
    assert isinstance(cached, type(answer))
    assert predictions(receiver) == [[1.0, 0.5], [1.0, 0.5]]


def test_a_cached_method_is_still_one() -> None:
    service: Any = Service()
    assert service.cached((1.0,)) == service.cached((1.0,)) == 0.5
    assert Service.cached.cache_info().hits == 1  # type: ignore[attr-defined]


def test_a_partial_stays_one(receiver: Any) -> None:
    partial = functools.partial(scored, 0.5)
    observed: Any = Model("m").observe(partial)
    assert observed({"n": 1.0}) == 0.5
    assert isinstance(observed, functools.partial)
    assert (observed.func, observed.args) == (scored, (0.5,))
    assert pickle.loads(pickle.dumps(observed))({"n": 2.0}) == 0.5  # noqa: S301
    assert predictions(receiver) == [[1.0, 0.5]]


def test_an_object_that_is_called_stays_itself(receiver: Any) -> None:
    scorer = Scorer()
    observed: Any = Model("m").observe(scorer)
    assert observed({"n": 1.0}) == 0.5
    assert isinstance(observed, Scorer)
    assert observed.explain() == "because"
    assert observed.calls == scorer.calls == 1
    observed.calls = 7
    assert scorer.calls == 7
    assert copy.deepcopy(observed).calls == copy.copy(observed).calls == 7
    assert predictions(receiver) == [[1.0, 0.5]]


class Descriptor(Scorer):
    """It does something of its own where it is found in a class."""

    def __get__(self, instance: Any, owner: Any) -> str:
        return "theirs"


@pytest.mark.parametrize("thing", [Scorer, int, Descriptor(), property(lambda self: 0.5)])
def test_what_would_become_something_else_is_left_alone_and_told(receiver: Any, thing: Any) -> None:
    assert Model("m").observe(thing) is thing
    assert runtime.notes() == {("not_observed", "m"): 1}
