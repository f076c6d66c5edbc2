"""YAML that every reader takes the same way: strings are quoted, expressions are blocks, the order is as given."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

_NO_WRAPPING = 1 << 20
_RENDERED = "Rendered by `calidris render`: change calidris.yaml and render again."


def yaml_text(tree: Mapping[str, object], about: str) -> str:
    """A YAML file with a comment at its top; the same tree gives the same bytes."""
    yaml = YAML()
    yaml.width = _NO_WRAPPING
    yaml.indent(mapping=2, sequence=4, offset=2)
    out = io.StringIO()
    yaml.dump(_styled(tree), out)
    return f"# {_RENDERED}\n# {about}\n{out.getvalue()}"


def _styled(node: object) -> object:
    """Strings quoted: Grafana reads YAML 1.1, where a bare ``no`` or ``1e3`` is no string."""
    if isinstance(node, Mapping):
        return {key: _styled(value) for key, value in node.items()}
    if isinstance(node, str):
        return LiteralScalarString(node) if "\n" in node else DoubleQuotedScalarString(node)
    if isinstance(node, Sequence):
        return [_styled(item) for item in node]
    return node
