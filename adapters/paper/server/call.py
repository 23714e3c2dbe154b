"""One request as the desks see it, and what they answer with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from adapters.paper.errors import ExchangeError
from adapters.paper.exchange import PaperExchange
from adapters.paper.server.feed import Feed
from adapters.paper.server.keys import ApiKey
from adapters.paper.server.replies import MILLISECOND

if TYPE_CHECKING:
    from adapters.paper.server.desk import Desk


@dataclass(slots=True, kw_only=True)
class Call:
    """A request that has come as far as being done: at `now` (microseconds, caller's clock), by `key`.

    `unit` is that of times in the reply (1000: ms, 1: µs); `via` is the way that it came, `rest` or `ws`;
    `status` may be raised by whoever does it.
    """

    desk: Desk
    params: Mapping[str, str]
    now: int
    key: ApiKey
    unit: int = MILLISECOND
    via: str = "rest"
    status: int = 200
    placed: bool = field(default=False)
    lag: float | None = None
    stale: float | None = None

    @property
    def exchange(self) -> PaperExchange:
        """The exchange that it is done at."""
        return self.desk.exchange

    @property
    def at(self) -> int:
        """Now on the exchange's clock, in microseconds."""
        return self.exchange.time(self.now)

    def charge(self, weight: int) -> None:
        """Count a request that the exchange itself does not count; -1003 if that is too much."""
        self.exchange.limits.check_weight(weight, self.at)
        self.exchange.limits.add_weight(weight, self.at)

    def feed(self, symbol: str) -> Feed:
        """Look at a symbol's market as it is now."""
        return self.desk.feed(symbol, self.now)

    def followed(self, symbol: str) -> Feed:
        """Look at a symbol's market as one who wants to know what is traded there, and will ask again."""
        self.desk.on_asked(symbol)
        return self.feed(symbol)


class HalfDone(ExchangeError):
    """A cancelReplace of which not both halves succeeded: `data` tells each half (protocol §5.5)."""

    def __init__(self, code: int, message: str, http_status: int, data: Mapping[str, object]) -> None:
        super().__init__(code, message, http_status)
        self.data = data


def flag(params: Mapping[str, str], name: str, *, default: bool = False) -> bool:
    """Read a switch, `true` or `false`."""
    value = params.get(name)
    if value is None:
        return default
    if value not in {"true", "false"}:
        raise ExchangeError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^(true|false)$'.")
    return value == "true"


NO_KEY = ApiKey(key="", secret="", may_trade=False)
ZERO = Decimal(0)
