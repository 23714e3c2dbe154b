"""Small exchanges with books set by hand, for the tests of the paper exchange."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from adapters.paper.account import Fees
from adapters.paper.errors import ExchangeError
from adapters.paper.exchange import PaperExchange, PaperSettings
from adapters.paper.limits import LimitSettings
from adapters.paper.liquidity.scripted import ScriptedMarket
from adapters.paper.markets import MarketChoice
from adapters.paper.records import AccountPosition, Execution, Placed
from adapters.paper.rules import SymbolSpec, built_in
from adapters.paper.store import AccountFile
from messages.money import plain

NOW = 1_767_225_600_000_000
"""2026-01-01 in microseconds."""
MS = 1000
SECOND = 1_000_000

PLENTY = LimitSettings(weight_per_minute=10**9, orders_per_10_seconds=10**9, orders_per_day=10**9)


class World:
    """An exchange whose books are set by hand, and a clock that the test moves."""

    def __init__(
        self,
        *,
        balances: Mapping[str, str] | None = None,
        fees: Fees | None = None,
        limits: LimitSettings = PLENTY,
        file: AccountFile | None = None,
        specs: Mapping[str, Any] | None = None,
        now: int = NOW,
    ) -> None:
        symbols: dict[str, SymbolSpec] = built_in()
        if specs:
            symbols["BTCUSDT"] = replace(symbols["BTCUSDT"], **specs)
        self.now = now
        self.markets = {symbol: ScriptedMarket(spec.step) for symbol, spec in symbols.items()}
        defaults = {"BTC": "10", "ETH": "200", "USDT": "1000000", "BNB": "20"}
        held = {asset: Decimal(amount) for asset, amount in (balances or defaults).items()}
        self.exchange = PaperExchange(
            PaperSettings(
                markets=MarketChoice(market="scripted"),
                balances=held,
                fees=fees or Fees(),
                limits=limits,
                symbols=symbols,
            ),
            now=now,
            file=file,
            markets=self.markets,
        )
        self.market = self.markets["BTCUSDT"]
        self.market.set_levels(
            [("100.00", "1"), ("99.00", "2"), ("98.00", "5")],
            [("101.00", "1"), ("102.00", "2"), ("103.00", "5")],
        )

    def place(self, **changes: str | None) -> Placed:
        return self.exchange.place(self.params(**changes), self.now)

    def refusal(self, **changes: str | None) -> ExchangeError:
        with pytest.raises(ExchangeError) as caught:
            self.place(**changes)
        return caught.value

    def params(self, **changes: str | None) -> dict[str, str]:
        params: dict[str, str | None] = {
            "symbol": "BTCUSDT",
            "side": "BUY",
            "type": "LIMIT",
            "timeInForce": "GTC",
            "quantity": "1",
            "price": "101.00",
            "newClientOrderId": "a",
        }
        if changes.get("type") == "MARKET":
            params |= {"price": None, "timeInForce": None}
        if changes.get("type") == "LIMIT_MAKER":
            params |= {"timeInForce": None}
        params |= changes
        return {name: value for name, value in params.items() if value is not None}

    def cancel(self, **params: str) -> Any:
        return self.exchange.cancel({"symbol": "BTCUSDT", **params}, self.now)

    def later(self, milliseconds: int = 100) -> None:
        self.now += milliseconds * MS
        self.exchange.advance(self.now)

    def executions(self) -> list[Execution]:
        return [event for event in self.exchange.drain() if isinstance(event, Execution)]

    def story(self) -> list[str]:
        """What the user stream tells, in short: `a TRADE PARTIALLY_FILLED`, `balances`."""
        return [
            "balances"
            if isinstance(event, AccountPosition)
            else f"{event.order.client_order_id} {event.execution_type} {event.order.status.value}"
            for event in self.exchange.drain()
        ]

    def held(self, asset: str) -> tuple[Decimal, Decimal]:
        _, free, locked = self.exchange.account.balance(asset)
        return free, locked


def fills(placed: Placed) -> list[tuple[str, str]]:
    return [(str(trade.price), plain(trade.quantity)) for trade in placed.trades]
