from __future__ import annotations

import pytest

from adapters.paper.server.settings import NotLoopback, ServerSettings, host_of, is_loopback
from adapters.paper.server.streams import parse


@pytest.mark.parametrize(
    ("name", "symbol", "kind", "levels", "pace"),
    [
        ("btcusdt@bookTicker", "BTCUSDT", "bookTicker", 0, 0.0),
        ("btcusdt@depth", "BTCUSDT", "depth", 0, 1.0),
        ("btcusdt@depth@100ms", "BTCUSDT", "depth", 0, 0.1),
        ("btcusdt@depth@1000ms", "BTCUSDT", "depth", 0, 1.0),
        ("ethusdt@depth20@100ms", "ETHUSDT", "partial", 20, 0.1),
        ("ethusdt@depth5", "ETHUSDT", "partial", 5, 1.0),
        ("bnbusdt@trade", "BNBUSDT", "trade", 0, 0.0),
        ("bnbusdt@aggTrade", "BNBUSDT", "aggTrade", 0, 0.0),
        ("bnbusdt@referencePrice", "BNBUSDT", "referencePrice", 0, 1.0),
        ("bnbusdt@avgPrice", "BNBUSDT", "avgPrice", 0, 1.0),
    ],
)
def test_a_streams_name_says_symbol_kind_and_pace(name: str, symbol: str, kind: str, levels: int, pace: float) -> None:
    stream = parse(name)
    assert stream is not None
    assert (stream.symbol, stream.kind, stream.levels, stream.pace) == (symbol, kind, levels, pace)


@pytest.mark.parametrize(
    "name", ["BTCUSDT@trade", "btcusdt", "btcusdt@depth7", "btcusdt@trade@100ms", "btcusdt@kline_7m", "@trade"]
)
def test_a_stream_that_does_not_exist_is_none(name: str) -> None:
    assert parse(name) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.org", ""])
def test_an_address_that_others_could_reach_is_refused(host: str) -> None:
    with pytest.raises(NotLoopback):
        ServerSettings(host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "::1", "localhost"])
def test_a_loopback_address_is_taken(host: str) -> None:
    assert ServerSettings(host=host).host == host


@pytest.mark.parametrize(
    ("header", "name", "own"),
    [
        ("127.0.0.1:8000", "127.0.0.1", True),
        ("localhost", "localhost", True),
        ("[::1]:8000", "::1", True),
        ("evil.example:80", "evil.example", False),
        ("", "", False),
    ],
)
def test_a_host_header_is_this_machines_own_or_not(header: str, name: str, own: bool) -> None:
    assert host_of(header) == name
    assert is_loopback(host_of(header)) is own
