"""The whole network is gone for minutes: nothing comes in, nothing goes out, and afterwards work goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from actors.runtime import Simulation
from messages.ids import child_id
from messages.market import WatchMarket
from messages.order import (
    CancelFailed,
    NotSent,
    OpenUserStream,
    ProbeStream,
    QueryFailed,
    ReportLimits,
    SendCancel,
    SendOrder,
    StreamCut,
    StreamOpened,
    VenueCommand,
)
from messages.refs import Tells
from tests.simulation.whole import D, Stage, a_daemon, received

FIVE = {"num_chunks": 5, "interval_seconds": 10}
REFUSED_SECONDS = 0.2
WAITING: dict[str, Any] = {"on_stale": "wait"}


class Network:
    """The way between the daemon and the exchange, which can be down."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._listeners: list[Tells[Any]] = []
        self.down = False

    def cut(self) -> None:
        """Be down from now on."""
        self.down = True
        for listener in self._listeners:
            self._stage.sim.send(listener, StreamCut(since=self._stage.sim.now(), detail="1006"))

    def mend(self) -> None:
        """Be up again."""
        self.down = False
        for listener in self._listeners:
            self._stage.sim.send(listener, StreamOpened())

    def end_of(self, link: Tells[Any]) -> Tells[Any]:
        """The daemon's end of it."""
        return _Way(self, link, self._stage)

    def opened(self, listener: Tells[Any]) -> None:
        """Somebody listens to the user stream."""
        self._listeners.append(listener)


class _Way:
    def __init__(self, network: Network, link: Tells[Any], stage: Stage) -> None:
        self._network, self._link, self._stage = network, link, stage
        self._backs: dict[int, _Back] = {}

    def tell(self, message: VenueCommand | WatchMarket, /) -> None:
        match message:
            case OpenUserStream(listener=listener):
                self._network.opened(listener)
                self._link.tell(replace(message, listener=self._back(listener)))
            case WatchMarket(listener=listener):
                self._link.tell(replace(message, listener=self._back(listener)))
            case ReportLimits():
                self._link.tell(message)
            case ProbeStream():
                if not self._network.down:
                    self._link.tell(message)
            case _ if self._network.down:
                to: Tells[Any] = message.reply_to
                self._stage.sim.tell_after(REFUSED_SECONDS, to, _failure(message))
            case _:
                back: Any = self._back(message.reply_to)
                self._link.tell(replace(message, reply_to=back))

    def _back(self, to: Tells[Any]) -> _Back:
        return self._backs.setdefault(id(to), _Back(self._network, to, self._stage))


class _Back:
    def __init__(self, network: Network, to: Tells[Any], stage: Stage) -> None:
        self._network, self._to, self._stage = network, to, stage

    def tell(self, message: object, /) -> None:
        if not self._network.down:
            self._stage.sim.send(self._to, message)


def _failure(message: Any) -> object:
    match message:
        case SendOrder(client_order_id=name):
            return NotSent(client_order_id=name, detail="no route to host")
        case SendCancel(client_order_id=name, cancel_id=cancel):
            return CancelFailed(client_order_id=name, code=None, detail="no route to host", cancel_id=cancel)
        case _:
            return QueryFailed(query=message, detail="no route to host")


def connected(simulation: Simulation) -> tuple[Stage, Network]:
    stage = Stage(simulation)
    start, network = a_daemon(twap=WAITING), Network(stage)

    def start_behind_it(observer: Any, *, venue: Any, market: Any, **more: Any) -> Any:
        return start(observer, venue=network.end_of(venue), market=network.end_of(market), **more)

    stage.world.start_daemon = start_behind_it
    return stage.start(), network


def cut_off(stage: Stage, network: Network, minutes: int, *, sent: bool) -> str:
    """Work two slices, the second of which may be on its way when the network goes; wait so long."""
    execution = stage.accepted("0.5", twap=FIVE)
    stage.until("ChildIntended", 2)
    stage.run(0.003 if sent else 5.0)  # It takes 5 ms to the exchange: the answer will find nobody.
    network.cut()
    stage.run(60.0 * minutes)
    assert len(stage.requests()) == 2, "nothing can have arrived"
    return execution


@pytest.mark.parametrize(("minutes", "sent"), [(1, False), (5, False), (1, True), (5, True), (30, True)])
def test_executions_wait_and_go_on_without_a_burst(simulation: Simulation, minutes: int, *, sent: bool) -> None:
    stage, network = connected(simulation)
    execution = cut_off(stage, network, minutes, sent=sent)
    assert stage.count("ExecutionClosed") == 0
    assert stage.count("ChildUnknown") == (1 if sent else 0)
    network.mend()
    report = stage.report(execution, 300.0)
    assert (report.total_filled, report.stop_reason) == (D("0.5"), "COMPLETED")
    intervals = [entry["time"] // 10_000 for entry in received(stage.world.exchange.truth())]
    assert len(set(intervals)) == len(intervals), "more than one child an interval"
    assert all(D(line["quantity"]) <= D("0.2") for line in stage.lines("ChildIntended"))
    if sent:
        lines = stage.lines()
        known = max(line["seq"] for line in lines if line.get("client_order_id") == child_id("p", execution, 1, 0))
        later = min(line["seq"] for line in lines if line["type"] == "ChildIntended" and line["slice"] > 1)
        assert known < later, "what was on its way is known before anything new goes"
    alerts = [line["kind"] for line in stage.lines("AlertRaised")]
    assert alerts.count("stream_down") == 1
    stage.check()


def test_one_that_has_waited_for_long_enough_ends_with_what_it_has(simulation: Simulation) -> None:
    stage, network = connected(simulation)
    execution = cut_off(stage, network, 30, sent=False)
    report = stage.closed(execution).report
    assert report.stop_reason.startswith("STALE_MARKET")
    assert report.total_filled == D("0.2")
    network.mend()
    stage.run(60.0)
    assert len(stage.requests()) == 2
    stage.check()
