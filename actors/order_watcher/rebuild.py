"""What the exchange still tells of a journal that was lost: own orders, found by their ids.

Each is booked as a child that was taken in, with its trades and its end, under the id that it has; so no
id is ever used again, and what the account traded is in the counts. What the signals asked for, and what
was left of it, nobody knows any more: nothing goes on, and what is open is cancelled.
"""

from __future__ import annotations

from messages.facts import JournalRebuilt
from messages.ids import from_milliseconds, parse_child_id
from messages.order import OrderSnapshot


class Rebuild:
    """The own orders that were found; `since` is from when on they are looked for, None = not at all."""

    def __init__(self, since: int | None) -> None:
        self.since = since
        self._waiting: dict[str, OrderSnapshot] = {}
        self._found: dict[str, bool] = {}
        self._executions: dict[str, None] = {}
        self._told = False

    @property
    def going_on(self) -> bool:
        """Whether orders are taken in still."""
        return self.since is not None and not self._told

    def take(self, order: OrderSnapshot) -> bool:
        """Note an order that the journal does not know; whether it is to be taken in now."""
        name = parse_child_id(order.client_order_id)
        if not self.going_on or name is None or name.cancel is not None:
            return False
        child = order.client_order_id
        if child in self._found:
            return False
        self._waiting[child] = order
        self._found[child] = not order.status.final
        self._executions[name.execution_id] = None
        return True

    def taken_in(self, child: str) -> OrderSnapshot | None:
        """Return how an order was found, once, now that its intent is durable."""
        return self._waiting.pop(child, None)

    def over(self) -> JournalRebuilt | None:
        """Return what was found once all of it is in the journal, one time; the caller knows that nothing is open."""
        if not self.going_on or self._waiting or self.since is None:
            return None
        self._told = True
        return JournalRebuilt(
            since=from_milliseconds(self.since),
            orders=len(self._found),
            executions=len(self._executions),
            cancelled=sum(self._found.values()),
        )
