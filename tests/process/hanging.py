"""`run.py` with an actor that hangs once a file is there: `hanging.py CLASS FILE [arguments of run.py]`.

It hangs as a deadlock does: its thread never comes back. Pings go out every half second, for a test's patience.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import run
from actors.daemon import Daemon, DaemonSettings
from actors.exchange.actor import ExchangeActor
from actors.journal import Journal
from actors.order_watcher.actor import OrderWatcher
from actors.signal_gate.actor import SignalGate
from adapters.config import Config

CRITICAL: dict[str, Any] = {one.__name__: one for one in (Journal, SignalGate, ExchangeActor, OrderWatcher, Daemon)}


def main() -> None:
    """Break one class, and run."""
    name, flag, *arguments = sys.argv[1:]
    broken, settings_of = CRITICAL[name], run.settings_of
    receive = broken.on_receive

    def hang(self: Any, message: Any) -> None:
        while Path(flag).exists():
            time.sleep(60)
        receive(self, message)

    broken.on_receive = hang

    def impatient(config: Config, *, rebuild_since: int | None = None) -> DaemonSettings:
        return replace(settings_of(config, rebuild_since=rebuild_since), ping_seconds=0.5, silence_seconds=5.0)

    run.settings_of = impatient
    sys.argv = [run.__file__, *arguments]
    run.main()


if __name__ == "__main__":
    main()
