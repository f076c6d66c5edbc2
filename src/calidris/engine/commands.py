"""What a person decides about an alarm or a model. It is a record of the journal: a replay executes it at the same place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from calidris.batch import ModelKey
from calidris.errors import PermanentError

ACKNOWLEDGE = "ack"
CLEAR = "clear"
FORGET = "forget"
REBASE = "rebase"
CONFIGURE = "configure"
RELABEL = "relabel"
ACTIONS = (ACKNOWLEDGE, CLEAR)
"""What is decided about an alarm."""
OF_MODELS = (FORGET, REBASE, RELABEL, CONFIGURE)
"""What is decided about a model."""

RECOVERY = "recovery detector"
"""Who clears an alarm where ``detect.clear_recovered`` lets the detector do so."""

START = "calidris serve"
"""Who notes, as it starts, that a model's settings are others than before: whoever wrote them is not known here."""

NO_ALARM = 0
"""The alarm of a command that is about none; alarms are numbered from 1."""

EVERY_VERSION = ""
"""The version of a command that is about all versions of a model; a model never has it."""

_LONGEST = 1000


class BadCommand(PermanentError):
    """A command that cannot be executed; the message says why."""


@dataclass(frozen=True, slots=True)
class Effective:
    """What a receiver goes by for a model, from one start on until another record says otherwise.

    Attributes:
        settings: id of the model's settings, as alarms have it.
        program: version of the program.
        baselines: version to id of its baseline, of the versions that are watched as the receiver starts.
        before: id of the settings of the record before; empty where there is none.
    """

    settings: str
    program: str
    baselines: Mapping[str, str]
    before: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """One decision, and one line of the audit trail.

    Attributes:
        alarm: id of the alarm; ``NO_ALARM`` where it is about a model.
        action: ``ack`` (somebody looks after an alarm), ``clear`` (it is over; evidence starts from nothing), ``forget`` (a model
            is watched no longer) or ``rebase`` (what it is now is ordinary from here on); in the trail the two also of each alarm
            that ended with it. ``relabel`` (how its labels come now is ordinary), likewise. ``configure``: a receiver started with other settings of a model.
        by: who decided.
        reason: why.
        at_ns: when, ns since the epoch.
        token: name of the bearer token that it came with, which is known and not only claimed; empty where none are needed.
        model: what to forget, where ``EVERY_VERSION`` as its version is all of them, or what to re-base on. None where it is about an alarm alone.
        effective: what holds from here on, of ``configure`` alone.
    """

    alarm: int
    action: str
    by: str
    reason: str
    at_ns: int
    token: str = ""
    model: ModelKey | None = None
    effective: Effective | None = None

    def __post_init__(self) -> None:
        if self.action not in (*ACTIONS, *OF_MODELS):
            raise BadCommand(f"{self.action!r} is no action; alarms are acknowledged (ack) or cleared (clear)")
        if (self.action in OF_MODELS) != (self.model is not None):
            raise BadCommand("forget, rebase and relabel are about a model, everything else about an alarm")
        if (self.action == CONFIGURE) != (self.effective is not None):
            raise BadCommand("only a receiver that starts says what it goes by")
        if self.action == REBASE and not (self.reason.strip() and self.model and self.model.version):
            raise BadCommand("what a model is compared with is re-based on one version, for a reason")
        if self.action == RELABEL and not self.reason.strip():
            raise BadCommand("labels are learned anew for a reason")
        if not self.by.strip():
            raise BadCommand("an order says who decided (by)")
        if self.action == CLEAR and not self.reason.strip():
            raise BadCommand('clearing an alarm needs a reason: --reason, "reason" in JSON')
        if max(len(self.by), len(self.reason)) > _LONGEST:
            raise BadCommand(f"names and reasons have at most {_LONGEST} characters")

    def matches(self, key: ModelKey) -> bool:
        """Whether it is about this model version."""
        if self.model is None or key[:2] != self.model[:2]:
            return False
        return self.model.version in (EVERY_VERSION, key.version)

    def plain(self) -> dict[str, Any]:
        """Its values, for JSON; one about an alarm has no model."""
        values = asdict(self)
        # Nothing that a release before this one would not know.
        for name in ("model", "effective"):
            if values[name] is None:
                del values[name]
        return values

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Command:
        """The command of ``plain``."""
        model = values.get("model")
        found = None if model is None else ModelKey(*model)
        told = values.get("effective")
        effective = None if told is None else Effective(**told)
        return cls(**{**values, "model": found, "effective": effective})

    def to_bytes(self) -> bytes:
        """JSON, for the journal."""
        return json.dumps(self.plain()).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Command:
        """The command that ``to_bytes`` wrote.

        >>> command = Command(1, "clear", "ada", "sensor replaced", 5)
        >>> Command.from_bytes(command.to_bytes()) == command
        True
        """
        return cls.of(json.loads(data))
