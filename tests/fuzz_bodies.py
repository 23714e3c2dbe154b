"""Bodies that nobody should send: sound ones with something done to them, and plain noise, by seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import orjson

from adapters.intake.fields import MAX_BODY

OWN: dict[str, Any] = {
    "id": "a-1",
    "source": "fuzz",
    "symbol": "BTCUSDT",
    "side": "buy",
    "quantity": "0.5",
    "price": 42000.5,
    "timestamp": "2026-07-01T12:00:00Z",
    "ttl_seconds": 60,
    "limit_price": "43000",
    "tag": "t",
    "twap": {"num_chunks": 5, "interval_seconds": "30", "child": "ioc", "cap_bps": 20},
}
PLAIN: dict[str, Any] = {"symbol": "BTCUSDT", "side": "sell", "quote_quantity": "500"}
TRADINGVIEW: dict[str, Any] = {"ticker": "BTCUSDT", "action": "buy", "contracts": "0.5", "price": "42000"}
THREE_COMMAS: dict[str, Any] = {
    "tv_instrument": "BTCUSDT",
    "action": "buy",
    "order": {"amount": "0.5", "currency_type": "base"},
    "strategy_info": {"market_position": "long"},
}
TV_HUB: dict[str, Any] = {"exchange": "binance", "pair": "BTCUSDT", "isBuy": True, "units": 0.5, "token": "x"}
TEXT = b"order buy @ 0.5 filled on BTCUSDT. New strategy position is 0.5"

_VALUES: tuple[Any, ...] = (
    *("", " ", "NaN", "nan", "Infinity", "-Infinity", "1e400", "-0", "0", "-1", "1,0", "0x10", "1_000", "1e-400"),
    *(
        "BTCUSDT.P",
        "btc/usdt",
        "BINANCE:BTCUSDT",
        "ВТСUSDT",
        "{{ticker}}",
        "\x00",
        "\ud7ff",
        "🙂",
        "x" * 200,
        "9" * 100,
    ),
    *("buy", "SELL", "short", "ioc", "2026-07-01", "2026-07-01T12:00:00+14:00", "9999999999999", "0001-01-01T00:00Z"),
    *(None, True, False, 0, -1, 1, 0.1, 1e308, -1e-308, 2**53 + 1, 2**63 - 1, [], {}, [1], {"a": 1}, [[[[]]]]),
)
_RAW = (
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-0.0",
    b"00",
    b"1" * 400,
    b"{}",
    b"[]",
    b"nul",
    b'"\\ud800"',
    b"/**/",
    b"\xff\xfe",
)

_LARGE: tuple[bytes, ...] = (
    *(b"[" * 50_000, b'{"a":' * 10_000, b"[" + b"0," * 30_000),
    *(b'"' + b"x" * MAX_BODY, b" " * MAX_BODY),
)


def bodies(seed: int, count: int) -> Iterator[bytes]:
    """Make so many bodies; the same seed makes the same ones."""
    chance = random.Random(seed)
    for _ in range(count):
        yield _body(chance)


def _body(chance: random.Random) -> bytes:
    kind = chance.random()
    if kind < 0.02:
        return chance.randbytes(chance.randint(0, 300))
    if kind < 0.05:
        return _spoilt(chance, TEXT)
    if kind < 0.06:
        return chance.choice(_LARGE)
    value: Any = _changed(chance, chance.choice([OWN, OWN, PLAIN, TRADINGVIEW, THREE_COMMAS, TV_HUB]))
    if chance.random() < 0.1:
        value = [_changed(chance, chance.choice([OWN, PLAIN, TV_HUB])) for _ in range(chance.choice([0, 1, 2, 5, 101]))]
    body = orjson.dumps(value)
    return _spoilt(chance, body) if chance.random() < 0.3 else body


def _changed(chance: random.Random, value: dict[str, Any]) -> dict[str, Any]:
    changed = dict(value)
    for _ in range(chance.choice([0, 1, 1, 1, 2, 4])):
        name = chance.choice(list(changed) or ["x"])
        match chance.randrange(6):
            case 0:
                changed.pop(name, None)
            case 1:
                changed[chance.choice([name.upper(), name + "s", "twap", "constructor", "", "quantity", "\u2028"])] = 1
            case 2 if isinstance(changed.get(name), dict):
                changed[name] = _changed(chance, changed[name])
            case _:
                changed[name] = chance.choice(_VALUES)
    return changed


def _spoilt(chance: random.Random, body: bytes) -> bytes:
    at = chance.randint(0, len(body))
    match chance.randrange(5):
        case 0:
            return body[:at]
        case 1:
            return body[:at] + chance.randbytes(chance.randint(1, 4)) + body[at + 1 :]
        case 2:
            return body[:at] + chance.choice(_RAW) + body[at:]
        case 3:
            return body + body[:at]
        case _:
            return body.replace(b'"0.5"', chance.choice(_RAW)).replace(b"5", chance.choice(_RAW))
