"""TWAPActor: works one execution, slot by slot, from its signal's acceptance to its report.

All decisions are `Execution`'s; here are only the messages, the timer and the two clocks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import assert_never

from actors.follower import Follower
from actors.runtime import Timer
from actors.supervision import Child, ChildEnded
from actors.twap.clock import Clock, by_the_venue, exact_seconds, moment_reached
from actors.twap.commands import fact_of
from actors.twap.execution import (
    BELOW_MINIMUM,
    FEE_ASSET,
    AwaitChild,
    CancelResting,
    Close,
    Done,
    Execution,
    Rest,
    Serve,
    Skip,
    Wait,
)
from actors.twap.guards import bounds_of, forgiven, policy_of, reason_of, unbounded, waits_until
from actors.twap.holdup import HoldUp
from actors.twap.markouts import AFTER_SECONDS, Markouts
from actors.twap.participation import QUIET, Volume, together
from actors.twap.placing import place_of
from actors.twap.reactions import DECLINES, GUARDED, MISFITS, Reaction, Way
from actors.twap.report import MidIntegral, report_of
from actors.twap.resting import Vigil
from actors.twap.schedule import adapted, due_at, limits_of, plan, slot_number
from actors.twap.settings import TwapSettings
from messages.control import (
    CaughtUp,
    Committed,
    FactNews,
    JournalCommand,
    Ping,
    Pong,
    ReportSettled,
    Settled,
    Unfollow,
)
from messages.execution import (
    AmendExecution,
    CancelExecution,
    CommandAnswer,
    ExecutionCommand,
    PauseExecution,
    Plan,
    ResumeExecution,
    StopReason,
)
from messages.facts import (
    ChildIntended,
    ExecutionCancelRequested,
    ExecutionClosed,
    ExecutionPlanned,
    ExecutionStarted,
    Fact,
    SignalAccepted,
    SlotSkipped,
    TradeBooked,
)
from messages.market import (
    Await,
    Awaited,
    Bounds,
    CountTrades,
    MakerTerms,
    MarkMids,
    MidsMarked,
    RulesChanged,
    StopCounting,
    SymbolRules,
    Timing,
    Unawait,
    Unmark,
)
from messages.money import ZERO
from messages.order import CancelChild, ChildDeclined, Decline, PlaceChild
from messages.refs import Tells

HOLD_SECONDS = 1.0
"""While balance or symbol status are waited for, a child is asked for again after this."""

RETRY_SECONDS = 0.1
"""A declined child is asked for again after this, or a tenth of the interval if that is longer."""

FRESH_SECONDS = 0.5
"""A child that is to rest is priced, and the queues are judged, on a quote seen since its turn came; one is waited for
so long."""

LATE_TRADE_SECONDS = 2.0
"""What the market did after a trade is not looked at where that was learnt of so much later."""


@dataclass(frozen=True, slots=True)
class _Due:
    """The timer has fired, unless `generation` is an old one."""

    generation: int


TWAPMessage = (
    FactNews | Awaited | MidsMarked | ChildDeclined | RulesChanged | ExecutionCommand | ReportSettled | Ping | _Due
)


class TWAPActor(Follower, Child):
    """Works one execution; its name is the execution's id.

    It begins while its signal's acceptance is on its way to the disk: all that it causes is written behind that, and
    nothing leaves the house before it is written.

    It does one thing at a time: waits for a slot, for its guards, for ExchangeActor's answer, for a
    child's fate, or for a last look at the market before its report. It ends itself when
    `ExecutionClosed` is durable; started again on a closed execution it ends at once.
    """

    def __init__(
        self,
        parent: Tells[ChildEnded],
        name: str,
        *,
        accepted: SignalAccepted,
        rules: SymbolRules,
        journal: Tells[JournalCommand],
        exchange: Tells[PlaceChild | CancelChild],
        market: Tells[Await | Unawait | CountTrades | StopCounting | MarkMids | Unmark],
        settings: TwapSettings,
    ) -> None:
        super().__init__(parent, name)
        self.use_journal(journal)
        self._rules, self._settings = rules, settings
        self._exchange, self._market = exchange, market
        self._execution = Execution(accepted, rules.base, rules.quote, forgiven(settings))
        self._introduced = False
        self._mid = MidIntegral()
        self._markouts = Markouts(accepted.side)
        self._clock = Clock(self.runtime)
        self._old: list[tuple[Fact, datetime]] = []
        self._timer: Timer | None = None
        self._wakes_at: float | None = None
        self._waits_until: datetime | None = None
        self._generation = 0
        self._vigil = Vigil(accepted, runtime=self.runtime, me=self.actor_ref, market=market, exchange=exchange)
        self._serving: Serve | None = None
        self._looking = False
        self._asked: PlaceChild | None = None
        self._misfit: int | None = None
        self._closing: Close | None = None
        self._not_before = 0.0
        self._hold_up: HoldUp | None = None
        self._volume: Volume | None = None
        self._before: Awaited | None = None
        self._pacing = False
        self._pace_until = 0.0
        self._in_hand = False
        self._held: tuple[ExecutionCommand, ...] = ()
        self._answers: tuple[tuple[Fact, Tells[CommandAnswer]], ...] = ()
        self._settling: Tells[Settled] | None = None

    def begin(self) -> None:
        """Fold what the journal has of this execution."""
        self.follow(execution_id=self.name)

    def on_receive(self, message: TWAPMessage) -> None:
        """Take a message."""
        match message:
            case Committed() | CaughtUp():
                self.on_news(message)
            case _Due(generation):
                if generation == self._generation:
                    self._timer = self._wakes_at = self._waits_until = None
                    self._drive()
            case Awaited():
                self._look(message)
            case MidsMarked(number=number, mids=mids):
                self._markouts.told(number, mids)
            case ChildDeclined():
                self._declined(message)
            case RulesChanged(rules=rules):
                self._rules = rules
                self._adapt()
            case PauseExecution() | ResumeExecution() | CancelExecution() | AmendExecution():
                self._command(message)
            case ReportSettled(reply_to=reply_to):
                self._settling = reply_to
                self._tell_if_settled()
            case Ping(reply_to):
                self.runtime.send(reply_to, Pong(self.name))
            case _:
                assert_never(message)

    def end(self) -> None:
        """Take back what would tell a stopped actor, and answer who waits for it."""
        self._let_go()
        self._answer_all("stopped")

    def on_failure(
        self,
        exception_type: type[BaseException] | None,
        exception_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take back what would tell a dead actor, and answer who waits for this one; the next start is another one."""
        self._let_go()
        self._answer_all("failed")
        super().on_failure(exception_type, exception_value, traceback)

    # Facts ----------------------------------------------------------------------------------------

    def on_fact(self, fact: Fact, at: datetime) -> None:
        """Fold a fact; a wall clock that has stepped must neither hold up the schedule nor hurry it."""
        if not self.caught_up:
            self._introduced = True  # What is old, everybody else was told before.
            self._old.append((fact, at))
        elif not isinstance(fact, SignalAccepted):  # It was started with that, and works on it already.
            self._execution.fold(fact, self._clock.told(at))

    def on_caught_up(self, caught_up: CaughtUp) -> None:
        """Plan if that was never done, say that the execution is in hand, and go on with it."""
        execution = self._execution
        # Nor must one that was set back since: what the journal has seen pass has passed.
        self._clock.not_before(moment_reached(execution.accepted.accepted_at, self._old))
        for fact, at in by_the_venue(self._old):
            execution.fold(fact, min(at, self._clock.now()))
        self._old = []
        if execution.closed:
            self.stop()
            return
        started = ExecutionStarted(execution_id=self.name, incarnation=execution.incarnation + 1)
        if execution.plan is None:
            accepted = execution.accepted
            schedule = plan(accepted, self._rules, self._settings, self._clock.now())
            planned = ExecutionPlanned(
                execution_id=self.name, symbol=accepted.symbol, side=accepted.side, plan=schedule
            )
            self.append(planned, started)
        else:
            self.append(started)
            self._mid = MidIntegral(execution.mid_integral, execution.mid_seconds)
            self._adapt()
        self._count_trades()
        # An older incarnation's wish may still become an intent, but none that comes later is sent.
        self._in_hand = execution.incarnation == 1
        self._drive()

    def _adapt(self) -> None:
        """Cut children by the venue's rules of today: they may have changed since the plan was made."""
        execution = self._execution
        if execution.plan is not None:
            limits = limits_of(self._rules, execution.plan.child, execution.accepted.arrival_price)
            execution.terms = None if adapted(execution.plan, limits) is execution.plan else limits

    def _count_trades(self) -> None:
        """Have the market's trades counted where they bound what may be sent."""
        share = self._plan.max_participation
        if share is not None:
            self._volume = Volume(share, self._execution.market_volume)
            self.runtime.send(self._market, CountTrades(key=self.name, symbol=self._execution.accepted.symbol))

    def on_news_of(self, fact: Fact) -> None:
        """Go on when ExchangeActor or OrderWatcher have said something of a child."""
        if isinstance(fact, SignalAccepted) and self._waits_on():
            return
        asked = self._asked
        if isinstance(fact, ChildIntended) and asked is not None:
            if (fact.slice, fact.attempt) != (asked.slice, asked.attempt):
                return
            self._asked = self._hold_up = None
            self._introduced = True
        if self.caught_up and isinstance(fact, TradeBooked):
            self._mark(fact)
        self._drive()

    def _waits_on(self) -> bool:
        """Whether a turn is still waited for that has not come yet; then by the wall clock as it goes now."""
        if self._waits_until is None or self._clock.now() >= self._waits_until:
            return False
        self._wake_at(self._clock.moment(self._waits_until), self._waits_until)
        return True

    def _mark(self, trade: TradeBooked) -> None:
        """Ask what the mid will be after a trade, for the report's sake."""
        child, now = self._execution.children.get(trade.client_order_id), self.runtime.now()
        if child is None or now - self._clock.moment(trade.trade_time) > LATE_TRADE_SECONDS:
            return
        number = self._markouts.trade(trade, child.mid, now)
        if number is not None:
            moments = tuple(now + seconds for seconds in AFTER_SECONDS)
            symbol = self._execution.accepted.symbol
            ask = MarkMids(
                execution_id=self.name, number=number, symbol=symbol, moments=moments, reply_to=self.actor_ref
            )
            self.runtime.send(self._market, ask)

    def on_durable(self, fact: Fact) -> None:
        """Answer a command, cancel a child that rests, or end after the report."""
        if self._answers and self._answers[0][0] is fact:
            (_, reply_to), *rest = self._answers
            self._answers = tuple(rest)
            self._answer(reply_to, done=True, detail="")
            self._tell_if_settled()
        match fact:
            case ExecutionStarted() if not self._in_hand:
                self._in_hand = True
                self._drive()
            case ExecutionCancelRequested():
                self._cancel_child(StopReason.CANCELLED)
            case ExecutionClosed():
                self.stop()
            case _:
                pass

    # What next ------------------------------------------------------------------------------------

    def _drive(self) -> None:
        self._take_held_commands()
        while self._in_hand and not (self._looking or self._asked or self._closing):
            step = self._execution.next(self._clock.now())
            if not isinstance(step, Rest):
                self._vigil.leave()
            match step:
                case Rest() | CancelResting():
                    self._rest(step)
                case Wait(until):
                    self._wake_at(None if until is None else self._clock.moment(until), until)
                case AwaitChild():
                    self._wake_at(None)
                case Serve() as serve:
                    self._serve(serve)
                case Skip(slot, quantity, reason, detail):
                    waited = ZERO
                    if self._hold_up is not None:
                        waited = exact_seconds(self._hold_up.tell(self.runtime.now()))
                    self._append_skip(slot, quantity, reason, detail, (waited, ZERO), self._waited_for)
                    continue
                case Close() as close:
                    self._close(close)
                case Done():
                    self.stop()
            return

    def _rest(self, step: Rest | CancelResting) -> None:
        """Watch over the child that rests, or have it cancelled; what becomes of it then is told as a fact."""
        child = self._execution.children[step.client_order_id]
        match step:
            case Rest(until=until):
                self._wake_at(self._clock.moment(until))
                self._vigil.watch(step.client_order_id, self._plan, self._clock.moment(until))
            case CancelResting(reason=reason):
                self._wake_at(None)
                self._vigil.cancel(child, reason)
            case _:
                assert_never(step)

    def _serve(self, serve: Serve) -> None:
        if self.runtime.now() < self._not_before:
            self._wake_at(min(self._not_before, self._clock.moment(serve.slot_end)))
            return
        self._serving, self._before = serve, None
        slot_end, now = self._clock.moment(serve.slot_end), self.runtime.now()
        self._pace_until = now + (slot_end - now) * float(self._plan.slot_deadline)
        timing = None if serve.timed_until is None else Timing(until=self._clock.moment(serve.timed_until))
        deadline = self._deadline(serve.guards_until, serve)
        fresh_until = None
        if serve.posts_until is not None or timing is not None:
            fresh_until = min(now + FRESH_SECONDS, math.inf if timing is None else timing.until)
        self._await(self._bounds(), deadline, timing, fresh_until, self._maker_terms(serve))

    def _deadline(self, guards_until: datetime, serve: Serve) -> float:
        """Say until when guards are waited for; one that has outlasted its slot for as long as may be."""
        if self._hold_up is None:
            return self._clock.moment(guards_until)
        return min(self._clock.moment(serve.slot_end), self._gives_up_at(self._hold_up))

    def _bounds(self) -> Bounds:
        execution = self._execution
        accepted = execution.accepted
        return bounds_of(self._plan, accepted.side, accepted.arrival_price, execution.limit_price)

    def _await(
        self,
        bounds: Bounds,
        deadline: float,
        timing: Timing | None = None,
        fresh_until: float | None = None,
        maker: MakerTerms | None = None,
    ) -> None:
        self._wake_at(None)
        self._generation += 1
        self._looking, self._pacing = True, bounds.min_traded is not None
        execution = self._execution
        await_ = Await(
            key=(self.name, self._generation),
            symbol=execution.accepted.symbol,
            bounds=bounds,
            deadline=deadline,
            reply_to=self.actor_ref,
            beside=f"{FEE_ASSET}{execution.quote}",
            timing=timing,
            fresh_until=fresh_until,
            maker=maker,
        )
        self.runtime.send(self._market, await_)

    def _look(self, awaited: Awaited) -> None:
        if (broken := self._vigil.broken(awaited)) is not None:
            self._cancel_child(broken)
            return
        if not self._looking or awaited.key[1] != self._generation:
            return
        self._looking = False
        if awaited.quote is not None:
            self._mid.see(awaited.quote)
            if self._volume is not None:
                self._volume.see(awaited.quote)
        if self._closing is not None:
            self._finish(self._closing)
            return
        assert self._serving is not None
        if self._before is not None:
            awaited = together(self._before, awaited)
        if awaited.held and awaited.quote is not None:
            self._place(self._serving, awaited)
        elif self._pacing:  # The market was too quiet for the whole child, or is unfit just now: what may go?
            self._before = awaited
            until = waits_until(self._plan, self._clock.now(), self._serving.slot_end)
            self._await(self._bounds(), self._deadline(until, self._serving))
        else:
            self._failed(awaited)

    def _failed(self, awaited: Awaited) -> None:
        """Do what the policy of the guard says that still fails."""
        why = Close(reason_of(awaited.failed), awaited.detail or "")
        match policy_of(why.reason, self._settings):
            case "stop":
                self._execution.add_wait(awaited.waited_for or why.reason, exact_seconds(awaited.waited))
                self._close(why)
            case "skip":
                self._skip(why.reason, why.detail, awaited.waited, awaited.timed, awaited.waited_for)
            case "wait":
                self._wait_on(why, awaited.waited)

    # Waiting beyond the slot ------------------------------------------------------------------------

    def _wait_on(self, why: Close, waited: float) -> None:
        """Go on waiting for a guard, slots passing meanwhile, until the patience for it is over."""
        assert self._serving is not None
        now = self.runtime.now()
        self._hold_up = self._hold_up or HoldUp.begun(why.reason.value, now, waited)
        if now >= self._gives_up_at(self._hold_up):
            self._execution.add_wait(self._hold_up.reason, exact_seconds(self._hold_up.tell(now)))
            self._close(why)
        elif now < self._clock.moment(self._serving.slot_end) and self._before is None:
            self._serve(self._serving)
        else:
            if self._before is not None:  # What the market trades was waited for: the slot has had its time.
                self._not_before = self._clock.moment(self._serving.slot_end)
            self._drive()

    def _gives_up_at(self, hold_up: HoldUp) -> float:
        return hold_up.since + float(self._settings.guard_patience_seconds)

    @property
    def _waited_for(self) -> str | None:
        return None if self._hold_up is None else self._hold_up.reason

    def _place(self, serve: Serve, awaited: Awaited) -> None:
        """Ask for the slot's child, or wait for the market to trade enough for it."""
        volume, held_up = self._volume, self._hold_up
        judged = awaited
        if held_up is not None:
            waited = held_up.untold(self.runtime.now()) - awaited.timed
            judged = replace(awaited, waited=max(awaited.waited, waited), waited_for=held_up.reason)
        place = self._place_of(serve, judged, None)
        if place is None:
            self._skip(BELOW_MINIMUM, "", judged.waited, judged.timed, judged.waited_for)
            return
        if volume is not None:
            committed = self._execution.committed
            if place.quantity > volume.room(committed) and self.runtime.now() < self._pace_until:
                self._before = awaited
                bounds = replace(self._bounds(), min_traded=volume.count_for(committed + place.quantity))
                self._await(bounds, self._pace_until)
                return
            place = self._place_of(serve, judged, volume)
        if place is None:
            self._before = awaited
            self._failed(replace(awaited, held=False, failed=StopReason.LIQUIDITY.value, detail=QUIET))
            return
        self._asked = place
        self.runtime.send(self._exchange, place)

    def _place_of(self, serve: Serve, awaited: Awaited, volume: Volume | None) -> PlaceChild | None:
        return place_of(
            self._execution,
            self._rules,
            serve.slot,
            awaited,
            self._mid,
            volume,
            rest_seconds=self._rest_seconds(serve, awaited),
            not_after=self._clock.moment(serve.slot_end),
            introduced=self._introduced,
            reply_to=self.actor_ref,
        )

    def _maker_terms(self, serve: Serve) -> MakerTerms | None:
        """On what terms the market is to choose between resting and taking; None if it is not to."""
        if serve.posts_until is None or self._plan.child != "auto":
            return None
        seconds = self._clock.moment(serve.posts_until) - self.runtime.now()
        return MakerTerms(rest_seconds=seconds, fee_gap_bps=self._plan.fee_gap_bps)

    def _rest_seconds(self, serve: Serve, awaited: Awaited) -> Decimal | None:
        """How long the child of a slot may rest from now on, None if it is to take."""
        chosen = awaited.choice is not None and awaited.choice.rests
        if serve.posts_until is None or not (chosen or self._plan.child == "passive"):
            return None
        seconds = self._clock.moment(serve.posts_until) - self.runtime.now()
        return exact_seconds(seconds) if seconds > 0 else None

    def _declined(self, declined: ChildDeclined) -> None:
        asked = self._asked
        if asked is None or (declined.slice, declined.attempt) != (asked.slice, asked.attempt):
            return
        self._asked, self._introduced = None, True
        reaction = self._reaction(declined)
        if reaction.way not in {Way.WAIT, Way.HOLD} and self._retries(declined, asked, reaction):
            self._drive()
            return
        match reaction.way:
            case Way.RETRY | Way.SKIP:
                waited, timed = float(asked.waited_seconds), float(asked.timed_seconds)
                self._skip(declined.reason, declined.detail, waited, timed, asked.waited_for)
            case Way.WAIT:
                interval = slot_number(self._plan, self._clock.now()) + 1
                self._not_before = max(declined.retry_at or 0.0, self._clock.moment(due_at(self._plan, interval)))
                self._drive()
            case Way.STOP:
                self._close(Close(reaction.stop or StopReason.ERROR, declined.detail))
            case Way.LEAVE:
                self.stop()
            case Way.HOLD:
                self._wait_for_door(declined, reaction)
            case _:
                assert_never(reaction.way)

    def _reaction(self, declined: ChildDeclined) -> Reaction:
        """Say what a decline means: by the table, and by the policy where there is one.

        What does not fit the venue's rules may have been cut by those of before, once in a slot: news of the
        new ones are on their way.
        """
        reaction = DECLINES[declined.reason]
        if declined.reason in MISFITS and self._misfit != declined.slice:
            self._misfit = declined.slice
            return DECLINES[Decline.OVER_QUANTITY]
        if reaction.stop not in GUARDED:
            return reaction
        match policy_of(reaction.stop, self._settings):
            case "stop":
                return reaction
            case "skip":
                return replace(reaction, way=Way.SKIP)
            case "wait":
                return replace(reaction, way=Way.HOLD)

    def _wait_for_door(self, declined: ChildDeclined, reaction: Reaction) -> None:
        """Wait for balance or for the symbol to trade again: no slot is used up, and it is asked for soon again."""
        now = self.runtime.now()
        self._not_before = min(declined.retry_at or math.inf, now + HOLD_SECONDS)
        why = Close(reaction.stop or StopReason.ERROR, declined.detail)
        self._hold_up = self._hold_up or HoldUp.begun(why.reason.value, now, 0.0)
        if now >= self._gives_up_at(self._hold_up):
            self._execution.add_wait(self._hold_up.reason, exact_seconds(self._hold_up.tell(now)))
            self._close(why)
        else:
            self._drive()

    def _retries(self, declined: ChildDeclined, asked: PlaceChild, reaction: Reaction) -> bool:
        """Whether the child is asked for again within its slot; sets when."""
        retry_at = declined.retry_at
        if retry_at is None and reaction.way is Way.RETRY:
            retry_at = self.runtime.now() + max(RETRY_SECONDS, float(self._plan.interval_seconds) / 10)
        if retry_at is None or retry_at >= asked.not_after:
            return False
        self._not_before = retry_at
        return True

    def _skip(self, reason: str, detail: str, waited: float, timed: float, waited_for: str | None) -> None:
        """Let the slot go that is being served, and go on."""
        assert self._serving is not None
        slot, spent = self._serving.slot, (exact_seconds(waited), exact_seconds(timed))
        self._append_skip(slot, self._execution.slice_quantity(slot), reason, detail, spent, waited_for)
        self._hold_up = None
        self._drive()

    def _append_skip(
        self,
        slot: int,
        quantity: Decimal,
        reason: str,
        detail: str,
        spent: tuple[Decimal, Decimal],
        waited_for: str | None,
    ) -> None:
        self.append(
            SlotSkipped(
                execution_id=self.name,
                slice=slot,
                quantity=quantity,
                reason=str(reason),
                detail=detail,
                waited_seconds=spent[0],
                timed_seconds=spent[1],
                waited_for=waited_for if spent[0] else None,
            )
        )

    # The end --------------------------------------------------------------------------------------

    def _close(self, close: Close) -> None:
        """Take a last look at the market, for the report's sake, and close then."""
        self._closing = close
        self._take_held_commands()
        accepted = self._execution.accepted
        self._unmark(tell=True)
        self._await(unbounded(accepted.side, accepted.arrival_price), self.runtime.now())

    def _finish(self, close: Close) -> None:
        execution = self._execution
        if execution.open_child is not None:  # One that was believed gone has shown up meanwhile.
            self._closing = None
            self._drive()
            return
        traded = None if self._volume is None else self._volume.traded
        self.append(
            ExecutionClosed(
                execution_id=self.name,
                reason=str(close.reason),
                detail=close.detail,
                key=execution.accepted.key,
                children=len(execution.children),
                report=report_of(execution, close, self._clock.now(), self._mid, traded, self._markouts),
            )
        )

    def _let_go(self) -> None:
        self._wake_at(None)
        self._vigil.leave()
        if self._looking:
            self.runtime.send(self._market, Unawait(key=(self.name, self._generation)))
            self._looking = False
        if self._volume is not None:
            self.runtime.send(self._market, StopCounting(key=self.name))
        self._unmark(tell=False)
        self.runtime.send(self._journal, Unfollow(self.actor_ref))

    def _unmark(self, *, tell: bool) -> None:
        """Wait no longer for what the market does after the trades; `tell` = have what is known by now."""
        if self._markouts.waiting:
            self.runtime.send(self._market, Unmark(execution_id=self.name, tell=tell))

    # Commands -------------------------------------------------------------------------------------

    def _command(self, command: ExecutionCommand) -> None:
        """Do what a command says, or answer why not.

        An amendment waits until no wish is unanswered, and for the end of a child that rests, which it cancels.
        """
        if not self._in_hand or (isinstance(command, AmendExecution) and (self._asked or self._cancels_resting())):
            self._held = (*self._held, command)
            return
        ending = self._closing is not None
        fact = "the execution is ending" if ending else fact_of(self._execution, command, self._clock.now())
        if isinstance(fact, str):
            self._answer(command.reply_to, done=False, detail=fact)
            return
        self._answers = (*self._answers, (fact, command.reply_to))
        self._hold_up = None
        self.append(fact)
        if self._looking:  # What is awaited may no longer be wanted, or at another price.
            self.runtime.send(self._market, Unawait(key=(self.name, self._generation)))
            self._looking = False
        self._drive()

    def _take_held_commands(self) -> None:
        if self._in_hand and self._asked is None:
            held, self._held = self._held, ()
            for command in held:
                self._command(command)
            self._tell_if_settled()

    def _tell_if_settled(self) -> None:
        """Say, to who wants to stop this, that nobody waits for an answer any more."""
        if self._settling is not None and not (self._answers or self._held):
            self.runtime.send(self._settling, Settled(self.name))
            self._settling = None

    def _answer_all(self, ended: str) -> None:
        """Answer at the end who still waits: what this has failed or stopped before, nobody else will say."""
        for command in self._held:
            self._answer(command.reply_to, done=False, detail=f"the execution's actor {ended}: ask again")
        unsure = f"the execution's actor {ended} before this was durable: see whether it was done"
        for _, reply_to in self._answers:
            self._answer(reply_to, done=False, detail=unsure)

    def _answer(self, reply_to: Tells[CommandAnswer], *, done: bool, detail: str) -> None:
        self.runtime.send(reply_to, CommandAnswer(execution_id=self.name, done=done, detail=detail))

    def _cancel_child(self, reason: str) -> None:
        child = self._execution.open_child
        if child is not None:
            self._vigil.cancel(child, reason)

    def _cancels_resting(self) -> bool:
        """Have the child cancelled that rests, if one does of which something is known."""
        child = self._execution.open_child
        if child is None or not child.makes or child.unknown:
            return False
        self._vigil.cancel(child, "amended")
        return True

    # Time -----------------------------------------------------------------------------------------

    @property
    def _plan(self) -> Plan:
        schedule = self._execution.plan
        assert schedule is not None, "an execution without a plan"
        return schedule

    def _wake_at(self, due: float | None, turn: datetime | None = None) -> None:
        """Be woken at this moment (monotonic s, None = not at all), for a turn of the schedule if one is named."""
        self._waits_until = turn
        if due == self._wakes_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._generation += 1
        self._timer, self._wakes_at = None, due
        if due is not None:
            self._timer = self.runtime.tell_at(due, self.actor_ref, _Due(self._generation))
