"""One alert, defined once and rendered for Prometheus and for Grafana."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from calidris.grafana.panel_ids import RUNBOOK, PanelId

PAGE, TICKET = "page", "ticket"


@dataclass(frozen=True, slots=True)
class Recording:
    """A series that Prometheus computes and keeps: name, expression and labels of its own."""

    name: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert rule.

    ``expr`` gives a value for everything that is watched, firing or not, and the alert fires above ``threshold``. So the
    same expression serves a panel, both alerting engines and the tests, and "no data" always means that nobody watches.

    Attributes:
        name: the alert's name in Prometheus; several rules may share it.
        key: what tells rules of one name apart, for uids; stable for ever.
        title: the rule's name in Grafana; no two are equal.
        expr: PromQL.
        threshold: it fires above.
        pending: how long it must hold ("for").
        severity: page or ticket.
        summary: one line; a template.
        description: what, since when, which model, what to do; a template.
        runbook: anchor of the runbook.
        panel: the panel to look at.
        labels: further labels; no two rules of one name have the same ones, because linters take them for copies.
        keep: how long it keeps firing where the expression has gone quiet: a receiver's restart resolves nothing.
    """

    name: str
    key: str
    title: str
    expr: str
    threshold: float
    pending: str
    severity: str
    summary: str
    description: str
    runbook: str
    panel: PanelId
    labels: Mapping[str, str] = field(default_factory=dict)
    keep: str | None = None

    @property
    def uid(self) -> str:
        """At most 40 characters, the same for ever: rules that vanish from a file stay in Grafana under their uid.

        The key is hashed because it may hold names of models, which are longer than a uid may be.
        """
        digest = hashlib.sha256(f"{self.name} {self.key}".encode()).hexdigest()[:8]
        return f"{_kebab(self.name)[:31]}-{digest}"

    @property
    def all_labels(self) -> dict[str, str]:
        """Labels that the rule adds."""
        return {"severity": self.severity, **self.labels}

    @property
    def annotations(self) -> dict[str, str]:
        """What the notification says, with Prometheus' templates."""
        return {
            "summary": self.summary,
            "description": self.description,
            "runbook_url": f"{RUNBOOK}#{self.runbook}",
            "__dashboardUid__": self.panel.dashboard_uid,
            "__panelId__": str(self.panel.panel_id),
        }


def _kebab(name: str) -> str:
    """A CamelCase name in small letters with hyphens.

    >>> _kebab("ModelSilent")
    'model-silent'
    """
    return "".join(f"-{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
