"""OTLP over HTTP: protobuf and JSON, gzip within bounds, one event loop."""

from calidris.receive.http.otlp_server import HttpReceiver

__all__ = ["HttpReceiver"]
