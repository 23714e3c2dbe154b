"""The dashboard's endpoints: the page, and views of how things stand. Nothing here changes anything.

What the page may do it does over `/v1`, with the token; see `open_to_look` for who may look without it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import orjson
from aiohttp import web
from prometheus_client.core import Metric

from adapters.execution_views import ExecutionView
from adapters.projection import Projection
from adapters.tie_metrics import tie_metrics
from adapters.views import Json, iso
from adapters.vitals import Vitals
from adapters.web.assets import HEADERS, Assets
from adapters.web.progress import progress
from messages.control import DaemonStands
from messages.money import plain

CLOSED_SHOWN: Final = 30
SIGNALS_SHOWN: Final = 50
ALERTS_SHOWN: Final = 50
MAILBOXES_SHOWN: Final = 20
SAME_FOR_SECONDS: Final = 0.1
"""For how long one view of how things stand serves all who ask."""

TOKEN_SHOWN: Final = web.RequestKey("token_shown", bool)
"""Whether the request showed the token; the guard at the door sets it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the page's figures come from, besides the journal; the defaults know nothing."""

    account: str = ""
    vitals: Vitals = field(default_factory=Vitals)
    mailboxes: Callable[[], list[tuple[str, int]]] = list
    commits: Callable[[], Json] = dict
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


def open_to_look(path: str) -> bool:
    """Tell whether a path only shows, and shows no more than the dashboard does."""
    return path == "/" or path.startswith("/ui/")


def is_page(path: str) -> bool:
    """Tell whether a path is one of the page's own files, which are the same everywhere and hold no secret."""
    return path == "/" or path.startswith("/ui/static/")


class Site:
    """The page and its views; everything here happens in the loop's thread."""

    def __init__(
        self,
        projection: Projection,
        sources: Sources,
        *,
        stands: Callable[[], DaemonStands],
        readers: Callable[[], int],
        events: Callable[[web.Request], Awaitable[web.StreamResponse]],
        find: Callable[[str], Awaitable[ExecutionView | None]],
    ) -> None:
        """Prepare; `stands` and `readers` say how the daemon stands and how many read its events."""
        self._projection, self._sources = projection, sources
        self._stands, self._readers, self._events, self._find = stands, readers, events, find
        self._assets = Assets()
        self._state: tuple[float, int, Json] | None = None

    def add_to(self, app: web.Application) -> None:
        """Name the endpoints."""
        app.add_routes(
            [
                web.get("/", self.get_page),
                web.get("/ui/static/{path:.+}", self.get_static),
                web.get("/ui/state", self.get_state),
                web.get("/ui/executions/{id}", self.get_execution),
                web.get("/ui/prices/{symbol}", self.get_prices),
                web.get("/ui/events", self._events),
            ]
        )

    async def get_page(self, request: web.Request) -> web.Response:
        """Send the page."""
        return self._assets.response("index.html", request)

    async def get_static(self, request: web.Request) -> web.Response:
        """Send one of the page's files."""
        return self._assets.response(request.match_info["path"], request)

    async def get_state(self, request: web.Request) -> web.Response:
        """Tell how everything stands, and whether the reader may act."""
        return _view({**self._present(), "may_act": request.get(TOKEN_SHOWN, False)})

    async def get_execution(self, request: web.Request) -> web.Response:
        """Tell all about one execution and how it does against its schedule."""
        view = await self._find(request.match_info["id"])
        if view is None:
            return _view({"status": "rejected", "reason": "NOT_FOUND", "detail": "no such execution"}, 404)
        return _view({**view.view(), **self._progress(view, self._sources.now()), "seq": self._projection.seq})

    async def get_prices(self, request: web.Request) -> web.Response:
        """List a symbol's mids of the last hour as [second, price], one a second at most."""
        prices = self._sources.vitals.prices(request.match_info["symbol"])
        return _view({"prices": [[second, plain(price)] for second, price in prices]})

    def metrics(self) -> Iterator[Metric]:
        """Give the figures of ties and health to a monitoring system."""
        return tie_metrics(self._sources.vitals.view(), self._health())

    # Views ------------------------------------------------------------------------------------

    def _present(self) -> Json:
        """Say how things stand, at most as old as `SAME_FOR_SECONDS` unless a fact has come."""
        now = self._sources.now()
        seq = self._projection.seq
        if self._state is not None and self._state[1] == seq and now.timestamp() - self._state[0] < SAME_FOR_SECONDS:
            return self._state[2]
        state = self._look(now)
        self._state = now.timestamp(), seq, state
        return state

    def _look(self, now: datetime) -> Json:
        projection, stands = self._projection, self._stands()
        return {
            "now": iso(now),
            "seq": projection.seq,
            "journal_id": projection.journal_id,
            "mode": projection.mode,
            "account": self._sources.account,
            "version": projection.version,
            "epoch": projection.epoch,
            "started_at": None if projection.started_at is None else iso(projection.started_at),
            "readiness": stands.readiness.value,
            "detail": stands.detail or None,
            "halted": projection.halted,
            "vitals": self._sources.vitals.view(),
            "running": [{**one.summary(), **self._progress(one, now)} for one in projection.open_views()],
            "closed": [one.summary() for one in projection.closed_views(CLOSED_SHOWN)],
            "signals": projection.signals()[: -SIGNALS_SHOWN - 1 : -1],
            "alerts": _standing_first(projection.alerts())[:ALERTS_SHOWN],
            "health": self._health(),
        }

    def _health(self) -> Json:
        mailboxes = self._sources.mailboxes()
        fullest = sorted(mailboxes, key=lambda mailbox: -mailbox[1])[:MAILBOXES_SHOWN]
        return {
            "commits": self._sources.commits(),
            "lateness": self._projection.lateness.view(),
            "actors": len(mailboxes),
            "waiting": sum(waiting for _, waiting in mailboxes),
            "mailboxes": [list(mailbox) for mailbox in fullest],
            "readers": self._readers(),
        }

    def _progress(self, view: ExecutionView, now: datetime) -> Json:
        wait = self._sources.vitals.waits_for(view.accepted.execution_id)
        return progress(view, now, wait, halted=self._projection.halted is not None)


def _standing_first(alerts: list[Json]) -> list[Json]:
    newest_first = alerts[::-1]
    return sorted(newest_first, key=lambda alert: alert["cleared_at"] is not None)


def _view(body: Json, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        content_type="application/json",
        headers={**HEADERS, "Cache-Control": "no-store"},
    )
