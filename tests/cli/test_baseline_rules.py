"""What a service hashes, sorts into ranges or withholds is so in its baseline, where `baseline build` has the service's variables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from shell import Done, run
from tests.baseline.test_conversions import BEGIN_S, SECOND, Receiver, send

from calidris.baseline import Baseline, read
from calidris.instrument.privacy import Policy
from calidris.state import Role

N = 3000
RULES = {
    "OTEL_CALIDRIS_HASH": "zip,member",
    "OTEL_CALIDRIS_HASH_KEY": "secret",
    "OTEL_CALIDRIS_BUCKET": "age:18,30,50",
    "OTEL_CALIDRIS_DROP": "ssn",
}
SERVICE = Policy.of(["shop"], ["ssn"], ["zip", "member"], {"age": [18, 30, 50]}, "secret")


def draw() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    return pd.DataFrame({
        "zip": rng.choice(["01067", "10115", None], N),
        "member": rng.choice([1.0, 2.0, np.nan], N),
        "age": rng.normal(40, 15, N),
        "shop": rng.choice(["a", "b"], N),
        "ssn": rng.integers(0, 10**9, N),
    })  # fmt: skip


def build(folder: Path, monkeypatch: pytest.MonkeyPatch, **rules: str) -> tuple[Done, Baseline]:
    for name, value in rules.items():
        monkeypatch.setenv(name, value)
    config, made = folder / "calidris.yaml", folder / "made.calidris"
    config.write_text("models: [{name: m, windows: [5m], slices: [zip]}]\n")
    draw().assign(ts=BEGIN_S + 5 * np.arange(N)).to_parquet(folder / "rows.parquet")
    done = run(
        "baseline", "build", "-c", config, "--model", "m", "--data", folder / "rows.parquet", "--time", "ts", "-o", made,
    )  # fmt: skip
    assert done.code == 0, done.err
    return done, read(made)


def test_a_baseline_is_of_what_the_service_sends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, made = build(tmp_path, monkeypatch, **RULES)
    receiver = Receiver(made)
    rows: Any = draw()
    receiver.take(send(rows, BEGIN_S * SECOND, SERVICE, rows[["zip"]]), BEGIN_S * SECOND)
    for name in ("member", "age", "shop"):
        at = made.spec.index(Role.FEATURE, name)
        assert at is not None
        assert receiver.counts(name).tolist() == made.counts.field(at).tolist()
    assert set(made.spec.slices[0].levels) == {SERVICE.hashed("zip", code) for code in ("01067", "10115")}
    assert "left out: column 'ssn': OTEL_CALIDRIS_DROP names it" in " ".join(done.out.split())
    assert "allow=['shop']" in done.out


def test_what_cannot_be_hashed_is_left_out_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, made = build(tmp_path, monkeypatch, OTEL_CALIDRIS_HASH="member")
    assert made.spec.index(Role.FEATURE, "member") is None
    assert "left out: column 'member': OTEL_CALIDRIS_DROP names it, or OTEL_CALIDRIS_HASH without a key" in " ".join(
        done.out.split()
    )
