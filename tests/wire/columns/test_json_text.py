"""Strings parsed together give what each gives alone, whatever they hold."""

from __future__ import annotations

import math
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calidris.wire.columns.json_text import parse, parse_each
from calidris.wire.rejections import Rejected

fragments = st.lists(
    st.sampled_from(
        ['{"a":1', '"b":2}', "1],[2", "[", "]", "{", "}", ",", ":", '"', "\\", "1", "null", " ", '"a"', "NaN"]
    ),
    max_size=5,
).map("".join)
values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
).map(lambda plain: orjson.dumps(plain).decode())


def alone(text: str) -> Any:
    try:
        return parse(text)
    except Rejected:
        return Rejected


@given(st.lists(fragments | values | st.text(max_size=5), max_size=6))
@settings(max_examples=400, deadline=None)
def test_together_as_alone(texts: list[str]) -> None:
    together = [Rejected if isinstance(value, Rejected) else value for value in parse_each(texts)]
    assert repr(together) == repr([alone(text) for text in texts])


@pytest.mark.parametrize(
    "texts",
    [
        ['{"a":1', '"b":2}'],
        ["1],[2"],
        ["1],[2", "3"],
        ["[1", "2]", "3,4,5"],
        ['"', '"'],
        ['"a\\', '"'],
        ["1,2", ""],
        ["[1", "2]", '3,"s' + "0" * 32 + '",4'],
        ["", ""],
        ["1 ", " 2", "3//"],
    ],
)
def test_strings_that_fit_their_neighbours(texts: list[str]) -> None:
    for text, value in zip(texts, parse_each(texts), strict=True):
        assert isinstance(value, Rejected) or value == orjson.loads(text)
    assert any(isinstance(value, Rejected) for value in parse_each(texts))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 5_000, "[NaN" + "[" * 100_000, "1" * 5_000 + "x"])
def test_depth_is_bounded(text: str) -> None:
    with pytest.raises(Rejected):
        parse(text)


def test_what_other_writers_produce() -> None:
    assert math.isnan(parse("NaN"))
    assert parse('{"x": -Infinity, "y": 1e400}') == {"x": -math.inf, "y": math.inf}
    assert parse("9" * 400) == math.inf
    with pytest.raises(Rejected):
        parse('{"x": NaN, "y": "\\ud800"}')  # half a character: no UTF-8 could carry it on
