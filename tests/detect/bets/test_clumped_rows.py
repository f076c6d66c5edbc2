"""Rows that come in clumps (each hour a few clients, whose rows are alike): nothing changes, and nothing may alarm."""

import numpy as np
import pytest

from calidris.detect import Detector, freeze
from calidris.state import CountsState, Field, Kind, Role, Spec

CLIENTS, CLIENTS_AN_HOUR, ROWS_OF_EACH = 400, 6, 80
LIVE_HOURS = 100


class Clients:
    """Clients with one amount each; the range of the baseline is that of the clients who came."""

    def __init__(self, seed, hours):
        self.rng = np.random.default_rng(seed)
        self.amounts = self.rng.lognormal(3.0, 1.0, CLIENTS)
        known = self.rng.choice(self.amounts, (hours, CLIENTS_AN_HOUR))
        edges = np.quantile(known, np.arange(11) / 10)
        self.spec = Spec(fields=(Field("amount", Role.FEATURE, Kind.NUMERIC, edges=tuple(edges.tolist())),))
        self.windows = np.array([self.counted(hour) for hour in known])

    def hour(self):
        return self.counted(self.rng.choice(self.amounts, CLIENTS_AN_HOUR))

    def counted(self, amounts):
        """An hour's counts int64[cells]; there are no errors and no durations."""
        state, field = CountsState(self.spec), self.spec.fields[2]
        rows = CLIENTS_AN_HOUR * ROWS_OF_EACH
        state.field(0)[0] = rows
        state.field(1)[self.spec.fields[1].ordered] = rows
        edges = np.array(field.edges)
        cells = np.clip(np.searchsorted(edges, amounts, side="left") - 1, 0, field.ordered - 1)
        cells[amounts < edges[0]] = field.ordered + 2
        cells[amounts > edges[-1]] = field.ordered + 3
        np.add.at(state.field(2), cells, ROWS_OF_EACH)
        return state.array

    def bets(self):
        return freeze(self.spec, CountsState(self.spec, self.windows.sum(0)), self.windows)


def test_a_cell_that_the_baseline_never_saw_takes_the_largest_design_effect_of_its_field():
    bets = Clients(0, hours=60).bets()
    special = [effect for effect, (group, _) in zip(bets.cells.effect, bets.cells.names) if group == "special"]
    assert min(special) == max(bets.tilts.effect.max(), bets.learned.effect.max()) > 50.0


def test_a_cell_that_was_seen_often_keeps_its_own(world):
    """A wobbling mean says nothing about how often a value is missing."""
    spec = world.spec(numeric=1, categorical=0)
    shapes = [world.numeric(1.0 + tilt * np.arange(10)) for tilt in world.rng.uniform(0.0, 0.3, 60)]
    windows = np.array([world.window(spec, 500, x0=shape) for shape in shapes])
    bets = freeze(spec, CountsState(spec, windows.sum(0)), windows)
    missing = [effect for effect, (_, word) in zip(bets.cells.effect, bets.cells.names) if word == "missing more"]
    assert max(missing) < 2.0 < bets.learned.effect.max()


def test_a_level_that_nearly_every_row_has_takes_the_largest_design_effect_of_its_field(world):
    """One client in sixty hours had another level, and a few rows a third one: that says what clumps there are."""
    spec = world.spec(numeric=0, categorical=1)
    rows = np.array([[480, 0, 0, 0, 0, 0, 0, 0]] * 60)
    rows[30, :2] = [400, 80]
    for hour in range(0, 60, 4):
        rows[hour, [0, 2]] += [-1, 1]
    windows = np.array([world.counts(spec, {"c0": row}) for row in rows])
    bets = freeze(spec, CountsState(spec, windows.sum(0)), windows)
    by_word = {word: effect for effect, (_, word) in zip(bets.cells.effect, bets.cells.names)}
    assert by_word["level red less"] == by_word["level green more"] > 30.0
    own = bets.cells.effect[[word == "level blue more" for _, word in bets.cells.names].index(True)]
    assert own == by_word["level green more"]  # fifteen rows of it


@pytest.mark.parametrize("hours", [30, 60])
def test_clumps_outside_the_range_of_a_short_baseline_are_no_alarm(hours):
    alarms = 0
    for seed in range(10):
        clients = Clients(seed, hours)
        detector = Detector(clients.bets(), 1000.0)
        alarms += any(detector.score(clients.hour()).fired for _ in range(LIVE_HOURS))
    assert alarms == 0
