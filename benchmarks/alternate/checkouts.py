"""The code of the two sides: two commits, or a commit and the working tree, in temporary folders."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEASURED = ("src", "benchmarks")


class CannotCompare(Exception):
    """What is wrong, and its cure."""


def run_git(*words: str) -> bytes:
    """Run git in the repository; returns its output.

    Raises:
        CannotCompare: it refused, or is not there.
    """
    try:
        ran = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=False)
    except FileNotFoundError as missing:
        raise CannotCompare("there is no git on the path: install it, commits come from it") from missing
    if ran.returncode:
        raise CannotCompare(f"git {words[0]}: {ran.stderr.decode().strip()}")
    return ran.stdout


def find_commit(revision: str) -> str:
    """Find the hash of a revision.

    Raises:
        CannotCompare: there is none.
    """
    wanted = f"{revision}^{{commit}}"
    try:
        found = run_git("rev-parse", "--verify", "--quiet", "--end-of-options", wanted)
    except CannotCompare as refused:
        raise CannotCompare(
            f"git knows no revision {revision!r} in {ROOT}: "
            "`git log --oneline --all` lists those that are here, `git fetch --all` brings the others"
        ) from refused
    return found.decode().strip()


def refuse_unmeasured_changes(revision: str) -> None:
    """Refuse HEAD, by whatever name but its hash, where there are changes beside it that would not be measured.

    Raises:
        CannotCompare: there are such changes.
    """
    commit = find_commit(revision)
    by_hash = commit.startswith(revision)
    if by_hash or commit != find_commit("HEAD"):
        return
    changed = run_git("status", "--porcelain", "--", *MEASURED).splitlines()
    if changed:
        raise CannotCompare(
            f"what is changed in {' and '.join(MEASURED)} (files: {len(changed)}) is no part of {revision}: "
            f"commit it, measure it with --worktree, or leave it out by naming the commit, {commit[:10]}"
        )


@contextmanager
def lay_out_sides(before: str, after: str | None) -> Iterator[tuple[Path, Path]]:
    """Lay both sides out in temporary folders, which are removed whatever happens.

    They are copies and not worktrees of git: even where this process is killed, nothing stays in the repository.

    Args:
        before: a commit.
        after: a commit; None for the working tree as it is now.
    """
    with tempfile.TemporaryDirectory(prefix="calidris-alternate-") as home:
        # Names of one length: what depends on the length of a path is the same on both sides.
        old = Path(home, "old")
        new = Path(home, "new")
        extract_commit(before, old)
        if after is None:
            copy_working_tree(new)
        else:
            extract_commit(after, new)
        yield old, new


def extract_commit(commit: str, folder: Path) -> None:
    """Write the files of a commit into a folder."""
    packed = run_git("archive", "--format=zip", commit)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(folder)


def copy_working_tree(folder: Path) -> None:
    """Write what is measured into a folder, as it is in the working tree; later edits do not disturb the runs."""
    compiled = shutil.ignore_patterns("__pycache__")
    for name in MEASURED:
        shutil.copytree(ROOT / name, folder / name, ignore=compiled)
