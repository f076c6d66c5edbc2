"""What recording costs the host: CPU time of the calling thread for one prediction.

    python benchmarks/sdk.py

The receiver is a gRPC server in a process of its own that throws everything away. The standard row has 20 numeric and 5
categorical features. Between repeats the buffer is flushed, so that only the caller's share is measured; the flush thread's
work is measured apart. Figures are medians over repeats; ratios are to the floor: appending one tuple to a list.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON
from sklearn.linear_model import LogisticRegression

import calidris
from calidris.instrument.libraries.sklearn import SklearnInstrumentor
from calidris.instrument.runtime import runtime

REPEATS = 15
CALLS = 2000
ROWS = 512
NUMERIC = [f"n{i}" for i in range(20)]
CATEGORICAL = [f"c{i}" for i in range(5)]
ROW: dict[str, Any] = {name: 0.1 * i for i, name in enumerate(NUMERIC)} | {name: "level" for name in CATEGORICAL}


def _serve(ready: Any) -> None:
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: b"")
    service = "opentelemetry.proto.collector.trace.v1.TraceService"
    server = grpc.server(
        futures.ThreadPoolExecutor(1), handlers=[grpc.method_handlers_generic_handler(service, {"Export": handler})]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    ready.send(port)
    server.wait_for_termination()


@contextmanager
def receiver() -> Iterator[str]:
    """The address of a receiver in another process."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()  # so that a receiver that cannot start ends the benchmark
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def cpu_us(call: Callable[[], Any], calls: int = CALLS, repeats: int = REPEATS) -> float:
    """Median CPU µs of this thread for one call."""
    samples = []
    for _ in range(repeats):
        begun = time.thread_time_ns()
        for _ in range(calls):
            call()
        samples.append((time.thread_time_ns() - begun) / calls / 1000)
        calidris.flush(30)
    return statistics.median(samples)


def _span(sampler: Any) -> Any:
    return TracerProvider(sampler=sampler).get_tracer("bench").start_as_current_span("request")


def _manual() -> Iterator[tuple[str, float]]:
    credit = calidris.Model(
        "credit", version="7", task="binary", features=[*NUMERIC, *CATEGORICAL], slices=["c0"], allow=CATEGORICAL
    )

    def predict() -> None:
        with credit.predict(features=ROW, id="request") as p:
            p.score = 0.5

    def predict_with(row: Any) -> None:
        with credit.predict(features=row) as p:
            p.score = 0.5

    observed = credit.observe(lambda row: 0.5)
    yield "with predict, no trace", cpu_us(predict)
    values = list(ROW.values())
    array = np.linspace(0.0, 1.0, len(ROW))
    yield "with predict, a list", cpu_us(lambda: predict_with(values))
    yield "with predict, a row of numpy", cpu_us(lambda: predict_with(array))
    with _span(ALWAYS_OFF):
        yield "with predict, unsampled trace", cpu_us(predict)
        yield "@observe, unsampled trace", cpu_us(lambda: observed(ROW))
    with _span(ALWAYS_ON):
        # the light span goes to the global provider, as it does in a service
        yield "with predict, sampled trace (adds the light span)", cpu_us(predict, 500)


def _many() -> Iterator[tuple[str, float]]:
    """Calls with many rows, each as a whole. Few at a time: what waits is bounded by bytes."""
    X = np.random.default_rng(1).normal(size=(ROWS, len(NUMERIC)))
    scores = np.full(ROWS, 0.5)
    ids = [f"request-{at}" for at in range(ROWS)]
    labels = [at % 2 for at in range(ROWS)]
    one, its_score = X[:1], scores[:1]
    batch = calidris.Model("batch", task="binary", features=NUMERIC)
    yield "record_batch, 1 row", cpu_us(lambda: batch.record_batch(one, its_score), 200)
    yield f"record_batch, {ROWS} rows", cpu_us(lambda: batch.record_batch(X, scores), 20)
    yield f"record_batch, {ROWS} rows with ids", cpu_us(lambda: batch.record_batch(X, scores, ids), 20)
    yield "record_label", cpu_us(lambda: batch.record_label("request", 1), 200)
    yield f"record_labels, {ROWS} labels", cpu_us(lambda: batch.record_labels(ids, labels), 20)


def _background() -> tuple[str, float]:
    """CPU of the whole process while 20 000 rows leave, less the caller's own."""
    credit = calidris.Model("credit", version="7", task="binary", features=[*NUMERIC, *CATEGORICAL], allow=CATEGORICAL)
    calidris.flush(30)
    rows, process, own = 20_000, time.process_time_ns(), time.thread_time_ns()
    for _ in range(rows):
        with credit.predict(features=ROW) as p:
            p.score = 0.5
    calidris.flush(30)
    spent = (time.process_time_ns() - process) - (time.thread_time_ns() - own)
    return "flush thread, per row (off the caller's path)", spent / rows / 1000


def _library() -> Iterator[tuple[str, float]]:
    rng = np.random.default_rng(1)
    X = rng.normal(size=(200, 20))
    model = LogisticRegression().fit(X, X[:, 0] > 0)
    row = X[:1]
    with _span(ALWAYS_OFF):
        yield "sklearn predict_proba, 1 row, plain", cpu_us(lambda: model.predict_proba(row), 300)
        SklearnInstrumentor().instrument()
        try:
            yield "sklearn predict_proba, 1 row, instrumented", cpu_us(lambda: model.predict_proba(row), 300)
        finally:
            SklearnInstrumentor().uninstrument()


def run() -> list[dict[str, Any]]:
    """All figures: name, µs of caller-thread CPU, ratio to the floor."""
    warnings.simplefilter("ignore")
    sink: list[Any] = []
    floor = cpu_us(lambda: sink.append((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)))
    figures = [("floor: list.append of a tuple", floor)]
    off = calidris.Model("off", features=NUMERIC)

    def unmonitored() -> None:
        with off.predict(features=ROW) as p:
            p.score = 0.5

    figures.append(("with predict, no endpoint set", cpu_us(unmonitored)))
    with receiver() as endpoint:
        trace.set_tracer_provider(TracerProvider(sampler=ALWAYS_ON))
        calidris.configure(endpoint=endpoint)
        figures += list(_manual())
        figures += list(_many())
        figures += list(_library())
        figures.append(_background())
        if lost := runtime.drops():
            raise RuntimeError(f"rows were dropped, the figures are too good: {lost}")
        calidris.shutdown(5)
    return [{"name": name, "us": us, "ratio": us / floor} for name, us in figures]


if __name__ == "__main__":
    print(f"{'caller-thread CPU of one prediction':<52}{'us':>9}{'x floor':>9}")
    for figure in run():
        print(f"{figure['name']:<52}{figure['us']:>9.2f}{figure['ratio']:>9.1f}")
