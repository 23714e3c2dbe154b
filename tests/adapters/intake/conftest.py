"""A loop in its thread, and listening intakes that are closed when the test is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.runtime import Pool
from adapters.loop_thread import LoopThread
from tests.adapters.intake.world import World


@pytest.fixture
def loop() -> Iterator[LoopThread]:
    with Pool(2) as pool, LoopThread(pool) as thread:
        yield thread


@pytest.fixture
def make(loop: LoopThread, tmp_path: Path) -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def make(**settings: Any) -> World:
        worlds.append(World(loop, tmp_path, **settings))
        return worlds[-1]

    yield make
    for world in worlds:
        world.intake.close()


@pytest.fixture
def world(make: Callable[..., World]) -> World:
    return make()
