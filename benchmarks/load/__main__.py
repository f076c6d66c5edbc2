"""Steady load on a real receiver: `make bench-load` (ARGS="--seconds 10" for the short one, --soak 10m for flatness).

10 000 one-row JSON spans a second in requests of 100, each acknowledged when it is on the disk. Fails where an answer of a
hundred takes 250 ms or more, where a request is refused, or where what was acknowledged is not what was counted. The load
generators are processes of their own and their CPU time is told apart; they share the machine, so the answer times are those
of a receiver that has the rest of it.

With ``--soak`` the receiver's memory is watched, too: the caps on what it remembers are set so that they are reached while it
warms up, and from then on the slope of a straight line through its resident memory must not be above the stated bound with
certainty (its 95 % interval lies above it), nor may descriptors be left open.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
from benchmarks import receiver
from benchmarks.load.watched import Served, Usage, served

from calidris.config.units import parse_duration_s

RATE, ROWS, SENDERS = 10_000, 100, 2
ANSWER_MUST_MS = 250.0
SOAK_MIB_A_MINUTE = 1.0
WARM_UP_SHARE = 0.25
SLOPE_BLOCKS = 20

CONFIG = """
receiver: {{grpc: {{endpoint: "127.0.0.1:0"}}, http: null{receiver}}}
storage: {{path: data}}
export: {{prometheus: {{endpoint: "127.0.0.1:0"}}}}
api: {{endpoint: "127.0.0.1:0"}}
models: [{{name: credit, task: binary, windows: [5m, 1h]}}]
limits: {limits}
"""
# Reached within the first minute at a thousand rows a second and more.
SOAK_CAPS = {"receiver": ", dedup_horizon: 20s, dedup_spans: 100000", "limits": "{pending_labels: 50000}"}
PLAIN = {"receiver": "", "limits": "{}"}


def drive(server: Served, rate: float, seconds: float) -> tuple[list[dict[str, Any]], list[Usage]]:
    """Send from several processes; what they tell, and what the receiver used, once a second."""
    each = ["--rows", str(ROWS), "--per-second", str(rate / ROWS / SENDERS), "--seconds", str(seconds)]
    command = [sys.executable, "-m", "benchmarks.load.sender", str(server.port), *each]
    with ExitStack() as open_files:
        # Files, not pipes: nobody reads while the load runs, and a pipe holds but 64 KiB.
        outputs = [open_files.enter_context(tempfile.TemporaryFile("w+")) for _ in range(SENDERS)]
        senders = [subprocess.Popen([*command, "--number", str(n)], stdout=out) for n, out in enumerate(outputs)]
        usage = [server.usage()]
        while any(sender.poll() is None for sender in senders) and server.process.poll() is None:
            time.sleep(1.0)
            usage.append(server.usage())
        return [told_by(sender, output) for sender, output in zip(senders, outputs)], usage


def told_by(sender: subprocess.Popen[bytes], output: IO[str]) -> dict[str, Any]:
    """What a sender printed, once it has ended."""
    sender.wait(60)
    output.seek(0)
    told: dict[str, Any] = json.load(output)
    return told


def slope(usage: list[Usage]) -> tuple[float, float]:
    """MiB a minute of a straight line through the means of blocks, and half of its 95 % interval.

    Neighbouring seconds tell the same, means of blocks hardly do.
    """
    blocks = np.array_split(np.array([[u.at_s / 60, u.rss_mib] for u in usage]), min(SLOPE_BLOCKS, len(usage)))
    minutes, memory = np.array([block.mean(axis=0) for block in blocks]).T
    (rise, _), covariance = np.polyfit(minutes, memory, 1, cov=True)
    return float(rise), 1.96 * float(np.sqrt(covariance[0, 0]))


def run(rate: float, seconds: float, soak: bool) -> dict[str, Any]:
    """One run: the figures, and under ``failed`` what does not hold."""
    config = CONFIG.format(**(SOAK_CAPS if soak else PLAIN))
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), config) as server:
        told, usage = drive(server, rate, seconds)
        acknowledged = sum(one["rows"] for one in told)
        counted = server.rows(acknowledged)
    times_ms = np.sort(np.concatenate([one["times_s"] for one in told])) * 1e3
    figures: dict[str, Any] = {
        "rate": acknowledged / seconds,
        "answer_ms": dict(zip(("p50", "p99", "max"), np.quantile(times_ms, [0.5, 0.99, 1.0]).tolist())),
        "receiver_cpu_share": (usage[-1].cpu_s - usage[0].cpu_s) / seconds,
        "receiver_cpu_us_per_row": (usage[-1].cpu_s - usage[0].cpu_s) / max(acknowledged, 1) * 1e6,
        "senders_cpu_s": sum(one["cpu_s"] for one in told),
        "rss_mib_max": max(u.rss_mib for u in usage),
        "acknowledged": acknowledged,
        "counted": counted,
        "refused": {why: n for one in told for why, n in one["refused"].items()},
    }
    if soak:
        steady = usage[int(len(usage) * WARM_UP_SHARE) :]
        figures["mib_a_minute"] = slope(steady)
        figures["descriptors"] = [steady[0].descriptors, max(u.descriptors for u in steady), steady[-1].descriptors]
    return figures | {"failed": failures(figures)}


def failures(figures: dict[str, Any]) -> list[str]:
    """What does not hold, in words."""
    out = []
    if figures["acknowledged"] != figures["counted"]:
        out.append(f"{figures['acknowledged']:,} rows were acknowledged, {figures['counted']:,} counted")
    if figures["answer_ms"]["p99"] >= ANSWER_MUST_MS:
        out.append(f"p99 of the answers {figures['answer_ms']['p99']:.0f} ms, must be under {ANSWER_MUST_MS:g}")
    if figures["refused"]:
        out.append(f"refused requests: {figures['refused']}")
    if "mib_a_minute" in figures:
        rise, half = figures["mib_a_minute"]
        if rise - half > SOAK_MIB_A_MINUTE:
            out.append(f"memory grows by {rise:.2f} +- {half:.2f} MiB a minute, bound {SOAK_MIB_A_MINUTE:g}")
        first, _, last = figures["descriptors"]
        if last > first + SENDERS:
            out.append(f"{last} descriptors open at the end, {first} after the warm-up")
    return out


def show(figures: dict[str, Any]) -> None:
    """Print a run."""
    answer = figures["answer_ms"]
    print(f"rate                {figures['rate']:>10,.0f} rows/s acknowledged, one-row JSON spans, {ROWS} a request")
    print(f"answer              p50 {answer['p50']:.1f}, p99 {answer['p99']:.1f}, max {answer['max']:.1f} ms")
    share, each = figures["receiver_cpu_share"], figures["receiver_cpu_us_per_row"]
    print(f"receiver            {share:.0%} of a core, {each:.1f} us a row, at most {figures['rss_mib_max']:.0f} MiB")
    print(f"load generators     {figures['senders_cpu_s']:.1f} s of CPU, apart")
    print(f"acknowledged        {figures['acknowledged']:,} rows, counted {figures['counted']:,}")
    if "mib_a_minute" in figures:
        rise, half = figures["mib_a_minute"]
        first, most, last = figures["descriptors"]
        print(
            f"memory              {rise:+.2f} +- {half:.2f} MiB a minute after the warm-up, bound {SOAK_MIB_A_MINUTE:g}"
        )
        print(f"descriptors         {first} after the warm-up, at most {most}, {last} at the end")
    print("\n".join(f"FAILED              {what}" for what in figures["failed"]) or "all of it holds")


def main() -> int:
    """Run; 1 where something does not hold."""
    parser = argparse.ArgumentParser(
        prog="make bench-load", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=RATE, help="rows a second")
    parser.add_argument("--soak", help="so long instead, with memory and descriptors: 10m")
    parser.add_argument("--rates", action="store_true", help="first the rates of each form beside their floors")
    arguments = parser.parse_args()
    if arguments.rates and not arguments.soak:
        receiver.show(receiver.run(2.0, "benchmarks.engine_sink:make_sink"))
        print()
    seconds = parse_duration_s(arguments.soak) if arguments.soak else arguments.seconds
    figures = run(arguments.rate, seconds, bool(arguments.soak))
    show(figures)
    return 1 if figures["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
