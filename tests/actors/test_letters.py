"""What becomes of messages that nobody is there to take."""

from __future__ import annotations

from typing import Any

import pytest

from actors.letters import WORDS, heed, what
from actors.runtime import Simulation
from messages.control import Ping, TroubleSeen
from messages.execution import CancelExecution, CommandAnswer
from messages.order import Acknowledged, CancelFailed, NotSent, OrderReport, OutcomeUnknown, TimeFound
from messages.signal import SignalReceived
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
