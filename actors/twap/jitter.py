"""Jitter: slices of uneven sizes at uneven times, so that nobody reads the next one off the last.

All of it is drawn from the execution's id, so a plan that is made again is the same one, and nothing
is random that has to add up: the total is exact, every slice whole steps within its bounds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from hashlib import blake2b

from messages.money import ONE, ZERO

MOST_JITTER = Decimal("0.5")
"""A slot begins in the first half of its interval at the latest, so that its guards have time to wait."""

_BYTES = 8
_SCALE = 1 << (8 * _BYTES)


def draws(seed: str) -> Iterator[Decimal]:
    """Draw numbers from 0 (included) to 1 (excluded), always the same ones from a seed."""
    block = 0
    while True:
        digest = blake2b(f"{seed}/{block}".encode()).digest()
        for index in range(0, len(digest), _BYTES):
            yield Decimal(int.from_bytes(digest[index : index + _BYTES])) / _SCALE
        block += 1


def uneven(sizes: Sequence[int], jitter: Decimal, seed: str, *, least: int, most: int) -> list[int]:
    """Change each size (whole steps) by up to a share of itself, up or down, with the sum as it was.

    None falls below `least` or rises above `most`, unless it was there before.
    """
    low = [min(size, max(least, _whole(size * (ONE - jitter), ROUND_CEILING))) for size in sizes]
    high = [max(size, min(most, _whole(size * (ONE + jitter), ROUND_FLOOR))) for size in sizes]
    drawn = [
        min(top, max(bottom, _whole(size * (ONE + jitter * (2 * share - ONE)), ROUND_FLOOR)))
        for size, bottom, top, share in zip(sizes, low, high, draws(f"{seed}/size"), strict=False)
    ]
    missing = sum(sizes) - sum(drawn)
    edge = high if missing > 0 else low
    sign = 1 if missing > 0 else -1
    rooms = [abs(bound - size) for bound, size in zip(edge, drawn, strict=True)]
    shares = _in_proportion(abs(missing), rooms)
    return [size + sign * share for size, share in zip(drawn, shares, strict=True)]


def delays(count: int, interval: Decimal, jitter: Decimal, seed: str) -> tuple[Decimal, ...]:
    """Say for each of `count` slots how long after its interval's beginning it is due.

    In seconds, whole microseconds, from 0 up to the share `jitter` of the interval.
    """
    span = interval * jitter * 1_000_000
    return tuple(
        Decimal(_whole(span * share, ROUND_FLOOR)) / 1_000_000
        for _, share in zip(range(count), draws(f"{seed}/time"), strict=False)
    )


def _in_proportion(amount: int, rooms: Sequence[int]) -> list[int]:
    """Share `amount` among rooms that hold it together, each in proportion to its size."""
    total = sum(rooms)
    shares = [amount * room // total if total else 0 for room in rooms]
    left = amount - sum(shares)
    for index, room in enumerate(rooms):
        more = min(left, room - shares[index], 1)
        shares[index] += more
        left -= more
    return shares


def _whole(amount: Decimal, rounding: str) -> int:
    return int(amount.to_integral_value(rounding)) if amount > ZERO else 0
