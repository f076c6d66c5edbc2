"""What was given to the SDK and did not leave: rows and values by model and reason, the notes about both, and the reports of both.

Counting is all that a caller pays: the notes are written by the sending thread, because a signal handler of the
application may be the caller, and a log handler may hold a lock that the interrupted code holds too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from calidris.instrument.guarded_log import log
from calidris.instrument.process.machine_clock import read_clock_s
from calidris.instrument.sending.outbox import Request
from calidris.instrument.tally import Tally

_CURES: Final = {
    "string_feature": "Its strings stay here. List it in OTEL_CALIDRIS_ALLOW (or HASH), or pass allow= to Model.",
    "hash_without_key": "It is withheld. Set OTEL_CALIDRIS_HASH_KEY.",
    "unsupported_type": "Values that are no number, boolean or string are sent as missing; make numbers of dates first.",
    "index_column": "It is called as the index of a table and stays here. Rename it, or list it in features= of Model.",
    "score_out_of_range": "It is no probability and is sent as missing; use p.value for other outputs.",
    "score_clipped": "It lies a hair outside of [0, 1], as a rounding error does, and is sent as 0 or 1.",
    "score_classes_unnamed": "They are called 0, 1, 2, ... after their places. Pass classes= to Model, or a mapping or DataFrame with names.",
    "features_not_copied": "The input is too large or of an unknown kind; its rows are sent without features.",
    "embedding_not_declared": "It stays here. List it in embeddings= of Model.",
    "embedding_not_copied": "It is no vector of 1 to 4096 numbers, or of another length than its neighbours, or too many at once; it is sent as missing.",
    "embedding_rule": "It is withheld: a vector can be dropped or allowed, not hashed or bucketed.",
    "label_without_model": "Pass model=..., or set OTEL_CALIDRIS_MODEL_NAME; the label is dropped.",
    "malformed": "Lengths or times of a call cannot be used, it has no end, or its arguments are wrong; the call is dropped.",
    "missing_label": "Labels that are None or NaN are left out.",
    "backlog_full": "The receiver has been away for long; the oldest rows made room.",
    "expired": "The receiver has been away for longer than a request is repeated.",
    "refused": "The receiver does not take them; what it says stands in the log.",
    "rejected": "The receiver cannot use them; what it says stands in the log. Those without a model are about so many: it did not say whose.",
    "row_too_large": "A row must fit in 256 KiB.",
    "unreadable": "Reading it raised an error; it is missing, or where nothing else is left of the row, the row is.",
    "interrupted": "A signal handler raised an exception while the row was being recorded.",
    "after_end": "They were recorded after the end of recording, at the exit of the process, when nothing can be sent any more.",
    "shutdown": "Recording ended before the receiver took its last rows.",
    "queue_full": "Rows come faster than they leave, or the receiver is away; the oldest made room. Raise "
    "OTEL_CALIDRIS_QUEUE_SIZE or OTEL_CALIDRIS_QUEUE_BYTES, or check the receiver.",
    "no_row": "It is text, a buffer, a stream or several rows, and no row of features: nothing of it leaves.",
    "same_name": "Several columns of a table are called so, and only the last of them leaves; rename the others.",
    "no_name": "What has an empty name cannot be sent; it is missing.",
    "too_long": "It has more parts than a row may have; it is sent as missing.",
    "slices_not_copied": "Slices are a mapping from name to value; the rows are sent without.",
    "id_unreadable": "Reading it raised an error; predictions get an id that is made, labels are dropped.",
    "batch_id_unreadable": "It is no one text, number or date: pass one id a call. The rows are sent as of no job, so windows may close without them.",
    "missing_id": "Labels whose id is None or NaN are left out.",
    "time_missing": "Rows without a time are of now.",
    "time_without_unit": 'Give dates with a zone, or numbers with their unit: a number, or a text, is no time without time_unit="s", "ms", "us" or "ns"; the call is dropped.',
    "time_without_zone": "A date is no time without a zone: write datetime(..., tzinfo=UTC); the call is dropped.",
    "time_unit_unknown": 'Units are "s", "ms", "us" and "ns"; the call is dropped.',
    "wrong_arguments": "What is not known is left out; without an argument that is needed, the call is dropped.",
    "argument_unusable": "It cannot be read; nothing leaves that it should have named.",
    "not_observed": "It has no signature, or is a class; its calls are not recorded.",
    "model_unreadable": "Asking the estimator raised an error; its calls are not recorded.",
    "answer_not_read": "It is not one value a row, or can be read only once; the rows are sent without an answer.",
    "answer_length": "The answer has not as many rows as the input; the rows are sent without it.",
    "internal_error": "An error of Calidris; the log has it. These rows are lost.",
}
"""What a person can do about each reason."""

MAX_NAMES = 1000
"""Names that are counted apart: names of features may come from data, and must not fill the memory."""

FLUSH_NOTES = 10
"""Incomplete flushes that are logged in a row."""

FLUSH_NOTE_EVERY_S = 10.0
"""And one more in so many seconds."""

OTHERS = "(others)"
"""Stands for the names beyond them."""

Cause = tuple[str, str]
"""Model, or in a note also a feature, and reason."""

AGAIN_AFTER_S = 60.0
"""After a report that was refused: a receiver that takes nothing from us is not to hear more of it than of our rows."""

Serialise = Callable[[str, Mapping[str, int], Mapping[str, int]], bytes]
"""Model, rows and labels dropped by reason, values withheld by reason, to a serialised span."""

Totals = tuple[dict[Cause, int], dict[Cause, int]]
"""Rows dropped and values withheld so far."""


class NotSent:
    """Counts of what did not leave. Adding never waits; safe in any thread and in signal handlers."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._rows: Tally[Cause] = Tally()
        self._values: Tally[Cause] = Tally()
        self._notes: Tally[Cause] = Tally()
        self._said: dict[Cause, object] = {}
        self._first: dict[Cause, str] = {}
        self._flush_notes = float(FLUSH_NOTES)
        self._said_s = read_clock_s()

    def after_fork(self) -> None:
        """In the child: begin at nothing. Called by the owner."""
        self._reset()

    def drop(self, model: str, reason: str, rows: int) -> None:
        """Count rows or labels that will never arrive, or raise what a signal handler raised meanwhile and count none."""
        if rows > 0:
            cause = _bound(self._rows, model, reason)
            self._notes.add(_bound(self._notes, model, reason), rows)
            self._rows.add(cause, rows)  # last: see `Tally`

    def withhold(self, model: str, reason: str, name: str, values: int = 1, first: str = "") -> None:
        """Count values of a feature (or embedding, or of the whole model) that are sent as missing or not at all."""
        self._values.add(_bound(self._values, model, reason), values)
        note = _bound(self._notes, name, reason)
        if first:
            # Before it is counted: from then on it may be said.
            self._first.setdefault(note, first)
        self._notes.add(note, values)

    def rows(self) -> dict[Cause, int]:
        """Rows dropped so far, by model and reason."""
        return self._rows.sums()

    def values(self) -> dict[Cause, int]:
        """Values withheld so far, by model and reason."""
        return self._values.sums()

    def notes(self) -> dict[tuple[str, str], int]:
        """Reason and feature or model, to how many rows or values."""
        return {(reason, name): count for (name, reason), count in self._notes.sums().items()}

    def has_news(self) -> bool:
        """Whether there is something that has not been said."""
        return len(self._notes) > len(self._said)

    def say_new(self) -> None:
        """Log what has not been said yet: once for each reason and name, with what to do about it."""
        for note, count in self._notes.sums().items():
            if note not in self._said and self._claim(note):
                name, reason = note
                words = reason.replace("_", " ")
                first = self._first.get(note)
                shown = f", the first is {first}" if first else ""
                log.warning(
                    "calidris: %s: %s (%d so far%s). %s",
                    name or "(no model)",
                    words,
                    count,
                    shown,
                    _CURES.get(reason, ""),
                )

    def say_not_acknowledged(self, lost: Mapping[Cause, int], waiting: Mapping[str, int]) -> None:
        """Log why a flush was not complete: rows dropped since the last one, and rows that still wait."""
        self.say_new()
        if not self._may_say():
            return
        parts = [f"{rows} of {model or '(no model)'} dropped: {reason}" for (model, reason), rows in lost.items()]
        parts += [f"{rows} of {model} still wait" for model, rows in waiting.items() if rows]
        log.warning(
            "calidris: flush: not all rows are acknowledged: %s.", "; ".join(parts) or "the sender did not answer"
        )

    def _may_say(self) -> bool:
        """A token of a bucket that holds some and fills slowly: who flushes in a loop must not fill the log."""
        now_s = read_clock_s()
        gained = (now_s - self._said_s) / FLUSH_NOTE_EVERY_S
        self._flush_notes = min(FLUSH_NOTES, self._flush_notes + gained)
        self._said_s = now_s
        if self._flush_notes < 1:
            return False
        self._flush_notes -= 1
        return True

    def _claim(self, note: Cause) -> bool:
        """True for one of several threads that want to say the same."""
        mine = object()
        return self._said.setdefault(note, mine) is mine


def _bound(tally: Tally[Cause], name: str, reason: str) -> Cause:
    """The key to count under: names beyond a thousand share one."""
    key = name, reason
    if key in tally or len(tally) < MAX_NAMES:
        return key
    return OTHERS, reason


class Reports:
    """Makes reports, one at a time: while one is on its way, what comes meanwhile waits for the next.

    A report that was given up is told again by the next: the counts at the receiver are then late, but whole.
    """

    def __init__(
        self,
        serialise: Serialise,
        told: Totals,
        now: Callable[[], float] = read_clock_s,
    ) -> None:
        self._serialise = serialise
        self._now = now
        self._not_before_s = 0.0
        self._told = told
        self._under_way: Totals | None = None

    def make(self, not_sent: NotSent) -> Request | None:
        """A request that tells what is new, or None."""
        if self._under_way is not None:
            return None
        totals = not_sent.rows(), not_sent.values()
        if totals == self._told or self._now() < self._not_before_s:
            return None
        self._under_way = totals
        request = Request(settled=self._settle)
        for payload in self._spans(totals):
            request.add(payload, "", 0)
        return request

    def _spans(self, totals: Totals) -> Iterator[bytes]:
        """A span for each model about which there is something new."""
        rows, values = totals
        told_rows, told_values = self._told
        dropped = _find_new(rows, told_rows)
        withheld = _find_new(values, told_values)
        for model in {**dropped, **withheld}:
            yield self._serialise(
                model,
                dropped.get(model, {}),
                withheld.get(model, {}),
            )

    def _settle(self, arrived: bool) -> None:
        if not arrived:
            self._not_before_s = self._now() + AGAIN_AFTER_S
        elif self._under_way is not None:
            self._told = self._under_way
        self._under_way = None


def _find_new(
    now: Mapping[Cause, int],
    told: Mapping[Cause, int],
) -> dict[str, dict[str, int]]:
    """What came since, by model and reason."""
    new: dict[str, dict[str, int]] = {}
    for cause, count in now.items():
        more = count - told.get(cause, 0)
        if more > 0:
            model, reason = cause
            reasons = new.setdefault(model, {})
            reasons[reason] = more
    return new
