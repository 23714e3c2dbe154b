from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from actors.order_watcher.holdings import Holdings
from messages.facts import BalanceMismatch, BalancesNoted
from messages.signal import Side
from tests.factories import D, a_trade_booked, rules

RULES = {"BTCUSDT": rules()}
NOTED = BalancesNoted(balances=(("USDT", D(10_000)),))


def holdings() -> Holdings:
    made = Holdings()
    made.fold(NOTED)
    return made


def test_the_first_time_balances_are_only_noted_without_what_is_zero() -> None:
    found = (("BTC", D(1), D("0.5")), ("ETH", D(0), D(0)))
    assert Holdings().compare(found, {}) == [BalancesNoted(balances=(("BTC", D("1.5")),))]


def test_what_trades_and_fees_explain_is_no_news() -> None:
    made = holdings()
    made.fold(a_trade_booked(quantity=D("0.1"), price=D(42_000), commission=D("0.0001"), commission_asset="BTC"))
    assert made.symbols == ("BTCUSDT",)
    assert made.compare((("BTC", D("0.0999"), D(0)), ("USDT", D(5800), D(0))), RULES) == []


def test_what_they_do_not_explain_is_told_asset_by_asset_and_noted_as_the_new_beginning() -> None:
    facts = holdings().compare((("USDT", D(9_990), D(0)), ("BNB", D(1), D(0))), {})
    assert facts == [
        BalanceMismatch(asset="USDT", expected=D(10_000), found=D(9_990)),
        BalanceMismatch(asset="BNB", expected=D(0), found=D(1)),
        BalancesNoted(balances=(("USDT", D(9_990)), ("BNB", D(1)))),
    ]


trades = st.lists(
    st.tuples(st.sampled_from(Side), st.integers(1, 50), st.integers(1, 900), st.sampled_from(["BTC", "USDT", "BNB"]))
)


@given(trades)
def test_any_trades_are_explained_exactly(course: list[tuple[Side, int, int, str]]) -> None:
    made = holdings()
    held = {"USDT": D(10_000)}
    for side, quantity, price, fee in course:
        made.fold(
            a_trade_booked(side=side, quantity=D(quantity), price=D(price), commission=D("0.01"), commission_asset=fee)
        )
        for asset, change in (("BTC", side.sign * quantity), ("USDT", -side.sign * quantity * price)):
            held[asset] = held.get(asset, D(0)) + change
        held[fee] = held.get(fee, D(0)) - D("0.01")
    assert made.compare([(asset, amount, D(0)) for asset, amount in held.items()], RULES) == []
