"""`scripts/house.py`: what it counts, on trees small enough to count by hand."""

from __future__ import annotations

import doctest
import json
from pathlib import Path
from types import ModuleType

import pytest
from house import main
from housekeeping import imports, tables, verbs
from housekeeping.figures import count_figures
from housekeeping.house import measure_house
from housekeeping.source import read_package, read_source
from housekeeping.verbs import WORDS, find_first_word, has_verb, is_asked, read_verbs
from tests.scripts.conftest import ROOT, Tree

COUNTED = '''\
"""Strings are no tokens."""

import os  # a comment at the end of a line


@cache(size=2)
def add(a, b):
    """Neither are docstrings."""
    # A comment of its own.
    total = a + b

    def inner():
        return f"{total} {a + b!r:>{b}}"

    return total


class Box:
    x = 1

    @property
    def size(self):
        return 1.5
'''


def test_tokens_lines_comments_and_functions_by_hand(tree: Tree) -> None:
    root = tree({"box.py": COUNTED})
    source = read_source(root, root / "src" / "calidris", root / "src" / "calidris" / "box.py")
    # import os | @ cache ( size = 2 ) | def add ( a , b ) : | total = a + b | def inner ( ) : | return | return total
    # class Box : | x = 1 | @ property | def size ( self ) : | return 1.5
    assert source.tokens == 2 + 7 + 8 + 5 + 5 + 1 + 2 + 3 + 3 + 2 + 6 + 2
    assert source.code_lines == 12
    assert (source.comments, source.length) == (2, 23)
    assert source.lines == 15
    # Decorators stand before a function; what is inside one counts in both.
    assert {(one.name, one.line, one.tokens) for one in source.functions} == {
        ("add", 7, 8 + 5 + 5 + 1 + 2),
        ("add.inner", 12, 5 + 1),
        ("Box.size", 22, 6 + 2),
    }
    assert {one.name: one.decorators for one in source.functions}["add"] == {"cache"}


def test_medians_shares_and_rates_by_hand(tree: Tree) -> None:
    root = tree({"box.py": COUNTED})
    figures = count_figures(read_package(root, "src/calidris"), read_verbs())
    assert figures.sizes == (6, 8, 21)
    assert (figures.median, figures.p90) == (8, 21)
    assert figures.tokens_a_line == pytest.approx(46 / 12)
    assert figures.comments_a_hundred == pytest.approx(200 / 15)
    # `add` is a verb, `inner` is none, and the property is not asked.
    assert (figures.verbs, figures.asked, figures.verb_share) == (1, 2, 50.0)


def test_nothing_to_count_is_no_figure(tree: Tree) -> None:
    figures = count_figures(read_package(tree({"__init__.py": ""}), "src/calidris"), read_verbs())
    assert figures.files == 1
    assert [figures.median, figures.p90, figures.tokens_a_line] == [None] * 3
    assert [figures.comments_a_hundred, figures.verb_share] == [None] * 2


def test_generated_files_and_tests_are_left_out(tree: Tree) -> None:
    code = "def f():\n    return 1\n"
    house = measure_house(tree({"a.py": code, "semconv.py": code, "p/x_pb2.py": code, "p/tests/test_a.py": code}))
    assert [source.place for source in house.sources] == ["a.py"]


def test_a_long_file_without_a_comment_is_silent(tree: Tree) -> None:
    long, short = "x = 1\n" * 120, "x = 1\n" * 119
    house = measure_house(tree({"p/a.py": long, "p/b.py": short, "p/c.py": long + "# why\n"}))
    assert [source.place for source in house.sources if source.is_silent] == ["p/a.py"]


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("read", "read"),
        ("_read_alone", "read"),
        ("readAlone", "read"),
        ("Export", "export"),
        ("HTTPServer", "http"),
        ("f64", "f"),
        ("_", ""),
    ],
)
def test_the_first_word_of_a_name(name: str, word: str) -> None:
    assert find_first_word(name) == word


VERBS = {
    "read_rows": True,
    "_restore": True,
    "is_open": True,
    "may_wait": True,
    "to_bytes": True,
    "from_json": True,
    "record": True,
    "rows_of": False,
    "_found": False,
    "reading": False,
    "share_interval": False,
}


def test_which_names_begin_with_a_verb(tree: Tree) -> None:
    root = tree({"a.py": "\n".join(f"def {name}(): ..." for name in VERBS)})
    functions = read_package(root, "src/calidris")[0].functions
    assert {one.name: has_verb(one, read_verbs()) for one in functions} == VERBS


def test_whose_name_is_not_asked(tree: Tree) -> None:
    text = """\
class A:
    def __len__(self): ...
    @property
    def size(self): ...
    @size.setter
    def size(self, value): ...
    @functools.cached_property
    def width(self): ...
    @staticmethod
    def height(): ...
def test_it_holds(): ...
def _(): ...
"""
    functions = read_package(tree({"a.py": text}), "src/calidris")[0].functions
    assert [one.name for one in functions if is_asked(one)] == ["A.height"]


def test_the_list_of_verbs_is_one_word_a_line_sorted_in_each_part() -> None:
    for part in WORDS.read_text().split("\n\n"):
        words = [line for line in part.splitlines() if not line.startswith("#")]
        assert words == sorted(set(words))
        assert all(word.isascii() and word.isalpha() and word.islower() for word in words)
    assert not {"found", "loaded", "reading", "of", "by", "share"} & read_verbs()


@pytest.mark.parametrize("module", [imports, tables, verbs])
def test_examples_in_docstrings(module: ModuleType) -> None:
    assert doctest.testmod(module).attempted
    assert not doctest.testmod(module).failed


def test_cycles_count_imports_that_run_and_those_for_types_apart(tree: Tree) -> None:
    for_types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from calidris.{} import x\n"
    house = measure_house(
        tree(
            {
                "__init__.py": "",
                "p/__init__.py": "",
                "p/a.py": "from calidris.p import b",
                "p/b.py": "import calidris.p.a",
                "p/c.py": "from calidris.q.d import x",
                "q/d.py": for_types.format("p.c"),
                "q/e.py": "def f():\n    from calidris.q import f\n",
                "q/f.py": "from calidris.q.e import f\n",
            }
        )
    )
    run, types = [["calidris.p.a", "calidris.p.b"]], [["calidris.p.c", "calidris.q.d"]]
    assert house.cycles["modules"] == run
    assert house.cycles["modules_with_types"] == run + types
    # What lies in one folder is no cycle of folders.
    assert house.cycles["packages"] == house.cycles["folders"] == []
    assert house.cycles["packages_with_types"] == house.cycles["folders_with_types"] == [["p", "q"]]


def test_a_package_may_stand_above_and_below_its_folders_but_no_module_of_it_both(tree: Tree) -> None:
    above_and_below = {
        "p/core.py": "from calidris.p.inner.a import x",
        "p/base.py": "x = 1",
        "p/inner/a.py": "from calidris.p.base import x",
        "p/inner/b.py": "",
    }
    assert measure_house(tree(above_and_below)).cycles["folders"] == []
    house = measure_house(tree({"p/inner/b.py": "from calidris.p.core import x"}))
    assert house.cycles["modules"] == []
    assert house.cycles["folders"] == [["calidris.p.core", "p/inner"]]
    assert house.cycles["packages"] == []
    house = measure_house(tree({"p/inner/b.py": "", "p/other/a.py": "from calidris.p.inner.a import x"}))
    assert house.cycles["folders"] == []
    house = measure_house(tree({"p/inner/b.py": "from calidris.p.other.b import x", "p/other/b.py": ""}))
    assert house.cycles["folders"] == [["p/inner", "p/other"]]


def test_a_name_that_a_generated_module_gives_does_not_lead_to_the_door(tree: Tree) -> None:
    house = measure_house(
        tree(
            {
                "__init__.py": "from calidris.p.a import x",
                "semconv.py": "X = 1",
                "p/a.py": "from calidris import semconv",
            }
        )
    )
    assert house.cycles["modules_with_types"] == house.cycles["packages_with_types"] == []


def test_names_that_stand_in_several_folders(tree: Tree) -> None:
    names = ["p/rules.py", "q/rules.py", "q/in/rules.py", "p/a.py", "q/b.py"]
    names += ["p/__init__.py", "q/__init__.py", "p/__main__.py", "q/__main__.py"]
    house = measure_house(tree(dict.fromkeys(names, "")))
    assert house.shared == {"rules.py": ["p", "q", "q/in"]}


def test_small_modules_with_one_importer(tree: Tree) -> None:
    house = measure_house(
        tree(
            {
                "p/user.py": "from calidris.p.only import x\nfrom calidris.p.both import y\nfrom calidris.p.long import z",
                "p/more.py": "from calidris.p.both import y",
                "p/only.py": "x = 1",
                "p/both.py": "y = 1",
                "p/long.py": "z = 1\n" * 110,
                "q/user.py": "def late():\n    from calidris.q.only import x\n",
                "q/only.py": "x = 1",
                "r/user.py": "from calidris.q.only import x",
            }
        )
    )
    assert [(str(one), one.inside_only) for one in house.lone] == [
        ("calidris.p.only <- calidris.p.user", True),
        ("calidris.q.only <- calidris.q.user", False),
    ]


def test_a_door_is_no_importer_but_who_comes_through_it_is(tree: Tree) -> None:
    house = measure_house(
        tree(
            {
                "p/__init__.py": "from calidris.p.a import x\nfrom calidris.p.b import y\nfrom calidris.p.c import z",
                "p/a.py": "x = 1",
                "p/b.py": "y = 1",
                "p/c.py": "z = 1",
                "p/user.py": "from calidris.p.a import x\nfrom calidris.p import y",
                "q/__init__.py": "from calidris.p import y",
            }
        )
    )
    # `c` is passed on and used by nobody; `b` is used through the door by a sibling, and by another package.
    assert [(str(one), one.inside_only) for one in house.lone] == [
        ("calidris.p.a <- calidris.p.user", True),
        ("calidris.p.b <- calidris.p.user", False),
    ]


def test_files_are_counted_by_folder_in_the_package_and_in_the_tests(tree: Tree) -> None:
    files = ["a.py", "p/__init__.py", "p/a.py", "p/in/b.py", "tests/conftest.py", "tests/p/test_a.py"]
    house = measure_house(tree(dict.fromkeys(files, "")))
    assert house.folders == {
        "src/calidris": 1,
        "src/calidris/p": 2,
        "src/calidris/p/in": 1,
        "tests": 1,
        "tests/p": 1,
    }
    assert list(house.rows) == [".", "p", "p/in", "total"]
    assert {name: figures.files for name, figures in house.figures.items()} == {".": 1, "p": 3, "p/in": 1, "total": 4}


def test_another_checkout_is_measured_and_compared(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    root = tree({"p/a.py": "def f():\n    return 1\n"})
    assert main(["--root", str(root), "--json"]) == 0
    before = root / "before.json"
    before.write_text(capsys.readouterr().out)
    assert json.loads(before.read_text())["packages"]["p"]["median"] == 7
    tree({"p/a.py": "def find(a):\n    return a\n", "q/a.py": ""})
    assert main(["--root", str(root), "--compare", str(before)]) == 0
    shown = capsys.readouterr().out
    table = [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown.splitlines() if line.startswith("|")]
    rows = {cells[0]: cells[1:] for cells in table}
    titles = rows["package"]
    assert rows["p"][titles.index("median")] == "7 → 8"
    assert rows["p"][titles.index("verbs %")] == "0.0 → 100.0"
    assert rows["p"][titles.index("files")] == "1"
    assert rows["q"][titles.index("files")] == "– → 1"
    assert rows["total"][titles.index("shared")] == "0 → 2"
    assert rows["file names that stand in several folders"] == ["0 → 1"]


@pytest.mark.parametrize("text", ["", "[]", '{"packages": {}}'])
def test_what_is_no_report_is_said_to_be_none(
    tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    root = tree({"a.py": ""})
    (tmp_path / "before.json").write_text(text)
    assert main(["--root", str(root), "--compare", str(tmp_path / "before.json")]) == 1
    assert "before.json is not what house.py --json writes" in capsys.readouterr().err


def test_what_cannot_be_measured_is_said(tree: Tree, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(tmp_path / "nowhere")]) == 1
    assert "is no folder" in capsys.readouterr().err
    assert main(["--root", str(tree({"a.py": "def"}))]) == 1
    assert "a.py" in capsys.readouterr().err


def test_the_help_teaches_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    for option in (
        "--root",
        "--json",
        "--compare",
        "--take",
        "--loosen",
        "--why",
        "--moved",
        "known_files",
        "exceptions",
    ):
        assert option in shown


def test_the_script_is_within_the_rules_it_holds_others_to() -> None:
    sources = read_package(ROOT, "scripts/housekeeping")
    sources.append(read_source(ROOT, ROOT / "scripts", ROOT / "scripts" / "house.py"))
    for source in sources:
        assert source.tokens_a_line <= 8, source.path
        assert [one.name for one in source.functions if one.tokens > 150] == []
        named = [one for one in source.functions if is_asked(one) and one.name != "main"]
        assert [one.name for one in named if not has_verb(one, read_verbs())] == []
