"""The part of OrderWatcher that makes a start: it reads what was missed, compares balances, and says when it is ready.

What is to be read is `Recovery`'s list, what the account should hold is `BalanceCheck`'s sum; here is when each is
asked for. Balances can be compared only while nothing of ours is open: if that comes later, so does the comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from actors.order_watcher.balance_check import BalanceCheck, Balances
from actors.order_watcher.inquiry import Answered
from actors.order_watcher.prover import Prover
from actors.order_watcher.rebuild import Rebuild
from actors.order_watcher.recovery import Recovery
from actors.order_watcher.register import Register
from actors.order_watcher.settings import WatcherSettings
from actors.order_watcher.timers import AskAgain, AskBalances
from actors.runtime import Runtime
from messages.ids import milliseconds
from messages.market import SymbolRules
from messages.order import Query, QueryAnswer, QueryBalances, TradesFound
from messages.refs import Tells

ASK_AGAIN_SECONDS = 1.0
QUIET_SECONDS = 2.0


class Relays(Protocol):
    """Hands a question to ExchangeActor; an urgent one comes before polls."""

    def __call__(self, query: Query, /, *, urgent: bool = False) -> None:
        """Hand it on."""


class Start:
    """One start: `ready` is called once, when `go_on` has nothing more to wait for."""

    def __init__(
        self,
        settings: WatcherSettings,
        register: Register,
        rebuild: Rebuild,
        balances: BalanceCheck,
        prover: Prover,
        *,
        runtime: Runtime,
        me: Tells[Answered | AskAgain | AskBalances | QueryAnswer],
        relay: Relays,
        append: Callable[..., None],
        ready: Callable[[], None],
    ) -> None:
        self._settings, self._register, self._rebuild, self._balances = settings, register, rebuild, balances
        self._prover, self._runtime, self._me = prover, runtime, me
        self._relay, self._append, self._ready = relay, append, ready
        self._recovery = Recovery()
        self._over = False

    def go_on(self) -> None:
        """Take the next step: read, compare balances if nothing is open, be ready.

        For whom the journal is folded and the stream tells of orders.
        """
        if self._over:
            return
        if not self._recovery.begun:
            for query in self._recovery.begin(self._concerned(), self._me, self._prover.asked_now()):
                self._relay(query, urgent=True)
        if not self._recovery.done:
            return
        # A journal that is rebuilt takes its time, and nothing new is sent before a person has looked.
        if not (self._rebuild.going_on or self._register.open_count or self._balances.done):
            self.ask_balances()
            return
        self._over = True
        self._ready()

    def take(self, answered: Answered) -> bool:
        """Take an answer to a question of the start; False once none is waited for any more."""
        if self._recovery.done:
            return False
        again = self._recovery.take(answered)
        if again is not None:
            self._runtime.tell_after(ASK_AGAIN_SECONDS, self._me, AskAgain(again))
        if isinstance(answered.answer, TradesFound):
            self._look_for_owners(answered.answer)
        return True

    def ask_again(self, query: Query) -> None:
        """Put a question again that brought no answer, if nothing else has brought one."""
        if query in self._recovery.missing:
            self._relay(query, urgent=True)

    def _concerned(self) -> list[tuple[str, int | None, int | None]]:
        """Return the symbols to read, with the last trade booked and the oldest order in doubt."""
        doubted = [ledger.intent for ledger in self._register.all_open()]
        doubted += self._register.absent(self._prover.venue_now())
        oldest: dict[str, int] = {}
        for intent in doubted:
            oldest[intent.symbol] = min(intent.request_timestamp, oldest.get(intent.symbol, intent.request_timestamp))
        for symbol, moment in self._untraded().items():
            oldest[symbol] = min(moment, oldest.get(symbol, moment))
        symbols = dict.fromkeys((*self._settings.symbols, *oldest))
        if self._rebuild.since is not None:
            oldest = {symbol: min(self._rebuild.since, oldest.get(symbol, self._rebuild.since)) for symbol in symbols}
        return [(symbol, self._register.last_trade(symbol), oldest.get(symbol)) for symbol in symbols]

    def _untraded(self) -> dict[str, int]:
        """Return the symbols without a trade, and since when (ms, venue) an execution of ours may have made some.

        If the journal has lost its end, as a restored backup has, not a child of it need be known.
        """
        ahead = self._prover.venue_now() - milliseconds(self._runtime.wall_time())
        accepted = self._register.accepted().items()
        return {
            symbol: round(milliseconds(at) + ahead)
            for symbol, at in accepted
            if self._register.last_trade(symbol) is None
        }

    def _look_for_owners(self, found: TradesFound) -> None:
        """Ask whose trades those are: an own order that the journal lost may be among them."""
        unknown = [t.time for t in found.trades if not self._register.knows_order(t.symbol, t.order_id)]
        if unknown:
            asked = self._prover.asked_now()
            self._relay(self._recovery.look_for_owners(found.symbol, min(unknown), self._me, asked), urgent=True)

    # Balances -------------------------------------------------------------------------------------

    def nothing_is_open(self) -> None:
        """Say what a rebuilt journal has found, and compare balances soon, if that is still to be done."""
        if not self._over:
            return
        if (rebuilt := self._rebuild.over()) is not None:
            self._append(rebuilt)
        if not self._balances.done:
            self._runtime.tell_after(QUIET_SECONDS, self._me, AskBalances())

    def ask_balances(self) -> None:
        """Ask what the account holds, if trades must explain it and none can come meanwhile."""
        if self._register.open_count or self._balances.done or self._balances.asked or self._rebuild.going_on:
            return
        self._balances.begin()
        self._relay(QueryBalances(reply_to=self._me), urgent=True)

    def balances_failed(self) -> None:
        """Ask for them again, if that question was ours."""
        if self._balances.failed():
            self._runtime.tell_after(ASK_AGAIN_SECONDS, self._me, AskBalances())

    def take_balances(self, balances: Balances) -> bool:
        """Take what the account holds; whether the start may go on, with or without a comparison."""
        self._balances.found(balances)
        return self._compare() or not self._balances.waits_for_rules

    def take_rules(self, rules: tuple[SymbolRules, ...]) -> bool:
        """Take which assets a symbol has; whether that was what the start has waited for."""
        self._balances.learn(rules)
        return self._compare()

    def _compare(self) -> bool:
        facts = self._balances.compare()
        if facts:
            self._append(*facts)
        return facts is not None
