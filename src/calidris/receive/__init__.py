"""Bytes in: what arrives is admitted, made durable, decoded and handed to the engine, and only then acknowledged."""

from calidris.receive.admission import Admission, ReceiverCounters
from calidris.receive.grpc import GrpcReceiver
from calidris.receive.http import HttpReceiver
from calidris.receive.intake import Intake, received_again
from calidris.receive.rates import Rates

__all__ = ["Admission", "GrpcReceiver", "HttpReceiver", "Intake", "Rates", "ReceiverCounters", "received_again"]
