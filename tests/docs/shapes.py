"""What is put together of names: calls, settings with a value, templates, expressions, formulas. Its names must resolve."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from tests.docs import names
from tests.docs.project import Outcome, Project, Stale
from tests.docs.reading import Piece

# Values of JSON and YAML, of floats, and schemes of URLs.
_VALUES = frozenset(
    {
        "Infinity",
        "NaN",
        "NaT",
        "false",
        "http",
        "https",
        "no",
        "null",
        "true",
        "yes",
    }
)
_MATHEMATICS = frozenset(["cov", "exp", "kl", "log", "logit", "max", "min", "rint", "sd", "sqrt", "var"])
_CALL = re.compile(r"([^\W\d][\w.]*)\(.*\)")
_ASSIGNED = re.compile(r"([^\W\d][\w.]*) ?=(?!=)")
_KEY = re.compile(r"([A-Za-z_][\w.-]*): \S")
_HEADER = re.compile(r"(?:[A-Z][a-z]+-?)+")
_MAPPING = re.compile(r"\{[\"\w. |]+:")
_TEMPLATE = re.compile(r"[\w .{}-]*\{[\w. ]+\}[\w .{}-]*")
_PHRASE = re.compile(r"[a-z]{2,}(?: [a-z]{2,})+")
# In a formula a letter may have a word as its index, and a word a letter: F_window, rate_a.
_INDEXED = re.compile(r"[^\W\d_]_\w+|[^\W_]+_\w")
# In a formula nobody knows which words are names. These could be nothing else.
_SURELY_A_NAME = re.compile(
    r"""
    (?<![\w.])
    (?:[a-z]\w*\.)*
    (?: [a-z]{2,}(?:_[a-z]{2,})+
      | [A-Z][A-Z0-9_]{3,}
      | (?:[A-Z][a-z]+){2,}
    )
    (?!\w)
    """,
    re.VERBOSE,
)


def literal(piece: Piece, project: Project) -> Outcome:
    """Numbers, sizes, addresses, quoted text: what begins with none of a name's characters."""
    begins = re.match(r"[\d.:]+\S*$|[\"'\[<>=~$*?|]", piece.text)
    return "literal" if begins or piece.text in _VALUES else None


def mapping(piece: Piece, project: Project) -> Outcome:
    """``{key: value}``: data on the wire. Its dotted keys must be known, others may be anybody's features."""
    if not _MAPPING.match(piece.text):
        return None
    keys = re.findall(r"([a-z]\w*(?:\.\w+)+)\"?:", piece.text)
    return _first_stale(keys, piece, project) or "literal"


def template(piece: Piece, project: Project) -> Outcome:
    """``{name}.distance``, ``predict {model}``: some text of the code has what stands around the braces."""
    if not _TEMPLATE.fullmatch(piece.text):
        return None
    texts = project.source.strings.union(project.vocabulary.registry)
    for around in re.split(r"\{[^}]*\}", piece.text):
        if len(around) > 1 and not any(around in text for text in texts):
            return Stale(f"no text of the code has `{around}`")
    return "template"


def setting(piece: Piece, project: Project) -> Outcome:
    """``key: value``: a piece of configuration; else the code must know the key."""
    found = _KEY.match(piece.text)
    if not found:
        return None
    key = found[1]
    if project.settings.has(key):
        wrong = project.settings.wrong(_yaml(piece.text))
        return Stale(f"no setting takes `{wrong}`") if wrong else "setting"
    if key in project.settings.kinds:
        return "setting"
    if _HEADER.fullmatch(key):
        return names.header(key, project)
    return _first_stale([key], piece, project) or "key"


def _yaml(text: str) -> object:
    try:
        return YAML(typ="safe").load(text)
    except YAMLError:
        return None


def assigned(piece: Piece, project: Project) -> Outcome:
    """``name=value``: an argument, an attribute on the wire, a field of a file; one letter is a formula's."""
    found = _ASSIGNED.match(piece.text)
    if not found or names.SYMBOL.fullmatch(found[1]):
        return None
    name = found[1]
    source = project.source
    if name in source.parameters or name in source.strings:
        return "argument"
    if any(piece.text in text for text in source.strings):
        return "text of the code"
    return _first_stale([name], piece, project) or "argument"


def call(piece: Piece, project: Project) -> Outcome:
    """``name(...)``: the name, and the names in the brackets where it is Python."""
    found = _CALL.fullmatch(piece.text)
    if not found or names.SYMBOL.fullmatch(found[1]) or found[1] in _MATHEMATICS:
        return None
    wrong = _first_stale([found[1]], piece, project)
    return wrong or expression(piece, project) or "call"


def expression(piece: Piece, project: Project) -> Outcome:
    """An expression of Python: its names that have a dot, a capital or several words."""
    try:
        tree = ast.parse(piece.text.replace("…", "..."), mode="eval")
    except SyntaxError:
        return None
    told = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            name = ast.unparse(node)
            if re.search("[._A-Z]", name) and not _INDEXED.fullmatch(name):
                told.add(name)
    return _first_stale(sorted(told), piece, project) or "expression"


def formula(piece: Piece, project: Project) -> Outcome:
    """All else is a formula or plain words. What in it can only be a name must resolve."""
    if _PHRASE.fullmatch(piece.text):
        return _phrase(piece.text, project)
    told = _SURELY_A_NAME.findall(piece.text)
    return _first_stale(told, piece, project) or "formula"


def _phrase(text: str, project: Project) -> Outcome:
    """What a program of ours says: a part of some text in the code, where one word may be filled in."""
    words = text.split()
    spoken = {text}
    for word in words:
        spoken.add(text.replace(word, "%s", 1))
    for known in project.source.strings:
        if any(one in known for one in spoken):
            return "text of the code"
    return Stale("no program of ours says this")


def _first_stale(told: Iterable[str], piece: Piece, project: Project) -> Stale | None:
    for name in told:
        one = piece._replace(text=name)
        outcome = names.dotted(one, project) or names.word(one, project) or names.hyphenated(one, project)
        if isinstance(outcome, Stale):
            return outcome if name == piece.text else Stale(f"`{name}`: {outcome.cure}")
    return None
