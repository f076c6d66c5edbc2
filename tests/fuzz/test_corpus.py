"""Requests that nobody meant: the corpus, a short search, and drawn ones. ``make fuzz`` searches longer."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fuzz.seeds import CORPUS, request, seeds, span
from fuzz.target import Target
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]
KEYS = [
    "ml.report.rows_dropped", "ml.report.values_withheld",
    "ml.model.name", "ml.model.version", "ml.model.task", "ml.prediction.count", "ml.prediction.id", "ml.features",
    "ml.features.age", "ml.prediction.score", "ml.prediction.class", "ml.prediction.value", "ml.prediction.duration",
    "ml.prediction.error", "ml.prediction.time_offset", "ml.prediction.trace_id", "ml.prediction.span_id", "ml.slices",
    "ml.prediction.weight", "ml.embeddings", "ml.label", "ml.label.time", "error.type", "http.route",
]  # fmt: skip
texts = st.text(max_size=8) | st.sampled_from(
    ["{}", "[1,2]", '{"a":1}', '{"a":[1,null]}', "NaN", "1e999", "<b>\x00\x1b["]
)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | texts | st.binary(max_size=24)
    | st.sampled_from([0, 1, 2, 0.5, 1.0, -1])
)  # fmt: skip
columns = st.fixed_dictionaries({}, optional={key: scalars for key in ("f64", "f32", "i64", "codes", "dim", "levels")})
values = st.recursive(
    scalars | columns,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
times = st.sampled_from([0, 1, 2**63, 2**64 - 1]) | st.integers(0, 2**64 - 1)
ids = st.binary(max_size=20) | st.just(b"\x00" * 16)
spans = st.builds(
    lambda attributes, named, **fields: span({**named, **attributes}, **fields),
    attributes=st.dictionaries(st.sampled_from(KEYS), values, max_size=7),
    named=st.sampled_from([{}, {"ml.model.name": "credit", "ml.prediction.score": 0.5}]),
    name=st.sampled_from(["predict credit", "feedback credit", "GET /", ""]),
    start_time_unix_nano=times,
    end_time_unix_nano=times,
    trace_id=ids,
    span_id=ids,
)


@pytest.fixture(scope="module")
def target() -> Target:
    return Target()


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*.bin")), ids=lambda path: path.stem)
def test_the_corpus(target: Target, path: Path) -> None:
    target(path.read_bytes())


def test_the_corpus_has_every_seed() -> None:
    for name, raw in seeds():
        assert (CORPUS / f"{name}.bin").read_bytes() == raw, "python -m fuzz.seeds writes it anew"


@given(drawn=st.lists(spans, max_size=5))
@settings(max_examples=300, deadline=None)
def test_spans_of_any_values(target: Target, drawn: list[Any]) -> None:
    assert target(request(*drawn))


@given(which=st.sampled_from([raw for _, raw in seeds()]), other=st.sampled_from([raw for _, raw in seeds()]),
       seed=st.integers(0, 2**32), edits=st.integers(1, 6))  # fmt: skip
@settings(max_examples=500, deadline=None)
def test_mutated_requests(target: Target, which: bytes, other: bytes, seed: int, edits: int) -> None:
    """Flipped, cut, repeated and spliced: what comes out of a broken sender."""
    chance, broken = random.Random(seed), bytearray(which)
    for _ in range(edits):
        place = chance.randrange(len(broken) + 1)
        length = chance.choice((0, 1, 1, 8, 64))
        far = chance.randrange(len(other) + 1)
        new = chance.choice(
            (b"", bytes([chance.randrange(256)]), broken[place : place + length] * 3, other[far : far + 64])
        )
        broken[place : place + length] = new
    target(bytes(broken))


def test_a_short_search(tmp_path: Path) -> None:
    """The search itself works, and finds nothing in a few seconds."""
    # Linux counts what a program's parent held as the program's own peak, and these tests may hold more than the search may: so a
    # small process starts it.
    start = "import subprocess, sys; sys.exit(subprocess.call(sys.argv[1:]))"
    search = [sys.executable, "-m", "fuzz", "--seconds", "6", "--seed", "1", "--finds", str(tmp_path)]
    command = [sys.executable, "-c", start, *search]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert not list(tmp_path.iterdir())


def test_a_broken_promise_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The target can fail: a decoder that loses a reason, and one that raises what it should not."""
    monkeypatch.setattr("fuzz.target.CURES", {})
    with pytest.raises(AssertionError, match="without a cure"):
        Target()((CORPUS / "score-out-of-range.bin").read_bytes())
    monkeypatch.setattr("fuzz.target.decode", lambda *_, **__: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        Target()(b"")
