"""How dense the source tree is, by package; and whether a package got denser than it was when that was taken.

    python scripts/house.py                            the table, the offenders, the check (what `make check` runs)
    python scripts/house.py --json > before.json       the figures for machines; nothing is checked
    python scripts/house.py --compare before.json      before and after side by side, as a table for an issue
    python scripts/house.py --root ../other            another checkout, held against its own scripts/house.json

The check holds src/calidris to rules and to a ratchet. Rules, whatever was taken:

  - no import cycle between modules, imports for type checkers included;
  - at most 17 Python files of its own in a folder of src/calidris and of tests;
  - in a file that is not in the ratchet's known_files: at most 150 tokens a function, 8 tokens a code line on average
    (an `__init__` may have more a line: it is a list of names).

The ratchet, scripts/house.json, holds the figures of each top-level package as they were taken; none may get worse:

    python scripts/house.py --take                                   take what became better; the first time, everything
    python scripts/house.py --take --loosen engine --why "reason"    take what became worse too; the reason is kept
    python scripts/house.py --take --moved src/calidris/a.py src/calidris/b/a.py
                                                                     a known file, or folder, stays known where it is now

So that a small honest addition does not fail a small package, its two longest functions, 100 tokens, one comment and
two names are forgiven; always against what was taken, so the same is not forgiven twice. An exception from a rule is
written into scripts/house.json by hand, under exceptions, and fails once it has no reason or excuses nothing:

    {"rule": "function", "place": "src/calidris/engine/core.py Engine.apply", "allowed": 180, "reason": "one loop"}
    {"rule": "line", "place": "src/calidris/engine/core.py", "allowed": 9.5, "reason": "formulas as in the paper"}
    {"rule": "folder", "place": "tests/engine", "allowed": 19, "reason": "one file a state"}

Exit code: 0 when all is well, 1 with what, how much, what is allowed and the cure on standard error, 2 for wrong use.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from housekeeping.house import House, measure_house
from housekeeping.ratchet import CannotTake, Move, move_known, read_ratchet, take_again, take_first
from housekeeping.report import describe_house, read_report
from housekeeping.rules import find_faults
from housekeeping.tables import show_comparison, show_report

ROOT = Path(__file__).resolve().parent.parent
DATA = Path("scripts", "house.json")
HOW_TO_TAKE = f"Take the figures once and check them in: python scripts/house.py --take (it writes {DATA})."


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; wrong use ends the program with code 2."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    needs_take = options.loosen or options.moved
    if needs_take and not options.take:
        parser.error("--loosen and --moved go with --take")
    if bool(options.loosen) != bool(options.why.strip()):
        parser.error("--loosen and --why go together")
    return options


def build_parser() -> argparse.ArgumentParser:
    """Build the parser; its help is this file's docstring."""
    parser = argparse.ArgumentParser(
        prog="house.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=ROOT,
        help="the checkout to measure, this one by default",
    )
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--json", action="store_true", help="print the figures as JSON")
    modes.add_argument("--compare", type=Path, metavar="JSON", help="print before and after; JSON is from --json")
    modes.add_argument("--take", action="store_true", help=f"write {DATA}")
    add_options_of_take(parser)
    return parser


def add_options_of_take(parser: argparse.ArgumentParser) -> None:
    """Add what only ``--take`` understands."""
    taking = parser.add_argument_group("with --take")
    taking.add_argument("--loosen", action="append", default=[], metavar="PACKAGE", help="take it although it is worse")
    taking.add_argument("--why", default="", help="the reason for --loosen")
    taking.add_argument(
        "--moved",
        action="append",
        default=[],
        nargs=2,
        metavar=("OLD", "NEW"),
        help="a known file or folder, and where it is now",
    )


def take(house: House, data: Path, options: argparse.Namespace) -> None:
    """Write the ratchet anew.

    Raises:
        CannotTake: with what to do; nothing is written then.
    """
    if data.exists():
        held = read_ratchet(data)
        paths = {source.path for source in house.sources}
        for old, new in options.moved:
            held = move_known(held, Move(old, new), paths)
        taken = take_again(house, held, set(options.loosen), options.why)
    elif options.loosen or options.moved:
        raise CannotTake(f"{data} is not there. {HOW_TO_TAKE}")
    else:
        taken = take_first(house)
    data.write_text(taken.to_json(), encoding="utf-8")
    print(f"{data}: taken")


def check(house: House, data: Path) -> int:
    """Print the report, and what is wrong; returns the exit code."""
    report = describe_house(house)
    print(show_report(report), flush=True)
    if not data.exists():
        print(f"\n{data} is not there. {HOW_TO_TAKE}", file=sys.stderr)
        return 1
    faults = find_faults(house, read_ratchet(data))
    for fault in faults:
        print(f"\n{fault}", file=sys.stderr)
    return 1 if faults else 0


def run(options: argparse.Namespace) -> int:
    """Do what the options say; returns the exit code."""
    house = measure_house(options.root)
    data = options.root / DATA
    if options.take:
        take(house, data, options)
    elif options.json:
        print(describe_house(house).to_json())
    elif options.compare:
        before = read_report(options.compare)
        print(show_comparison(before, describe_house(house)))
    else:
        return check(house, data)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script; an error is a line that says what to do, not a traceback."""
    options = parse_options(arguments)
    try:
        return run(options)
    except (CannotTake, OSError, SyntaxError, ValueError) as error:
        print(f"house.py: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
