"""What a change costs the hot paths, two commits side by side: ``make bench-alternate``, with both revisions in ARGS.

    python -m benchmarks.alternate HEAD~1 HEAD
    python -m benchmarks.alternate main --worktree            the files as they are here, committed or not
    python -m benchmarks.alternate HEAD~5 HEAD --runs 15 --json figures.json
    python -m benchmarks.alternate HEAD~1 HEAD --only caller  what an application waits for, and nothing else

In each run both commits get a fresh process on the same core, and these take turns of some hundredths of a second:
before, after, after, before, before ... So drift of the machine, and its other load, fall on both alike. Runs of half
a minute one after another do not have that: on a busy machine their ratios differed by 3 to 6 % for the same commit,
where those of turns differ by 1 %. Times are CPU times; the first run is discarded.

Ratios are to a floor in the same process: protobuf parsing the same bytes for the wire; for the engine numpy counting
as many rows of 25 features, by ``bincount``; for callers of the SDK a call that copies 25 values. The interval is of the median change, by the sign test over runs.
Exit code: 0 when no path got slower by more than it may, 1 where one did, 2 where it could not be measured.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.alternate.checkouts import CannotCompare, find_commit, lay_out_sides, refuse_unmeasured_changes
from benchmarks.alternate.paired import Result, Run, compute_coverage, find_rank
from benchmarks.alternate.sides import alternate, lay_probe

RUNS = 9
TURNS = 30
WARM_UP_TURNS = 2
MUST_PERCENT = 3.0

Results = Mapping[str, Result]


def parse_options(words: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; wrong use ends the program with code 2."""
    parser = build_parser()
    options = parser.parse_args(words)
    if (options.after is None) != options.worktree:
        parser.error("name AFTER, or compare with the files as they are here: --worktree")
    if options.runs < 1:
        parser.error("--runs must be 1 or more")
    if options.json and not options.json.parent.is_dir():
        parser.error(f"--json: there is no folder {options.json.parent}; make it first")
    return options


def build_parser() -> argparse.ArgumentParser:
    """Build the parser; its help is this file's docstring."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.alternate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("before", help="a revision of git")
    parser.add_argument("after", nargs="?", help="another one")
    parser.add_argument("--worktree", action="store_true", help="in place of AFTER")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"{RUNS} unless told")
    parser.add_argument(
        "--must",
        type=float,
        default=MUST_PERCENT,
        help=f"percent by which a path may get slower, {MUST_PERCENT:g} unless told",
    )
    parser.add_argument(
        "--only",
        default="",
        choices=("wire", "engine", "caller"),
        help="measure paths of one kind",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of every run")
    return parser


def run_all(folders: Sequence[Path], runs: int, only: str) -> list[dict[str, Run]]:
    """Run again and again, and say after each run how long the others will take."""
    report_progress("a first run, which is discarded")
    alternate(folders, 0, WARM_UP_TURNS, only)
    began = time.monotonic()
    done: list[dict[str, Run]] = []
    for number in range(runs):
        done.append(alternate(folders, number, TURNS, only))
        each_s = (time.monotonic() - began) / len(done)
        left_s = each_s * (runs - len(done))
        report_progress(f"run {len(done)} of {runs}: {each_s:.0f} s each, {format_seconds(left_s)} left")
    return done


def report_progress(line: str) -> None:
    """Print to where it does not mix with the table."""
    print(line, file=sys.stderr, flush=True)


def format_seconds(seconds: float) -> str:
    """Format for people.

    >>> format_seconds(95), format_seconds(12.3)
    ('1 min 35 s', '12 s')
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def summarize(runs: Sequence[Mapping[str, Run]], must_percent: float) -> Results:
    """Summarize each path over all runs."""
    must = must_percent / 100
    return {path: Result.summarize([run[path] for run in runs], must) for path in runs[0]}


def format_table(results: Results, runs: int) -> list[str]:
    """Format the results for people; the interval's confidence follows from the number of runs."""
    rank = find_rank(runs)
    interval = f"{100 * compute_coverage(runs, rank):.0f} % interval" if rank else "interval"
    heading = f"{'times the floor, CPU':<34}{'before':>9}{'after':>9}{'change':>9}{interval:>19}"
    return [heading, *map(format_row, results, results.values())]


def format_row(path: str, result: Result) -> str:
    """Format one line of the table."""
    interval = "needs six runs"
    if result.interval is not None:
        low, high = result.interval
        interval = f"{low:+.1%} … {high:+.1%}"
    verdict = "met" if result.met else "MISSED"
    figures = f"{result.before:>9.2f}{result.after:>9.2f}{result.change:>+9.1%}"
    return f"{path:<34}{figures}{interval:>19}  {verdict}"


def write_figures(
    target: Path, sides: dict[str, str | None], runs: Sequence[Mapping[str, Run]], results: Results
) -> None:
    """Write everything for machines."""
    paths = {}
    for path, result in results.items():
        of_path = [asdict(run[path]) for run in runs]
        paths[path] = asdict(result) | {"runs": of_path}
    text = json.dumps(sides | {"paths": paths}, indent=1)
    target.write_text(text + "\n", encoding="utf-8")


def compare(options: argparse.Namespace) -> int:
    """Measure, print, write; returns 1 where a path got slower than it may.

    Raises:
        CannotCompare: with its cure.
    """
    before = find_commit(options.before)
    after = None
    if not options.worktree:
        refuse_unmeasured_changes(options.after)
        after = find_commit(options.after)
    with lay_out_sides(before, after) as folders:
        for folder in folders:
            lay_probe(folder)
        runs = run_all(folders, options.runs, options.only)
    results = summarize(runs, options.must)
    print(f"before {before[:10]}, after {after[:10] if after else 'the files as they are here'}")
    print("\n".join(format_table(results, options.runs)))
    if options.json:
        write_figures(options.json, {"before": before, "after": after}, runs, results)
    missed = [result for result in results.values() if not result.met]
    return 1 if missed else 0


def main(words: Sequence[str] | None = None) -> int:
    """Run; returns the exit code. Interrupted or terminated, it cleans up first."""
    options = parse_options(words)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return compare(options)
    except CannotCompare as cannot:
        report_progress(f"alternate: {cannot}")
        return 2
    except KeyboardInterrupt:
        report_progress("alternate: interrupted, nothing is left behind")
        return 130


if __name__ == "__main__":
    sys.exit(main())
