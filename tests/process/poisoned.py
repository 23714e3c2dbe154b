"""`run.py` with an ExchangeActor that fails of each child order that its journal tells of."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import run
from actors.exchange.actor import ExchangeActor
from messages.control import Committed
from messages.facts import ChildIntended

receive = ExchangeActor.on_receive


def poisoned(self: ExchangeActor, message: Any) -> None:
    """Fail, as of a bug in what folds the journal."""
    if isinstance(message, Committed) and isinstance(message.fact, ChildIntended):
        raise ArithmeticError("of a test")  # noqa: TRY004 - what is wrong is not its type
    receive(self, message)


if __name__ == "__main__":
    ExchangeActor.on_receive = poisoned  # type: ignore[method-assign]
    run.main()
