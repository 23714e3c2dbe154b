from __future__ import annotations

from dataclasses import replace
from functools import partial

from actors.runtime import Simulation
from adapters.config import Config
from adapters.simulation import World
from run import settings_of, start_daemon

SIGNAL = {
    "id": "x",
    "symbol": "ETHUSDT",
    "side": "buy",
    "quantity": "3",
    "twap": {"num_chunks": 3, "interval_seconds": "10"},
}


def test_an_execution_goes_on_to_its_end_though_its_symbol_is_no_longer_configured() -> None:
    with Simulation(1) as sim:
        world = World(sim, start_daemon)
        world.start()
        world.send(SIGNAL)
        sim.run(5)
        world.stop()
        settings = settings_of(Config())
        symbols = ("BTCUSDT",)
        world.start_daemon = partial(
            start_daemon,
            settings=replace(
                settings,
                gate=replace(settings.gate, symbols=symbols),
                exchange=replace(settings.exchange, symbols=symbols),
            ),
        )
        world.start()
        world.settle(120)
        (closed,) = world.news.closed.values()
        assert (closed.reason, closed.children) == ("COMPLETED", 3)
        world.stop()
        assert world.audit().ok
