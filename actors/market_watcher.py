"""MarketWatcher: knows the latest quote of every symbol, and who waits for a market fit to trade in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from operator import itemgetter
from typing import assert_never

from actors.adverse import AdverseMoves
from actors.bounds import Breach, judge, sound
from actors.lookout import Lookout
from actors.marks import Answers, Marks
from actors.runtime import Timer
from actors.supervision import Child, ChildEnded
from actors.timing import Patience, due
from actors.usual import UsualSpread
from messages.control import ActorReady, Ping, Pong
from messages.execution import WaitsFor
from messages.frozen import replace
from messages.market import (
    Await,
    Awaited,
    Choice,
    ConnectMarket,
    CountTrades,
    MarketEvent,
    MarketGap,
    MarkMids,
    Quote,
    QuoteChanged,
    QuoteLost,
    QuoteSeen,
    StopCounting,
    Unawait,
    Unmark,
    WatchMarket,
)
from messages.money import BPS, ZERO
from messages.refs import Tells

Key = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSettings:
    """How the market is watched.

    `depth_bps` is the band around the mid in which depth counts; a book is believed for
    `depth_seconds` after it was seen. The gate is told a symbol's quote at most once in
    `push_interval_seconds`. Being ready waits for the first quotes, but not longer than
    `ready_after_seconds`. How far the market moves against what rests is estimated for the `estimated`
    symbols from the start on, for a rest of `rest_seconds`; for others once somebody asks.
    """

    depth_bps: Decimal = Decimal(10)
    depth_seconds: float = 5.0
    push_interval_seconds: float = 0.05
    ready_after_seconds: float = 2.0
    estimated: tuple[str, ...] = ()
    rest_seconds: float = 24.0


@dataclass(frozen=True, slots=True)
class _PushDue:
    symbol: str


@dataclass(frozen=True, slots=True)
class _DeadlineReached:
    waiting: _Waiting


@dataclass(frozen=True, slots=True)
class _ReadyAnyway:
    """The first quotes have been waited for long enough."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """An `Await` that is not answered yet."""

    request: Await
    patience: Patience
    timer: Timer | None = None
    waited_for: str | None = None


class Market:
    """What is known of one symbol: its quote, its depth, and the running integral of its mid."""

    def __init__(self, symbol: str, settings: MarketSettings) -> None:
        self.symbol = symbol
        self.quote: Quote | None = None
        """The last sound quote, also when it must not be trusted any more."""
        self.lost = False
        """Whether the stream was cut since that quote."""
        self.dropped = 0
        """How many quotes could not be true."""
        self._settings = settings
        self._band = settings.depth_bps / BPS
        self._micros = 0
        self._depth: tuple[Decimal, Decimal] | None = None
        self._depth_at = -math.inf
        self._spreads = UsualSpread()
        self._traded = ZERO
        self._told: Decimal | None = None

    @property
    def usual_spread(self) -> Decimal | None:
        """The median spread of the last minutes, a fraction of the mid; None if too little was seen."""
        return self._spreads.median

    @property
    def trusted(self) -> Quote | None:
        """The quote, unless there is none or the stream was cut since."""
        return None if self.lost else self.quote

    def see(self, seen: QuoteSeen, now: float) -> bool:
        """Take a quote seen at `now` (monotonic s); False if it cannot be true and was dropped."""
        if not sound(seen):
            self.dropped += 1
            return False
        integral, seconds = self._integral_at(now)
        self._micros = _micros(now)
        if seen.bids and seen.asks:
            self._depth = self._depth_of(seen)
            self._depth_at = now
        known = self._depth is not None and now - self._depth_at <= self._settings.depth_seconds
        depth_bid, depth_ask = self._depth if known and self._depth is not None else (None, None)
        self.quote = Quote(
            symbol=self.symbol,
            bid=seen.bid,
            bid_quantity=seen.bid_quantity,
            ask=seen.ask,
            ask_quantity=seen.ask_quantity,
            seen_at=now,
            depth_bid=depth_bid,
            depth_ask=depth_ask,
            integral=integral,
            integral_seconds=seconds,
            traded=self._count(seen.traded),
        )
        self.lost = False
        self._spreads.see(self.quote, now)
        return True

    def _count(self, told: Decimal | None) -> Decimal | None:
        """Add what was traded since the venue told last; what it missed in between is left out."""
        if told is not None and self._told is not None and told >= self._told:
            self._traded += told - self._told
        self._told = told
        return None if told is None else self._traded

    def lose(self) -> None:
        """Trust nothing that was seen so far; the time until the next quote counts for nothing."""
        self.lost = True
        self._depth = None

    def quote_at(self, now: float) -> Quote | None:
        """Return the last quote with its integral run on to `now`, as long as it is trusted."""
        if self.quote is None or self.lost or self.quote.seen_at == now:
            return self.quote
        integral, seconds = self._integral_at(now)
        return replace(self.quote, integral=integral, integral_seconds=seconds)

    def age(self, now: float) -> float:
        """Return the seconds since the last quote, infinite if there was none."""
        return math.inf if self.quote is None else now - self.quote.seen_at

    def _integral_at(self, now: float) -> tuple[Decimal, Decimal]:
        """Add what the present mid contributes up to `now`: exact, to the microsecond."""
        quote = self.quote
        if quote is None:
            return ZERO, ZERO
        if self.lost:
            return quote.integral, quote.integral_seconds
        seconds = Decimal(_micros(now) - self._micros).scaleb(-6)
        return quote.integral + quote.mid * seconds, quote.integral_seconds + seconds

    def _depth_of(self, seen: QuoteSeen) -> tuple[Decimal, Decimal]:
        mid = (seen.bid + seen.ask) / 2
        band = mid * self._band
        lowest, highest = mid - band, mid + band
        bids, asks = len(seen.bids), len(seen.asks)
        while bids and seen.bids[bids - 1][0] < lowest:  # From the end: few are told that are not near.
            bids -= 1
        while asks and seen.asks[asks - 1][0] > highest:
            asks -= 1
        return sum(map(_QUANTITY, seen.bids[:bids]), ZERO), sum(map(_QUANTITY, seen.asks[:asks]), ZERO)


_QUANTITY = itemgetter(1)


def _too_early(waiting: _Waiting, quote: Quote | None, now: float, choice: Choice | None, hot_since: float) -> bool:
    """Whether all that was seen is too old to go by, and a fresh quote is still waited for.

    A post needs one that was seen since the question. Whoever waits for the pressure needs one of
    since the symbol is watched at every change: a look a second tells nothing of the queues now. A
    taker that waits for neither needs none.
    """
    request = waiting.request
    if request.fresh_until is None or quote is None or now >= request.fresh_until:
        return False
    rests = request.timing is None if choice is None else choice.rests
    if rests:
        return quote.seen_at < waiting.patience.began
    return request.timing is not None and quote.seen_at < hot_since


def _micros(now: float) -> int:
    return round(now * 1_000_000)


WatcherMessage = (
    ConnectMarket
    | MarketEvent
    | Await
    | Unawait
    | CountTrades
    | StopCounting
    | MarkMids
    | Unmark
    | Ping
    | _PushDue
    | _DeadlineReached
    | _ReadyAnyway
)


class MarketWatcher(Child):
    """Answers each `Await` once: when its bounds hold, or at its deadline.

    A symbol that somebody waits for is watched at every change, others about once a second. A
    change is looked at by those alone who wait for its symbol.
    """

    def __init__(
        self,
        parent: Tells[ChildEnded | ActorReady],
        name: str,
        *,
        venue: Tells[WatchMarket],
        settings: MarketSettings,
        lookout: Tells[WaitsFor] | None = None,
    ) -> None:
        super().__init__(parent, name)
        self._lookout = Lookout(lookout, "market")
        self._told, self._venue, self._settings = parent, venue, settings
        self._gate: Tells[QuoteChanged | QuoteLost] | None = None
        self._markets: dict[str, Market] = {}
        self._adverse = AdverseMoves(settings.estimated, settings.rest_seconds)
        self._marks = Marks()
        self._hot: dict[str, bool] = {}
        self._hot_since: dict[str, float] = {}
        self._counted: dict[str, dict[str, None]] = {}
        self._counts_for: dict[str, str] = {}
        self._told_trades: dict[str, bool] = {}
        self._waiting: dict[str, dict[Key, _Waiting]] = {}
        self._symbol_of: dict[Key, str] = {}
        self._pushed_at: dict[str, float] = {}
        self._push_timers: dict[str, Timer] = {}
        self._unseen: dict[str, None] | None = None
        self._ready = False
        self._ready_timer: Timer | None = None

    @property
    def dropped(self) -> dict[str, int]:
        """How many quotes could not be true, by symbol."""
        return {symbol: market.dropped for symbol, market in self._markets.items() if market.dropped}

    def end(self) -> None:
        """Leave no timer behind."""
        if self._ready_timer is not None:
            self._ready_timer.cancel()
        for timer in self._push_timers.values():
            timer.cancel()
        for waiting in self._waiting.values():
            for one in waiting.values():
                if one.timer is not None:
                    one.timer.cancel()

    def on_receive(self, message: WatcherMessage) -> None:
        """Take a message."""
        match message:
            case QuoteSeen():
                self._on_quote(message)
            case Await():
                self._on_await(message)
            case Ping(reply_to):
                self.runtime.send(reply_to, Pong(self.name))
            case MarketGap(symbols=symbols):
                for symbol in symbols:
                    self._on_gap(symbol)
            case Unawait(key=key):
                self._withdraw(key)
            case CountTrades():
                self._count(message)
            case StopCounting(key=key):
                self._stop_counting(key)
            case MarkMids():
                self._marks.ask(message)
            case Unmark():
                self._unmark(message)
            case _DeadlineReached(waiting):
                self._on_deadline(waiting)
            case _PushDue(symbol):
                del self._push_timers[symbol]
                self._push(symbol)
            case ConnectMarket():
                self._connect(message)
            case _ReadyAnyway():
                self._say_ready()
            case _:
                assert_never(message)

    # Quotes ---------------------------------------------------------------------------------------

    def _on_quote(self, seen: QuoteSeen) -> None:
        market = self._market(seen.symbol)
        now, standing = self.runtime.now(), market.trusted
        if not market.see(seen, now):
            return
        if market.quote is not None:
            self._adverse.see(market.quote, now)
            if self._marks.awaits(seen.symbol):
                stood = None if standing is None else standing.mid
                self._tell_marks(self._marks.see(seen.symbol, market.quote.mid, stood, now))
        if self._unseen is not None:
            self._unseen.pop(seen.symbol, None)
            self._ready_if_seen()
        self._push_in_turn(seen.symbol, now)
        waiting = self._waiting.get(seen.symbol)
        if waiting:
            for one in list(waiting.values()):
                if self._look(one, now, answers=True):
                    self._drop(one)
            self._cool(seen.symbol)

    def _on_gap(self, symbol: str) -> None:
        market = self._market(symbol)
        if not market.lost:
            market.lose()
            self._adverse.lose(symbol)
            for one in list(self._waiting.get(symbol, {}).values()):
                if self._look(one, self.runtime.now(), answers=one.request.until_broken):
                    self._drop(one)
            self._cool(symbol)
            if self._gate is not None:
                self.runtime.send(self._gate, QuoteLost(symbol=symbol))

    def _push_in_turn(self, symbol: str, now: float) -> None:
        """Push the quote, or see to it that the then latest is pushed as soon as it may be."""
        if symbol in self._push_timers:
            return
        due = self._pushed_at.get(symbol, -math.inf) + self._settings.push_interval_seconds
        if due <= now:
            self._push(symbol)
        else:
            self._push_timers[symbol] = self.runtime.tell_at(due, self.actor_ref, _PushDue(symbol))

    def _push(self, symbol: str) -> None:
        quote = self._market(symbol).trusted
        if self._gate is not None and quote is not None:
            self._pushed_at[symbol] = self.runtime.now()
            self.runtime.send(self._gate, QuoteChanged(quote=quote))

    # Waits ----------------------------------------------------------------------------------------

    def _on_await(self, request: Await) -> None:
        now = self.runtime.now()
        symbol = request.symbol
        self._withdraw(request.key, then_cool=request.symbol)
        waiting = _Waiting(request, Patience(now, now))
        if self._look(waiting, now, answers=True):
            self._cool(symbol)
            return
        self._set_timer(waiting, now)
        self._waiting.setdefault(symbol, {})[request.key] = waiting
        self._symbol_of[request.key] = symbol
        self._watch(symbol, hot=True)

    def _set_timer(self, waiting: _Waiting, now: float) -> None:
        """Look again when pressure or a fresh quote need not be waited for any more, and at the deadline."""
        request = waiting.request
        moments = (None if request.timing is None else request.timing.until, request.fresh_until)
        until = min([request.deadline, *(moment for moment in moments if moment is not None and moment > now)])
        waiting.timer = self.runtime.tell_at(until, self.actor_ref, _DeadlineReached(waiting))

    def _on_deadline(self, waiting: _Waiting) -> None:
        request = waiting.request
        if self._waiting.get(request.symbol, {}).get(request.key) is not waiting:
            return  # Answered or taken back, with the deadline in the mailbox already.
        now = self.runtime.now()
        if self._look(waiting, now, answers=True):
            self._drop(waiting)
            self._cool(request.symbol)
        else:
            self._set_timer(waiting, now)

    def _look(self, waiting: _Waiting, now: float, *, answers: bool) -> bool:
        """Judge the market for one who waits, and answer if its time has come; True if that was done."""
        request = waiting.request
        breach, quote = self._judge(request, now), self._market(request.symbol).quote
        fits = breach is None and quote is not None
        choice = None
        if fits and quote is not None and request.maker is not None:
            choice = self._adverse.choose(request.maker, quote, now)
        early = _too_early(waiting, quote, now, choice, self._hot_since.get(request.symbol, now))
        waiting.patience.look(now, quote.mid if quote is not None else None, fits=fits, counted=not early)
        if breach is not None and waiting.waited_for is None:
            waiting.waited_for = breach.reason.value
        if request.until_broken:
            ripe = not fits
        elif choice is not None and choice.rests:
            ripe = not early
        else:
            ripe = fits and not early and quote is not None and due(request.timing, quote, request.bounds.side, now)
        if not answers or not (ripe or request.deadline <= now):
            if not request.until_broken:
                self._lookout.judged(request.key[0], breach, early=early)
            return False
        if breach is None:  # Whoever hears of a breach may wait on.
            self._lookout.free(request.key[0])
        self._answer(waiting, breach, choice)
        return True

    def _judge(self, request: Await, now: float) -> Breach | None:
        market, bounds = self._market(request.symbol), request.bounds
        usual = market.usual_spread if bounds.max_spread_multiple is not None else None
        return judge(market.trusted, market.age(now), bounds, usual)

    def _answer(self, waiting: _Waiting, breach: Breach | None, choice: Choice | None) -> None:
        request, patience, now = waiting.request, waiting.patience, self.runtime.now()
        market = self._market(request.symbol)
        answer = Awaited(
            key=request.key,
            held=breach is None,
            quote=market.quote_at(now),
            age=market.age(now),
            failed=None if breach is None else breach.reason.value,
            detail=None if breach is None else breach.detail,
            waited=patience.guarded,
            beside=self._mid_of(request.beside),
            timed=patience.timed,
            fit_mid=patience.fit_mid,
            choice=choice,
            waited_for=waiting.waited_for,
        )
        self.runtime.send(request.reply_to, answer)

    def _mid_of(self, symbol: str | None) -> Decimal | None:
        """Return the mid of a symbol that is watched anyway, None if it is not or must not be trusted."""
        market = None if symbol is None else self._markets.get(symbol)
        return None if market is None or market.trusted is None else market.trusted.mid

    def _withdraw(self, key: Key, then_cool: str | None = None) -> None:
        symbol = self._symbol_of.get(key)
        if symbol is not None:
            self._lookout.free(key[0])
            self._drop(self._waiting[symbol][key])
            if symbol != then_cool:
                self._cool(symbol)

    def _drop(self, waiting: _Waiting) -> None:
        key, symbol = waiting.request.key, waiting.request.symbol
        del self._symbol_of[key]
        del self._waiting[symbol][key]
        if waiting.timer is not None:
            waiting.timer.cancel()

    # Watching -------------------------------------------------------------------------------------

    def _market(self, symbol: str) -> Market:
        market = self._markets.get(symbol)
        if market is None:
            market = self._markets[symbol] = Market(symbol, self._settings)
        return market

    def _cool(self, symbol: str) -> None:
        """Watch a symbol less closely that nobody waits for."""
        if not self._waiting.get(symbol):
            self._waiting.pop(symbol, None)
            self._watch(symbol, hot=False)

    def _watch(self, symbol: str, *, hot: bool) -> None:
        trades = symbol in self._counted
        if self._hot.get(symbol) is not hot or self._told_trades.get(symbol, False) is not trades:
            if not hot:
                self._hot_since.pop(symbol, None)
            elif not self._hot.get(symbol):
                self._hot_since[symbol] = self.runtime.now()
            self._hot[symbol], self._told_trades[symbol] = hot, trades
            self._venue.tell(WatchMarket(symbol=symbol, hot=hot, listener=self.actor_ref, trades=trades))

    def _count(self, wish: CountTrades) -> None:
        self._stop_counting(wish.key)
        self._counts_for[wish.key] = wish.symbol
        self._counted.setdefault(wish.symbol, {})[wish.key] = None
        self._watch(wish.symbol, hot=self._hot.get(wish.symbol, False))

    def _stop_counting(self, key: str) -> None:
        symbol = self._counts_for.pop(key, None)
        if symbol is None:
            return
        del self._counted[symbol][key]
        if not self._counted[symbol]:
            del self._counted[symbol]
            self._watch(symbol, hot=self._hot.get(symbol, False))

    def _unmark(self, message: Unmark) -> None:
        answers = self._marks.take_back(message.execution_id)
        if message.tell:
            self._tell_marks(answers)

    def _tell_marks(self, answers: Answers) -> None:
        for request, answer in answers:
            self.runtime.send(request.reply_to, answer)

    def _connect(self, message: ConnectMarket) -> None:
        self._gate = message.gate
        self._unseen = {symbol: None for symbol in message.symbols if self._market(symbol).trusted is None}
        for symbol in message.symbols:
            if symbol not in self._hot:
                self._watch(symbol, hot=False)
        for symbol in self._markets:
            self._push(symbol)
        if not self._ready and self._ready_timer is None:
            delay = self._settings.ready_after_seconds
            self._ready_timer = self.runtime.tell_after(delay, self.actor_ref, _ReadyAnyway())
        self._ready_if_seen()

    def _ready_if_seen(self) -> None:
        if not self._unseen:
            self._say_ready()

    def _say_ready(self) -> None:
        self._unseen = None
        if self._ready_timer is not None:
            self._ready_timer.cancel()
        if not self._ready:
            self._ready = True
            self.runtime.send(self._told, ActorReady(self.name))
