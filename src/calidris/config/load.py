"""Read ``calidris.yaml``; every error names the file, the line, the key and the cure."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from calidris.config.listener_tls import under
from calidris.config.mlflow_signature import read_signature
from calidris.config.models import ModelConfig
from calidris.config.receiver import ReceiverConfig
from calidris.config.root import CalidrisConfig
from calidris.errors import ConfigError


def load(path: Path) -> CalidrisConfig:
    """The configuration in a file, with relative paths made relative to it.

    Raises:
        ConfigError: the file cannot be read, is not YAML, has an unknown key or a value that cannot be used.
    """
    tree = _read(path)
    try:
        config = CalidrisConfig.model_validate(_plain(tree))
    except ValidationError as error:
        lines = [_explain(path, tree, detail) for detail in error.errors()]
        raise ConfigError("\n".join(lines)) from error
    rooted = _rooted(config, path.resolve().parent)
    models = tuple(_signed(model, at, path, tree) for at, model in enumerate(rooted.models))
    return rooted.model_copy(update={"models": models})


def locate(path: Path, loc: tuple[int | str, ...]) -> int:
    """Line of a key in a file, from 1, for errors that are found after it was read."""
    return _line(_read(path), loc)


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such file; name the configuration with -c (--config) or CALIDRIS_CONFIG. An empty file will do: every key "
            "has a default"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    try:
        tree = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{path}:{line}: not valid YAML: {error.problem}") from error
    except YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if tree is not None and not isinstance(tree, CommentedMap):
        raise ConfigError(f"{path}:1: expected keys such as `models:`, found {type(tree).__name__}")
    return tree if tree is not None else CommentedMap()


def _plain(node: Any) -> Any:
    """Round-trip nodes as plain values: pydantic would otherwise see ruamel's own number and string classes."""
    if isinstance(node, CommentedMap):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    for kind in (bool, int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def _signed(model: ModelConfig, at: int, path: Path, tree: Any) -> ModelConfig:
    """A model whose schema has all that the MLflow signature says."""
    stated = model.stated_schema
    if stated is None or stated.mlflow is None:
        return model
    loc = ("models", at, "schema", "mlflow")
    try:
        place = path.resolve().parent / stated.mlflow
        signature = read_signature(place)
        whole = stated.over(signature.features, str(place))
        whole.check_types(model.types)
    except (ConfigError, ValueError) as error:
        raise ConfigError(f"{path}:{_line(tree, loc)}: models.{at}.schema.mlflow: {error}") from error
    return model.model_copy(update={"stated_schema": whole})


def _rooted(config: CalidrisConfig, folder: Path) -> CalidrisConfig:
    storage = config.storage.model_copy(update={"path": folder / config.storage.path})
    models = tuple(
        m.model_copy(update={"baseline": str(folder / m.baseline)}) if m.baseline else m for m in config.models
    )
    return config.model_copy(
        update={
            "storage": storage,
            "models": models,
            "receiver": _rooted_receiver(config.receiver, folder),
            "api": config.api.model_copy(update={"tls": under(folder, config.api.tls)}),
        }
    )


def _rooted_receiver(receiver: ReceiverConfig, folder: Path) -> ReceiverConfig:
    grpc = receiver.grpc.model_copy(update={"tls": under(folder, receiver.grpc.tls)})
    http = receiver.http and receiver.http.model_copy(update={"tls": under(folder, receiver.http.tls)})
    tokens = receiver.tokens and folder / receiver.tokens
    return receiver.model_copy(update={"grpc": grpc, "http": http, "tokens": tokens})


def _explain(path: Path, tree: Any, detail: ErrorDetails) -> str:
    """One error as ``file:line: key: what is wrong; the cure``."""
    loc = detail["loc"]
    key = ".".join(str(part) for part in loc)
    where = f"{path}:{_line(tree, loc)}"
    if detail["type"] == "extra_forbidden":
        return f"{where}: {key}: unknown key{_suggestion(loc)}"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{where}: {key}: {message}" if key else f"{where}: {message}"


def _line(tree: Any, loc: tuple[int | str, ...]) -> int:
    """Line of the deepest part of ``loc`` that the file has, from 1."""
    node, line = tree, 1
    for part in loc:
        try:
            position = node.lc.key(part) if isinstance(node, CommentedMap) else node.lc.item(part)
            node, line = node[part], position[0] + 1
        except (KeyError, IndexError, TypeError, AttributeError):
            break
    return line


def _suggestion(loc: tuple[int | str, ...]) -> str:
    known = _known_keys(loc[:-1])
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
    cure = f"; did you mean `{close[0]}`?" if close else ""
    return f"{cure or '.'} Known keys here: {', '.join(known)}" if known else cure


def _known_keys(loc: tuple[int | str, ...]) -> list[str]:
    """Field names of the config class at a place, found by walking the defaults' annotations."""
    model: type[BaseModel] | None = CalidrisConfig
    names_follow = False  # those of a mapping, which the user chose
    for part in loc:
        if isinstance(part, int) or model is None or names_follow:
            names_follow = False
            continue
        found = _fields_of(model).get(part)
        names_follow = found is not None and get_origin(found.annotation) is dict
        model = _model_in(found.annotation) if found else None
    return sorted(_fields_of(model)) if model else []


def _fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Fields by the keys that people write."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The config class inside an annotation such as ``tuple[ModelConfig, ...]`` or ``OtlpConfig | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for m in map(_model_in, getattr(annotation, "__args__", ())) if m), None)
