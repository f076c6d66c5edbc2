"""Search for requests that break a promise: ``python -m fuzz [--seconds 60] [--keep]``; needs atheris (Linux).

It begins with the corpus and mutates what reaches new code. A find is written to ``fuzz-finds/`` and ends the run with an
error: put it into ``fuzz/corpus`` under a name that says what it is, and mend the code.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["calidris"], enable_loader_override=False):
    from fuzz.target import Target

from fuzz.seeds import CORPUS

_LARGEST_BYTES = 8192
_HANG_S = 20  # of wall time, on a machine that is busy with other things


def main() -> None:
    """Run libFuzzer."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Look for requests that break a promise.")
    parser.add_argument("--seconds", type=int, default=60, help="how long to search (default: 60)")
    parser.add_argument("--seed", type=int, default=0, help="0 takes another one each time (default: 0)")
    parser.add_argument("--keep", action="store_true", help="add inputs that reach new code to fuzz/corpus")
    parser.add_argument("--finds", type=Path, default=Path("fuzz-finds"), help="where finds go (default: fuzz-finds)")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    args.finds.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        corpora = [str(CORPUS)] if args.keep else [scratch, str(CORPUS)]
        options = [
            f"-max_total_time={args.seconds}", f"-seed={args.seed}", f"-max_len={_LARGEST_BYTES}", f"-timeout={_HANG_S}",
            f"-artifact_prefix={args.finds}{os.sep}", "-rss_limit_mb=1024", "-print_final_stats=1",
        ]  # fmt: skip
        target = Target()
        atheris.Setup([sys.argv[0], *options, *corpora], lambda raw: target(raw) and None)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
