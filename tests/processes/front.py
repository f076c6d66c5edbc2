"""What stands in front of a receiver and may hide it: refuse, or hang; what it lets through, the receiver answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager

import grpc
from running import EXPORT, Running

WORKERS = 16


class Front:
    """A gRPC server that passes requests on.

    Attributes:
        open: requests are passed on while it is set.
        patience_s: how long a request waits for it before it is refused as unavailable.
        refused: requests that were.
    """

    def __init__(self, receiver: Running, patience_s: float = 0.0) -> None:
        self.open = threading.Event()
        self.patience_s = patience_s
        self.refused = 0
        self._receiver = receiver

    def export(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        """One request."""
        if not self.open.wait(self.patience_s):
            self.refused += 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "as the test wants")
        try:
            return self._receiver.export(request)
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())


@contextmanager
def front(receiver: Running, patience_s: float = 0.0) -> Iterator[tuple[Front, str]]:
    """A front, and its address."""
    one = Front(receiver, patience_s)
    service, method = EXPORT.strip("/").split("/")
    handler = grpc.method_handlers_generic_handler(service, {method: grpc.unary_unary_rpc_method_handler(one.export)})
    server = grpc.server(futures.ThreadPoolExecutor(WORKERS), handlers=[handler], options=[("grpc.so_reuseport", 0)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield one, f"http://127.0.0.1:{port}"
    finally:
        one.open.set()  # whoever hangs goes on
        server.stop(None).wait()
