"""What a bad sender, a slow one and a great number of them cost over HTTP: a refusal, and nobody else anything."""

from __future__ import annotations

import gzip
import io
import resource
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import status_pb2
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from calidris.receive.grpc import TRACES
from calidris.receive.http.otlp_server import BODIES
from calidris.receive.http.sender_limits import Patience

Http = Any
MakeHttp = Callable[..., Any]

PROTOBUF = {"Content-Type": "application/x-protobuf"}
GZIP = {**PROTOBUF, "Content-Encoding": "gzip"}
DEFLATE = {**PROTOBUF, "Content-Encoding": "deflate"}
JSON = {"Content-Type": "application/json"}
MODEL_JSON = b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"key":"ml.model.name"}]}]}]}]}'
HEAD = b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\n"


def connect(http: Http, *said: bytes) -> socket.socket:
    """A connection by hand, with something said already."""
    made = socket.create_connection(("127.0.0.1", http.receiver.port), timeout=10)
    for part in said:
        made.sendall(part)
    return made


def heard(connection: socket.socket) -> bytes:
    """All that is said until the other side closes."""
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b""))


# ---- size


def peak_rise_bytes(action: Callable[[], object]) -> int:
    """How far the most memory during an action was above what was in use before."""
    status = Path("/proc/self/status")

    def field(name: str) -> int:
        (line,) = (line for line in status.read_text().splitlines() if line.startswith(name))
        return int(line.split()[1]) * 1024

    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = field("VmRSS:")
    action()
    return field("VmHWM:") - before


def bomb(mebibytes: int) -> bytes:
    """Zeros, a thousand to one."""
    packed, zeros = io.BytesIO(), bytes(1 << 20)
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as file:
        for _ in range(mebibytes):
            file.write(zeros)
    return packed.getvalue()


def test_a_gzip_bomb_costs_no_memory(http: Http) -> None:
    """With the usual limit of 64 MiB."""
    body = bomb(150)
    codes: list[int] = []
    rise = peak_rise_bytes(lambda: codes.append(http.post(body, headers=GZIP).status_code))
    assert codes == [413] and rise < 50 << 20
    assert http.bench.counts() == {"too_large": 1}


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_bomb_that_lies_about_its_size_is_stopped_at_the_limit(make_http: MakeHttp, encoding: str) -> None:
    http = make_http(max_message_bytes=8 << 20)
    body = bomb(150)[:-4] + struct.pack("<I", 5) if encoding == "gzip" else zlib.compress(bytes(150 << 20), 1)
    codes: list[int] = []
    headers = {**PROTOBUF, "Content-Encoding": encoding}
    rise = peak_rise_bytes(lambda: codes.append(http.post(body, headers=headers).status_code))
    assert codes == [413] and rise < 50 << 20


def test_a_bomb_of_empty_parts_is_not_unfolded(http: Http) -> None:
    """16 MiB of messages without anything: 16 kB as sent, 400 MB as objects, 15 s to decode."""
    raw = b"\n\x00" * (8 << 20)
    codes: list[int] = []
    rise = peak_rise_bytes(lambda: codes.append(http.post(gzip.compress(raw), headers=GZIP).status_code))
    assert codes == [413] and rise < 100 << 20
    with pytest.raises(grpc.RpcError) as caught:
        http.bench.export(raw[: 3 << 20])
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert http.bench.counts() == {"too_large": 2} and http.bench.admission.used_bytes == 0
    assert http.bench.wire.arrivals == [] and http.bench.journal.last_seq == 0


@pytest.mark.parametrize("headers", [PROTOBUF, JSON], ids=["protobuf", "json"])
@pytest.mark.parametrize("chunked", [False, True])
def test_what_is_too_large_is_refused_for_good(make_http: MakeHttp, headers: Any, chunked: bool) -> None:
    """The whole body is sent before the answer is read, as most clients do: the answer must outlive that."""
    http = make_http(max_message_bytes=1 << 20)
    piece = bytes(1 << 16)
    answer = http.post(iter([piece] * 100) if chunked else piece * 100, headers=headers)
    assert answer.status_code == 413 and "retry-after" not in answer.headers
    assert b"receiver.http.max_message_bytes" in answer.content
    assert answer.headers["content-type"] == headers["Content-Type"]
    assert http.bench.counts() == {"too_large": 1} and http.bench.taken() == []


def test_the_answer_reaches_a_sender_that_writes_all_before_it_reads(make_http: MakeHttp) -> None:
    """Closing at once would reset the connection under its hands, and it would try again for ever."""
    http = make_http(max_message_bytes=1 << 20)
    body = bytes(16 << 20)
    answer = heard(connect(http, HEAD + b"Content-Length: %d\r\n\r\n" % len(body), body))
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_of_just_the_limit_is_taken(make_http: MakeHttp) -> None:
    raw = b"".join([b"\n\x00"] * 1000)
    http = make_http(max_message_bytes=len(raw))
    for headers, body in ((PROTOBUF, raw), (GZIP, gzip.compress(raw)), (PROTOBUF, raw + b"\n\x00")):
        http.post(body, headers=headers)
    assert http.bench.counts() == {"no_model": 2, "too_large": 1}


def test_memory_for_bodies_is_bounded_and_given_back(make_http: MakeHttp) -> None:
    """A few senders of one byte less than the limit have it all; the next one is asked to come again."""
    limit = 100_000
    http = make_http(max_message_bytes=limit)
    head = HEAD + b"Content-Length: %d\r\n\r\n" % limit
    with ExitStack() as stack:
        for _ in range(BODIES):
            stack.enter_context(connect(http, head, bytes(limit - 1)))
        until(lambda: http.receiver.held_bytes == BODIES * (limit - 1))
        answer = http.post(http.bench.request(*["predict"] * 10))
        assert answer.status_code == 503 and answer.headers["retry-after"] == "2"
    until(lambda: http.receiver.held_bytes == 0)
    assert http.post(http.bench.request("predict")).status_code == 200


# ---- damage


def gz(raw: bytes) -> bytes:
    return gzip.compress(raw)


@pytest.mark.parametrize(
    "damage",
    [lambda raw: gz(raw)[:-1], lambda raw: gz(raw)[: len(gz(raw)) // 2], lambda raw: b"", lambda raw: raw,
     lambda raw: gz(raw) + b"x", lambda raw: gz(raw) + gz(raw), lambda raw: gz(raw)[:-8] + bytes(8)],
    ids=["short by one", "half", "nothing", "not compressed", "more after it", "two members", "wrong checksum"],
)  # fmt: skip
def test_damaged_gzip(http: Http, damage: Callable[[bytes], bytes]) -> None:
    answer = http.post(damage(http.bench.request("predict", "feedback")), headers=GZIP)
    status = status_pb2.Status.FromString(answer.content)
    assert (answer.status_code, status.code) == (400, 3) and not status.details
    assert http.bench.counts() == {"malformed": 1} and http.bench.taken() == []
    assert http.receiver.held_bytes == 0


def test_a_body_shorter_than_its_length(http: Http) -> None:
    connection = connect(http, HEAD + b"Content-Length: 100\r\n\r\n0123456789")
    connection.shutdown(socket.SHUT_WR)
    answer = heard(connection)
    assert answer.startswith(b"HTTP/1.1 400 ") and b"the body is cut off" in answer
    assert http.bench.counts() == {"malformed": 1}


def test_a_sender_that_disappears_is_counted(http: Http) -> None:
    connection = connect(http, HEAD + b"Content-Length: 100\r\n\r\n0123456789")
    until(lambda: http.receiver.held_bytes)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not an end
    connection.close()
    until(lambda: http.bench.counts() == {"malformed": 1})
    assert http.receiver.held_bytes == 0


@pytest.mark.parametrize(
    "said",
    [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"hello\r\n\r\n", b"GET /" + b"a" * 100_000,
     HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", HEAD + b"Content-Length: -1\r\n\r\n"],
    ids=["TLS", "words", "long", "two lengths", "negative"],
)  # fmt: skip
def test_what_is_no_http_is_refused(http: Http, said: bytes) -> None:
    answer = heard(connect(http, said, b"\r\n"))
    assert answer.startswith(b"HTTP/1.1 400 ") and b"not HTTP/1.1" in answer
    assert http.bench.counts() == {"malformed": 1}


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"resourceSpans":7}', b"[" * 100_000, b"\xff"])
def test_malformed_json_is_answered_in_json(http: Http, body: bytes) -> None:
    answer = http.post(body, headers=JSON)
    assert answer.status_code == 400 and answer.json()["code"] == 3
    assert body.decode("latin-1")[:20] not in answer.text[2:] or len(body) < 3


@given(body=st.binary(max_size=200), mixed=st.integers(0, 3), headers=st.sampled_from([PROTOBUF, JSON, GZIP, DEFLATE]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_is_answered_and_counted_once(http: Http, body: bytes, mixed: int, headers: Any) -> None:
    raw = [body, MODEL_JSON[: len(body)] + body + MODEL_JSON[len(body) :], http.bench.request("predict") + body,
           gzip.compress(http.bench.request("predict"))[: 100 - len(body)]][mixed]  # fmt: skip
    before = dict(http.bench.counts())
    answer = http.post(raw, headers=headers)
    assert answer.status_code in (200, 400)
    after = http.bench.counts()
    assert sum(after.values()) == sum(before.values()) + 1 == sum(http.bench.counts("begun").values())
    for received in http.bench.inbox.take(10, timeout_s=0):
        received.release()
    assert http.receiver.held_bytes == http.bench.admission.used_bytes == 0


# ---- time


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def test_a_thousand_idle_connections_hold_nobody_up(http: Http, descriptors: None) -> None:
    with ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(connect(http))
        until(lambda: http.receiver.connections >= 1000)
        assert http.post(http.bench.request("predict")).status_code == 200
        assert http.receiver.connections >= 1000


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Enough for both ends of a thousand connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(8192, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_where_there_are_too_many_the_longest_silent_goes(make_http: MakeHttp) -> None:
    http = make_http(max_connections=5)
    with ExitStack() as stack:
        idle = [stack.enter_context(connect(http)) for _ in range(8)]
        assert http.post(http.bench.request("predict")).status_code == 200
        for connection in idle[:4]:
            assert connection.recv(1) == b""
        assert http.receiver.connections <= 5 and http.bench.counts("connections_closed") == {"crowded": 4}


def test_a_slow_body_is_given_up_and_holds_nobody_up(make_http: MakeHttp) -> None:
    http = make_http(patience=Patience(body_s=0.5, linger_s=0.2), threads=1)
    connection = connect(http, HEAD + b"Content-Length: 1000\r\n\r\n")
    slowly = threading.Event()

    def drip() -> None:
        while not slowly.wait(0.05):
            try:
                connection.send(b"0")
            except OSError:
                return

    dripping = threading.Thread(target=drip)
    dripping.start()
    assert http.post(http.bench.request("predict")).status_code == 200  # by the only worker
    assert connection.recv(65536).startswith(b"HTTP/1.1 408 ")
    slowly.set()
    dripping.join()
    connection.close()
    assert http.bench.counts() == {"ok": 1, "too_slow": 1} and http.receiver.held_bytes == 0


def test_a_slow_body_that_keeps_up_its_rate_is_taken(make_http: MakeHttp) -> None:
    http = make_http(patience=Patience(body_s=0.3, body_bytes_s=10.0))
    raw = http.bench.request("predict")
    with connect(http, HEAD + b"Content-Length: %d\r\n\r\n" % len(raw)) as connection:
        for part in (raw[:10], raw[10:20], raw[20:]):
            connection.sendall(part)
            time.sleep(0.2)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("said", [b"", HEAD, HEAD + b"Content-Length: 0\r\n\r\n"], ids=["nothing", "half", "idle"])
def test_a_connection_that_says_nothing_more_is_closed(make_http: MakeHttp, said: bytes) -> None:
    http = make_http(patience=Patience(head_s=0.3, idle_s=0.3))
    answer = heard(connect(http, said))
    assert answer.startswith(b"HTTP/1.1 200 ") == said.endswith(b"\r\n\r\n")
    until(lambda: http.receiver.connections == 0)


def test_connections_are_kept_open_between_requests(http: Http) -> None:
    for _ in range(3):
        assert http.post(http.bench.request("predict")).status_code == 200
        assert http.post(b"\xff").status_code == 400
        assert http.client.get("/healthz").status_code == 200
    assert http.receiver.connections == 1


def test_requests_sent_at_once_are_answered_in_order(http: Http) -> None:
    raw = http.bench.request("predict")
    one = HEAD + b"Content-Length: %d\r\n\r\n" % len(raw) + raw
    last = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answers = heard(connect(http, one * 3 + last))
    assert answers.count(b"HTTP/1.1 200 ") == 4 and answers.endswith(b'{"status":"ok"}')
    assert [received.seq for received in http.bench.taken()] == [1, 2, 3]


def test_expect_continue(make_http: MakeHttp) -> None:
    http = make_http(max_message_bytes=1000)
    raw = http.bench.request("predict")
    head = HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n"
    with connect(http, head % len(raw)) as connection:
        assert connection.recv(65536) == b"HTTP/1.1 100 \r\n\r\n"
        connection.sendall(raw)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    with connect(http, head % 1001) as connection:
        assert connection.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_many_senders_at_once(make_http: MakeHttp) -> None:
    """Of 300 requests the engine gets each, in order, and every byte is given back."""
    http = make_http({"max_bytes": 1 << 30})
    raws = [http.bench.request(f"predict {n}") for n in range(300)]
    with ThreadPoolExecutor(32) as pool:
        assert {answer.status_code for answer in pool.map(http.post, raws)} == {200}
    taken = http.bench.taken()
    assert [received.seq for received in taken] == list(range(1, 301))
    for received in taken:
        received.release()
    assert http.bench.admission.used_bytes == http.receiver.held_bytes == 0


# ---- stop


def test_stop_finishes_what_runs_and_takes_nothing_new(http: Http) -> None:
    http.bench.wire.before = lambda: time.sleep(0.5)
    with connect(http) as idle, ThreadPoolExecutor(1) as pool:
        running = pool.submit(http.post, http.bench.request("predict"))
        until(lambda: http.bench.journal.last_seq)
        http.receiver.stop(grace_s=5)
        answer = running.result()
        assert answer.status_code == 200 and answer.headers["connection"] == "close"
        assert idle.recv(1) == b""
    assert len(http.bench.taken()) == 1 and http.receiver.connections == 0
    with pytest.raises(OSError):
        connect(http)


def test_stop_cuts_off_the_sender_but_not_the_record(http: Http) -> None:
    http.bench.wire.before = lambda: time.sleep(0.6)
    raw = http.bench.request("predict")
    connection = connect(http, HEAD + b"Content-Length: %d\r\n\r\n" % len(raw) + raw)
    until(lambda: http.bench.journal.last_seq)
    http.receiver.stop(grace_s=0)
    assert heard(connection) == b""
    assert [received.seq for received in http.bench.taken()] == [1]


# ---- others' software


def spans(count: int) -> list[Any]:
    tracer = TracerProvider().get_tracer("test")
    made = [tracer.start_span("predict", attributes={"ml.model.name": "credit"}) for _ in range(count)]
    for span in made:
        span.end()
    return made


@pytest.mark.parametrize("compression", list(Compression), ids=str)
def test_the_python_exporter(http: Http, compression: Compression) -> None:
    exporter = OTLPSpanExporter(endpoint=f"{http.url}/v1/traces", compression=compression)
    assert exporter.export(spans(100)) is SpanExportResult.SUCCESS
    exporter.shutdown()
    (received,) = http.bench.taken()
    assert received.decoded.spans == 100


def test_the_python_exporter_obeys_the_throttle_and_loses_nothing(make_http: MakeHttp) -> None:
    http = make_http({"max_bytes": 50})
    http.post(http.bench.request("predict"))
    (first,) = http.bench.taken()
    threading.Timer(0.5, first.release).start()
    exporter = OTLPSpanExporter(endpoint=f"{http.url}/v1/traces", timeout=10)
    began = time.monotonic()
    assert exporter.export(spans(1)) is SpanExportResult.SUCCESS
    assert time.monotonic() - began >= 2.0, "it did not wait as it was told"
    exporter.shutdown()
    assert http.bench.counts() == {"ok": 2, "throttled": 1} and len(http.bench.taken()) == 1


def test_a_grpc_sender_at_this_port_is_told_where_to_go(http: Http) -> None:
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{http.receiver.port}", options=options) as channel:
        for size in (0, 100_000):
            with pytest.raises(grpc.RpcError) as caught:
                channel.unary_unary(f"/{TRACES}/Export")(bytes(size), timeout=10)
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
            assert "receiver.grpc.endpoint" in caught.value.details()
    until(lambda: http.receiver.connections == 0)
    assert http.bench.counts() == {"stray_grpc": 2}
