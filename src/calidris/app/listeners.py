"""The addresses that are listened on: who gets in at which, a refusal to stand open by accident, and the servers of telemetry."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

from calidris.access import Access, Certificates
from calidris.config import CalidrisConfig
from calidris.config.listener_tls import MutualTlsConfig, TlsConfig
from calidris.errors import ConfigError
from calidris.receive.grpc import GrpcReceiver
from calidris.receive.http.otlp_server import HttpReceiver
from calidris.receive.intake import Intake


class ListenerAuth:
    """What guards the addresses of a receiver.

    Attributes:
        access: the tokens.
        grpc: certificates of ``receiver.grpc``, None without TLS; likewise ``http`` and ``api``.

    Raises:
        ConfigError: a file cannot be used, or an address would stand open.
    """

    def __init__(self, config: CalidrisConfig) -> None:
        check_exposure(config)
        receiver = config.receiver
        self.access = Access(receiver.tokens)
        self.grpc = _certificates("receiver.grpc.tls", receiver.grpc.tls)
        self.http = _certificates("receiver.http.tls", receiver.http.tls if receiver.http else None)
        self.api = _certificates("api.tls", config.api.tls)

    @property
    def failures(self) -> int:
        """How often a file changed into something that cannot be used."""
        certificates = [found for found in (self.grpc, self.http, self.api) if found is not None]
        return self.access.failures + sum(found.failures for found in certificates)


def _certificates(key: str, tls: TlsConfig | None) -> Certificates | None:
    return None if tls is None else Certificates(key, tls)


class _Listener(NamedTuple):
    """An address, what guards it, and what the settings say it may lack. ``cure`` names the settings that would guard it."""

    key: str
    endpoint: str
    tls: bool
    login: bool
    exposed: str | None
    cure: str


def check_exposure(config: CalidrisConfig) -> None:
    """Refuse addresses that other machines can reach without TLS and a login, unless the settings say so in words.

    Raises:
        ConfigError: names the key of the first such address, and the cures.
    """
    for listener in _listeners(config):
        lacks = [what for what, there in (("no TLS", listener.tls), ("no login", listener.login)) if not there]
        told = (listener.exposed or "").split(", ")
        if set(lacks) <= set(told) or is_loopback(listener.endpoint):
            continue
        raise ConfigError(
            f"{listener.key}.endpoint: other machines can reach {listener.endpoint}, with {' and '.join(lacks)}: "
            f"{listener.cure} set a loopback address such as 127.0.0.1, or, where something in front of it takes care of that, "
            f'say so: {listener.key}.exposed: "{", ".join(lacks)}"'
        )


def _listeners(config: CalidrisConfig) -> Iterator[_Listener]:
    receiver, api, prometheus = config.receiver, config.api, config.export.prometheus
    tokens = receiver.tokens is not None
    for key, found in (("receiver.grpc", receiver.grpc), ("receiver.http", receiver.http)):
        if found is not None:
            mutual = isinstance(found.tls, MutualTlsConfig) and found.tls.client_ca is not None
            cure = f"set {key}.tls and receiver.tokens, or"
            yield _Listener(key, found.endpoint, found.tls is not None, tokens or mutual, found.exposed, cure)
    yield _Listener(
        "api", api.endpoint, api.tls is not None, tokens, api.exposed, "set api.tls and receiver.tokens, or"
    )
    if prometheus is not None:
        yield _Listener("export.prometheus", prometheus.endpoint, False, False, prometheus.exposed, "")


def is_loopback(endpoint: str) -> bool:
    """Whether only this machine can reach an address. Names are resolved; what cannot be resolved counts as open.

    >>> [is_loopback(e) for e in ("127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1")]
    [True, True, True, True]
    >>> [is_loopback(e) for e in ("0.0.0.0:1", "[::]:1", "[::ffff:0.0.0.0]:1", "192.168.0.1:1", "[fe80::1%lo]:1", "*:1")]
    [False, False, False, False, False, False]
    """
    host = endpoint.rpartition(":")[0].strip("[]")
    try:
        return _is_loopback(host)
    except ValueError:
        pass
    try:
        found = {str(address[4][0]) for address in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(_is_loopback(one) for one in found)


def _is_loopback(host: str) -> bool:
    address = ipaddress.ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


class Receiver(Protocol):
    """A server of OTLP."""

    @property
    def port(self) -> int:
        """The port that is listened on, once started."""
        ...

    def start(self) -> None:
        """Listen and serve, in threads of its own."""
        ...

    def stop(self, grace_s: float) -> None:
        """Stop accepting, then wait for the requests that run; also where it was not started."""
        ...


def receivers(
    config: CalidrisConfig,
    auth: ListenerAuth,
    intake: Intake,
    ready: Callable[[], bool],
    about: Callable[[], dict[str, Any]],
) -> Iterator[tuple[str, Receiver, str]]:
    """Name, server and, as ``{port}`` in it is not known yet, where it will listen, of each server that is wanted."""
    grpc, http = config.receiver.grpc, config.receiver.http
    on_grpc = GrpcReceiver(
        grpc.endpoint, intake, max_message_bytes=grpc.max_message_bytes, tenant_of=auth.access.tenant_of,
        certificates=auth.grpc,
    )  # fmt: skip
    yield "grpc", on_grpc, f"otlp/grpc listening on {host(grpc.endpoint)}:{{port}}"
    if http is not None:
        on_http = HttpReceiver(
            http.endpoint, intake, max_message_bytes=http.max_message_bytes, tenant_of=auth.access.tenant_of,
            ssl_context=None if auth.http is None else auth.http.server_context(), ready=ready, about=about,
        )  # fmt: skip
        yield "http", on_http, f"otlp/http listening on {scheme(auth.http)}://{host(http.endpoint)}:{{port}}"


def host(endpoint: str) -> str:
    """An endpoint without its port."""
    return endpoint.rpartition(":")[0]


def scheme(certificates: object | None) -> str:
    """How an address with or without certificates begins."""
    return "http" if certificates is None else "https"
