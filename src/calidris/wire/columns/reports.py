"""What a sender says that it left out: counts by reason, on a span without rows.

Reasons come from the wire and become names of series, so they are few, short and of plain letters: what is not like that
is counted as ``other``. A number is never lost, only its name.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from calidris import semconv
from calidris.wire.columns.json_text import parse
from calidris.wire.limits import WireLimits
from calidris.wire.otlp.gate import REPORT_KEYS
from calidris.wire.rejections import BAD_REPORT, TOO_LONG, WRONG_TYPE, Rejected, shown

OTHER: Final = "other"
"""Reason of what has no reason that could be shown."""

MAX_REASONS: Final = 64
"""Reasons of one map; the SDK has some twenty."""

MAX_COUNT: Final = 1 << 53
"""Beyond it a float no longer tells two counts apart, and metrics are floats."""

_REASON: Final = re.compile(r"[a-z0-9_.\-]{1,64}")


@dataclass(frozen=True, slots=True)
class Report:
    """One span of a sender about itself.

    Attributes:
        model: name of the model; empty where the sender said none.
        dropped: reason to the rows and labels that will never arrive, since its last report.
        withheld: reason to the values that became missing before they were sent, since its last report.
        span: place of the span in ``Decoded.span_hashes``.
    """

    model: str
    dropped: Mapping[str, int]
    withheld: Mapping[str, int]
    span: int

    @property
    def total(self) -> int:
        """Rows and values together."""
        dropped = sum(self.dropped.values())
        withheld = sum(self.withheld.values())
        return dropped + withheld


def is_report(attributes: Mapping[str, Any]) -> bool:
    """Whether a span with these attributes is a report."""
    return any(key in attributes for key in REPORT_KEYS)


def read_report(span: int, attributes: Mapping[str, Any], resource: Mapping[str, Any], limits: WireLimits) -> Report:
    """The report of one span.

    Args:
        span: its place.
        attributes: its own, with or without ``ml.prediction.count``.
        resource: the model attributes of its resource, which stand in for its own.
        limits: how long a name may be.

    Raises:
        Rejected: it has rows, or its counts are none.

    >>> said = {"ml.report.rows_dropped": '{"queue_full": 512, "No Such": 3}'}
    >>> dict(read_report(0, said, {}, WireLimits()).dropped)
    {'queue_full': 512, 'other': 3}
    """
    _check_rows(attributes.get(semconv.ML_PREDICTION_COUNT, 0))
    key = semconv.ML_MODEL_NAME
    name = attributes.get(key)
    if name is None:
        # Some SDKs state the model once, for all that a process sends.
        name = resource.get(key)
    return Report(
        model=_read_name(name, limits),
        dropped=_read_counts(semconv.ML_REPORT_ROWS_DROPPED, attributes),
        withheld=_read_counts(semconv.ML_REPORT_VALUES_WITHHELD, attributes),
        span=span,
    )


def _check_rows(rows: Any) -> None:
    is_int = type(rows) is int
    if is_int and rows == 0:
        return
    # Rows beside a report would be lost, whichever of the two the span was taken for.
    raise Rejected(BAD_REPORT, f"{shown(rows)} rows on a report", semconv.ML_PREDICTION_COUNT)


def _read_name(name: Any, limits: WireLimits) -> str:
    if name is None:
        return ""
    kind = type(name)
    if kind not in (str, int, float):
        raise Rejected(WRONG_TYPE, f"{shown(name)} is no string", semconv.ML_MODEL_NAME)
    text = str(name)
    if len(text) > limits.max_text:
        raise Rejected(TOO_LONG, f"more than {limits.max_text} characters", semconv.ML_MODEL_NAME)
    return text


def _read_counts(key: str, attributes: Mapping[str, Any]) -> Mapping[str, int]:
    """Reason to count, without zeros; what has no reason that could be shown is counted as other."""
    counts: Counter[str] = Counter()
    for reason, count in _read_map(key, attributes.get(key)).items():
        # A boolean is an int to Python, and no count to anybody else.
        if type(count) is not int or not 0 <= count <= MAX_COUNT:
            raise Rejected(BAD_REPORT, f"{shown(count)} is no count", key)
        if count:
            counts[_named(reason, counts)] += count
    return counts


def _read_map(key: str, value: Any) -> dict[str, Any]:
    told = value
    if told is None:
        return {}
    if isinstance(value, str):
        try:
            told = parse(value)
        except Rejected as fault:
            raise fault.at(key) from None
    if isinstance(told, dict):
        return told
    raise Rejected(BAD_REPORT, f"{shown(told)} is no map", key)


def _named(reason: str, known: Mapping[str, int]) -> str:
    """The reason itself where it may be shown and there is room for it."""
    if reason in known:
        return reason
    has_room = len(known) < MAX_REASONS
    may_be_shown = _REASON.fullmatch(reason) is not None
    return reason if has_room and may_be_shown else OTHER
