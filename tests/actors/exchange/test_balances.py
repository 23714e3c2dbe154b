from __future__ import annotations

from actors.exchange.balances import Balances
from tests.factories import D


def some_balances() -> Balances:
    balances = Balances()
    balances.found([("BTC", D(2), D(1)), ("USDT", D(1000), D(0))])
    return balances


def test_what_is_locked_is_not_free_and_what_is_missing_is_not_owned() -> None:
    assert some_balances().available("BTC") == 2
    assert some_balances().available("ETH") == 0


def test_a_hold_lowers_what_is_free_until_it_is_released() -> None:
    balances = some_balances()
    balances.hold("a", "USDT", D(300))
    balances.hold("b", "USDT", D(200))
    assert balances.available("USDT") == 500
    balances.release("a")
    assert balances.available("USDT") == 800
    balances.release("a")
    assert balances.free == (("BTC", D(2)), ("USDT", D(800)))


def test_a_hold_stays_until_a_balance_is_told_after_the_venue_took_the_order() -> None:
    balances = some_balances()
    balances.hold("a", "USDT", D(300))
    balances.seen([("USDT", D(1000), D(0))])
    assert balances.available("USDT") == 700
    balances.take("a")
    assert balances.unconfirmed
    balances.seen([("BTC", D(2), D(0))])
    assert balances.available("USDT") == 700
    balances.seen([("USDT", D(700), D(300))])
    assert balances.available("USDT") == 700
    assert not balances.unconfirmed


def test_a_full_account_ends_holds_too_and_forgets_assets() -> None:
    balances = some_balances()
    balances.hold("a", "USDT", D(300))
    balances.take("a")
    balances.found([("USDT", D(700), D(0))])
    assert balances.free == (("USDT", D(700)),)


def test_free_is_never_told_below_zero() -> None:
    balances = some_balances()
    balances.hold("a", "BTC", D(3))
    assert balances.available("BTC") == -1
    assert dict(balances.free)["BTC"] == 0


def test_an_order_without_a_hold_is_left_aside() -> None:
    balances = some_balances()
    balances.take("a")
    balances.release("a")
    assert balances.available("BTC") == 2
