"""SignalGate: decides on each signal in one turn, answers after the commit, starts executions."""

from __future__ import annotations

import logging
import math
from collections import Counter, deque
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, Literal, assert_never

import pykka

from actors.follower import Follower
from actors.signal_gate.dedup import ConflictWith, Dedup, DuplicateOf
from actors.signal_gate.limits import Limits, Market, Refusal, Sized
from actors.signal_gate.load import Load
from actors.signal_gate.nonces import Nonces
from actors.signal_gate.rates import Rates
from actors.signal_gate.settings import GateSettings
from actors.supervision import Child, ChildEnded, ChildFailed, ChildStopped, Parent
from actors.twap.actor import TWAPActor
from actors.twap.clock import SLEW, Clock
from actors.twap.quarantine import QuarantinedActor
from actors.twap.settings import TwapSettings
from messages.control import (
    ActorReady,
    CaughtUp,
    Committed,
    ExecutionGivenUp,
    FactNews,
    JournalCommand,
    Ping,
    Pong,
    Readiness,
    ReadinessChanged,
    RecoverExecutions,
    ReportSettled,
    Settled,
)
from messages.execution import (
    AmendExecution,
    CancelExecution,
    CommandAnswer,
    ExecutionCommand,
    PauseExecution,
    ResumeExecution,
)
from messages.facts import (
    ExecutionAmended,
    ExecutionClosed,
    ExecutionQuarantined,
    Fact,
    NonceUsed,
    SignalAccepted,
    SignalConflict,
    SignalDuplicate,
    SignalRejected,
    TradeBooked,
)
from messages.ids import execution_id
from messages.market import (
    Await,
    BalancesChanged,
    Quote,
    QuoteChanged,
    QuoteLost,
    RulesChanged,
    SymbolRules,
    Unawait,
)
from messages.money import plain
from messages.order import CancelChild, PlaceChild
from messages.refs import Tells
from messages.signal import UNJOURNALLED, NonceAnswer, Reason, Side, Signal, SignalReceived, Status, UseNonce, Verdict

REMEMBERED_CLOSED: Final = 10_000


logger = logging.getLogger("tidegate.gate")


@dataclass(frozen=True, slots=True)
class _Remains:
    """The name of a child that sees a quarantined execution to its end."""

    execution_id: str


@dataclass(frozen=True, slots=True)
class _FlushRepeats:
    """Time to journal the repeats that were answered since the first one."""

    execution_id: str


@dataclass(slots=True)
class _Repeats:
    """Repeats of one accepted signal that were answered, but are not journalled yet."""

    latest: SignalDuplicate
    count: int = 0


@dataclass(slots=True)
class _Answers:
    """What waits for a fact of ours, appended at `since` (monotonic s), to be durable."""

    since: float
    due: list[tuple[Tells[Verdict], Verdict]] = field(default_factory=list)
    nonce: tuple[Tells[NonceAnswer], NonceAnswer] | None = None


GateMessage = (
    SignalReceived
    | UseNonce
    | QuoteChanged
    | QuoteLost
    | RulesChanged
    | BalancesChanged
    | ReadinessChanged
    | ReportSettled
    | Settled
    | RecoverExecutions
    | ExecutionCommand
    | ChildStopped
    | ChildFailed
    | Ping
    | FactNews
    | _FlushRepeats
)


class SignalGate(Follower, Parent, Child):
    """Lets a signal through once and only once, and is the parent of the executions it causes.

    What it decides by is pushed to it: quotes, rules, balances, readiness; the latest of each wins.
    Every `SignalReceived` gets exactly one `Verdict`, after what it says is durable. `counts` holds
    the number of verdicts by status, refusals by `rejected:REASON`.
    """

    max_restarts = 2  # The third failure is the last.
    window = math.inf

    def __init__(
        self,
        parent: Tells[ChildEnded | ActorReady | ExecutionGivenUp],
        name: Hashable,
        *,
        journal: Tells[JournalCommand],
        exchange: Tells[PlaceChild | CancelChild],
        market: Tells[Await | Unawait],
        settings: GateSettings,
        twap: TwapSettings,
        executor: type[Child] = TWAPActor,
    ) -> None:
        super().__init__(parent, name)
        self.use_journal(journal)
        self._owner = parent
        self._exchange, self._market = exchange, market
        self._settings, self._twap, self._executor = settings, twap, executor
        self._coalesce_seconds = float(settings.coalesce_seconds)
        self._max_waiting_seconds = float(settings.max_waiting_seconds)
        self.counts: Counter[str] = Counter()
        # Folded from facts
        self._limits = Limits(settings, twap)
        self._dedup, self._load = Dedup(settings.dedup), Load(twap.max_price_deviation)
        self._nonces = Nonces()
        self._quarantined: dict[str, None] = {}
        self._closed: dict[str, str] = {}
        self._last_accepted: datetime | None = None
        self._clock, self._reached = Clock(self.runtime), datetime.min.replace(tzinfo=UTC)
        # Pushed by others
        self._readiness = ReadinessChanged(Readiness.STARTING)
        self._quotes: dict[str, Quote] = {}
        self._rules: dict[str, SymbolRules] = {}
        self._free: dict[str, Decimal] | None = None
        # Under way
        self._rates = Rates(
            settings.max_signals_per_second, settings.max_signals_per_second_per_sender, settings.signal_burst_seconds
        )
        self._journal_id = ""
        self._answers: deque[_Answers] = deque()
        self._accepting: dict[str, _Answers] = {}
        self._repeats: dict[str, _Repeats] = {}
        self._unstarted: dict[str, SignalAccepted] = {}
        self._settling: Tells[Settled] | None = None
        self._stopping = False
        self._unsettled: dict[Hashable, None] = {}

    def begin(self) -> None:
        """Ask for everything that the gate's state is a fold of."""
        self.follow(SignalAccepted, NonceUsed, ExecutionClosed, ExecutionQuarantined, ExecutionAmended, TradeBooked)

    def on_receive(self, message: GateMessage) -> None:
        """Take one message."""
        match message:
            case SignalReceived(signal=signal, reply_to=reply_to):
                self._on_signal(signal, reply_to)
            case UseNonce():
                self._on_nonce(message)
            case QuoteChanged(quote=quote):
                self._quotes[quote.symbol] = quote
            case Committed() | CaughtUp():
                self.on_news(message)
            case QuoteLost(symbol=symbol):
                self._quotes.pop(symbol, None)
            case RulesChanged(rules=rules):
                self._rules[rules.symbol] = rules
                self._pass_on(message)
                self._start_waiting(rules.symbol)
            case BalancesChanged(free=free):
                self._free = dict(free)
            case ReadinessChanged():
                self._on_readiness(message)
            case ReportSettled() | Settled():
                self._settle(message)
            case RecoverExecutions(quarantined):
                self._recover_executions(tuple(quarantined))
            case PauseExecution() | ResumeExecution() | CancelExecution() | AmendExecution():
                self._on_command(message)
            case ChildStopped() | ChildFailed():
                self.child_ended(message)
            case Ping(reply_to):
                reply_to.tell(Pong(self.name))
            case _FlushRepeats(of):
                self._flush_repeats(of)
            case _:
                assert_never(message)

    # Facts ------------------------------------------------------------------------------------

    def on_fact(self, fact: Fact, at: datetime) -> None:
        """Fold what decides on later signals."""
        match fact:
            case SignalAccepted():
                self._dedup.accept(fact, self._moment_of(at, fact.accepted_at))
                self._load.accept(fact)
                self._last_accepted = fact.accepted_at
            case NonceUsed():
                self._nonces.use(fact)
            case ExecutionClosed(execution_id=of):
                moment = self._moment_of(at)
                self._dedup.close(of, moment, fact.children)
                self._load.close(fact, moment)
                self._quarantined.pop(of, None)
                self._unstarted.pop(of, None)
                self._closed[of] = fact.reason
                if len(self._closed) > REMEMBERED_CLOSED:
                    del self._closed[next(iter(self._closed))]
            case ExecutionQuarantined(execution_id=of):
                self._quarantined[of] = None
            case ExecutionAmended():
                self._load.amend(fact)
            case TradeBooked():
                self._load.book(fact)
            case _:
                pass

    def on_durable(self, fact: Fact) -> None:
        """Send the verdicts that waited for a fact."""
        answers = self._answers.popleft()
        for reply_to, verdict in answers.due:
            self._answer(reply_to, verdict)
        if answers.nonce is not None:
            asker, answer = answers.nonce
            self.runtime.send(asker, answer)
        if isinstance(fact, SignalAccepted):
            self._accepting.pop(fact.execution_id, None)
        self._tell_if_settled()

    def on_news_of(self, fact: Fact) -> None:
        """See a quarantined execution to its end."""
        if self.caught_up and isinstance(fact, ExecutionQuarantined) and not fact.unreported:
            self._see_to_its_end(fact.execution_id)

    def on_caught_up(self, caught_up: CaughtUp) -> None:
        """Take the journal's id, of which execution ids are made, and say so."""
        self._journal_id = caught_up.journal_id
        self._clock.not_before(self._reached)
        self._owner.tell(ActorReady(self.name))

    def _moment_of(self, at: datetime, written: datetime | None = None) -> datetime:
        """Say when a fact was appended, by the clock of windows; in what is old it can only have gone on.

        The moment that is `written` in it may be some microseconds later, for no two are the same.
        """
        self._reached = max(self._reached, self._clock.told(at) if self.caught_up else at)
        if written is not None and written - self._reached < SLEW:
            self._reached = max(self._reached, written)
        return self._reached

    def _now(self, wall: datetime) -> datetime:
        """The time by which windows are measured: a step of the wall clock makes none shorter or longer."""
        self._reached = max(self._reached, self._clock.now(wall))
        return self._reached

    # Signals ----------------------------------------------------------------------------------

    def _on_signal(self, signal: Signal, reply_to: Tells[Verdict]) -> None:
        refusal = self._not_now() or self._check_rate(signal) or self._limits.check_shape(signal)
        if refusal is not None:
            self._refuse_at_once(signal, reply_to, refusal)
            return
        now = self.runtime.wall_time()
        moment = self._now(now)
        market = self._market_of(signal.symbol)
        quote = self._limits.fresh(market)
        mid = None if quote is None else quote.mid
        label = self._dedup.label(signal, now, mid)
        seen = self._dedup.judge(signal, moment, mid, now)
        if isinstance(seen, ConflictWith):
            self._on_conflict(signal, reply_to, label, seen)
            return
        if isinstance(seen, DuplicateOf) and seen.by == "id":
            self._on_duplicate(signal, reply_to, label, seen)
            return
        sized = self._limits.size(signal, now, market)
        if isinstance(seen, DuplicateOf) and (isinstance(sized, Sized) or sized.reason is Reason.NO_PRICE):
            self._on_duplicate(signal, reply_to, label, seen)
            return
        if isinstance(sized, Refusal):
            self._refuse(signal, reply_to, label, sized)
            return
        refusal = self._check_means(signal, sized, now, moment)
        if refusal is not None:
            self._refuse(signal, reply_to, label, refusal)
            return
        self._accept(signal, reply_to, label, sized, market.age)

    def _not_now(self) -> Refusal | None:
        """Refuse everything while the gate is shut or the journal does not keep up."""
        readiness, detail = self._readiness.readiness, self._readiness.detail
        if readiness is Readiness.HALTED:
            return Refusal(Reason.HALTED, detail or "trading is halted")
        if readiness is not Readiness.READY or not self.caught_up:
            return Refusal(Reason.NOT_READY, detail or f"the daemon is {readiness.value}")
        if len(self._answers) >= self._settings.max_waiting:
            return Refusal(Reason.NOT_READY, f"{len(self._answers)} verdicts wait for the journal")
        if self._answers and self.runtime.now() - self._answers[0].since > self._max_waiting_seconds:
            return Refusal(
                Reason.NOT_READY, f"a verdict has waited for the journal above {self._max_waiting_seconds} s"
            )
        return None

    def _check_rate(self, signal: Signal) -> Refusal | None:
        sender: object = signal.source  # As any actor has written it.
        exceeded = self._rates.exceeded(sender if isinstance(sender, str) else "", self.runtime.now())
        return None if exceeded is None else Refusal(Reason.TOO_MANY, exceeded)

    def _on_nonce(self, asked: UseNonce) -> None:
        """Use up a nonce: like a verdict, the answer that it was fresh goes out after the commit."""
        answer = NonceAnswer(sender=asked.sender, nonce=asked.nonce, state="fresh")
        if self._not_now() is not None:
            self.runtime.send(asked.reply_to, replace(answer, state="not_ready"))
        elif self._nonces.used(asked.sender, asked.nonce, self.runtime.wall_time()):
            self.runtime.send(asked.reply_to, replace(answer, state="used"))
        else:
            self._answers.append(_Answers(self.runtime.now(), nonce=(asked.reply_to, answer)))
            self.append(NonceUsed(sender=asked.sender, nonce=asked.nonce, until=asked.until))

    def _check_means(self, signal: Signal, sized: Sized, now: datetime, moment: datetime) -> Refusal | None:
        if self._free is None:
            return Refusal(Reason.NOT_READY, "the balances are not known yet")
        return self._limits.check_load(signal, sized, now, self._load, moment) or self._limits.check_balance(
            signal, sized, self._free, self._load, self._rules
        )

    def _market_of(self, symbol: str) -> Market:
        rules, quote = self._rules.get(symbol), self._quotes.get(symbol)
        return Market(rules, quote) if quote is None else Market(rules, quote, self.runtime.now() - quote.seen_at)

    def _accept(self, signal: Signal, reply_to: Tells[Verdict], label: str, sized: Sized, age: float) -> None:
        accepted_at = self._next_moment()
        quote = sized.quote
        reference = quote.mid if signal.price is None else signal.price
        key = self._dedup.key(signal, reference, accepted_at)
        of = execution_id(self._journal_id, key, accepted_at)
        accepted = SignalAccepted(
            execution_id=of,
            key=key,
            key_until=self._dedup.key_until(signal, accepted_at),
            label=label,
            signal=signal,
            symbol=signal.symbol,
            side=signal.side,
            quantity=sized.quantity,
            reference_price=reference,
            bid=quote.bid,
            ask=quote.ask,
            quote_age_seconds=Decimal(f"{age:.6f}"),
            depth=quote.depth_ask if signal.side is Side.BUY else quote.depth_bid,
            accepted_at=accepted_at,
        )
        verdict = Verdict(status=Status.ACCEPTED, execution_id=of, id=signal.id, label=label)
        self._accepting[of] = self._append_and_answer(accepted, reply_to, verdict)
        self._start(accepted)  # All that it causes is written behind this.

    def _next_moment(self) -> datetime:
        """Return the time, never the same one twice: ids are made of it."""
        now, last = self.runtime.wall_time(), self._last_accepted
        return now if last is None or now > last else last + timedelta(microseconds=1)

    def _on_duplicate(self, signal: Signal, reply_to: Tells[Verdict], label: str, seen: DuplicateOf) -> None:
        of = seen.execution_id
        fact = SignalDuplicate(execution_id=of, signal=signal, label=label, by=seen.by)
        verdict = Verdict(
            status=Status.DUPLICATE,
            reason=Reason.DUPLICATE,
            detail=f"{_HOW[seen.by]}; its execution {self._stands(of)}",
            duplicate_of=of,
            first_seen=seen.first_seen,
            id=signal.id,
            label=label,
        )
        repeats = self._repeats.get(of)
        if repeats is None:
            self._repeats[of] = _Repeats(fact)
            self.runtime.tell_after(self._coalesce_seconds, self.actor_ref, _FlushRepeats(of))
            self._append_and_answer(fact, reply_to, verdict)
            return
        repeats.latest = fact
        repeats.count += 1
        accepting = self._accepting.get(of)
        if accepting is None:
            self._answer(reply_to, verdict)
        else:
            accepting.due.append((reply_to, verdict))

    def _stands(self, of: str) -> str:
        """Say how an execution stands, for people."""
        if of in self._load:
            filled, quantity = self._load.progress(of)
            state = "is quarantined" if of in self._quarantined else "is under way"
            return f"{state}, {plain(filled)} of {plain(quantity)} filled"
        reason = self._closed.get(of)
        return "is closed" if reason is None else f"is closed: {reason}"

    def _flush_repeats(self, of: str) -> None:
        repeats = self._repeats.pop(of, None)
        if repeats is not None and repeats.count:
            latest = repeats.latest
            self._answers.append(_Answers(self.runtime.now()))
            self.append(
                SignalDuplicate(
                    execution_id=of,
                    signal=latest.signal,
                    label=latest.label,
                    by=latest.by,
                    count=repeats.count,
                )
            )

    def _on_conflict(self, signal: Signal, reply_to: Tells[Verdict], label: str, seen: ConflictWith) -> None:
        fact = SignalConflict(execution_id=seen.execution_id, signal=signal, label=label, differing=seen.differing)
        verdict = Verdict(
            status=Status.CONFLICT,
            reason=Reason.CONFLICT,
            detail=f"this id came before with another {', '.join(seen.differing)}",
            duplicate_of=seen.execution_id,
            first_seen=seen.first_seen,
            id=signal.id,
            label=label,
        )
        self._append_and_answer(fact, reply_to, verdict)

    def _refuse(self, signal: Signal, reply_to: Tells[Verdict], label: str, refusal: Refusal) -> None:
        if refusal.reason in UNJOURNALLED:
            self._refuse_at_once(signal, reply_to, refusal, label)
            return
        fact = SignalRejected(signal=signal, label=label, reason=refusal.reason.value, detail=refusal.detail)
        self._append_and_answer(fact, reply_to, _rejected(signal, refusal, label))

    def _refuse_at_once(
        self,
        signal: Signal,
        reply_to: Tells[Verdict],
        refusal: Refusal,
        label: str | None = None,
    ) -> None:
        self._answer(reply_to, _rejected(signal, refusal, label))

    def _append_and_answer(self, fact: Fact, reply_to: Tells[Verdict], verdict: Verdict) -> _Answers:
        answers = _Answers(self.runtime.now(), [(reply_to, verdict)])
        self._answers.append(answers)
        self.append(fact)
        return answers

    def _answer(self, reply_to: Tells[Verdict], verdict: Verdict) -> None:
        reason = verdict.reason if verdict.status is Status.REJECTED else None
        self.counts[f"{verdict.status}" if reason is None else f"{verdict.status}:{reason}"] += 1
        self.runtime.send(reply_to, verdict)

    # Executions -------------------------------------------------------------------------------

    def _start(self, accepted: SignalAccepted) -> None:
        """Start an execution's actor, once; without the symbol's rules it waits for them."""
        of = accepted.execution_id
        rules = self._rules.get(accepted.symbol)
        if rules is None:
            self._unstarted[of] = accepted
            return
        self._unstarted.pop(of, None)
        if of in self.children or of in self._quarantined or of not in self._load:
            return
        try:
            self.spawn(
                of,
                self._executor,
                accepted=accepted,
                rules=rules,
                journal=self._journal,
                exchange=self._exchange,
                market=self._market,
                settings=self._twap,
            )
        except Exception as error:  # noqa: BLE001 - what one execution does to its actor must not end all
            self._forget(of)
            self.give_up(of, error)

    def _pass_on(self, changed: RulesChanged) -> None:
        """Tell the symbol's running executions, which cut their children by the rules."""
        for accepted in self._load.accepted():
            child = self.children.get(accepted.execution_id)
            if child is not None and accepted.symbol == changed.rules.symbol:
                self.runtime.send(child, changed)

    def _start_waiting(self, symbol: str) -> None:
        for accepted in tuple(self._unstarted.values()):
            if accepted.symbol == symbol:
                self._start(accepted)

    def _recover_executions(self, quarantined: tuple[str, ...]) -> None:
        self._quarantined.update(dict.fromkeys(quarantined))
        for accepted in tuple(self._load.accepted()):
            self._start(accepted)
        for of in tuple(self._quarantined):
            self._see_to_its_end(of)

    def _see_to_its_end(self, of: str) -> None:
        """Have a quarantined execution closed once none of its children can trade any more."""
        name, accepted = _Remains(of), self._load.of(of)
        if accepted is not None and name not in self.children:
            self.spawn(name, QuarantinedActor, accepted=accepted, journal=self._journal)

    def give_up(self, name: Hashable, cause: BaseException) -> None:
        """Leave an execution alone whose actor failed too often; the others go on."""
        detail = f"{type(cause).__name__}: {cause}"
        if isinstance(name, _Remains):
            self._owner.tell(ExecutionGivenUp(name.execution_id, detail, unreported=True))
            return
        of = str(name)
        self._quarantined[of] = None
        self._owner.tell(ExecutionGivenUp(of, detail))

    def _on_command(self, command: ExecutionCommand) -> None:
        of = command.execution_id
        child = self.children.get(of)
        over = self._stopping or of in self._closed  # Then it is about to stop, and may answer nobody.
        if child is not None and not over:
            try:
                child.tell(command)
            except pykka.ActorDeadError:
                pass
            else:
                return
        answer = CommandAnswer(execution_id=of, done=False, detail=self._why_not(of))
        self.runtime.send(command.reply_to, answer)

    def _why_not(self, of: str) -> str:
        if self._stopping:
            return "the daemon is stopping: ask again when it is up"
        if of in self._quarantined:
            return "quarantined"
        if of in self._closed:
            return "closed"
        return "not started yet" if of in self._load else "no such execution"

    def _on_readiness(self, changed: ReadinessChanged) -> None:
        self._readiness = changed
        if changed.readiness is Readiness.DRAINING:
            for of in tuple(self._repeats):
                self._flush_repeats(of)

    def _settle(self, message: ReportSettled | Settled) -> None:
        """Let no command in any more, and have those answered that were."""
        match message:
            case ReportSettled(deadline=deadline, reply_to=reply_to):
                self._settling, self._stopping = reply_to, True
                for name, child in self.children.items():
                    if not isinstance(name, _Remains):  # That takes no commands.
                        self._unsettled[name] = None
                        self.runtime.send(child, ReportSettled(deadline, self.actor_ref))
            case Settled(name):
                self._unsettled.pop(name, None)
            case _:
                assert_never(message)
        self._tell_if_settled()

    def _tell_if_settled(self) -> None:
        """Say, to who wants to stop this, that nobody waits for a verdict or an answer any more."""
        if self._settling is not None and not self._answers and not self._unsettled:
            self.runtime.send(self._settling, Settled(self.name))
            self._settling = None

    def child_ended(self, ended: ChildEnded) -> None:
        """Wait for no answer of one that has ended: it has answered everybody."""
        super().child_ended(ended)
        self._unsettled.pop(ended.name, None)
        self._tell_if_settled()


_HOW: Final[dict[Literal["id", "fingerprint"], str]] = {
    "id": "this id was accepted before",
    "fingerprint": "same account, symbol, side and price as an accepted one",
}


def _rejected(signal: Signal, refusal: Refusal, label: str | None) -> Verdict:
    text: Any = signal.id
    return Verdict(
        status=Status.REJECTED,
        reason=refusal.reason,
        detail=refusal.detail,
        id=text if isinstance(text, str) else None,
        label=label,
    )
