"""Symbols as senders write them, turned into the venue's: BINANCE:BTCUSDT, BTC/USDT, btc-usdt. Pure."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from adapters.intake.fields import BadValue, Refused, read_text
from messages.signal import Reason

_EXCHANGE: Final = re.compile(r"[A-Z0-9_]{2,20}:(?=[^:]+$)")
_PAIR: Final = re.compile(r"([A-Z0-9]{1,20})[/_-]?([A-Z0-9]{1,20})")
_DERIVATIVE: Final = re.compile(r".+(?:\.PS?|[._-]?PERP|[_-]SWAP|[0-9]+!|[._-][0-9]{6}|/[A-Z0-9]+:[A-Z0-9-]+)")
"""Perpetuals as TradingView, Binance, OKX and ccxt write them, continuous and dated futures."""


@lru_cache(1024)
def clean_symbol(text: str) -> str:
    """Write a spot symbol as the venue does, in capitals and without exchange or separator.

    Raises `BadValue`: `NOT_SPOT` for perpetuals and other futures, `UNKNOWN_SYMBOL` for a symbol of
    another exchange and for what is no symbol at all.
    """
    symbol = text.strip().upper()
    exchange = _EXCHANGE.match(symbol)
    if exchange is not None and "/" not in symbol[: exchange.end()]:
        if exchange[0] != "BINANCE:":
            raise BadValue(Refused(Reason.UNKNOWN_SYMBOL, f"{text} is of another exchange than BINANCE"))
        symbol = symbol[exchange.end() :]
    if _DERIVATIVE.fullmatch(symbol):
        raise BadValue(Refused(Reason.NOT_SPOT, f"{text} is a future, not traded on spot"))
    pair = _PAIR.fullmatch(symbol)
    if pair is None:
        raise BadValue(Refused(Reason.UNKNOWN_SYMBOL, f"{text!a} is not a symbol"))
    return pair[1] + pair[2]


def read_symbol(name: str, value: object) -> str:
    """Read a symbol in any of the ways in which senders write it."""
    return clean_symbol(read_text(name, value))
