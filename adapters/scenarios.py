"""What is handed in during a run: scenarios by name, and scenarios drawn by seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import inf
from typing import Any

from actors.runtime import EPOCH
from adapters.views import iso

MINUTE = 60.0
HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class TimedSignal:
    """A signal's JSON object, handed in `at` seconds after the daemon is ready.

    With `age` its timestamp is made to be so many seconds old at that moment.
    """

    at: float
    body: dict[str, Any]
    note: str = ""
    age: float | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """Signals for one run, in the order of their time, and how long it may take (virtual seconds).

    One that is `short` is over soon, and what goes wrong in it goes wrong soon and often.
    """

    name: str
    signals: tuple[TimedSignal, ...]
    limit_seconds: float = 4 * HOUR
    short: bool = False


def tour(interval_seconds: float = 6.0) -> Scenario:
    """Show every verdict once: a sliced order, a small one, a repeat, a conflict, a stale one, a tiny one."""
    large = {
        "id": "tour-1",
        "symbol": "BTCUSDT",
        "side": "buy",
        "quantity": "0.5",
        "twap": {"num_chunks": 5, "interval_seconds": str(interval_seconds)},
    }
    return Scenario(
        "tour",
        (
            TimedSignal(0.0, large, "0.5 BTC in five slices"),
            TimedSignal(
                1.0, {"id": "tour-2", "symbol": "ETHUSDT", "side": "sell", "quantity": "0.3"}, "0.3 ETH at once"
            ),
            TimedSignal(2.0, large, "the same signal again"),
            TimedSignal(3.0, {**large, "quantity": "0.7"}, "the same id, but 0.7 BTC"),
            TimedSignal(
                4.0, {"id": "tour-3", "symbol": "BNBUSDT", "side": "buy", "quantity": "1"}, "an hour old", age=HOUR
            ),
            TimedSignal(
                5.0, {"id": "tour-4", "symbol": "BTCUSDT", "side": "sell", "quantity": "0.00002"}, "below the minimum"
            ),
        ),
    )


def scenario_of(signals: Sequence[dict[str, Any]], name: str = "given") -> Scenario:
    """Make a scenario of signals that carry their time as `at` (seconds from the start, 0 if missing)."""
    timed = [
        TimedSignal(float(body.get("at", 0)), {key: value for key, value in body.items() if key != "at"})
        for body in signals
    ]
    return Scenario(name, tuple(sorted(timed, key=lambda signal: signal.at)))


@dataclass(frozen=True, slots=True)
class _Size:
    """What is drawn from: how many orders, seconds to the next, slices of each and seconds between them.

    `unplanned` is how many times its smallest size an order has at most that leaves its slices to the daemon, which
    would work a large one for two minutes.
    """

    orders: tuple[int, ...]
    gap: float
    chunks: tuple[int, ...]
    intervals: tuple[int, ...]
    unplanned: float


_LONG = _Size((1, 1, 1, 2, 2, 3, 4), 8.0, (1, 2, 3, 4, 5, 6), (1, 1, 2, 2, 5, 10), inf)
_SHORT = _Size((1, 1, 1, 2), 2.0, (1, 2, 3, 4), (1, 1, 2), 4.0)
LONG_SHARE = 0.02
"""How many scenarios are long: a short one costs half as much, and as much is found in a second of either."""


def drawn(seed: int, *, short: bool | None = None) -> Scenario:
    """Draw a small mixed scenario: some sliced and direct orders, repeats, conflicts and nonsense.

    Whether it is `short` is drawn too, unless it is said.
    """
    chance = random.Random(f"scenario-{seed}")  # noqa: S311 - to be repeated, not to be secret
    finer, priced = random.Random(f"finer-{seed}"), random.Random(f"priced-{seed}")  # noqa: S311 - the same
    if short is None:
        short = random.Random(f"size-{seed}").random() >= LONG_SHARE  # noqa: S311 - the same
    size = _SHORT if short else _LONG
    signals: list[TimedSignal] = []
    at = 0.0
    for number in range(chance.choice(size.orders)):
        at += chance.uniform(0, size.gap)
        body = _priced(priced, _refined(finer, _order(chance, number, size), at))
        signals.append(TimedSignal(at, body))
        signals.extend(TimedSignal(at + chance.uniform(0, 1.5 * size.gap), echo) for echo in _echoes(chance, body))
    if chance.random() < 0.5:
        signals.append(TimedSignal(at + 1, chance.choice(_NONSENSE)))
    signals.sort(key=lambda signal: signal.at)
    return Scenario(f"drawn-{seed}", tuple(signals), short=short)


_NONSENSE: tuple[dict[str, Any], ...] = (
    {"symbol": "BTCUSDT", "side": "buy", "quantity": "-1"},
    {"symbol": "BTCUSDT", "side": "buy", "quantity": "NaN"},
    {"symbol": "BTCUSDT", "side": "hold", "quantity": "1"},
    {"symbol": "NOSUCH", "side": "buy", "quantity": "1"},
    {"symbol": "BTCUSDT", "side": "buy", "quantity": "0.00001"},
    {"symbol": "BTCUSDT", "side": "buy", "quantity": "1", "leverage": 10},
    {"symbol": "BTCUSDT", "side": "buy", "quantity": "1e30"},
)

_SIZES = {"BTCUSDT": (0.002, 1.5), "ETHUSDT": (0.05, 30.0), "BNBUSDT": (0.2, 20.0), "DOGEUSDT": (300.0, 60_000.0)}
_PRICES = {"BTCUSDT": 65_000.0, "ETHUSDT": 3_000.0, "BNBUSDT": 600.0, "DOGEUSDT": 0.12}
"""What the synthetic markets begin at, about."""
_HELD = ("BTCUSDT", "ETHUSDT", "BNBUSDT")


def _order(chance: random.Random, number: int, size: _Size) -> dict[str, Any]:
    symbol = chance.choice(tuple(_SIZES))
    side = chance.choice(("buy", "SELL")) if symbol in _HELD else "Buy"
    low, high = _SIZES[symbol]
    planned = chance.random() < 0.7
    if not planned:
        high = min(high, size.unplanned * low)
    quantity = low * (high / low) ** chance.random()
    body: dict[str, Any] = {"symbol": symbol, "side": side, "quantity": f"{quantity:.5f}"}
    if symbol == "DOGEUSDT":
        body["quantity"] = f"{quantity:.0f}"
    if chance.random() < 0.7:
        body["id"] = f"s{number}"
    if planned:
        chunks, interval = chance.choice(size.chunks), chance.choice(size.intervals)
        body["twap"] = {"num_chunks": chunks, "interval_seconds": str(interval)}
    kind = chance.choice((None, None, "market", "ioc", "passive", "auto"))
    if kind is not None:
        body.setdefault("twap", {})["child"] = kind
    if chance.random() < 0.3:
        body.setdefault("twap", {})["timing"] = chance.random() < 0.8
    return body


def _refined(chance: random.Random, body: dict[str, Any], at: float) -> dict[str, Any]:
    """Draw finer wishes for an order, by a stream of their own, so that older seeds keep much of their course."""
    if chance.random() < 0.6:
        return body
    twap: dict[str, Any] = dict(body.get("twap") or {"num_chunks": 3, "interval_seconds": "2"})
    if chance.random() < 0.5:
        twap["jitter"] = chance.choice(("0.05", "0.3", "0.5"))
    if chance.random() < 0.5:
        twap["remainder"] = "sweep"
    if chance.random() < 0.3:
        twap["max_participation"] = chance.choice(("0.02", "0.2", "1"))
    if chance.random() < 0.3:
        twap["end_at"] = iso(EPOCH + timedelta(seconds=at + chance.uniform(8, 40)))
    if chance.random() < 0.3:
        twap["catch_up"] = chance.choice(("none", "spread", "cap"))
    return {**body, "twap": twap}


def _priced(chance: random.Random, body: dict[str, Any]) -> dict[str, Any]:
    """Draw for some orders an amount of quote, or a worst price; by a stream of their own, too."""
    price, wish = _PRICES[body["symbol"]], chance.random()
    if wish < 0.1:
        amount = {"quote_quantity": f"{float(body['quantity']) * price:.2f}"}
        body = {**{name: value for name, value in body.items() if name != "quantity"}, **amount}
    if wish < 0.05 or 0.1 <= wish < 0.2:
        away = chance.choice((-0.0005, 0.0, 0.0002, 0.001, 0.01))
        body = {**body, "limit_price": f"{price * (1 + away if body['side'].lower() == 'buy' else 1 - away):.5f}"}
    return body


def _echoes(chance: random.Random, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Draw what senders do with a signal that they have sent already."""
    echoes = [body for _ in range(chance.choice((0, 0, 1, 2)))]
    if "id" in body and chance.random() < 0.2:
        echoes.append({**body, "quantity": "0.31"})
    return echoes
