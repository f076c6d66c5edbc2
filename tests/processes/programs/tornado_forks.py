"""Tornado, which forks processes of its own: ``python tornado_forks.py 8000``."""

from __future__ import annotations

import asyncio
import os
import sys

import ledger
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.process import fork_processes
from tornado.web import Application, RequestHandler


class Predict(RequestHandler):
    def get(self) -> None:
        """Predict; the answer is the process that did it."""
        ledger.predict()
        self.write(str(os.getpid()))


async def serve() -> None:
    server = HTTPServer(Application([("/", Predict)]))
    server.add_sockets(sockets)
    await asyncio.Event().wait()


sockets = bind_sockets(int(sys.argv[1]), "127.0.0.1")
fork_processes(2)
asyncio.run(serve())
