from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.intake.fields import BadValue
from adapters.intake.symbols import clean_symbol, read_symbol
from messages.signal import Reason


@pytest.mark.parametrize(
    "text",
    ["BTCUSDT", "btcusdt", "BINANCE:BTCUSDT", "binance:btcusdt", "BTC/USDT", "BTC-USDT", "BTC_USDT", " BtcUsdt "],
)
def test_the_ways_to_write_a_spot_symbol_are_one_symbol(text: str) -> None:
    assert clean_symbol(text) == "BTCUSDT"


@pytest.mark.parametrize("text", ["1INCHUSDT", "1000SATSUSDT", "PERPUSDT", "SWAPUSDT", "PUSDT", "USDTBRL"])
def test_symbols_that_only_look_like_futures_stay_what_they_are(text: str) -> None:
    assert clean_symbol(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "BTCUSDT.P",
        "BINANCE:BTCUSDT.P",
        "btcusdt.p",
        "BTCUSDTPERP",
        "BTC-PERP",
        "BTCUSD_PERP",
        "BTCUSDT.PS",
        "BTC/USDT:USDT",
        "BTC/USDT:USDT-260327",
        "BTC-USDT-SWAP",
        "BTCUSDT_260327",
        "BTC1!",
    ],
)
def test_perpetuals_and_other_futures_are_not_spot(text: str) -> None:
    with pytest.raises(BadValue) as refused:
        clean_symbol(text)
    assert refused.value.refused.reason is Reason.NOT_SPOT


@pytest.mark.parametrize(
    "text",
    ["BYBIT:BTCUSDT", "COINBASE:BTCUSD", "A:B:C", "BTC//USDT", "BTC/", "/USDT", "BTC USDT", "{{ticker}}", ":", " "],
)
def test_what_is_no_symbol_of_ours_is_unknown(text: str) -> None:
    with pytest.raises(BadValue) as refused:
        clean_symbol(text)
    assert refused.value.refused.reason is Reason.UNKNOWN_SYMBOL


def test_letters_that_only_look_latin_are_refused() -> None:
    with pytest.raises(BadValue) as refused:
        read_symbol("symbol", "ВТСUSDT")
    assert refused.value.refused.reason is Reason.MALFORMED


@given(st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=40))
def test_whatever_is_written_a_clean_symbol_is_capitals_and_digits_and_stays_itself(text: str) -> None:
    try:
        symbol = clean_symbol(text)
    except BadValue:
        return
    assert symbol.isalnum()
    assert symbol == symbol.upper()
    assert clean_symbol(symbol) == symbol
