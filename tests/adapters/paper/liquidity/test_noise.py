from __future__ import annotations

import statistics

import pytest

from adapters.paper.liquidity.noise import Noise, Walk


def test_draws_depend_on_seed_name_and_number_alone() -> None:
    noise = Noise(1, "price")
    backwards = [noise.uniform(n) for n in reversed(range(100))]
    assert backwards[::-1] == [Noise(1, "price").uniform(n) for n in range(100)]
    assert noise.bits(5) != Noise(2, "price").bits(5)
    assert noise.bits(5) != Noise(1, "size").bits(5)


def test_uniform_draws_are_uniform_and_normal_ones_normal() -> None:
    noise = Noise(7, "x")
    uniform = [noise.uniform(n) for n in range(20_000)]
    normal = [noise.normal(n) for n in range(20_000)]
    assert 0.0 <= min(uniform) < max(uniform) < 1.0
    assert statistics.mean(uniform) == pytest.approx(0.5, abs=0.01)
    assert statistics.mean(normal) == pytest.approx(0.0, abs=0.03)
    assert statistics.pstdev(normal) == pytest.approx(1.0, abs=0.03)


def test_a_walk_is_the_same_in_whatever_order_it_is_looked_at() -> None:
    forwards, backwards, sparse = (Walk(Noise(3, "w"), 2.0) for _ in range(3))
    path = [forwards.at(n) for n in range(500)]
    assert [backwards.at(n) for n in reversed(range(500))] == path[::-1]
    assert sparse.at(333) == path[333]
    assert forwards.at(0) == 0.0


def test_a_walk_forgets_what_it_remembered_without_changing_its_course() -> None:
    walk = Walk(Noise(3, "w"), 2.0)
    early = walk.at(17)
    for n in range(20_000):
        walk.at(n)
    assert walk.at(17) == early


@pytest.mark.parametrize("stride", [1, 16, 1000])
def test_a_walk_spreads_with_the_root_of_time(stride: int) -> None:
    walk = Walk(Noise(11, "w"), 0.5)
    moves = [walk.at((n + 1) * stride) - walk.at(n * stride) for n in range(3000)]
    assert statistics.pstdev(moves) == pytest.approx(0.5 * stride**0.5, rel=0.06)


def test_a_walk_goes_on_beyond_a_block() -> None:
    walk = Walk(Noise(11, "w"), 1.0)
    edge = 1 << 21
    assert abs(walk.at(3 * edge + 1) - walk.at(3 * edge)) < 6.0
    assert abs(walk.at(3 * edge) - walk.at(3 * edge - 1)) < 6.0
