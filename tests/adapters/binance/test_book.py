from __future__ import annotations

import random
from decimal import Decimal

import pytest

from adapters.binance import book as book_module
from adapters.binance.book import LocalBook
from adapters.binance.shapes import DepthEvent, DepthSnapshot
from messages.signal import Side

D = Decimal


def event(first: int, last: int, bids: dict[int, int] | None = None, asks: dict[int, int] | None = None) -> DepthEvent:
    return DepthEvent("BTCUSDT", first, last, _levels(bids), _levels(asks))


def snapshot(last: int, bids: dict[int, int] | None = None, asks: dict[int, int] | None = None) -> DepthSnapshot:
    return DepthSnapshot(last, _levels(bids), _levels(asks))


def _levels(levels: dict[int, int] | None) -> list[tuple[Decimal, Decimal]]:
    return [(D(price), D(quantity)) for price, quantity in (levels or {}).items()]


def a_book() -> LocalBook:
    book = LocalBook()
    assert book.take_event(event(101, 102), 0.0)
    assert book.take_snapshot(snapshot(102, {99: 1, 98: 2}, {101: 1, 102: 2}), 0.0, levels=1000)
    return book


def test_the_first_change_asks_for_a_snapshot_and_the_next_ones_do_not() -> None:
    book = LocalBook()
    assert book.take_event(event(10, 11), 0.0)
    assert not book.take_event(event(12, 13), 0.0)
    assert not book.synced
    assert book.top(Side.BUY, 20) == ()
    assert book.age(5.0) == float("inf")


def test_changes_set_levels_and_zero_takes_them_away() -> None:
    book = a_book()
    assert not book.take_event(event(103, 105, {99: 0, 97: 5, 98: 7, 50: 0}, {100: 3}), 1.0)
    assert book.top(Side.BUY, 20) == ((D(98), D(7)), (D(97), D(5)))
    assert book.top(Side.SELL, 2) == ((D(100), D(3)), (D(101), D(1)))
    assert book.age(1.5) == 0.5


def test_a_book_is_crossed_when_somebody_bids_what_is_asked() -> None:
    book, found = a_book(), []
    for number, (bids, asks) in enumerate((({}, {}), ({100: 1}, {}), ({101: 1}, {}), ({}, {101: 0, 102: 0}))):
        book.take_event(event(103 + number, 103 + number, bids, asks), 1.0)
        found.append(book.crossed)
    assert found == [False, False, True, False], "and where nothing is asked there is nothing to cross"


def test_a_snapshot_older_than_the_first_change_is_asked_for_again() -> None:
    book = LocalBook()
    book.take_event(event(200, 205), 0.0)
    assert not book.take_snapshot(snapshot(198), 0.0, levels=1000)
    assert book.take_snapshot(snapshot(199), 0.0, levels=1000)


def test_kept_changes_that_the_snapshot_has_are_dropped_and_the_others_applied() -> None:
    book = LocalBook()
    book.take_event(event(100, 110, {99: 9}), 0.0)
    book.take_event(event(111, 115, {98: 8}), 0.0)
    assert book.take_snapshot(snapshot(112, {97: 1}), 0.0, levels=1000)
    assert book.top(Side.BUY, 20) == ((D(98), D(8)), (D(97), D(1)))


def test_a_hole_empties_the_book_and_asks_again() -> None:
    book = a_book()
    assert book.take_event(event(104, 106), 1.0)
    assert book.gaps == 1
    assert not book.synced
    assert book.top(Side.SELL, 20) == ()


def test_a_hole_among_kept_changes_asks_again() -> None:
    book = LocalBook()
    book.take_event(event(100, 110), 0.0)
    book.take_event(event(120, 130), 0.0)
    assert not book.take_snapshot(snapshot(105), 0.0, levels=1000)
    assert not book.synced
    assert book.gaps == 1


def test_old_changes_change_nothing() -> None:
    book = a_book()
    assert not book.take_event(event(90, 102, {99: 50}), 3.0)
    assert book.top(Side.BUY, 1) == ((D(99), D(1)),)
    assert book.age(3.0) == 3.0


def test_nothing_is_told_beyond_what_the_snapshot_reached() -> None:
    book = LocalBook()
    book.take_event(event(1, 2), 0.0)
    book.take_snapshot(snapshot(2, {99: 1, 98: 1}, {101: 1, 102: 1}), 0.0, levels=2)
    assert not book.thin(2)
    book.take_event(event(3, 4, {90: 5, 99: 0}), 0.0)
    assert book.top(Side.BUY, 20) == ((D(98), D(1)),)
    assert book.thin(2)


def test_a_short_book_that_is_whole_is_not_thin() -> None:
    assert not a_book().thin(20)


def test_kept_changes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_module, "MOST_BUFFERED", 3)
    book = LocalBook()
    for number in range(10):
        book.take_event(event(2 * number + 1, 2 * number + 2), 0.0)
    assert not book.take_snapshot(snapshot(5), 0.0, levels=1000)
    assert book.take_snapshot(snapshot(20), 0.0, levels=1000)


@pytest.mark.seeds(default=20)
def test_a_book_that_missed_nothing_equals_the_true_one(seed: int) -> None:
    chance = random.Random(seed)
    truth: dict[Side, dict[int, int]] = {Side.BUY: {}, Side.SELL: {}}
    book, last, waiting = LocalBook(), 0, False
    for _ in range(300):
        changes: dict[Side, dict[int, int]] = {Side.BUY: {}, Side.SELL: {}}
        for side, low in ((Side.BUY, 1), (Side.SELL, 51)):
            for _ in range(chance.randrange(3)):
                changes[side][low + chance.randrange(50)] = chance.randrange(3)
            truth[side].update(changes[side])
        first, last = last + 1, last + chance.randrange(1, 4)
        if chance.random() < 0.05:
            continue  # Lost on the way.
        waiting = book.take_event(event(first, last, changes[Side.BUY], changes[Side.SELL]), 0.0) or waiting
        if waiting and chance.random() < 0.3:
            alive = {side: {price: left for price, left in truth[side].items() if left} for side in Side}
            waiting = not book.take_snapshot(snapshot(last, alive[Side.BUY], alive[Side.SELL]), 0.0, levels=1000)
        if book.synced and book._last == last:
            for side, best in ((Side.BUY, max), (Side.SELL, min)):
                left = [price for price, quantity in truth[side].items() if quantity]
                top = book.top(side, 100)
                assert len(top) == len(left)
                assert not left or top[0][0] == best(left)
