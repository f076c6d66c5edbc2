"""Back-ticked names, paths, settings, commands and links lead somewhere: in pages, docstrings, comments and blocks of pages.

A piece is judged by its shape (`rules.RULES`). Where the tree has a list of such things, the piece must be on it; formulas and
examples are left alone. What no rule can know stands in `EXCEPTIONS` with its reason, for as long as some piece needs it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.docs.project import ROOT, Project, Stale
from tests.docs.reading import Piece
from tests.docs.tree import Finding, findings, judged, sources

EXCEPTIONS = {
    "-shm": "SQLite's file beside the state",
    "ArrayValue": "a message of OTLP",
    "DataDriftPreset()": "Evidently's",
    "UnderscoreEscapingWithSuffixes": "a translation of the Collector's and of Prometheus",
    "bincount": "numpy's",
    "cumsum": "numpy's",
    "acme/credit": "an example of a tenant and a model on a series",
    "energy_distance": "scipy's",
    "evaluation_interval": "a setting of Prometheus",
    "infer_signature": "MLflow's",
    "extra": "an argument of logging",
    "json_format": "protobuf's",
    "module.Class": "stands for any class",
    "none": "a unit of Grafana",
    "opentelemetry/proto/trace/v1/trace.proto": "a file of OTLP's repository",
    "otel_scope_name": "a label that Prometheus adds to OTLP",
    "otelcol_exporter_send_failed_spans": "a metric of the Collector",
    "policies": "a key of Grafana that we do not write",
    "rate()": "a function of PromQL",
    "uninstrument": "OpenTelemetry's",
}

PAGE = Path("docs/page.md")
Judged = list[tuple[Piece, str | Stale]]


@pytest.fixture(scope="module")
def project() -> Project:
    return Project()


@pytest.fixture(scope="module")
def everything(project: Project) -> Judged:
    """Every piece of the tree."""
    found: Judged = []
    for path in sources(ROOT):
        text = (ROOT / path).read_text(encoding="utf-8")
        found.extend(judged(path, text, project))
    return found


@pytest.fixture(scope="module")
def stale(everything: Judged) -> list[Finding]:
    """Every piece that leads nowhere, excepted or not."""
    found = []
    for piece, outcome in everything:
        if isinstance(outcome, Stale):
            found.append(Finding(piece, outcome.cure))
    return found


def unneeded(exceptions: Iterable[str], stale: list[Finding]) -> list[str]:
    needed = {finding.piece.text for finding in stale}
    return sorted(set(exceptions) - needed)


def test_every_name_leads_somewhere(stale: list[Finding]) -> None:
    found = [str(finding) for finding in stale if finding.piece.text not in EXCEPTIONS]
    assert not found, "\n".join(["these lead nowhere; mend them, or give a reason in EXCEPTIONS:", *found])


def test_every_exception_is_needed(stale: list[Finding]) -> None:
    assert unneeded(EXCEPTIONS, stale) == [], "take these out of EXCEPTIONS, nothing needs them any more"
    assert unneeded([*EXCEPTIONS, "README.md"], stale) == ["README.md"]


def test_nothing_is_passed_over(everything: Judged) -> None:
    """A reader that reads nothing finds nothing: of each kind there must be many."""
    kinds = Counter(outcome for _, outcome in everything if isinstance(outcome, str))
    least = {
        "path": 50,
        "link": 30,
        "route": 20,
        "command": 40,
        "make": 10,
        "setting": 60,
        "telemetry": 200,
        "python": 40,
    }
    least |= {"library": 10, "role class": 3, "command in a block": 8, "name in a block": 15, "settings in a block": 2}
    assert not {kind: (kinds[kind], n) for kind, n in least.items() if kinds[kind] < n}
    assert len({piece.path for piece, _ in everything}) > 150


PLANTED = {
    "a path that was never there": ("`docs/wires.md`", "docs/wires.md", "`docs/wire.md`"),
    "a path that moved": ("`benchmarks/gone/payloads.py`", "benchmarks/gone/payloads.py", "`benchmarks/payloads.py`"),
    "a module without its folder": ("`payloads.py`", "payloads.py", "`benchmarks/payloads.py`"),
    "a folder that only tests have": ("`hostile/`", "hostile/", "`tests/hostile`"),
    "a pattern without files": ("`fuzz/corpus/gone-*`", "fuzz/corpus/gone-*", "no such file"),
    "a file that nobody writes": ("`demo-out/gone.html`", "demo-out/gone.html", "no program of ours writes"),
    "a route": ("`GET /readzy`", "GET /readzy", "`/readyz`"),
    "a route below another": (
        "`/v1/models/{name}/{version}/fgures`",
        "/v1/models/{name}/{version}/fgures",
        "no server",
    ),
    "a setting": ("`limits.pending_label`", "limits.pending_label", "`limits.pending_labels`"),
    "a value of a setting": ("`export.series: fulll`", "export.series: fulll", "no setting takes"),
    "a setting inside of one": ("`log: {formt: json}`", "log: {formt: json}", "`log.formt`"),
    "a metric": ("`calidris.lag.recrds`", "calidris.lag.recrds", "`calidris.lag.records`"),
    "an attribute": ("`ml.model.nam`", "ml.model.nam", "`ml.model.name`"),
    "a series of Prometheus": ("`ml_drift_scores`", "ml_drift_scores", "`ml_drift_score`"),
    "a command": ("`calidris alarms drop 3`", "calidris alarms drop 3", "has no command `drop`"),
    "one of several commands": ("`alarms list | ack | clean`", "alarms list | ack | clean", "`clear`"),
    "an option of another command": ("`calidris serve --json`", "calidris serve --json", "has no option `--json`"),
    "an option alone": ("`--token-fil`", "--token-fil", "`--token-file`"),
    "a target": ("`make fuz`", "make fuz", "`fuzz`"),
    "a path of a command": ("`pytest tests/gone`", "pytest tests/gone", "no file `tests/gone`"),
    "a program": ("`python -m benchmarks.gone`", "python -m benchmarks.gone", "no module `benchmarks.gone`"),
    "a variable of the environment": ("`CALIDRIS_CHAO=5 make test`", "CALIDRIS_CHAO=5 make test", "`CALIDRIS_CHAOS`"),
    "a function of a module": ("`calidris.configuree`", "calidris.configuree", "`configure`"),
    "a method": ("`Model.predictt`", "Model.predictt", "`predict`"),
    "a class": ("`CalidrisConfiguration`", "CalidrisConfiguration", "`CalidrisConfig`"),
    "a call": ("`record_labl(id)`", "record_labl(id)", "`record_label`"),
    "an argument": ("`embedings=`", "embedings=", "`embeddings`"),
    "a reason": ("`missing_model_names`", "missing_model_names", "nothing has this name"),
    "a name that code builds": ("`{name}.farness`", "{name}.farness", "no text of the code has `.farness`"),
    "what a program says": ("`the journal was too tired`", "the journal was too tired", "no program of ours says this"),
    "a name in a formula": ("`Σ gone_forever · n`", "Σ gone_forever · n", "`gone_forever`: nothing has this name"),
    "a distribution": ("`prometheus-clients`", "prometheus-clients", "nothing has this name"),
    "a link": ("[there](gone.md)", "gone.md", "no such file"),
    "a heading of another page": ("[there](wire.md#wher-to)", "wire.md#wher-to", "`where-to`"),
    "a heading of no page": ("[there](#gone)", "#gone", "no such file"),
    "a command in a block": ("```\ncalidris chek -c x.yaml  # all\n```", "calidris chek -c x.yaml", "`check`"),
    "a metric in a block": ("```\nx = ml.received.row\n```", "ml.received.row", "`ml.received.rows`"),
    "a setting in a block": ("```yaml\nstorage: {pth: x}\n```", "storage.pth", "no setting takes this"),
    "an import in a block": ("```python\nfrom calidris import Modell\n```", "calidris.Modell", "`Model`"),
}


@pytest.mark.parametrize(("text", "piece", "cure"), PLANTED.values(), ids=PLANTED)
def test_what_is_stale_on_a_page_is_found(project: Project, text: str, piece: str, cure: str) -> None:
    (found,) = findings(PAGE, f"# Page\n\nSome words.\n\n{text}\n", project)
    inside = text.startswith("```")
    assert (found.piece.path, found.piece.line, found.piece.text) == (PAGE, 6 if inside else 5, piece)
    assert cure in found.cure and str(found).startswith(f"docs/page.md:{found.piece.line}: `{piece}`: ")


@pytest.mark.parametrize(
    ("told", "cure"),
    [
        ("``ModelConfigs``", "`ModelConfig`"),
        ("``gone_helper()``", "nothing has this name"),
        ("``ModelConfig.never``", "nothing has this name"),
        ("``gone/module.py``", "no such file"),
        (":class:`~calidris.config.Gone`", "nothing has this name"),
        (":class:`calidris.config`", "this is no class"),
        (":mod:`calidris.CalidrisConfig`", "perhaps"),
        (":func:`gone`", "nothing has this name"),
        ("``storage.journal.kept``", "`storage.journal.keep`"),
        ("``score >= the_threshold``", "`the_threshold`: nothing"),
    ],
)
@pytest.mark.parametrize("form", ['"""First line.\n\nSays {}.\n"""\n', "x = 1\n\n# Says {}.\n", 'x = 1\n"""\n{}"""\n'])
def test_what_is_stale_in_code_is_found(project: Project, form: str, told: str, cure: str) -> None:
    place = project.source.defined["CalidrisConfig"][0].module
    assert place
    (found,) = findings(place.path, form.format(told), project)
    assert found.piece.line == 3 and found.piece.path == place.path and cure in found.cure


def test_what_is_stale_in_a_file_of_settings_is_found(project: Project) -> None:
    text = "a: 1\nb: 2  # see `calidris baseline bild`\n"
    (found,) = findings(Path("examples/calidris.yaml"), text, project)
    told = "`calidris baseline bild`: `baseline` has no command `bild`; perhaps `build`"
    assert str(found) == f"examples/calidris.yaml:2: {told}"


TRUE = """
`README.md`, `src/calidris/semconv.py`, `semconv.py`, `fuzz/corpus/found-*`, `demo-out/report.html`, `state.sqlite*`, `.venv`,
`wire.md`, `/readyz`, `GET /v1/models/{name}/{version}/readings`, `http://127.0.0.1:4328/v1/traces`,
`limits.pending_labels`, `export.series: full`, `log: {format: text | json, level: …}`, `detect.label_age`,
`ml.model.name`, `ml.features.age = 41`, `ml.*`, `ml_drift_score`,
`calidris alarms list | ack | clear`, `calidris status --json`, `baseline build`, `--once`, `make bench ARGS=--quick`,
`CALIDRIS_CHAOS=500 make test ARGS=tests/chaos`, `kill -9`,
`calidris.Model`, `Model.predict`, `predict()`, `numpy`, `scipy.stats`, `grafana-foundation-sdk`, `Retry-After`,
`{name}.distance`, `predict {model}`, `"[1, 2.5, null]"`, `1 + (D−1)·n/n̄`, `score >= threshold`,
[a link](wire.md#where-to), [another](../README.md), [and](https://example.com/gone#gone).
"""


def test_what_is_true_is_left_alone(project: Project) -> None:
    assert [str(found) for found in findings(PAGE, TRUE, project)] == []
