"""The watchdog is fed only while every critical actor answers."""

from __future__ import annotations

from typing import Any

import pytest

from actors.market_watcher import MarketWatcher
from actors.runtime import Simulation
from messages.control import EveryoneAnswered, Ping
from tests.simulation.whole import Stage


def answered(stage: Stage, seconds: float, monkeypatch: pytest.MonkeyPatch) -> int:
    heard: list[Any] = []
    news_of = type(stage.world.news)
    tell = news_of.tell

    def hear(self: Any, news: Any) -> None:
        heard.append(news)
        tell(self, news)

    monkeypatch.setattr(news_of, "tell", hear)
    stage.run(seconds)
    monkeypatch.undo()
    return sum(isinstance(news, EveryoneAnswered) for news in heard)


def test_it_is_fed_once_a_round(simulation: Simulation, monkeypatch: pytest.MonkeyPatch) -> None:
    assert answered(Stage(simulation).start(), 60.0, monkeypatch) in {11, 12, 13}


def test_one_actor_that_does_not_answer_starves_it_and_ends_the_process(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(simulation).start()
    stage.run(6.0)
    receive = MarketWatcher.on_receive
    with monkeypatch.context() as deaf:
        deaf.setattr(
            MarketWatcher,
            "on_receive",
            lambda self, message: None if isinstance(message, Ping) else receive(self, message),
        )
        with pytest.MonkeyPatch.context() as inner:
            assert answered(stage, 15.0, inner) <= 1
        stage.run(30.0)
    assert stage.world.news.ended is not None
    assert stage.world.news.ended.exit_code == 1
    assert "market_watcher has not answered" in stage.world.news.ended.detail
