"""The stated schema of a model's inputs: by hand, or from the signature of a model that MLflow 3.17 saved (`testdata/`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from calidris.config import load
from calidris.config.input_schema import FeatureSchema, InputSchema
from calidris.config.mlflow_signature import read_signature
from calidris.errors import ConfigError

DATA = Path(__file__).parent / "testdata"


def stated(tmp_path: Path, schema: str, more: str = "") -> InputSchema:
    path = tmp_path / "calidris.yaml"
    path.write_text(f"models:\n- name: credit\n  schema: {schema}\n{more}", encoding="utf-8")
    found = load(path).models[0].stated_schema
    assert found is not None
    return found


def test_types_and_gaps_come_from_the_signature() -> None:
    signature = read_signature(DATA / "credit")
    assert signature == read_signature(DATA / "credit" / "MLmodel")
    assert signature.features == {
        "age": FeatureSchema(type="integer", nulls=False),
        "income": FeatureSchema(type="number"),  # its example had a gap
        "limit": FeatureSchema(type="number", nulls=False),
        "employed": FeatureSchema(type="boolean", nulls=False),
        "country": FeatureSchema(type="text", nulls=False),
        "small": FeatureSchema(type="integer", nulls=False),
    }
    assert signature.unchecked == {"opened": "datetime"}, "a date never arrives"


def test_what_is_stated_by_hand_wins_key_by_key(tmp_path: Path) -> None:
    hand = "features: {age: {min: 18, max: 120}, limit: {nulls: true}, extra: {levels: [a]}}"
    found = stated(tmp_path, f"{{mlflow: {DATA / 'credit'}, {hand}}}").features
    assert found["age"] == FeatureSchema(type="integer", min=18, max=120, nulls=False)
    assert found["limit"] == FeatureSchema(type="number", nulls=True)
    assert found["extra"] == FeatureSchema(levels=("a",))
    assert found["income"] == FeatureSchema(type="number")


def test_the_signature_is_found_from_the_settings_file(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "MLmodel").write_bytes((DATA / "credit" / "MLmodel").read_bytes())
    assert stated(tmp_path, "{mlflow: models}").features["age"].type == "integer"


WRONG = {
    "{}": "models.0.schema: it says nothing: list `features`, or name the model's `mlflow` signature",
    "{features: {age: {mn: 3}}}": "models.0.schema.features.age.mn: unknown key; did you mean `min`?",
    "{feature: {}}": "models.0.schema.feature: unknown key; did you mean `features`? Known keys here: features, mlflow",
    "{features: {age: {min: 3, max: 1}}}": "models.0.schema.features.age: `min` (3) is above `max` (1): no number is right",
    "{features: {age: {min: .inf}}}": "models.0.schema.features.age.min: Input should be a finite number",
    "{features: {age: {type: float}}}": "models.0.schema.features.age.type: Input should be 'number', 'integer', 'text' or",
    "{features: {age: {type: text, min: 1}}}": "features.age: `min` and `max` are for numbers, and this is text",
    "{features: {age: {levels: []}}}": "features.age: `levels` is empty: no value is right. Leave it out where any is",
    "{features: {age: {type: integer, levels: [x]}}}": "features.age: level 'x' is no number, and the type is integer",
    "{mlflow: nowhere}": "nowhere: there is no such file; `mlflow` names an MLmodel file or its folder",
    f"{{mlflow: {DATA / 'tensor.MLmodel'}}}": "tensor.MLmodel: its inputs are a tensor or have no names",
    f"{{mlflow: {DATA / 'unsigned.MLmodel'}}}": "unsigned.MLmodel: the model has no signature; save it with one",
    f"{{mlflow: {__file__}}}": "cannot be read",
    f"{{mlflow: {DATA / 'credit'}, features: {{country: {{min: 1}}}}}}": "feature 'country': `min` and `max` are for numbers",
}


@pytest.mark.parametrize(("schema", "said"), WRONG.items())
def test_an_error_names_file_line_key_and_cure(tmp_path: Path, schema: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        stated(tmp_path, schema)
    assert f"{tmp_path}/calidris.yaml:3: models.0.schema" in str(error.value)
    assert said in str(error.value)


@pytest.mark.parametrize("schema", ["{features: {age: {type: integer}}}", f"{{mlflow: {DATA / 'credit'}}}"])
def test_a_type_is_stated_once(tmp_path: Path, schema: str) -> None:
    with pytest.raises(ConfigError, match="'age' is text in `types` and integer in `schema`: they must agree"):
        stated(tmp_path, schema, "  types: {age: text}\n")
    assert stated(tmp_path, schema, "  types: {age: number}\n").features["age"].type == "integer"


@pytest.mark.parametrize("inputs", ['"{}"', '"[1]"', '"{"', "3", '\'[{"name": "a", "type": "binary"}]\''])
def test_a_signature_without_columns_to_check_is_refused(tmp_path: Path, inputs: str) -> None:
    path = tmp_path / "MLmodel"
    path.write_text(f"signature:\n  inputs: {inputs}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=str(path)):
        read_signature(path)


def test_types_of_which_nothing_can_be_said_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "MLmodel"
    array = '{"name": "tags", "type": "array", "items": {"type": "string"}}'
    path.write_text(f'signature:\n  inputs: \'[{{"name": "a", "type": "double"}}, {array}]\'\n', encoding="utf-8")
    signature = read_signature(path)
    assert signature.features == {"a": FeatureSchema(type="number", nulls=False)}
    assert signature.unchecked == {"tags": "array"}
