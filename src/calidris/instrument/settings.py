"""What the environment says, read once and validated; a bad value is named, its default used, and the host goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from calidris import semconv
from calidris.instrument import environment as env
from calidris.instrument.guarded_log import log
from calidris.instrument.privacy import Policy

DEFAULT_QUEUE_ROWS = 65_536
DEFAULT_QUEUE_BYTES = 256 * 1024 * 1024
DEFAULT_DELAY_S = 1.0
MOST = 1e12
"""Bound of all numbers: what is beyond it is a slip."""
DEFAULT_TIMEOUT_S = 5.0
ROLES = (semconv.ML_MODEL_ROLE_CHAMPION, semconv.ML_MODEL_ROLE_CANARY, semconv.ML_MODEL_ROLE_SHADOW)
"""What a version may do beside others."""


@dataclass(frozen=True, slots=True)
class SdkSettings:
    """Everything the guest can be told. Without an ``endpoint`` it records nothing."""

    endpoint: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # they may hold a token
    certificate: str = ""
    client_certificate: str = ""
    client_key: str = ""
    timeout_s: float = DEFAULT_TIMEOUT_S
    model_name: str = ""
    model_version: str = ""
    model_role: str = ""
    models_path: str = ""
    slices: tuple[str, ...] = ()
    policy: Policy = field(default_factory=Policy)
    queue_rows: int = DEFAULT_QUEUE_ROWS
    queue_bytes: int = DEFAULT_QUEUE_BYTES
    handle_sigterm: bool = True
    delay_s: float = DEFAULT_DELAY_S

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> SdkSettings:
        """Read the variables of `calidris.instrument.environment`. Never raises.

        >>> s = SdkSettings.from_env({"OTEL_CALIDRIS_ALLOW": "country, city", "OTEL_CALIDRIS_BUCKET": "age:18,30"})
        >>> sorted(s.policy.allow), s.policy.bucket
        (['city', 'country'], {'age': (18.0, 30.0)})
        """
        get = environ.get
        return cls(
            endpoint=get(env.OTEL_EXPORTER_CALIDRIS_ENDPOINT, "").strip(),
            headers=_headers(get(env.OTEL_EXPORTER_CALIDRIS_HEADERS, "")),
            certificate=get(env.OTEL_EXPORTER_CALIDRIS_CERTIFICATE, "").strip(),
            client_certificate=get(env.OTEL_EXPORTER_CALIDRIS_CLIENT_CERTIFICATE, "").strip(),
            client_key=get(env.OTEL_EXPORTER_CALIDRIS_CLIENT_KEY, "").strip(),
            timeout_s=_number(environ, env.OTEL_EXPORTER_CALIDRIS_TIMEOUT, DEFAULT_TIMEOUT_S),
            model_name=get(env.OTEL_CALIDRIS_MODEL_NAME, "").strip(),
            model_version=get(env.OTEL_CALIDRIS_MODEL_VERSION, "").strip(),
            model_role=_role(get(env.OTEL_CALIDRIS_MODEL_ROLE, "").strip()),
            models_path=get(env.OTEL_CALIDRIS_MODELS, "").strip(),
            slices=_list(get(env.OTEL_CALIDRIS_SLICES, "")),
            policy=_policy(environ),
            queue_rows=int(_number(environ, env.OTEL_CALIDRIS_QUEUE_SIZE, DEFAULT_QUEUE_ROWS)),
            queue_bytes=int(_number(environ, env.OTEL_CALIDRIS_QUEUE_BYTES, DEFAULT_QUEUE_BYTES)),
            handle_sigterm=_switch(environ, env.OTEL_CALIDRIS_HANDLE_SIGTERM, True),
            delay_s=_number(environ, env.OTEL_CALIDRIS_SCHEDULE_DELAY, DEFAULT_DELAY_S * 1000) / 1000,
        )

    def find_problem(self) -> str:
        """What is wrong with settings that were given in code, where they are of other types; empty if nothing is."""
        given: Any = self  # of whatever types
        for name in _TEXTS:
            if type(getattr(self, name)) is not str:
                return f"{name} must be a string"
        for name in _NUMBERS:
            value = getattr(self, name)
            if type(value) not in (int, float) or not 0 < value < MOST:
                return f"{name} must be a positive number"
        if self.model_role and self.model_role not in ROLES:
            return f"model_role must be one of {', '.join(ROLES)}"
        if type(given.handle_sigterm) is not bool:
            return "handle_sigterm must be true or false"
        if not isinstance(given.headers, Mapping):
            return "headers must be a mapping from name to text"
        if not isinstance(given.slices, (tuple, list)) or set(map(type, given.slices)) - {str}:
            return "slices must be a list of names"
        return ""


_TEXTS = (
    "endpoint",
    "certificate",
    "client_certificate",
    "client_key",
    "model_name",
    "model_version",
    "model_role",
    "models_path",
)
_NUMBERS = ("timeout_s", "delay_s", "queue_rows", "queue_bytes")


def _policy(environ: Mapping[str, str]) -> Policy:
    get = environ.get
    return Policy.of(
        allow=_list(get(env.OTEL_CALIDRIS_ALLOW, "")),
        drop=_list(get(env.OTEL_CALIDRIS_DROP, "")),
        hash=_list(get(env.OTEL_CALIDRIS_HASH, "")),
        bucket=_buckets(get(env.OTEL_CALIDRIS_BUCKET, "")),
        hash_key=get(env.OTEL_CALIDRIS_HASH_KEY, ""),
    )


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _headers(text: str) -> dict[str, str]:
    """``key=value,key=value``, percent-encoded. What cannot be read is told by its place: it may be a token.

    >>> _headers("authorization=Bearer%20abc==, x-team = risk")
    {'authorization': 'Bearer abc==', 'x-team': 'risk'}
    """
    headers = {}
    for place, part in enumerate(text.split(",") if text.strip() else (), start=1):
        key, equals, value = part.partition("=")
        if equals and key.strip():
            headers[unquote(key).strip().lower()] = unquote(value).strip()
        else:
            log.error(
                "calidris: %s: entry %d is not key=value and is left out. Write authorization=Bearer%%20<token>",
                env.OTEL_EXPORTER_CALIDRIS_HEADERS,
                place,
            )
    return headers


def _buckets(text: str) -> dict[str, list[float]]:
    """``name:edge,edge;name:edge``. Edges that are no numbers leave the list empty: the policy then drops the feature."""
    buckets: dict[str, list[float]] = {}
    for part in filter(None, (p.strip() for p in text.split(";"))):
        name, _, edges = part.rpartition(":")
        try:
            buckets[name.strip() or part] = [float(edge) for edge in edges.split(",")]
        except ValueError:
            buckets[name.strip() or part] = []
            log.error(
                "calidris: %s: %r has no edges; the feature is withheld. Write name:18,30,50",
                env.OTEL_CALIDRIS_BUCKET,
                part,
            )
    return buckets


def _role(text: str) -> str:
    """One of ``ROLES``, or none with a word about it."""
    if text and text not in ROLES:
        log.error(
            "calidris: %s must be one of %s, got %r; none is sent.",
            env.OTEL_CALIDRIS_MODEL_ROLE,
            ", ".join(ROLES),
            text,
        )
        return ""
    return text


def _switch(environ: Mapping[str, str], name: str, default: bool) -> bool:
    """``true`` or ``false``, or the default with a word about it."""
    raw = environ.get(name, "").strip().lower()
    if raw in ("true", "false"):
        return raw == "true"
    if raw:
        log.error("calidris: %s must be true or false, got %r; %s is used.", name, raw, str(default).lower())
    return default


def _number(environ: Mapping[str, str], name: str, default: float) -> float:
    """A positive number, or the default with a word about it."""
    raw = environ.get(name, "").strip()
    if not raw:
        return default
    try:
        value = float(raw)
        if 0 < value < MOST:
            return value
    except ValueError:
        pass
    log.error("calidris: %s must be a positive number, got %r; %g is used.", name, raw, default)
    return default
