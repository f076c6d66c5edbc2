"""Starts ``calidris serve`` by fork: a new process each time, without the second that its imports take.

A program of its own, because a process may only fork safely while it has one thread. It takes one order at a time from
the socket whose descriptor is its argument: ``{"serve": config}`` with the descriptors of stdout and stderr, answered by
the process id, and ``{"wait": pid}``, answered by the exit code, or null while it runs.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
from importlib import import_module
from pathlib import Path

from calidris.cli.common import run
from calidris.cli.serve import serve

LATER = ("grpc._server", "uvicorn.lifespan.off", "uvicorn.loops.auto", "uvicorn.protocols.http.auto")
"""What a receiver imports when it has begun already."""
_ORDER_BYTES = 4096


def hatch(order: dict[str, object], out: int, err: int) -> int:
    """The process id of a new receiver."""
    pid = os.fork()
    if pid:
        return pid
    for mine, his in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
        os.dup2(mine, his)
    os.closerange(3, 64)
    if order.get("most_bytes"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(str(order["most_bytes"])),) * 2)
    code = 1
    try:
        run(lambda: serve(Path(str(order["serve"]))))
    except BaseException as error:
        code = getattr(error, "exit_code", 1)
        raise
    finally:
        os._exit(code)


def gone(pid: int) -> int | None:
    """The exit code of a receiver, None while it runs."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def main(orders: socket.socket) -> None:
    """Obey until the other end closes."""
    for module in LATER:
        import_module(module)
    while True:
        told, fds, _, _ = socket.recv_fds(orders, _ORDER_BYTES, 2)
        if not told:
            return
        order = json.loads(told)
        answer = hatch(order, *fds) if "serve" in order else gone(order["wait"])
        for fd in fds:
            os.close(fd)
        orders.send(json.dumps(answer).encode())


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main(socket.socket(fileno=int(sys.argv[1])))
