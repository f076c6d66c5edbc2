"""The guest's rule: the shield, the guard, exact undo, settings that cannot hurt, metrics and the light span."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.test.globals_test import reset_metrics_globals, reset_trace_globals

import calidris
from calidris import Model, semconv
from calidris.instrument import shield
from calidris.instrument.libraries._patch import PatchTable
from calidris.instrument.rows.buffered_items import Series
from calidris.instrument.runtime import runtime
from calidris.instrument.settings import SdkSettings
from calidris.instrument.shield import internal_errors, shielded


def broken(*args: Any, **kwargs: Any) -> Any:
    raise LookupError("a bug of ours")


def test_an_error_of_ours_stays_ours(receiver: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.delenv("OTEL_CALIDRIS_DEBUG_RAISE")
    model = Model("m")
    before = internal_errors().get("predict: LookupError", 0)
    monkeypatch.setattr("calidris.instrument.prediction.place_of", broken)
    for _ in range(3):
        with model.predict() as p:
            p.score = 0.5
    assert p.score == 0.5
    assert internal_errors()["predict: LookupError"] == before + 3
    assert caplog.text.count("internal error in predict") <= 1
    monkeypatch.setattr(runtime, "append_many", broken)
    model.record_batch([[1]], [0.5])
    calidris.record_label("r", 1)
    calidris.configure(bucket=3)  # type: ignore[arg-type]
    assert model.observe(3) == 3  # type: ignore[type-var]


def test_under_the_tests_switch_it_is_raised(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calidris.instrument.prediction.place_of", broken)
    with pytest.raises(LookupError), Model("m").predict():
        pass


def test_shielded_returns_nothing_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_CALIDRIS_DEBUG_RAISE")
    assert shielded("test")(broken)() is None


def test_the_guard_opens_again_after_an_exception() -> None:
    with pytest.raises(KeyError), shield.not_a_prediction():
        assert shield.is_inside()
        raise KeyError
    assert not shield.is_inside()


class Parent:
    def own(self) -> str:
        return "parent"


class Child(Parent):
    @classmethod
    def made(cls) -> str:
        return cls.__name__


def test_undo_is_exact_also_for_inherited_attributes() -> None:
    before = dict(vars(Child)), dict(vars(Parent))
    table = PatchTable()
    assert table.replace(Child, "own", lambda original: lambda self: original(self) + "!")
    assert table.replace(Child, "made", lambda original: classmethod(lambda cls: "patched"))
    assert not table.replace(Child, "own", broken)
    assert (Child().own(), Parent().own(), Child.made()) == ("parent!", "parent", "patched")
    table.undo()
    assert (dict(vars(Child)), dict(vars(Parent))) == before
    assert vars(Child)["made"] is before[0]["made"]
    assert not table.active


def test_undo_leaves_alone_what_somebody_else_put_on_top() -> None:
    table = PatchTable()
    original = vars(Parent)["own"]
    table.replace(Parent, "own", lambda o: lambda self: o(self) + "!")
    ours = vars(Parent)["own"]
    theirs = lambda self: ours(self) + "?"  # noqa: E731
    Parent.own = theirs  # type: ignore[method-assign]
    try:
        table.undo()
        assert vars(Parent)["own"] is theirs
    finally:
        Parent.own = original  # type: ignore[method-assign]


def test_settings_that_make_no_sense_are_named_and_not_used(caplog: Any) -> None:
    settings = SdkSettings.from_env(
        {"OTEL_CALIDRIS_QUEUE_SIZE": "many", "OTEL_EXPORTER_CALIDRIS_TIMEOUT": "-1", "OTEL_CALIDRIS_BUCKET": "age"}
    )
    assert (settings.queue_rows, settings.timeout_s) == (65_536, 5.0)
    assert "age" in settings.policy.drop
    assert all(name in caplog.text for name in ("QUEUE_SIZE", "TIMEOUT", "BUCKET"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("queue_rows", "many"), ("queue_bytes", -1), ("delay_s", object()), ("timeout_s", float("nan")), ("endpoint", 4327),
        ("headers", ["a"]), ("slices", [7]), ("handle_sigterm", "no"), ("model_name", b"m"),
    ],
)  # fmt: skip
def test_what_code_sets_wrongly_is_named_and_changes_nothing(receiver: Any, caplog: Any, name: str, value: Any) -> None:
    calidris.configure(**{"endpoint": receiver.endpoint, name: value})
    assert f"configure: {name} must be" in caplog.text
    with Model("m").predict():
        pass
    assert calidris.flush()
    assert receiver.only("predict m")[semconv.ML_PREDICTION_COUNT] == 1


def test_every_variable_is_listed_for_opentelemetry_instrument() -> None:
    from calidris.instrument import environment

    names = {name for name in dir(environment) if name.startswith("OTEL_")}
    assert "OTEL_EXPORTER_CALIDRIS_ENDPOINT" in names
    assert all(getattr(environment, name) == name for name in names)


@pytest.fixture
def app_spans() -> Any:
    reset_trace_globals()
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    yield exporter
    reset_trace_globals()


def test_the_applications_trace_gets_a_light_span(receiver: Any, app_spans: InMemorySpanExporter) -> None:
    model = Model("m", version="2", task="binary")
    tracer = trace.get_tracer("app")
    with model.predict(features={"a": 1}):
        pass  # no current span: nothing to mark
    with tracer.start_as_current_span("request"):
        with model.predict(features={"a": 1}), tracer.start_as_current_span("feature store"):
            pass
        with pytest.raises(KeyError), model.predict():
            raise KeyError("theirs")
    assert calidris.flush()
    inner, good, bad, outer = app_spans.get_finished_spans()
    assert [span.name for span in (inner, good, bad, outer)] == ["feature store", "predict m", "predict m", "request"]
    assert inner.parent is not None
    assert inner.parent.span_id == good.context.span_id
    light = {"ml.model.name": "m", "ml.model.version": "2", "ml.model.task": "binary", "ml.prediction.count": 0}
    assert good.attributes == light
    assert bad.attributes == light | {"error.type": "KeyError"}
    assert receiver.only("predict m")[semconv.ML_PREDICTION_COUNT] == 3
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_our_provider_is_not_the_applications(receiver: Any, app_spans: InMemorySpanExporter) -> None:
    provider = trace.get_tracer_provider()
    with Model("m").predict():
        pass
    assert calidris.flush()
    assert trace.get_tracer_provider() is provider
    assert app_spans.get_finished_spans() == ()


@pytest.fixture
def reader() -> Any:
    reset_metrics_globals()
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    metrics.set_meter_provider(provider)
    yield reader
    provider.shutdown()
    reset_metrics_globals()


def test_metrics_go_to_the_applications_meter_provider(receiver: Any, reader: InMemoryMetricReader) -> None:
    model = Model("m", version="2")
    for _ in range(3):
        with model.predict():
            pass
    with pytest.raises(KeyError), model.predict():
        raise KeyError
    model.record_batch(None, [0.5, 0.5])
    model.record_batch([[1]], [0.5, 0.5])
    model.record_batch(None, [7.0])
    assert not calidris.flush()
    data = reader.get_metrics_data()
    assert data is not None
    found = {m.name: m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics}
    assert {m.name: (m.unit, m.description) for m in found.values()} == {
        m.name: (m.unit, m.description)
        for m in (
            semconv.METRIC_ML_INFERENCE_DURATION,
            semconv.METRIC_ML_INFERENCE_PREDICTIONS,
            semconv.METRIC_ML_INFERENCE_DROPPED,
            semconv.METRIC_ML_INFERENCE_WITHHELD,
        )
    }
    model_attributes = {"ml.model.name": "m", "ml.model.version": "2"}
    (made,) = found["ml.inference.predictions"].data.data_points
    assert (made.value, made.attributes) == (7, model_attributes)  # type: ignore[union-attr]
    (dropped,) = found["ml.inference.dropped"].data.data_points
    assert dropped.value == 1  # type: ignore[union-attr]
    assert dropped.attributes == {"ml.model.name": "m", "calidris.reason": "malformed"}
    (withheld,) = found["ml.inference.withheld"].data.data_points
    assert withheld.value == 1  # type: ignore[union-attr]
    assert withheld.attributes == {"ml.model.name": "m", "calidris.reason": "score_out_of_range"}
    durations = {p.attributes.get("error.type"): p for p in found["ml.inference.duration"].data.data_points}
    assert {error: point.count for error, point in durations.items()} == {None: 3, "KeyError": 1}  # type: ignore[union-attr]


def test_a_series_is_compared_by_identity() -> None:
    """Two Model objects of one name are grouped apart, so that their declared features never mix."""
    assert Series("m") != Series("m")


def test_an_interrupt_ends_the_light_span_and_opens_the_guard(receiver: Any, app_spans: InMemorySpanExporter) -> None:
    with (
        trace.get_tracer("app").start_as_current_span("request") as outer,
        pytest.raises(KeyboardInterrupt),
        Model("m").predict(),
    ):
        raise KeyboardInterrupt
    assert not shield.is_inside()
    assert [span.name for span in app_spans.get_finished_spans()] == ["predict m", "request"]
    assert outer.get_span_context().is_valid


def test_a_prediction_left_in_another_context_is_still_recorded(receiver: Any) -> None:
    """Generator-based dependencies of web frameworks are entered in one context and left in another."""
    import contextvars

    prediction = Model("m").predict(features={"a": 1})
    contextvars.copy_context().run(prediction.__enter__)
    prediction.score = 0.5
    prediction.__exit__(None, None, None)
    assert calidris.flush()
    assert receiver.only("predict m")[semconv.ML_PREDICTION_SCORE] == [0.5]
