"""A parent that predicts, and children that do, started in every way Python has: ``python children.py pool fork``."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import BaseContext

import ledger

CHILDREN = 2
TASKS = 8
EACH = 25


def task(number: int) -> int:
    """What a child does."""
    ledger.predict(EACH)
    return number


def failing() -> None:
    """A child that ends by an exception."""
    ledger.predict(EACH)
    raise LookupError("the child's own")


def leaving() -> None:
    ledger.predict(EACH)
    sys.exit(3)


def parent(method: str) -> None:
    """A child that has one of its own."""
    ledger.predict(EACH)
    child = multiprocessing.get_context(method).Process(target=task, args=(0,))
    child.start()
    child.join()


def endless(ready: str) -> None:
    """A child that predicts until somebody ends it."""
    ledger.predict(EACH)
    open(ready, "w").close()
    time.sleep(60)


def process(context: BaseContext) -> None:
    children = [context.Process(target=task, args=(number,)) for number in range(CHILDREN)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0


def daemonic(context: BaseContext) -> None:
    """Children that are ended with their parent: by SIGTERM, as Process.terminate does."""
    ready = f"{ledger.ACCOUNT}.ready"
    child = context.Process(target=endless, args=(ready,), daemon=True)
    child.start()
    while not os.path.exists(ready):
        time.sleep(0.01)


def terminated(context: BaseContext) -> None:
    ready = f"{ledger.ACCOUNT}.ready"
    child = context.Process(target=endless, args=(ready,))
    child.start()
    while not os.path.exists(ready):
        time.sleep(0.01)
    child.terminate()
    child.join()
    assert child.exitcode == -15, child.exitcode


def pool(context: BaseContext) -> None:
    """A pool that is closed in order."""
    workers = context.Pool(CHILDREN)
    assert workers.map(task, range(TASKS), chunksize=1) == list(range(TASKS))
    workers.close()
    workers.join()


def pool_in_a_with(context: BaseContext) -> None:
    """The usual way to write it, which ends its workers by SIGTERM."""
    with context.Pool(CHILDREN) as workers:
        assert workers.map(task, range(TASKS), chunksize=1) == list(range(TASKS))


def pool_of_short_lives(context: BaseContext) -> None:
    workers = context.Pool(CHILDREN, maxtasksperchild=2)
    assert workers.map(task, range(TASKS), chunksize=1) == list(range(TASKS))
    workers.close()
    workers.join()


def executor(context: BaseContext) -> None:
    with ProcessPoolExecutor(CHILDREN, mp_context=context) as workers:
        assert list(workers.map(task, range(TASKS))) == list(range(TASKS))


def exceptions(context: BaseContext) -> None:
    """Children that end by an exception and by sys.exit."""
    for target, code in ((failing, 1), (leaving, 3)):
        child = context.Process(target=target)
        child.start()
        child.join()
        assert child.exitcode == code, child.exitcode


def nested(context: BaseContext) -> None:
    child = context.Process(target=parent, args=(context.get_start_method(),))
    child.start()
    child.join()
    assert child.exitcode == 0


def loky(context: BaseContext) -> None:
    from joblib import Parallel, delayed

    assert Parallel(n_jobs=CHILDREN)(delayed(task)(n) for n in range(TASKS)) == list(range(TASKS))


def fails_late(number: int) -> None:
    """Predict, stay for longer than rows wait, predict again; and one that has failed by then."""
    ledger.predict(EACH)
    time.sleep(2.5)
    if number:
        raise LookupError("a task's own")
    ledger.predict(10)
    time.sleep(60)


def loky_that_fails(context: BaseContext) -> None:
    """A task that fails: loky kills the other worker in the middle of its own."""
    from joblib import Parallel, delayed

    try:
        Parallel(n_jobs=CHILDREN)(delayed(fails_late)(n) for n in range(CHILDREN))
    except LookupError:
        sys.exit(3)


def joblib_multiprocessing(context: BaseContext) -> None:
    from joblib import Parallel, delayed

    parallel = Parallel(n_jobs=CHILDREN, backend="multiprocessing")
    assert parallel(delayed(task)(n) for n in range(TASKS)) == list(range(TASKS))


def os_fork(context: BaseContext) -> None:
    """A child that ends by sys.exit."""
    if os.fork() == 0:
        ledger.predict(EACH)
        sys.exit(3)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 3


def os_fork_and_exit(context: BaseContext) -> None:
    """A child that ends without an end; and one that does so at once, with nothing to send."""
    if os.fork() == 0:
        ledger.predict(EACH)
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 3
    begun_s = time.monotonic()
    if os.fork() == 0:
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 3
    assert time.monotonic() - begun_s < 1, "an end with nothing to send was held"


def daemonized(context: BaseContext) -> None:
    """A child of a child, in a session of its own, as daemons are; both parents leave at once."""
    if os.fork() == 0:
        ledger.predict(EACH)
        if os.fork() == 0:
            os.setsid()
            ledger.predict(EACH)
            time.sleep(1)
            ledger.predict(EACH)
        os._exit(0)
    os.wait()


def forks_of_multiprocessing(context: BaseContext) -> None:
    """Packages that began as a copy of it, and whose children know nothing of its finalizers."""
    import billiard
    import multiprocess

    for package in (billiard, multiprocess):
        workers = package.Pool(CHILDREN)
        assert workers.map(task, range(TASKS), chunksize=1) == list(range(TASKS))
        workers.close()
        workers.join()


if __name__ == "__main__":
    ledger.predict(EACH)
    globals()[sys.argv[1]](multiprocessing.get_context(sys.argv[2]))
