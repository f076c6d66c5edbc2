"""What it costs, beside the floors of the same run, and which targets hold: `make bench` (ARGS=--quick for under a minute).

Ratios to a floor of the same run can be compared between machines and days; absolute figures cannot.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks import metrics, receiver, sdk
from benchmarks.peers import whole
from benchmarks.peers.environment import CannotBuild

OUT = Path(__file__).resolve().parent.parent / "bench-out"
SINK = "benchmarks.engine_sink:make_sink"

CALLER_MUST_US = 10.0
RECEIVER_MUST = {
    "packed 4 x 512": 300_000.0,
    "one-row JSON x 512": 60_000.0,
    "one-row attributes x 512": 22_000.0,
    "one-row map x 512": 22_000.0,
}


def verdict(good: bool, figure: str) -> str:
    """A target and whether it was met."""
    return f"{'met' if good else 'MISSED':<7} {figure}"


def show_sdk(rows: list[dict[str, Any]]) -> list[str]:
    """Print the caller's cost; returns the verdicts."""
    print(f"\n{'caller-thread CPU of one prediction':<52}{'us':>9}{'x floor':>9}")
    for row in rows:
        print(f"{row['name']:<52}{row['us']:>9.2f}{row['ratio']:>9.1f}")
    unsampled = next(r["us"] for r in rows if "unsampled" in r["name"])
    return [
        verdict(unsampled <= CALLER_MUST_US, f"caller, unsampled trace: {unsampled:.2f} us, must {CALLER_MUST_US:g}")
    ]


def show_receiver(rows: list[dict[str, Any]]) -> list[str]:
    """Print rows per core of each stage; returns the verdicts."""
    print()
    receiver.show(rows)
    out = []
    for row in rows:
        must = RECEIVER_MUST.get(row["payload"])
        if row["stage"] == "state" and must is not None:
            rate = row["rows_per_core_s"]
            out.append(
                verdict(
                    rate >= must, f"{row['payload']}, gRPC + journal + state: {rate:,.0f} rows/s/core, must {must:,.0f}"
                )
            )
    return out


def beside_peers(results: dict[str, Any]) -> list[str]:
    """Other tools on the same tables, where their environments can be built; returns the verdicts."""
    try:
        results["peers"], verdicts = whole.run()
    except CannotBuild as error:
        return [f"{'skipped':<7} beside other tools: {error}"]
    return verdicts


def main() -> int:
    """Run everything; the exit code does not depend on speed."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one second a stage, without the drift measures and other tools"
    )
    arguments = parser.parse_args()
    seconds = 1.0 if arguments.quick else 3.0
    results: dict[str, Any] = {"sdk": sdk.run(), "receiver": receiver.run(seconds, SINK)}
    verdicts = show_sdk(results["sdk"]) + show_receiver(results["receiver"])
    if not arguments.quick:
        results["metrics"] = metrics.run()
        print()
        subprocess.run([sys.executable, "-m", "benchmarks.metrics"], check=True)
        verdicts += beside_peers(results)
    OUT.mkdir(exist_ok=True)
    (OUT / "bench.json").write_text(json.dumps(results, indent=1, default=str), encoding="utf-8")
    print("\n" + "\n".join(verdicts))
    print(f"written to {OUT / 'bench.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
