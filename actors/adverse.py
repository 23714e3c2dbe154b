"""How far a market moves against whoever rests at its touch: what decides whether a child of kind `auto` rests.

Resting gains, in bps: p (spread + taker fee - maker fee - A), p the share of posts that fill and A the
move of the mid against those that do, from the post to the deadline. A is estimated by virtual posts,
a buy at the bid and a sale at the ask at each moment of a grid. One counts as filled only when the
other side's touch has come to its price: that is certain, and leaves out the fills that cost least, so
A is rather too large than too small. Both sides count alike, so that a trend cancels out. What is long
past is forgotten. Work and memory are bounded, and nothing is done for a symbol that nobody asks about.

Floats: no amount is sent or booked that comes from here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from math import sqrt

from messages.market import Choice, MakerTerms, Quote

GRID_SECONDS, MOST_POSTS = 1.0, 64
"""Posts are at least so many seconds apart, and at most so many are open at a time."""

HALF_LIFE_SECONDS = 600.0
LEAST_POSTS, LEAST_FILLS = 60, 20
"""Before so many posts have ended, and so many of them filled, nothing is known."""

CAUTION = 1.0
"""So many standard errors are added to the estimate, which count posts at the same time as one."""

_DIGITS = Decimal("0.0001")

UNASKED_SECONDS, MOST_HORIZONS = 3600.0, 4


@dataclass(slots=True)
class _Post:
    at: float
    mid: float
    bid: float
    ask: float
    bought: bool = False
    sold: bool = False


class AdverseMove:
    """The estimate of one symbol, for one time of resting (seconds)."""

    def __init__(self, horizon: float) -> None:
        """`horizon` is how long a post rests, > 0."""
        self.horizon = horizon
        self.asked_at = 0.0
        self._grid = max(GRID_SECONDS, horizon / MOST_POSTS)
        self._open: deque[_Post] = deque()
        self._next = 0.0
        self._mid: float | None = None
        self._highest_bid, self._lowest_ask = 0.0, float("inf")
        self._decayed_at = 0.0
        self._posts = self._fills = self._sum = self._squares = self._weights = 0.0

    def see(self, bid: float, ask: float, now: float) -> None:
        """Take the touch of this moment (monotonic s)."""
        self._settle(now)
        self._mid = (bid + ask) / 2
        if ask <= self._highest_bid or bid >= self._lowest_ask:
            for post in self._open:
                post.bought |= ask <= post.bid
                post.sold |= bid >= post.ask
            self._highest_bid = max((post.bid for post in self._open if not post.bought), default=0.0)
            self._lowest_ask = min((post.ask for post in self._open if not post.sold), default=float("inf"))
        if now >= self._next:
            self._next = now + self._grid
            self._open.append(_Post(now, self._mid, bid, ask))
            self._highest_bid, self._lowest_ask = max(self._highest_bid, bid), min(self._lowest_ask, ask)

    def forget_open(self) -> None:
        """Drop the open posts: what happened to them meanwhile was not seen."""
        self._open.clear()
        self._mid = None
        self._highest_bid, self._lowest_ask = 0.0, float("inf")

    def adverse(self, now: float) -> float | None:
        """Return A in bps with its caution, None before enough was seen."""
        self._settle(now)
        if self._posts < LEAST_POSTS or self._fills < LEAST_FILLS:
            return None
        mean = self._sum / self._fills
        variance = max(0.0, self._squares / self._fills - mean * mean)
        # Posts of a grid rest side by side, and one move of the market fills and hurts them all: they count as so
        # many as fit one after the other.
        effective = self._fills * self._fills / self._weights / max(1.0, self.horizon / self._grid)
        return mean + CAUTION * sqrt(variance / effective)

    def _settle(self, now: float) -> None:
        """End the posts whose time is over, at the mid that stood then."""
        while self._open and self._open[0].at + self.horizon <= now:
            post = self._open.popleft()
            self._decay(post.at + self.horizon)
            self._posts += 2
            if self._mid is None:
                continue
            moved = (self._mid / post.mid - 1) * 1e4
            for filled, against in ((post.bought, -moved), (post.sold, moved)):
                if filled:
                    self._fills += 1
                    self._weights += 1
                    self._sum += against
                    self._squares += against * against

    def _decay(self, now: float) -> None:
        left = 0.5 ** (max(0.0, now - self._decayed_at) / HALF_LIFE_SECONDS)
        self._decayed_at = now
        self._posts *= left
        self._fills *= left
        self._sum *= left
        self._squares *= left
        self._weights *= left * left


class AdverseMoves:
    """The estimates of all symbols that anybody asks about.

    Those of `always` symbols are made from the beginning on, for `horizon` seconds.
    """

    def __init__(self, always: tuple[str, ...] = (), horizon: float = 0.0) -> None:
        self._all: dict[str, list[AdverseMove]] = {symbol: [AdverseMove(horizon)] for symbol in always}
        self._always = dict.fromkeys(always)

    def __len__(self) -> int:
        return sum(map(len, self._all.values()))

    def see(self, quote: Quote, now: float) -> None:
        """Take a quote; free where nobody asks about its symbol."""
        moves = self._all.get(quote.symbol)
        if moves is None:
            return
        bid, ask = float(quote.bid), float(quote.ask)
        for move in moves:
            move.see(bid, ask, now)
        if quote.symbol not in self._always and all(move.asked_at + UNASKED_SECONDS < now for move in moves):
            del self._all[quote.symbol]

    def lose(self, symbol: str) -> None:
        """The stream of a symbol was cut."""
        for move in self._all.get(symbol, ()):
            move.forget_open()

    def choose(self, terms: MakerTerms, quote: Quote, now: float) -> Choice:
        """Say whether a child rests or takes on this quote, with the figures."""
        move = self._of(quote.symbol, terms.rest_seconds, now)
        against = move.adverse(now)
        if against is None:
            return Choice(rests=False, adverse_bps=None, gain_bps=None)
        adverse = Decimal(f"{against:.4f}")
        gain = (quote.spread_bps + terms.fee_gap_bps - adverse).quantize(_DIGITS)
        return Choice(rests=gain > 0, adverse_bps=adverse, gain_bps=gain)

    def _of(self, symbol: str, horizon: float, now: float) -> AdverseMove:
        """Return the estimate whose horizon is within a half of the one asked for, else begin it, else the nearest."""
        moves = self._all.setdefault(symbol, [])
        near = min(moves, key=lambda move: abs(move.horizon - horizon), default=None)
        if near is None or (abs(near.horizon - horizon) > horizon / 2 and len(moves) < MOST_HORIZONS):
            near = AdverseMove(horizon)
            moves.append(near)
        near.asked_at = now
        return near
