"""The routes of the API: each answers from the newest snapshot; the only thing that can be changed is a decision about an alarm."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from calidris.access import ALL, Access, Action, Caller, joined
from calidris.api.json_shapes import alarms_json, readings_json, status_json
from calidris.batch import ModelKey
from calidris.engine.commands import BadCommand, Command
from calidris.engine.snapshot import ModelSnapshot, Snapshot
from calidris.errors import Forbidden, RetryableError, Unauthenticated

Report = Callable[[Snapshot, ModelKey], str]
"""Renders the report of one model version as HTML, from a snapshot that holds nothing which the reader may not see."""

Decide = Callable[[Command, str], None]
"""Makes a decision about an alarm durable, with the alarm's tenant."""

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"}
_MAX_DECISION_BYTES = 1 << 16
_NEVER_LEFT_OUT = {"unlimited": True}
_audit = logging.getLogger("calidris.audit")


class _AnyPath(PathConvertor):
    """The rest of a path, with the line breaks that a model's name may hold and ``path`` does not take."""

    regex = r"[\s\S]*"


register_url_convertor("any_path", _AnyPath())


@dataclass(frozen=True)
class Sources:
    """Where answers come from.

    Attributes:
        snapshot: gives the newest one.
        ready: false until the receiver takes telemetry; ``/readyz`` says 503 until then.
        health: gives the program's own figures, for ``/v1/status``.
        report: renders a report, or None where there is none.
        command: makes a decision about an alarm durable; None where alarms can only be read.
        clock_ns: time of a decision, ns since the epoch.
        receiver: says what the receiver does now and why, for ``/readyz`` and ``/v1/status``.
        access: who may read and decide; everybody where it has no tokens.
    """

    snapshot: Callable[[], Snapshot]
    ready: Callable[[], bool] = lambda: True
    health: Callable[[], Mapping[str, Any]] = field(default=dict)
    report: Report | None = None
    command: Decide | None = None
    clock_ns: Callable[[], int] = time.time_ns
    receiver: Callable[[], Mapping[str, Any]] = field(default=dict)
    access: Access = field(default_factory=Access)


def application(sources: Sources) -> Starlette:
    """The ASGI application; it holds no state of its own."""
    handlers = _Handlers(sources)
    return Starlette(
        routes=[
            Route("/healthz", handlers.healthz),
            Route("/readyz", handlers.readyz),
            Route("/v1/status", handlers.status),
            Route("/v1/alarms", handlers.alarms),
            Route("/v1/alarms/{id:int}/{action}", handlers.post_command, methods=["POST"]),
            # Names may hold slashes, percent-encoded; only the raw path still tells them from separators.
            Route("/v1/models/{rest:any_path}", handlers.readings),
            Route("/v1/report/{rest:any_path}", handlers.report),
        ],
        exception_handlers={
            404: _not_found,
            405: _not_allowed,
            Unauthenticated: _unauthenticated,
            Forbidden: _forbidden,
        },
    )


class _Handlers:
    """One method a route. They run in worker threads, so that a long report does not hold up a health check.

    Health and readiness need no token: a probe has none, and they tell nothing about models.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def healthz(self, request: Request) -> Response:
        return _json({"status": "ok"})

    def readyz(self, request: Request) -> Response:
        ready = self._sources.ready()
        return _json({"status": "ready" if ready else "starting", **self._sources.receiver()}, 200 if ready else 503)

    def status(self, request: Request) -> Response:
        snapshot, caller = self._seen(request)
        health = self._sources.health() if caller.whole else {}
        receiver = self._sources.receiver()
        return _json(status_json(snapshot, ready=self._sources.ready(), health=health, receiver=receiver))

    def alarms(self, request: Request) -> Response:
        return _json(alarms_json(self._seen(request)[0]))

    async def post_command(self, request: Request) -> Response:
        """Acknowledge or clear. Only JSON is taken: a page of another origin cannot send that without asking first."""
        caller = self._caller(request, "decide")
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _error(415, "send the decision as application/json")
        body = await _body(request)
        if body is None:
            return _error(413, "a decision is small")
        return await run_in_threadpool(self._order, request.path_params, body, caller)

    def _order(self, path: Mapping[str, Any], body: bytes, caller: Caller) -> Response:
        if self._sources.command is None:
            return _error(404, "alarms can only be read here")
        alarms = scoped(self._sources.snapshot(), caller).alarms
        alarm = next((a for a in alarms if a.id == path["id"]), None)
        if alarm is None:
            self._sources.access.refuse("decide", "unknown_alarm", f"{caller.name!r} sees no alarm {path['id']}")
            return _error(404, f"there is no alarm {path['id']}; GET /v1/alarms lists them")
        try:
            command = _decision(body, alarm.id, path["action"], self._sources.clock_ns(), caller.name)
            self._sources.command(command, alarm.model.tenant)
        except BadCommand as error:
            return _error(400, str(error))
        except RetryableError as error:
            return _error(503, str(error))
        said = "audit: alarm %d: %s by %r, token %r"
        _audit.info(said, command.alarm, command.action, command.by, command.token, extra=_NEVER_LEFT_OUT)
        return _json({"alarm": alarm.id, "action": command.action}, 202)

    def readings(self, request: Request) -> Response:
        snapshot, caller = self._seen(request)
        parts = _segments(request)
        if len(parts) != 5 or parts[4] != "readings":
            return _error(404, "the path is /v1/models/{name}/{version}/readings")
        model = _find(snapshot, request, caller, parts[2], parts[3])
        return _json(readings_json(model)) if model else _unknown(snapshot, parts[2], parts[3])

    def report(self, request: Request) -> Response:
        snapshot, caller = self._seen(request)
        parts = _segments(request)
        if self._sources.report is None or len(parts) != 4:
            return _error(404, "the path is /v1/report/{name}/{version}, where this receiver renders reports")
        model = _find(snapshot, request, caller, parts[2], parts[3])
        if model is None:
            return _unknown(snapshot, parts[2], parts[3])
        return HTMLResponse(self._sources.report(snapshot, model.key), headers=_HEADERS)

    def _seen(self, request: Request) -> tuple[Snapshot, Caller]:
        """What whoever asks may see; raises Unauthenticated or Forbidden."""
        caller = self._caller(request, "read")
        return scoped(self._sources.snapshot(), caller), caller

    def _caller(self, request: Request, action: Action) -> Caller:
        return self._sources.access.authorize(joined(request.headers.getlist("authorization")), action)


def _decision(body: bytes, alarm: int, action: str, at_ns: int, token: str) -> Command:
    try:
        told = orjson.loads(body)
        by, reason = str(told["by"]), str(told.get("reason", ""))
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise BadCommand('the decision is {"by": who, "reason": why}') from None
    return Command(alarm, action, by, reason, at_ns, token)


async def _body(request: Request) -> bytes | None:
    """The body, or None where it is larger than any decision."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MAX_DECISION_BYTES:
            return None
    return body


def _segments(request: Request) -> list[str]:
    """Parts of the path, each decoded by itself."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    return [unquote(part) for part in raw.partition(b"?")[0].decode("ascii", "replace").strip("/").split("/")]


def _find(snapshot: Snapshot, request: Request, caller: Caller, name: str, version: str) -> ModelSnapshot | None:
    key = ModelKey(request.query_params.get("tenant", caller.home), name, version)
    return next((model for model in snapshot.models if model.key == key), None)


def _unknown(snapshot: Snapshot, name: str, version: str) -> Response:
    known = [model.key._asdict() for model in snapshot.models]
    return _error(404, f"no model {name!r} of version {version!r} has been seen", known=known)


async def _not_found(request: Request, error: Exception) -> Response:
    return _error(404, "no such path; try /v1/status")


async def _not_allowed(request: Request, error: Exception) -> Response:
    return _error(405, "that method is not for this path; GET reads, POST decides about an alarm")


async def _unauthenticated(request: Request, error: Exception) -> Response:
    answer = _error(401, str(error))
    answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


async def _forbidden(request: Request, error: Exception) -> Response:
    return _error(403, str(error))


def _error(status: int, message: str, **more: Any) -> Response:
    return _json({"error": message, **more}, status)


def _json(data: Any, status: int = 200) -> Response:
    return Response(_encode(data), status, headers=_HEADERS, media_type="application/json")


def _encode(data: Any) -> bytes:
    """JSON; NaN cannot occur, as orjson writes null. A lone surrogate from a sender costs one "?", not the answer."""
    try:
        return orjson.dumps(data)
    except orjson.JSONEncodeError:
        return orjson.dumps(_clean(data))


def _clean(data: Any) -> Any:
    if isinstance(data, str):
        return data.encode("utf-8", "replace").decode("utf-8")
    if isinstance(data, Mapping):
        return {_clean(key): _clean(value) for key, value in data.items()}
    return [_clean(value) for value in data] if isinstance(data, list | tuple) else data


def scoped(snapshot: Snapshot, caller: Caller) -> Snapshot:
    """The snapshot as if there were no other tenant; the engine's counters only where they are the caller's business.

    What is left out looks like what never was, so that nobody can tell from an answer whether another tenant has a model.
    """
    if caller.tenant != ALL:
        alarms = tuple(alarm for alarm in snapshot.alarms if caller.sees(alarm.model.tenant))
        mine = {alarm.id for alarm in alarms}
        snapshot = replace(
            snapshot,
            models=tuple(model for model in snapshot.models if caller.sees(model.key.tenant)),
            alarms=alarms,
            latched=snapshot.latched & mine,
            senders=tuple(sums for sums in snapshot.senders if caller.sees(sums.owner[0])),
            commands=tuple(command for command in snapshot.commands if command.alarm in mine),
        )
    return snapshot if caller.whole else replace(snapshot, counters={})
