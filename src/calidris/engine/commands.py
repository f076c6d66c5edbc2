"""What a person decides about an alarm. It is a record of the journal, so that a replay executes it at the same place."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from calidris.errors import PermanentError

ACKNOWLEDGE = "ack"
CLEAR = "clear"
ACTIONS = (ACKNOWLEDGE, CLEAR)
RECOVERY = "recovery detector"
"""Who clears an alarm where ``detect.clear_recovered`` lets the detector do so."""
_LONGEST = 1000


class BadCommand(PermanentError):
    """A command that cannot be executed; the message says why."""


@dataclass(frozen=True, slots=True)
class Command:
    """One decision, and one line of the audit trail.

    Attributes:
        alarm: id of the alarm.
        action: ``ack`` (somebody looks after it) or ``clear`` (it is over; evidence starts from nothing).
        by: who decided.
        reason: why.
        at_ns: when, ns since the epoch.
        token: name of the bearer token that it came with, which is known and not only claimed; empty where none are needed.
    """

    alarm: int
    action: str
    by: str
    reason: str
    at_ns: int
    token: str = ""

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise BadCommand(f"{self.action!r} is no action; alarms are acknowledged (ack) or cleared (clear)")
        if not self.by.strip():
            raise BadCommand("an order says who decided (by)")
        if self.action == CLEAR and not self.reason.strip():
            raise BadCommand("clearing an alarm needs a reason")
        if max(len(self.by), len(self.reason)) > _LONGEST:
            raise BadCommand(f"names and reasons have at most {_LONGEST} characters")

    def to_bytes(self) -> bytes:
        """JSON, for the journal."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Command:
        """The command that ``to_bytes`` wrote.

        >>> command = Command(1, "clear", "ada", "sensor replaced", 5)
        >>> Command.from_bytes(command.to_bytes()) == command
        True
        """
        return cls(**json.loads(data))
