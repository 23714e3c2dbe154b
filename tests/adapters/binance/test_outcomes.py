"""The table of outcomes, row by row."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from adapters.binance.outcomes import (
    ROWS,
    Answer,
    Care,
    Meaning,
    RequestNotSent,
    RequestUnknown,
    Row,
    cancel_failure,
    order_failure,
    row_of,
)
from messages.order import CancelFailed, NotSent, OutcomeUnknown, Refused
from tests.adapters.binance.test_venue_orders import a_cancel

CHILD = "tgp-abcdefghij234-0-0"

EXPECTED: dict[str, tuple[str, type]] = {
    "connection refused, DNS or TLS before sending": ("no", NotSent),
    "timeout, reset or close after bytes were sent": ("?", OutcomeUnknown),
    "5xx, whatever the body": ("?", OutcomeUnknown),
    "-1006 unexpected response": ("?", OutcomeUnknown),
    "-1007 internal timeout": ("?", OutcomeUnknown),
    "-1000 unknown error": ("?", OutcomeUnknown),
    "-1001 disconnected inside": ("?", OutcomeUnknown),
    "-1008 server busy": ("?", OutcomeUnknown),
    "-1016 shutting down": ("?", OutcomeUnknown),
    "-1020 unsupported": ("no", Refused),
    "-1003 too much weight": ("no", Refused),
    "429 over a limit": ("no", Refused),
    "418 banned": ("no", Refused),
    "403 firewall": ("no", Refused),
    "-1015 too many orders": ("no", Refused),
    "-1013 filter failure": ("no", Refused),
    "-11xx a parameter is wrong": ("no", Refused),
    "-1021 timestamp": ("no", Refused),
    "-1022 signature": ("no", Refused),
    "-1002 unauthorised": ("no", Refused),
    "-2014 form of the key": ("no", Refused),
    "-2015 key, address or permission": ("no", Refused),
    "401 unauthorised": ("no", Refused),
    "-1220 status of the symbol": ("no", Refused),
    "-1010 engine's message": ("no", Refused),
    "-1014 order composition": ("no", Refused),
    "-2010 duplicate: an earlier one is open": ("no", Refused),
    "-2010 new order rejected": ("no", Refused),
    "-2016 no trading window": ("no", Refused),
    "-2011 cancel rejected": ("no", Refused),
    "-2021 cancel and new order, half done": ("?", OutcomeUnknown),
    "-2022 cancel and new order, neither done": ("no", Refused),
    "-2038 amend rejected": ("no", Refused),
    "-2013 no such order": ("no", Refused),
    "-2026 archived without a fill": ("no", Refused),
    "-2039 ids of two orders": ("no", Refused),
    "-2035 subscribed already": ("no", Refused),
    "-2036 not subscribed": ("no", Refused),
    "-2042 too many subscriptions": ("no", Refused),
    "-2043 no reference price": ("no", Refused),
    "anything else": ("?", OutcomeUnknown),
}


def failure_of(row: Row) -> Answer | Exception:
    """An answer, or a lack of one, that this row speaks of."""
    if row.transport is not None:
        return RequestNotSent("no") if row.transport == "before" else RequestUnknown("no")
    status = 400 if row.status is None else row.status[0]
    return Answer(status=status, code=None if row.code is None else row.code[1], message=row.text or "text")


def test_every_row_but_the_good_one_is_spoken_of_here() -> None:
    assert {row.signal for row in ROWS} - set(EXPECTED) == {"a good status"}


@pytest.mark.parametrize("row", [row for row in ROWS if row.signal in EXPECTED], ids=lambda row: row.signal)
def test_a_row_means_for_orders_and_cancels_what_the_reference_says(row: Row) -> None:
    executed, reply = EXPECTED[row.signal]
    failure = failure_of(row)
    if isinstance(failure, Answer):
        assert row_of(failure) is row
    assert row.executed == executed
    assert isinstance(order_failure(CHILD, failure), reply)
    cancelled = cancel_failure(a_cancel(None), failure)
    assert isinstance(cancelled, CancelFailed)
    assert (cancelled.code is not None) == (reply is Refused)


def test_a_row_that_is_named_by_a_code_or_a_status_speaks_of_that_alone() -> None:
    words = {row.signal: row.signal.split()[0] for row in ROWS}
    named = {signal: int(word) for signal, word in words.items() if word.lstrip("-").isdigit()}
    assert len(named) == len(ROWS) - 6
    for row in ROWS:
        if (number := named.get(row.signal)) is not None:
            bounds = (number, number)
            assert (row.code, row.status) == ((bounds, None) if number < 0 else (None, bounds))
    ranges = {row.signal: row.code or row.status for row in ROWS if row.signal not in named}
    assert ranges == {
        "connection refused, DNS or TLS before sending": None,
        "timeout, reset or close after bytes were sent": None,
        "a good status": (200, 299),
        "5xx, whatever the body": (500, 599),
        "-11xx a parameter is wrong": (-1199, -1100),
        "anything else": None,
    }


@pytest.mark.parametrize(("status", "good"), [(199, False), (200, True), (299, True), (300, False), (500, False)])
def test_only_a_status_of_200_and_some_is_good(status: int, good: bool) -> None:
    assert Answer(status=status).good is good
    assert (row_of(Answer(status=status)).meaning is Meaning.TAKEN) is good


def test_what_leaves_it_open_outweighs_a_status_that_would_close_it() -> None:
    for code in (-1000, -1001, -1006, -1007, -1008, -1016, -2021):
        for status in (400, 403, 409, 429):
            assert row_of(Answer(status=status, code=code)).meaning is Meaning.UNKNOWN


def test_a_server_error_is_open_whatever_code_it_carries() -> None:
    for code in (None, -1003, -1013, -2010, -2011):
        assert row_of(Answer(status=504, code=code)).meaning is Meaning.UNKNOWN


def test_a_good_status_that_is_told_as_a_failure_is_open() -> None:
    assert row_of(Answer(status=200)).executed == "yes"
    assert isinstance(order_failure(CHILD, Answer(status=200)), OutcomeUnknown)


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (Answer(status=503), "status 503"),
        (Answer(status=503, message="busy"), "status 503, busy"),
        (Answer(status=400, code=-1008, message="busy"), "status 400, -1008: busy"),
        (RequestUnknown("no answer in 10 s"), "no answer in 10 s"),
        (RequestUnknown(), "RequestUnknown"),
    ],
)
def test_what_left_an_order_or_a_cancel_open_is_told(failure: Answer | Exception, words: str) -> None:
    assert order_failure(CHILD, failure) == OutcomeUnknown(client_order_id=CHILD, detail=words)
    assert cancel_failure(a_cancel(None), failure).detail == words


def test_a_refusal_keeps_code_text_and_the_time_to_wait_for() -> None:
    until = datetime(2026, 7, 1, tzinfo=UTC)
    refused = order_failure(CHILD, Answer(status=429, code=-1003, message="slow", until=until))
    assert refused == Refused(client_order_id=CHILD, code=-1003, message="slow", until=until)
    without_body = order_failure(CHILD, Answer(status=403))
    assert without_body == Refused(client_order_id=CHILD, code=403, message="")


def test_what_else_is_to_be_done_is_in_the_table() -> None:
    cares = {row.signal: row.care for row in ROWS if row.care is not Care.NONE}
    assert cares["-1021 timestamp"] is Care.SET_CLOCK
    assert cares["-1015 too many orders"] is Care.HOLD_ORDERS
    assert {cares[name] for name in ("418 banned", "-1003 too much weight", "429 over a limit")} == {Care.HOLD_ALL}
    assert cares["403 firewall"] is Care.HOLD_ALL_AND_ALARM
    keys = {"-1022 signature", "-1002 unauthorised", "-2014 form of the key", "-2015 key, address or permission"}
    alarms = {name for name, care in cares.items() if care.alarms}
    assert alarms == {*keys, "401 unauthorised", "403 firewall", "-2039 ids of two orders"}
