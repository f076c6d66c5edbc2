"""The signature of a model that MLflow has saved, read from its ``MLmodel`` file: MLflow itself is not needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from calidris.config.input_schema import FeatureSchema, InputType
from calidris.errors import ConfigError

FILE_NAME: Final = "MLmodel"

_TYPES: Final[dict[str, InputType]] = {
    "double": "number",
    "float": "number",
    "integer": "integer",
    "long": "integer",
    "boolean": "boolean",
    "string": "text",
}
"""MLflow's types of columns that the SDK sends. Dates, bytes, arrays and objects never arrive, so nothing is said of them."""


class Signature(NamedTuple):
    """What a signature says.

    Attributes:
        features: of each input that the SDK sends.
        unchecked: name to MLflow's type of the inputs that never arrive.
    """

    features: dict[str, FeatureSchema]
    unchecked: dict[str, str]


def read_signature(path: Path) -> Signature:
    """What a signature says of each input.

    A column that it requires must have a value in every row: MLflow marks one as optional as soon as its example has a gap.

    Args:
        path: an ``MLmodel`` file, or the folder that holds it.

    Raises:
        ConfigError: no such file, no signature, or inputs without names.
    """
    file = path / FILE_NAME if path.is_dir() else path
    inputs = _read_inputs(file)
    found = Signature({}, {})
    for column in inputs:
        name, told = _name_of(column, file), column["type"]
        kind = _TYPES.get(told) if isinstance(told, str) else None
        if kind is None:
            found.unchecked[name] = str(told)
            continue
        required = column.get("required", True)
        found.features[name] = FeatureSchema(type=kind, nulls=not required)
    if not found.features:
        raise ConfigError(
            f"{file}: none of its {len(inputs)} inputs is a number, a text or a truth value: nothing to check"
        )
    return found


def _read_inputs(file: Path) -> list[dict[str, Any]]:
    told = _read_yaml(file)
    signature = told.get("signature") if isinstance(told, dict) else None
    if not signature:
        raise ConfigError(
            f"{file}: the model has no signature; save it with one (`mlflow.models.infer_signature`), or state `features` here"
        )
    try:
        inputs = json.loads(signature["inputs"])
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{file}: signature.inputs cannot be read: {error!r}") from error
    if not isinstance(inputs, list):
        raise ConfigError(f"{file}: signature.inputs is no list of columns")
    return inputs


def _read_yaml(file: Path) -> Any:
    try:
        text = file.read_text(encoding="utf-8")
        return YAML(typ="safe").load(text)
    except FileNotFoundError:
        raise ConfigError(f"{file}: there is no such file; `mlflow` names an {FILE_NAME} file or its folder") from None
    except (OSError, UnicodeDecodeError, YAMLError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error


def _name_of(column: Any, file: Path) -> str:
    """The name of an input; a tensor has none."""
    if isinstance(column, dict) and column.get("type") and column.get("name"):
        return str(column["name"])
    raise ConfigError(
        f"{file}: its inputs are a tensor or have no names, and features are told apart by name; infer the signature from a "
        "table with column names, or state `features` here"
    )
