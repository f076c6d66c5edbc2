"""When did it begin: the onset of an alarm beside a change that is known. And what a standing alarm is renewed by when nothing is new."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
from benchmarks.detection.common import BEFORE, Case, drawn, frozen
from benchmarks.detection.config import CONFIG
from benchmarks.detection.promised import column_of
from benchmarks.detection.streams import IID, NULLS, WOBBLE, Change, as_counts
from benchmarks.detection.table import Effort, Must, Table, markdown, mean_se, streams
from examples.demo.data import train_model
from examples.demo.parts import CONFIG as CONFIG_OF_DEMO
from examples.demo.seeds import START_NS as START_OF_DEMO
from examples.demo.seeds import Story
from examples.demo.story import FULL, WINDOW_S

from calidris.baseline import BaselineColumns, build
from calidris.batch import Floats, Ints, LabelBatch, ModelKey, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig, ModelConfig, load
from calidris.detect import Detector, Loss, Onset, loss_bets
from calidris.engine.core import Engine
from calidris.engine.inbox import Received
from calidris.engine.snapshot import Alarm
from calidris.state import Spec
from calidris.wire import Decoded

DATASETS = Path(__file__).parents[2] / ".tools" / "datasets"
KEY = ModelKey("default", "car-loan", "1")
HOUR_NS = 3_600_000_000_000
LOAN = "synthetic_car_loan"
FEATURES = (
    "car_value", "salary_range", "debt_to_income_ratio", "loan_length", "repaid_loan_on_prev_car", "size_of_downpayment",
    "driver_tenure",
)  # fmt: skip
MOST = 2.0
"""Windows that the median onset may be away from the change."""
ROWS, TRIALS = 50, 2500


class Found(NamedTuple):
    """Of one alarm: windows from the change to its onset, to the alarm, and whether its interval holds the change."""

    error: float
    delay: float
    held: bool


def read_found(onset: Onset, raised_ns: int, changed_ns: int, window_ns: int) -> Found:
    """From times to windows; a change inside a window is one of that window."""
    begin = changed_ns // window_ns * window_ns
    held = onset.earliest_ns <= begin <= onset.latest_ns
    return Found((onset.at_ns - begin) / window_ns, (raised_ns - begin) / window_ns, held)


def simulated(case: Case, horizon: int, rng: np.random.Generator) -> Found | None:
    """A feature that changes after quiet windows of an hour; None where that was not found."""
    spec, quiet = case.stream.spec(case.features), case.stream.baseline + BEFORE
    tables = np.stack([case.stream.counts(rng, quiet + horizon) for _ in range(case.features)], axis=1)
    tables[quiet:, 0] = case.stream.counts(rng, horizon, case.change, quiet)
    counts = as_counts(spec, tables)
    detector = frozen(spec, counts[: case.stream.baseline], case.threshold)
    return _first(detector, counts[case.stream.baseline :], BEFORE)


def _first(detector: Detector, windows: Ints, changed: int) -> Found | None:
    for i, window in enumerate(windows):
        verdict = detector.score(window, start_ns=i * HOUR_NS)
        if verdict.opened:
            return verdict.onset and read_found(verdict.onset, (i + 1) * HOUR_NS, changed * HOUR_NS, HOUR_NS)
    return None


def friedman(x: Floats) -> Floats:
    """Friedman's (1991) function of five of ten numbers, float64[n, 10]."""
    out: Floats = (
        10.0 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20.0 * (x[:, 2] - 0.5) ** 2 + 10.0 * x[:, 3] + 5.0 * x[:, 4]
    )
    return out


def friedman_losses(share: float, rng: np.random.Generator) -> Ints:
    """Windows of 50 rows of the absolute errors of a fixed model: 50 of them before, 50 after a share of rows has another concept.

    The other concept is that of "global recurring abrupt drift" (Ikonomovska, Gama and Džeroski 2011): the inputs change places.
    """
    x = rng.random((3 * TRIALS, 10))
    turned = np.arange(3 * TRIALS) >= 2 * TRIALS
    turned &= rng.random(3 * TRIALS) < share
    places = np.where(turned[:, None], [[3, 5, 1, 0, 2]], [[0, 1, 2, 3, 4]])
    y = friedman(np.take_along_axis(x, places, axis=1)) + rng.normal(size=len(x))
    train = np.arange(len(x)) < TRIALS
    design = _design(x)
    errors = np.abs(y - design @ np.linalg.lstsq(design[train], y[train], rcond=None)[0])
    fresh = _design(x)[TRIALS:] @ np.linalg.lstsq(design[train], y[train], rcond=None)[0]
    losses = np.clip(np.abs(y[TRIALS:] - fresh) / np.quantile(errors[train], 0.99), 0.0, 1.0)
    counts: Ints = np.array([ERROR.counts(window) for window in losses.reshape(-1, ROWS)])
    return counts


def _design(x: Floats) -> Floats:
    """Numbers, their squares and products."""
    pairs = [x[:, i] * x[:, j] for i in range(5) for j in range(i, 5)]
    return np.column_stack([np.ones(len(x)), x, *pairs])


ERROR = Loss.binned("absolute error", np.linspace(0.0, 1.0, 21).tolist())


def of_friedman(share: float, rng: np.random.Generator) -> Found | None:
    """The onset of a model that got worse, from 2500 rows of before and 2500 quiet ones."""
    windows = np.concatenate([friedman_losses(0.0, rng)[: TRIALS // ROWS], friedman_losses(share, rng)])
    known = windows[: TRIALS // ROWS]
    bets = loss_bets([ERROR], known.sum(axis=0), known, tolerance=0.0, margin=float(CONFIG["tolerance_loss"]))
    live = windows[TRIALS // ROWS :]
    return _first(Detector(bets, float(CONFIG["threshold"])), live, TRIALS // ROWS)


@dataclass(frozen=True)
class Loans:
    """NannyML's car loans: half of the analysis is as the reference, the other half is not, as its documentation says."""

    window: str
    window_ns: int

    def alarms(self) -> tuple[list[Alarm], int]:
        """Of a whole engine with the reference as its baseline, a ticket a year; and when the documented change is."""
        before, live = _rows(f"{LOAN}_reference.csv"), _rows(f"{LOAN}_analysis.csv")
        known = pyarrow.csv.read_csv(DATASETS / f"{LOAN}_analysis_target.csv")["repaid"].to_numpy().astype(float)
        times = _times(before)
        late = np.full(len(times), 1.0)
        columns = BaselineColumns(
            _batch(before), NumberColumn.of(before["repaid"].to_numpy().astype(float)), delay_s=late
        )
        base = build(columns, Spec(positive="1"), window_s=self.window_ns / 1e9)
        detect = {"false_alarms": "1 per year", "label_age": "1h", "windows": [self.window]}
        model = ModelConfig.model_validate({"name": KEY.name, "windows": [self.window], "detect": detect})
        engine = Engine(CalidrisConfig(models=(model,)), lambda *_: (base, ""))
        self._feed(engine, live, known)
        return engine.alarms, int(_times(live)[len(known) // 2])

    def _feed(self, engine: Engine, live: pa.Table, known: Floats) -> None:
        times = _times(live)
        windows = times // self.window_ns
        for window in np.unique(windows).tolist():
            rows = np.nonzero(windows == window)[0]
            batch = _batch(live.take(pa.array(rows)))
            assert batch.ids is not None
            told = LabelBatch("default", KEY.name, batch.ids, NumberColumn.of(known[rows]), times[rows] + 1_000_000_000)
            _apply(engine, window * self.window_ns, batch, told)
            _apply(engine, (window + 1) * self.window_ns)
        _apply(engine, int(times[-1]) + self.window_ns + 2 * HOUR_NS)


def _rows(name: str) -> pa.Table:
    return pyarrow.csv.read_csv(DATASETS / name)


def _times(rows: pa.Table) -> Ints:
    found: Ints = rows["timestamp"].to_numpy().astype("datetime64[ns]").astype(np.int64)
    return found


def _batch(rows: pa.Table) -> PredictionBatch:
    ids = [str(i) for i in rows["id"].to_pylist()]
    features = {name: column_of(rows[name].to_numpy(zero_copy_only=False)) for name in FEATURES}
    score = NumberColumn.of(rows["y_pred_proba"].to_numpy().astype(float))
    return PredictionBatch(KEY, _times(rows), features, ids=ids, score=score)


def _apply(engine: Engine, at_ns: int, *items: PredictionBatch | LabelBatch) -> None:
    seq = engine.sequence + 1
    digest = hashlib.blake2b(seq.to_bytes(8, "little"), digest_size=16).digest()
    decoded = Decoded(items, len(items), 0, {}, "", 0, 0) if items else None
    seal = None if items else at_ns
    engine.apply(Received(seq, at_ns, "default", digest, 0, decoded, seal, lambda: None))


def of_loans(loans: Loans) -> list[tuple[str, Found]]:
    """Kind and onset of the first alarm of each kind after the documented change."""
    alarms, changed_ns = loans.alarms()
    first: dict[str, Found] = {}
    for alarm in alarms:
        if alarm.onset is not None and not alarm.renews:
            first.setdefault(alarm.kind, read_found(alarm.onset, alarm.raised_ns, changed_ns, loans.window_ns))
    return sorted(first.items())


def of_demo(seed: int) -> Found | None:
    """The story of `make demo` in one process."""
    story = Story(seed, train_model(), load(CONFIG_OF_DEMO))
    story.run(FULL.quiet, FULL.changed)
    step_ns = round(WINDOW_S * 1e9)
    first = next((a for a in story.engine.alarms if a.kind == "drift"), None)
    if first is None or first.onset is None:
        return None
    return read_found(first.onset, first.raised_ns, START_OF_DEMO + FULL.quiet * step_ns, step_ns)


SMALL = "+.1 σ of one feature"
"""So small a change that many of its windows look like those before it: shown, and no bound is set."""
DEMOS = 3
CASES = (
    Case("+.25 σ of one feature", Change(0.25)),
    Case("+.25 σ of one of 20 features", Change(0.25), features=20),
    Case(SMALL, Change(0.1)),
    Case("+.25 σ, n = 50", Change(0.25), NULLS[0]),
    Case("+.25 σ under wobble", Change(0.25), WOBBLE),
    Case("missing 1 → 3 %", Change(missing=0.03)),
)


def onset_table(effort: Effort) -> Table:
    rows, musts = [], []

    def add(name: str, found: list[Found], streams_in_all: int) -> None:
        errors = [f.error for f in found]
        median = float(np.median(np.abs(errors))) if errors else float("nan")
        held = f"{100.0 * np.mean([f.held for f in found]):.0f} %" if found else "–"
        delays = mean_se([f.delay for f in found])
        rows.append([name, f"{len(found)} of {streams_in_all}", delays, f"{median:.0f}", mean_se(errors), held])
        if name != SMALL:
            musts.append(Must(f"onset, median windows off: {name}", MOST, median))

    def of(name: str, one: Callable[[np.random.Generator], Found | None], seed: int) -> None:
        found = [f for f in streams(one, effort.streams, seed) if f is not None]  # type: ignore[arg-type]
        add(name, found, effort.streams)

    for i, case in enumerate(CASES):
        of(case.name, lambda rng, case=case: simulated(case, effort.horizon, rng), 9500 + i)  # type: ignore[misc]
    for share in (1.0, 0.2):
        name = f"Friedman drift, windows of 50 rows, {100 * share:.0f} % of rows of another concept: absolute error"
        of(name, lambda rng, share=share: of_friedman(share, rng), 9600)  # type: ignore[misc]
    if (DATASETS / f"{LOAN}_reference.csv").exists():
        for kind, found in of_loans(Loans("1d", 24 * HOUR_NS)):
            add(f"NannyML's car loans, windows of 1d: {kind}", [found], 1)
    told = [f for seed in range(DEMOS) if (f := of_demo(seed)) is not None]
    add("the demonstration's own stream, windows of 2s: drift", told, DEMOS)
    head = ("change", "found", "alarm after windows", "median windows off", "mean", "interval holds it")
    return Table(
        markdown("When it began: the onset of the first alarm beside the known change", head, rows), tuple(musts)
    )


def renewal_table(effort: Effort) -> Table:
    """A change that stays, and nothing new: how often is its alarm renewed, and after how many windows by a second change?"""
    threshold, features = float(CONFIG["threshold"]), 10
    renewals = streams(lambda rng: _renewed(rng, features, effort.windows, None)[0], effort.streams, 9700)
    second = streams(lambda rng: _renewed(rng, features, 60, 20)[1], effort.streams, 9800)
    allowed = effort.windows / threshold
    row = [
        f"{effort.streams} × {effort.windows}", f"{np.mean(renewals):.3f}", f"{allowed:.1f}",
        mean_se([d for d in second if d == d]), f"{sum(d == d for d in second)} of {effort.streams}",
    ]  # fmt: skip
    title = f"A standing alarm: one of {features} features changed and stays so, A = {threshold:.0f}"
    head = (
        "streams × windows", "renewals a stream, nothing new", "allowed (n/A)", "windows to a renewal by +.25 σ of a second feature",
        "found",
    )  # fmt: skip
    must = Must("renewals a stream while nothing is new", allowed, float(np.mean(renewals)))
    return Table(markdown(title, head, [row]), (must,))


def _renewed(rng: np.random.Generator, features: int, length: int, second: int | None) -> tuple[float, float]:
    """Renewals in so many windows, and windows from the second change to that which names it."""
    spec = IID.spec(features)
    detector = frozen(spec, drawn(IID, features, rng, IID.baseline))
    tables = np.stack([IID.counts(rng, length) for _ in range(features)], axis=1)
    tables[:, 0] = IID.counts(rng, length, Change(1.0))
    if second is not None:
        tables[second:, 1] = IID.counts(rng, length - second, Change(0.25))
    renewals, delay = 0, float("nan")
    for i, window in enumerate(as_counts(spec, tables)):
        new = detector.score(window, start_ns=i * HOUR_NS).renewed
        renewals += new is not None
        if new is not None and delay != delay and second is not None and new.changes[0].field == "x1":
            delay = float(i + 1 - second)
    return float(renewals), delay


def tables(effort: Effort) -> Iterator[Table]:
    yield onset_table(effort.part(0.4))
    yield renewal_table(effort.part(0.5, 0.4))
