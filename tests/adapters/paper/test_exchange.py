from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import apsw
import pytest

from adapters.paper.errors import ExchangeError
from adapters.paper.exchange import PaperExchange, PaperSettings
from adapters.paper.limits import DAY, FIVE_MINUTES, Face, Limits, LimitSettings
from adapters.paper.markets import BadMarket, MarketChoice
from adapters.paper.store import AccountFile
from messages.order import OrderStatus
from messages.signal import Side
from tests.adapters.paper.worlds import MS, NOW, SECOND, World


@pytest.fixture
def world() -> World:
    return World()


def refusal_of(call: Any, *arguments: Any) -> ExchangeError:
    with pytest.raises(ExchangeError) as caught:
        call(*arguments)
    return caught.value


# Client order ids ---------------------------------------------------------------------------------


def test_an_id_is_refused_while_an_order_of_that_id_is_open(world: World) -> None:
    world.place(price="99.00")
    refusal = world.refusal(price="98.00")
    assert (refusal.code, refusal.message) == (-2010, "Duplicate order sent.")


@pytest.mark.parametrize("how", ["filled", "expired", "cancelled"])
def test_an_id_is_taken_again_as_a_new_order_once_the_first_has_ended(world: World, how: str) -> None:
    match how:
        case "filled":
            world.place()
        case "expired":
            world.place(timeInForce="IOC", price="100.50")
        case _:
            world.place(price="99.00")
            world.cancel(origClientOrderId="a")
    assert world.place(price="99.00").order.order_id == 2
    found = world.exchange.order({"symbol": "BTCUSDT", "origClientOrderId": "a"}, world.now)
    assert found.order_id == 2


def test_an_order_without_an_id_is_given_one_that_is_nobody_elses(world: World) -> None:
    first = world.place(newClientOrderId=None).order.client_order_id
    second = world.place(newClientOrderId=None, price="102.00").order.client_order_id
    assert first != second
    assert len(first) == 22


# Timestamps ---------------------------------------------------------------------------------------

AHEAD = "Timestamp for this request was 1000ms ahead of the server's time."
OUTSIDE = "Timestamp for this request is outside of the recvWindow."


@pytest.mark.parametrize(
    ("offset_ms", "window", "message"),
    [
        (0, None, None),
        (999, None, None),
        (1000, None, AHEAD),
        (-5000, None, None),
        (-5001, None, OUTSIDE),
        (-2000, "2000", None),
        (-2001, "2000", OUTSIDE),
        (-2001, "2001.5", None),
    ],
)
def test_a_timestamp_must_lie_in_the_window(
    world: World, offset_ms: int, window: str | None, message: str | None
) -> None:
    stamp = str(world.now // MS + offset_ms)
    if message is None:
        assert world.place(timestamp=stamp, recvWindow=window).order.executed == 1
    else:
        refusal = world.refusal(timestamp=stamp, recvWindow=window)
        assert (refusal.code, refusal.message) == (-1021, message)


def test_a_timestamp_may_be_in_microseconds(world: World) -> None:
    assert world.place(timestamp=str(world.now)).order.executed == 1
    assert world.refusal(timestamp=str(world.now + SECOND), newClientOrderId="b").message == AHEAD


def test_a_skewed_clock_is_what_timestamps_are_judged_by(world: World) -> None:
    world.exchange.set_skew(10 * SECOND)
    assert world.refusal(timestamp=str(world.now // MS)).message == OUTSIDE
    placed = world.place(timestamp=str(world.now // MS + 10_000))
    assert placed.at == world.now + 10 * SECOND
    assert world.exchange.server_time(world.now) == world.now // MS + 10_000


def test_a_window_over_a_minute_and_a_malformed_timestamp_are_refused(world: World) -> None:
    stamp = str(world.now // MS)
    assert world.refusal(timestamp=stamp, recvWindow="60001").message == "recvWindow must be less than 60000."
    assert world.refusal(timestamp="now").code == -1100


# Queries ------------------------------------------------------------------------------------------


def test_an_order_is_found_by_either_id_and_both_must_agree(world: World) -> None:
    world.place(price="99.00")
    world.place(price="98.00", newClientOrderId="b")
    ask = world.exchange.order
    assert ask({"symbol": "BTCUSDT", "orderId": "2"}, world.now).client_order_id == "b"
    assert ask({"symbol": "BTCUSDT", "orderId": "1", "origClientOrderId": "a"}, world.now).order_id == 1
    wrong: list[tuple[dict[str, str], int]] = [
        ({"orderId": "1", "origClientOrderId": "b"}, -2039),
        ({"orderId": "9"}, -2013),
        ({"origClientOrderId": "z"}, -2013),
        ({}, -1102),
        ({"orderId": "x"}, -1100),
    ]
    for params, code in wrong:
        assert refusal_of(ask, {"symbol": "BTCUSDT", **params}, world.now).code == code


def test_an_order_of_another_symbol_is_not_found(world: World) -> None:
    world.place()
    assert refusal_of(world.exchange.order, {"symbol": "ETHUSDT", "origClientOrderId": "a"}, world.now).code == -2013


def test_open_orders_are_listed_by_symbol_or_all(world: World) -> None:
    world.markets["ETHUSDT"].set_touch("3000.00", "5", "3000.01", "5")
    world.place(price="99.00")
    world.place(symbol="ETHUSDT", price="2900.00", newClientOrderId="b")
    ask = world.exchange.open_orders
    assert [order.client_order_id for order in ask({"symbol": "ETHUSDT"}, world.now)] == ["b"]
    assert len(ask({}, world.now)) == 2


def test_all_orders_are_listed_from_an_id_from_a_time_or_the_newest(world: World) -> None:
    for name in "abc":
        world.place(price="99.00", quantity="0.1", newClientOrderId=name)
        world.later(1000)

    def ask(**params: str) -> str:
        found = world.exchange.all_orders({"symbol": "BTCUSDT", **params}, world.now)
        return "".join(order.client_order_id for order in found)

    start = NOW // MS
    assert ask() == "abc"
    assert ask(orderId="2") == "bc"
    assert ask(startTime=str(start + 1000)) == "bc"
    assert ask(startTime=str(start), endTime=str(start + 1000)) == "ab"
    assert ask(limit="1") == "c"
    assert ask(limit="1", startTime=str(start)) == "a"
    assert ask(limit="2", endTime=str(start + 1000)) == "ab"
    too_long = {"symbol": "BTCUSDT", "startTime": "0", "endTime": str(DAY // MS + 1)}
    assert refusal_of(world.exchange.all_orders, too_long, world.now).code == -1127


def test_own_trades_are_listed_by_order_by_id_and_by_time(world: World) -> None:
    world.place(type="MARKET", quantity="2")
    world.later(1000)
    world.place(type="MARKET", quantity="2", newClientOrderId="b")

    def ask(**params: str) -> list[int]:
        found = world.exchange.my_trades({"symbol": "BTCUSDT", **params}, world.now)
        return [trade.trade_id for trade in found]

    assert ask() == [1, 2, 3, 4]
    assert ask(fromId="2") == [2, 3, 4]
    assert ask(orderId="2") == [3, 4]
    assert ask(orderId="2", fromId="4") == [4]
    assert ask(startTime=str(NOW // MS + 1)) == [3, 4]
    assert ask(limit="1") == [4]
    assert ask(limit="1", fromId="1") == [1]
    assert ask(orderId="7") == []


def test_a_query_sees_the_fills_up_to_its_own_moment(world: World) -> None:
    world.place(price="100.50")
    world.market.trade(Side.SELL, "100.00", "1")
    world.now += SECOND
    found = world.exchange.order({"symbol": "BTCUSDT", "orderId": "1"}, world.now)
    assert found.status is OrderStatus.FILLED


def test_trades_of_other_symbols_are_not_listed(world: World) -> None:
    world.markets["ETHUSDT"].set_touch("3000.00", "5", "3000.01", "5")
    world.place()
    world.place(symbol="ETHUSDT", price="3001.00", newClientOrderId="b")
    (trade,) = world.exchange.my_trades({"symbol": "BTCUSDT"}, world.now)
    assert trade.symbol == "BTCUSDT"


def test_a_look_makes_the_fills_that_it_finds_durable(tmp_path: Path) -> None:
    world = World(file=AccountFile(tmp_path / "a.db"))
    world.place(price="100.50")
    world.market.trade(Side.SELL, "100.00", "1")
    world.exchange.look("BTCUSDT", world.now + SECOND)
    (trade,) = AccountFile(tmp_path / "a.db").trades()
    assert trade.maker


# Cancels ------------------------------------------------------------------------------------------


def test_a_cancel_of_an_order_that_is_not_open_is_refused(world: World) -> None:
    world.place()
    for params in ({"orderId": "1"}, {"origClientOrderId": "a"}, {"origClientOrderId": "never"}):
        refusal = refusal_of(lambda params=params: world.cancel(**params))
        assert (refusal.code, refusal.message) == (-2011, "Unknown order sent.")


def test_a_cancel_that_comes_after_the_fill_is_refused(world: World) -> None:
    world.place(price="100.50")
    world.market.trade(Side.SELL, "100.00", "1")
    world.now += SECOND
    assert refusal_of(lambda: world.cancel(orderId="1")).code == -2011
    assert world.exchange.engine.orders["BTCUSDT", 1].status is OrderStatus.FILLED
    world.place(price="100.50", newClientOrderId="b")
    world.market.trade(Side.SELL, "100.00", "1")
    world.now += SECOND
    assert refusal_of(lambda: world.cancel(orderId="2", cancelRestrictions="ONLY_NEW")).message == "Unknown order sent."


def test_a_cancel_may_be_restricted_to_untouched_orders(world: World) -> None:
    world.place(price="100.50")
    world.market.trade(Side.SELL, "100.00", "0.5")
    world.later()
    refusal = refusal_of(lambda: world.cancel(orderId="1", cancelRestrictions="ONLY_NEW"))
    assert (refusal.code, refusal.message) == (-2011, "Order was not canceled due to cancel restrictions.")
    assert world.cancel(orderId="1", cancelRestrictions="ONLY_PARTIALLY_FILLED").order.executed == Decimal("0.5")


def test_all_open_orders_of_a_symbol_can_be_cancelled_at_once(world: World) -> None:
    world.place(price="99.00")
    world.place(price="98.00", newClientOrderId="b")
    cancelled = world.exchange.cancel_all({"symbol": "BTCUSDT"}, world.now)
    assert [one.order.client_order_id for one in cancelled] == ["a", "b"]
    assert not world.exchange.resting
    assert refusal_of(world.exchange.cancel_all, {"symbol": "BTCUSDT"}, world.now).code == -2011


# Limits -------------------------------------------------------------------------------------------


def test_too_many_orders_are_refused_until_the_window_ends() -> None:
    world = World(limits=LimitSettings(orders_per_10_seconds=2))
    world.place(price="99.00", newClientOrderId="a")
    world.place(price="99.00", newClientOrderId="b")
    refusal = world.refusal(price="99.00", newClientOrderId="c")
    assert (refusal.code, refusal.http_status, refusal.until) == (-1015, 429, NOW + 10 * SECOND)
    assert refusal.message == "Too many new orders; current limit is 2 orders per 10 SECOND."
    world.later(10_000)
    assert world.place(price="99.00", newClientOrderId="c").order.order_id == 3


def test_a_day_has_a_limit_too() -> None:
    world = World(limits=LimitSettings(orders_per_day=1))
    world.place(price="99.00")
    assert "1 orders per 1 DAY" in world.refusal(newClientOrderId="b").message


def test_a_first_fill_gives_order_count_back() -> None:
    world = World(limits=LimitSettings(orders_per_10_seconds=6))
    for name in "abcdef":
        world.place(price="100.50", quantity="0.1", newClientOrderId=name)
    world.market.trade(Side.SELL, "100.00", "0.1")
    world.later()
    assert world.exchange.limits.order_count(10 * SECOND, world.now) == 1
    world.place(newClientOrderId="taker", price="102.00", quantity="0.1")
    assert world.exchange.limits.order_count(10 * SECOND, world.now) == 1  # One more, less one.
    world.later(10_000)
    world.place(newClientOrderId="first", price="102.00", quantity="0.1")
    assert world.exchange.limits.order_count(10 * SECOND, world.now) == 0


def test_trading_that_succeeds_weighs_nothing_and_queries_weigh_what_is_documented() -> None:
    world = World(limits=LimitSettings())
    world.place(price="99.00")
    world.cancel(orderId="1")
    used = world.exchange.limits.used_weight
    assert used(world.now) == 0
    world.refusal(side="HOLD")
    assert used(world.now) == 1
    refusal_of(lambda: world.cancel(orderId="1"))
    assert used(world.now) == 2
    world.exchange.order({"symbol": "BTCUSDT", "orderId": "1"}, world.now)
    world.exchange.open_orders({"symbol": "BTCUSDT"}, world.now)
    world.exchange.open_orders({}, world.now)
    world.exchange.all_orders({"symbol": "BTCUSDT"}, world.now)
    world.exchange.my_trades({"symbol": "BTCUSDT"}, world.now)
    world.exchange.my_trades({"symbol": "BTCUSDT", "orderId": "1"}, world.now)
    world.exchange.balances({}, world.now)
    assert used(world.now) == 2 + 4 + 6 + 80 + 20 + 20 + 5 + 20
    world.later(60_000)
    assert used(world.now) == 0


def test_too_much_weight_is_refused_and_going_on_brings_a_ban_that_grows() -> None:
    limits = Limits(LimitSettings(weight_per_minute=10, ban_after=1))
    limits.add_weight(10, NOW)
    first = refusal_of(limits.check_weight, 1, NOW)
    assert (first.code, first.http_status, first.until) == (-1003, 429, NOW + 60 * SECOND)
    assert first.message.startswith("Too much request weight used; current limit is 10 request weight per 1 MINUTE.")
    banned = refusal_of(limits.check_weight, 1, NOW)
    assert (banned.code, banned.http_status, banned.until) == (-1003, 418, NOW + 120 * SECOND)
    assert f"IP banned until {(NOW + 120 * SECOND) // MS}." in banned.message
    assert refusal_of(limits.check_weight, 0, NOW + 119 * SECOND).http_status == 418
    later = NOW + 120 * SECOND
    limits.check_weight(10, later)
    limits.add_weight(10, later)
    refusal_of(limits.check_weight, 1, later)
    assert refusal_of(limits.check_weight, 1, later).until == later + 240 * SECOND


def test_requests_are_counted_in_five_minutes_whatever_they_weigh() -> None:
    limits, start = Limits(LimitSettings(raw_requests_per_5_minutes=3, ban_after=1)), NOW // FIVE_MINUTES * FIVE_MINUTES
    for second in range(3):
        limits.count_request(start + second * SECOND)
    refused = refusal_of(limits.count_request, start + 299 * SECOND)
    assert (refused.code, refused.http_status, refused.until) == (-1003, 429, start + 300 * SECOND)
    assert refused.message.startswith("Too many requests; current limit is 3 raw requests per 5 MINUTE.")
    for _ in range(3):
        limits.count_request(start + 300 * SECOND)
    assert refusal_of(limits.count_request, start + 302 * SECOND).http_status == 429
    assert refusal_of(limits.count_request, start + 302 * SECOND).http_status == 418
    assert refusal_of(limits.check_weight, 1, start + 303 * SECOND).http_status == 418


def test_attempts_to_connect_are_counted_for_each_face_by_itself() -> None:
    limits = Limits(LimitSettings(connections_per_5_minutes=2))
    for face in Face:
        limits.count_connection(face, NOW)
        limits.count_connection(face, NOW)
    refused = refusal_of(limits.count_connection, Face.API, NOW)
    assert (refused.code, refused.http_status) == (-1003, 429)
    assert "current limit is 2 attempts to the WebSocket API per 5 MINUTE." in refused.message
    limits.count_connection(Face.STREAMS, NOW + 300 * SECOND)


# Truth and the file -------------------------------------------------------------------------------


def test_the_truth_tells_every_request_order_trade_and_balance_as_json(world: World) -> None:
    world.place(quantity="1", timestamp=str(NOW // MS), recvWindow="2000")
    world.refusal(quantity="0", newClientOrderId="b")
    world.place(price="99.00", newClientOrderId="c")
    world.cancel(origClientOrderId="c", newClientOrderId="c_c0")
    world.exchange.record(world.params(newClientOrderId="d"), world.now, "dropped")
    truth: Any = json.loads(json.dumps(world.exchange.truth()))
    assert [(one["clientOrderId"], one["effect"]) for one in truth["received"]] == [
        ("a", "accepted"),
        ("b", "refused"),
        ("c", "accepted"),
        ("d", "dropped"),
    ]
    assert truth["received"][0]["time"] == NOW // MS
    assert truth["received"][1]["code"] == -1013
    assert truth["orders"][1]["clientOrderId"] == "c"
    assert truth["orders"][0]["executedQty"] == "1.00000000"
    (trade,) = truth["trades"]
    assert (trade["id"], trade["orderId"], trade["price"], trade["isMaker"]) == (1, 1, "101.00000000", False)
    assert {"asset": "USDT", "free": "999899.00000000", "locked": "0.00000000"} in truth["balances"]


def test_the_truth_tells_an_order_under_the_id_under_which_it_came(world: World) -> None:
    placed = world.place(price="99.50", quantity="3", newClientOrderId="a")
    number = {"symbol": "BTCUSDT", "orderId": str(placed.order.order_id), "timestamp": str(world.now // 1000)}
    world.exchange.amend({**number, "newQty": "1", "newClientOrderId": "web_1"}, world.now)
    orders: Any = world.exchange.truth()["orders"]
    assert [(order["clientOrderId"], order["origQty"]) for order in orders] == [("a", "1.00000000")]


def test_account_orders_and_trades_are_there_again_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "account.db"
    world = World(file=AccountFile(path))
    world.place(quantity="3", price="101.50")
    world.place(price="99.00", newClientOrderId="b")
    world.place(type="MARKET", quantity="0.5", newClientOrderId="c")
    world.refusal(newClientOrderId="d", quantity="0")
    before = world.exchange.truth()
    ids = world.exchange.engine.last_execution_id
    # Nothing is closed: the process is gone.
    again = World(file=AccountFile(path), now=NOW + SECOND, balances={"USDT": "1"})
    assert again.exchange.truth() == before
    assert again.held("USDT") == world.held("USDT")
    assert again.exchange.engine.last_execution_id == ids
    assert again.refusal(newClientOrderId="b").message == "Duplicate order sent."
    again.market.trade(Side.SELL, "101.00", "2")
    again.later()
    assert again.exchange.engine.orders["BTCUSDT", 1].status is OrderStatus.FILLED
    placed = again.place(price="98.00", newClientOrderId="e")
    assert placed.order.order_id == 4
    earlier: Any = before["trades"]
    assert again.exchange.engine.trades[-1].trade_id > max(trade["id"] for trade in earlier)
    again.exchange.close()


def test_a_refusal_is_durable_before_it_is_told(tmp_path: Path) -> None:
    world = World(file=AccountFile(tmp_path / "a.db"))
    world.refusal(quantity="0")
    (entry,) = AccountFile(tmp_path / "a.db").received()
    assert entry["effect"] == "refused"


def test_a_clients_strategy_is_there_again_after_a_restart(tmp_path: Path) -> None:
    first = World(file=AccountFile(tmp_path / "account.db"))
    first.place(price="99.00", strategyId="7", strategyType="1000000")
    first.place(price="99.00", newClientOrderId="b")
    first.exchange.close()
    again = World(file=AccountFile(tmp_path / "account.db"))
    found = again.exchange.open_orders({"symbol": "BTCUSDT"}, again.now)
    assert [(order.strategy_id, order.strategy_type) for order in found] == [(7, 1_000_000), (None, None)]


def test_the_clock_never_goes_back_over_a_restart(tmp_path: Path) -> None:
    world = World(file=AccountFile(tmp_path / "a.db"))
    world.place(price="99.00")
    again = World(file=AccountFile(tmp_path / "a.db"), now=NOW - 60 * SECOND)
    assert again.exchange.time(again.now) == NOW
    assert again.place(price="98.00", newClientOrderId="b").at == NOW


def test_a_synthetic_market_goes_on_where_it_was_after_a_restart(tmp_path: Path) -> None:
    first = PaperExchange(now=NOW, file=AccountFile(tmp_path / "a.db"))
    first.place({"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}, NOW)
    later = NOW + 3600 * SECOND
    unbroken = first.look("BTCUSDT", later)
    assert PaperExchange(now=later, file=AccountFile(tmp_path / "a.db")).look("BTCUSDT", later) == unbroken


def test_nobody_else_may_read_the_account(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.touch(mode=0o644)  # As an earlier version left it.
    path.chmod(0o644)
    world = World(file=AccountFile(path))
    world.place(price="99.00")
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()} == {
        "a.db": "0o600",
        "a.db-wal": "0o600",
        "a.db-shm": "0o600",
    }
    world.exchange.close()


def test_a_commit_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    file = AccountFile(tmp_path / "a.db")
    assert file._db.pragma("journal_mode") == "wal"
    assert file._db.pragma("synchronous") == 1, "NORMAL"
    assert file._db.pragma("busy_timeout") == 2000
    file.close()


def test_a_file_of_another_version_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", 99)
    connection.close()
    with pytest.raises(ValueError, match="version 99"):
        AccountFile(path)


def test_orders_of_a_symbol_that_is_no_longer_there_are_kept(tmp_path: Path) -> None:
    world = World(file=AccountFile(tmp_path / "a.db"))
    world.place(price="99.00")
    settings = PaperSettings(
        markets=MarketChoice(market="scripted"),
        symbols={"ETHUSDT": world.exchange.engine.books["ETHUSDT"].spec},
    )
    other = PaperExchange(settings, now=NOW, file=AccountFile(tmp_path / "a.db"))
    orders: Any = other.truth()["orders"]
    assert [order["symbol"] for order in orders] == ["BTCUSDT"]
    assert not other.resting


def test_a_market_that_there_is_none_of_is_named() -> None:
    for choice, text in (
        (MarketChoice(market="moon"), "moon"),
        (MarketChoice(preset="calm"), "calm"),
        (MarketChoice(market="replay:"), "at least one file"),
        (MarketChoice(market="replay:/no/such/file"), "cannot be read"),
    ):
        with pytest.raises(BadMarket, match=text):
            PaperExchange(PaperSettings(markets=choice), now=NOW)


# Steering -----------------------------------------------------------------------------------------


def test_a_look_shows_at_least_ten_levels_or_all_within_ten_basis_points() -> None:
    exchange = PaperExchange(now=NOW)
    bids, asks = exchange.look("BTCUSDT", NOW)
    assert bids[0][0] < asks[0][0]
    assert asks[-1][0] <= asks[0][0] * Decimal("1.001")
    assert len(exchange.look("DOGEUSDT", NOW)[0]) == 10
    assert len(exchange.look("BTCUSDT", NOW, most=100, at_most=30)[0]) == 30


def test_a_market_can_be_steered_frozen_halted_and_released() -> None:
    exchange = PaperExchange(now=NOW)
    steering = exchange.steering["BTCUSDT"]
    free = exchange.look("BTCUSDT", NOW)
    steering.freeze()
    assert exchange.look("BTCUSDT", NOW + 60 * SECOND) == free
    steering.release()
    assert exchange.look("BTCUSDT", NOW + 60 * SECOND) != free
    steering.steer().set_touch("100.00", "1", "100.60", "2")
    assert steering.steer().halted() is False
    bids, asks = exchange.look("BTCUSDT", NOW + 61 * SECOND)
    assert (bids, asks) == (((Decimal("100.00"), Decimal(1)),), ((Decimal("100.60"), Decimal(2)),))
    buy = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.5"}
    assert exchange.place(buy, NOW + 61 * SECOND).order.executed_quote == Decimal("50.30")
    rest = buy | {"type": "LIMIT", "timeInForce": "GTC", "price": "100.30"}
    exchange.place(rest, NOW + 61 * SECOND)
    steering.steer().trade(Side.SELL, "100.00", "1")
    exchange.advance(NOW + 62 * SECOND)
    assert len(exchange.engine.trades) == 2
    steering.halt()
    assert refusal_of(exchange.place, buy, NOW + 62 * SECOND).message == "Market is closed."
    steering.release()
    assert exchange.place(buy, NOW + 62 * SECOND).order.executed == Decimal("0.5")


def test_a_frozen_market_lets_no_resting_order_be_filled() -> None:
    exchange = PaperExchange(now=NOW)
    bids, _ = exchange.look("BTCUSDT", NOW)
    params = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.1"}
    exchange.place(params | {"price": str(bids[0][0])}, NOW)
    exchange.steering["BTCUSDT"].freeze()
    exchange.advance(NOW + 100 * SECOND)
    assert exchange.resting
    exchange.steering["BTCUSDT"].release()
    exchange.advance(NOW + 200 * SECOND, ["ETHUSDT"])
    exchange.advance(NOW + 300 * SECOND, ["BTCUSDT"])
    assert exchange.engine.trades


def test_what_a_frozen_market_catches_up_with_fills_no_order_before_it_was_there() -> None:
    exchange = PaperExchange(now=NOW)
    bids, _ = exchange.look("BTCUSDT", NOW)
    exchange.steering["BTCUSDT"].freeze()
    params = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.1"}
    arrived = NOW + 50 * SECOND
    placed = exchange.place(params | {"price": str(bids[0][0])}, arrived)
    exchange.steering["BTCUSDT"].release()
    exchange.advance(NOW + 200 * SECOND)
    assert placed.order.time == arrived
    assert exchange.engine.trades
    assert all(trade.time >= arrived for trade in exchange.engine.trades)
