"""Trouble that is done to a running world: to its market, its clocks, its daemon and its operator."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, assert_never

import pykka

from adapters.campaign.weather import Happening, Trouble
from adapters.paper.errors import ExchangeError
from adapters.paper.records import LiveOrder
from adapters.paper.rules import SymbolStatus
from adapters.paper.venue import Stir
from messages.control import HaltTrading, ShutDown
from messages.execution import AmendExecution, CancelExecution, ExecutionCommand, PauseExecution, ResumeExecution
from messages.facts import ChildAcknowledged
from messages.money import plain
from messages.signal import Side

if TYPE_CHECKING:
    from adapters.campaign.course import Course, Due

UNBEARABLE = "what is this?"
"""A message that no actor understands: whoever is told it fails."""

HANDS_SECONDS = 0.2
"""How soon somebody who wants to lay hands on an order looks again whether one rests."""

_STATES = (SymbolStatus.HALT, SymbolStatus.BREAK, SymbolStatus.CANCEL_ONLY)


class Troubles:
    """Makes trouble in a course's world, and undoes it."""

    def __init__(self, course: Course) -> None:
        self._course, self._world = course, course.world
        self._chance = course.sim.stream("troubles")
        self._undone_later: list[Due] = []

    def begin(self, one: Happening) -> None:
        """Let it happen."""
        match one.trouble:
            case Trouble.HALT | Trouble.FILTER | Trouble.FREEZE | Trouble.HANDS:
                self._at_the_exchange(one)
            case Trouble.BLOWOUT | Trouble.CROSSED | Trouble.EMPTY:
                self._distort(one)
            case Trouble.CLOCK | Trouble.SKEW:
                self._set_a_clock(one)
            case Trouble.CRASH | Trouble.JOURNAL | Trouble.STALLS | Trouble.ACTOR | Trouble.SLOW_DISK:
                self._in_the_process(one)
            case Trouble.COMMANDS | Trouble.WISHES | Trouble.OPERATOR_HALT | Trouble.STOP:
                with suppress(pykka.ActorDeadError):  # The daemon is about to end.
                    self._by_the_operator(one.trouble)
            case Trouble.BURST:
                pass  # Its signals are handed in like all others.
            case _:
                assert_never(one.trouble)

    def _at_the_exchange(self, one: Happening) -> None:
        exchange = self._world.exchange
        match one.trouble:
            case Trouble.HALT:
                exchange.set_status(one.symbol, self._chance.choice(_STATES))
                self._later(one, partial(exchange.set_status, one.symbol, SymbolStatus.TRADING))
            case Trouble.FREEZE:
                exchange.steering[one.symbol].freeze()
                self._later(one, exchange.steering[one.symbol].release)
            case Trouble.HANDS:
                self._lay_hands_on(self._course.sim.now() + one.seconds)
            case _:
                self._change_filter(one.symbol)

    def _set_a_clock(self, one: Happening) -> None:
        course, world = self._course, self._world
        if one.trouble is Trouble.SKEW:
            self.set_skew(course.weather.skew_seconds + one.size)
            return
        world.daemon_node.step_clock(one.size)
        course.clocks.set_daemon(world.store.last_seq(), course.sim.now(), world.daemon_node.clock_offset)

    def _in_the_process(self, one: Happening) -> None:
        course, world = self._course, self._world
        match one.trouble:
            case Trouble.CRASH:
                world.daemon_node.crash_at(world.daemon_node.handled + max(1, int(one.size)))
            case Trouble.JOURNAL:
                world.store.fail_at(int(one.size), stored=self._chance.random() < 0.5)
            case Trouble.STALLS if not course.weather.steady:
                course.sim.stall(one.size)
                self._later(one, partial(course.sim.stall, 0.0))
            case Trouble.ACTOR:
                self._fail_an_actor()
            case Trouble.SLOW_DISK if not course.weather.steady:
                world.store.append_seconds = one.size
                self._later(one, partial(setattr, world.store, "append_seconds", 0.0))
            case _:
                pass

    def _by_the_operator(self, trouble: Trouble) -> None:
        course, world = self._course, self._world
        if not course.up() or world.news.up is None:
            return
        match trouble:
            case Trouble.OPERATOR_HALT:
                world.news.up.exchange.tell(HaltTrading(reason="OPERATOR", detail="asked to"))
            case Trouble.STOP:
                world.daemon.tell(ShutDown("asked to stop"))
            case Trouble.WISHES:
                self._wish()
            case _:
                self._command()

    def end(self) -> None:
        """Undo what is still going on, and forget what is still to come."""
        for symbol, steered in self._world.exchange.steering.items():
            self._world.exchange.set_status(symbol, SymbolStatus.TRADING)
            steered.release()
        self._course.withdraw(self._undone_later)
        self._course.sim.stall(0.0)
        self._world.daemon_node.calm()
        self._world.store.calm()

    def set_skew(self, seconds: float) -> None:
        """Set how far the exchange's clock is ahead, and note it for the judgement."""
        world = self._world
        world.exchange.set_skew(round(seconds * 1_000_000))
        requests = world.exchange.truth()["received"]
        assert isinstance(requests, list)
        self._course.clocks.set_venue(world.store.last_seq(), len(requests), self._course.sim.now(), seconds)

    def _later(self, one: Happening, undo: Callable[[], None]) -> None:
        self._undone_later.append(self._course.at(self._course.sim.now() + one.seconds, undo))

    def _change_filter(self, symbol: str) -> None:
        spec = self._world.exchange.engine.books[symbol].spec
        match self._chance.randrange(3):
            case 0:
                step = spec.step * 10
                fields: dict[str, str | int | bool] = {"stepSize": plain(step), "minQty": plain(step)}
                self._world.exchange.set_filter(symbol, "LOT_SIZE", fields)
            case 1:
                self._world.exchange.set_filter(symbol, "PRICE_FILTER", {"tickSize": plain(spec.tick * 10)})
            case _:
                least = plain(spec.min_notional * self._chance.choice((2, 20)))
                self._world.exchange.set_filter(symbol, "NOTIONAL", {"minNotional": least})

    def _distort(self, one: Happening) -> None:
        """Put a book in the market's place that no child should go out on."""
        steering, book = self._world.exchange.steering[one.symbol], self._world.exchange.engine.books[one.symbol]
        bid, ask = (next((price for price, _ in book.levels(side)), Decimal(1)) for side in (Side.BUY, Side.SELL))
        tick = book.spec.tick
        far = (ask * Decimal("0.03") // tick) * tick
        match one.trouble:
            case Trouble.BLOWOUT:
                bids, asks = [(plain(bid - far), "5")], [(plain(ask + far), "5")]
            case Trouble.CROSSED:
                bids, asks = [(plain(ask), "5")], [(plain(bid), "5")]
            case _:
                bids, asks = [(plain(bid), "5")], []
        steering.steer().set_levels(bids, asks)
        self._later(one, steering.release)

    def _lay_hands_on(self, until: float) -> None:
        """Do by hand what the account's owner can do to an order of ours, or the exchange, whenever one rests."""
        course, world = self._course, self._world
        for order in world.exchange.engine.open.values():
            if self._is_acknowledged(order.new.client_order_id):
                self._by_hand(order)
                world.venue.tell(Stir())
                break
        if course.sim.now() < until:
            self._undone_later.append(course.at(course.sim.now() + HANDS_SECONDS, partial(self._lay_hands_on, until)))

    def _is_acknowledged(self, child: str) -> bool:
        """Whether the journal knows the order's number: one that nobody has heard of could be renamed unseen."""
        facts = (one.fact for one in reversed(self._world.store.committed))
        return any(isinstance(fact, ChildAcknowledged) and fact.client_order_id == child for fact in facts)

    def _by_hand(self, order: LiveOrder) -> None:
        engine, now = self._world.exchange.engine, self._world.exchange_now()
        step, foreign = engine.books[order.new.symbol].spec.step, f"web_{self._chance.randrange(10**12)}"
        share = Decimal(str(round(self._chance.uniform(0.05, 0.95), 2)))
        name = self._chance.choice((foreign, order.new.client_order_id))
        with suppress(ExchangeError):  # It was filled in the same moment, or would be too small.
            match self._chance.randrange(4):
                case 0:
                    engine.expire(order, now)
                case 1:
                    engine.cancel(order, now, foreign)
                case _:
                    engine.amend(order, now, order.quantity * share // step * step, name)

    def _fail_an_actor(self) -> None:
        refs = [ref for ref in pykka.ActorRegistry.get_all() if ref.actor_class.__name__ == "TWAPActor"]
        if refs:
            self._chance.choice(refs).tell(UNBEARABLE)

    def _command(self) -> None:
        course, world = self._course, self._world
        if not world.news.open:
            return
        accepted = self._chance.choice(list(world.news.open.values()))
        name, ear = accepted.execution_id, course.ear()
        step = world.exchange.engine.books[accepted.symbol].spec.step
        smaller = accepted.quantity * Decimal(str(round(self._chance.uniform(0.3, 1.2), 2))) // step * step
        choices: tuple[ExecutionCommand, ...] = (
            PauseExecution(execution_id=name, reply_to=ear),
            CancelExecution(execution_id=name, reply_to=ear),
            AmendExecution(execution_id=name, reply_to=ear, quantity=smaller),
        )
        world.command(self._chance.choice(choices))

    def _wish(self) -> None:
        """Ask for one, two or three things at once of what an operator can ask for besides."""
        course, world = self._course, self._world
        for _ in range(self._chance.choice((1, 1, 2, 3))):
            if not world.news.open:
                return
            accepted = self._chance.choice(list(world.news.open.values()))
            name, ear, spec = accepted.execution_id, course.ear(), world.exchange.engine.books[accepted.symbol].spec
            worst = accepted.arrival_price * Decimal(str(round(self._chance.uniform(0.995, 1.005), 4)))
            end = course.sim.wall_time() + timedelta(seconds=round(self._chance.uniform(-1.0, 20.0), 3))
            quantity = (
                accepted.quantity * Decimal(str(round(self._chance.uniform(0.3, 1.0), 2))) // spec.step * spec.step
            )
            choices: tuple[ExecutionCommand, ...] = (
                ResumeExecution(execution_id=name, reply_to=ear),
                PauseExecution(execution_id=name, reply_to=ear),
                CancelExecution(execution_id=name, reply_to=ear),
                AmendExecution(execution_id=name, reply_to=ear, end_at=end),
                AmendExecution(execution_id=name, reply_to=ear, limit_price=worst // spec.tick * spec.tick),
                AmendExecution(execution_id=name, reply_to=ear, quantity=quantity, end_at=end),
            )
            world.command(self._chance.choice(choices))
