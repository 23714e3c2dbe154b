"""Each row of the table of outcomes (protocol §11) on the wire, met by the requests that it is about.

The paper exchange's server answers so, on either path where there are two; looked at are the one message that the
adapter makes of it, the moment that it names, and what the adapter itself must do: hold back, measure, say so.
`tests/simulation/test_outcome_rows.py` has what follows from that in the daemon.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from adapters.binance.limits import _NO_HOLD
from adapters.binance.outcomes import ROWS, Care, Meaning, Row
from adapters.paper.server.faults import Body, Fault, Plan, WireFault
from messages.ids import cancel_id
from messages.order import (
    CancelFailed,
    LimitsSeen,
    NotSent,
    OpenUserStream,
    OrderNotFound,
    OutcomeUnknown,
    QueryFailed,
    QueryOrder,
    QueryRules,
    QueryTime,
    Refused,
    ReportLimits,
    SendCancel,
    StreamOpened,
    TimeFound,
    VenueAlarm,
)
from tests.adapters.binance.stub import until
from tests.adapters.binance.worlds import OverTheWire, wired
from tests.probe import Probe

pytestmark = pytest.mark.wire

BY_SIGNAL = {row.signal: row for row in ROWS}
HOLD = timedelta(seconds=5)
A_SECOND = timedelta(seconds=1.2)
"""Retry-After counts whole seconds."""

NO_CODE_OF_OURS = -9999
STATUSES = {-1002: 401, -1003: 429, -1015: 429, -2014: 401, -2015: 401}
"""The status that comes with a code, where it is not 400."""

EVERY_REQUEST = {
    "timeout, reset or close after bytes were sent",
    "5xx, whatever the body",
    "-1006 unexpected response",
    "-1007 internal timeout",
    "-1000 unknown error",
    "-1001 disconnected inside",
    "-1008 server busy",
    "-1016 shutting down",
    "418 banned",
    "-1003 too much weight",
    "429 over a limit",
    "403 firewall",
    "-1020 unsupported",
    "-1021 timestamp",
    "-1022 signature",
    "-1002 unauthorised",
    "-2014 form of the key",
    "-2015 key, address or permission",
    "401 unauthorised",
    "-11xx a parameter is wrong",
    "anything else",
}
ORDERS = EVERY_REQUEST | {
    "-2021 cancel and new order, half done",
    "-2022 cancel and new order, neither done",
    "-1015 too many orders",
    "-1013 filter failure",
    "-1220 status of the symbol",
    "-1010 engine's message",
    "-1014 order composition",
    "-2010 duplicate: an earlier one is open",
    "-2010 new order rejected",
    "-2016 no trading window",
}
CANCELS = EVERY_REQUEST | {
    "-1010 engine's message",
    "-2011 cancel rejected",
    "-2038 amend rejected",
    "-2039 ids of two orders",
}
QUESTIONS = EVERY_REQUEST | {"-2013 no such order", "-2026 archived without a fill", "-2039 ids of two orders"}
RULES = {"-1220 status of the symbol", "-2043 no reference price"}
SUBSCRIPTIONS = {"-2035 subscribed already", "-2036 not subscribed", "-2042 too many subscriptions"}
ELSEWHERE = {"connection refused, DNS or TLS before sending", "a good status"}
"""`tests/wire/test_adapter.py` has these two."""


def test_every_row_is_met_by_a_request_that_it_is_about() -> None:
    assert set(BY_SIGNAL) == ORDERS | CANCELS | QUESTIONS | RULES | SUBSCRIPTIONS | ELSEWHERE


@dataclass
class Path:
    """An adapter and a server, and one of the ways on which requests go between them."""

    name: str
    world: OverTheWire

    def __post_init__(self) -> None:
        self.alarms = Probe(self.world.runtime, "alarms")
        self.world.tell(ReportLimits(listener=self.alarms.ref))
        until(lambda: self.world.venue._clock.known)
        self._measured = 0
        self._count_measurements()

    @property
    def kind(self) -> str:
        return self.name.partition(" over ")[0]

    def plan(self, *faults: Fault) -> None:
        self.world.call(lambda: self.world.server.desk.faults.set(Plan(faults=faults)))

    def struck(self) -> int:
        """How many requests have come that the plan is about."""
        return self.world.call(lambda: sum(int(str(one["occasions"])) for one in self.world.server.desk.faults.state()))

    def on_loop(self, function: Callable[[], object]) -> None:
        """Do something where the adapter lives."""
        done = threading.Event()

        def do() -> None:
            function()
            done.set()

        self.world.venue._loop.call(do)
        assert done.wait(5)

    def _count_measurements(self) -> None:
        clock, measure = self.world.venue._clock, self.world.venue._clock._measure

        async def counted() -> None:
            await measure()
            self._measured += 1

        clock._measure = counted  # type: ignore[method-assign]

    def ready(self) -> None:
        """Forget what the row before has led to."""
        limits = self.world.venue._limits

        def forget() -> None:
            limits._all = limits._orders = _NO_HOLD

        self.plan()
        self.on_loop(forget)
        if self.name.endswith("the WebSocket API"):
            until(lambda: self.world.venue._ws.connected)
        self.world.replies.messages()
        self.alarms.messages()

    def ask(self) -> Any:
        """Send a request, and return the one answer."""
        world, order = self.world, self.world.order()
        name = order.client_order_id
        match self.kind:
            case "an order":
                world.tell(order)
            case "a cancel":
                cancel = SendCancel(
                    symbol="BTCUSDT",
                    client_order_id=name,
                    order_id=None,
                    cancel_id=cancel_id(name, 0),
                    reply_to=world.replies.ref,
                )
                world.tell(cancel)
            case "a question":
                world.tell(QueryOrder(symbol="BTCUSDT", client_order_id=name, reply_to=world.replies.ref))
            case _:
                world.tell(QueryRules(symbols=("BTCUSDT",), reply_to=world.replies.ref))
        return world.reply(object)

    def fault_of(self, row: Row) -> Fault:
        """Make the server answer so that this row speaks of it."""
        kinds = {"an order": "place", "a cancel": "cancel", "a question": "query"}
        fields: dict[str, Any] = {"on": (kinds[self.kind],) if self.kind in kinds else (), "probability": 1.0}
        if row.transport == "after":
            return Fault(kind=WireFault.DROPPED_REQUEST, **fields)
        code = NO_CODE_OF_OURS if row.code is None else row.code[1]
        status = STATUSES.get(code, 400) if row.status is None else row.status[0]
        over_rest = self.name.endswith("REST")
        if over_rest and row.code is None and status in {401, 403, 500}:
            return Fault(kind=WireFault.ERROR_INSTEAD, status=status, body=Body.HTML, **fields)
        kind = WireFault.ERROR_INSTEAD if status >= 500 else WireFault.REFUSE
        milliseconds = HOLD.total_seconds() * 1000 if status in {418, 429} else 0.0
        text = row.text or "text"
        return Fault(kind=kind, status=status, code=code, message=text, milliseconds=milliseconds, **fields)


@contextmanager
def a_path(name: str) -> Iterator[Path]:
    with wired(order_seconds=0.4, cancel_seconds=0.4, query_seconds=0.4, settled_seconds=0.0) as world:
        until(lambda: hasattr(world.venue, "_ws"))
        if name.endswith("REST"):
            world.stop_orders_socket()
        yield Path(name, world)


@pytest.fixture(scope="module")
def path(request: pytest.FixtureRequest) -> Iterator[Path]:
    with a_path(request.param) as found:
        yield found


PATHS = {
    "an order over the WebSocket API": ORDERS,
    "an order over REST": ORDERS,
    "a cancel over the WebSocket API": CANCELS,
    "a cancel over REST": CANCELS,
    "a question over REST": QUESTIONS,
    "a question for rules over REST": RULES,
}
MEETINGS = [(path, row) for path, signals in PATHS.items() for row in ROWS if row.signal in signals]


@pytest.mark.parametrize(
    ("path", "row"), MEETINGS, indirect=["path"], ids=[f"{path}: {row.signal}" for path, row in MEETINGS]
)
def test_a_row_becomes_its_outcome_and_the_adapter_does_its_part(path: Path, row: Row) -> None:
    path.ready()
    path.plan(path.fault_of(row))
    look_at(path, row)


def look_at(path: Path, row: Row) -> None:
    """Meet one row, and look at all that must come of it."""
    what, began, measured = f"{path.name}: {row.signal}", path.world.runtime.wall_time(), path._measured
    answer: Any = path.ask()
    expected = outcome_of(path, row)
    assert isinstance(answer, expected), f"{what} became {answer}"
    if row.meaning is Meaning.REFUSED and not isinstance(answer, OrderNotFound):
        codes = {row.code[1]} if row.code is not None else {NO_CODE_OF_OURS, row.status[0] if row.status else 0}
        assert answer.code in codes, what
    if isinstance(answer, CancelFailed | QueryFailed) and row.meaning is Meaning.UNKNOWN:
        assert answer.code is None, what
    ends: Any = getattr(answer, "until", None)
    assert (ends is not None) is row.care.holds, what
    if row.care is Care.SET_CLOCK:
        until(lambda: path._measured > measured, within=5.0)
    if row.care.alarms:
        alarm = path.alarms.fish_for(lambda word: isinstance(word, VenueAlarm), within=2.0)
        assert alarm.code in {row.code and row.code[1], row.status and row.status[0]}, what
    if row.care.holds:
        said = timedelta(seconds=60) if row.care is Care.HOLD_ALL_AND_ALARM else HOLD
        assert abs(ends - began - said) < A_SECOND, what
        holds(path, row, ends)
    assert not [word for word in path.alarms.messages() if isinstance(word, VenueAlarm)], f"{what}: a second alarm"


def outcome_of(path: Path, row: Row) -> type[Any]:
    if path.kind == "a cancel":
        return CancelFailed
    if path.kind.startswith("a question"):
        return OrderNotFound if row.signal == "-2013 no such order" else QueryFailed
    return {Meaning.REFUSED: Refused, Meaning.UNKNOWN: OutcomeUnknown, Meaning.NOT_SENT: NotSent}[row.meaning]


def holds(path: Path, row: Row, ends: Any) -> None:
    """Nothing of what is held back is sent, and whoever decides on it is told until when."""
    if not row.care.alarms:
        seen = path.alarms.fish_for(lambda word: isinstance(word, LimitsSeen) and word.retry_at, within=2.0)
        assert abs(seen.retry_at - ends) < A_SECOND
        assert (seen.orders_only, seen.banned) == (row.care is Care.HOLD_ORDERS, row.status == (418, 418))
    before = path.struck()
    again = path.ask()
    assert abs(again.until - ends) < A_SECOND
    assert path.struck() == before, "sent within a hold"
    path.world.tell(QueryTime(reply_to=path.world.replies.ref))
    time = path.world.reply(object)
    assert isinstance(time, TimeFound if row.care is Care.HOLD_ORDERS else QueryFailed)


# Subscriptions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("signal", sorted(SUBSCRIPTIONS))
def test_a_subscription_that_is_refused_is_made_on_a_new_connection_unless_it_is_there_already(signal: str) -> None:
    row = BY_SIGNAL[signal]
    assert row.code is not None
    with wired() as world:
        fault = Fault(
            kind=WireFault.REFUSE, on=("session",), via="ws", nth=(1,), code=row.code[1], status=400, message="text"
        )
        world.call(lambda: world.server.desk.faults.set(Plan(faults=(fault,))))
        world.tell(OpenUserStream(listener=world.stream.ref))
        world.event(StreamOpened)
        asked = world.call(lambda: world.server.desk.faults.state()[0]["occasions"])
        assert asked == (1 if signal == "-2035 subscribed already" else 2)


def test_a_subscription_that_the_key_is_refused_for_is_an_alarm_each_time_and_is_tried_on() -> None:
    with wired(retry_first_seconds=0.05) as world:
        alarms = Probe(world.runtime, "alarms")
        world.tell(ReportLimits(listener=alarms.ref))
        fault = Fault(kind=WireFault.REFUSE, on=("session",), via="ws", nth=(1, 2), code=-2015, status=401)
        world.call(lambda: world.server.desk.faults.set(Plan(faults=(fault,))))
        world.tell(OpenUserStream(listener=world.stream.ref))
        for _ in range(2):
            assert alarms.fish_for(lambda word: isinstance(word, VenueAlarm), within=5.0).code == -2015
        world.event(StreamOpened)


def test_a_401_of_the_websocket_api_that_names_no_request_is_an_alarm() -> None:
    with wired(order_seconds=0.3) as world:
        alarms = Probe(world.runtime, "alarms")
        world.tell(ReportLimits(listener=alarms.ref))
        until(lambda: hasattr(world.venue, "_ws") and world.venue._ws.connected)
        fault = Fault(kind=WireFault.REVOKED, on=("place",), via="ws", nth=(1,))
        world.call(lambda: world.server.desk.faults.set(Plan(faults=(fault,))))
        world.tell(world.order())
        assert alarms.fish_for(lambda word: isinstance(word, VenueAlarm), within=2.0).code == -2015
        world.reply(OutcomeUnknown)
