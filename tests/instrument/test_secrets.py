"""The guest in front of a receiver that asks for TLS, a token and a certificate; and what it never tells."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.access.authority import Authority
from tests.access.tokens import Tokens

import calidris
from calidris import Model
from calidris.instrument.runtime import runtime
from calidris.instrument.sending.channel import metadata_of
from calidris.instrument.settings import SdkSettings

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).parents[1] / "app"))

from served import Started, configuration


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "tokens")


@pytest.fixture
def serve(tmp_path: Path, authority: Authority, tokens: Tokens) -> Iterator[Callable[..., Any]]:
    """A real receiver with TLS and tokens; gives its address for the guest, and itself."""
    made: list[Started] = []

    def start(*, mutual: bool = False) -> tuple[str, Started]:
        tls = authority.server()
        files = {"cert": tls.cert, "key": tls.key, "client_ca": authority.roots if mutual else None}
        receiver = {"tokens": tokens.path, "http": None, "grpc": {"endpoint": "127.0.0.1:0", "tls": files}}
        made.append(Started(configuration(tmp_path, receiver=receiver)))
        (port,) = (line.rpartition(":")[2] for line in made[-1].lines if line.startswith("otlp/grpc"))
        return f"https://localhost:{port}", made[-1]

    yield start
    runtime.shutdown(0.2)
    for started in made:
        started.server.stop()


def predict() -> None:
    with Model("credit", version="7").predict(features={"a": 1}):
        pass


def seen(started: Started) -> dict[str, int]:
    """Rows by tenant, once there are any."""
    deadline = time.monotonic() + 10
    while not started.rows() and time.monotonic() < deadline:
        time.sleep(0.02)
    return {model.key.tenant: model.rows for model in started.server.snapshot().models}


def test_a_token_and_an_authority_from_the_environment(
    serve: Any, authority: Authority, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tokens.add("checkout").split()[1]
    tokens.write()
    endpoint, started = serve()
    monkeypatch.setenv("OTEL_EXPORTER_CALIDRIS_ENDPOINT", endpoint)
    monkeypatch.setenv("OTEL_EXPORTER_CALIDRIS_HEADERS", f"authorization=Bearer%20{token}")
    monkeypatch.setenv("OTEL_EXPORTER_CALIDRIS_CERTIFICATE", str(authority.roots))
    predict()
    assert calidris.flush()
    assert seen(started) == {"acme": 1}


def test_a_certificate_of_its_own(
    serve: Any, authority: Authority, tokens: Tokens, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    header = tokens.add("checkout")
    tokens.write()
    endpoint, started = serve(mutual=True)
    given: dict[str, Any] = {"headers": {"Authorization": header}, "certificate": str(authority.roots)}
    calidris.configure(endpoint=endpoint, **given)
    predict()
    assert not calidris.flush(2) and started.rows() == 0, "without one it is not let in; the row waits"
    cert, key = authority.issue("sender", to="client")
    monkeypatch.setenv("OTEL_EXPORTER_CALIDRIS_CLIENT_CERTIFICATE", str(cert))
    monkeypatch.setenv("OTEL_EXPORTER_CALIDRIS_CLIENT_KEY", str(key))
    calidris.configure(endpoint=endpoint, **given)
    predict()
    assert calidris.flush()
    assert seen(started) == {"acme": 1}
    assert header.split()[1] not in caplog.text


def test_without_a_token_it_is_told_once_and_the_rows_are_counted(
    serve: Any, authority: Authority, tokens: Tokens, caplog: pytest.LogCaptureFixture
) -> None:
    tokens.add("checkout")
    tokens.write()
    endpoint, started = serve()
    calidris.configure(endpoint=endpoint, certificate=str(authority.roots))
    for _ in range(3):
        predict()
        assert not calidris.flush(), "a refusal is for good, and no acknowledgement"
    assert runtime.drops() == {("credit", "refused"): 3} and started.rows() == 0
    assert caplog.text.count("UNAUTHENTICATED: no token: send `authorization: Bearer <token>`") == 1


def test_a_certificate_that_comes_later_loses_nothing(
    serve: Any, authority: Authority, tokens: Tokens, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    header = tokens.add("checkout")
    tokens.write()
    endpoint, started = serve()
    later = tmp_path / "later.pem"
    calidris.configure(endpoint=endpoint, headers={"authorization": header}, certificate=str(later))
    predict()
    assert not calidris.flush(2)
    assert f"{later}: No such file or directory" in caplog.text
    later.write_bytes(authority.roots.read_bytes())
    assert calidris.flush() and seen(started) == {"acme": 1}


SECRET = "cal_very-secret"


@pytest.mark.parametrize(
    "text",
    [
        f"authorization: Bearer {SECRET}",
        f"Bearer {SECRET}",
        f"authorization=Bearer%20{SECRET}%0Ax",
        f"authorization=Bearer%20{SECRET}%00",
        f"authorization=Bearer%20{SECRET}%C3%A9",
        f"auth orization=Bearer%20{SECRET}",
        f"token-bin={SECRET}",
        f"={SECRET}",
    ],
)
def test_a_header_that_cannot_be_sent_is_left_out_and_not_shown(
    receiver: Any, text: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_CALIDRIS_HEADERS", f"x-team=risk,{text}")
    calidris.configure(endpoint=receiver.endpoint)
    predict()
    assert calidris.flush()
    assert receiver.metadata[0]["x-team"] == "risk" and SECRET not in str(receiver.metadata)
    assert "left out" in caplog.text and SECRET not in caplog.text


def test_headers_are_sent_as_grpc_wants_them() -> None:
    assert metadata_of({" Authorization ": f"Bearer {SECRET}\n"}) == (("authorization", f"Bearer {SECRET}"),)


def test_settings_do_not_show_their_headers() -> None:
    settings = SdkSettings(headers={"authorization": SECRET})
    assert SECRET not in repr(settings)


def test_a_plain_receiver_is_never_spoken_to_as_tls_and_the_other_way_round(
    serve: Any, receiver: Any, authority: Authority, tokens: Tokens
) -> None:
    header = tokens.add("checkout")
    tokens.write()
    endpoint, started = serve()
    given: dict[str, Any] = {"headers": {"authorization": header}, "certificate": str(authority.roots)}
    calidris.configure(endpoint=endpoint.replace("https", "http"), **given)
    predict()
    assert not calidris.flush(2)
    calidris.configure(endpoint=receiver.endpoint.replace("http", "https"), **given)
    predict()
    assert not calidris.flush(2)
    assert started.rows() == 0 and receiver.requests == []
