r"""JSON strings of a request, parsed in one call.

One call for 512 short strings is about twice as fast as 512 calls. The danger is a string that is no JSON value by
itself but fits its neighbours: ``{"a":1`` and ``"b":2}``, or ``1],[2``. So the strings are joined with a *sentinel*
between them, a JSON string of 128 random bits made for this call::

    [ s1 , "sentinel" , s2 , "sentinel" , s3 ]

Claim: if this parses to a list of 2n - 1 elements whose odd ones are the sentinel, each s is exactly one JSON value.
Proof. The sender cannot know the sentinel, so it occurs n - 1 times, each behind a comma and a quote.

* That quote opens a string. Were it inside one, it would close it (no backslash stands before it, a comma does), and
  letters would follow a closed string, which is an error. So every sentinel is a whole token.
* A token between two commas is neither an object's key nor its value: it is an element of a list.
* All n - 1 of them are found in the outermost list, so between two of them the parser begins and ends in that list,
  and has read k >= 1 whole values there (none would leave two commas). The sum of all k is n, so each k is 1.

Anything else is parsed one by one, so a bad string costs only its own span.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Sequence
from typing import Any, Final

import orjson

from calidris.wire.rejections import BAD_JSON, Rejected

_BARE_CONSTANT: Final = re.compile(r"NaN|Infinity|\d{19}|[eE]\+?\d{3}")
_LONE_SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]")
_LONGEST_INT: Final = 18


def parse_each(texts: Sequence[str]) -> list[Any]:
    """The value of each text, or the :class:`Rejected` that says why it has none; O(total length).

    >>> parse_each(['{"a": 1}', "[1, null]", '{"a": 1'])
    [{'a': 1}, [1, None], Rejected('bad_json', ...)]
    """
    return _parse_joined(texts) or [_parse_or_fault(text) for text in texts]


def parse(text: str) -> Any:
    """The value of one text.

    Besides JSON it takes ``NaN``, ``Infinity`` and numbers beyond float64, because many writers produce them;
    nesting beyond the parsers' own limits is refused.

    Raises:
        Rejected: the text is not exactly one JSON value.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if _BARE_CONSTANT.search(text) and not _LONE_SURROGATE.search(text):
            return _parse_leniently(text)
        raise Rejected(BAD_JSON, f"no JSON ({error.msg})") from None


def _parse_joined(texts: Sequence[str]) -> list[Any] | None:
    if not texts:
        return []
    sentinel = f"s{secrets.token_hex(16)}"
    try:
        joined = orjson.loads("[" + f',"{sentinel}",'.join(texts) + "]")
    except orjson.JSONDecodeError:
        return None
    sound = len(joined) == 2 * len(texts) - 1 and all(between == sentinel for between in joined[1::2])
    return joined[::2] if sound else None


def _parse_or_fault(text: str) -> Any:
    try:
        return parse(text)
    except Rejected as fault:
        # A traceback holds its frames and they hold the text: a hundred thousand of them keep the garbage collector busy.
        fault.__context__ = None
        return fault.with_traceback(None)


def _parse_leniently(text: str) -> Any:
    try:
        return json.loads(text, parse_int=_whole)
    except (ValueError, RecursionError):
        raise Rejected(BAD_JSON, "no JSON") from None


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_INT else float(digits)
