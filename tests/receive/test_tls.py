"""TLS and mutual TLS with real certificates: who is let in, who is not, and what happens when files change."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from tests.access.authority import Authority, past

from calidris.access import Certificates
from calidris.config import MutualTlsConfig
from calidris.errors import ConfigError
from calidris.receive.grpc import TRACES
from calidris.receive.http.otlp_server import HttpReceiver

MakeBench = Callable[..., Any]
Ends = tuple[Path, Path]


class Clock:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s

    def later(self) -> None:
        self.now_s += 1.1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    """Another authority, which nobody trusts."""
    (tmp_path / "strange").mkdir()
    return Authority(tmp_path / "strange")


def over_grpc(port: int, raw: bytes, roots: Path, client: Ends | None = None) -> bytes:
    """One request over a connection of its own."""
    cert, key = (path.read_bytes() for path in client) if client else (None, None)
    credentials = grpc.ssl_channel_credentials(roots.read_bytes(), key, cert)
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(f"localhost:{port}", credentials, options=options) as channel:
        return channel.unary_unary(f"/{TRACES}/Export")(raw, timeout=10)


def over_http(port: int, raw: bytes, roots: Path, client: Ends | None = None) -> bytes:
    context = ssl.create_default_context(cafile=str(roots))
    if client:
        context.load_cert_chain(*client)
    headers = {"content-type": "application/x-protobuf"}
    with httpx.Client(verify=context, trust_env=False) as session:
        answer = session.post(f"https://localhost:{port}/v1/traces", content=raw, headers=headers)
    return answer.raise_for_status().content


@pytest.fixture(params=["grpc", "http"])
def serve(request: pytest.FixtureRequest, make_bench: MakeBench, clock: Clock) -> Iterator[Callable[..., Any]]:
    """Starts a receiver with these certificates; what it gives sends one request over a new connection."""
    stops: list[Callable[[], object]] = []

    def start(tls: MutualTlsConfig) -> Callable[..., bytes]:
        certificates = Certificates("receiver.tls", tls, clock)
        if request.param == "grpc":
            bench = make_bench(certificates=certificates)
            port, send = bench.receiver.port, over_grpc
        else:
            bench = make_bench()
            receiver = HttpReceiver("127.0.0.1:0", bench.intake, ssl_context=certificates.server_context())
            receiver.start()
            stops.append(lambda: receiver.stop(grace_s=1))
            port, send = receiver.port, over_http

        def one(*ends: Any) -> bytes:
            return send(port, bench.request("predict"), *ends)

        one.bench, one.port, one.certificates = bench, port, certificates  # type: ignore[attr-defined]
        return one

    yield start
    for stop in stops:
        stop()


def refused(send: Callable[..., bytes], *ends: Any) -> None:
    """The connection is refused, and nothing was taken in."""
    before = send.bench.journal.last_seq  # type: ignore[attr-defined]
    with pytest.raises((grpc.RpcError, httpx.TransportError)) as caught:
        send(*ends)
    if isinstance(caught.value, grpc.RpcError):
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert send.bench.journal.last_seq == before  # type: ignore[attr-defined]


def test_a_sender_that_knows_the_authority_gets_in(serve: Any, authority: Authority, stranger: Authority) -> None:
    send = serve(authority.server())
    assert send(authority.roots) == b"" and send.bench.journal.last_seq == 1
    refused(send, stranger.roots)


def test_nobody_gets_in_in_clear(serve: Any, authority: Authority) -> None:
    send = serve(authority.server())
    with socket.create_connection(("127.0.0.1", send.port), timeout=10) as wire:
        wire.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert b"200" not in wire.recv(100)
    assert send.bench.journal.last_seq == 0 and send.bench.counts() == {}


def shake_hands(
    port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[str | None, ssl.SSLSession | None]:
    """Version and session of a connection that heard the server once; in TLS 1.3 it may still refuse after the handshake."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as wire,
        context.wrap_socket(wire, server_hostname="localhost", session=session) as secured,
    ):
        secured.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")  # gRPC answers with its settings
        if not secured.recv(1):
            raise ConnectionError("closed without a word")
        return secured.version(), secured.session


def test_old_tls_is_refused(serve: Any, authority: Authority) -> None:
    send = serve(authority.server())
    context = ssl.create_default_context(cafile=str(authority.roots))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2", "http/1.1"])
    assert shake_hands(send.port, context)[0] == "TLSv1.2"
    with pytest.warns(DeprecationWarning):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shake_hands(send.port, context)


def test_mutual_tls(serve: Any, authority: Authority, stranger: Authority) -> None:
    send = serve(authority.server(client_ca=authority.roots))
    assert send(authority.roots, authority.issue("sender", to="client")) == b""
    refused(send, authority.roots)
    refused(send, authority.roots, stranger.issue("sender", to="client"))
    refused(send, authority.roots, authority.issue("sender", to="old", until=past()))
    assert send.bench.journal.last_seq == 1


def test_an_expired_certificate_is_replaced_while_it_runs(serve: Any, authority: Authority, clock: Clock) -> None:
    send = serve(authority.server(until=past()))
    refused(send, authority.roots)
    authority.issue()
    clock.later()
    assert send(authority.roots) == b""


def test_another_authority_of_senders_counts_from_the_next_connection_on(
    serve: Any, authority: Authority, stranger: Authority, clock: Clock
) -> None:
    ca = authority.folder / "client-ca.pem"
    ca.write_bytes(authority.roots.read_bytes())
    send = serve(authority.server(client_ca=ca))
    ours, theirs = authority.issue("sender", to="client"), stranger.issue("sender", to="client")
    assert send(authority.roots, ours) == b""
    refused(send, authority.roots, theirs)
    ca.write_bytes(stranger.roots.read_bytes())
    clock.later()
    assert send(authority.roots, theirs) == b""
    refused(send, authority.roots, ours)


def test_half_of_a_pair_changes_nothing_and_is_counted(
    serve: Any, authority: Authority, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    tls = authority.server()
    send = serve(tls)
    cert, key = authority.issue("localhost", to="next")
    tls.cert.write_bytes(cert.read_bytes())
    clock.later()
    assert send(authority.roots) == b"" and send.certificates.failures == 1
    assert "receiver.tls.cert: " in caplog.text and "stays in force" in caplog.text
    assert "PRIVATE" not in caplog.text
    tls.key.write_bytes(key.read_bytes())
    clock.later()
    assert send(authority.roots) == b""
    assert send.certificates.now().cert == cert.read_bytes() and send.certificates.failures == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_is_not_resumed_past_a_change_of_authorities(
    serve: Any, authority: Authority, stranger: Authority, clock: Clock, version: ssl.TLSVersion
) -> None:
    """Who comes back with a ticket of before would never be asked for a certificate again."""
    ca = authority.folder / "client-ca.pem"
    ca.write_bytes(authority.roots.read_bytes())
    send = serve(authority.server(client_ca=ca))
    context = ssl.create_default_context(cafile=str(authority.roots))
    context.load_cert_chain(*authority.issue("sender", to="client"))
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    _, session = shake_hands(send.port, context)
    ca.write_bytes(stranger.roots.read_bytes())
    clock.later()
    with pytest.raises((ssl.SSLError, ConnectionError)):
        shake_hands(send.port, context, session)


WRONG = {
    "cert": lambda a: MutualTlsConfig(cert=a.folder / "absent.pem", key=a.issue()[1]),
    "key": lambda a: MutualTlsConfig(cert=a.issue()[0], key=a.folder / "absent.key"),
    "client_ca": lambda a: MutualTlsConfig(cert=a.issue()[0], key=a.issue()[1], client_ca=a.folder / "absent.pem"),
}


@pytest.mark.parametrize("part", WRONG)
def test_a_file_that_is_not_there(authority: Authority, part: str) -> None:
    with pytest.raises(ConfigError, match=rf"^receiver\.grpc\.tls\.({part}|cert): .*absent") as caught:
        Certificates("receiver.grpc.tls", WRONG[part](authority))
    assert "PEM" in str(caught.value)


def test_files_that_do_not_belong_together(authority: Authority) -> None:
    cert, _ = authority.issue()
    other = authority.issue(to="other")[1]
    with pytest.raises(ConfigError, match=r"KEY_VALUES_MISMATCH.*the key of this very certificate"):
        Certificates("receiver.grpc.tls", MutualTlsConfig(cert=cert, key=other))
    with pytest.raises(ConfigError, match=r"client_ca: .* holds no certificate"):
        Certificates("receiver.grpc.tls", MutualTlsConfig(cert=cert, key=authority.issue()[1], client_ca=other))


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(authority: Authority) -> None:
    from cryptography.hazmat.primitives import serialization

    cert, key = authority.issue()
    opened = serialization.load_pem_private_key(key.read_bytes(), None)
    form, lock = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    key.write_bytes(opened.private_bytes(serialization.Encoding.PEM, form, lock))
    with pytest.raises(ConfigError, match="without a password"):
        Certificates("receiver.grpc.tls", MutualTlsConfig(cert=cert, key=key))


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o640, True)])
def test_a_key_that_others_may_read(
    authority: Authority, mode: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    tls = authority.server()
    tls.key.chmod(mode)
    tls.cert.chmod(0o644)
    Certificates("receiver.grpc.tls", tls)
    assert [r.getMessage().rpartition(": ")[2] for r in caplog.records] == [f"chmod 600 {tls.key}"] * warned
