"""The same story on many seeds in one process: same data, sampler, model, wire format, engine and judgement; no sockets.

python -m examples.demo.seeds [--seeds 20]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.console import Console
from sklearn.pipeline import Pipeline

from calidris.api import alarms_json
from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import LabelBatch, ModelKey, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig, load
from calidris.engine.build_snapshot import snapshot
from calidris.engine.core import Engine
from calidris.engine.inbox import Received
from calidris.state import Spec
from calidris.wire import decode, encode_labels, encode_predictions
from examples.demo.data import FEATURES, Sampler, baseline_table, train_model
from examples.demo.parts import CONFIG
from examples.demo.story import BASELINE_ROWS, BASELINE_WINDOWS, FULL, WINDOW_S, Outcome, judge

_KEY = ModelKey("default", "tumour", "1")
START_NS = 1_800_000_000_000_000_000
_STEP_NS = round(WINDOW_S * 1e9)


def make_baseline(seed: int, model: Pipeline, config: CalidrisConfig) -> Baseline:
    """The baseline that `calidris baseline build` makes, without the file."""
    table = baseline_table(Sampler(seed), model, windows=BASELINE_WINDOWS, rows=BASELINE_ROWS, window_s=WINDOW_S)
    times = table["ts"].dt.tz_localize(None).to_numpy().astype("datetime64[ns]").astype(np.int64)
    rows = BaselineColumns(_batch(table, table["score"].to_numpy(), times), NumberColumn.of(table["label"].to_numpy()))
    settings = config.model("tumour")
    return build(rows, Spec(task=settings.task, positive=settings.positive_text), window_s=WINDOW_S)


def _batch(table: pd.DataFrame, scores: npt.NDArray[np.float64], times: npt.NDArray[np.int64]) -> PredictionBatch:
    features = {name: NumberColumn.of(table[name].to_numpy()) for name in FEATURES}
    ids = [f"{time}-{i}" for i, time in enumerate(times.tolist())]
    return PredictionBatch(_KEY, times, features, ids=ids, score=NumberColumn.of(scores))


class Story:
    """One run: an engine that is fed encoded requests, and a clock that is counted."""

    def __init__(self, seed: int, model: Pipeline, config: CalidrisConfig) -> None:
        self.model = model
        self.sampler = Sampler(seed + 1_000_000)
        found = make_baseline(seed, model, config)
        self.engine = Engine(config, lambda *_: (found, ""))
        self.window = 0

    def run(self, quiet: int, changed: int) -> Outcome:
        """The quiet phase, the change, and windows until the alarm or the end."""
        for _ in range(quiet):
            self._one_window()
        changed_ns = START_NS + self.window * _STEP_NS
        self.sampler.changed = True
        for _ in range(changed):
            self._one_window()
            if judge(self.alarms(), changed_ns).features:
                break
        return judge(self.alarms(), changed_ns)

    def alarms(self) -> list[dict[str, object]]:
        """Alarms in the shape of the read API."""
        return alarms_json(snapshot(self.engine, START_NS))

    def _one_window(self) -> None:
        n = round(FULL.rate * WINDOW_S)
        start = START_NS + self.window * _STEP_NS
        table, outcome = self.sampler.draw(n)
        times = start + np.arange(n) * (_STEP_NS // n)
        batch = _batch(table, self.model.predict_proba(table[FEATURES])[:, 1], times)
        assert batch.ids is not None
        labels = LabelBatch(_KEY.tenant, _KEY.name, batch.ids, NumberColumn.of(outcome), times + _STEP_NS)
        self._send(encode_predictions(batch, form="packed", one_span_per_row=False), start)
        self._send(encode_labels(labels), start)
        self.window += 1
        self._apply(None, start, seal_ns=start + _STEP_NS)

    def _send(self, raw: bytes, arrival_ns: int) -> None:
        self._apply(raw, arrival_ns + _STEP_NS, seal_ns=None)

    def _apply(self, raw: bytes | None, arrival_ns: int, seal_ns: int | None) -> None:
        seq = self.engine.sequence + 1
        decoded = None if raw is None else decode(raw, tenant=_KEY.tenant, arrival_ns=arrival_ns)
        self.engine.apply(
            Received(seq, arrival_ns, _KEY.tenant, seq.to_bytes(16, "little"), 0, decoded, seal_ns, lambda: None)
        )


def main() -> int:
    """Run every seed; 0 when each is as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="how many seeds, from 0")
    parser.add_argument("--config", type=Path, default=CONFIG, help="the demonstration's configuration")
    arguments = parser.parse_args()
    out = Console()
    model, config = train_model(), load(arguments.config)
    good = 0
    for seed in range(arguments.seeds):
        outcome = Story(seed, model, config).run(FULL.quiet, FULL.changed)
        good += outcome.good
        out.print(
            f"seed {seed:2d}  {'[green]as it should be[/]' if outcome.good else '[red]WRONG[/]'}  {outcome}",
            highlight=False,
        )
    out.print(
        f"{good} of {arguments.seeds} seeds: no alarm in {FULL.quiet} quiet windows, then the alarm naming the change"
    )
    return 0 if good == arguments.seeds else 1


if __name__ == "__main__":
    sys.exit(main())
