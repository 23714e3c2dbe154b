"""The network between a client and the exchange, where it takes its time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from adapters.paper.latency import Latency
from tests.wire.exchange_world import World, a_world, an_order, resting, signed_params

pytestmark = [pytest.mark.wire, pytest.mark.asyncio]

WAY = 0.1
"""Seconds one way; what is asked for below is less, for timers are not exact."""


@pytest_asyncio.fixture
async def far() -> AsyncIterator[World]:
    """Give an exchange that is 100 ms away."""
    async with a_world(latency=Latency(WAY * 1000, WAY * 1000)) as world:
        yield world


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_request_over_rest_takes_both_ways(far: World) -> None:
    began = now()
    assert (await far.place()).status == 200
    assert now() - began >= 1.9 * WAY


async def test_a_request_arrives_when_it_has_come_and_is_judged_by_its_age_then(far: World) -> None:
    assert (await far.place(recvWindow=50)).json["code"] == -1021
    api = await far.connect()
    assert (await api.signed("order.place", **an_order(recvWindow=50)))["error"]["code"] == -1021


async def test_requests_over_one_socket_are_under_way_together_and_answered_in_their_order(far: World) -> None:
    api = await far.connect()
    began = now()
    numbers = [await api.send("order.place", signed_params(**resting(price=f"{49000 - n}"))) for n in range(20)]
    frames = [await api.next() for _ in numbers]
    assert 1.9 * WAY <= now() - began < 10 * WAY, "not one after the other"
    assert [frame["id"] for frame in frames] == numbers


async def test_events_come_as_late_as_replies_and_in_their_order(far: World) -> None:
    stream = await far.user_stream()
    began = now()
    await stream.send("order.place", signed_params(**an_order()))
    frames: list[Any] = [await stream.next() for _ in range(4)]
    assert now() - began >= 1.9 * WAY
    assert [frame.get("event", {}).get("x") for frame in frames] == [None, "NEW", "TRADE", None]
    assert "id" in frames[0]


async def test_the_market_streams_are_late_as_well(far: World) -> None:
    stream = await far.connect("/ws/btcusdt@bookTicker")
    await stream.next()
    began = now()
    far.exchange.steering["BTCUSDT"].steer().set_touch("50000.50", "1", "50001.00", "1")
    assert (await stream.next())["b"] == "50000.50000000"
    assert now() - began >= 0.9 * WAY


async def test_an_order_that_was_sent_before_the_connection_ended_arrives(far: World) -> None:
    api = await far.connect()
    await api.send("order.place", signed_params(**an_order(newClientOrderId="last")))
    await api.ws.close()
    await asyncio.sleep(2 * WAY)
    assert [order["clientOrderId"] for order in (await far.truth())["orders"]] == ["last"]


async def test_the_control_face_is_asked_without_delay(far: World) -> None:
    began = now()
    await far.truth()
    assert now() - began < WAY
