"""OTLP bytes to batches, and back. No sockets, no clock: the receiver, the archive and Spark all use it."""

from calidris.wire.columns.reports import Report
from calidris.wire.decoder import Decoded, decode
from calidris.wire.encoder import FORMS, Form, encode_labels, encode_predictions
from calidris.wire.limits import DEFAULT_LIMITS, WireLimits
from calidris.wire.otlp.gate import holds_model_telemetry
from calidris.wire.rejections import CURES

__all__ = [
    "CURES",
    "DEFAULT_LIMITS",
    "FORMS",
    "Decoded",
    "Form",
    "Report",
    "WireLimits",
    "decode",
    "encode_labels",
    "encode_predictions",
    "holds_model_telemetry",
]
