"""What one tick of the engine's thread costs: all figures of a model of 100 features, 20 slices and labels, beside merging alone.

    python -m benchmarks.snapshot

A day of five-minute panes is in memory, with 500 rows each and labels some hours late. The floor is merging the panes of the three
windows. Figures are medians of CPU time.
"""

from __future__ import annotations

import numpy as np
from benchmarks.metrics import cpu_s

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import CodedColumn, LabelBatch, ModelKey, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.core import Engine
from calidris.engine.inbox import Received
from calidris.engine.panes.pane import merge_panes
from calidris.state import Spec
from calidris.wire import Decoded

KEY = ModelKey("default", "bench", "1")
STEP, DAY, HOUR = 300 * 10**9, 86_400 * 10**9, 3600 * 10**9
START = 1_800_000_000 * 10**9 // DAY * DAY
FEATURES, SLICES, STEPS, ROWS = 100, 19, 300, 500


def draw(seed: int, n: int, start_ns: int, span_ns: int) -> tuple[PredictionBatch, LabelBatch]:
    """Calibrated rows, and their labels four hours later on average."""
    rng = np.random.default_rng(seed)
    score = 1 / (1 + np.exp(-rng.normal(0, 1.5, n)))
    times = start_ns + np.sort(rng.integers(0, span_ns, n))
    levels, codes = tuple(f"c{i}" for i in range(SLICES)), rng.integers(0, SLICES, n, dtype=np.int32)
    ids = [f"{seed}-{i}" for i in range(n)]
    batch = PredictionBatch(
        model=KEY, event_time_ns=times, ids=ids, score=NumberColumn.of(score),
        features={f"f{i}": NumberColumn.of(rng.normal(size=n)) for i in range(FEATURES)},
        duration_s=NumberColumn.of(rng.lognormal(-4, 0.5, n)), slices={"country": CodedColumn(levels, codes)},
    )  # fmt: skip
    late = rng.exponential(4 * HOUR, n).astype(np.int64)
    return batch, LabelBatch("default", KEY.name, ids, NumberColumn.of(rng.random(n) < score), times + late)


def baseline() -> Baseline:
    """A week of rows."""
    batch, labels = draw(1, 20_000, START - 7 * DAY, 7 * DAY)
    delay_s = (labels.label_time_ns - batch.event_time_ns) / 1e9
    return build(
        BaselineColumns(batch, labels.label, delay_s=delay_s), Spec(positive="1"), window_s=300.0, slices=["country"]
    )


def fed(base: Baseline) -> Engine:
    """An engine after a day of traffic."""
    model = ModelConfig.model_validate({"name": KEY.name, "slices": ["country"], "fairness": {"attribute": "country"}})
    engine = Engine(CalidrisConfig(models=(model,)), lambda *_: (base, ""))
    for step in range(STEPS):
        begin = START + step * STEP
        decoded = Decoded(draw(100 + step, ROWS, begin, STEP), 2, 0, {}, "", 0, 0)
        digest = step.to_bytes(16, "big")
        engine.apply(Received(step + 1, begin, "default", digest, 0, decoded, None, lambda: None))
        engine.seal(begin + STEP)
    return engine


def main() -> None:
    """Print milliseconds of each kind of tick, and the ratio to merging."""
    engine = fed(baseline())
    model = engine.models[KEY]
    before = snapshot(engine, 0)
    end = model.newest_sealed_ns

    def merging() -> None:
        for window_s in model.config.all_windows_s:
            merge_panes(model.spec, (pane for _, pane in model.panes_in(end - round(window_s * 1e9), end)))

    def tick(known: bool) -> None:
        model.touch()
        snapshot(engine, 0, before if known else None)

    floor = cpu_s(merging, 7, 1)
    print(f"{'one model, 100 features, 20 slices, labels':<46}{'ms':>8}{'x merging':>11}")
    for name, taken in (
        ("merging the panes of its windows", floor),
        ("all figures, as after a restart", cpu_s(lambda: tick(known=False), 7, 1)),
        ("a tick in which nothing came but old labels", cpu_s(lambda: tick(known=True), 7, 1)),
    ):
        print(f"{name:<46}{taken * 1e3:>8.1f}{taken / floor:>11.1f}")
    print(f"{len(before.models[0].readings)} readings")


if __name__ == "__main__":
    main()
