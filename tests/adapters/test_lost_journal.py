from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from actors.runtime import Pool
from adapters.exits import DAMAGED, KEY_REFUSED, UNAVAILABLE, Exit
from adapters.lost_journal import (
    OwnOrders,
    find_own_orders,
    is_new,
    refuse_if_lost,
    refuse_to_rebuild_what_is_in_use,
)
from adapters.storage.memory import MemoryStore
from adapters.storage.sqlite import SqliteStore
from messages.control import Committed
from messages.facts import EpochStarted, JournalRebuilt
from messages.order import (
    AllOrdersFound,
    OpenOrdersFound,
    Query,
    QueryAllOrders,
    QueryAnswer,
    QueryFailed,
    QueryOpenOrders,
    VenueCommand,
)
from tests.factories import CHILD, NOW, an_accepted
from tests.order_tools import an_order

OURS = an_order("FILLED", "0.1", client_order_id=CHILD)
RESTING = an_order("NEW", client_order_id=CHILD.replace("-0-0", "-1-0"), order_id=8)
THEIRS = an_order("NEW", client_order_id="web_1", order_id=9)


class Venue:
    """Answers a query at once, as it is told to."""

    def __init__(self, answer: Callable[[Query, int], QueryAnswer | None]) -> None:
        self.answer = answer
        self.asked: list[Query] = []

    def tell(self, message: VenueCommand, /) -> None:
        assert isinstance(message, QueryAllOrders | QueryOpenOrders)
        self.asked.append(message)
        if (answer := self.answer(message, len(self.asked))) is not None:
            message.reply_to.tell(answer)


def some(query: Query, _: int) -> QueryAnswer | None:
    if isinstance(query, QueryOpenOrders):
        return OpenOrdersFound(symbol=query.symbol, orders=(RESTING, THEIRS) if query.symbol == "BTCUSDT" else ())
    assert isinstance(query, QueryAllOrders)
    return AllOrdersFound(
        symbol=query.symbol, since=query.since, orders=(OURS, RESTING, THEIRS) if query.symbol == "BTCUSDT" else ()
    )


def test_own_orders_are_told_from_others_by_their_ids_and_counted_once() -> None:
    venue = Venue(some)
    with Pool(1) as pool:
        found = find_own_orders(pool, venue, ("BTCUSDT", "ETHUSDT"), 5)
    assert (set(found.ids), found.open) == ({OURS.client_order_id, RESTING.client_order_id}, 1)
    assert len(venue.asked) == 4


def test_what_is_not_answered_is_asked_again_and_in_the_end_it_is_not_known() -> None:
    def later(query: Query, count: int) -> QueryAnswer | None:
        return QueryFailed(query=query, detail="503") if count <= 2 else some(query, count)

    with Pool(1) as pool, pytest.MonkeyPatch.context() as patch:
        patch.setattr("adapters.lost_journal.AGAIN_SECONDS", 0.01)
        assert len(find_own_orders(pool, Venue(later), ("BTCUSDT",), 5).ids) == 2
        with pytest.raises(Exit, match="could not be found out: 503") as end:
            find_own_orders(pool, Venue(lambda query, _: QueryFailed(query=query, detail="503")), ("X",), 5, 0.1)
    assert end.value.code == UNAVAILABLE


def test_a_timestamp_that_is_refused_says_nothing_of_orders_and_is_asked_again() -> None:
    def later(query: Query, count: int) -> QueryAnswer | None:
        return QueryFailed(query=query, detail="late", code=-1021) if count <= 2 else some(query, count)

    with Pool(1) as pool, pytest.MonkeyPatch.context() as patch:
        patch.setattr("adapters.lost_journal.AGAIN_SECONDS", 0.01)
        assert len(find_own_orders(pool, Venue(later), ("BTCUSDT",), 5).ids) == 2


def test_of_a_symbol_that_there_is_not_there_are_no_orders() -> None:
    with Pool(1) as pool:
        unknown = Venue(lambda query, _: QueryFailed(query=query, detail="Invalid symbol.", code=-1121))
        assert find_own_orders(pool, unknown, ("NOSUCH",), 5) == OwnOrders((), 0)


@pytest.mark.parametrize("code", [401, -1002, -1022, -2008, -2014, -2015])
def test_who_does_not_have_the_key_to_ask_does_not_start_as_if_there_were_no_orders(code: int) -> None:
    with Pool(1) as pool, pytest.raises(Exit, match="refuses this key: no") as end:
        find_own_orders(pool, Venue(lambda query, _: QueryFailed(query=query, detail="no", code=code)), ("X",), 5)
    assert end.value.code == KEY_REFUSED


@pytest.mark.parametrize("code", [-1000, -1100, -2011])
def test_any_other_no_says_nothing_of_orders_either(code: int) -> None:
    venue = Venue(lambda query, _: QueryFailed(query=query, detail="odd", code=code))
    with Pool(1) as pool, pytest.raises(Exit, match="could not be found out: odd") as end:
        find_own_orders(pool, venue, ("X",), 5, 0.05)
    assert end.value.code == UNAVAILABLE


def test_a_new_journal_is_one_that_never_let_a_signal_in_nor_was_rebuilt() -> None:
    store = MemoryStore()
    store.append([Committed(1, NOW, EpochStarted(epoch=1, journal_id="j", mode="paper", version="1"))])
    assert is_new(store)
    for fact in (an_accepted(), JournalRebuilt(since=NOW, orders=0, executions=0, cancelled=0)):
        other = MemoryStore()
        other.append([Committed(1, NOW, fact)])
        assert not is_new(other)


def test_the_message_says_how_many_and_what_to_do() -> None:
    refuse_if_lost(OwnOrders((), 0), Path("data"), 7)
    with pytest.raises(Exit, match=r"4 orders of ours of the last 7 days, 1 of them open \(a, b, c, ...\)") as end:
        refuse_if_lost(OwnOrders(("a", "b", "c", "d"), 1), Path("data"), 7)
    assert end.value.code == DAMAGED
    assert "journal restore" in end.value.text
    assert "--rebuild-from-exchange" in end.value.text


def test_a_journal_that_is_in_use_is_not_rebuilt(tmp_path: Path) -> None:
    refuse_to_rebuild_what_is_in_use(tmp_path)
    store = SqliteStore(tmp_path)
    refuse_to_rebuild_what_is_in_use(tmp_path)
    store.append([Committed(1, NOW, an_accepted())])
    with pytest.raises(Exit, match="nothing to rebuild"):
        refuse_to_rebuild_what_is_in_use(tmp_path)
    store.close()
