"""The whole daemon in virtual time: worlds whose market a test sets by hand, and checks of a run by hand.

`by_hand` judges a run from its journal and the exchange's truth alone, apart from the audit, so that
the audit is not the only witness of what the audit says.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from actors.runtime import Simulation
from actors.runtime._simulation import LONGEST_TRANSIT_DELAY
from adapters.config import Config
from adapters.intake.signals import verdict_object
from adapters.paper.audit import Limits, audit
from adapters.paper.exchange import PaperSettings
from adapters.paper.faults import Fault, FaultPlan
from adapters.paper.markets import MarketChoice
from adapters.paper.venue import LatencySettings
from adapters.simulation import Answer, Outcome, StartDaemon, World, parse_export
from adapters.storage.codec import export_line
from messages.control import Committed
from messages.execution import CommandAnswer, ExecutionReport
from messages.facts import ExecutionClosed
from messages.ids import parse_child_id
from messages.signal import Status
from run import settings_of, start_daemon

D = Decimal
Lines = Sequence[Mapping[str, Any]]

SCRIPTED = PaperSettings(markets=MarketChoice(market="scripted"))
PROMPT = LatencySettings(sigma=0.0)
"""Latencies that are always the same: 5 ms there, 5 ms back, 8 ms on the user stream."""

TOUCHES = {
    "BTCUSDT": ("41999.99", "42000.01"),
    "ETHUSDT": ("2999.99", "3000.01"),
    "BNBUSDT": ("599.99", "600.01"),
    "DOGEUSDT": ("0.11999", "0.12001"),
}


def a_daemon(**sections: Mapping[str, Any]) -> StartDaemon:
    """Start daemons with these sections of the configuration, `a_daemon(twap={"extra_slots": 0})`."""
    return partial(start_daemon, settings=settings_of(Config.model_validate(sections)))


DAEMON = a_daemon()
"""Starts daemons with the default configuration, which is read once."""

Levels = Sequence[tuple[str, str]]
A_BREATH = 1.0


class Stage:
    """A world with books that a test sets, one daemon in it, and shorthands for what tests do to it.

    Only `symbols` are traded in it: looking at the others took half of its time.
    What stands in a book is set anew every second, a step more or less of its deepest bid, for a market
    that never moves is a stale one.
    """

    def __init__(
        self,
        sim: Simulation,
        *faults: Fault,
        latency: LatencySettings = PROMPT,
        check_codec: bool = True,
        chance: str = "faults",
        symbols: Sequence[str] = ("BTCUSDT",),
        **sections: Mapping[str, Any],
    ) -> None:
        self.sim = sim
        plan = FaultPlan(faults, sim.stream(chance)) if faults else None
        daemon = a_daemon(**sections) if sections else DAEMON
        self.world = World(sim, daemon, SCRIPTED, latency, plan, check_codec, symbols=symbols)
        self._kinds: Counter[str] = Counter()
        self._counted: list[Committed] = []
        self._looked_at = 0
        self._books: dict[str, tuple[Levels, Levels]] = {}
        self._breaths = 0
        for symbol in symbols:
            self.touch(*TOUCHES[symbol], symbol=symbol)
        self.tell(None)

    def touch(self, bid: str, ask: str, quantity: str = "1000000", *, symbol: str = "BTCUSDT") -> None:
        """Set the touch of a symbol; so much stands on either side."""
        self.levels([(bid, quantity)], [(ask, quantity)], symbol=symbol)

    def levels(self, bids: Levels, asks: Levels, *, symbol: str = "BTCUSDT") -> None:
        """Set the book of a symbol, best prices first."""
        self._books[symbol] = bids, asks
        self.world.exchange.steering[symbol].steer().set_levels(bids, asks)

    def tell(self, breath: None, /) -> None:
        """Let the markets breathe: a timer of the simulation tells it."""
        self._breaths += 1
        more = D(self._breaths % 2)
        for symbol, (bids, asks) in self._books.items():
            deeper = [*bids[:-1], *((price, str(D(quantity) + more)) for price, quantity in bids[-1:])]
            self.world.exchange.steering[symbol].steer().set_levels(deeper, asks)
        self.sim.tell_after(A_BREATH, self, breath)

    def start(self) -> Stage:
        """Start the daemon; it is ready on return."""
        self.world.start()
        return self

    def buy(self, quantity: str = "0.5", **fields: Any) -> Answer:
        """Hand in a buy of BTC and run until its verdict is there."""
        body = {"symbol": "BTCUSDT", "side": "buy", "quantity": quantity, **fields}
        answer = self.world.send(body)
        assert self.sim.run_until(lambda: answer.verdict is not None, 10.0), "no verdict"
        return answer

    def accepted(self, quantity: str = "0.5", **fields: Any) -> str:
        """Hand in a buy that must be accepted; return its execution's id."""
        verdict = self.buy(quantity, **fields).verdict
        assert verdict is not None
        assert verdict.status is Status.ACCEPTED, verdict
        assert verdict.execution_id is not None
        return verdict.execution_id

    def run(self, seconds: float) -> None:
        """Let so much virtual time pass."""
        self.sim.run(seconds)

    def until_handled(self, messages: int, *, after: float = 0.0) -> None:
        """Run for so long, and then until the daemon's actors have handled so many messages more."""
        self.run(after)
        assert self.handle(messages, 3600.0)

    def handle(self, messages: int, seconds: float = 10.0) -> bool:
        """Run until the daemon's actors have handled so many messages more, from here; False if not within so long."""
        node = self.world.daemon_node
        goal = node.handled + messages
        return self.sim.run_until(lambda: node.handled >= goal, seconds)

    def until(self, kind: str, count: int = 1, seconds: float = 3600.0) -> None:
        """Run until the journal holds so many facts of a kind."""
        assert self.sim.run_until(lambda: self.count(kind) >= count, seconds), f"never {count} x {kind}"

    def count(self, kind: str) -> int:
        """Count the durable facts of a kind. It is asked after each message, so it looks at each fact once."""
        committed = self.world.store.committed
        if committed is not self._counted or self._looked_at > len(committed):
            self._counted, self._looked_at = committed, 0
            self._kinds.clear()
        if self._looked_at < len(committed):
            self._kinds.update(type(one.fact).__name__ for one in committed[self._looked_at :])
            self._looked_at = len(committed)
        return self._kinds[kind]

    def kinds(self) -> list[str]:
        """Name the kinds of the durable facts, in order."""
        return [type(one.fact).__name__ for one in self.world.store.committed]

    def lines(self, kind: str | None = None) -> list[dict[str, Any]]:
        """The journal's export, or what it has of a kind."""
        facts = [one for one in self.world.store.read() if kind in (None, type(one.fact).__name__)]
        return parse_export(b"".join(export_line(one) for one in facts))

    def command(self, kind: Any, execution_id: str, **fields: Any) -> CommandAnswer:
        """Tell a command and return its answer."""
        answers: list[CommandAnswer] = []
        self.world.command(kind(execution_id=execution_id, reply_to=Ear(answers), **fields))
        assert self.sim.run_until(lambda: bool(answers), 10.0), "no answer to a command"
        return answers[0]

    def report(self, execution_id: str, seconds: float = 3600.0) -> ExecutionReport:
        """Run until an execution has its report, and return it."""
        self.sim.run_until(lambda: execution_id in self.world.news.closed, seconds)
        return self.closed(execution_id).report

    def closed(self, execution_id: str) -> ExecutionClosed:
        """The end of an execution, which must have come."""
        closed = self.world.news.closed.get(execution_id)
        assert closed is not None, f"{execution_id} is not closed: {self.kinds()}"
        return closed

    def requests(self) -> list[str]:
        """The client order ids of the order requests that reached the exchange, in order."""
        return [str(entry["clientOrderId"]) for entry in received(self.world.exchange.truth())]

    def orders(self) -> list[dict[str, Any]]:
        """The orders that the exchange has, as it writes them."""
        orders: Any = self.world.exchange.truth()["orders"]
        return list(orders)

    def check(self) -> None:
        """Judge the run at rest, by the audit and by hand."""
        found = self.world.audit()
        assert found.ok, found.text()
        by_hand(parse_export(self.world.export()), self.world.exchange.truth(), self.world.answers)

    def check_safety(self) -> None:
        """Judge what must hold at every moment, by the audit and by hand.

        A sender whose daemon died before it answered got no verdict, and what was on its way then may
        arrive later than the next start.
        """
        world = self.world
        lines, truth = parse_export(world.export()), world.exchange.truth()
        answered = [answer for answer in world.answers if answer.verdict is not None]
        found = audit(
            lines,
            truth,
            mode="safety",
            limits=Limits(transit=timedelta(seconds=LONGEST_TRANSIT_DELAY + 2)),
            initial_balances=world.paper.balances,
            verdicts={
                f"{number}": [verdict_object(answer.verdict)]
                for number, answer in enumerate(answered)
                if answer.verdict is not None
            },
        )
        assert found.ok, found.text()
        always_by_hand(lines, truth, answered)


class Ear:
    """Keeps what it is told in a list."""

    def __init__(self, heard: list[Any]) -> None:
        self._heard = heard

    def tell(self, message: Any, /) -> None:
        self._heard.append(message)


# Judging by hand ----------------------------------------------------------------------------------


def check_outcome(outcome: Outcome) -> None:
    """Judge a finished run, by the audit and by hand."""
    assert outcome.audit.ok, outcome.audit.text()
    by_hand(outcome.lines, outcome.truth, outcome.answers)


def by_hand(lines: Lines, truth: Mapping[str, Any], answers: Iterable[Answer]) -> None:
    """Check the promises from journal and truth at rest: besides what always holds, all trades are booked."""
    always_by_hand(lines, truth, answers)
    made = {(t["symbol"], t["orderId"], t["id"]): (D(t["qty"]), D(t["price"])) for t in own_trades(truth)}
    booked = {_key(t): (D(t["quantity"]), D(t["price"])) for t in of_kind(lines, "TradeBooked")}
    assert booked == made, "the journal's trades are not the exchange's"
    for closed in of_kind(lines, "ExecutionClosed"):
        trades = [t for t in of_kind(lines, "TradeBooked") if t["execution_id"] == closed["execution_id"]]
        assert D(closed["report"]["total_filled"]) == sum((D(t["quantity"]) for t in trades), D(0))
        fees: dict[str, Decimal] = defaultdict(Decimal)
        for trade in trades:
            fees[trade["commission_asset"]] += D(trade["commission"])
        assert {asset: D(fee) for asset, fee in closed["report"]["total_fees"]} == fees
    ended = {line["execution_id"] for line in of_kind(lines, "ExecutionClosed")}
    assert ended == {line["execution_id"] for line in of_kind(lines, "SignalAccepted")}, "not every execution ended"
    for order in truth["orders"]:
        assert order["status"] not in {"NEW", "PARTIALLY_FILLED"}, f"left open: {order}"


def always_by_hand(lines: Lines, truth: Mapping[str, Any], answers: Iterable[Answer]) -> None:
    """Check the promises that hold at every moment, also after a crash."""
    _one_execution_a_signal(lines)
    _one_verdict(lines, answers)
    _intended_before_it_was_sent_and_sent_once(lines, truth)
    _never_more_than_asked(lines, truth)
    _no_trade_twice_or_invented(lines, truth)
    _no_child_before_its_slot(lines)


def _one_execution_a_signal(lines: Lines) -> None:
    ids = [(a["signal"]["source"], a["signal"]["id"]) for a in of_kind(lines, "SignalAccepted") if a["signal"]["id"]]
    empty = {c["key"] for c in of_kind(lines, "ExecutionClosed") if not c["children"]}
    used = [f"signal:{source}\x1f{id_}" for source, id_ in ids if f"signal:{source}\x1f{id_}" not in empty]
    assert len(set(used)) == len(used), "an id was executed twice"


def _one_verdict(lines: Lines, answers: Iterable[Answer]) -> None:
    """`Answer` itself raises at a second one; what it was told must be in the journal."""
    started = {line["execution_id"] for line in of_kind(lines, "SignalAccepted")}
    told = [a.verdict.execution_id for a in answers if a.verdict is not None and a.verdict.status is Status.ACCEPTED]
    assert set(told) <= started, "an accepted signal is not in the journal"
    assert len(set(told)) == len(told), "two senders were told the same execution"


def _intended_before_it_was_sent_and_sent_once(lines: Lines, truth: Mapping[str, Any]) -> None:
    intents = {line["client_order_id"]: line for line in of_kind(lines, "ChildIntended")}
    assert len(intents) == len(of_kind(lines, "ChildIntended")), "a child was intended twice"
    seen = [entry["clientOrderId"] for entry in received(truth)]
    assert len(set(seen)) == len(seen), "an order was sent twice"
    for entry in received(truth):
        intent = intents.get(entry["clientOrderId"])
        assert intent is not None, f"sent and not journalled: {entry}"
        assert entry["time"] + 1 >= _ms(intent["at"]), f"sent before it was journalled: {entry}"
        assert (D(entry["quantity"]), entry["side"]) == (D(intent["quantity"]), intent["side"])


def _never_more_than_asked(lines: Lines, truth: Mapping[str, Any]) -> None:
    asked = {line["execution_id"]: D(line["quantity"]) for line in of_kind(lines, "SignalAccepted")}
    least = dict(asked)
    for line in of_kind(lines, "ExecutionAmended"):
        if line["quantity"] is not None:
            least[line["execution_id"]] = min(least[line["execution_id"]], D(line["quantity"]))
    names = {(order["symbol"], order["orderId"]): order["clientOrderId"] for order in truth["orders"]}
    made: dict[str, Decimal] = defaultdict(Decimal)
    for trade in own_trades(truth):
        name = parse_child_id(names[trade["symbol"], trade["orderId"]])
        assert name is not None, f"a trade of no child: {trade}"
        made[name.execution_id] += D(trade["qty"])
    booked: dict[str, Decimal] = defaultdict(Decimal)
    for line in of_kind(lines, "TradeBooked"):
        booked[line["execution_id"]] += D(line["quantity"])
    for execution_id in [*made, *booked]:
        assert made[execution_id] <= least[execution_id], f"{execution_id} was overfilled"
        assert booked[execution_id] <= least[execution_id], f"{execution_id} has booked too much"


def _no_trade_twice_or_invented(lines: Lines, truth: Mapping[str, Any]) -> None:
    booked = [_key(line) for line in of_kind(lines, "TradeBooked")]
    assert len(set(booked)) == len(booked), "a trade was booked twice"
    made = {(t["symbol"], t["orderId"], t["id"]) for t in own_trades(truth)}
    assert set(booked) <= made, "a trade was invented"


def _no_child_before_its_slot(lines: Lines) -> None:
    plans = {line["execution_id"]: line["plan"] for line in of_kind(lines, "ExecutionPlanned")}
    taken: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for intent in of_kind(lines, "ChildIntended"):
        plan = plans[intent["execution_id"]]
        due = _moment(plan["start_at"]) + timedelta(seconds=float(plan["interval_seconds"]) * intent["slice"])
        assert _moment(intent["at"]) >= due, f"{intent['client_order_id']} came before its slot"
        taken[intent["execution_id"]].append((intent["slice"], intent["attempt"]))
    for attempts in taken.values():
        assert attempts == sorted(set(attempts)), "a slot was used out of turn"
    _tried_again_only_after_proof(lines)


def _tried_again_only_after_proof(lines: Lines) -> None:
    """After a child that rested, its proven end will do: what it left crosses in the same slot."""
    nothing_came_of: set[tuple[str, int, int]] = set()
    rested: set[str] = set()
    for line in lines:
        if line["type"] == "ChildIntended" and line["order_type"] == "LIMIT_MAKER":
            rested.add(line["client_order_id"])
        over = line["type"] == "ChildClosed" and line["client_order_id"] in rested
        if over or line["type"] in {"ChildRefused", "ChildAbsent"}:
            name = parse_child_id(line["client_order_id"])
            assert name is not None
            nothing_came_of.add((name.execution_id, name.slice, name.attempt))
        elif line["type"] == "ChildIntended" and line["attempt"]:
            before = line["execution_id"], line["slice"], line["attempt"] - 1
            assert before in nothing_came_of, f"{line['client_order_id']} came before proof of the last attempt"


def of_kind(lines: Lines, kind: str) -> list[Mapping[str, Any]]:
    """What the export has of a kind."""
    return [line for line in lines if line["type"] == kind]


def own_trades(truth: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The trades that the exchange made."""
    return list(truth["trades"])


def received(truth: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The order requests that reached the exchange, in order."""
    return list(truth["received"])


def _key(line: Mapping[str, Any]) -> tuple[str, int, int]:
    return line["symbol"], line["order_id"], line["trade_id"]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _ms(text: str) -> int:
    return int(_moment(text).timestamp() * 1000)
