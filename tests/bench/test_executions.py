"""How late children are, where some had not left when the time was over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from bench.executions import _lateness
from messages.control import Committed
from tests.factories import NOW, a_plan, a_planned, an_intent


def after(seconds: float) -> Any:
    return NOW + timedelta(seconds=seconds)


class Told:
    """A daemon's journal: three executions a second apart, the second decided and not sent, the third neither."""

    def facts(self, *_: str) -> Iterator[Committed]:
        for number, of in enumerate(("one", "two", "three", "too late")):
            start = after(9.5) if of == "too late" else after(number)
            yield Committed(number, NOW, a_planned(execution_id=of, plan=a_plan(start_at=start)))
        yield Committed(5, after(0.25), an_intent(execution_id="one", client_order_id="one-0"))
        yield Committed(6, after(3), an_intent(execution_id="two", client_order_id="two-0"))


def test_what_never_left_is_as_late_as_it_was_at_the_end() -> None:
    daemon: Any = Told()
    decided, left, owed = _lateness(daemon, {"one-0": after(0.5)}, NOW, after(10))
    assert decided == [250.0, 2_000.0, 8_000.0]
    assert left == [500.0, 9_000.0, 8_000.0]
    assert owed == 2
