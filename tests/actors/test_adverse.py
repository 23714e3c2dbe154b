"""How far a market moves against what rests at its touch, from quotes alone."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from actors.adverse import HALF_LIFE_SECONDS, LEAST_POSTS, MOST_HORIZONS, MOST_POSTS, AdverseMove, AdverseMoves
from messages.market import MakerTerms
from tests.factories import a_quote

D = Decimal


def told(moves: AdverseMove, mids: list[float], spread: float = 0.02, step: float = 1.0, begin: float = 0.0) -> float:
    """Show a market whose mid takes these values, one a step; return the time after it."""
    for number, mid in enumerate(mids):
        moves.see(mid - spread / 2, mid + spread / 2, begin + number * step)
    return begin + len(mids) * step


def walk(seed: int, count: int, sigma: float = 1.0) -> list[float]:
    chance = random.Random(seed)
    mids = [1000.0]
    for _ in range(count):
        mids.append(mids[-1] + chance.gauss(0.0, sigma * 0.1))
    return mids


def test_before_enough_was_seen_nothing_is_known() -> None:
    moves = AdverseMove(8.0)
    now = told(moves, walk(1, LEAST_POSTS // 2 + 6))
    assert moves.adverse(now) is None
    assert moves.adverse(told(moves, walk(2, 200), begin=now)) is not None


def test_a_market_that_stands_still_fills_nothing_and_tells_nothing() -> None:
    moves = AdverseMove(8.0)
    assert moves.adverse(told(moves, [1000.0] * 500)) is None


def test_what_fills_is_followed_to_its_deadline_and_both_sides_count_alike() -> None:
    """Up 10 bps and down 10 bps in turn, each at once after a post of the grid: what fills has lost 10 bps by then."""
    moves = AdverseMove(1.5)
    now = told(moves, [1000.0, 1001.0] * 200)
    adverse = moves.adverse(now)
    assert adverse is not None
    assert adverse == pytest.approx(10.0, rel=0.01)


def test_the_estimate_is_the_same_in_a_mirror() -> None:
    mids = walk(3, 400)
    up, down = AdverseMove(8.0), AdverseMove(8.0)
    end = told(up, mids)
    told(down, [2000.0 - mid for mid in mids])
    one, other = up.adverse(end), down.adverse(end)
    assert one is not None
    assert other is not None
    assert one == pytest.approx(other, rel=0.01)


def test_a_post_fills_only_when_the_other_side_has_come_to_its_price() -> None:
    """So what is counted as filled has lost the whole spread at that moment at least."""
    moves = AdverseMove(8.0)
    now = told(moves, walk(4, 2000, sigma=3.0), spread=0.5)
    adverse = moves.adverse(now)
    assert adverse is not None
    assert adverse > 5.0 * 0.8


@pytest.mark.parametrize(("horizon", "together"), [(8.0, 8.0), (24.0, 24.0), (1.0, 1.0), (640.0, 64.0)])
def test_posts_that_rest_side_by_side_are_one_witness(horizon: float, together: float) -> None:
    moves = AdverseMove(horizon)
    adverse = moves.adverse(told(moves, walk(8, 8000), step=0.5))
    assert adverse is not None
    mean = moves._sum / moves._fills
    variance = moves._squares / moves._fills - mean * mean
    alone = variance * moves._weights / moves._fills**2
    assert (adverse - mean) ** 2 / alone == pytest.approx(together, rel=0.01)


def test_what_is_long_past_is_forgotten() -> None:
    moves = AdverseMove(1.5)
    now = told(moves, [1000.0, 1001.0] * 300)
    before = moves.adverse(now)
    now = told(moves, [1000.0, 1000.1] * int(3 * HALF_LIFE_SECONDS), begin=now)
    after = moves.adverse(now)
    assert before is not None
    assert after is not None
    assert after < before / 4


def test_open_posts_are_forgotten_with_a_cut_of_the_stream() -> None:
    moves = AdverseMove(8.0)
    told(moves, walk(5, 7))
    moves.forget_open()
    assert not moves._open
    assert moves.adverse(20.0) is None


def test_memory_is_bounded_however_long_a_rest_and_however_many_quotes() -> None:
    moves = AdverseMove(600.0)
    told(moves, walk(6, 20_000), step=0.1)
    assert len(moves._open) <= MOST_POSTS + 1
    many = AdverseMoves()
    for seconds in range(1, 60):
        many.choose(MakerTerms(rest_seconds=float(seconds), fee_gap_bps=D(0)), a_quote(), 0.0)
    assert len(many) == MOST_HORIZONS


def test_nothing_is_kept_of_a_symbol_that_nobody_asks_about() -> None:
    moves = AdverseMoves()
    moves.see(a_quote(), 0.0)
    assert len(moves) == 0
    moves.choose(MakerTerms(rest_seconds=8.0, fee_gap_bps=D(0)), a_quote(), 0.0)
    moves.see(a_quote(), 3_000.0)
    assert len(moves) == 1
    moves.see(a_quote(), 3_700.0)
    assert len(moves) == 0


def after_a_market(fee_gap: str) -> tuple[bool, Decimal | None, Decimal | None]:
    moves = AdverseMoves(("BTCUSDT",), 8.0)
    for number, mid in enumerate(walk(7, 600)):
        price = D(f"{mid:.4f}") * 42
        moves.see(a_quote(price - D("0.01"), price + D("0.01")), float(number))
    choice = moves.choose(MakerTerms(rest_seconds=8.0, fee_gap_bps=D(fee_gap)), a_quote(), 601.0)
    return choice.rests, choice.adverse_bps, choice.gain_bps


def test_a_child_rests_only_where_spread_and_fee_gap_exceed_the_adverse_move() -> None:
    rests, adverse, gain = after_a_market("0")
    assert adverse is not None
    assert adverse > D("0.5")
    assert gain is not None
    assert (rests, gain > 0) == (False, False)
    assert abs(gain - (a_quote().spread_bps - adverse)) < D("0.001")
    enough = adverse - a_quote().spread_bps + D("0.001")
    assert after_a_market(str(enough))[0] is True
    assert after_a_market(str(enough - D("0.002")))[0] is False


def test_before_enough_was_seen_nothing_rests_whatever_the_fees() -> None:
    choice = AdverseMoves().choose(MakerTerms(rest_seconds=8.0, fee_gap_bps=D(50)), a_quote(), 0.0)
    assert (choice.rests, choice.adverse_bps, choice.gain_bps) == (False, None, None)
