from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest

from actors.runtime import Pool
from adapters.intake import routes
from adapters.loop_thread import LoopThread
from adapters.web.assets import HEADERS
from messages.control import DaemonStands, Readiness
from messages.facts import AlertCleared, AlertRaised, EpochStarted, TradingHalted
from messages.market import QuoteSeen
from tests.adapters.web.world import TOKEN, World
from tests.factories import EXECUTION, NOW, D, a_closed, a_planned, a_trade_booked, an_accepted, an_intent


@pytest.fixture
def make() -> Iterator[Callable[..., World]]:
    worlds: list[World] = []
    with Pool(2) as pool, LoopThread(pool) as loop:

        def make(**settings: Any) -> World:
            worlds.append(World(loop, **settings))
            return worlds[-1]

        yield make
        for world in worlds:
            world.intake.close()


@pytest.fixture
def world(make: Callable[..., World]) -> World:
    return make()


# Who may look -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/ui/static/main.js", "/ui/state", f"/ui/executions/{EXECUTION}", "/ui/prices/BTCUSDT"]
)
def test_on_this_machine_one_may_look_without_the_token(world: World, path: str) -> None:
    world.commit(an_accepted())
    status, headers, _ = world.ask(path)
    assert status == 200
    assert HEADERS.items() <= headers.items()


def test_without_the_token_one_is_told_that_one_may_only_look(world: World) -> None:
    assert world.view()["may_act"] is False
    assert world.view(Authorization=f"Bearer {TOKEN}")["may_act"] is True


def test_a_wrong_token_is_refused_even_where_none_is_needed(world: World) -> None:
    status, _, body = world.ask("/ui/state", Authorization="Bearer wrong")
    assert status == 401
    assert orjson.loads(body)["reason"] == "UNAUTHORISED"


@pytest.mark.parametrize("path", ["/v1/executions", "/v1/events", "/v1/signals", "/v1/alerts"])
def test_looking_without_the_token_ends_at_the_dashboards_own_views(world: World, path: str) -> None:
    assert world.ask(path)[0] == 401


@pytest.mark.parametrize("path", ["/v1/halt", "/v1/unhalt", f"/v1/executions/{EXECUTION}/cancel"])
def test_nothing_is_done_without_the_token(world: World, path: str) -> None:
    assert world.ask(path, "POST")[0] == 401


def test_no_view_can_be_written_to(world: World) -> None:
    assert world.ask("/ui/state", "POST")[0] == 405


def test_looking_without_the_token_can_be_forbidden(make: Callable[..., World]) -> None:
    world = make(read_without_token=False)
    assert world.ask("/")[0] == 200
    assert world.ask("/ui/state")[0] == 401
    assert world.ask("/ui/events")[0] == 401
    assert world.ask("/ui/state", Authorization=f"Bearer {TOKEN}")[0] == 200


def test_beyond_this_machine_only_the_empty_page_is_open(make: Callable[..., World]) -> None:
    world = make(host="0.0.0.0")
    assert world.ask("/")[0] == 200
    assert world.ask("/ui/static/main.js")[0] == 200
    assert world.ask("/ui/state")[0] == 401
    assert world.ask("/ui/state", Authorization=f"Bearer {TOKEN}")[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example"])
def test_a_foreign_host_is_refused_the_page_too(world: World, host: str) -> None:
    assert world.ask("/", Host=host)[0] == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:1"])
def test_a_page_from_elsewhere_is_refused_with_and_without_the_token(world: World, origin: str) -> None:
    assert world.ask("/ui/state", Origin=origin)[0] == 403
    assert world.ask("/v1/executions", Origin=origin, Authorization=f"Bearer {TOKEN}")[0] == 403


def test_our_own_page_may_ask(world: World) -> None:
    assert world.ask("/ui/state", Origin=f"http://127.0.0.1:{world.port}")[0] == 200


# What is shown ------------------------------------------------------------------------------------


def test_the_state_tells_how_the_daemon_and_its_ties_stand(world: World) -> None:
    world.commit(EpochStarted(epoch=3, journal_id="j", mode="paper", version="9"))
    world.intake.stands(DaemonStands(readiness=Readiness.READY))
    world.commit(TradingHalted(reason="MANUAL", detail="lunch"))
    world.vitals.see_market(QuoteSeen(symbol="BTCUSDT", bid=D(1), bid_quantity=D(1), ask=D(2), ask_quantity=D(1)))
    world.now += timedelta(seconds=1)
    state = world.view()
    told = {name: state[name] for name in ("journal_id", "mode", "account", "version", "epoch", "readiness", "halted")}
    assert told == {
        "journal_id": "j",
        "mode": "paper",
        "account": "main",
        "version": "9",
        "epoch": 3,
        "readiness": "READY",
        "halted": "MANUAL: lunch",
    }
    assert state["started_at"] == "2026-07-01T12:00:00.000000Z"
    assert state["vitals"]["market"]["symbols"]["BTCUSDT"]["bid"] == "1"


def test_health_names_the_fullest_mailboxes_first(world: World) -> None:
    health = world.view()["health"]
    assert health["mailboxes"] == [["Journal#2", 7], ["SignalGate#1", 3]]
    assert (health["actors"], health["waiting"], health["commits"]["commits"]) == (2, 10, 4)


def test_running_executions_stand_against_their_schedule(world: World) -> None:
    world.commit(an_accepted(), a_planned(), an_intent(), a_trade_booked(quantity=D("0.1")))
    world.now = NOW + timedelta(seconds=31)
    (running,) = world.view()["running"]
    assert (running["scheduled"], running["behind"], running["execution_id"]) == ("0.2", "0.1", EXECUTION)


def test_closed_executions_are_listed_apart(world: World) -> None:
    world.commit(an_accepted(), a_planned(), a_closed())
    state = world.view()
    assert state["running"] == []
    assert [one["execution_id"] for one in state["closed"]] == [EXECUTION]


def test_signals_come_newest_first_and_standing_alerts_before_others(world: World) -> None:
    over = AlertRaised(kind="halt", subject="a", level="critical", text="x")
    world.commit(
        an_accepted(label="first"),
        an_accepted(label="second", execution_id="b" * 13),
        AlertRaised(kind="unknown_outcome", subject="b", level="error", text="y"),
        over,
        AlertCleared(kind="halt", subject="a", text="z"),
    )
    state = world.view()
    assert [signal["label"] for signal in state["signals"]] == ["second", "first"]
    assert [alert["kind"] for alert in state["alerts"]] == ["unknown_outcome", "halt"]


def test_one_execution_shows_fills_children_and_where_each_fact_came_from(world: World) -> None:
    world.commit(an_accepted(), a_planned(), an_intent(), a_trade_booked(source="stream"))
    view = world.view(f"/ui/executions/{EXECUTION}")
    assert view["fills"][0]["source"] == "stream"
    assert [step[1:] for step in view["children"][0]["history"]] == [["TradeBooked", "stream"]]
    assert view["waiting"] == "a child order is working"


def test_an_execution_that_is_not_known_is_not_found(world: World) -> None:
    assert world.ask("/ui/executions/nothing")[0] == 404


def test_prices_are_those_of_the_market_stream(world: World) -> None:
    world.vitals.see_market(QuoteSeen(symbol="BTCUSDT", bid=D(1), bid_quantity=D(1), ask=D(2), ask_quantity=D(1)))
    assert [price for _, price in world.view("/ui/prices/BTCUSDT")["prices"]] == ["1.5"]
    assert world.view("/ui/prices/NOSUCH")["prices"] == []


def test_a_view_serves_all_who_ask_within_a_moment_and_no_longer(world: World) -> None:
    first = world.view()["now"]
    world.now += timedelta(seconds=0.05)
    assert world.view()["now"] == first
    world.now += timedelta(seconds=1)
    assert world.view()["now"] != first


# Events -------------------------------------------------------------------------------------------


def read_events(world: World, after: int, count: int) -> list[bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=5)
    connection.request("GET", "/ui/events", headers={"Last-Event-ID": str(after)})
    ids: list[bytes] = []
    with contextlib.closing(connection), connection.getresponse() as response:
        while len(ids) < count:
            if (line := response.readline()).startswith(b"id: "):
                ids.append(line.strip())
    return ids


def test_events_resume_after_the_number_that_was_seen_last(world: World) -> None:
    world.commit(an_accepted(), a_planned(), an_intent())
    assert read_events(world, 1, 2) == [b"id: 2", b"id: 3"]


def test_a_tab_that_stops_reading_is_bounded_and_let_go(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "STREAM_BOUND", 64)
    monkeypatch.setattr(routes, "STALLED_SECONDS", 0.3)
    tab = socket.socket()
    tab.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    tab.connect(("127.0.0.1", world.port))
    tab.sendall(b"GET /ui/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0\r\n\r\n")
    deadline = time.monotonic() + 5
    while world.view()["health"]["readers"] < 1:
        assert time.monotonic() < deadline
        world.now += timedelta(seconds=1)
    slowest = 0.0
    for number in range(30):  # Some 6 MB, far beyond what sockets buffer.
        began = time.monotonic()
        world.commit(*(SPAM for _ in range(200)))
        slowest = max(slowest, time.monotonic() - began)
        world.now += timedelta(seconds=number)
    assert slowest < 2.0, "others wait for a tab that does not read"
    while world.view()["health"]["readers"]:
        assert time.monotonic() < deadline + 10
        world.now += timedelta(seconds=1)
        time.sleep(0.02)
    tab.close()


SPAM = AlertRaised(kind="x", subject="y", level="info", text="z" * 1000)
