"""The default market: drawn from a seed, calibrated on BTCUSDT, and free while nobody looks.

Everything is a function of seed and time (`noise`): the mid is a random walk in steps of 1/16 s, the
book hangs on it, and takers come as a Poisson process whose signs tend the way that the price is
about to go, the more so the larger they are. So passive fills are adverse, taker signs cluster, and
queue imbalance leads the price, although no event has to be simulated before someone asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from math import ceil, exp, floor, tanh
from typing import NamedTuple

from adapters.paper.limits import SECOND
from adapters.paper.liquidity.base import Happening, Moved, Print, Taken
from adapters.paper.liquidity.noise import NORMAL, Noise, Walk
from messages.market import Level
from messages.signal import Side

STEP = SECOND // 16
"""How long the price stands still, in microseconds."""

_LEAD = 24
"""Steps that the imbalance looks ahead."""
_COARSE_AFTER = 120 * SECOND
_MOST_TAKERS = 8
_KEPT_LEVELS = 4096
_SCATTER = tuple(exp(0.6 * normal - 0.18) for normal in NORMAL)
"""How much more or less than the usual stands on a level, at each quantile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What a market is like. Money is in quote units, distances in bps of the price.

    `depth` is quote per bp, `touch` the median quote at the touch, `grid` the distance of the levels
    behind it and `reach` how far they go; `gap` is the share of levels that are missing. `takers` come
    per second with `ln N(size_mu, size_sigma)` quote each. `volatility` is bps per root second.
    `wide` is the share of moments in which the spread is `wide_spread` bps on average and the depth
    `wide_depth` of the usual; such moments last `wide_steps`. `halt` is the share of minutes whose
    first ten seconds are halted.
    """

    spread: float
    volatility: float = 1.89
    depth: float = 300_000.0
    touch: float = 125_000.0
    grid: float = 0.5
    reach: float = 150.0
    gap: float = 0.0
    takers: float = 10.96
    size_mu: float = 5.352
    size_sigma: float = 2.51
    size_most: float = 1_000_000.0
    wide: float = 0.0
    wide_spread: float = 0.0
    wide_depth: float = 1.0
    wide_steps: int = 2
    halt: float = 0.0
    refill_rate: float = 1.0


PRESETS: dict[str, Preset] = {
    "btc": Preset(spread=0.0, wide=0.005, wide_spread=0.8),
    "alt": Preset(
        spread=5.0,
        volatility=2.5,
        depth=6_000.0,
        touch=6_000.0,
        grid=2.0,
        reach=300.0,
        takers=1.5,
        size_mu=3.9,
        size_sigma=1.8,
        size_most=40_000.0,
        wide=0.004,
        wide_spread=15.0,
    ),
    "thin": Preset(
        spread=30.0,
        volatility=4.0,
        depth=1_000.0,
        touch=1_500.0,
        grid=10.0,
        reach=500.0,
        gap=0.4,
        takers=0.25,
        size_mu=3.9,
        size_sigma=1.5,
        size_most=10_000.0,
        wide=0.01,
        wide_spread=80.0,
        refill_rate=0.1,
    ),
    "stress": Preset(
        spread=0.5,
        volatility=6.0,
        depth=100_000.0,
        touch=40_000.0,
        takers=20.0,
        wide=0.12,
        wide_spread=60.0,
        wide_depth=0.03,
        wide_steps=48,
        halt=0.04,
        refill_rate=0.3,
    ),
}


class _Touch(NamedTuple):
    bid: int
    ask: int
    bid_steps: int
    ask_steps: int
    depth: float


class SyntheticMarket:
    """A `Liquidity` drawn from a seed; one symbol."""

    def __init__(
        self,
        *,
        seed: int | str,
        preset: Preset,
        start_price: Decimal,
        tick: Decimal,
        step: Decimal,
        origin: int,
    ) -> None:
        """Begin at `start_price` at `origin` (microseconds since 1970)."""
        self._preset, self._tick, self._step, self._origin = preset, tick, step, origin
        self._start = float(start_price / tick)
        self._bp = self._start * 1e-4
        self._grid = max(1, round(preset.grid * self._bp))
        self._apart = self._grid * tick
        self._gap = preset.gap
        self._far = max(1, ceil(preset.reach / preset.grid))
        steps_per_quote = 1.0 / float(step * start_price)
        self._touch_steps = preset.touch * steps_per_quote
        self._level_steps = preset.depth * (self._grid / self._bp) * steps_per_quote
        self._taker_steps = steps_per_quote
        self._rate = preset.takers * STEP / SECOND
        self._quiet = exp(-self._rate)
        self._sigma = preset.volatility / 4.0
        self._walk = Walk(Noise(seed, "price"), self._sigma)
        self._lead_sigma = self._sigma * _LEAD**0.5
        self._wide, self._queue = Noise(seed, "wide"), Noise(seed, "queue")
        self._quantile = Noise(seed, "levels").quantile
        self._mood, self._takers, self._halts = Noise(seed, "mood"), Noise(seed, "takers"), Noise(seed, "halts")
        self._now = origin
        self._touched: tuple[int, _Touch] | None = None
        self._cache: tuple[dict[int, tuple[int, Level | None]], ...] = ({}, {})
        self._taken = Taken(step, preset.refill_rate)

    # Liquidity ------------------------------------------------------------------------------------

    def skip(self, now: int) -> None:
        """Come to `now` at no cost."""
        self._now = max(self._now, now)

    def follow(self, now: int) -> Iterator[Happening]:
        """Come to `now`, telling each taker and each change of the price on the way.

        After more than two minutes without a look only the price is followed, once a second.
        """
        if now - self._now > _COARSE_AFTER:
            while now - self._now > _COARSE_AFTER:
                self._now += SECOND
                yield Moved(self._now)
        while self._now < now:
            n = self._index()
            end = self._origin + (n + 1) * STEP
            for event in self._prints(n):
                if self._now < event.at <= now:
                    self._now = event.at
                    yield event
            self._now = min(end, now)
            if self._now == end:
                yield Moved(end)

    def settle(self) -> Iterator[Happening]:
        """Do nothing: this book is always the present one."""
        return iter(())

    def levels(self, side: Side) -> Iterator[Level]:
        """List what stands on a side now, less what own orders took."""
        levels = self._displayed(self._index(), side)
        return self._taken.thin(side, levels, self._now) if self._taken else levels

    def take(self, side: Side, price: Decimal, quantity: Decimal) -> None:
        """Note what an own order took."""
        self._taken.add(side, price, quantity, self._now)

    def halted(self) -> bool:
        """Tell whether this is one of the halts of the stress preset."""
        minute, into = divmod(max(0, self._now - self._origin), 60 * SECOND)
        return bool(self._preset.halt) and into < 10 * SECOND and self._halts.uniform(minute) < self._preset.halt

    # The book -------------------------------------------------------------------------------------

    def _index(self) -> int:
        return (self._now - self._origin) // STEP

    def _touch(self, n: int) -> _Touch:
        if self._touched is not None and self._touched[0] == n:
            return self._touched[1]
        preset, walked = self._preset, self._walk.at(n)
        middle = self._start * exp(walked * 1e-4)
        spread, depth = preset.spread, 1.0
        window = n // preset.wide_steps
        if preset.wide and self._wide.uniform(2 * window) < preset.wide:
            spread += preset.wide_spread * 2 * self._wide.uniform(2 * window + 1)
            depth = preset.wide_depth
        gap = max(1, round(spread * self._bp))
        bid = floor(middle - (gap - 1) / 2)
        bid = max(bid, 1)
        ahead = (self._walk.at(n + _LEAD) - walked) / self._lead_sigma
        lean = tanh(0.25 * ahead + 0.7 * self._mood.normal(n >> 3))
        size = self._touch_steps * depth
        touch = _Touch(
            bid,
            bid + gap,
            max(1, round(size * exp(0.6 * lean + 0.35 * self._queue.normal(2 * n)))),
            max(1, round(size * exp(-0.6 * lean + 0.35 * self._queue.normal(2 * n + 1)))),
            depth,
        )
        self._touched = (n, touch)
        return touch

    def _displayed(self, n: int, side: Side) -> Iterator[Level]:
        touch = self._touch(n)
        buy = side is Side.BUY
        first, steps = (touch.bid, touch.bid_steps) if buy else (touch.ask, touch.ask_steps)
        g = -(-first // self._grid) - 1 if buy else first // self._grid + 1
        last = max(0, g - self._far) if buy else g + self._far
        behind = self._standing(n, range(g, last, -1 if buy else 1), buy=buy)
        if touch.depth != 1.0:
            behind = ((price, self._scaled(quantity, touch.depth)) for price, quantity in behind)
        return chain(((first * self._tick, steps * self._step),), behind)

    def _standing(self, n: int, numbers: range, *, buy: bool) -> Iterator[Level]:
        """List what stands on the levels of these numbers. Short: closing a generator costs by its length."""
        cache = self._cache[buy]
        if len(cache) > _KEPT_LEVELS:
            cache.clear()
        known = cache.get
        for k in numbers:
            entry = known(k)
            if entry is None or entry[0] <= n:
                entry = self._renewed(cache, buy, k, n)
            if entry[1] is not None:
                yield entry[1]

    def _scaled(self, quantity: Decimal, factor: float) -> Decimal:
        return max(1, round(float(quantity / self._step) * factor)) * self._step

    def _renewed(
        self,
        cache: dict[int, tuple[int, Level | None]],
        buy: bool,  # noqa: FBT001 - as the number that it is
        k: int,
        n: int,
    ) -> tuple[int, Level | None]:
        """Draw what stands on the k-th level from step `n` on, and say until when."""
        shift = (k & 15) * 16  # A level lasts 16 seconds; they are not all renewed at once.
        epoch = (n + shift) >> 8
        number = (k << 34) + (epoch << 1) + buy
        level: Level | None = None
        if not self._gap or self._wide.uniform(-number) >= self._gap:
            steps = round(self._level_steps * _SCATTER[self._quantile(number)])
            level = (k * self._apart, (steps or 1) * self._step)
        cache[k] = entry = ((epoch + 1 << 8) - shift, level)
        return entry

    # The others -----------------------------------------------------------------------------------

    def _prints(self, n: int) -> list[Print]:
        noise, base = self._takers, n * 32
        u, count, chance = noise.uniform(base), 0, self._quiet
        total = chance
        while u >= total and count < _MOST_TAKERS:
            count += 1
            chance *= self._rate / count
            total += chance
        if not count or self.halted():
            return []
        here = self._walk.at(n)
        coming = (self._walk.at(n + 16) - here) / (4 * self._sigma)
        crowd = 1.7 * self._mood.normal(-(n >> 3) - 1)
        prints: list[Print] = []
        times = sorted([noise.uniform(base + 1 + 3 * i) for i in range(count)])
        for i, into in enumerate(times):
            z = noise.normal(base + 2 + 3 * i)
            knows = 0.6 * (1.0 + 1.2 * max(0.0, z - 0.8))
            buys = crowd + knows * coming + noise.normal(base + 3 + 3 * i) > 0
            preset = self._preset
            quote = min(preset.size_most, exp(preset.size_mu + preset.size_sigma * z))
            steps = max(1, round(quote * self._taker_steps))
            at = self._origin + n * STEP + 1 + int(into * (STEP - 2))
            prints.extend(self._sweep(n, at, Side.BUY if buys else Side.SELL, steps * self._step))
        return prints

    def _sweep(self, n: int, at: int, taker: Side, quantity: Decimal) -> Iterator[Print]:
        """Walk the displayed book; what own orders took from it does not change what others do."""
        for price, there in self._displayed(n, taker.opposite):
            yield Print(at, taker, price, min(quantity, there))
            quantity -= there
            if quantity <= 0:
                return
