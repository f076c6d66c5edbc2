"""Seeded tables around every rule of the profile. Needs numpy alone: the recorder runs where calidris is not installed."""

from __future__ import annotations

import numpy as np

SIZES = ((900, 100), (999, 500), (1000, 1000), (1001, 400), (1150, 1150), (300, 3000), (5000, 250), (3000, 3000))
"""Rows of baseline and window: the rules change above 1000 baseline rows."""
SHIFTS = (0.0, 0.15, 0.6)

Values = dict[str, np.ndarray]


def table(seed: int, n: int, shift: float) -> Values:
    """Columns of every kind; ``shift`` changes most of them a little."""
    rng = np.random.default_rng(seed)
    x = rng.normal(shift, 1.0, n)
    missing = rng.normal(shift, 1.0, n)
    missing[rng.random(n) < 0.1] = np.nan
    infinite = rng.normal(size=n)
    infinite[0] = np.inf
    level = np.minimum(rng.geometric(0.3 - 0.1 * shift, n), 20)
    sometimes = np.array([f"level {k}" for k in level[::-1]], dtype=object)
    sometimes[rng.random(n) < 0.05 + 0.1 * shift] = None
    flags = np.array(rng.random(n) < 0.5, dtype=object)
    flags[3] = None
    return {
        "normal": x,
        "skewed": np.exp(x),
        "missing": missing,
        "infinite": infinite,
        "ties": np.round(rng.normal(shift, 1.0, n)),
        "six_values": rng.integers(0, 6, n).astype(float),
        "four_values": rng.integers(0, 4, n) + np.where(rng.random(n) < shift / 4, 1, 0).astype(float),
        "two_values": (rng.random(n) < 0.3 + shift / 8).astype(float),
        "constant": np.full(n, 1.5),
        "tiny": rng.normal(0.0, 1e-6, n) + shift * 1e-4,
        "integers": rng.integers(0, 1000, n) + int(100 * shift),
        "few_integers": rng.integers(0, 8, n),
        "small_integers": rng.integers(0, 3, n).astype(np.int8),
        "unsigned": rng.integers(0, 3, n).astype(np.uint8),
        "yes": rng.random(n) < 0.5,
        "yes_or_missing": flags,
        "levels": np.array([f"level {k}" for k in level]),
        "levels_or_missing": sometimes,
        "two_levels": np.where(rng.random(n) < 0.4, "a", "b"),
        "one_level": np.full(n, "a"),
    }


def cases() -> list[tuple[str, Values, Values]]:
    """Name, baseline and window of each case."""
    out = []
    for i, (m, n) in enumerate(SIZES):
        for shift in SHIFTS:
            window = table(1000 + i, n, shift)
            if shift == 0.6:
                window["levels"][:5] = "new level"
                window["constant"][0] = 2.5
            out.append((f"{m} and {n} rows, shift {shift}", table(i, m, 0.0), window))
    return [*out, *special()]


def special() -> list[tuple[str, Values, Values]]:
    """What happens at the edges: half of the columns, text, and a kind that the window decides."""
    rng = np.random.default_rng(7)
    x, few, many = rng.normal(size=400), rng.integers(0, 8, 400), rng.integers(0, 30, 400)
    words = np.array([f"word {i}" for i in range(400)])
    return [
        ("exactly half of the columns", {"x": x, "y": x}, {"x": x, "y": x + 3.0}),
        ("one of three columns", {"x": x, "y": x, "z": x}, {"x": x, "y": x + 3.0, "z": x}),
        ("few integers in the window only", {"k": many, "x": x}, {"k": few, "x": x}),
        ("few integers in the baseline only", {"k": few, "x": x}, {"k": many, "x": x}),
        ("a column that the window lacks", {"gone": x + 1, "x": x}, {"x": x}),
        (
            "text cannot decide",
            {"t": words, "x": x, "y": x, "z": x, "w": x},
            {"t": words, "x": x, "y": x, "z": x, "w": x},
        ),
        ("one constant became another", {"c": np.full(400, "a"), "x": x}, {"c": np.full(300, "b"), "x": x[:300]}),
    ]
