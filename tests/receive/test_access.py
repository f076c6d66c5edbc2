"""Who may send: tokens in a file, real gRPC in front of it."""

from __future__ import annotations

import hmac
import logging
import os
import tempfile
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from hypothesis import given
from hypothesis import strategies as st
from tests.tokens import Tokens

from calidris.access import ALL, Access, Watched, hash_of, read_tokens
from calidris.errors import ConfigError, Forbidden, Unauthenticated
from calidris.receive.admission import refusal_of
from calidris.receive.grpc import TRACES
from calidris.receive.http.server import HttpReceiver

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


def one_token() -> Access:
    """Access by one token that nobody has."""
    with tempfile.TemporaryDirectory() as folder:
        tokens = Tokens(Path(folder) / "tokens")
        tokens.add("checkout")
        tokens.write()
        return tokens.open()


GUARDED = one_token()
ODD = [
    None,
    "",
    "Bearer",
    "Bearer ",
    "{token}",
    "Basic {token}",
    "Bearer {token} x",
    "Bearer {token},Bearer {token}",
    "Bearer {token}\n",
    "Bearer {token}\x00",
    "Bearer\t{token}",
    " Bearer {token}",
    "Bearer {token}\u00e9",
    "Bearer {token}\ud800",
    "Bearer " + "a" * 100_000,
    "Bearer {token}===",
]


@pytest.mark.parametrize("form", ODD, ids=range(len(ODD)))
def test_odd_headers_are_no_tokens(tokens: Tokens, form: str | None) -> None:
    token = tokens.add("checkout").removeprefix("Bearer ")
    tokens.write()
    header = None if form is None else form.format(token=token)
    with pytest.raises(Unauthenticated) as caught:
        tokens.open().tenant_of(header)
    assert token not in str(caught.value)


@given(st.one_of(st.text(), st.from_regex(r"(?i)bearer[\s\S]*"), st.binary().map(lambda raw: raw.decode("latin-1"))))
def test_whatever_the_header_it_is_refused_and_nothing_breaks(header: str) -> None:
    with pytest.raises(Unauthenticated):
        GUARDED.tenant_of(header)


@pytest.mark.parametrize("form", ["Bearer {token}", "bearer {token}", "BEARER {token}", "Bearer   {token}"])
def test_the_scheme_may_be_written_in_any_case(tokens: Tokens, form: str) -> None:
    token = tokens.add("checkout").removeprefix("Bearer ")
    tokens.write()
    assert tokens.open().tenant_of(form.format(token=token)) == "acme"


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


def test_a_file_changed_in_place_is_read_again(tokens: Tokens) -> None:
    """Same size, same inode, and a time that somebody set back."""
    first = tokens.add("checkout")
    tokens.write()
    access = tokens.open()
    assert access.tenant_of(first) == "acme"
    before = tokens.path.stat()
    tokens.lines = []
    second = tokens.add("checkout")
    with tokens.path.open("r+") as file:
        file.write("# tokens\n" + tokens.lines[0])
    os.utime(tokens.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    tokens.later()
    assert access.tenant_of(second) == "acme"
    with pytest.raises(Unauthenticated):
        access.tenant_of(first)


def test_a_file_written_just_before_it_was_read_is_read_once_more(tmp_path: Path) -> None:
    """A write within the same tick of the file system's clock leaves no trace to be seen by."""
    path, now_s, said = tmp_path / "file", [0.0], ["half"]
    path.touch(mode=0o600)
    watched = Watched("key", (path,), lambda: said[0], lambda: now_s[0])
    said[0] = "whole"
    assert watched.get() == "half"
    now_s[0] += 1.1
    assert watched.get() == "whole" and watched.changes == 1


BROKEN = {
    "no key": "name=a tenant=b may=send secret-that-somebody-pasted",
    "a key that nobody knows": "name=a tenant=b may=send password=hunter2",
    "the token itself": "name=a tenant=b may=send sha256=cal_secret-that-somebody-pasted",
    "no such thing to do": "name=a tenant=b may=sned sha256=" + "0" * 64,
    "nothing to do": "name=a tenant=b may= sha256=" + "0" * 64,
    "a name with a slash": "name=a tenant=b/c may=send sha256=" + "0" * 64,
    "a key twice": "name=a name=b tenant=b may=send sha256=" + "0" * 64,
    "a key left out": "name=a may=send sha256=" + "0" * 64,
    "everybody's sender": "name=a tenant=* may=send sha256=" + "0" * 64,
    "no date": "name=a tenant=b may=send expires=soon sha256=" + "0" * 64,
    "one token twice": "\n".join(["name=a tenant=b may=send sha256=" + "0" * 64] * 2),
    "empty": "",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_keeps_the_old_one_and_is_told_without_its_text(
    tokens: Tokens, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    header = tokens.add("checkout")
    tokens.write()
    access = tokens.open()
    tokens.write(text and "# tokens\n\n" + text)
    tokens.later()
    with caplog.at_level(logging.ERROR):
        assert access.tenant_of(header) == "acme"
        tokens.later()
        assert access.tenant_of(header) == "acme"
    assert access.failures == 1, "counted once for each change"
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith(f"receiver.tokens: {tokens.path}") and "stays in force" in told
    assert "pasted" not in told and "hunter2" not in told and "0" * 64 not in told
    with pytest.raises(ConfigError, match=r"^receiver\.tokens: "):
        tokens.open()
    tokens.write()
    tokens.later()
    assert access.tenant_of(header) == "acme" and access.failures == 1


def test_a_file_that_is_gone_keeps_the_old_one(tokens: Tokens) -> None:
    header = tokens.add("checkout")
    tokens.write()
    access = tokens.open()
    tokens.path.unlink()
    tokens.later()
    assert access.tenant_of(header) == "acme" and access.failures == 1
    with pytest.raises(ConfigError, match="`calidris token` makes its first line"):
        tokens.open()


def test_a_file_of_comments_shuts_everybody_out(tokens: Tokens) -> None:
    header = tokens.add("checkout")
    tokens.write()
    access = tokens.open()
    tokens.write("# nobody until the leak is understood\n")
    tokens.later()
    with pytest.raises(Unauthenticated):
        access.tenant_of(header)
    assert access.failures == 0 and read_tokens(tokens.path) == ()


@pytest.mark.parametrize("text", ["2026-01-02", "2026-01-02T00:00:00Z", "2026-01-02T01:00:00+01:00"])
def test_a_token_ends_on_its_day(tokens: Tokens, text: str) -> None:
    header = tokens.add("checkout")
    tokens.lines[0] += f" expires={text}"
    tokens.write()
    access = tokens.open()
    tokens.now_s = datetime(2026, 1, 1, 23, 59, 59, tzinfo=UTC).timestamp()
    assert access.tenant_of(header) == "acme"
    tokens.later()
    with pytest.raises(Unauthenticated, match="'checkout' has expired"):
        access.tenant_of(header)


def test_a_line_says_what_was_asked_for(tokens: Tokens) -> None:
    tokens.add("sre@example", ALL, "decide,read", expires=datetime(2027, 1, 1, tzinfo=UTC))
    tokens.write()
    (read,) = read_tokens(tokens.path)
    assert read.line == tokens.lines[0]
    assert read.line.startswith("name=sre@example tenant=* may=read,decide sha256=")
    assert read.line.endswith("expires=2027-01-01T00:00:00Z")


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_file_that_others_may_read_is_told_with_the_cure(
    tokens: Tokens, mode: int, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    tokens.add("checkout")
    tokens.write()
    tokens.path.chmod(mode)
    tokens.open()
    assert ([r.getMessage().partition(": chmod ")[2] for r in caplog.records]) == [f"600 {tokens.path}"] * warned


def test_what_is_looked_up_cannot_be_known_outside(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table keyed by the hash would tell by its time how much of a guess is right; ours is keyed by a secret of the process."""
    asked: list[bytes] = []
    digest = hmac.digest
    monkeypatch.setattr(hmac, "digest", lambda key, *rest: (asked.append(key), digest(key, *rest))[1])
    header = tokens.add("checkout")
    tokens.write()
    for access in (tokens.open(), tokens.open()):
        begun = len(asked)
        access.tenant_of(header)
        assert len(asked) == begun + 1, "the question is blinded like the table"
    assert len(set(asked)) == 2 and min(map(len, asked)) == 32


def test_refusals_are_logged_once_a_minute_and_counted_always(tokens: Tokens, caplog: pytest.LogCaptureFixture) -> None:
    tokens.add("checkout")
    tokens.write()
    access = tokens.open()
    secret = "cal_" + "s" * 40
    for _ in range(500):
        with pytest.raises(Unauthenticated):
            access.tenant_of(f"Bearer {secret}")
    tokens.later(61)
    with pytest.raises(Unauthenticated):
        access.tenant_of(None)
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2 and "(499 more since" in told[1]
    assert access.refused == {"send_unauthenticated": 501}
    assert secret not in caplog.text and hash_of(secret) not in caplog.text


def test_without_a_file_everybody_is_the_default_tenant() -> None:
    access = Access()
    assert access.tenant_of(None) == access.tenant_of("Bearer whatever") == "default"
    caller = access.authorize(None, "decide")
    assert caller.sees("acme") and caller.whole and caller.name == "" and not access.required


def test_the_one_table_knows_both_errors() -> None:
    found = [refusal_of(error) for error in (Unauthenticated("who?"), Forbidden("no"))]
    assert [(r.code.name, r.http_status, r.reason, r.trailers) for r in found] == [
        ("UNAUTHENTICATED", 401, "unauthenticated", ()),
        ("PERMISSION_DENIED", 403, "forbidden", ()),
    ]
