"""What becomes of messages that nobody is there to take."""

from __future__ import annotations

from typing import Any

import pytest

from actors.letters import WORDS, execution_of, heed, what
from actors.order_watcher.inquiry import Answered
from actors.order_watcher.proof import Moment
from actors.order_watcher.timers import TimedOut
from actors.runtime import Simulation
from messages.control import Committed, Ping, TroubleSeen
from messages.execution import CancelExecution, CommandAnswer
from messages.order import (
    Acknowledged,
    CancelFailed,
    NotSent,
    OrderNotFound,
    OrderReport,
    OutcomeUnknown,
    QueryOrder,
    Relay,
    TimeFound,
)
from messages.signal import SignalReceived
from tests import factories
from tests.factories import a_signal
from tests.order_tools import an_order
from tests.probe import Probe

CHILD = "tgp-abc-0-0"


class Nobody:
    def tell(self, _: object, /) -> None:
        """Take no notice."""


def a_report() -> OrderReport:
    return OrderReport(order=an_order(client_order_id=CHILD), report_id=1, execution_type="TRADE")


LOST: dict[str, Any] = {
    f"Acknowledged {CHILD}": Acknowledged(client_order_id=CHILD, order=an_order(client_order_id=CHILD)),
    f"NotSent {CHILD}": NotSent(client_order_id=CHILD, detail=""),
    f"OutcomeUnknown {CHILD}": OutcomeUnknown(client_order_id=CHILD, detail=""),
    f"CancelFailed {CHILD}": CancelFailed(client_order_id=CHILD, code=None, detail="", cancel_id=""),
    f"OrderReport {CHILD}": a_report(),
    "SignalReceived s1": SignalReceived(a_signal(id="s1"), reply_to=Nobody()),
    "SignalReceived BTCUSDT": SignalReceived(a_signal(id=None), reply_to=Nobody()),
}


@pytest.mark.parametrize("name", LOST)
def test_a_trade_an_outcome_or_a_signal_that_is_lost_is_told_with_what_it_is_of(
    simulation: Simulation, probe: Probe, name: str
) -> None:
    assert isinstance(LOST[name], WORDS)
    assert what(LOST[name]) == name
    heed(LOST[name], simulation, probe.ref)
    told = probe.expect(TroubleSeen)
    assert (told.kind, told.subject, told.level) == ("lost_message", "messages", "error")
    assert name in told.text


def test_a_command_that_is_lost_is_answered(simulation: Simulation, probe: Probe) -> None:
    operator = Probe(simulation, "operator")
    heed(CancelExecution(execution_id="e1", reply_to=operator.ref), simulation, probe.ref)
    answer = operator.expect(CommandAnswer)
    assert (answer.execution_id, answer.done) == ("e1", False)
    assert "ask again" in answer.detail
    probe.expect_none(within=1.0)


@pytest.mark.parametrize("letter", [Ping(Nobody()), TimeFound(offset_milliseconds=1), "whatever"])
def test_of_what_is_asked_again_nothing_is_said(simulation: Simulation, probe: Probe, letter: object) -> None:
    heed(letter, simulation, probe.ref)
    probe.expect_none(within=1.0)


OURS = an_order(client_order_id=factories.CHILD)
ABOUT: list[Any] = [
    Committed(1, factories.NOW, factories.an_intent()),
    CancelExecution(execution_id=factories.EXECUTION, reply_to=Nobody()),
    OutcomeUnknown(client_order_id=factories.CHILD, detail=""),
    OrderReport(order=OURS, report_id=1, execution_type="TRADE"),
    TimedOut(factories.CHILD),
    Relay(query=QueryOrder(symbol="BTCUSDT", client_order_id=factories.CHILD, reply_to=Nobody()), urgent=True),
    Answered(Moment(0.0, 0.0), None, OrderNotFound(symbol="BTCUSDT", client_order_id=factories.CHILD)),
]


@pytest.mark.parametrize("message", ABOUT, ids=lambda message: type(message).__name__)
def test_it_is_known_which_execution_a_message_is_about(message: Any) -> None:
    assert execution_of(message) == factories.EXECUTION


@pytest.mark.parametrize(
    "message",
    [Ping(Nobody()), TimeFound(offset_milliseconds=0), None, "?"],
    ids=["Ping", "TimeFound", "nothing", "text"],
)
def test_of_others_nothing_is_guessed(message: Any) -> None:
    assert execution_of(message) == ""
    assert execution_of(OrderReport(order=an_order(client_order_id="web_1"), report_id=1, execution_type="NEW")) == ""
