"""A flood of names through the wire into an engine, in a process of its own: prints its account and its memory as JSON.

``python -m tests.hostile.flood KIND NAMES FOLDER``. Requests are made one at a time from templates, so that the sender takes
no memory to speak of; names never come twice.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from calidris import semconv
from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import CodedColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.checkpoint.digest import digest
from calidris.engine.checkpoint.save import Checkpoint
from calidris.engine.checkpoint.store import Store
from calidris.engine.core import Engine
from calidris.engine.inbox import Received
from calidris.receive.intake import digest_of
from calidris.state import Spec
from calidris.wire import Decoded, decode

NOW_NS = 1_800_000_000_000_000_000
SPANS = 100_000
NAMES = 2_000
LEVELS = 10_000
SOON = 2
"""Small requests in the beginning, which are applied again with restarts between them. Then every cap is full, and what
memory rises by is measured from the next request on, the first large one."""
MARK = b"#0000000"
CONFIG = CalidrisConfig.model_validate(
    {
        "models": [{"name": "credit", "slices": ["land"]}],
        "limits": {"models": 20, "versions": 5, "features": 200, "pending_labels": 100_000},
    }
)


def text(value: str) -> AnyValue:
    return AnyValue(string_value=value)


def span(*attributes: tuple[str, AnyValue]) -> bytes:
    """A request of one span."""
    message = ExportTraceServiceRequest()
    made = message.resource_spans.add().scope_spans.add().spans.add(name="predict", start_time_unix_nano=NOW_NS)
    made.attributes.extend(KeyValue(key=key, value=value) for key, value in attributes)
    return message.SerializeToString()


def repeated(template: bytes, numbers: range) -> bytes:
    """The template once a number, with the mark in it replaced: requests one behind the other are one request."""
    return b"".join(template.replace(MARK, b"#%07d" % n) for n in numbers)


def models(numbers: range) -> bytes:
    score = (semconv.ML_PREDICTION_SCORE, AnyValue(double_value=0.5))
    return repeated(span((semconv.ML_MODEL_NAME, text(MARK.decode())), score), numbers)


def versions(numbers: range) -> bytes:
    score = (semconv.ML_PREDICTION_SCORE, text("[0.25, 0.5]"))
    who = (semconv.ML_MODEL_NAME, text("credit")), (semconv.ML_MODEL_VERSION, text(MARK.decode()))
    return repeated(span(*who, (semconv.ML_PREDICTION_COUNT, AnyValue(int_value=2)), score), numbers)


def features(numbers: range) -> bytes:
    """Maps of as many names as a span may have, packed."""
    parts = []
    for first in range(numbers.start, numbers.stop, NAMES):
        entries = [KeyValue(key=f"#{n:07d}", value=AnyValue(double_value=1.0)) for n in range(first, first + NAMES)]
        who = (semconv.ML_MODEL_NAME, text("wide"))
        parts.append(span(who, (semconv.ML_FEATURES, AnyValue(kvlist_value=KeyValueList(values=entries)))))
    return b"".join(parts)


def features_one_by_one(numbers: range) -> bytes:
    """Rows of one feature each."""
    feature = (f"{semconv.ML_FEATURES}.{MARK.decode()}", AnyValue(double_value=1.0))
    return repeated(span((semconv.ML_MODEL_NAME, text("wide")), feature), numbers)


def coded(owner: str, name: str) -> Callable[[range], bytes]:
    """Coded columns of as many different strings as a span may have."""

    def of(numbers: range) -> bytes:
        parts = []
        for first in range(numbers.start, numbers.stop, LEVELS):
            levels = ArrayValue(values=[text(f"#{n:07d}") for n in range(first, first + LEVELS)])
            codes = AnyValue(bytes_value=np.arange(LEVELS, dtype="<i4").tobytes())
            column = KeyValueList(values=[KeyValue(key="levels", value=AnyValue(array_value=levels)), KeyValue(key="codes", value=codes)])  # fmt: skip
            named = KeyValueList(values=[KeyValue(key=name, value=AnyValue(kvlist_value=column))])
            who = (semconv.ML_MODEL_NAME, text("credit")), (semconv.ML_MODEL_VERSION, text("1"))
            ids = ArrayValue(values=[text(f"{n}") for n in range(first, first + LEVELS)])
            scores = AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key="f64", value=AnyValue(bytes_value=bytes(8 * LEVELS)))]))  # fmt: skip
            parts.append(
                span(
                    *who,
                    (semconv.ML_PREDICTION_COUNT, AnyValue(int_value=LEVELS)),
                    (semconv.ML_PREDICTION_ID, AnyValue(array_value=ids)),
                    (semconv.ML_PREDICTION_SCORE, scores),
                    (owner, AnyValue(kvlist_value=named)),
                )
            )
        return b"".join(parts)

    return of


KINDS: dict[str, Callable[[range], bytes]] = {
    "models": models,
    "versions": versions,
    "features": features,
    "features_one_by_one": features_one_by_one,
    "levels": coded(semconv.ML_FEATURES, "land"),
    "slices": coded(semconv.ML_SLICES, "land"),
}


def baseline() -> Baseline:
    """Of a model with one string, which it is cut by too."""
    n, rng = 600, np.random.default_rng(1)
    land = CodedColumn.of(rng.choice(["NL", "BE"], n).tolist())
    rows = PredictionBatch(
        ModelKey("default", "credit", "1"),
        NOW_NS + np.arange(n) * 1_000_000_000,
        {"land": land},
        score=NumberColumn.of(rng.random(n)),
        slices={"land": land},
    )
    return build(BaselineColumns(rows, None, True), Spec(task="binary", positive="1"), window_s=60.0, slices=("land",))


def engine(folder: Path | None = None) -> tuple[Engine, Checkpoint | None]:
    made = baseline()

    def find(key: ModelKey, config: ModelConfig) -> tuple[Baseline | None, str]:
        return (made, "") if key.name == "credit" else (None, "")

    if folder is None:
        return Engine(CONFIG, find), None
    checkpoint = Checkpoint(Store(folder))
    again = Engine(CONFIG, find, checkpoint)
    checkpoint.restore(again)
    return again, checkpoint


def received(seq: int, raw: bytes) -> tuple[Received, Decoded]:
    decoded = decode(raw, tenant="default", arrival_ns=NOW_NS)
    return Received(seq, NOW_NS, "default", digest_of(raw), len(raw), decoded, None, lambda: None), decoded


def requests(kind: str, names: int) -> Iterator[bytes]:
    """The first ones are small: they are applied twice."""
    each, first = NAMES * 10 if kind.startswith("features") else SPANS, 0
    small = LEVELS if kind in ("levels", "slices") else NAMES
    while first < names:
        size = min(each, names - first) if first >= SOON * small else small
        yield KINDS[kind](range(first, first + size))
        first += size


def flood(kind: str, names: int, folder: Path) -> dict[str, object]:
    """The account of a flood: spans and rows sent, refused, counted and left out."""
    live, _ = engine()
    sent: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    longest_s = first_kib = 0.0
    again_equal = None
    few = []
    for seq, raw in enumerate(requests(kind, names), 1):
        begun = time.perf_counter()
        item, decoded = received(seq, raw)
        live.apply(item)
        longest_s = max(longest_s, time.perf_counter() - begun)
        sent.update(requests=1, spans=decoded.spans, rows=decoded.rows, bytes=len(raw))
        rejected.update(decoded.rejected)
        if seq <= SOON:
            few.append(raw)
        if seq == SOON:
            again_equal = replayed(few, folder) == digest(live)
            few.clear()
        if seq == SOON + 1:
            first_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "sent": sent,
        "rejected": rejected,
        "counters": live.counters,
        "rows": sum(model.rows for model in live.models.values()),
        "models": len(live.models),
        "values": values(live),
        "replay_is_equal": again_equal,
        "longest_s": longest_s,
        "rise_mib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - first_kib) / 1024,
    }


def replayed(raws: list[bytes], folder: Path) -> str:
    """The digest after the same requests with a restart behind each of them."""
    for seq, raw in enumerate(raws, 1):
        again, checkpoint = engine(folder)
        assert checkpoint is not None
        again.apply(received(seq, raw)[0])
        checkpoint.save(again)
        checkpoint.store.close()
    again, checkpoint = engine(folder)
    return digest(again)


def values(live: Engine) -> dict[str, int]:
    """Values that are counted by name: of features, of the levels of ``land``, of the levels of the slice ``land``."""
    found: Counter[str] = Counter()
    for model in live.models.values():
        for pane in model.panes.memory.values():
            known = pane.counts.spec.feature_names
            found["features"] += sum(pane.features.values())
            found["features_beyond_the_spec"] += sum(name not in known for name in pane.features)
            for i, f in enumerate(pane.counts.spec.fields):
                if f.name == "land":
                    found["unseen"] += pane.levels.unseen(i)
                    found["named"] += sum(level.at_least for level in pane.levels.top(i))
        found["waiting"] += len(model.pending)
    return dict(found)


if __name__ == "__main__":
    kind, names, folder = sys.argv[1:]
    print(json.dumps(flood(kind, int(names), Path(folder))))
