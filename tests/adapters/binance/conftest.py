from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from actors.runtime import Pool
from adapters.binance.settings import BinanceSettings
from adapters.binance.venue import BinanceVenue
from tests.adapters.binance.stub import KEY, SECRET, Stub
from tests.probe import Probe

MakeVenue = Callable[..., BinanceVenue]


@pytest.fixture
def stub() -> Iterator[Stub]:
    with Stub() as stub:
        yield stub


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool(1) as pool:
        yield pool


def settings_for(stub: Stub, **changes: Any) -> BinanceSettings:
    values: dict[str, Any] = {
        "rest_url": f"http://{stub.base}",
        "ws_api_url": f"ws://{stub.base}/ws-api/v3",
        "stream_url": f"ws://{stub.base}",
        "api_key": KEY,
        "api_secret": SECRET,
        "time_samples": 2,
        "retry_first_seconds": 0.02,
        "retry_most_seconds": 0.1,
        "connect_seconds": 1.0,
        "probe_open_seconds": 0.1,
        "probe_answer_seconds": 0.2,
        "report_seconds": 0.2,
    }
    return BinanceSettings(**{**values, **changes})


@pytest.fixture
def make_venue(stub: Stub, pool: Pool) -> Iterator[MakeVenue]:
    with ExitStack() as stack:
        yield lambda **changes: stack.enter_context(BinanceVenue(pool, settings_for(stub, **changes)))


@pytest.fixture
def listener(pool: Pool) -> Probe:
    return Probe(pool, "listener")


@pytest.fixture
def stream(pool: Pool) -> Probe:
    return Probe(pool, "stream")
