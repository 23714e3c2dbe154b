"""Each kind of alert on the whole daemon: raised once and cleared once, though the process dies in between.

What happens is what really makes it happen: the exchange, the market and the signals are troubled, no fact is made up.
An alert that stands for an hour or a day stands for a minute here. `tests/actors/test_alerts_over_crashes.py` has every
kind at every moment of a crash.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from actors import notifier
from actors.alerts import RULES, Alerts
from actors.exchange.actor import ExchangeActor
from actors.failures import TO_REFUSE
from actors.order_watcher.actor import OrderWatcher
from actors.runtime import Simulation
from actors.twap.actor import TWAPActor
from actors.twap.remains import Remains
from adapters.journal_note import FILE, JournalNote
from adapters.paper.faults import Fault, FaultKind
from adapters.paper.wording import order_params
from messages.control import DaemonUp, HaltTrading, ResumeTrading
from messages.facts import AlertCleared, AlertRaised
from messages.ids import microseconds, milliseconds
from messages.order import LimitsSeen, OutcomeUnknown, SendOrder, VenueAlarm
from messages.signal import Reason, Side
from run import start_daemon
from tests.alert_kinds import KINDS
from tests.probe import Probe
from tests.simulation.test_faults import fail
from tests.simulation.test_halts import actor_ref
from tests.simulation.test_rebuild import lose_journal, start_rebuilding
from tests.simulation.test_reset import wipe
from tests.simulation.whole import D, Stage, a_daemon

A_MINUTE = timedelta(minutes=1)
FIVE = {"num_chunks": 5, "interval_seconds": 10}
DIRECT = {"num_chunks": 1}


@dataclass(frozen=True)
class Episode:
    """What makes an alert of a kind, and what ends it (nothing, where it passes by itself)."""

    kind: str
    begins: Callable[[Stage], object]
    ends: Callable[[Stage], object] = lambda _: None
    faults: tuple[Fault, ...] = field(default=())


def up(stage: Stage) -> DaemonUp:
    assert stage.world.news.up is not None
    return stage.world.news.up


def contradict(stage: Stage) -> None:
    stage.accepted("0.01", id="a")
    verdict = stage.buy("0.02", id="a").verdict
    assert verdict is not None
    assert verdict.reason is Reason.CONFLICT


def fill_in_part(stage: Stage) -> None:
    stage.levels([("41999.99", "100")], [("42000.01", "0.004"), ("43000", "100")])
    stage.accepted("0.01")


def stop_early(stage: Stage) -> None:
    stage.accepted("0.5", twap=FIVE, limit_price="42100")
    stage.until("ChildClosed")
    stage.touch("42200", "42200.1")


def trade_elsewhere(stage: Stage) -> None:
    now = stage.sim.wall_time()
    foreign = SendOrder(
        client_order_id="web-1",
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type="LIMIT",
        time_in_force="GTC",
        quantity=D("0.1"),
        limit_price=D(40_000),
        request_timestamp=milliseconds(now),
        recv_window=2000,
        reply_to=stage.world.news,  # type: ignore[arg-type] # nobody is told
    )
    stage.world.exchange.place(order_params(foreign), microseconds(now))
    stage.world.exchange.drain()
    stage.world.crash()  # It is looked for at the next start.
    stage.start()


def move_money(stage: Stage) -> None:
    stage.report(stage.accepted("0.01"))
    stage.run(10.0)
    stage.world.exchange.account.free["USDT"] += 5
    stage.world.crash()
    stage.start()


def end_by_its_own_hand(stage: Stage) -> None:
    """The exchange ends a child that rests."""
    stage.accepted("0.4", twap={"num_chunks": 2, "interval_seconds": 10, "child": "passive"})
    stage.until("ChildAcknowledged")
    engine = stage.world.exchange.engine
    (resting,) = engine.open.values()
    engine.expire(resting, microseconds(stage.sim.wall_time()))


FORGOTTEN: list[Any] = []
"""The exchange that is away."""


def forget(stage: Stage) -> None:
    """The exchange knows nothing any more of a child that rests."""
    stage.accepted("0.4", twap={"num_chunks": 2, "interval_seconds": 10, "child": "passive"})
    stage.until("ChildAcknowledged")
    FORGOTTEN.append(stage.world.exchange)
    wipe(stage)
    stage.run(120.0)


def remember(stage: Stage) -> None:
    """It was only away: the old exchange is back."""
    stage.world.exchange = stage.world.venue.proxy().exchange = FORGOTTEN.pop()
    stage.run(40.0)


def fail_three_times(stage: Stage) -> None:
    stage.accepted("0.5", twap={"num_chunks": 5, "interval_seconds": 60})
    stage.until("ChildClosed")
    for _ in range(3):
        fail(stage.sim, TWAPActor)


def fail_to_close(stage: Stage) -> None:
    """What was filled cannot be added up, as long as this lives."""

    def broken(*_: object) -> None:
        raise ArithmeticError("of a test")

    fold, Remains.fold = Remains.fold, broken  # type: ignore[method-assign,assignment]
    try:
        stage.accepted("0.5", twap={"num_chunks": 5, "interval_seconds": 60})
        stage.until("ChildClosed")
        for _ in range(3):
            actor_ref(TWAPActor).tell("what is this?")
            stage.run(1.0)
        stage.sim.claim_failures()
    finally:
        Remains.fold = fold  # type: ignore[method-assign]


def fail_and_start(stage: Stage) -> None:
    fail(stage.sim, OrderWatcher)
    stage.run(3.0)
    stage.world.crash()
    stage.start()


def refuse_to_start(stage: Stage) -> None:
    """A part has failed at each of the last starts, and is given one more try."""
    for _ in range(TO_REFUSE - 1):
        fail_and_start(stage)
    fail(stage.sim, OrderWatcher)
    stage.run(3.0)
    stage.world.crash()
    stage.world.launch()


def rebuild(stage: Stage) -> None:
    stage.report(stage.accepted("0.01"))
    lose_journal(stage)
    start_rebuilding(stage)
    stage.world.start_daemon = a_daemon()


def lose_an_outcome(stage: Stage) -> None:
    """The adapter tells somebody who is not there any more."""
    gone = Probe(stage.sim, "gone").ref
    gone.stop(block=False)
    stage.run(0.0)
    stage.sim.send(gone, OutcomeUnknown(client_order_id="tgp-abc-0-0", detail="timeout"))
    stage.sim.dead_letters.clear()


def be_asked_for_silence(stage: Stage) -> None:
    """What the headers of a 429 say."""
    until = stage.sim.wall_time() + timedelta(seconds=50)
    actor_ref(ExchangeActor).tell(LimitsSeen(retry_at=until, detail="429"))


def be_told_of_ids_of_two_orders(_: Stage) -> None:
    """What the adapter makes of a -2039; the exchange in this process never sees two ids in a request."""
    for _time in range(3):
        actor_ref(ExchangeActor).tell(VenueAlarm(code=-2039, detail="Client order ID and order ID do not match."))


def use(weight: int) -> Callable[[Stage], object]:
    """What an answer's headers would say; many real requests would take minutes to come to it."""
    return lambda _: actor_ref(ExchangeActor).tell(LimitsSeen(used_weight=weight, weight_limit=6000))


LOST = (Fault(kind=FaultKind.LOST_REPLY, nth=(1,)), Fault(kind=FaultKind.LOST_EVENT, probability=1.0))
LATE = (Fault(kind=FaultKind.SLOW_ENGINE, nth=(1,), milliseconds=120_000),)
SILENCE = (Fault(kind=FaultKind.STREAM_CUT, nth=(1,), milliseconds=30_000),)
EPISODES = (
    Episode("conflict", contradict),
    Episode("partial_fill", fill_in_part),
    Episode("early_stop", stop_early),
    Episode("unknown_outcome", lambda stage: stage.accepted("0.5", twap=FIVE), lambda stage: stage.run(120.0), LOST),
    Episode("reappeared", lambda stage: stage.accepted("0.01", twap=DIRECT), faults=LATE),
    Episode(
        "halt",
        lambda stage: up(stage).exchange.tell(HaltTrading(reason="MANUAL", detail="a look")),
        lambda stage: up(stage).exchange.tell(ResumeTrading(detail="all is well")),
    ),
    Episode("stream_down", lambda stage: stage.accepted("0.5", twap=FIVE), lambda stage: stage.run(60.0), SILENCE),
    Episode(
        "clock_skew",
        lambda stage: stage.world.exchange.set_skew(1_500_000),
        lambda stage: stage.world.exchange.set_skew(0),
    ),
    Episode("exchange_cancelled", end_by_its_own_hand),
    Episode("order_vanished", forget, remember),
    Episode("quarantine", fail_three_times),
    Episode("unreported", fail_to_close),
    Episode("part_failed", fail_and_start),
    Episode("start_refused", refuse_to_start),
    Episode("rebuilt", rebuild),
    Episode("lost_message", lose_an_outcome),
    Episode("rate_limited", be_asked_for_silence),
    Episode("venue_alarm", be_told_of_ids_of_two_orders),
    Episode("foreign_order", trade_elsewhere),
    Episode("balance_mismatch", move_money),
    Episode("limits_near", use(5_000), use(600)),
)


def said(stage: Stage, kind: str) -> list[str]:
    facts = (one.fact for one in stage.world.store.committed)
    return [type(fact).__name__ for fact in facts if isinstance(fact, AlertRaised | AlertCleared) and fact.kind == kind]


def test_a_journal_that_fails_is_told_once_and_once_it_works_again_that_it_is_over(
    simulation: Simulation, tmp_path: Path
) -> None:
    """The one kind of which no fact can tell when it begins: somebody is told at once, and the next life ends it."""
    heard = Heard()

    def daemon(*places: Any, **fields: Any) -> Any:
        note = JournalNote(tmp_path, heard)
        return start_daemon(*places, **fields, alerts=note, failed_before=note.left)

    stage = Stage(simulation)
    stage.world.start_daemon = daemon
    stage.start()
    stage.world.store.fail_next()
    stage.world.send({"id": "x", "symbol": "BTCUSDT", "side": "buy", "quantity": "0.5", "twap": FIVE})
    assert simulation.run_until(lambda: stage.world.news.ended is not None, 10.0)
    assert heard.kinds() == ["AlertRaised"]
    assert said(stage, "journal") == []
    for life in range(3):
        stage.world.crash()
        stage.world.store.reopen()
        if life == 0:
            (tmp_path / "copy").write_text((tmp_path / FILE).read_text())
        stage.start()
        stage.run(5.0)
        assert heard.kinds() == ["AlertRaised", "AlertCleared"]
        assert said(stage, "journal") == ["AlertRaised", "AlertCleared"]
        if life == 0:  # It died before the note was taken away.
            (tmp_path / "copy").rename(tmp_path / FILE)
    assert stage.lines("AlertRaised")[-1]["text"] == heard.alerts[0].text


class Heard:
    """Whoever is told of alerts on the telephone."""

    def __init__(self) -> None:
        self.alerts: list[AlertRaised | AlertCleared] = []

    def tell(self, alert: AlertRaised | AlertCleared, /) -> None:
        self.alerts.append(alert)

    def kinds(self) -> list[str]:
        return [type(alert).__name__ for alert in self.alerts if alert.kind == "journal"]


def test_every_kind_has_its_episode() -> None:
    assert sorted(episode.kind for episode in EPISODES) == sorted(KINDS - {"journal"}), "the journal's own is above"


@pytest.fixture
def short_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is shown for an hour or a day is shown for a minute: virtual days are cheap, but not free."""
    rules = tuple(rule if rule.lasts is None else replace(rule, lasts=A_MINUTE) for rule in RULES)
    monkeypatch.setattr(notifier, "Alerts", partial(Alerts, rules))


@pytest.mark.usefixtures("short_memory")
@pytest.mark.parametrize("episode", EPISODES, ids=lambda episode: episode.kind)
def test_an_alert_is_raised_once_and_cleared_once_though_the_process_dies(
    episode: Episode, simulation: Simulation
) -> None:
    stage = Stage(simulation, *episode.faults).start()
    stage.run(5.0)
    episode.begins(stage)
    assert simulation.run_until(lambda: bool(said(stage, episode.kind)), 400.0), "it was never raised"
    stage.world.crash()
    stage.start()
    stage.run(5.0)
    raised = said(stage, episode.kind)
    assert raised[0] == "AlertRaised"
    assert raised in (["AlertRaised"], ["AlertRaised", "AlertCleared"])
    episode.ends(stage)
    stage.run(90.0)
    assert said(stage, episode.kind) == ["AlertRaised", "AlertCleared"]
    stage.world.crash()
    stage.start()
    stage.run(90.0)
    assert said(stage, episode.kind) == ["AlertRaised", "AlertCleared"]
