"""Two commits that take turns: the arithmetic, the order, the folders and the errors; no timings."""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from benchmarks import engine_sink
from benchmarks.alternate import __main__ as command
from benchmarks.alternate import callers, checkouts, hot_paths, sides
from benchmarks.alternate.checkouts import CannotCompare
from benchmarks.alternate.paired import Result, Run, Timing, Turn, compute_coverage, find_interval, find_rank

CHANGES = [0.05, 0.01, 0.02, -0.01, 0.03, 0.04, 0.06, 0.00, 0.02]


# ---- arithmetic


def test_a_turn_is_the_mean_of_its_calls_beside_its_best_floor() -> None:
    timing = Timing.summarize(calls_ns=[20.0, 22.0, 30.0], floors_ns=[4.0, 3.0, 9.0])
    assert timing == Timing(call_ns=24.0, floor_ns=3.0)
    assert timing.ratio == 8.0


def test_a_change_is_that_of_calls_over_that_of_floors() -> None:
    before = Timing(100.0, 10.0)
    turns = [Turn(before, Timing(call, floor)) for call, floor in ((110.0, 10.0), (220.0, 20.0), (108.0, 9.0))]
    run = Run.summarize(turns)
    # Calls 1.10, 2.20 and 1.08 times as long, floors 1.0, 2.0 and 0.9 times: one turn disturbed altogether.
    assert run == Run(before=10.0, after=11.0, change=pytest.approx(0.10))


def test_the_machine_s_speed_is_no_change() -> None:
    turns = [Turn(Timing(100.0 * slow, 10.0 * slow), Timing(103.0 * slow, 10.0 * slow)) for slow in (1.0, 1.4, 3.0)]
    assert Run.summarize(turns).change == pytest.approx(0.03)


def test_the_interval_of_nine_runs_leaves_out_one_at_each_end() -> None:
    assert find_rank(9) == 2
    assert find_interval(CHANGES) == (0.00, 0.05)
    assert compute_coverage(9, 2) == pytest.approx(1 - 20 / 512)
    assert compute_coverage(9, 3) < 0.95


def test_fewer_than_six_runs_have_no_interval() -> None:
    assert [find_rank(n) for n in range(1, 7)] == [0, 0, 0, 0, 0, 1]
    assert find_interval(CHANGES[:5]) is None


@pytest.mark.parametrize(("must", "met"), [(0.02, True), (0.0199, False), (-0.01, False)])
def test_the_median_decides(must: float, met: bool) -> None:
    runs = [Run(10.0, 10.0 * (1 + change), change) for change in CHANGES]
    result = Result.summarize(runs, must)
    assert (result.before, result.after, result.change) == (10.0, pytest.approx(10.2), 0.02)
    assert result.met is met


def test_the_table_says_what_was_missed() -> None:
    results = {
        "wire, packed": Result(20.0, 20.2, 0.01, (-0.002, 0.02), met=True),
        "engine, packed": Result(30.0, 31.5, 0.05, None, met=False),
    }
    heading, wire, engine = command.format_table(results, 9)
    assert heading.split() == ["times", "the", "floor,", "CPU", "before", "after", "change", "96", "%", "interval"]
    assert wire.split() == ["wire,", "packed", "20.00", "20.20", "+1.0%", "-0.2%", "…", "+2.0%", "met"]
    assert engine.endswith("+5.0%     needs six runs  MISSED")


# ---- the order


def test_sides_alternate_as_a_b_b_a() -> None:
    said: list[str] = []

    class Said:
        def __init__(self, name: str) -> None:
            self.name = name

        def measure(self, path: str) -> Timing:
            said.append(f"{self.name} {path}")
            return Timing(2.0 if self.name == "A" else 3.0, 1.0)

    by_side = {sides.AFTER: Said("B"), sides.BEFORE: Said("A")}
    turns = [sides.take_turns(by_side, number, ["wire", "engine"]) for number in range(3)]
    wire = [line.split()[0] for line in said if line.endswith("wire")]
    assert "".join(wire) == "ABBAAB"
    assert said[:4] == ["A wire", "B wire", "A engine", "B engine"]
    # Whoever was first: each figure stands on its own side.
    assert all(turn["wire"] == Turn(before=Timing(2.0, 1.0), after=Timing(3.0, 1.0)) for turn in turns)


# ---- what is measured


def test_no_request_is_a_repeat_which_the_engine_would_leave_out(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[list[engine_sink.Received]] = []
    monkeypatch.setattr(engine_sink, "make_sink", lambda: taken.append)
    turns = hot_paths.apply_turns("packed 4 x 512", together=2)
    for turn in itertools.islice(turns, 2):
        hot_paths.measure_turn(turn)
    items = list(itertools.chain.from_iterable(taken))
    assert [item.seq for item in items] == list(range(1, 2 * 2 * hot_paths.APPLIED + 1))
    spans = [span for item in items for span in item.decoded.span_hashes.tolist()]
    assert len(spans) == 4 * len(items) == len(set(spans))
    assert {item.rows for item in items} == {2048}


def test_a_turn_leaves_its_first_pair_out() -> None:
    calls: list[str] = []
    pair = hot_paths.Pair(lambda: calls.append("floor"), 2, lambda: calls.append("call"))
    measured = hot_paths.measure_turn([pair] * 3)
    assert {name: len(times) for name, times in measured.items()} == {"floors_ns": 2, "calls_ns": 2}
    assert calls == ["floor", "floor", "call"] * 3


def test_every_form_that_is_measured_is_one() -> None:
    assert {*hot_paths.WIRE, *hot_paths.ENGINE} <= set(hot_paths.FORMS)


# ---- folders


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, in which ``src/one.py`` says 1."""
    root = tmp_path / "repository"
    write(root / "src" / "one.py", "1")
    write(root / "benchmarks" / "two.py", "2")
    for words in ("init -q", "add .", "-c user.name=a -c user.email=a@example.org commit -qm one"):
        subprocess.run(["git", *words.split()], cwd=root, check=True)
    monkeypatch.setattr(checkouts, "ROOT", root)
    return root


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_sides_are_the_commit_and_the_working_tree(repository: Path, temporary: Path) -> None:
    write(repository / "src" / "one.py", "changed")
    write(repository / "src" / "new.py", "not in git yet")
    with checkouts.lay_out_sides(checkouts.find_commit("HEAD"), None) as (old, new):
        assert (old / "src" / "one.py").read_text() == "1"
        assert (new / "src" / "one.py").read_text() == "changed"
        assert (new / "src" / "new.py").exists() and (new / "benchmarks" / "two.py").exists()
        assert len(str(old)) == len(str(new))
    assert not list(temporary.iterdir())


def test_an_older_checkout_gets_the_probe(repository: Path, temporary: Path) -> None:
    commit = checkouts.find_commit("HEAD")
    with checkouts.lay_out_sides(commit, commit) as (old, _):
        sides.lay_probe(old)
        assert (old / sides.PROBE).read_text() == Path(hot_paths.__file__).read_text()
        assert (old / sides.CALLERS).read_text() == Path(callers.__file__).read_text()


@pytest.fixture
def handlers() -> Iterator[None]:
    """The command answers SIGTERM for as long as it runs; what answers it here comes back."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_no_folder(
    number: signal.Signals,
    repository: Path,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    there: list[bool] = []

    def interrupt(folders: Sequence[Path], runs: int, only: str) -> None:
        there.extend(folder.exists() for folder in folders)
        os.kill(os.getpid(), number)

    monkeypatch.setattr(command, "run_all", interrupt)
    assert command.main(["HEAD", "--worktree"]) == 130
    assert there == [True, True]
    assert not list(temporary.iterdir())
    assert "nothing is left behind" in capsys.readouterr().err


# ---- errors


@pytest.mark.usefixtures("handlers", "repository")
def test_an_unknown_revision_is_named_with_its_cure(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["no-such-branch", "HEAD"]) == 2
    said = capsys.readouterr().err
    assert "git knows no revision 'no-such-branch'" in said
    assert "`git fetch --all`" in said


def test_changes_that_would_not_be_measured_are_refused(repository: Path) -> None:
    checkouts.refuse_unmeasured_changes("HEAD")
    write(repository / "notes.txt", "not measured anyway")
    checkouts.refuse_unmeasured_changes("HEAD")
    write(repository / "src" / "one.py", "changed")
    with pytest.raises(CannotCompare, match=re.escape("commit it, measure it with --worktree, or leave it out")):
        checkouts.refuse_unmeasured_changes("HEAD")
    by_hash = checkouts.find_commit("HEAD")[:10]
    checkouts.refuse_unmeasured_changes(by_hash)


@pytest.mark.parametrize("words", [["HEAD"], ["HEAD", "HEAD", "--worktree"], ["HEAD", "HEAD", "--runs", "0"]])
def test_wrong_use_is_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(words)
    assert ended.value.code == 2


def test_a_commit_without_the_names_is_told_what_it_needs(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    sides.lay_probe(old)
    with sides.Side(old, seed=0) as side, pytest.raises(CannotCompare) as cannot:
        side.wait_until_ready()
    assert "the old commit cannot be measured: " in str(cannot.value)
    assert "lists the names that a commit must have" in str(cannot.value)


@pytest.mark.parametrize(
    ("error", "cure"),
    [
        ("ModuleNotFoundError: No module named 'numpy'", "make setup"),
        ("ModuleNotFoundError: No module named 'calidris.wire'", "docstring"),
        ("ImportError: cannot import name 'stream' from 'benchmarks.payloads'", "docstring"),
        ("KeyError: 'packed and labels'", "docstring"),
    ],
)
def test_what_ended_a_process_has_a_cure(error: str, cure: str) -> None:
    assert cure in sides.find_cure(error)
