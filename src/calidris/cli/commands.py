"""Every command of ``calidris``, each a thin function over the part that does the work.

A part is imported when its command runs: a receiver that restarts must not wait for what only reports and tables need.
"""

from __future__ import annotations

import getpass
import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from calidris.cli.common import DEFAULT_CONFIG, CertificateOption, ConfigOption, EndpointOption, TokenOption, run

app = typer.Typer(
    help="Model performance monitoring that lives inside OpenTelemetry, Prometheus and Grafana.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
baselines = typer.Typer(
    help="Make and look at baselines: what a model saw and said while all was well.", no_args_is_help=True
)
alarms_app = typer.Typer(help="List, acknowledge and clear the alarms of a running receiver.", no_args_is_help=True)
models_app = typer.Typer(
    help="List the model versions that a running receiver remembers, forget those that are gone, or re-base on one.",
    no_args_is_help=True,
)
compat_app = typer.Typer(
    help="What other tools' defaults say of two tables, for comparison and migration. It never alarms.",
    no_args_is_help=True,
)
app.add_typer(alarms_app, name="alarms")
app.add_typer(baselines, name="baseline")
app.add_typer(models_app, name="models")
app.add_typer(compat_app, name="compat")

out = Console() if sys.stdout.isatty() else Console(width=200)  # a table in a file or a pipe is not cut


@app.command("serve")
def serve_command(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Receive model telemetry, watch it, and serve the results.

    Prints one line for each endpoint and runs until SIGTERM or SIGINT, which finish what is under way.
    Exit code: 0 after a signal, 1 when the disk fails, 2 when the configuration cannot be used.
    """
    from calidris.cli import serve

    run(lambda: serve.serve(config))


@app.command("check")
def check_command(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Check a configuration and its baselines without starting anything.

    Prints for each model: features, rows and windows of its newest baseline, the series that a version of it will export,
    the memory of one pane (one version, one step of the shortest window), its false-alarm budget and, for each window
    length, how much evidence that budget asks for before it alarms.
    """
    from calidris.cli import check

    run(lambda: check.check(config, out))


@app.command("status")
def status_command(
    config: ConfigOption = DEFAULT_CONFIG,
    endpoint: EndpointOption = None,
    token: TokenOption = None,
    certificate: CertificateOption = None,
    watch: Annotated[
        bool | None, typer.Option("--watch/--once", help="Live until Ctrl-C, or once. Default: live on a terminal.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The read API's answer as it is, once.")] = False,
    interval: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = 2.0,
) -> None:
    """Show what a running receiver watches, and how it is itself.

    The receiver: state (and why), what arrives, what waits, journal, checkpoint, what it refused and set aside. Each model version: rows,
    its longest window, and **worst**: the most evidence of a change, as a share of what the false-alarm budget asks for. Then alarms.
    """
    from calidris.cli import status
    from calidris.cli.receiver_client import Receiver

    asked = Receiver(config, endpoint, token, certificate)
    run(lambda: status.status(asked, out, watch=watch, as_json=as_json, every_s=interval))


@app.command("report")
def report_command(
    model: Annotated[str, typer.Option(help="Name of the model, or name:version.")],
    config: ConfigOption = DEFAULT_CONFIG,
    output: Annotated[Path, typer.Option("-o", "--output", help="HTML file to write.")] = Path("report.html"),
    endpoint: EndpointOption = None,
    token: TokenOption = None,
    certificate: CertificateOption = None,
) -> None:
    """Write one self-contained HTML page about a model, from a running receiver."""
    from calidris.cli import report
    from calidris.cli.receiver_client import Receiver

    run(lambda: report.report(Receiver(config, endpoint, token, certificate), model, output, out))


@app.command("render")
def render_command(
    config: ConfigOption = DEFAULT_CONFIG,
    output: Annotated[Path, typer.Option("--out", help="Directory for dashboards, provisioning and rules.")] = Path(
        "grafana"
    ),
) -> None:
    """Write Grafana dashboards, provisioning files and Prometheus rules for a configuration."""
    from calidris.cli import check

    run(lambda: check.render(config, output, out))


@app.command("token")
def token_command(
    name: Annotated[str, typer.Argument(help="Who gets it; it stands in logs and in the audit trail.")],
    tenant: Annotated[str, typer.Option(help="Whose models; * reads those of all tenants.")] = "default",
    may: Annotated[str, typer.Option(help="What for: send, read, decide, separated by commas.")] = "send",
    expires: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Not valid from this day on, UTC.")
    ] = None,
    append: Annotated[Path | None, typer.Option(help="File of receiver.tokens that gets the line.")] = None,
) -> None:
    """Make a bearer token and the line that makes it known to a receiver.

    The token is printed once and kept nowhere: the line holds its hash. A running receiver knows it a second after the line is in its
    file (`receiver.tokens`). To take a token back, take its line away.
    """
    from calidris.cli import token

    run(lambda: token.token(name, tenant, may, expires, append))


By = Annotated[str, typer.Option(help="Who decides; kept in the audit trail.", default_factory=getpass.getuser)]
AlarmId = Annotated[int, typer.Argument(help="Number of the alarm, from `calidris alarms list`.")]


@alarms_app.command("list")
def alarms_list(
    config: ConfigOption = DEFAULT_CONFIG,
    everything: Annotated[bool, typer.Option("--all", help="Cleared ones too.")] = False,
    endpoint: EndpointOption = None,
    token: TokenOption = None,
    certificate: CertificateOption = None,
) -> None:
    """List the latched alarms: what changed, since when, and what was decided."""
    from calidris.cli import alarms
    from calidris.cli.receiver_client import Receiver

    run(lambda: alarms.show(Receiver(config, endpoint, token, certificate), everything, out))


@alarms_app.command("ack")
def alarms_ack(
    alarm: AlarmId,
    by: By,
    config: ConfigOption = DEFAULT_CONFIG,
    reason: Annotated[str, typer.Option(help="What is being done.")] = "",
    endpoint: EndpointOption = None,
    token: TokenOption = None,
    certificate: CertificateOption = None,
) -> None:
    """Say that somebody looks after an alarm; it stays latched."""
    from calidris.cli import alarms
    from calidris.cli.receiver_client import Receiver

    run(lambda: alarms.decide(Receiver(config, endpoint, token, certificate), alarm, "ack", by, reason, out))


@alarms_app.command("clear")
def alarms_clear(
    alarm: AlarmId,
    reason: Annotated[str, typer.Option(help="Why it is over; kept in the audit trail.")],
    by: By,
    config: ConfigOption = DEFAULT_CONFIG,
    endpoint: EndpointOption = None,
    token: TokenOption = None,
    certificate: CertificateOption = None,
) -> None:
    """End an alarm: its detector starts from nothing, and alarms again if the change is still there."""
    from calidris.cli import alarms
    from calidris.cli.receiver_client import Receiver

    run(lambda: alarms.decide(Receiver(config, endpoint, token, certificate), alarm, "clear", by, reason, out))


@models_app.command("list")
def models_list(
    config: ConfigOption = DEFAULT_CONFIG,
    everything: Annotated[
        bool,
        typer.Option("--all", help="Also the audit trail: what was decided, by whom, why; which settings, since when."),
    ] = False,
    endpoint: EndpointOption = None,
    token: TokenOption = None,
    certificate: CertificateOption = None,
) -> None:
    """List every model version: live or silent, when it was seen last, its rows, its baseline and its standing alarms.

    A version is **silent** after `limits.silent_after` without rows. Below are configured models that **never came**, with what came in
    their place under another name or version, and what to set.
    """
    from calidris.cli import watched_models
    from calidris.cli.receiver_client import Receiver

    run(lambda: watched_models.show(Receiver(config, endpoint, token, certificate), everything, out))


@models_app.command("forget")
def models_forget(
    model: Annotated[str, typer.Argument(help="Name of the model, from `calidris models list`.")],
    by: By,
    config: ConfigOption = DEFAULT_CONFIG,
    version: Annotated[str | None, typer.Option(help="One version. Default: every version of the model.")] = None,
    tenant: Annotated[
        str | None, typer.Option(help="Whose model. Default: the token's own tenant, else default.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; needed where an alarm stands. Kept in the audit trail.")] = "",
    endpoint: EndpointOption = None,
    token: TokenOption = None,
    certificate: CertificateOption = None,
) -> None:
    """Watch a model no longer, as if it had never come: for one that was retired, renamed, or sent by mistake.

    Gone for good are its windows and past, its detectors and what they learned, its figures on dashboards, its predictions that wait for
    a label, and its standing alarms, which end. What stays: the audit trail, the list of alarms, and the totals, as retired. The settings
    of a configured model stay too: it is then listed as configured and never came. If the model sends again it begins as a new one.
    The right `decide` is needed, as for alarms.
    """
    from calidris.cli import watched_models
    from calidris.cli.receiver_client import Receiver

    what = watched_models.Forgotten(model, version, tenant)
    run(lambda: watched_models.forget(Receiver(config, endpoint, token, certificate), what, by, reason, out))


@models_app.command("rebase")
def models_rebase(
    model: Annotated[str, typer.Argument(help="Name of the model, from `calidris models list`.")],
    version: Annotated[str, typer.Option(help="The version that is ordinary from here on.")],
    by: By,
    reason: Annotated[str, typer.Option(help="Why. Kept in the audit trail.")],
    config: ConfigOption = DEFAULT_CONFIG,
    tenant: Annotated[
        str | None, typer.Option(help="Whose model. Default: the token's own tenant, else default.")
    ] = None,
    endpoint: EndpointOption = None,
    token: TokenOption = None,
    certificate: CertificateOption = None,
) -> None:
    """Take what a version is now for ordinary: for a change that is meant to stay.

    The features that all versions share are compared with the baseline of this one from here on, where it has one of its own; its errors
    and its latency with what it shows from now on, where its baseline does not know them. Standing alarms about these end. The next
    versions go on from there. A baseline file that was built anew under the same name is taken at the next start, without this.
    The right `decide` is needed, as for alarms.
    """
    from calidris.cli import watched_models
    from calidris.cli.receiver_client import Receiver

    what = watched_models.Forgotten(model, version, tenant)
    run(lambda: watched_models.rebase(Receiver(config, endpoint, token, certificate), what, by, reason, out))


@models_app.command("relabel")
def models_relabel(
    model: Annotated[str, typer.Argument(help="Name of the model, from `calidris models list`.")],
    by: By,
    reason: Annotated[str, typer.Option(help="Why. Kept in the audit trail.")],
    config: ConfigOption = DEFAULT_CONFIG,
    version: Annotated[str | None, typer.Option(help="One version. Default: every version of the model.")] = None,
    tenant: Annotated[
        str | None, typer.Option(help="Whose model. Default: the token's own tenant, else default.")
    ] = None,
    endpoint: EndpointOption = None,
    token: TokenOption = None,
    certificate: CertificateOption = None,
) -> None:
    """Learn anew when labels come, and of how many rows: for a labelling process that has changed for good.

    Alarms of the kind **labels** end, and what they held goes on: performance, calibration and fairness are judged again, against the
    baseline as before. Live windows tell from here on how labels come, for the versions to come too. A baseline file that was built anew
    knows by itself. The right `decide` is needed, as for alarms.
    """
    from calidris.cli import watched_models
    from calidris.cli.receiver_client import Receiver

    what = watched_models.Forgotten(model, version, tenant)
    run(lambda: watched_models.relabel(Receiver(config, endpoint, token, certificate), what, by, reason, out))


class TimeUnit(StrEnum):
    """Units of numbers that are times or durations."""

    S = "s"
    MS = "ms"
    US = "us"
    NS = "ns"


@baselines.command("build")
def baseline_build(
    model: Annotated[str, typer.Option(help="Name of the model, as in the configuration.")],
    data: Annotated[Path, typer.Option(help="Rows: a .parquet or .csv file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Baseline file to write.")],
    config: ConfigOption = DEFAULT_CONFIG,
    time: Annotated[
        str | None,
        typer.Option(
            help="Column with the time of each row. Without it nothing alarms until the spread of live windows has been learned."
        ),
    ] = None,
    time_unit: Annotated[
        TimeUnit | None,
        typer.Option(
            help="Unit of times that are numbers since 1970. Default: seconds, which are then looked at twice."
        ),
    ] = None,
    score: Annotated[
        str | None, typer.Option(help="Column with the probability of the positive class. Default: score, if there.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="Column with the true outcome. Default: label, if there; '' for none.")
    ] = None,
    decision: Annotated[
        str | None, typer.Option(help="Column with the predicted class. Default: prediction, if there.")
    ] = None,
    value: Annotated[
        str | None, typer.Option(help="Column with the predicted number of a regression. Default: value, if there.")
    ] = None,
    label_time: Annotated[
        str | None,
        typer.Option(help="Column with the time at which each outcome became known: alarms compare labels of one age."),
    ] = None,
    duration: Annotated[
        str | None,
        typer.Option(
            help="Column with how long each call took: latency is watched at once, not after a week of traffic."
        ),
    ] = None,
    duration_unit: Annotated[TimeUnit, typer.Option(help="Unit of durations.")] = TimeUnit.S,
    error: Annotated[
        str | None,
        typer.Option(help="Column with the type of each call's error, empty where there was none; or true and false."),
    ] = None,
    weight: Annotated[
        str | None,
        typer.Option(help="Column with how many rows each row stands for. It is checked; rows are counted as rows."),
    ] = None,
    features: Annotated[
        str | None, typer.Option(help="Feature columns, separated by commas. Default: all others.")
    ] = None,
    types: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=TYPE: what a column holds, number, text or boolean; repeatable. Beside those of the configuration."
        ),
    ] = None,
    embedding: Annotated[
        list[str] | None,
        typer.Option(help="Column of vectors, a list of numbers a row; repeatable. Beside those of the configuration."),
    ] = None,
) -> None:
    """Build a baseline from rows that the model saw and scored while all was well; `docs/baselines.md` says what is checked.

    Draw the rows as traffic is drawn: at least 2000 of them, over at least 30 windows. A small disjoint hold-out makes false alarms that
    no mathematics can excuse.
    """
    from calidris.cli import baseline

    columns = baseline.Columns(
        time=time,
        score=score,
        label=label,
        decision=decision,
        value=value,
        features=features,
        label_time=label_time,
        duration=duration,
        error=error,
        weight=weight,
        embeddings=tuple(embedding or ()),
        time_unit=time_unit,
        duration_unit=duration_unit,
        types=tuple(types or ()),
    )
    run(lambda: baseline.build(config, model, data, output, columns, out))


@baselines.command("show")
def baseline_show(path: Annotated[Path, typer.Argument(help="A baseline file.")]) -> None:
    """Show what a baseline holds: rows, windows, fields with their bins."""
    from calidris.cli import baseline

    run(lambda: baseline.show(path, out))


@compat_app.callback()
def _compat() -> None:
    """Keeps ``evidently`` a command of its own while it is the only one."""


@compat_app.command("evidently")
def evidently_command(
    baseline: Annotated[Path, typer.Option(help="Rows from while all was well: a .parquet or .csv file.")],
    window: Annotated[Path, typer.Option(help="Rows to judge, with the same columns.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Show Evidently's default drift verdicts (version 0.7) beside what Calidris says of the same rows.

    Every column of the files is compared. For each: the test that tool picks from the column's type and the baseline's rows, its score,
    threshold and verdict; then the population stability index with the bias of small samples taken off, its 95 % interval, the rows behind
    it, and whether the difference is more than chance explains (5 % for all columns together).

    The exit code is 0 whatever the verdicts are. `docs/compat.md` says what is reproduced and what is not.
    """
    from calidris.cli import compat

    run(lambda: compat.compare(baseline, window, as_json))
