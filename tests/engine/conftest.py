"""A small model, its baseline and its traffic, all from one seed, at the engine's own door."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import CodedColumn, LabelBatch, ModelKey, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.checkpoint.save import Checkpoint
from calidris.engine.checkpoint.store import Store
from calidris.engine.commands import Command
from calidris.engine.core import Engine
from calidris.engine.inbox import Received
from calidris.state import Spec
from calidris.wire import Decoded

KEY = ModelKey("default", "credit", "7")
SECOND = 1_000_000_000
START = 1_800_000_000 * SECOND


def rows(
    seed: int, n: int, start_ns: int = START, span_s: float = 1.0, shift: float = 0.0, key: ModelKey = KEY
) -> PredictionBatch:
    """Draw n rows of two numbers and one string, spread over ``span_s`` seconds."""
    rng = np.random.default_rng(seed)
    age = rng.normal(40, 10, n) + shift
    score = 1 / (1 + np.exp(-(age - 40) / 10))
    return PredictionBatch(
        model=key,
        event_time_ns=start_ns + (np.arange(n) * (span_s * SECOND / n)).astype(np.int64),
        features={
            "age": NumberColumn.of(age),
            "income": NumberColumn.of(rng.lognormal(10, 1, n)),
            "country": CodedColumn.of(rng.choice(["NL", "DE", "FR"], n).tolist()),
        },
        ids=[f"{seed}-{i}" for i in range(n)],
        score=NumberColumn.of(score),
        duration_s=NumberColumn.of(rng.exponential(0.01, n)),
        trace_ids=CodedColumn.of([f"{seed:032x}"] * n),
    )


def labels(batch: PredictionBatch, seed: int, delay_s: float = 5.0) -> LabelBatch:
    """Outcomes drawn from the scores themselves: perfectly calibrated."""
    assert batch.score is not None and batch.ids is not None
    drawn = np.random.default_rng(seed).random(len(batch)) < batch.score.values
    times = batch.event_time_ns + round(delay_s * SECOND)
    return LabelBatch("default", batch.model.name, batch.ids, NumberColumn.of(drawn), times)


def baseline(timed: bool = True, windows: int = 60, n: int = 100) -> Baseline:
    batch = rows(1, windows * n, span_s=windows)
    assert batch.score is not None
    outcome = labels(batch, 2).label
    template = Spec(task="binary", positive="1")
    columns = BaselineColumns(batch, outcome, timed, delay_s=np.full(len(batch), 5.0))
    return build(columns, template, window_s=1.0)


@dataclass
class Journal:
    """Numbers records as the journal does and keeps them for a replay."""

    records: list[Received] = field(default_factory=list)

    def request(
        self, *items: PredictionBatch | LabelBatch, digest: bytes | None = None, arrival_ns: int = START
    ) -> Received:
        seq = len(self.records) + 1
        decoded = Decoded(items, len(items), 0, {}, "", 0, 0)
        digest = digest or hashlib.blake2b(str(seq).encode(), digest_size=16).digest()
        return self._keep(Received(seq, arrival_ns, "default", digest, 0, decoded, None, lambda: None))

    def seal(self, until_ns: int) -> Received:
        return self._keep(Received(len(self.records) + 1, until_ns, "default", b"", 0, None, until_ns, lambda: None))

    def order(self, command: Command) -> Received:
        seq = len(self.records) + 1
        return self._keep(Received(seq, START, "default", b"", 0, None, None, lambda: None, command))

    def _keep(self, record: Received) -> Received:
        self.records.append(record)
        return record


def configuration(**changes: object) -> CalidrisConfig:
    detect = {"windows": ["1s"], "false_alarms": "1 per day"}
    model = {"name": "credit", "windows": ["1s", "10s"], "detect": detect, **changes}
    return CalidrisConfig(models=(ModelConfig.model_validate(model),))


MakeEngine = Callable[..., Engine]


@pytest.fixture
def make_engine() -> MakeEngine:
    def make(config: CalidrisConfig | None = None, base: Baseline | None = None) -> Engine:
        return Engine(config or configuration(), lambda key, _: (base if key.name == "credit" else None, ""))

    return make


@pytest.fixture
def restart(tmp_path: Path) -> Iterator[Callable[[Engine], Engine]]:
    """Save an engine, and bring it back from the file as a new process would."""
    runs = itertools.count()
    stores: list[Store] = []

    def opened(path: Path) -> Checkpoint:
        stores.append(Store(path))
        return Checkpoint(stores[-1])

    def again(engine: Engine) -> Engine:
        path = tmp_path / str(next(runs))
        opened(path).save(engine)
        checkpoint = opened(path)
        back = Engine(engine.config, engine.fleet.find_baseline, checkpoint)
        checkpoint.restore(back)
        return back

    yield again
    for store in stores:
        store.close()
