"""A log handler of the application that raises, and a receiver that is away: recording and sending go on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

import calidris
from calidris import Model, semconv
from calidris.instrument.guarded_log import log


class Raising(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise SystemExit("no log today")


@pytest.fixture
def broken_log() -> Iterator[None]:
    handler = Raising()
    logging.getLogger("calidris").addHandler(handler)
    yield
    logging.getLogger("calidris").removeHandler(handler)


def test_what_a_log_handler_raises_reaches_nobody(broken_log: None, make_receiver: Any) -> None:
    log.error("calidris: %s", "something")
    receiver = make_receiver()
    endpoint = receiver.start()
    receiver.stop()
    calidris.configure(endpoint=endpoint, queue_rows="many")
    calidris.configure(endpoint=endpoint)
    model = Model("m")
    for n in range(3):
        with model.predict(features={"n": n}):
            pass
    assert not calidris.flush(1)
    receiver.start()
    assert calidris.flush(20)
    assert receiver.only("predict m")[semconv.ML_PREDICTION_COUNT] == 3


def test_time_outs_of_the_application_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calidris.instrument.guarded_log.passes", lambda _: True)
    handler = Raising()
    logging.getLogger("calidris").addHandler(handler)
    try:
        with pytest.raises(SystemExit):
            log.warning("something")
    finally:
        logging.getLogger("calidris").removeHandler(handler)
