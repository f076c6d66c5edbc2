"""One load generator: requests at fixed times, whatever the answers do, in a process of its own.

    python -m benchmarks.load.sender PORT --rows 100 --per-second 50 --seconds 60 --number 0

An answer's time counts from when its request was due, not from when it was sent: a stall of the receiver delays the requests
behind it too, and that shows. Prints one line of JSON at the end.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import threading
import time
from typing import Any

import grpc
from benchmarks.payloads import Payload, one_row, stream

from calidris.receive.grpc import TRACES

DISTINCT = 16
MOST_IN_FLIGHT = 256
ANSWER_TIMEOUT_S = 30.0


class Answers:
    """What came back, filled by gRPC's threads."""

    def __init__(self) -> None:
        self.times_s: list[float] = []
        self.refused: dict[str, int] = {}
        self._slots = threading.Semaphore(MOST_IN_FLIGHT)
        self._lock = threading.Lock()

    def expect(self, call: Any, due_s: float) -> None:
        """Note the answer of a call when it comes; waits while too many are out."""
        self._slots.acquire()
        call.add_done_callback(lambda done: self._note(done, time.monotonic() - due_s))

    def _note(self, call: Any, took_s: float) -> None:
        error = call.exception()
        with self._lock:
            if error is None and not call.result():  # bytes in it would say that some spans were refused
                self.times_s.append(took_s)
            else:
                why = error.code().name if error is not None else "partial"
                self.refused[why] = self.refused.get(why, 0) + 1
        self._slots.release()

    def wait(self) -> None:
        """Until every call has its answer."""
        for _ in range(MOST_IN_FLIGHT):
            self._slots.acquire()


def send(port: int, payloads: list[Payload], per_second: float, seconds: float, number: int) -> Answers:
    """Send for a while, ``per_second`` requests at even distances; returns when the last one has its answer."""
    answers, requests = Answers(), stream(payloads, first=(number + 1) << 48)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        export = channel.unary_unary(f"/{TRACES}/Export")
        began = time.monotonic()
        for count in itertools.count():
            due = began + count / per_second
            if due >= began + seconds:
                break
            raw = next(requests)
            time.sleep(max(due - time.monotonic(), 0.0))
            answers.expect(export.future(raw, timeout=ANSWER_TIMEOUT_S), due)
        answers.wait()
    return answers


def main() -> None:
    """Send, then tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--per-second", type=float, default=50.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--number", type=int, default=0)
    arguments = parser.parse_args()
    make = one_row("json", arguments.rows)
    payloads = [make(arguments.number * DISTINCT + seed) for seed in range(DISTINCT)]
    answers = send(arguments.port, payloads, arguments.per_second, arguments.seconds, arguments.number)
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {"times_s": answers.times_s, "refused": answers.refused, "cpu_s": used.ru_utime + used.ru_stime}
    print(json.dumps(told | {"rows": len(answers.times_s) * arguments.rows}))


if __name__ == "__main__":
    main()
