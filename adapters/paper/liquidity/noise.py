"""Chance that can be asked for by number, in any order: the same seed and number give the same draw.

So a market drawn from it is a function of seed and time alone: who looks when, and what own orders
do, cannot change its course.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from math import sqrt
from statistics import NormalDist

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_UNIT = 2.0**-53
_POINTS = 4096
NORMAL = tuple(NormalDist().inv_cdf((i + 0.5) / _POINTS) for i in range(_POINTS))
"""The standard normal distribution's value at each quantile."""


class Noise:
    """A stream of draws, numbered from 0 on, that belongs to a seed and a name."""

    __slots__ = ("_key",)

    def __init__(self, seed: int | str, name: str) -> None:
        digest = blake2b(f"{seed}\x1f{name}".encode(), digest_size=8).digest()
        self._key = int.from_bytes(digest, "big")

    def bits(self, number: int) -> int:
        """Draw 64 bits (the finaliser of SplitMix64)."""
        a = (self._key + number * _GOLDEN) & _MASK
        a = ((a ^ (a >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        a = ((a ^ (a >> 27)) * 0x94D049BB133111EB) & _MASK
        return a ^ (a >> 31)

    def uniform(self, number: int) -> float:
        """Draw from [0, 1)."""
        a = (self._key + number * _GOLDEN) & _MASK  # As `bits`, without its call.
        a = ((a ^ (a >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        a = ((a ^ (a >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((a ^ (a >> 31)) >> 11) * _UNIT

    def quantile(self, number: int) -> int:
        """Draw one of 4,096 equally likely numbers: the first 12 of its bits, which the last step leaves alone."""
        a = (self._key + number * _GOLDEN) & _MASK
        a = ((a ^ (a >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        return (((a ^ (a >> 27)) * 0x94D049BB133111EB) & _MASK) >> 52

    def normal(self, number: int) -> float:
        """Draw from the standard normal distribution (4,096 quantiles, so within 3.7 deviations)."""
        a = (self._key + number * _GOLDEN) & _MASK  # As `quantile`, which a call would make dearer by a third.
        a = ((a ^ (a >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        return NORMAL[(((a ^ (a >> 27)) * 0x94D049BB133111EB) & _MASK) >> 52]


class Walk:
    """A random walk that can be looked at in any order: a Brownian bridge refined where one looks.

    `at(n)` is the walk after n steps of standard deviation `sigma`; `at(0)` is 0. A look costs a few
    draws near the last one and about twenty anywhere else.
    """

    _BLOCK = 1 << 21
    _KEPT = 8192

    def __init__(self, noise: Noise, sigma: float) -> None:
        self._noise, self._sigma = noise, sigma
        self._blocks = [0.0]
        self._cache: dict[int, float] = {}
        self._spread = _spread_of(sigma)

    def at(self, n: int) -> float:
        """Say where the walk is after `n` steps."""
        cached = self._cache.get(n)
        if cached is not None:
            return cached
        low = n & -n
        cache, before, after = self._cache, n - low, n + low
        if not low or low >= self._BLOCK:
            cache[n] = block = self._block(n // self._BLOCK)
            return block
        left = cache.get(before)
        if left is None:
            left = self.at(before)
        right = cache.get(after)
        if right is None:
            right = self.at(after)
        value = (left + right) / 2 + self._spread[low] * self._noise.normal(n)
        if len(cache) >= self._KEPT:
            cache.clear()
        cache[n] = value
        return value

    def _block(self, index: int) -> float:
        while len(self._blocks) <= index:
            step = self._sigma * sqrt(self._BLOCK) * self._noise.normal(-len(self._blocks))
            self._blocks.append(self._blocks[-1] + step)
        return self._blocks[index]


@cache
def _spread_of(sigma: float) -> Mapping[int, float]:
    """How far the middle of a bridge strays, by half its length in steps; the presets have few different sigmas."""
    return {1 << k: sigma * sqrt((1 << k) / 2) for k in range(21)}
