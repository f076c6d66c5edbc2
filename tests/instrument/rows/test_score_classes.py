"""Names of classes that come with scores go with them; where nobody names them, that is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import calidris
from calidris import Model, semconv
from calidris.instrument.runtime import runtime

PROBABILITIES = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
BY_CLASS = {"cat": [0.2, 0.1], "dog": [0.5, 0.1], "eel": [0.3, 0.8]}
NAMES = ("cat", "dog", "eel")


def sent(receiver: Any, model: Model, scores: Any) -> Any:
    model.record_batch([[1.0], [2.0]], scores=scores)
    assert calidris.flush()
    return receiver.only("predict m")[semconv.ML_PREDICTION_SCORE]


@pytest.mark.parametrize(
    ("classes", "scores"),
    [
        (NAMES, PROBABILITIES),
        (NAMES, PROBABILITIES.tolist()),
        (None, pd.DataFrame(PROBABILITIES, columns=NAMES)),
        (NAMES, pd.DataFrame(PROBABILITIES[:, ::-1], columns=NAMES[::-1])),
        (NAMES, pd.DataFrame(PROBABILITIES, columns=["p_cat", "p_dog", "p_eel"])),
        (NAMES, pd.DataFrame(PROBABILITIES)),
        (NAMES, pd.DataFrame(PROBABILITIES[:, ::-1], columns=["p_eel", "p_dog", "p_cat"])),
        (None, dict(zip(NAMES, PROBABILITIES.T))),
    ],
)  # fmt: skip
def test_columns_of_scores_carry_the_names_that_somebody_knows(receiver: Any, classes: Any, scores: Any) -> None:
    model = Model("m", task="multiclass", classes=classes)
    assert sent(receiver, model, scores) == BY_CLASS
    assert not runtime.missing()


@pytest.mark.parametrize("scores", [PROBABILITIES, PROBABILITIES.tolist(), pd.DataFrame(PROBABILITIES)])
def test_columns_that_nobody_names_are_called_after_their_places_and_told(receiver: Any, scores: Any) -> None:
    found = sent(receiver, Model("m", task="multiclass"), scores)
    assert found == {"0": [0.2, 0.1], "1": [0.5, 0.1], "2": [0.3, 0.8]}
    assert runtime.missing() == {"score_classes_unnamed": 2}


@pytest.mark.parametrize(
    ("classes", "score", "expected"),
    [
        (("no", "yes"), [0.2, 0.8], {"no": [0.2], "yes": [0.8]}),
        (("yes", "no"), np.array([[0.8, 0.2]]), {"yes": [0.8], "no": [0.2]}),
        (None, pd.Series([0.2, 0.8], index=["no", "yes"]), {"no": [0.2], "yes": [0.8]}),
        (None, [0.2, 0.8], [0.8]),
        (None, pd.Series([0.2, 0.8]), [0.8]),
        (NAMES, [0.2, 0.5, 0.3], {"cat": [0.2], "dog": [0.5], "eel": [0.3]}),
    ],
)  # fmt: skip
def test_scores_of_one_row_likewise(receiver: Any, classes: Any, score: Any, expected: Any) -> None:
    model = Model("m", classes=classes)
    with model.predict(features={"a": 1}) as p:
        p.score = score
    assert calidris.flush()
    assert receiver.only("predict m")[semconv.ML_PREDICTION_SCORE] == expected


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        (np.array([[0.2, 0.8], [0.9, 0.1]]), [0.8, 0.1]),
        (pd.DataFrame([[0.2, 0.8], [0.9, 0.1]]), [0.8, 0.1]),
        (pd.DataFrame([[0.8, 0.2], [0.1, 0.9]], columns=["yes", "no"]), {"yes": [0.8, 0.1], "no": [0.2, 0.9]}),
    ],
)  # fmt: skip
def test_two_columns_without_names_are_the_negative_and_the_positive_class(
    receiver: Any, scores: Any, expected: Any
) -> None:
    assert sent(receiver, Model("m"), scores) == expected
    assert not runtime.missing()


@pytest.mark.parametrize("kind", [np.array, pd.DataFrame])
@pytest.mark.parametrize("classes", [[1, 0], ["1", "0"], [True, False]])
def test_places_are_no_names_of_classes_that_are_numbers(receiver: Any, classes: Any, kind: Any) -> None:
    found = sent(receiver, Model("m", classes=classes), kind([[0.2, 0.8], [0.9, 0.1]]))
    assert list(found.values()) == [[0.2, 0.9], [0.8, 0.1]]
    assert [name.lower() for name in found] == [str(name).lower() for name in classes]


def test_places_of_one_row_are_no_names_either(receiver: Any) -> None:
    with Model("m", classes=[1, 0]).predict(features={"a": 1}) as p:
        p.score = np.array([0.8, 0.2])
    assert calidris.flush()
    assert receiver.only("predict m")[semconv.ML_PREDICTION_SCORE] == {"1": [0.8], "0": [0.2]}


def test_rows_with_one_score_and_rows_with_one_a_class_keep_theirs(receiver: Any) -> None:
    model = Model("m")
    for score in (0.7, {"no": 0.4, "yes": 0.6}, None, [0.2, 0.8], {"yes": 0.9, "no": 0.1}):
        with model.predict(features={"a": 1}) as p:
            p.score = score
    assert calidris.flush()
    found = [span[semconv.ML_PREDICTION_SCORE] for span in receiver.predictions_and_labels()]
    assert [[None if score != score else score for score in one] for one in found if type(one) is list] == [
        [0.7, None, 0.8]
    ]
    assert [one for one in found if type(one) is dict] == [{"no": [0.4, 0.1], "yes": [0.6, 0.9]}]
