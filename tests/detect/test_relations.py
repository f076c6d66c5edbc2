"""Bets on relations of two columns: blind to margins, valid, quiet, and quick."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import stats

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import Floats, Ints, ModelKey, NumberColumn, PredictionBatch
from calidris.detect import Bets, Detector, Verdict, freeze
from calidris.detect.bets import SeasonalBets, drift_recovery, window_score_bets
from calidris.detect.bets.window_scores import needed
from calidris.detect.evidence.recovery import Recovery
from calidris.detect.levels import TwoLevels
from calidris.detect.references import References
from calidris.detect.relations import WEIGHT, WORDS, PairedThings, find_direction, remove_margins
from calidris.state import Role, Spec

HOUR_NS = 3_600_000_000_000
KEY = ModelKey("default", "m", "1")
HOURS, ROWS = 168, 300
A = 49640.0
SHAPE = (4, 4)


def table(rho: float, shift: float = 0.0) -> Floats:
    """Cells of two normal columns, cut as deciles let quartiles be cut, when the first one is moved: float64[16]."""
    cuts = np.concatenate([[-9.0], stats.norm.ppf([0.2, 0.5, 0.8]), [9.0]])
    normal = stats.multivariate_normal([0.0, 0.0], [[1.0, rho], [rho, 1.0]])
    corners = np.array([[normal.cdf([a - shift, b]) for b in cuts] for a in cuts])
    return np.diff(np.diff(corners, axis=0), axis=1).ravel().clip(0.0)


@pytest.mark.parametrize("rho", [-0.9, -0.3, 0.0, 0.5, 0.7, 0.95])
def test_what_is_left_is_orthogonal_to_the_margins(rho: float) -> None:
    p = (table(rho) * 5000 + 0.5) / 5008
    left = (remove_margins(p, SHAPE) @ np.random.default_rng(1).normal(size=16)) * p
    assert np.abs(left.reshape(SHAPE).sum(axis=0)).max() < 1e-9
    assert np.abs(left.reshape(SHAPE).sum(axis=1)).max() < 1e-9
    assert np.linalg.matrix_rank(remove_margins(p, SHAPE), tol=1e-6) == 9


@pytest.mark.parametrize("rho", [-0.6, 0.3, 0.6])
def test_a_column_that_moves_by_itself_leaves_the_relation_where_it_was(rho: float) -> None:
    """Exactly, where rows are drawn by the value of one column and no cell is bounded; in the first order, where its values are moved."""
    p = table(rho)
    g = find_direction(p, SHAPE)
    assert (p @ g, p @ g**2) == pytest.approx((0.0, 1.0), abs=1e-9)
    moved = p.reshape(SHAPE) * np.array([0.2, 1.0, 1.5, 3.0])[:, None]
    assert moved.ravel() / moved.sum() @ g == pytest.approx(0.0, abs=1e-9 if abs(rho) < 0.5 else 0.003)
    assert abs(table(rho, 0.25) @ g) < 0.05
    assert table(0.0) @ g < -0.25
    assert table(1.2 * rho) @ g > 0.05


def test_a_table_without_a_relation_has_a_direction_and_one_of_one_row_none() -> None:
    assert find_direction(np.full(16, 1 / 16), SHAPE).std() == pytest.approx(1.0)
    assert not find_direction(np.array([0.5, 0.5]), (1, 2)).any()


def draw(
    rng: np.random.Generator, n: int, rho: float = 0.7, *, shift: float = 0.0, square: float = 0.0
) -> PredictionBatch:
    """Eight columns: two pairs belong together, the first by ``rho``; ``square``: the second goes with the square of the first."""
    x = rng.normal(size=(n, 8))
    x[:, 1] = rho * x[:, 0] + np.sqrt(1.0 - rho**2) * x[:, 1]
    x[:, 3] = -0.5 * x[:, 2] + np.sqrt(0.75) * x[:, 3]
    if square:
        both = square * (x[:, 0] ** 2 - 1.0) / np.sqrt(2.0) + np.sqrt(1.0 - square**2) * x[:, 1]
        x[:, 1] = stats.norm.ppf((stats.rankdata(both) - 0.5) / n)
    x[:, 0] += shift
    columns = {f"x{i}": NumberColumn.of(column) for i, column in enumerate(x.T)}
    return PredictionBatch(KEY, np.zeros(n, np.int64), columns, score=NumberColumn.of(rng.random(n)))


@cache
def baseline(seed: int = 0, pairs: int = 10, rows: int = ROWS) -> Baseline:
    rng = np.random.default_rng(seed)
    drawn = draw(rng, HOURS * rows)
    times = np.repeat(np.arange(HOURS), rows) * HOUR_NS
    batch = PredictionBatch(KEY, times, drawn.features, score=drawn.score)
    return build(BaselineColumns(batch), Spec(), window_s=3600.0, pairs=pairs)


def bets(made: Baseline, tolerance: float = 0.05, small: bool = False) -> Bets:
    roles = {Role.FEATURE, Role.PAIR, Role.SCORE}
    return freeze(made.spec, made.counts, made.windows_of(3600.0), tolerance=tolerance, roles=roles, small=small)


def counts(made: Baseline, rows: PredictionBatch) -> Ints:
    return np.bincount(made.spec.encode(rows).ravel(), minlength=made.spec.cells)


def first_alarm(made: Baseline, seed: int, windows: int, **changed: float) -> tuple[int, Verdict | None]:
    """After how many windows it came, and it."""
    rng = np.random.default_rng([seed, 77])
    detector = Detector(TwoLevels(bets(made), bets(made, 0.02, True)), A)
    for t in range(1, windows + 1):
        verdict = detector.score(counts(made, draw(rng, ROWS, **changed)))
        if verdict.opened:
            return t, verdict
    return windows, None


@pytest.mark.parametrize(
    ("changed", "windows", "said"),
    [
        ({"rho": 0.0}, 2, "relation changed (weaker)"),
        ({"rho": 0.5}, 8, "relation changed (weaker)"),
        ({"rho": -0.7}, 2, "relation changed (weaker)"),
        ({"rho": 0.85}, 8, "relation changed (stronger)"),
    ],
)
def test_a_relation_that_changes_is_found_and_named(changed: dict[str, float], windows: int, said: str) -> None:
    for seed in range(3):
        _, verdict = first_alarm(baseline(seed), seed, windows, **changed)
        assert verdict is not None
        assert [(c.field, c.direction) for c in verdict.changes] == [("x0 × x1", said)]


def test_one_that_no_line_describes_is_found_too() -> None:
    """The linear part is the same, and a curve comes in: it is learned from the windows."""
    _, verdict = first_alarm(baseline(), 3, 12, square=0.6, rho=0.7)
    assert verdict is not None
    assert verdict.changes[0].field == "x0 × x1"


def test_without_pairs_nothing_sees_it() -> None:
    assert first_alarm(baseline(0, 0), 0, 40, rho=0.0)[1] is None


@pytest.mark.parametrize("shift", [0.25, 1.0, 2.0])
def test_a_column_that_moves_is_named_alone_and_as_soon_as_without_pairs(shift: float) -> None:
    for seed in range(3):
        after, verdict = first_alarm(baseline(seed), seed, 20, shift=shift)
        assert verdict is not None
        assert {c.field for c in verdict.changes} == {"x0"}
        alone, _ = first_alarm(baseline(seed, 0), seed, 20, shift=shift)
        assert after <= alone + 1


def test_the_weights_of_pairs_together_are_stated() -> None:
    made = baseline()
    laid = bets(made)
    pairs = np.array([name in laid.pairs for name in laid.names])
    assert pairs.sum() == 2
    assert laid.field_weight[pairs].sum() == pytest.approx(WEIGHT)
    assert laid.field_weight.sum() == pytest.approx(1.0)
    alone = bets(baseline(0, 0)).field_weight
    assert laid.field_weight[~pairs].tolist() == pytest.approx((alone * (1.0 - WEIGHT)).tolist())


def test_bets_on_pairs_win_nothing_in_the_mean_where_nothing_changed() -> None:
    """E[e] of a row, exactly, at the baseline's own shares and at those of columns that moved by themselves."""
    laid = bets(baseline())
    f = laid.names.index("x0 × x1")
    p = laid.learned.p[f]
    mine = laid.tilts.field == f
    assert mine.sum() == 8
    assert (np.exp(laid.tilts.log_ratio[mine]) @ p).max() <= 1.0
    moved = p[:16].reshape(SHAPE) * np.array([0.5, 0.9, 1.2, 1.4])[:, None]
    p_moved = np.append(moved.ravel(), p[16:])
    p_moved /= p_moved.sum()
    assert (np.exp(laid.tilts.log_ratio[mine]) @ p_moved).max() <= 1.01


def test_learned_bets_on_pairs_do_not_see_margins() -> None:
    laid = bets(baseline())
    f = laid.names.index("x0 × x1")
    p = laid.learned.p[f]
    moved = p.copy()
    moved[:16] = (p[:16].reshape(SHAPE) * np.array([0.5, 0.9, 1.2, 1.4])[:, None]).ravel()
    seen = laid.nothing.copy()
    seen[:, f] = 1e5 * moved
    assert laid.learned.stake(seen).idle[:, f].all()
    seen[:, f, :16] = 1e5 * table(0.0)
    stake = laid.learned.stake(seen)
    assert not stake.idle[:, f].any()
    assert (np.exp(stake.log_ratio[:, f]) @ p <= 1.0).all()


def test_quiet_streams_stay_quiet() -> None:
    """Promised at A = 200: at most 60/200 false alarms a stream of 60 windows; twelve streams may have 3.6 together."""
    fired = 0
    for seed in range(12):
        made = baseline(100 + seed, 10, 100)
        rng = np.random.default_rng([seed, 5])
        detector = Detector(TwoLevels(bets(made), bets(made, 0.02, True)), 200.0)
        fired += any(detector.score(counts(made, draw(rng, 100))).opened for _ in range(60))
    assert fired <= 3


def test_pairs_that_were_picked_by_the_rows_that_are_counted_stay_quiet() -> None:
    """Forty columns of which all 780 pairs are alike: the ten that a small sample shows strongest are less so ever after."""
    fired = 0
    for seed in range(8):
        rng = np.random.default_rng([seed, 9])

        def drawn(n: int, rng: np.random.Generator = rng) -> PredictionBatch:
            x = np.sqrt(0.3) * rng.normal(size=(n, 1)) + np.sqrt(0.7) * rng.normal(size=(n, 40))
            return PredictionBatch(
                KEY, np.zeros(n, np.int64), {f"x{i:02}": NumberColumn.of(c) for i, c in enumerate(x.T)}
            )

        batch = drawn(3000)
        timed = PredictionBatch(KEY, np.repeat(np.arange(60), 50) * HOUR_NS, batch.features)
        made = build(BaselineColumns(timed), Spec(), window_s=3600.0)
        assert len(made.spec.pairs) == 10
        laid = freeze(made.spec, made.counts, made.windows_of(3600.0), roles={Role.PAIR}, tolerance=0.02)
        detector = Detector(laid, 200.0)
        fired += any(detector.score(counts(made, drawn(200))).opened for _ in range(30))
    assert fired <= 1


def test_a_relation_that_came_back_has_recovered() -> None:
    made = baseline()
    laid = bets(made)
    detector = Detector(laid, A)
    rng = np.random.default_rng(4)
    for changed in ({"rho": 0.0}, {"square": 0.9}):
        verdict, window = None, counts(made, draw(rng, ROWS))
        while verdict is None or not verdict.opened:
            window = counts(made, draw(rng, ROWS, **changed))
            verdict = detector.score(window)
        back = Recovery(drift_recovery(laid, made.rows, verdict.changes, window))
        assert not any(back.score(counts(made, draw(rng, ROWS, **changed)), t) for t in range(10))
        assert any(back.score(counts(made, draw(rng, ROWS)), 10 + t) for t in range(40))
        detector.clear()


def test_while_a_column_stands_its_relations_do_not_renew_the_alarm_and_others_do() -> None:
    made = baseline()
    detector = Detector(bets(made), A)
    rng = np.random.default_rng(6)
    verdicts = [detector.score(counts(made, draw(rng, ROWS, shift=2.0))) for _ in range(15)]
    assert verdicts[0].opened
    assert [v.renewed for v in verdicts] == [None] * 15
    renewed = None
    for _ in range(15):
        rows = draw(rng, ROWS, shift=2.0)
        x = dict(rows.features)
        x["x3"] = x["x5"]
        renewed = (
            detector.score(counts(made, PredictionBatch(KEY, rows.event_time_ns, x, score=rows.score))).renewed
            or renewed
        )
    assert renewed is not None
    assert [c.field for c in renewed.changes] == ["x2 × x3"]
    detector.clear(["x0"])
    assert detector.renewal is not None


def test_bytes_of_a_detector_go_on_bit_by_bit() -> None:
    made = baseline()
    laid = bets(made)
    rng = np.random.default_rng(8)
    whole, again = Detector(laid, A), Detector(laid, A)
    for _ in range(5):
        window = counts(made, draw(rng, ROWS, rho=0.6))
        whole.score(window)
        again.score(window)
        again = Detector.from_bytes(laid, again.to_bytes())
    assert again.to_bytes() == whole.to_bytes()


def test_seasonal_bets_and_whole_windows_know_pairs_or_leave_them_out() -> None:
    made = baseline()
    windows, starts = made.windows_of(3600.0), made.starts_of(3600.0)
    assert windows is not None
    seasonal = SeasonalBets(made.spec, made.counts, windows, starts, References(made.spec, 3600.0), "decayed")
    assert set(seasonal.pairs) == {"x0 × x1", "x2 × x3"}
    whole = window_score_bets(made.spec, made.counts, windows)
    assert not set(whole.names) & set(seasonal.pairs)
    assert not needed(bets(made))


def test_things_of_games_without_pairs_are_what_they_were() -> None:
    laid = bets(baseline(0, 0))
    things = PairedThings(laid)
    mask = np.array([True] + [False] * (len(laid.names) - 1))
    assert things.add_implied(mask).tolist() == mask.tolist()
    assert things.drop_implied(np.array([2, 0])).tolist() == [2, 0]
    assert WORDS[0] not in laid.directions
