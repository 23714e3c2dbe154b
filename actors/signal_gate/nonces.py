"""Which nonces of signed requests were used up: a fold of `NonceUsed`, bounded by their own ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from heapq import heappop, heappush
from typing import Final

from messages.facts import NonceUsed

KEPT_LONGER: Final = timedelta(minutes=10)
"""Beyond its end a nonce is kept for so long, lest a wall clock that is set back lets it in again."""


class Nonces:
    """Remembers (sender, nonce) until no timestamp could let the request in any more. Times are aware UTC."""

    def __init__(self) -> None:
        self._used: dict[tuple[str, str], datetime] = {}
        self._ends: list[tuple[datetime, tuple[str, str]]] = []

    def use(self, fact: NonceUsed) -> None:
        """Remember a nonce."""
        key, end = (fact.sender, fact.nonce), fact.until + KEPT_LONGER
        self._used[key] = end
        heappush(self._ends, (end, key))

    def used(self, sender: str, nonce: str, now: datetime) -> bool:
        """Tell whether a nonce was used, and forget those that have run out by `now`."""
        while self._ends and self._ends[0][0] <= now:
            end, key = heappop(self._ends)
            if self._used.get(key) == end:
                del self._used[key]
        return (sender, nonce) in self._used

    def __len__(self) -> int:
        """Count what is remembered."""
        return len(self._used)
