"""The routes of the API: each answers from the newest snapshot; the only thing that can be changed is a decision about an alarm."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from calidris.api.shape import alarms_json, readings_json, status_json
from calidris.batch import DEFAULT_TENANT, ModelKey
from calidris.engine.orders import BadOrder, Order
from calidris.engine.snapshot import ModelSnapshot, Snapshot
from calidris.errors import RetryableError

Report = Callable[[Snapshot, str, str], str]
"""Renders the report of one model version (snapshot, name, version) as HTML."""

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY"}


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
        order: makes a decision about an alarm durable; None where alarms can only be read.
        clock_ns: time of a decision, ns since the epoch.
        receiver: says what the receiver does now and why, for ``/readyz`` and ``/v1/status``.
    """

    snapshot: Callable[[], Snapshot]
    ready: Callable[[], bool] = lambda: True
    health: Callable[[], Mapping[str, Any]] = field(default=dict)
    report: Report | None = None
    order: Callable[[Order], None] | None = None
    clock_ns: Callable[[], int] = time.time_ns
    receiver: Callable[[], Mapping[str, Any]] = field(default=dict)


def application(sources: Sources) -> Starlette:
    """The ASGI application; it holds no state of its own."""
    handlers = _Handlers(sources)
    return Starlette(
        routes=[
            Route("/healthz", handlers.healthz),
            Route("/readyz", handlers.readyz),
            Route("/v1/status", handlers.status),
            Route("/v1/alarms", handlers.alarms),
            Route("/v1/alarms/{id:int}/{action}", handlers.order, methods=["POST"]),
            # Names may hold slashes, percent-encoded; only the raw path still tells them from separators.
            Route("/v1/models/{rest:any_path}", handlers.readings),
            Route("/v1/report/{rest:any_path}", handlers.report),
        ],
        exception_handlers={404: _not_found, 405: _not_allowed},
    )


class _Handlers:
    """One method a route. They run in worker threads, so that a long report does not hold up a health check."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def healthz(self, request: Request) -> Response:
        return _json({"status": "ok"})

    def readyz(self, request: Request) -> Response:
        ready = self._sources.ready()
        return _json({"status": "ready" if ready else "starting", **self._sources.receiver()}, 200 if ready else 503)

    def status(self, request: Request) -> Response:
        ready, health = self._sources.ready(), self._sources.health()
        receiver = self._sources.receiver()
        return _json(status_json(self._sources.snapshot(), ready=ready, health=health, receiver=receiver))

    def alarms(self, request: Request) -> Response:
        return _json(alarms_json(self._sources.snapshot()))

    async def order(self, request: Request) -> Response:
        """Acknowledge or clear. Only JSON is taken: a page of another origin cannot send that without asking first."""
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return _error(415, "send the decision as application/json")
        body = await request.body()
        return await run_in_threadpool(self._order, request.path_params, body)

    def _order(self, path: Mapping[str, Any], body: bytes) -> Response:
        if self._sources.order is None:
            return _error(404, "alarms can only be read here")
        alarm = next((a for a in self._sources.snapshot().alarms if a.id == path["id"]), None)
        if alarm is None:
            return _error(404, f"there is no alarm {path['id']}; GET /v1/alarms lists them")
        try:
            told = orjson.loads(body)
            by, reason = str(told["by"]), str(told.get("reason", ""))
            order = Order(alarm.id, path["action"], by, reason, self._sources.clock_ns())
            self._sources.order(order)
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return _error(400, 'the decision is {"by": who, "reason": why}')
        except BadOrder as error:
            return _error(400, str(error))
        except RetryableError as error:
            return _error(503, str(error))
        return _json({"alarm": alarm.id, "action": order.action}, 202)

    def readings(self, request: Request) -> Response:
        parts = _segments(request)
        if len(parts) != 5 or parts[4] != "readings":
            return _error(404, "the path is /v1/models/{name}/{version}/readings")
        snapshot = self._sources.snapshot()
        model = _find(snapshot, request, parts[2], parts[3])
        return _json(readings_json(model)) if model else _unknown(snapshot, parts[2], parts[3])

    def report(self, request: Request) -> Response:
        parts = _segments(request)
        if self._sources.report is None or len(parts) != 4:
            return _error(404, "the path is /v1/report/{name}/{version}, where this receiver renders reports")
        snapshot, (name, version) = self._sources.snapshot(), parts[2:]
        if _find(snapshot, request, name, version) is None:
            return _unknown(snapshot, name, version)
        return HTMLResponse(self._sources.report(snapshot, name, version), headers=_HEADERS)


def _segments(request: Request) -> list[str]:
    """Parts of the path, each decoded by itself."""
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    return [unquote(part) for part in raw.partition(b"?")[0].decode("ascii", "replace").strip("/").split("/")]


def _find(snapshot: Snapshot, request: Request, name: str, version: str) -> ModelSnapshot | None:
    key = ModelKey(request.query_params.get("tenant", DEFAULT_TENANT), name, version)
    return next((model for model in snapshot.models if model.key == key), None)


def _unknown(snapshot: Snapshot, name: str, version: str) -> Response:
    known = [model.key._asdict() for model in snapshot.models]
    return _error(404, f"no model {name!r} of version {version!r} has been seen", known=known)


async def _not_found(request: Request, error: Exception) -> Response:
    return _error(404, "no such path; try /v1/status")


async def _not_allowed(request: Request, error: Exception) -> Response:
    return _error(405, "that method is not for this path; GET reads, POST decides about an alarm")


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
