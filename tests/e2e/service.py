"""A service that predicts all the time; its commands come on standard input, its answers go to standard output.

``rows``: how many predictions so far, and how many of them were dropped. ``end``: no more of them; flush, and say whether all
that was not dropped was delivered.
"""

import json
import sys
import threading

import calidris
from calidris.instrument.runtime import runtime

credit = calidris.Model("credit", version="7", task="binary", features=["age"])
made = 0
ending = threading.Event()


def serve() -> None:
    """One prediction a millisecond; whatever the receiver does, the caller's result is its own."""
    global made
    while not ending.wait(0.001):
        with credit.predict(features={"age": 40.0}, id=str(made)) as prediction:
            prediction.score = 0.5
        made += 1


thread = threading.Thread(target=serve)
thread.start()
for line in sys.stdin:
    if line == "end\n":
        ending.set()
        thread.join()
    delivered = calidris.flush(10) if ending.is_set() else None
    drops = {f"{model}:{reason}": n for (model, reason), n in runtime.drops().items()}
    print(json.dumps({"rows": made, "drops": drops, "delivered": delivered}), flush=True)
