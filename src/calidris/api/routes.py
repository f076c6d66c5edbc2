"""The routes of the API: each answers from the newest snapshot; all that can be changed are alarms, and which models are watched."""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Mapping, Sequence
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
from calidris.api.command_routes import Asked, Decided, Decisions
from calidris.api.json_shapes import alarms_json, readings_json, status_json
from calidris.api.model_shapes import expected_json, models_json, unknown_json
from calidris.batch import ModelKey
from calidris.engine.commands import BadCommand, Command
from calidris.engine.snapshot import ModelSnapshot, Snapshot
from calidris.engine.standing import Expected
from calidris.errors import Forbidden, RetryableError, Unauthenticated

Report = Callable[[Snapshot, ModelKey], str]
"""Renders the report of one model version as HTML, from a snapshot that holds nothing which the reader may not see."""

Decide = Callable[[Command, str], None]
"""Makes a decision about an alarm or a model durable, with its tenant."""

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"}
_MAX_DECISION_BYTES = 1 << 16


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
        command: makes a decision about an alarm or a model durable; None where there is only reading.
        clock_ns: time of a decision, ns since the epoch.
        receiver: says what the receiver does now and why, for ``/readyz`` and ``/v1/status``.
        access: who may read and decide; everybody where it has no tokens.
        expected: the configured models.
    """

    snapshot: Callable[[], Snapshot]
    ready: Callable[[], bool] = lambda: True
    health: Callable[[], Mapping[str, Any]] = field(default=dict)
    report: Report | None = None
    command: Decide | None = None
    clock_ns: Callable[[], int] = time.time_ns
    receiver: Callable[[], Mapping[str, Any]] = field(default=dict)
    access: Access = field(default_factory=Access)
    expected: Callable[[], Sequence[Expected]] = field(default=tuple)


def application(sources: Sources) -> Starlette:
    """The ASGI application; it holds no state of its own."""
    handlers = _Handlers(sources)
    return Starlette(
        routes=[
            Route("/healthz", handlers.healthz),
            Route("/readyz", handlers.readyz),
            Route("/v1/status", handlers.status),
            Route("/v1/alarms", handlers.alarms),
            Route("/v1/alarms/{id:int}/{action}", handlers.post_alarm, methods=["POST"]),
            # Names may hold slashes, percent-encoded; only the raw path still tells them from separators.
            Route("/v1/models", handlers.models),
            Route("/v1/models/{rest:any_path}", handlers.readings),
            Route("/v1/models/{rest:any_path}", handlers.post_model, methods=["POST"]),
            Route("/v1/report/{rest:any_path}", handlers.report),
        ],
        exception_handlers={
            404: _not_found,
            405: _not_allowed,
            Unauthenticated: _unauthenticated,
            Forbidden: _forbidden,
            BadCommand: _bad_command,
            RetryableError: _try_again,
        },
    )


class _Handlers:
    """One method a route. They run in worker threads, so that a long report does not hold up a health check.

    Health and readiness need no token: a probe has none, and they tell nothing about models.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._decisions = Decisions(sources.command, sources.clock_ns, sources.access)

    def healthz(self, request: Request) -> Response:
        return _json({"status": "ok"})

    def readyz(self, request: Request) -> Response:
        ready = self._sources.ready()
        return _json({"status": "ready" if ready else "starting", **self._sources.receiver()}, 200 if ready else 503)

    def status(self, request: Request) -> Response:
        snapshot, caller = self._seen(request)
        health = self._sources.health() if caller.whole else {}
        receiver = self._sources.receiver()
        told = status_json(snapshot, ready=self._sources.ready(), health=health, receiver=receiver)
        return _json({**told, **expected_json(snapshot, self._expected(caller))})

    def models(self, request: Request) -> Response:
        snapshot, caller = self._seen(request)
        return _json(models_json(snapshot, self._expected(caller)))

    def _expected(self, caller: Caller) -> list[Expected]:
        return [model for model in self._sources.expected() if caller.sees(model.tenant)]

    def alarms(self, request: Request) -> Response:
        return _json(alarms_json(self._seen(request)[0]))

    async def post_alarm(self, request: Request) -> Response:
        """Acknowledge or clear an alarm."""
        return await self._decide(request, self._decisions.decide_alarm)

    async def post_model(self, request: Request) -> Response:
        """Forget a model version, or all versions of a model."""
        return await self._decide(request, self._decisions.decide_model)

    async def _decide(self, request: Request, decide: Callable[[Asked], Decided]) -> Response:
        """Only JSON is taken: a page of another origin cannot send that without asking first."""
        caller = self._caller(request, "decide")
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _error(415, "send the decision as application/json")
        body = await _body(request)
        if body is None:
            return _error(413, "a decision is small")
        tenant = request.query_params.get("tenant", caller.home)
        seen = scoped(self._sources.snapshot(), caller)
        asked = Asked(tuple(_segments(request)), body, caller, tenant, seen)
        decided = await run_in_threadpool(decide, asked)
        return _json(decided.told, decided.status)

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
    return _json(unknown_json(snapshot, name, version), 404)


async def _not_found(request: Request, error: Exception) -> Response:
    return _error(404, "no such path; try /v1/status")


async def _not_allowed(request: Request, error: Exception) -> Response:
    return _error(405, "that method is not for this path; GET reads, POST decides about an alarm or a model")


async def _unauthenticated(request: Request, error: Exception) -> Response:
    answer = _error(401, str(error))
    answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


async def _forbidden(request: Request, error: Exception) -> Response:
    return _error(403, str(error))


async def _bad_command(request: Request, error: Exception) -> Response:
    return _error(400, str(error))


async def _try_again(request: Request, error: Exception) -> Response:
    return _error(503, str(error))


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
            commands=tuple(command for command in snapshot.commands if _is_of(command, mine, caller)),
            configured=tuple(command for command in snapshot.configured if _is_of(command, mine, caller)),
            early={owner: n for owner, n in snapshot.early.items() if caller.sees(owner[0])},
            silent=frozenset(key for key in snapshot.silent if caller.sees(key.tenant)),
        )
    return snapshot if caller.whole else replace(snapshot, counters={})


def _is_of(command: Command, alarms: Container[int], caller: Caller) -> bool:
    return command.alarm in alarms if command.model is None else caller.sees(command.model.tenant)
