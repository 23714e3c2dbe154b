"""Unknown outcomes on the whole daemon: found where they happened, proven away where they did not."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from actors.order_watcher.absentees import FIRST_SWEEP_SECONDS
from actors.runtime import Simulation
from adapters.paper.audit import Limits, audit
from adapters.paper.faults import Fault, FaultKind
from adapters.paper.wording import order_params
from adapters.scenarios import drawn
from adapters.simulation import World, parse_export, stamped
from messages.control import DaemonStands, Readiness
from messages.ids import child_id, microseconds, milliseconds
from messages.order import LimitsSeen, OrderStatus, SendOrder
from messages.signal import Reason, Side
from tests.simulation.whole import PROMPT, D, Stage

FIVE = {"num_chunks": 5, "interval_seconds": 30}
DIRECT = {"num_chunks": 1}
WINDOW = 2.0
DEAF = Fault(kind=FaultKind.LOST_EVENT, probability=1.0)


def moment(line: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(line["at"])


def waited(stage: Stage, kind: str = "ChildAbsent", number: int = 0) -> float:
    """Seconds from a child's timestamp to the fact about it."""
    line = stage.lines(kind)[number]
    (intent,) = [one for one in stage.lines("ChildIntended") if one["client_order_id"] == line["client_order_id"]]
    return (milliseconds(moment(line)) - int(intent["request_timestamp"])) / 1000


def test_an_order_that_never_arrived_is_proven_absent_in_time_and_tried_again_in_its_slot(
    simulation: Simulation,
) -> None:
    stage = Stage(simulation, Fault(kind=FaultKind.DROPPED_REQUEST, nth=(2,))).start()
    report = stage.report(stage.accepted("0.5", twap=FIVE))
    assert WINDOW + 15 <= waited(stage) <= WINDOW + 20
    assert "the user stream" in stage.lines("ChildAbsent")[0]["proof"]
    (fence,) = stage.lines("ChildCancelRequested")
    assert fence["reason"] == "fence"
    assert [(child.slice, child.attempt) for child in report.orders] == [(0, 0), (1, 0), (1, 1), (2, 0), (3, 0), (4, 0)]
    assert report.total_filled == D("0.5")
    stage.check()


def test_without_a_control_an_absence_takes_a_minute(simulation: Simulation) -> None:
    dropped = Fault(kind=FaultKind.DROPPED_REQUEST, nth=(2,))
    cut = Fault(kind=FaultKind.STREAM_CUT, nth=(1,), milliseconds=40_000)
    stage = Stage(simulation, dropped, cut).start()
    report = stage.report(stage.accepted("0.5", twap=FIVE))
    assert WINDOW + 60 <= waited(stage) <= WINDOW + 65
    assert "no sign within 60 s" in stage.lines("ChildAbsent")[0]["proof"]
    assert report.total_filled == D("0.5")
    stage.check()


def test_only_its_own_execution_waits_for_an_unknown_outcome(simulation: Simulation) -> None:
    dropped = Fault(kind=FaultKind.DROPPED_REQUEST, nth=(1,))
    stage = Stage(simulation, dropped, symbols=("BTCUSDT", "ETHUSDT")).start()
    waiting = stage.accepted("0.5", twap=FIVE)
    other = stage.world.send({"symbol": "ETHUSDT", "side": "sell", "quantity": "0.3"})
    stage.run(10.0)
    assert other.verdict is not None
    assert other.verdict.execution_id in stage.world.news.closed
    assert [line["execution_id"] for line in stage.lines("ChildIntended")].count(waiting) == 1


@pytest.mark.parametrize("lag", [500, 12_000, 45_000])
def test_a_lost_reply_is_found_within_two_seconds_of_its_being_shown_on_any_path(
    simulation: Simulation, lag: int
) -> None:
    lost = Fault(kind=FaultKind.LOST_REPLY, nth=(1,))
    blind = Fault(kind=FaultKind.QUERY_LAG, probability=1.0, milliseconds=1_000_000)
    late = Fault(kind=FaultKind.LIST_LAG, probability=1.0, milliseconds=lag)
    stage = Stage(simulation, lost, blind, late, DEAF).start()
    report = stage.report(stage.accepted("0.01", twap=DIRECT))
    if lag < 15_000:
        assert waited(stage, "ChildAcknowledged") <= lag / 1000 + 2.0
        assert stage.count("ChildAbsent") == 0
    assert report.total_filled == D("0.01")


@pytest.mark.parametrize("lag", [3_000, 9_000, 14_000])
def test_a_lost_reply_is_found_within_two_seconds_of_its_being_shown_by_its_own_query_alone(
    simulation: Simulation, lag: int
) -> None:
    lost = Fault(kind=FaultKind.LOST_REPLY, nth=(1,))
    blind = Fault(kind=FaultKind.LIST_LAG, probability=1.0, milliseconds=1_000_000)
    late = Fault(kind=FaultKind.QUERY_LAG, probability=1.0, milliseconds=lag)
    stage = Stage(simulation, lost, blind, late, DEAF).start()
    stage.accepted("0.01", twap=DIRECT)
    stage.until("ChildAcknowledged")
    assert waited(stage, "ChildAcknowledged") <= lag / 1000 + 2.0


DEAD = Fault(kind=FaultKind.STREAM_CUT, nth=(1,), milliseconds=10_000_000)
SHOWN = {"query": FaultKind.LIST_LAG, "lists": FaultKind.QUERY_LAG}


@pytest.mark.parametrize("path", ["query", "lists", "both"])
@pytest.mark.parametrize("shown_after", [1.0, 5.0, 16.5, 20.0, 40.0, 58.0])
def test_while_the_stream_is_dead_an_order_is_known_within_two_seconds_of_its_being_shown(
    simulation: Simulation, shown_after: float, path: str
) -> None:
    lags = [
        Fault(kind=kind, probability=1.0, milliseconds=1e9 if SHOWN.get(path) is kind else 1000 * shown_after)
        for kind in SHOWN.values()
    ]
    stage = Stage(simulation, Fault(kind=FaultKind.LOST_REPLY, nth=(1,)), DEAD, *lags).start()
    stage.accepted("0.01", twap=DIRECT)
    stage.until("ChildAcknowledged", seconds=120.0)
    assert shown_after <= waited(stage, "ChildAcknowledged") <= shown_after + 2.0
    assert stage.count("ChildAbsent") == 0


@pytest.mark.parametrize("path", ["query", "lists", "both"])
@pytest.mark.parametrize("shown_after", [0.5, 4.05, 8.05, 12.0])
def test_before_the_reply_is_given_up_it_is_known_as_soon(
    simulation: Simulation, shown_after: float, path: str
) -> None:
    """A client waits ten seconds for a reply: until then polls ask for what is silent."""
    lags = [
        Fault(kind=kind, probability=1.0, milliseconds=1e9 if SHOWN.get(path) is kind else 1000 * shown_after)
        for kind in SHOWN.values()
    ]
    patient = replace(PROMPT, unknown_after_ms=10_000)
    stage = Stage(simulation, Fault(kind=FaultKind.LOST_REPLY, nth=(1,)), DEAD, *lags, latency=patient).start()
    stage.accepted("0.01", twap=DIRECT)
    stage.until("ChildAcknowledged", seconds=120.0)
    assert shown_after <= waited(stage, "ChildAcknowledged") <= shown_after + 2.0


def test_one_that_is_shown_only_after_its_absence_was_proven_is_found_by_the_next_look_at_the_lists(
    simulation: Simulation,
) -> None:
    """70 s are more than what docs/promises.md assumes of an exchange."""
    lags = [Fault(kind=kind, probability=1.0, milliseconds=70_000) for kind in SHOWN.values()]
    stage = Stage(simulation, Fault(kind=FaultKind.LOST_REPLY, nth=(1,)), DEAD, *lags).start()
    stage.accepted("0.01", twap=DIRECT)
    stage.until("AttemptReappeared", seconds=120.0)
    assert WINDOW + 60 <= waited(stage) <= WINDOW + 65
    assert 70.0 <= waited(stage, "AttemptReappeared") <= 70.0 + FIRST_SWEEP_SECONDS


MANY = 20
ROOMY: dict[str, Any] = {
    "limits": {
        "max_executions": 100,
        "max_executions_per_symbol": 100,
        "max_open_notional_per_symbol": "100000000",
        "max_daily_notional": "1000000000",
    },
    "dedup": {"price_tolerance_bps": "0"},
}


class Scale:
    """Adds up the request weight that a stage's exchange counts."""

    def __init__(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        self.weight = 0
        limits = stage.world.exchange.limits
        count = limits.add_weight

        def add(weight: int, now: int) -> None:
            self.weight += weight
            count(weight, now)

        monkeypatch.setattr(limits, "add_weight", add)


def many_unknown(
    simulation: Simulation, *faults: Fault, kind: FaultKind = FaultKind.DROPPED_REQUEST, many: int = MANY
) -> Stage:
    """One order that is executed, then many at once of which nobody hears."""
    lost = Fault(kind=kind, nth=tuple(range(2, many + 2)))
    stage = Stage(simulation, lost, *faults, check_codec=False, **ROOMY).start()
    stage.accepted("0.01", id="first", twap=DIRECT)
    for number in range(many):
        stage.accepted("0.01", id=str(number), twap=DIRECT)
    stage.until("ChildIntended", many + 1)
    return stage


def test_twenty_unknown_outcomes_at_once_are_proven_away_in_time_and_for_little(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = many_unknown(simulation)
    scale = Scale(stage, monkeypatch)
    stage.until("ChildAbsent", MANY)
    assert max(waited(stage, number=number) for number in range(MANY)) <= WINDOW + 20
    assert scale.weight <= 1_000, "of 6,000 a minute"


def test_twenty_of_them_without_a_control_take_a_minute_more_and_little_more_weight(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = many_unknown(simulation, Fault(kind=FaultKind.STREAM_CUT, nth=(2,), milliseconds=200_000))
    scale = Scale(stage, monkeypatch)
    stage.until("ChildAbsent", MANY)
    delays = [waited(stage, number=number) for number in range(MANY)]
    assert max(delays) <= WINDOW + 65
    assert scale.weight <= 2_500, "in a minute and more, of 6,000 in each"


def test_twenty_lost_replies_at_once_are_found_for_little_as_soon_as_they_are_shown(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    lags = [Fault(kind=kind, probability=1.0, milliseconds=9_000) for kind in (FaultKind.QUERY_LAG, FaultKind.LIST_LAG)]
    stage = many_unknown(simulation, *lags, DEAF, kind=FaultKind.LOST_REPLY)
    scale = Scale(stage, monkeypatch)
    stage.until("ChildAcknowledged", MANY + 1)
    assert max(waited(stage, "ChildAcknowledged", number) for number in range(MANY + 1)) <= 9.0 + 2.0
    assert scale.weight <= 400


FIFTY = 49
"""With the first one they are as many as the exchange takes in ten seconds."""


@pytest.mark.parametrize("shown_after", [5.0, 40.0])
def test_fifty_at_once_without_a_stream_are_known_in_time_for_less_than_a_third_of_the_weight(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch, shown_after: float
) -> None:
    lags = [Fault(kind=kind, probability=1.0, milliseconds=1000 * shown_after) for kind in SHOWN.values()]
    cut = Fault(kind=FaultKind.STREAM_CUT, nth=(2,), milliseconds=10_000_000)
    stage = many_unknown(simulation, *lags, cut, kind=FaultKind.LOST_REPLY, many=FIFTY)
    scale = Scale(stage, monkeypatch)
    stage.until("ChildAcknowledged", FIFTY + 1, seconds=120.0)
    known = [waited(stage, "ChildAcknowledged", number) for number in range(1, FIFTY + 1)]
    assert max(known) <= shown_after + 2.0
    assert scale.weight <= 2_000, "of 6,000 a minute"


def test_an_order_that_the_engine_takes_up_late_is_never_called_absent(simulation: Simulation) -> None:
    slow = Fault(kind=FaultKind.SLOW_ENGINE, nth=(1,), milliseconds=9_900)
    stage = Stage(simulation, slow).start()
    report = stage.report(stage.accepted("0.5", twap=FIVE))
    assert stage.count("ChildUnknown") == 1
    assert stage.count("ChildAbsent") == 0
    assert report.total_filled == D("0.5")
    stage.check()


def test_an_order_that_arrives_after_its_window_is_refused_by_the_exchange_itself(simulation: Simulation) -> None:
    late = Fault(kind=FaultKind.LATE_REQUEST, nth=(1,), milliseconds=2_500)
    stage = Stage(simulation, late).start()
    report = stage.report(stage.accepted("0.5", twap=FIVE))
    codes = [entry.get("code") for entry in stage.world.exchange.truth()["received"]]
    assert codes[0] == -1021
    assert stage.count("ChildAbsent") == 1
    assert report.total_filled == D("0.5")
    stage.check()


def test_queries_that_fail_leave_it_unknown_and_its_quantity_reserved(simulation: Simulation) -> None:
    dropped = Fault(kind=FaultKind.DROPPED_REQUEST, nth=(1,))
    sick = Fault(kind=FaultKind.FAILED_QUERY, nth=tuple(range(12, 260)))
    stage = Stage(simulation, dropped, sick).start()
    of = stage.accepted("0.5", twap=FIVE)
    stage.run(80.0)
    assert stage.count("ChildAbsent") == 0
    assert stage.count("ChildIntended") == 1
    assert stage.count("AlertRaised") == 1
    assert stage.report(of).total_filled == D("0.5")
    assert stage.count("ChildAbsent") == 1
    stage.check()


def test_an_order_that_comes_to_light_after_its_proof_is_counted_and_corrects_the_report(
    simulation: Simulation,
) -> None:
    """Beyond what is assumed: an engine that sits on an order for two minutes."""
    slow = Fault(kind=FaultKind.SLOW_ENGINE, nth=(1,), milliseconds=120_000)
    stage = Stage(simulation, slow).start()
    report = stage.report(stage.accepted("0.01", twap={**DIRECT, "end_at": "2026-01-01T00:00:15Z"}))
    assert report.total_filled == 0
    assert stage.count("ChildAbsent") == 1
    stage.run(120.0)
    assert stage.count("AttemptReappeared") == 1
    assert [line["total_filled"] for line in stage.lines("ExecutionCorrected")] == ["0.01"]
    assert stage.count("TradingHalted") == 0


@pytest.mark.parametrize("restart", [False, True], ids=["running on", "started again"])
def test_what_is_believed_absent_is_looked_out_for_though_the_wall_clock_jumps_by_two_days(
    simulation: Simulation, *, restart: bool
) -> None:
    slow = Fault(kind=FaultKind.SLOW_ENGINE, nth=(1,), milliseconds=120_000)
    stage = Stage(simulation, slow, DEAF).start()
    report = stage.report(stage.accepted("0.01", twap={**DIRECT, "end_at": "2026-01-01T00:00:15Z"}))
    assert not report.total_filled
    assert stage.count("ChildAbsent") == 1
    stage.world.daemon_node.step_clock(2 * 86_400.0)
    if restart:
        stage.world.crash()
        stage.start()
    stage.run(700.0)
    assert stage.count("AttemptReappeared") == 1
    assert [line["total_filled"] for line in stage.lines("ExecutionCorrected")] == ["0.01"]


def test_late_orders_that_fill_more_than_was_asked_halt_trading(simulation: Simulation) -> None:
    slow = Fault(kind=FaultKind.SLOW_ENGINE, nth=(1,), milliseconds=120_000)
    stage = Stage(simulation, slow).start()
    report = stage.report(stage.accepted("0.01", twap=DIRECT))
    assert report.total_filled == D("0.01")
    stage.run(120.0)
    assert [line["total_filled"] for line in stage.lines("ExecutionCorrected")] == ["0.02"]
    assert [line["reason"] for line in stage.lines("TradingHalted")] == ["INVARIANT"]
    verdict = stage.buy("0.3").verdict
    assert verdict is not None
    assert verdict.reason is Reason.HALTED
    stage.world.crash()
    stage.start()
    assert stage.world.news.readiness is Readiness.HALTED


def test_a_restart_at_rest_changes_nothing(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.report(stage.accepted("0.01"))
    stage.run(10.0)
    before, requests = stage.kinds(), stage.requests()
    for _ in range(2):
        stage.world.crash()
        stage.start()
        stage.run(60.0)
    added = stage.kinds()[len(before) :]
    assert added == ["EpochStarted", "EpochStarted"]
    assert stage.requests() == requests


def test_a_balance_that_no_trade_explains_is_told_once_at_the_next_start(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.report(stage.accepted("0.01"))
    stage.run(10.0)
    stage.world.exchange.account.free["USDT"] += 5
    for _ in range(2):
        stage.world.crash()
        stage.start()
        stage.run(1.0)
    (mismatch,) = stage.lines("BalanceMismatch")
    assert mismatch["asset"] == "USDT"
    assert D(mismatch["found"]) - D(mismatch["expected"]) == 5


def test_a_start_waits_until_the_venue_may_be_asked_again(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    until = simulation.wall_time() + timedelta(seconds=50)
    assert stage.world.news.up is not None
    stage.world.news.up.exchange.tell(LimitsSeen(retry_at=until, detail="429"))  # type: ignore[arg-type] # as the venue does
    stage.run(1.0)
    stage.world.crash()
    began = simulation.now()
    stage.start()
    assert 48.0 <= simulation.now() - began <= 52.0


def test_a_start_that_takes_long_says_what_it_waits_for_again_and_again(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(simulation).start()
    until = simulation.wall_time() + timedelta(seconds=50)
    assert stage.world.news.up is not None
    stage.world.news.up.exchange.tell(LimitsSeen(retry_at=until, detail="429"))  # type: ignore[arg-type] # as the venue does
    stage.run(1.0)
    stage.world.crash()
    words: list[str] = []
    news_of = type(stage.world.news)
    tell = news_of.tell

    def hear(self: object, news: object) -> None:
        if isinstance(news, DaemonStands) and news.readiness is Readiness.STARTING:
            words.append(news.detail)
        tell(self, news)  # type: ignore[arg-type]

    monkeypatch.setattr(news_of, "tell", hear)
    stage.start()
    assert len(words) == 9, "every 5 s"
    assert words[0].startswith(
        "waiting for exchange_actor, order_watcher (the venue wants to hear nothing for another 4"
    )
    stage.run(60.0)
    assert len(words) == 9, "and no more once it is ready"


def test_a_retry_after_is_not_waited_for_longer_than_it_was_asked_for_though_the_clock_was_set_back(
    simulation: Simulation,
) -> None:
    stage = Stage(simulation).start()
    until = simulation.wall_time() + timedelta(seconds=50)
    assert stage.world.news.up is not None
    stage.world.news.up.exchange.tell(LimitsSeen(retry_at=until, detail="429"))  # type: ignore[arg-type] # as the venue does
    stage.run(1.0)
    stage.world.crash()
    simulation.step_clock(-86_400.0)
    began = simulation.now()
    stage.start()
    assert 48.0 <= simulation.now() - began <= 52.0


@pytest.mark.parametrize("quantity", ["0.1", "0.3"])
def test_an_own_order_that_the_journal_lost_is_adopted_and_counted(simulation: Simulation, quantity: str) -> None:
    stage = Stage(simulation).start()
    of = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildClosed", 1)
    stage.world.crash()
    lost = SendOrder(
        client_order_id=child_id("p", of, 1, 0),
        symbol="BTCUSDT",
        side=Side.BUY,
        order_type="LIMIT",
        time_in_force="IOC",
        quantity=D(quantity),
        limit_price=D(42_100),
        request_timestamp=milliseconds(simulation.wall_time()),
        recv_window=2000,
        reply_to=stage.world.news,  # type: ignore[arg-type] # nobody is told
    )
    stage.world.exchange.place(order_params(lost), microseconds(simulation.wall_time()))
    stage.world.exchange.drain()
    stage.start()
    report = stage.report(of)
    assert report.total_filled == D("0.5")
    adopted = [line for line in stage.lines("ChildIntended") if line["adopted"]]
    assert [line["client_order_id"] for line in adopted] == [lost.client_order_id]
    assert [line["ours"] for line in stage.lines("ForeignOrderSeen")] == [True]


def order_of_nobody(stage: Stage, **other: str) -> None:
    """An order under an id of ours comes to the exchange, from nobody that this daemon knows.

    The user stream tells of it when something else happens to the account.
    """
    now = stage.sim.wall_time()
    params = {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTC",
        "quantity": "0.1",
        "price": "41000",
        "newClientOrderId": child_id("p", "zzzzzzzzzzzzz", 0, 0),
        "timestamp": str(milliseconds(now)),
        "recvWindow": "2000",
        **other,
    }
    stage.world.exchange.place(params, microseconds(now))


def its_status(stage: Stage) -> Any:
    (order,) = [order for order in stage.orders() if "zzzzz" in order["clientOrderId"]]
    return order["status"]


@pytest.mark.parametrize("running", [False, True], ids=["before a start", "just after it"])
def test_an_own_order_of_nobodys_is_cancelled_with_an_alert(simulation: Simulation, *, running: bool) -> None:
    stage = Stage(simulation).start()
    if running:
        stage.accepted("0.5", twap=FIVE)
        stage.run(5.0)
        order_of_nobody(stage)
        stage.run(40.0)
    else:
        stage.world.crash()
        order_of_nobody(stage)
        stage.start()
        stage.run(2.0)
    assert its_status(stage) == "CANCELED"
    assert [line["kind"] for line in stage.lines("AlertRaised")] == ["foreign_order"]


@pytest.mark.parametrize("kind", [{}, {"timeInForce": "IOC", "price": "42100"}], ids=["resting", "filled at once"])
def test_a_second_daemon_on_the_account_is_noticed_by_its_orders_and_halts_trading(
    simulation: Simulation, kind: dict[str, str]
) -> None:
    stage = Stage(simulation).start()
    stage.accepted("0.5", twap=FIVE)
    stage.run(70.0)
    order_of_nobody(stage, **kind)
    stage.run(25.0)
    assert [line["reason"] for line in stage.lines("TradingHalted")] == ["SECOND_DAEMON"]
    assert {"foreign_order", "halt"} <= {line["kind"] for line in stage.lines("AlertRaised")}
    assert its_status(stage) == ("FILLED" if kind else "NEW"), "what is another's is left to it"
    sent = len(stage.requests())
    stage.run(60.0)
    assert len(stage.requests()) == sent


def test_an_order_of_before_the_start_is_no_second_daemon(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    stage.run(70.0)
    order_of_nobody(stage, timeInForce="IOC", price="42100")
    stage.world.crash()
    stage.start()
    stage.run(130.0)
    assert stage.count("TradingHalted") == 0


def test_an_intent_lost_in_a_crash_is_resolved_in_time_without_a_second_order(simulation: Simulation) -> None:
    stage = Stage(simulation).start()
    of = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildIntended", 2)
    stage.world.crash()
    stage.run(1.0)
    stage.start()
    report = stage.report(of)
    assert stage.count("ChildUnknown") == 1
    assert report.total_filled == D("0.5")
    if stage.count("ChildAbsent"):
        assert waited(stage) <= WINDOW + 65
    stage.check()


KINDS = (
    Fault(kind=FaultKind.LOST_REPLY, probability=0.25),
    Fault(kind=FaultKind.DROPPED_REQUEST, probability=0.25),
    Fault(kind=FaultKind.LATE_REQUEST, probability=0.2, milliseconds=1_500),
    Fault(kind=FaultKind.LATE_REQUEST, probability=0.2, milliseconds=4_000),
    Fault(kind=FaultKind.SLOW_ENGINE, probability=0.2, milliseconds=9_000),
    Fault(kind=FaultKind.REFUSE, probability=0.1, code=-1021, message="Timestamp for this request is outside"),
    Fault(kind=FaultKind.REFUSE, probability=0.1, code=-1007, message="Timeout"),
    Fault(kind=FaultKind.LATE_EVENT, probability=0.25, milliseconds=5_000),
    Fault(kind=FaultKind.DUPLICATE_EVENT, probability=0.25),
    Fault(kind=FaultKind.LOST_EVENT, probability=0.25),
    Fault(kind=FaultKind.STREAM_CUT, probability=0.1, milliseconds=20_000),
    Fault(kind=FaultKind.QUERY_LAG, probability=0.25, milliseconds=10_000),
    Fault(kind=FaultKind.LIST_LAG, probability=0.25, milliseconds=10_000),
    Fault(kind=FaultKind.FAILED_QUERY, probability=0.25),
    Fault(kind=FaultKind.DROPPED_CANCEL, probability=0.25),
    Fault(kind=FaultKind.LOST_CANCEL_REPLY, probability=0.25),
)


def crashed_since(world: World, crashes: int) -> bool:
    return world.daemon_node.crashes > crashes


@pytest.mark.seeds(default=25)
def test_under_any_mixture_of_faults_and_crashes_all_converges_and_nothing_is_lost_or_doubled(seed: int) -> None:
    with Simulation(seed) as sim:
        chance = sim.stream("course")
        faults = [fault for fault in KINDS if chance.random() < 0.3]
        stage = Stage(sim, *faults, check_codec=False)
        world = stage.world
        stage.start()
        began, scenario = sim.now(), drawn(seed)
        for timed in scenario.signals:
            sim.run(max(0.0, began + timed.at - sim.now()))
            if chance.random() < 0.3:
                crashes = world.daemon_node.crashes
                world.daemon_node.crash_at(world.daemon_node.handled + chance.randint(1, 80))
                world.send(stamped(timed, sim))
                if sim.run_until(partial(crashed_since, world, crashes), 30):
                    world.store.reopen()
                    sim.run(chance.uniform(0, 20))
                    stage.start()
                else:
                    world.daemon_node.calm()
            else:
                world.send(stamped(timed, sim))
        assert sim.run_until(lambda: not world.news.open, 7200), f"open: {list(world.news.open)}"
        world.stop()
        truth = world.exchange.truth()
        found = audit(
            parse_export(world.export()),
            truth,
            limits=Limits(transit=timedelta(seconds=12)),
            initial_balances=world.paper.balances,
        )
        assert found.ok, found.text()
        assert all(OrderStatus(order["status"]).final for order in truth["orders"])


def test_a_lost_reply_is_found_in_time_though_others_are_lost_one_after_the_other(simulation: Simulation) -> None:
    lost = Fault(kind=FaultKind.LOST_REPLY, probability=1.0)
    stage = Stage(simulation, lost, DEAF, check_codec=False, **ROOMY).start()
    for number in range(20):
        stage.accepted("0.01", id=str(number), twap=DIRECT)
        stage.run(0.2)
    stage.until("ExecutionClosed", 20)
    assert stage.count("ChildUnknown") >= 8
    assert max(waited(stage, "ChildAcknowledged", number) for number in range(20)) <= 2.0
