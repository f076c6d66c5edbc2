"""How pieces are read from pages and code, and what a docstring may speak of."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.docs.files import anchors
from tests.docs.modules import Module
from tests.docs.reading import fences, links, pieces

PAGE = Path("docs/page.md")
CODE = Path("src/calidris/code.py")

PAGES = {
    "a `b` c `d`": ["1 b", "1 d"],
    "x\ny `a\n  b` z\n": ["2 a b"],
    "``a`b`` and `c`": ["1 a`b", "1 c"],
    "a \\`b\\` `c`": ["1 c"],
    "one ` alone\n\nand `b`": ["3 b"],
    "```\n`a`\n```\n\n`b`\n": ["5 b"],
    "~~~yaml\n`a`\n~~~\n`b`\n": ["4 b"],
    "````\n```\n`a`\n```\n````\n`b`\n": ["6 b"],
    "<!-- `a` -->`b`": ["1 b"],
    "| `a` | `b\\|c` |\n|---|---|\n| `d` | |": ["1 a", "1 b\\|c", "3 d"],
    "- `a` b\n- c `d`\n": ["1 a", "2 d"],
}


def read(path: Path, text: str) -> list[str]:
    found = []
    for piece in pieces(path, text):
        found.append(f"{piece.line} {piece.text}")
    return found


@pytest.mark.parametrize("text", PAGES)
def test_pieces_of_a_page(text: str) -> None:
    assert read(PAGE, text) == PAGES[text]


def test_pieces_of_code() -> None:
    text = '''"""A ``b`` and `c`.

And ``d
e``."""

X = "`no`"
"""``f``"""


def g():
    """:func:`h`"""
    # i `j
    # k` l
    return 1  # `m`
'''
    found = read(CODE, text)
    assert sorted(found) == [
        "1 b",
        "1 c",
        "11 h",
        "12 j k",
        "14 m",
        "3 d e",
        "7 f",
    ]


def test_a_file_of_settings() -> None:
    found = read(Path("Makefile"), "a: b\n\n# `c`\n")
    assert found == ["3 c"]


def test_folders_that_are_named_beside_a_piece() -> None:
    first, second = pieces(PAGE, "`engine/a.py` and `b.py`\n")
    (third,) = pieces(PAGE, "`c.py`")
    assert first.near == second.near == ("engine",)
    assert third.near == ()


def test_links_and_fences() -> None:
    text = """[a](b.md#c) ![d](e.svg) `[no](no.md)`

[f]: g.md

```sh
[no](no.md)
```
"""
    found = [(link.line, link.text) for link in links(PAGE, text)]
    assert found == [
        (1, "b.md#c"),
        (1, "e.svg"),
        (3, "g.md"),
    ]
    (fence,) = fences(PAGE, text)
    assert fence == (PAGE, 6, "sh", "[no](no.md)\n")


def test_anchors(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    text = "# Where to\n\n## `ml.window`: [a](b.md) & c\n## Twice\n## Twice\n```\n# no\n```\n"
    page.write_text(text, encoding="utf-8")
    assert anchors(page) == {
        "where-to",
        "mlwindow-a--c",
        "twice",
        "twice-1",
    }


def test_what_a_docstring_may_speak_of() -> None:
    """A local variable is known where it is used only, so that a renamed one does not hide behind another function's."""
    text = '''"""Module."""

A = 1


def f(b):
    """Says."""
    c = b
    return c.d


def g(e):
    """Says."""
    return "text"
'''
    module = Module(CODE, "calidris.code", text)
    everywhere = {"A", "f", "b", "g", "e", "text"}
    of_f = everywhere | {"c", "d"}
    assert module.spoken(1) == of_f
    assert module.spoken(7) == of_f
    assert module.spoken(13) == everywhere
