"""Many changes made durable in one go: what a busy server does before it lets its replies out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

from adapters.paper.records import LiveOrder, TradeRecord
from adapters.paper.store import AccountFile
from adapters.storage.log_keeper import LOOK_SECONDS, LogKeeper

LONGEST_LOG = 32_000
"""Pages of 1 kB in the log before a save writes it back, if nobody else has."""

KEPT_SAVES = 100
"""Saves after which the log is written back: about a thousand pages."""


class GroupedFile(AccountFile):
    """An account file that gathers what is to be saved until `flush`.

    Whoever uses it must not tell anyone of a change before the next `flush`; `close` is one, too.
    """

    def __init__(self, path: Path | str) -> None:
        """Open `path` as `AccountFile` does."""
        super().__init__(path)
        self._db.pragma("wal_autocheckpoint", LONGEST_LOG)
        self._orders: dict[tuple[str, int], LiveOrder] = {}
        self._trades: list[TradeRecord] = []
        self._balances: dict[str, tuple[str, Decimal, Decimal]] = {}
        self._received: list[Mapping[str, object]] = []
        self._meta: dict[str, str] = {}

    def save(
        self,
        *,
        orders: Iterable[LiveOrder],
        trades: Iterable[TradeRecord],
        balances: Iterable[tuple[str, Decimal, Decimal]],
        received: Iterable[Mapping[str, object]],
        meta: Mapping[str, str],
    ) -> None:
        """Remember to make all of this durable."""
        self._orders |= {(order.new.symbol, order.order_id): order for order in orders}
        self._trades += trades
        self._balances |= {balance[0]: balance for balance in balances}
        self._received += received
        self._meta |= meta

    def log_keeper(self, *, step: int = KEPT_SAVES, look_seconds: float = LOOK_SECONDS) -> LogKeeper:
        """Make one who writes the log back beside the server, which would stand still meanwhile."""
        return LogKeeper(self.path, lambda: self.saves, step=step, look_seconds=look_seconds)

    def flush(self) -> None:
        """Make everything durable that was to be saved, or (on an error, which is raised) nothing."""
        if not self._meta:
            return
        super().save(
            orders=self._orders.values(),
            trades=self._trades,
            balances=self._balances.values(),
            received=self._received,
            meta=self._meta,
        )
        self._orders, self._trades, self._balances, self._received, self._meta = {}, [], {}, [], {}

    def close(self) -> None:
        """Flush, and close the file."""
        self.flush()
        super().close()
