"""A start behind a long journal: it may take its time, as long as it gets on."""

from __future__ import annotations

import pytest

from actors.runtime import Simulation
from messages.control import DaemonStands, Readiness
from messages.ids import microseconds
from tests.simulation.whole import Stage


def test_a_start_is_not_given_up_while_the_journal_is_still_being_read(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(simulation).start()
    for number in range(15):
        stage.report(stage.accepted("0.01", id=str(number)))
    stage.world.crash()
    monkeypatch.setattr("actors.journal.REPLAY_SLICE", 1)
    simulation.stall(0.7, 0.5)
    began = simulation.now()
    stage.world.launch()
    news = stage.world.news
    assert simulation.run_until(lambda: news.readiness is Readiness.READY or news.ended is not None, 3_600.0)
    assert news.ended is None, news.ended
    assert simulation.now() - began > 45.0, "it was over too soon to try anybody's patience"


def test_time_that_ran_out_when_more_had_been_given_ends_no_start(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation.cancel_late(1.0, 60.0)
    test_a_start_is_not_given_up_while_the_journal_is_still_being_read(simulation, monkeypatch)


def test_a_start_waits_until_more_may_be_asked_where_earlier_starts_have_used_up_the_weight(
    simulation: Simulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = Stage(simulation).start()
    stage.accepted("0.5", twap={"num_chunks": 2, "interval_seconds": 60})
    stage.until("ChildClosed")  # One that is under way would have to be asked about too.
    stage.world.crash()
    exchange = stage.world.exchange
    exchange.limits.add_weight(5_300, exchange.time(microseconds(simulation.wall_time())))
    words: list[str] = []
    news_of = type(stage.world.news)
    tell = news_of.tell

    def hear(self: object, news: object) -> None:
        if isinstance(news, DaemonStands):
            words.append(news.detail)
        tell(self, news)  # type: ignore[arg-type]

    monkeypatch.setattr(news_of, "tell", hear)
    began = simulation.now()
    stage.world.launch()
    news = stage.world.news
    assert simulation.run_until(lambda: news.readiness is Readiness.READY or news.ended is not None, 120.0)
    assert news.ended is None, news.ended
    assert 40.0 < simulation.now() - began < 70.0
    assert words[3] == "waiting for order_watcher (the weight of requests is used up for another 41 s)"
