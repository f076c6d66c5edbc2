"""Alert and recording rules, each defined once and rendered for Prometheus and for Grafana."""

from calidris.grafana.alerts.alert import Alert, Recording
from calidris.grafana.alerts.backpressure_alerts import backpressure_alerts
from calidris.grafana.alerts.model_alerts import model_alerts
from calidris.grafana.alerts.objective_alerts import burn_alerts, recordings
from calidris.grafana.alerts.receiver_alerts import receiver_alerts

__all__ = ["Alert", "Recording", "backpressure_alerts", "burn_alerts", "model_alerts", "receiver_alerts", "recordings"]
