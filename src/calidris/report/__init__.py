"""Report: one snapshot as one self-contained HTML page that people read, print and file."""

from calidris.report.page import render

__all__ = ["render"]
