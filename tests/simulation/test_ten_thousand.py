"""Ten thousand signals at one moment, while an execution is worked."""

from __future__ import annotations

from collections import Counter

import pytest

from actors.runtime import Simulation
from messages.control import Committed
from messages.execution import CancelExecution
from messages.facts import ChildIntended
from tests.simulation.whole import D, Stage

FIVE = {"num_chunks": 5, "interval_seconds": 10}
MANY = 10_000
PER_SECOND = 4
"""So that what is let through does not use up the exchange's limit of orders."""


def intents(stage: Stage, execution_id: str, after: int) -> list[Committed]:
    """The intents of an execution behind so many facts."""
    later = stage.world.store.committed[after:]
    return [one for one in later if isinstance(one.fact, ChildIntended) and one.fact.execution_id == execution_id]


@pytest.mark.parametrize("alike", [True, False], ids=["one signal again and again", "each another"])
def test_each_has_its_one_verdict_and_neither_slots_nor_fills_nor_a_cancel_wait(
    simulation: Simulation, *, alike: bool
) -> None:
    limits = {"max_signals_per_second": PER_SECOND, "max_signals_per_second_per_sender": PER_SECOND}
    stage = Stage(simulation, check_codec=False, limits={} if alike else limits).start()
    worked_on = stage.accepted("0.5", id="first", twap=FIVE)
    stage.until("ChildClosed", 2)
    stage.run(9.95 - (simulation.now() % 10))
    facts = stage.world.store.last_seq()
    body = {"symbol": "BTCUSDT", "side": "buy", "quantity": "0.01", "price": "43000"}
    answers = [stage.world.send({**body, "id": "x" if alike else str(number)}, str(number)) for number in range(MANY)]
    assert simulation.run_until(lambda: bool(intents(stage, worked_on, facts)), 2.0), "its slot has passed"
    stage.run(0.1)
    assert stage.command(CancelExecution, worked_on).done
    assert simulation.run_until(lambda: all(answer.verdict is not None for answer in answers), 5.0)
    verdicts = Counter(
        (answer.verdict.status.value, answer.verdict.reason) for answer in answers if answer.verdict is not None
    )
    accepted = verdicts.pop(("accepted", None))
    assert accepted + verdicts.total() == MANY
    if alike:
        assert (accepted, set(verdicts)) == (1, {("duplicate", "DUPLICATE")})
    else:
        assert accepted <= 5 * PER_SECOND
        assert set(verdicts) == {("rejected", "TOO_MANY")}
    stage.until("ExecutionClosed", 1 + accepted)
    assert (intents(stage, worked_on, facts)[0].at.timestamp() % 10) < 0.1, "its slot came in the middle of it"
    assert stage.world.store.last_seq() - facts < 20 * (1 + accepted), "a flood is not journalled"
    stage.run(1.0)
    stage.check()
    assert D("0.2") <= stage.closed(worked_on).report.total_filled <= D("0.4")
