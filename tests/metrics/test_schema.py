"""Features that came, went or stopped varying."""

from __future__ import annotations

from calidris import semconv
from calidris.metrics.schema import SchemaChange, constant_readings, features_of, schema_change, schema_readings
from calidris.state import CountsState, Field, Kind, Role, Spec

FIELDS = (
    Field("age", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 10.0, 20.0, 30.0)),
    Field("country", Role.FEATURE, Kind.CATEGORICAL, levels=("NL", "BE")),
    Field("note", Role.FEATURE, Kind.PRESENCE),
    Field("score", Role.SCORE, Kind.NUMERIC, edges=(0.0, 1.0)),
)
SPEC = Spec(fields=FIELDS)


def filled(spec: Spec, **cells: list[int]) -> CountsState:
    state = CountsState(spec)
    for i, f in enumerate(spec.fields):
        if f.name in cells:
            state.field(i)[: len(cells[f.name])] = cells[f.name]
    return state


def test_a_schema_change_names_both_sides() -> None:
    assert features_of(SPEC) == ("age", "country", "note")
    assert schema_change(features_of(SPEC), ["age", "note", "Country"]) == SchemaChange(("country",), ("Country",))
    assert not schema_change(features_of(SPEC), features_of(SPEC)).changed


def test_schema_readings_give_shares_of_rows() -> None:
    found = schema_readings(SPEC, {"age": 100, "country": 40, "inc": 7}, 100, "1h")
    got = {(dict(r.attributes)[semconv.ML_FEATURE_NAME], dict(r.attributes)[semconv.ML_DATA_QUALITY_KIND]): r.value
           for r in found}  # fmt: skip
    assert got == {("country", "absent"): 0.6, ("note", "absent"): 1.0, ("inc", "unexpected"): 0.07}
    assert schema_readings(SPEC, {}, 0, "1h") == []


def test_a_stuck_feature_is_constant_and_one_that_always_was_is_not() -> None:
    before = filled(SPEC, age=[500, 300, 200], country=[990, 10])
    stuck = filled(SPEC, age=[0, 80, 0], country=[80])
    found = constant_readings(SPEC, before, stuck, "1h")
    assert [dict(r.attributes)[semconv.ML_FEATURE_NAME] for r in found] == ["age"]  # 99 % NL is no surprise in 80 rows
    assert (found[0].value, found[0].n) == (1.0, 80)
    many = filled(SPEC, country=[5000])
    assert len(constant_readings(SPEC, before, many, "1h")) == 1
    assert constant_readings(SPEC, before, filled(SPEC, age=[0, 49]), "1h") == []
    assert constant_readings(SPEC, before, filled(SPEC, age=[1, 79]), "1h") == []
    assert constant_readings(SPEC, CountsState(SPEC), stuck, "1h") == []
