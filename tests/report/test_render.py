"""The report: complete, self-contained, and deaf to whatever the wire sends."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from snapshots import BASELINE_ID, CREDIT, NOW_NS, Rows, alarm, credit_model, new_model, rows, snapshot, spec

from calidris import semconv
from calidris.batch import ModelKey
from calidris.engine.snapshot import ModelSnapshot, NamedFeature, Snapshot, WindowPoint, WindowState
from calidris.metrics import Status, reading
from calidris.metrics.input_faults import FaultCount
from calidris.report import render
from calidris.state import CountsState, Field, Kind, Role, ScoresState, Spec

NASTY = "a\"b'\n<script>alert(1)</script>&{{7*7}}]]>\u202e"
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Elements in order, their text, and whether every tag is closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page(shot: Snapshot, model: ModelKey | None = None) -> Page:
    return Page(render(shot, model, title="Credit risk", generated_ns=NOW_NS))


@pytest.fixture(scope="module")
def credit() -> Page:
    return page(snapshot(), CREDIT)


def test_an_alarm_of_a_fixed_rule_claims_no_evidence_and_no_budget() -> None:
    faults = (NamedFeature("age", "out_of_range: 130, above 120", 1.0),)
    rule = replace(alarm(), kind="schema", window="row", features=faults, budgeted=False, budget="", baseline="")
    told = page(replace(snapshot(), alarms=(rule,)), CREDIT).text
    assert "Schema: age" in told
    assert "age: out_of_range: 130, above 120" in told
    assert "schema of the model's settings, for each row" in told
    assert "none: a fixed rule promises nothing" in told
    assert "without a change, no more alarms" not in told
    assert "is enough for an alarm (log" not in told


def test_rows_against_the_schema_stand_under_data_quality() -> None:
    fault = FaultCount("age", "out_of_range", 3, "130, above 120")
    model = replace(credit_model(), faults=(fault,))
    told = page(replace(snapshot(), models=(model,)), CREDIT).text
    assert "Rows against the stated schema, since the state began:" in told
    assert "in 3 rows; the first: 130, above 120" in told


def test_alarm_says_what_since_when_how_sure_and_gives_examples(credit: Page) -> None:
    for said in (
        "Alarm 2: income and 1 more feature changed",
        "income: values went down (own evidence 1.18)",
        "utilisation: more values are missing",
        "Changing since 2026-11-21 07:00 UTC",
        "2026-11-21 11:00 UTC, after 4 hours: 4 windows of 1h",
        "evidence 1.21, where 1 is enough for an alarm",
        "1 per year: without a change, no more alarms than this",
        alarm().trace_ids[0],
        "Cleared earlier: 1",
    ):
        assert said in credit.text, said


def test_every_section_is_there_with_figures_n_and_the_baseline_beside(credit: Page) -> None:
    for heading in (
        *("Alarms", "Evidence of a change over time", "Drift", "Calibration", "Reliability", "Performance"),
        *("Data quality", "Latency and failures", "Labels", "How to read this"),
    ):
        assert heading in credit.text
    assert "Brier score 0.182" in credit.text and "n = 20,000" in credit.text
    assert "by chance 0.0" in credit.text and BASELINE_ID in credit.text


def test_what_is_not_known_says_why_and_nothing_is_blank(credit: Page) -> None:
    assert "not known because there are too few rows to say" in credit.text
    assert "not known because this measure needs numbers" in credit.text
    assert not re.search(r"\b(nan|none|null|inf)\b", credit.text.replace("None so far", ""), re.IGNORECASE)


def test_page_is_self_contained_and_needs_no_script(credit: Page) -> None:
    html = render(snapshot(), None, title="t", generated_ns=NOW_NS)
    assert not re.search(r"(src|href)=\"(?!#)", html) and "url(" not in html and "@import" not in html
    tags = {tag for tag, _ in credit.tags}
    assert not tags & {"script", "iframe", "link", "img", "object", "form", "base"}
    assert not [a for _, attributes in credit.tags for a in attributes if a.startswith("on") or a == "style"]
    policy = next(a["content"] for t, a in credit.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'; style-src 'sha256-")


def test_tables_have_captions_and_pictures_have_names(credit: Page) -> None:
    tags = [tag for tag, _ in credit.tags]
    assert tags.count("table") == tags.count("caption") > 6
    pictures = [i for i, (tag, a) in enumerate(credit.tags) if tag == "svg" and a.get("role") == "img"]
    assert len(pictures) == 9  # two lines of evidence, six histograms, one reliability diagram
    assert all([tag for tag, _ in credit.tags[i + 1 : i + 3]] == ["title", "desc"] for i in pictures)
    assert [a for t, a in credit.tags if t == "html"] == [{"lang": "en"}]
    ids = [a["id"] for _, a in credit.tags if "id" in a]
    assert len(ids) == len(set(ids))


def test_same_arguments_give_the_same_bytes() -> None:
    one, two = (render(snapshot(), None, title="t", generated_ns=NOW_NS) for _ in range(2))
    assert one == two


def nasty_model() -> ModelSnapshot:
    """Everything that comes from the wire is an attack."""
    odd = Spec(fields=(Field(NASTY, Role.FEATURE, Kind.CATEGORICAL, levels=(NASTY, "b")),))
    counts = CountsState(odd)
    counts.array[:] = 7
    pairs = {semconv.ML_FEATURE_NAME: NASTY, semconv.ML_DRIFT_MEASURE: NASTY}
    kind = {semconv.ML_FEATURE_NAME: NASTY, semconv.ML_DETECTION_KIND: NASTY}
    return replace(
        new_model(ModelKey(NASTY, NASTY, NASTY), Status.OK),
        task=NASTY,
        status_detail=NASTY,
        baseline=NASTY,
        baseline_counts=counts,
        owner=NASTY,
        tier=NASTY,
        readings=(
            reading(semconv.METRIC_ML_DRIFT_SCORE, 0.5, 77, window=NASTY, attributes=pairs),
            reading(semconv.METRIC_ML_DETECTION_EVIDENCE, 0.5, 77, window=NASTY, attributes=kind),
            reading(semconv.METRIC_ML_PERFORMANCE_SCORE, 0.5, 77, window=NASTY, attributes={NASTY: NASTY}),
            reading(
                semconv.METRIC_ML_LATENCY_DURATION, 0.5, 7, window="1h", attributes={semconv.ML_LATENCY_QUANTILE: NASTY}
            ),
        ),
        windows=(WindowState(NASTY, NOW_NS - 1, NOW_NS, counts, ScoresState(odd)),),
        history=(WindowPoint(NASTY, NOW_NS, 7, 0.4, NASTY, True),),
        slo_events={(NASTY, NASTY): 3},
    )


def test_everything_from_the_wire_is_text() -> None:
    model = nasty_model()
    raised = replace(
        alarm(model.key),
        kind=NASTY,
        window=NASTY,
        features=(NamedFeature(NASTY, NASTY, 1.0), NamedFeature("x", f"level {NASTY} more", 0.2)),
        budget=NASTY,
        baseline=NASTY,
        trace_ids=(NASTY,),
    )
    shot = Snapshot(NOW_NS, (model,), (raised,), frozenset({raised.id}))
    html = render(shot, None, title=NASTY, generated_ns=NOW_NS)
    assert "<script" not in html and "{{7*7}}" in Page(html).text
    assert not [tag for tag, _ in Page(html).tags if tag == "script"]
    assert "alert(1)" in Page(html).text


def test_a_lone_surrogate_can_still_be_written_to_a_file() -> None:
    html = render(Snapshot(NOW_NS, (new_model(ModelKey("default", "a\ud800b", "1")),)), None, title="t", generated_ns=0)
    assert "a?b" in html and html.encode()


def test_a_model_that_has_just_begun_says_what_is_missing() -> None:
    found = page(snapshot(), ModelKey("default", "churn", "unknown"))
    for said in (
        "Learning what is normal",
        "Alarms None so far",
        "Not known because no window has been compared with a baseline yet",
        "Not known because no labelled rows have come yet",
        "not known because there is no baseline to compare with",
    ):
        assert said in found.text, said


def test_one_model_or_all_of_them_or_none_at_all() -> None:
    every = page(snapshot())
    assert "churn unknown" in every.text and [a["href"] for t, a in every.tags if t == "a"] == ["#model-0", "#model-1"]
    assert "churn" not in page(snapshot(), CREDIT).text
    assert "No model has sent a prediction yet" in page(Snapshot(NOW_NS)).text
    with pytest.raises(KeyError, match="there are: credit:7, churn:unknown"):
        page(snapshot(), ModelKey("default", "credit", "8"))


def test_quiet_model_is_told_to_be_quiet() -> None:
    found = page(snapshot(alarmed=False), CREDIT)
    assert "No change found" in found.text and "Alarm 2" not in found.text


def test_states_of_another_spec_are_not_drawn_beside_the_baseline() -> None:
    model = credit_model()
    other: Rows = rows(replace(spec(), threshold=0.3), 400, 3)
    mixed = replace(model, windows=(WindowState("1h", NOW_NS - 1, NOW_NS, other.counts, other.scores),))
    found = page(Snapshot(NOW_NS, (mixed,)))
    assert "Baseline beside the newest window" not in found.text


def test_every_status_has_a_meaning_and_a_title(credit: Page) -> None:
    for status in Status:
        assert f"{status.value} " in credit.text


def test_many_features_and_levels_stay_readable() -> None:
    levels = tuple(f"level-{i:02d}-with-a-long-name" for i in range(50))
    wide = Spec(fields=tuple(Field(f"feature_{i}", Role.FEATURE, Kind.CATEGORICAL, levels=levels) for i in range(60)))
    counts = CountsState(wide)
    counts.array[:] = 3
    pairs = [{semconv.ML_FEATURE_NAME: f"feature_{i}", semconv.ML_DRIFT_MEASURE: "psi"} for i in range(60)]
    model = replace(
        new_model(CREDIT, Status.OK),
        baseline_counts=counts,
        windows=(WindowState("5m", 0, NOW_NS, counts, ScoresState(wide)),),
        readings=tuple(reading(semconv.METRIC_ML_DRIFT_SCORE, 0.0, 162, window="5m", attributes=p) for p in pairs),
    )
    found = page(Snapshot(NOW_NS, (model,)))
    assert "35 more" in found.text  # 25 rows show, the others are one click away
