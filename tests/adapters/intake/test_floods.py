from __future__ import annotations

import logging

import pytest

from adapters.intake.floods import FloodFilter, Floods


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_flood_is_one_line_and_later_one_with_the_number(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    floods = Floods(logging.getLogger("flood"), clock=clock, quiet_seconds=60)
    for _ in range(10_000):
        floods.note("too many signals: ", "desk sends")
    assert [record.getMessage() for record in caplog.records] == [
        "too many signals: desk sends; of any more the number is said in 60 s"
    ]
    clock.now += 60
    floods.note("too many signals: ", "desk sends")
    assert "and 9999 more before it" in caplog.records[-1].getMessage()
    clock.now += 60
    floods.note("too many signals: ")
    assert "before" not in caplog.records[-1].getMessage()


def test_another_kind_of_flood_is_a_line_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    floods = Floods(logging.getLogger("flood"), clock=Clock())
    assert [floods.note(kind) for kind in ("a", "a", "b", "b")] == [True, False, True, False]


def test_records_that_senders_cause_are_let_through_once_in_a_while(caplog: pytest.LogCaptureFixture) -> None:
    clock, logger = Clock(), logging.getLogger("flood.filtered")
    only = FloodFilter(clock=clock, quiet_seconds=60)
    logger.addFilter(only)
    for sender in range(100):
        logger.warning("bad request of %s", sender)
    logger.warning("another")
    clock.now += 60
    logger.warning("bad request of %s", 101)
    logger.removeFilter(only)
    assert [record.getMessage() for record in caplog.records] == ["bad request of 0", "another", "bad request of 101"]


def test_what_a_sender_wrote_is_not_quoted(caplog: pytest.LogCaptureFixture) -> None:
    logger, only = logging.getLogger("flood.quoting"), FloodFilter(quoting=(ValueError,))
    logger.addFilter(only)
    for kind in (ValueError, KeyError):
        try:
            raise kind("what was sent")
        except (ValueError, KeyError):
            logger.exception(f"{kind.__name__} failed")  # noqa: G004 - a message of its own each
    logger.removeFilter(only)
    first, second = caplog.records
    assert (first.getMessage(), first.exc_info) == ("ValueError failed: ValueError", None)
    assert second.exc_info is not None
