"""What people decide about alarms and models: checked against what they see, made durable, and written down."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from calidris.access import Access, Caller
from calidris.api.model_shapes import unknown_json
from calidris.batch import ModelKey
from calidris.engine.commands import ACTIONS, EVERY_VERSION, FORGET, NO_ALARM, REBASE, RELABEL, BadCommand, Command
from calidris.engine.snapshot import Alarm, Snapshot

CarryOut = Callable[[Command, str], None]

_NEVER_LEFT_OUT: Final = {"unlimited": True}
_MODEL_PATHS: Final = "/v1/models/{name}/forget or /v1/models/{name}/{version}/forget, likewise relabel, and /v1/models/{name}/{version}/rebase"
_audit = logging.getLogger("calidris.audit")


@dataclass(frozen=True, slots=True)
class Asked:
    """A decision as it came.

    Attributes:
        path: parts of its path, each decoded by itself.
        body: JSON of who decides and why.
        caller: who asks.
        tenant: whose model is meant, where the path names one.
        seen: what the caller may see: what is another tenant's does not exist.
    """

    path: Sequence[str]
    body: bytes
    caller: Caller
    tenant: str
    seen: Snapshot


@dataclass(frozen=True, slots=True)
class Decided:
    """What is answered."""

    status: int
    told: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Words:
    """Who decided, and why, in their own words."""

    by: str
    reason: str


class Decisions:
    """Takes decisions.

    Args:
        carry_out: makes one durable, with its tenant; None where there is only reading.
        clock_ns: when it is taken, ns since the epoch.
        access: counts those about what the caller cannot see.
    """

    def __init__(
        self,
        carry_out: CarryOut | None,
        clock_ns: Callable[[], int],
        access: Access,
    ) -> None:
        self._carry_out = carry_out
        self._clock_ns = clock_ns
        self._access = access

    def decide_alarm(self, asked: Asked) -> Decided:
        """Acknowledge or clear: the path is ``/v1/alarms/{id}/{action}``.

        Raises:
            BadCommand: nobody decides, or a reason is missing.
            RetryableError: it could not be made durable.
        """
        if self._carry_out is None:
            return _refused("alarms can only be read here")
        number = int(asked.path[2])
        alarm = _find_alarm(asked.seen, number)
        if alarm is not None:
            return self._order_alarm(asked, alarm)
        self._refuse(asked, "unknown_alarm", f"alarm {number}")
        return _refused(f"there is no alarm {number}; GET /v1/alarms lists them")

    def _order_alarm(self, asked: Asked, alarm: Alarm) -> Decided:
        action = asked.path[3]
        if action not in ACTIONS:
            raise BadCommand(f"{action!r} is no action; alarms are acknowledged (ack) or cleared (clear)")
        command = self._command(asked, alarm.id, action)
        self._keep(command, alarm.model.tenant, f"alarm {alarm.id}")
        told = {"alarm": alarm.id, "action": action}
        return Decided(202, told)

    def decide_model(self, asked: Asked) -> Decided:
        """Forget, learn labels anew or re-base: ``/v1/models/{name}/forget``, ``/v1/models/{name}/{version}/forget`` or ``…/{version}/rebase``.

        Raises:
            BadCommand: nobody decides, or an alarm stands and no reason is given.
            RetryableError: it could not be made durable.
        """
        if self._carry_out is None:
            return _refused("models can only be read here")
        about = (len(asked.path), asked.path[-1])
        if about in ((5, REBASE), (4, RELABEL), (5, RELABEL)):
            return self._order_anew(asked, asked.path[-1], _named(asked))
        if about not in ((4, FORGET), (5, FORGET)):
            return _refused(f"the path is {_MODEL_PATHS}")
        return self._order_model(asked, _named(asked))

    def _order_anew(
        self,
        asked: Asked,
        action: str,
        model: ModelKey,
    ) -> Decided:
        """Compare with something else from here on: a version's baseline, or how labels come now."""
        command = self._command(asked, NO_ALARM, action, model)
        if not _watched(asked.seen, command):
            return self._unknown(asked, model)
        version = model.version or "all"
        self._keep(command, model.tenant, f"model {model.name!r} {version!r}")
        told = {"action": action, "model": model._asdict()}
        return Decided(202, told)

    def _unknown(self, asked: Asked, model: ModelKey) -> Decided:
        self._refuse(asked, "unknown_model", f"model {model.name!r}")
        told = unknown_json(asked.seen, model.name, model.version)
        told["error"] += "; `calidris models list` shows those that were"
        return Decided(404, told)

    def _order_model(self, asked: Asked, model: ModelKey) -> Decided:
        command = self._command(asked, NO_ALARM, FORGET, model)
        going = _watched(asked.seen, command)
        standing = _standing(asked.seen, command)
        if not going and not standing:
            return self._unknown(asked, model)
        if standing:
            _check_reason(command.reason, standing)
        version = model.version or "all"
        self._keep(command, model.tenant, f"model {model.name!r} {version!r}")
        told = {
            "action": FORGET,
            "models": [key._asdict() for key in going],
            "alarms": standing,
        }
        return Decided(202, told)

    def _command(
        self,
        asked: Asked,
        alarm: int,
        action: str,
        model: ModelKey | None = None,
    ) -> Command:
        words = _read_words(asked.body)
        return Command(
            alarm=alarm,
            action=action,
            by=words.by,
            reason=words.reason,
            at_ns=self._clock_ns(),
            token=asked.caller.name,
            model=model,
        )

    def _keep(self, command: Command, tenant: str, what: str) -> None:
        assert self._carry_out is not None, "whoever calls has looked"
        # Durable first: a line of a decision that nothing came of would be a lie.
        self._carry_out(command, tenant)
        said = "audit: %s: %s by %r, token %r"
        _audit.info(
            said,
            what,
            command.action,
            command.by,
            command.token,
            extra=_NEVER_LEFT_OUT,
        )

    def _refuse(self, asked: Asked, reason: str, what: str) -> None:
        who = asked.caller.name
        self._access.refuse("decide", reason, f"{who!r} sees no {what}")


def _find_alarm(seen: Snapshot, number: int) -> Alarm | None:
    for alarm in seen.alarms:
        if alarm.id == number:
            return alarm
    return None


def _named(asked: Asked) -> ModelKey:
    """The model of a path; without a version, all of them."""
    one_version = len(asked.path) == 5
    version = asked.path[3] if one_version else EVERY_VERSION
    return ModelKey(asked.tenant, asked.path[2], version)


def _watched(seen: Snapshot, command: Command) -> list[ModelKey]:
    keys = [model.key for model in seen.models]
    return [key for key in keys if command.matches(key)]


def _standing(seen: Snapshot, command: Command) -> list[int]:
    """Alarms that would end with the model; those of a version that is gone, too."""
    found = []
    going = _watched(seen, command)
    staying = [model.key for model in seen.models if model.key not in going]
    for alarm in seen.alarms:
        latched = alarm.id in seen.latched
        if latched and alarm.ends_with(command, staying):
            found.append(alarm.id)
    return found


def _check_reason(reason: str, standing: Sequence[int]) -> None:
    if reason.strip():
        return
    numbers = ", ".join(map(str, standing))
    raise BadCommand(
        f'alarm {numbers} stands and ends with the model: say why (--reason, "reason" in JSON), or clear it first'
    )


def _read_words(body: bytes) -> Words:
    try:
        told = orjson.loads(body)
        by = str(told["by"])
        reason = told.get("reason", "")
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise BadCommand('the decision is {"by": who, "reason": why}') from None
    return Words(by, str(reason))


def _refused(why: str) -> Decided:
    return Decided(404, {"error": why})
