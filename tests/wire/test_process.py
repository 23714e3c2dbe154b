"""The paper exchange as a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.paper.records import Event
from adapters.paper.server.grouping import GroupedFile
from tests.process.programs import ROOT, RUN
from tests.wire.exchange_world import KEY, a_world, an_order, encoded, milliseconds, resting, sign, signed_params

pytestmark = [pytest.mark.wire, pytest.mark.process, pytest.mark.asyncio]


@asynccontextmanager
async def a_process(*arguments: str) -> AsyncIterator[tuple[Process, Any]]:
    """Start the server; gives the process and what it announced."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, RUN, "paper-exchange", *arguments, stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 20)
        yield process, json.loads(line) if line else None
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def signed(base: str, verb: str, path: str, **params: Any) -> Any:
    payload = encoded({"timestamp": milliseconds(), **params})
    url = f"{base}/v3/{path}?{payload}&signature={sign(payload)}"
    async with (
        aiohttp.ClientSession() as session,
        session.request(verb, url, headers={"X-MBX-APIKEY": KEY}) as answer,
    ):
        return await answer.json()


async def test_it_says_where_it_is_and_ends_when_asked_to() -> None:
    async with a_process("--seed", "4") as (process, said):
        assert said.keys() == {"port", "rest", "ws_api", "streams", "pid"}
        assert said["pid"] == process.pid
        account = await signed(said["rest"], "GET", "account")
        assert account["accountType"] == "SPOT"
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0


@pytest.mark.acceptance
async def test_it_ends_with_its_standard_input() -> None:
    async with a_process("--watch-stdin") as (process, said):
        assert said["port"] > 0
        assert process.stdin is not None
        process.stdin.write(b"still here\n")
        process.stdin.close()
        assert await asyncio.wait_for(process.wait(), 10) == 0


@pytest.mark.acceptance
async def test_it_ends_with_whoever_started_it_however_that_one_is_killed() -> None:
    """As the daemon does: the exchange's standard input is a pipe whose other end dies with the one that holds it."""
    holder = """
import sys, time
from adapters.paper.process import PaperProcess
with PaperProcess([sys.executable, *sys.argv[1:]]) as paper:
    print(paper.rest, flush=True)
    time.sleep(60)
"""
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", holder, RUN, "paper-exchange", "--watch-stdin"), stdout=PIPE, cwd=ROOT
    )
    assert started.stdout is not None
    rest = (await asyncio.wait_for(started.stdout.readline(), 30)).decode().strip()
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{rest}/v3/ping") as answer:
            assert answer.status == 200
        started.kill()
        await started.wait()
        with suppress(aiohttp.ClientConnectionError):
            async with asyncio.timeout(10):
                while True:
                    async with session.get(f"{rest}/v3/ping"):
                        await asyncio.sleep(0.05)


@pytest.mark.acceptance
async def test_killed_at_any_moment_it_comes_back_with_all_that_it_answered(tmp_path: Path) -> None:
    arguments = ("--data-dir", str(tmp_path / "data"))
    async with a_process(*arguments) as (process, said):
        placed = [await signed(said["rest"], "POST", "order", **at_touch(number)) for number in range(3)]
        waiting = await signed(said["rest"], "POST", "order", **resting(newClientOrderId="waits", price="20000"))
        before = await signed(said["rest"], "GET", "account")
        process.kill()
        await process.wait()
    async with a_process(*arguments) as (_, said):
        after = await signed(said["rest"], "GET", "account")
        assert after["balances"] == before["balances"]
        orders = await signed(said["rest"], "GET", "allOrders", symbol="BTCUSDT")
        assert [order["orderId"] for order in orders] == [*(reply["orderId"] for reply in placed), waiting["orderId"]]
        assert [order["clientOrderId"] for order in await signed(said["rest"], "GET", "openOrders")] == ["waits"]
        later = await signed(said["rest"], "POST", "order", **at_touch(9))
        assert later["orderId"] > waiting["orderId"]
        assert later["transactTime"] >= waiting["transactTime"]


def at_touch(number: int) -> dict[str, Any]:
    return an_order(newClientOrderId=f"order-{number}", price="90000")


@pytest.mark.acceptance
@pytest.mark.parametrize(
    ("arguments", "code"), [(["--host", "0.0.0.0"], 2), (["--market", "flea"], 2), (["--preset", "calm"], 2)]
)
async def test_what_makes_no_sense_ends_it_with_a_reason(arguments: list[str], code: int) -> None:
    async with a_process(*arguments) as (process, said):
        assert said is None
        assert await process.wait() == code
        assert process.stderr is not None
        assert b"Traceback" not in await process.stderr.read()


@pytest.mark.acceptance
async def test_a_port_that_is_taken_is_said_to_be() -> None:
    async with a_world() as world, a_process("--port", str(world.server.port)) as (process, said):
        assert said is None
        assert await process.wait() == 71


async def test_nothing_is_told_before_it_is_durable(tmp_path: Path) -> None:
    file = GroupedFile(tmp_path / "account.db")
    async with a_world(file=file, flush=file.flush) as world:
        stream = await world.user_stream()
        flushes: list[int] = []
        tell = world.server.desk._publish

        def flushed() -> None:
            file.flush()
            flushes.append(world.exchange.engine.last_execution_id)

        world.server.desk._flush = flushed
        told: list[list[int]] = []

        def telling(events: list[Event]) -> None:
            told.append(list(flushes))
            tell(events)

        world.server.desk._publish = telling
        reply = await stream.signed("order.place", **an_order())
        assert reply["status"] == 200
        assert flushes, "the reply waited for the file"
        await stream.reports(2)
        assert told[0][-1] >= 2, "so did the events"
        assert (await world.place()).status == 200
    again = GroupedFile(tmp_path / "account.db")
    assert len(list(again.orders())) == 2
    again.close()


async def test_a_burst_of_requests_shares_few_commits(tmp_path: Path) -> None:
    file = GroupedFile(tmp_path / "account.db")
    async with a_world(file=file, flush=file.flush) as world:
        socket = await world.user_stream()
        commits = 0
        real = file.flush

        def counted() -> None:
            nonlocal commits
            commits += bool(file._meta)
            real()

        world.server.desk._flush = counted
        numbers = [await socket.send("order.place", signed_params(**resting(price=f"{49000 - n}"))) for n in range(40)]
        replies = [await socket.reply(number) for number in numbers]
        assert all(reply["status"] == 200 for reply in replies)
        assert 1 <= commits < 40


async def test_a_log_that_is_written_back_beside_the_server_loses_nothing(tmp_path: Path) -> None:
    file = GroupedFile(tmp_path / "account.db")
    begun = file.path.stat().st_size
    with file.log_keeper(step=5, look_seconds=0.01):
        async with a_world(file=file, flush=file.flush) as world:
            for number in range(40):
                assert (await world.place(**resting(price=f"{49000 - number}"))).status == 200
            async with asyncio.timeout(20):
                while file.path.stat().st_size <= begun:  # noqa: ASYNC110 - a thread's work
                    await asyncio.sleep(0.01)
    again = GroupedFile(tmp_path / "account.db")
    assert len(list(again.orders())) == 40
    again.close()
