"""Why a span was refused, and how its sender learns of it.

Strings from the wire are shown escaped and cut (:func:`shown`): a message may end in a log, a terminal or a page.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import MappingProxyType
from typing import Final

MISSING_MODEL_NAME: Final = "missing_model_name"
MISSING_ID: Final = "missing_id"
MISSING_LABEL: Final = "missing_label"
LABEL_WITH_PREDICTION: Final = "label_with_prediction"
BAD_COUNT: Final = "bad_count"
UNEQUAL_LENGTH: Final = "unequal_length"
WRONG_TYPE: Final = "wrong_type"
SCORE_OUT_OF_RANGE: Final = "score_out_of_range"
BAD_WEIGHT: Final = "bad_weight"
BAD_JSON: Final = "bad_json"
BAD_PACKED_BYTES: Final = "bad_packed_bytes"
BAD_EMBEDDING: Final = "bad_embedding"
TOO_MANY_MODELS: Final = "too_many_models"
TOO_MANY_SCHEMAS: Final = "too_many_schemas"
TOO_MANY_TABLES: Final = "too_many_tables"
TOO_MANY_ROWS: Final = "too_many_rows"
TOO_MANY_FEATURES: Final = "too_many_features"
TOO_MANY_LEVELS: Final = "too_many_levels"
TOO_LONG: Final = "too_long"
BAD_REPORT: Final = "bad_report"
BAD_ROLE: Final = "bad_role"

CURES: Final = MappingProxyType(
    {
        MISSING_MODEL_NAME: "set ml.model.name on the span or its resource to a non-empty string",
        MISSING_ID: "send the prediction's ml.prediction.id with every label",
        MISSING_LABEL: "send the outcome as ml.label",
        LABEL_WITH_PREDICTION: "send labels in a span of their own, joined by ml.prediction.id",
        BAD_COUNT: "ml.prediction.count is an int, 0 or more",
        UNEQUAL_LENGTH: "send one value per row in every column",
        WRONG_TYPE: "send numbers, booleans or strings, one kind per column",
        SCORE_OUT_OF_RANGE: "send probabilities between 0 and 1; any other output is an ml.prediction.value",
        BAD_WEIGHT: "weights are greater than 0",
        BAD_JSON: "send one valid JSON value per string",
        BAD_PACKED_BYTES: "packed columns are little-endian f64, f32 or i64, or int32 codes into levels",
        BAD_EMBEDDING: "send n times dim little-endian float32, dim 1 to 4096, or an array of as many numbers a row",
        TOO_MANY_MODELS: "send fewer model versions per request, and no unique ids as names or versions",
        TOO_MANY_SCHEMAS: "send null for what a row lacks, so that rows have the same names, or fewer spans per request",
        TOO_MANY_TABLES: "send more rows per span, or fewer spans per request",
        TOO_MANY_ROWS: "send fewer rows per span",
        TOO_MANY_FEATURES: "send fewer names per map",
        TOO_MANY_LEVELS: "hash or bucket the column before it is sent",
        TOO_LONG: "shorten, hash or bucket the text before it is sent",
        BAD_REPORT: "a report has ml.prediction.count 0 and maps from reason to a whole number, 0 or more",
        BAD_ROLE: "ml.model.role is champion, canary or shadow; leave it out where a version serves alone",
    }
)
"""What the sender can do about each reason; its keys are all the reasons there are."""

EXAMPLES: Final = 3
SHOWN_CHARACTERS: Final = 48


def shown(text: object) -> str:
    r"""A value from the wire as short printable text.

    >>> shown("a\x1b[31m\n"), len(shown("x" * 999))
    ("'a\\x1b[31m\\n'", 51)
    """
    if isinstance(text, str) and len(text) > SHOWN_CHARACTERS:
        return repr(text[:SHOWN_CHARACTERS]) + "…"
    if isinstance(text, str | int | float | None):
        return repr(text)
    # The repr of a sender's list may be long, or nested deeper than Python's stack.
    return f"a {type(text).__name__}"


class Rejected(Exception):
    """A span, or some rows of a table of one-row spans, cannot be used.

    Args:
        reason: a key of :data:`CURES`.
        problem: what is wrong, with strings of the wire already :func:`shown`.
        path: the attribute, with the name inside its map.
        rows: the rows at fault, where single rows can be; none means all.
    """

    def __init__(self, reason: str, problem: str, path: str = "", rows: Sequence[int] = ()) -> None:
        super().__init__(reason, problem)
        self.reason = reason
        self.problem = problem
        self.path = path
        self.rows = rows

    def at(self, path: str) -> Rejected:
        """The same fault, found at ``path``; a path that is already known wins."""
        self.path = self.path or path
        return self


class Ledger:
    """Counts refused spans by reason and keeps the first few as examples. Bounded; one per request."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._examples: list[str] = []

    def add(self, span: int, name: str, fault: Rejected) -> None:
        """Count one span, the ``span``-th of its request; each span is added at most once."""
        self.counts[fault.reason] += 1
        if len(self._examples) < EXAMPLES:
            where = f"{fault.path}: " if fault.path else ""
            self._examples.append(f"span {span} {shown(name)}: {where}{fault.problem}; {CURES[fault.reason]}")

    @property
    def message(self) -> str:
        """One line per example, then how many more there were; empty without refusals."""
        more = self.counts.total() - len(self._examples)
        lines = [*self._examples, f"and {more} more"] if more else self._examples
        return "\n".join(lines)
