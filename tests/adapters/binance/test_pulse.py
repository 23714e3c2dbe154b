"""A loop that hangs is noticed: whoever waits for it would wait for ever."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from actors.runtime import Pool
from adapters.binance.pulse import MISSED, Pulse
from adapters.binance.venue import BinanceVenue
from tests.adapters.binance.conftest import settings_for
from tests.adapters.binance.stub import Stub, until


class Loop:
    """Answers where it is told to, and keeps the rest for later."""

    def __init__(self) -> None:
        self.turns, self.waiting = True, list[Any]()

    def call(self, function: Any) -> None:
        self.waiting.append(function)
        if self.turns:
            self.turn()

    def turn(self) -> None:
        waiting, self.waiting = self.waiting, []
        for function in waiting:
            function()


class Beats:
    """Has one timer at most, which a test lets go off."""

    def __init__(self) -> None:
        self.due: Any = None

    def tell_after(self, delay: float, ref: Any, message: Any) -> Any:
        assert delay == 5.0
        self.due = lambda: ref.tell(message)
        return self

    def cancel(self) -> None:
        self.due = None

    def go_off(self) -> None:
        due, self.due = self.due, None
        due()


@pytest.fixture
def world() -> tuple[Pulse, Beats, Loop, list[str]]:
    beats, loop, heard = Beats(), Loop(), list[str]()
    runtime: Any = beats
    venue_loop: Any = loop
    pulse = Pulse(runtime, venue_loop, 5.0, heard.append)
    pulse.begin()
    return pulse, beats, loop, heard


def test_a_loop_that_turns_is_asked_for_ever(world: tuple[Pulse, Beats, Loop, list[str]]) -> None:
    pulse, beats, _, heard = world
    for _ in range(50):
        beats.go_off()
    assert heard == []
    pulse.end()
    assert beats.due is None


def test_one_that_does_not_turn_any_more_is_told_of_once(world: tuple[Pulse, Beats, Loop, list[str]]) -> None:
    _, beats, loop, heard = world
    loop.turns = False
    for _ in range(MISSED):
        beats.go_off()
        assert heard == []
    beats.go_off()
    assert heard == ["the loop of the venue's adapter has not turned for 20 s"]
    assert beats.due is None


def test_one_that_comes_round_late_is_left_alone(world: tuple[Pulse, Beats, Loop, list[str]]) -> None:
    _, beats, loop, heard = world
    for _ in range(5):
        loop.turns = False
        for _ in range(MISSED - 1):
            beats.go_off()
        loop.turns = True
        loop.turn()
        beats.go_off()
    assert heard == []


def test_a_venue_whose_loop_hangs_says_that_it_is_broken(stub: Stub, pool: Pool) -> None:
    heard, free = list[str](), threading.Event()
    settings = settings_for(stub, pulse_seconds=0.2, close_seconds=0.1)
    with BinanceVenue(pool, settings, on_broken=heard.append) as venue:
        until(lambda: hasattr(venue, "_ws") and venue._ws.connected)
        assert heard == []
        venue._loop.call(lambda: free.wait(10))
        until(lambda: heard)
        free.set()
    assert len(heard) == 1
    assert "has not turned for" in heard[0]
