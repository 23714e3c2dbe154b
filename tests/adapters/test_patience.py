from __future__ import annotations

import threading

import structlog.testing

from adapters.patience import telling


def test_a_wait_that_takes_long_is_told_again_and_again_and_a_short_one_never() -> None:
    with structlog.testing.capture_logs() as said:
        with telling("the sun to rise", seconds=0.01):
            while len(said) < 2:  # Real time: a thread is the thing under test.
                threading.Event().wait(0.005)
        with telling("nothing", seconds=60.0):
            pass
        count = len(said)
        threading.Event().wait(0.03)
    assert len(said) == count
    assert {entry["waiting_for"] for entry in said} == {"the sun to rise"}
