"""What follows from each row of the table of outcomes (protocol §11), on the whole daemon.

The answer is the one that the adapter makes of that row, for the request that the row is about; what must be done
about it by the reference's column is looked for in the journal, in the alerts, and in what the daemon sends.
`tests/wire/test_outcome_rows.py` has the same rows on the wire, up to that answer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from actors.order_watcher.outcomes import Effect, effect_of
from actors.runtime import Simulation
from adapters.binance.limits import Limits
from adapters.binance.outcomes import (
    ROWS,
    Answer,
    Meaning,
    RequestNotSent,
    RequestUnknown,
    Row,
    cancel_failure,
    order_failure,
)
from adapters.binance.queries import query_failure
from messages.market import WatchMarket
from messages.order import (
    QueryOpenOrders,
    QueryOrder,
    QueryRules,
    QueryTime,
    ReportLimits,
    SendCancel,
    SendOrder,
    VenueCommand,
)
from messages.refs import Tells
from tests.simulation.whole import Stage

HELD_SECONDS = 25.0
THREE = {"num_chunks": 3, "interval_seconds": 10}


@dataclass
class Doorman:
    """Stands before the venue: answers the next request of a kind as a row says, and notes what else is sent."""

    sim: Simulation
    venue: Tells[VenueCommand | WatchMarket]
    failing: dict[type, Row] = field(default_factory=dict)
    sent: list[tuple[float, VenueCommand]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limits = Limits(self.sim)

    def tell(self, message: VenueCommand | WatchMarket, /) -> None:
        if not isinstance(message, WatchMarket):
            self.sent.append((self.sim.now(), message))
        row = self.failing.pop(type(message), None)
        match message:
            case SendOrder() if row is not None:
                self.sim.send(message.reply_to, order_failure(message.client_order_id, self.failure_of(row)))
            case SendCancel() if row is not None:
                self.sim.send(message.reply_to, cancel_failure(message, self.failure_of(row)))
            case QueryOrder() if row is not None:
                self.sim.send(message.reply_to, query_failure(message, self.failure_of(row)))
            case ReportLimits(listener=listener):
                self.limits.report_to(listener)
                self.venue.tell(message)
            case _:
                self.venue.tell(message)

    def failure_of(self, row: Row) -> Answer | Exception:
        if row.transport is not None:
            return RequestNotSent("refused") if row.transport == "before" else RequestUnknown("reset")
        until = self.sim.wall_time() + timedelta(seconds=HELD_SECONDS) if row.care.holds else None
        status = 400 if row.status is None else row.status[0]
        code = None if row.code is None else row.code[1]
        if (status, code) == (400, None):
            code = -4242
        answer = Answer(status=status, code=code, message=row.text or "text", until=until)
        return self.limits.learn_answer(answer)

    def since(self, moment: float, kinds: tuple[type, ...]) -> list[float]:
        """How many seconds after a moment commands of these kinds were sent."""
        return [at - moment for at, command in self.sent if at >= moment and isinstance(command, kinds)]


class Play:
    """A daemon behind a doorman."""

    def __init__(self, sim: Simulation, **sections: Any) -> None:
        self.sim, self.stage = sim, Stage(sim, check_codec=False, **sections)
        self.door = Doorman(sim, self.stage.world.news)  # type: ignore[arg-type] # until there is a daemon
        started = self.stage.world.start_daemon

        def start(observer: Any, *, venue: Any, market: Any, **more: Any) -> Any:
            self.door.venue = venue
            return started(observer, venue=self.door, market=market, **more)

        self.stage.world.start_daemon = start
        self.stage.start()

    def alerts(self) -> list[str]:
        return [line["kind"] for line in self.stage.lines("AlertRaised") if line["kind"] != "early_stop"]

    def halts(self) -> list[str]:
        return [line["reason"] for line in self.stage.lines("TradingHalted")]


@pytest.fixture
def play(simulation: Simulation) -> Play:
    return Play(simulation)


@dataclass(frozen=True, kw_only=True)
class Follows:
    """What follows from a row: the child's fact, the end of its execution, halt, alerts, questions, silence."""

    child: str = "ChildRefused"
    ends: str = "COMPLETED"
    halt: str | None = None
    alerts: tuple[str, ...] = ()
    asks: tuple[type, ...] = ()
    holds: tuple[type, ...] = ()


EVERYTHING = (object,)
UNKNOWN = Follows(child="ChildUnknown", alerts=("unknown_outcome",), asks=(QueryOrder,))
KEY = Follows(halt="KEY_REVOKED", alerts=("halt",), ends="REFUSED")
STOPS = Follows(ends="REFUSED")
LATER = Follows()
HELD = Follows(alerts=("rate_limited",), holds=EVERYTHING)

PLACED: dict[str, Follows] = {
    "connection refused, DNS or TLS before sending": Follows(child="ChildNotSent"),
    "timeout, reset or close after bytes were sent": UNKNOWN,
    "5xx, whatever the body": UNKNOWN,
    "-1006 unexpected response": UNKNOWN,
    "-1007 internal timeout": UNKNOWN,
    "-1000 unknown error": UNKNOWN,
    "-1001 disconnected inside": UNKNOWN,
    "-1008 server busy": UNKNOWN,
    "-1016 shutting down": UNKNOWN,
    "418 banned": Follows(halt="BANNED", alerts=("rate_limited", "halt"), holds=EVERYTHING),
    "-2021 cancel and new order, half done": UNKNOWN,
    "-1015 too many orders": Follows(alerts=("rate_limited",), holds=(SendOrder,)),
    "-1003 too much weight": HELD,
    "429 over a limit": HELD,
    "403 firewall": Follows(halt="FIREWALL", alerts=("rate_limited", "halt"), ends="", holds=EVERYTHING),
    "-1020 unsupported": STOPS,
    "-1013 filter failure": Follows(ends="REFUSED", asks=(QueryRules,)),
    "-1021 timestamp": Follows(asks=(QueryTime,)),
    "-1022 signature": Follows(halt="BAD_SIGNATURE", alerts=("halt",), ends="REFUSED"),
    "-1002 unauthorised": KEY,
    "-2014 form of the key": KEY,
    "-2015 key, address or permission": KEY,
    "401 unauthorised": KEY,
    "-11xx a parameter is wrong": STOPS,
    "-1220 status of the symbol": Follows(asks=(QueryRules,)),
    "-1010 engine's message": LATER,
    "-1014 order composition": LATER,
    "-2010 duplicate: an earlier one is open": UNKNOWN,
    "-2010 new order rejected": LATER,
    "-2016 no trading window": LATER,
    "anything else": UNKNOWN,
}
"""Rows that an order can meet. A halt that waits for a person leaves the execution open."""

STATE = (QueryOrder, QueryOpenOrders)
AGAIN = Follows(child="", asks=STATE)
CANCELLED: dict[str, Follows] = {
    "timeout, reset or close after bytes were sent": AGAIN,
    "5xx, whatever the body": AGAIN,
    "-1007 internal timeout": AGAIN,
    "418 banned": Follows(child="", halt="BANNED", alerts=("rate_limited", "halt"), holds=EVERYTHING),
    "429 over a limit": Follows(child="", alerts=("rate_limited",), holds=EVERYTHING),
    "403 firewall": Follows(child="", halt="FIREWALL", alerts=("rate_limited", "halt"), ends="", holds=EVERYTHING),
    "-1021 timestamp": AGAIN,
    "-1022 signature": Follows(child="", halt="BAD_SIGNATURE", alerts=("halt",), ends=""),
    "-2015 key, address or permission": Follows(child="", halt="KEY_REVOKED", alerts=("halt",), ends=""),
    "401 unauthorised": Follows(child="", halt="KEY_REVOKED", alerts=("halt",), ends=""),
    "-11xx a parameter is wrong": AGAIN,
    "-2011 cancel rejected": AGAIN,
    "-2022 cancel and new order, neither done": AGAIN,
    "-2038 amend rejected": AGAIN,
    "-2039 ids of two orders": Follows(child="", alerts=("venue_alarm",), asks=STATE),
    "anything else": AGAIN,
}
"""Rows that a cancel can meet: the order's own state decides, and the cancel is repeated until that is final."""

ASKED = Follows(child="ChildUnknown", alerts=("unknown_outcome",), asks=(QueryOrder,))
QUERIED: dict[str, Follows] = {
    "timeout, reset or close after bytes were sent": ASKED,
    "5xx, whatever the body": ASKED,
    "418 banned": Follows(
        child="ChildUnknown", halt="BANNED", alerts=("unknown_outcome", "rate_limited", "halt"), holds=EVERYTHING
    ),
    "429 over a limit": Follows(child="ChildUnknown", alerts=("unknown_outcome", "rate_limited"), holds=EVERYTHING),
    "403 firewall": Follows(
        child="ChildUnknown",
        halt="FIREWALL",
        alerts=("unknown_outcome", "rate_limited", "halt"),
        ends="",
        holds=EVERYTHING,
    ),
    "-1021 timestamp": ASKED,
    "-1022 signature": Follows(
        child="ChildUnknown", halt="BAD_SIGNATURE", alerts=("unknown_outcome", "halt"), ends="", asks=(QueryOrder,)
    ),
    "-2015 key, address or permission": Follows(
        child="ChildUnknown", halt="KEY_REVOKED", alerts=("unknown_outcome", "halt"), ends="", asks=(QueryOrder,)
    ),
    "-2013 no such order": ASKED,
    "-2026 archived without a fill": ASKED,
    "-2039 ids of two orders": Follows(
        child="ChildUnknown", alerts=("unknown_outcome", "venue_alarm"), asks=(QueryOrder,)
    ),
    "anything else": ASKED,
}
"""Rows that the question for one order can meet: none of them says that it is not there."""

ELSEWHERE = {
    "a good status",
    "-2035 subscribed already",
    "-2036 not subscribed",
    "-2042 too many subscriptions",
    "-2043 no reference price",
}
"""What all other tests are about, what only a subscription meets (`tests/wire`), and what nobody asks for."""

BY_SIGNAL = {row.signal: row for row in ROWS}


def test_every_row_is_played_on_a_request_that_it_is_about() -> None:
    assert {*PLACED, *CANCELLED, *QUERIED, *ELSEWHERE} == set(BY_SIGNAL)


@pytest.mark.parametrize("signal", [signal for signal in PLACED if BY_SIGNAL[signal].transport is None])
def test_the_daemons_own_table_says_of_an_orders_answer_what_the_adapters_does(signal: str) -> None:
    row = BY_SIGNAL[signal]
    bounds = row.code or row.status or (-4242, -4242)
    effects = {effect_of(code, row.text or "text") for code in bounds}
    refused = PLACED[signal].child == "ChildRefused"
    assert effects == {Effect.REFUSED} if refused else effects <= {Effect.UNKNOWN, Effect.EARLIER_IS_OPEN}
    assert refused is (row.meaning is Meaning.REFUSED) or row.text == "Duplicate order sent."


def watch(play: Play, follows: Follows, failed_at: float) -> None:
    """Let the rest of the run pass, and look at all that must follow."""
    stage, door = play.stage, play.door
    stage.run(HELD_SECONDS - 1.0)
    held = [seconds for seconds in door.since(failed_at, follows.holds) if 0.1 < seconds < HELD_SECONDS - 1.0]
    assert not (follows.holds and held), f"sent within a hold, after {held} s"
    stage.run(120.0)
    if follows.child:
        assert stage.count(follows.child) == 1
    assert play.halts() == ([] if follows.halt is None else [follows.halt])
    assert sorted(play.alerts()) == sorted(follows.alerts)
    assert all(door.since(failed_at, follows.asks)[0] < 3.0 for _ in follows.asks[:1])
    ended = [line["reason"] for line in stage.lines("ExecutionClosed")]
    assert ended == ([follows.ends] if follows.ends else [])
    if follows.ends:
        stage.check()


def failed(play: Play, request: type) -> float:
    """Run until the doorman has answered, and return when that was."""
    assert play.sim.run_until(lambda: request not in play.door.failing, 120.0)
    return play.sim.now()


@pytest.mark.parametrize("signal", PLACED)
def test_a_row_has_its_consequence_when_an_order_meets_it(signal: str, play: Play) -> None:
    play.door.failing[SendOrder] = BY_SIGNAL[signal]
    play.stage.accepted("0.3", twap=THREE)
    watch(play, PLACED[signal], failed(play, SendOrder))


@pytest.mark.parametrize("signal", CANCELLED)
def test_a_row_has_its_consequence_when_a_cancel_meets_it(signal: str, play: Play) -> None:
    play.door.failing[SendCancel] = BY_SIGNAL[signal]
    play.stage.accepted("0.3", twap={**THREE, "child": "passive"})
    follows, failed_at = CANCELLED[signal], failed(play, SendCancel)
    watch(play, follows, failed_at)
    repeated = play.door.since(failed_at + 0.001, (SendCancel,))[0]
    assert repeated < (HELD_SECONDS if follows.holds else 0.0) + 5.0, "what rests stays in the book, also in a halt"


@pytest.mark.parametrize("signal", QUERIED)
def test_a_row_has_its_consequence_when_the_question_for_an_order_meets_it(signal: str, play: Play) -> None:
    play.door.failing[SendOrder] = BY_SIGNAL["timeout, reset or close after bytes were sent"]
    play.door.failing[QueryOrder] = BY_SIGNAL[signal]
    play.stage.accepted("0.3", twap=THREE)
    watch(play, QUERIED[signal], failed(play, QueryOrder))
