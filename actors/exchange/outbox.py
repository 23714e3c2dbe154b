"""What waits to go to the venue: cancels before proofs before polls, none of them lost."""

from __future__ import annotations

from collections import deque

from actors.exchange.budget import Budget, Priority, weight_of
from messages.order import Query, SendCancel

_ORDER = (Priority.CANCEL, Priority.PROOF, Priority.POLL)


class Outbox:
    """Queues of cancels and queries. A query that waits already is not queued twice.

    At most `room` queries wait at each priority, so that a long ban can't fill the memory; cancels
    are not bounded, there is one for each open order.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._waiting: dict[Priority, deque[SendCancel | Query]] = {level: deque() for level in _ORDER}
        self._waiting_queries: dict[Query, Priority] = {}

    def __len__(self) -> int:
        return sum(len(waiting) for waiting in self._waiting.values())

    def put_cancel(self, cancel: SendCancel) -> None:
        """Queue a cancel."""
        self._waiting[Priority.CANCEL].append(cancel)

    def put_query(self, query: Query, priority: Priority) -> bool:
        """Queue a query; False if there is no room for it and its asker must be told so."""
        before = self._waiting_queries.get(query)
        if before is not None and before >= priority:
            return True
        if len(self._waiting[priority]) >= self._room:
            return before is not None
        if before is not None:
            self._waiting[before].remove(query)
        self._waiting[priority].append(query)
        self._waiting_queries[query] = priority
        return True

    def take(self, budget: Budget, now: float) -> tuple[list[SendCancel | Query], float | None]:
        """Return what may go now, counted as used, and when to look again (monotonic s) if ever."""
        going: list[SendCancel | Query] = []
        for priority in _ORDER:
            waiting = self._waiting[priority]
            while waiting:
                weight = weight_of(waiting[0])
                retry_at = budget.retry_at(weight, priority, now)
                if retry_at is not None:
                    return going, retry_at
                command = waiting.popleft()
                if not isinstance(command, SendCancel):
                    del self._waiting_queries[command]
                budget.spend(weight, now)
                going.append(command)
        return going, None
