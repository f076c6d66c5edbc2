"""Dashboards, provisioning files and alert rules as pure functions of names and configuration."""

from calidris.grafana.render import render, texts

__all__ = ["render", "texts"]
