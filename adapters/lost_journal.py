"""A new journal on an account that has traded before: was one lost?

Before anything is decided the exchange is asked for orders with ids of ours. If it has some, the journal
that sent them is somewhere else, or gone: going on as if nothing had been would take signals twice.
"""

from __future__ import annotations

import queue
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from actors.runtime import Runtime
from adapters import exits
from adapters.exits import Exit
from adapters.storage.directory import NoJournal
from adapters.storage.sqlite import SqliteStore
from messages.control import Committed
from messages.ids import milliseconds, parse_child_id
from messages.order import (
    AllOrdersFound,
    OpenOrdersFound,
    OrderSnapshot,
    Query,
    QueryAllOrders,
    QueryAnswer,
    QueryFailed,
    QueryOpenOrders,
    VenueCommand,
)
from messages.refs import Tells

ANSWER_SECONDS, AGAIN_SECONDS = 30.0, 1.0
NO_SUCH_SYMBOL = -1121
BAD_KEY = frozenset({401, -1002, -1022, -2008, -2014, -2015})
"""What the exchange says to a key or a signature that it will not have: of orders it says nothing."""

DAY_MS = 86_400_000
NAMED = 3
"""So many orders are named to the user."""


@dataclass(frozen=True, slots=True)
class OwnOrders:
    """What was found: ids, and how many of the orders are still open."""

    ids: tuple[str, ...]
    open: int


class _Ear:
    def __init__(self) -> None:
        self.heard: queue.SimpleQueue[QueryAnswer] = queue.SimpleQueue()

    def tell(self, message: QueryAnswer, /) -> None:
        self.heard.put(message)


class _Readable(Protocol):
    def read(self, after: int = 0, kinds: Collection[str] | None = None) -> Iterator[Committed]: ...


def is_new(store: _Readable) -> bool:
    """Whether a journal has never accepted a signal, nor been made from what an exchange told."""
    return next(iter(store.read(kinds=("SignalAccepted", "JournalRebuilt"))), None) is None


def since(runtime: Runtime, days: float) -> int:
    """Return the moment so many days ago, in ms since 1970."""
    return milliseconds(runtime.wall_time()) - int(days * DAY_MS)


def find_own_orders(
    runtime: Runtime, venue: Tells[VenueCommand], symbols: Sequence[str], since_ms: int, seconds: float = ANSWER_SECONDS
) -> OwnOrders:
    """Ask for the orders of each symbol, again and again where there is no answer.

    Raises `Exit` if the key is refused, or the time is over before all is known.
    """
    ear = _Ear()
    waiting: dict[Query, None] = {}
    for symbol in symbols:
        waiting[QueryOpenOrders(symbol=symbol, reply_to=ear)] = None
        waiting[QueryAllOrders(symbol=symbol, since=since_ms, reply_to=ear)] = None
    found: dict[str, OrderSnapshot] = {}
    deadline, detail = runtime.now() + seconds, "no answer"
    for query in waiting:
        venue.tell(query)
    while waiting:
        try:
            answer = ear.heard.get(timeout=max(0.0, deadline - runtime.now()))
        except queue.Empty:
            raise Exit(
                exits.UNAVAILABLE,
                f"whether the exchange has orders of an earlier journal could not be found out: {detail}",
            ) from None
        match answer:
            case OpenOrdersFound(symbol=symbol) | AllOrdersFound(symbol=symbol):
                kind = QueryOpenOrders if isinstance(answer, OpenOrdersFound) else QueryAllOrders
                waiting = {one: None for one in waiting if not (isinstance(one, kind) and one.symbol == symbol)}
                found |= {one.client_order_id: one for one in answer.orders if parse_child_id(one.client_order_id)}
            case QueryFailed(query=query):
                detail = answer.detail
                if answer.code in BAD_KEY:
                    raise Exit(exits.KEY_REFUSED, f"the exchange refuses this key: {detail}. Check venue.api_key")
                if answer.code == NO_SUCH_SYMBOL:
                    waiting.pop(query, None)  # Where it never was, no orders of ours can be.
                else:
                    runtime.tell_after(AGAIN_SECONDS, venue, query)
            case _:
                pass
    return OwnOrders(tuple(found), sum(not one.status.final for one in found.values()))


def refuse_if_lost(found: OwnOrders, data_dir: Path, days: float) -> None:
    """End with what to do if the exchange knows orders that a new journal does not. Raises `Exit`."""
    if not found.ids:
        return
    names = ", ".join(found.ids[:NAMED]) + (", ..." if len(found.ids) > NAMED else "")
    raise Exit(
        exits.DAMAGED,
        f"the journal in {data_dir} is new, but the exchange has {len(found.ids)} orders of ours of the last "
        f"{days:g} days, {found.open} of them open ({names}): nothing was sent. If another data_dir has their journal, "
        "use that one; if it was lost, restore a backup (run.py journal restore FILE); if there is none, "
        "run.py daemon --rebuild-from-exchange books and closes what the exchange still knows. See docs/operations.md",
    )


def refuse_to_rebuild_what_is_in_use(data_dir: Path) -> None:
    """End if there is a journal that has let signals in. Raises `Exit`, and what reading a journal raises."""
    with suppress(NoJournal), closing(SqliteStore(data_dir, read_only=True)) as store:
        if not is_new(store):
            raise Exit(
                exits.USAGE,
                f"the journal in {data_dir} is in use: there is nothing to rebuild. One that is of no use is moved "
                "away first",
            )
