"""The one door to grafana-foundation-sdk.

It marks the classic dashboard schema as deprecated the moment it is imported. We stay with that schema on purpose: every
Grafana that is in use reads it from files, the second version of it only the newest do.
"""

from __future__ import annotations

import warnings

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from grafana_foundation_sdk.builders import (
            bargauge,
            common,
            dashboard,
            expr,
            prometheus,
            stat,
            statetimeline,
            table,
            timeseries,
        )
        from grafana_foundation_sdk.cog.encoder import JSONEncoder
        from grafana_foundation_sdk.models import common as cm
        from grafana_foundation_sdk.models import dashboard as dm
        from grafana_foundation_sdk.models import prometheus as pm
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("dashboards need one more package: pip install 'calidris[render]'") from error

__all__ = [
    "JSONEncoder",
    "bargauge",
    "cm",
    "common",
    "dashboard",
    "dm",
    "expr",
    "pm",
    "prometheus",
    "stat",
    "statetimeline",
    "table",
    "timeseries",
]
