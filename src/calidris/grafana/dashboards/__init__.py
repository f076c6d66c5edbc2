"""The dashboards as JSON, each panel in its fixed place."""

from calidris.grafana.dashboards.boards import dashboards

__all__ = ["dashboards"]
