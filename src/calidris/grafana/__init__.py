"""Dashboards, provisioning files and alert rules as pure functions of names and configuration."""

from calidris.grafana.files import render, texts

__all__ = ["render", "texts"]
