"""What leaves: the newest snapshot as metric points, scraped by Prometheus or pushed by OTLP."""

from calidris.export.otlp import OtlpExporter
from calidris.export.points import Point, Points, points
from calidris.export.prometheus import PrometheusExporter

__all__ = ["OtlpExporter", "Point", "Points", "PrometheusExporter", "points"]
