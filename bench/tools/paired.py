"""Paired comparisons: means with bootstrap intervals, over blocks where neighbouring runs share a market."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import fmean

DRAWS = 2_000
_CHANCE = 20_240_808
"""What the resampling is drawn from; always the same, so that a table can be repeated."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and the interval that holds 95 % of its bootstrap."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


def bootstrap(
    rows: Sequence[tuple[float, ...]],
    blocks: Sequence[Hashable],
    statistic: Callable[[Sequence[float]], float] = lambda means: means[0],
) -> Estimate:
    """Estimate a statistic of the columns' means; `blocks` says which rows are drawn together.

    Rows of one block share their market, so they count as one observation, as large as the block.
    """
    groups: dict[Hashable, list[tuple[float, ...]]] = defaultdict(list)
    for row, block in zip(rows, blocks, strict=True):
        groups[block].append(row)
    sums = [tuple(map(sum, zip(*group, strict=True))) for group in groups.values()]
    sizes = [len(group) for group in groups.values()]
    chance = random.Random(_CHANCE)
    drawn = []
    for _ in range(DRAWS):
        chosen = chance.choices(range(len(sums)), k=len(sums))
        count = sum(sizes[index] for index in chosen)
        drawn.append(
            statistic([sum(sums[index][column] for index in chosen) / count for column in range(len(rows[0]))])
        )
    drawn.sort()
    whole = statistic([fmean(column) for column in zip(*rows, strict=True)])
    return Estimate(whole, drawn[int(0.025 * DRAWS)], drawn[int(0.975 * DRAWS) - 1])
