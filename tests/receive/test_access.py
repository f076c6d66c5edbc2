"""Who may send: tokens in a file, real gRPC in front of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tests.access.tokens import Tokens

from calidris.errors import Forbidden, Unauthenticated
from calidris.receive.admission import refusal_of
from calidris.receive.grpc import TRACES
from calidris.receive.http.otlp_server import HttpReceiver

MakeBench = Callable[..., Any]
PATH = f"/{TRACES}/Export"


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "tokens")


def send(bench: Any, *headers: str, raw: bytes | None = None, timeout: float = 10) -> bytes:
    metadata = [("authorization", header) for header in headers]
    return bench.channel.unary_unary(PATH)(raw or bench.request("predict"), timeout=timeout, metadata=metadata)


def refused(bench: Any, *headers: str, **rest: Any) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        send(bench, *headers, **rest)
    return caught.value


def test_what_is_sent_carries_the_tenant_of_its_token(tokens: Tokens, make_bench: MakeBench) -> None:
    acme, globex = tokens.add("checkout"), tokens.add("scoring", tenant="globex")
    tokens.write()
    bench = make_bench(tenant_of=tokens.open().tenant_of)
    assert send(bench, acme) == send(bench, globex) == b""
    assert [record.tenant for record in bench.journal.replay(0)] == ["acme", "globex"]
    assert [received.tenant for received in bench.taken()] == ["acme", "globex"]


def test_without_a_token_nothing_is_taken(tokens: Tokens, make_bench: MakeBench) -> None:
    reader = tokens.add("oncall", may="read,decide")
    tokens.write()
    access = tokens.open()
    bench = make_bench(tenant_of=access.tenant_of)
    assert refused(bench).code() is grpc.StatusCode.UNAUTHENTICATED
    assert "calidris token" in refused(bench).details()
    forbidden = refused(bench, reader)
    assert forbidden.code() is grpc.StatusCode.PERMISSION_DENIED and "may=send" in forbidden.details()
    assert bench.journal.last_seq == 0 and bench.admission.used_bytes == 0
    assert bench.counts() == {"unauthenticated": 2, "forbidden": 1}
    assert access.refused == {"send_unauthenticated": 2, "send_forbidden": 1}
    trailers = [key for key, _ in forbidden.trailing_metadata()]
    assert not [key for key in trailers if "retry" in key], "a retry has no token either"


def test_metrics_and_logs_need_one_too_and_the_health_check_does_not(tokens: Tokens, make_bench: MakeBench) -> None:
    tokens.add("checkout")
    tokens.write()
    bench = make_bench(tenant_of=tokens.open().tenant_of)
    for signal in ("metrics", "logs"):
        with pytest.raises(grpc.RpcError) as caught:
            bench.export(b"x", path=f"/opentelemetry.proto.collector.{signal}.v1.{signal.title()}Service/Export")
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    stub = health_pb2_grpc.HealthStub(bench.channel)
    assert stub.Check(health_pb2.HealthCheckRequest(), timeout=10).status == health_pb2.HealthCheckResponse.SERVING


def test_who_is_unknown_is_answered_before_the_message_has_come(tokens: Tokens, make_bench: MakeBench) -> None:
    """A stream that never sends its message would otherwise wait, and hold a thread, for as long as it likes."""
    tokens.add("checkout")
    tokens.write()
    bench = make_bench(tenant_of=tokens.open().tenant_of)

    answered = threading.Event()

    def nothing() -> Any:
        answered.wait(20)
        yield b""

    with pytest.raises(grpc.RpcError) as caught:
        bench.channel.stream_unary(PATH)(nothing(), timeout=10)
    answered.set()
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_two_headers_are_one_too_many(tokens: Tokens, make_bench: MakeBench) -> None:
    good, other = tokens.add("checkout"), tokens.add("scoring", tenant="globex")
    tokens.write()
    access = tokens.open()
    bench = make_bench(tenant_of=access.tenant_of)
    assert refused(bench, good, other).code() is grpc.StatusCode.UNAUTHENTICATED
    assert refused(bench, good, good).code() is grpc.StatusCode.UNAUTHENTICATED
    assert access.refused == {"send_unauthenticated": 2}


def test_over_http_the_same_tokens_count(tokens: Tokens, make_bench: MakeBench) -> None:
    acme, reader = tokens.add("checkout"), tokens.add("oncall", may="read")
    tokens.write()
    bench = make_bench()
    receiver = HttpReceiver("127.0.0.1:0", bench.intake, tenant_of=tokens.open().tenant_of)
    receiver.start()
    url = f"http://127.0.0.1:{receiver.port}"
    raw = bench.request("predict")

    def post(*headers: str) -> httpx.Response:
        given = [("content-type", "application/x-protobuf"), *(("authorization", header) for header in headers)]
        return httpx.post(f"{url}/v1/traces", content=raw, headers=given, trust_env=False)

    try:
        assert post(acme).status_code == 200
        assert [record.tenant for record in bench.journal.replay(0)] == ["acme"]
        refused = post()
        assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert [post(*headers).status_code for headers in ((reader,), (acme, acme), ("Basic x",))] == [403, 401, 401]
        assert httpx.get(f"{url}/readyz", trust_env=False).status_code == 200
        assert bench.journal.last_seq == 1
    finally:
        receiver.stop(grace_s=1)


def test_a_new_file_is_in_force_within_a_second(tokens: Tokens, make_bench: MakeBench) -> None:
    old = tokens.add("checkout")
    tokens.write()
    bench = make_bench(tenant_of=tokens.open().tenant_of)
    assert send(bench, old) == b""
    new = tokens.add("checkout")  # both are good while the sender changes over
    tokens.write()
    assert refused(bench, new).code() is grpc.StatusCode.UNAUTHENTICATED, "looked at once a second at most"
    tokens.later()
    assert send(bench, old) == send(bench, new) == b""
    del tokens.lines[0]
    tokens.write()
    tokens.later()
    assert refused(bench, old).code() is grpc.StatusCode.UNAUTHENTICATED
    assert send(bench, new) == b""


def test_the_one_table_knows_both_errors() -> None:
    found = [refusal_of(error) for error in (Unauthenticated("who?"), Forbidden("no"))]
    assert [(r.code.name, r.http_status, r.reason, r.trailers) for r in found] == [
        ("UNAUTHENTICATED", 401, "unauthenticated", ()),
        ("PERMISSION_DENIED", 403, "forbidden", ()),
    ]
