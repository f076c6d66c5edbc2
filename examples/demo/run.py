"""The demonstration: the whole journey of a prediction, from a service to an alarm, on real parts.

    make demo                 about three minutes
    make demo ARGS=--fast     about one minute

1. A table of what the model saw and said while all was well becomes a baseline.
2. `calidris serve` starts, and a FastAPI service with a scikit-learn model under `opentelemetry-instrument`.
3. Patients come in over HTTP; what the laboratory found follows three seconds later.
4. After a quiet phase one client sends one measurement in another unit. The alarm names it.

Exit code 0 only if there was no alarm before the change and one after it that names the changed feature.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import httpx
from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from examples.demo.data import CHANGED, Sampler, baseline_table, train_model
from examples.demo.parts import CONFIG, OUT, ROOT, PartFailed, Parts
from examples.demo.story import BASELINE_ROWS, BASELINE_WINDOWS, FAST, FULL, WINDOW_S, Outcome, Plan, judge
from examples.demo.traffic import Traffic
from examples.demo.view import alarm_text, one_line, view
from examples.demo.watch import Told, Watch

_REFRESH_S = 0.5
_LOG_EVERY_S = 4.0


def main() -> int:
    """Run the story and judge it."""
    parser = argparse.ArgumentParser(
        prog="make demo", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--fast", action="store_true", help="a shorter quiet phase: about a minute in all")
    parser.add_argument("--seed", type=int, default=0, help="which patients come, and in which order")
    parser.add_argument("--svg", type=Path, help="also write the last terminal view as a picture")
    arguments = parser.parse_args()
    out = Console()
    demo = Demo(FAST if arguments.fast else FULL, arguments.seed, out)
    try:
        outcome = demo.run()
    except (PartFailed, httpx.HTTPError, subprocess.CalledProcessError) as error:
        out.print(f"[red]the demonstration could not run:[/] {error}", highlight=False)
        return 1
    if arguments.svg:
        demo.picture(arguments.svg)
    return 0 if outcome.good else 1


class Demo:
    """One run of the story on real processes."""

    def __init__(self, plan: Plan, seed: int, out: Console) -> None:
        self.plan = plan
        self.seed = seed
        self.out = out
        self.told = Told()
        self.traffic: Traffic | None = None
        columns = (TextColumn("{task.description:<34}"), BarColumn(None), TimeElapsedColumn())
        self.progress = Progress(*columns, console=out, expand=True)

    def run(self) -> Outcome:
        """All phases; writes ``demo-out/report.html`` and ``demo-out/metrics.prom``."""
        shutil.rmtree(OUT, ignore_errors=True)
        OUT.mkdir()
        self._baseline()
        self.out.print("2. the receiver and the service start, each a process of its own")
        with Parts() as parts, Traffic(parts.service, Sampler(self.seed + 1), self.plan.rate) as traffic:
            watch = Watch(parts.api)
            self.traffic = traffic
            self.out.print(f"3. patients come in, {self.plan.rate:.0f} a second at most; nothing is wrong yet")
            with self._screen(traffic) as show:
                changed_ns = self._phases(parts, watch, traffic, show)
            self._write(parts, watch)
        outcome = judge(self.told.alarms, changed_ns)
        self._conclude(outcome)
        return outcome

    def _baseline(self) -> None:
        self.out.print("1. a baseline is built from 4 000 scored patients")
        table = baseline_table(
            Sampler(self.seed), train_model(), windows=BASELINE_WINDOWS, rows=BASELINE_ROWS, window_s=WINDOW_S
        )
        table.to_parquet(OUT / "baseline.parquet")
        command = [
            str(Path(sys.executable).parent / "calidris"),
            "baseline",
            "build",
            "-c",
            str(CONFIG),
            "--model",
            "tumour",
        ]
        command += [
            "--data",
            str(OUT / "baseline.parquet"),
            "--time",
            "ts",
            "-o",
            str(OUT / "baselines" / "tumour-1.calidris"),
        ]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        self.out.print("   " + done.stdout.strip().replace("\n", "\n   "), highlight=False)
        if done.returncode:
            raise PartFailed(done.stdout + done.stderr)

    def _phases(self, parts: Parts, watch: Watch, traffic: Traffic, show: Callable[[str], None]) -> int:
        """Quiet, change, alarm, settle; returns when the change was, ns since the epoch."""

        def wait(phase: str, windows: int, until: Callable[[], bool]) -> None:
            task = self.progress.add_task(phase, total=windows * WINDOW_S)
            begin = time.monotonic()
            while (spent := time.monotonic() - begin) < windows * WINDOW_S and not until():
                parts.check()
                self.told = watch.ask()
                self.progress.update(task, completed=spent)
                show(phase)
                time.sleep(_REFRESH_S)
            self.progress.update(task, completed=windows * WINDOW_S)

        wait("quiet: all is well", self.plan.quiet, until=lambda: False)
        traffic.sampler.changed = True
        changed_ns = time.time_ns()
        wait(f"changed: {CHANGED} in another unit", self.plan.changed, until=lambda: bool(self.told.alarms))
        wait("labels of changed rows arrive", self.plan.settle, until=lambda: False)
        return changed_ns

    @contextmanager
    def _screen(self, traffic: Traffic) -> Iterator[Callable[[str], None]]:
        """A live view on a terminal, one line every few seconds elsewhere."""
        if self.out.is_terminal:
            with Live(console=self.out, auto_refresh=False, screen=False) as live:
                yield lambda _: live.update(view(self.told, traffic, self.progress), refresh=True)
            return
        said = 0.0

        def say(phase: str) -> None:
            nonlocal said
            if time.monotonic() - said >= _LOG_EVERY_S:
                said = time.monotonic()
                self.out.print("   " + one_line(self.told, phase, traffic), highlight=False, soft_wrap=True)

        yield say
        self.out.print(view(self.told, traffic, self.progress))

    def _write(self, parts: Parts, watch: Watch) -> None:
        self.told = watch.ask()
        model = self.told.model
        if model is not None:
            (OUT / "report.html").write_text(watch.report(model["name"], model["version"]), encoding="utf-8")
        metrics = httpx.get(parts.metrics, timeout=10.0, trust_env=False)
        (OUT / "metrics.prom").write_bytes(metrics.content)

    def picture(self, path: Path) -> None:
        """The last terminal view as an SVG file."""
        paper = Console(record=True, width=100, file=StringIO(), force_terminal=True)
        paper.print(view(self.told, self.traffic, self.progress))
        svg = paper.export_svg(title="make demo")
        path.write_text(re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL), encoding="utf-8")  # loads nothing

    def _conclude(self, outcome: Outcome) -> None:
        self.out.print(f"4. the end of the story: {came_in(self.traffic)}")
        for alarm in self.told.alarms:
            self.out.print(Padding(alarm_text(alarm), (0, 0, 0, 3)))
        colour = "green" if outcome.good else "red"
        self.out.print(
            f"   [{colour}]{'as it should be' if outcome.good else 'NOT as it should be'}:[/] {outcome}",
            highlight=False,
        )
        self.out.print("   look at demo-out/report.html (open it in a browser) and demo-out/metrics.prom")


def came_in(traffic: Traffic | None) -> str:
    """How many patients came, and how many a second that was on this machine."""
    if traffic is None:
        return "nobody came in"
    return f"{traffic.sent:,} patients came in, {traffic.per_second:.0f} a second"


if __name__ == "__main__":
    sys.exit(main())
