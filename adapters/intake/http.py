"""The HTTP face: signals and commands in, views, events, health and metrics out.

This file listens, guards the door and ends; `routes.py` has a handler for each endpoint.
"""

from __future__ import annotations

import errno
import hmac
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from adapters.client import TOKEN_FILE
from adapters.intake.bridge import run_and_wait
from adapters.intake.fields import MAX_BODY
from adapters.intake.floods import FloodFilter
from adapters.intake.hooks import HOOK_PATH, Hook, Hooks, public_path
from adapters.intake.routes import SIGNALS_PATH, Routes, Senders, refusal
from adapters.intake.signatures import SIGNATURE
from adapters.intake.template_tables import READY_TABLES, TemplateTable
from adapters.intake.templates import templates_of
from adapters.intake.token import keep_token
from adapters.loop_thread import LoopThread
from adapters.projection import Projection
from adapters.servers import stop_server
from adapters.web.site import TOKEN_SHOWN, Site, Sources, is_page, open_to_look
from messages.control import DaemonStands, DaemonUp
from messages.signal import Reason

OPEN_ON_LOOPBACK: Final = frozenset({"/livez", "/readyz", "/metrics"})
"""Paths that need no token while only this machine can reach them."""

CLOSE_SECONDS: Final = 1.0
"""What a request under way gets to end by itself; one that is stuck takes a few times that."""

logger = logging.getLogger("tidegate.http")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
ServerHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class PortInUse(Exception):
    """The address can't be listened on: another program has it, or it is not for us to take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Where to listen, and whom to let in.

    `port` 0 takes a free one. `token` is the bearer token that every request must show. While
    listening, the address stands in `address_file` as `{"host", "port"}`. `allowed_hosts` are more
    names that a Host header may hold. `answer_seconds` bounds the wait for an actor's answer.
    `hook_token` opens /hook/<token> and nothing else, as does each of `templates`' own; the bearer token
    opens it too. `signing_keys` are secrets by key id; with `require_signature` no unsigned signal is
    taken by /v1/signals. With `read_without_token` whoever is on this machine may look at the dashboard, but not act.
    """

    token: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 8787
    address_file: Path | None = None
    allowed_hosts: tuple[str, ...] = ()
    answer_seconds: float = 5.0
    max_streams: int = 32
    hook_token: str | None = field(default=None, repr=False)
    templates: Mapping[str, TemplateTable] = field(default_factory=lambda: READY_TABLES)
    signing_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    require_signature: bool = False
    read_without_token: bool = True


class HttpIntake:
    """Listens for signals and serves what the journal says.

    `start` takes the port; until `connect` hands over the actors, everything is answered NOT_READY.
    All methods may be called from any thread but the loop's.
    """

    def __init__(
        self,
        loop: LoopThread,
        settings: HttpSettings,
        projection: Projection | None = None,
        sources: Sources | None = None,
    ) -> None:
        """Prepare; `projection` belongs to the loop's thread from now on, `sources` feed the dashboard."""
        if not settings.token:
            raise ValueError("the bearer token must not be empty")
        self._loop, self._settings = loop, settings
        self._loopback = _is_loopback(settings.host)
        self._token = settings.token.encode()
        self._hosts = {"localhost", "127.0.0.1", "[::1]", settings.host, *settings.allowed_hosts}
        projection = projection or Projection()
        self.routes = Routes(
            projection,
            Senders(
                wall_time=loop.runtime.wall_time,
                hooks=_hooks_of(settings),
                keys=dict(settings.signing_keys),
                required=settings.require_signature,
            ),
            answer_seconds=settings.answer_seconds,
            max_streams=settings.max_streams,
        )
        self.site = Site(
            projection,
            sources or Sources(),
            stands=lambda: self.routes.stands,
            readers=lambda: self.routes.readers,
            events=self.routes.get_events,
            find=self.routes.find,
        )
        self.routes.more_metrics = self.site.metrics
        self._runner: web.AppRunner | None = None

    def start(self) -> int:
        """Listen, and return the port. Raises `PortInUse`."""
        port = run_and_wait(self._loop, self._open())
        if self._settings.address_file is not None:
            keep_token(self._settings.address_file.with_name(TOKEN_FILE), self._settings.token)
            _write_address(self._settings.address_file, self._settings.host, port)
        return port

    def connect(self, up: DaemonUp) -> None:
        """Hand signals and commands to these actors from now on, and follow their journal."""
        self._loop.call(lambda: self.routes.connect(up))

    def stands(self, stands: DaemonStands) -> None:
        """Say on /readyz how the daemon stands."""
        self._loop.call(lambda: self.routes.stand(stands))

    def close(self) -> None:
        """Listen no more; streams of events end, requests under way get a moment."""
        if self._settings.address_file is not None:
            self._settings.address_file.unlink(missing_ok=True)
        try:
            run_and_wait(self._loop, self._shut(), seconds=8 * CLOSE_SECONDS)
        except TimeoutError:  # The loop ends it; how the daemon ended is for others to say.
            logger.warning("the HTTP server did not end in time")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _open(self) -> int:
        app = web.Application(
            client_max_size=MAX_BODY,
            middlewares=[self._door],
        )
        self.routes.add_to(app)
        self.site.add_to(app)
        runner = web.AppRunner(
            app, access_log=None, logger=_server_logger(), handle_signals=False, shutdown_timeout=CLOSE_SECONDS
        )
        await runner.setup()
        assert runner.server is not None
        runner.server.request_handler = self._ahead_of(runner.server.request_handler)
        host, port = self._settings.host, self._settings.port
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            await runner.cleanup()
            taken = error.errno == errno.EADDRINUSE
            why = "already in use" if taken else f"no address to listen on ({error.strerror or error})"
            raise PortInUse(f"{host}:{port} is {why}") from error
        self._runner = runner
        bound: int = runner.addresses[0][1]
        return bound

    async def _shut(self) -> None:
        await self.routes.disconnect()
        if self._runner is not None:
            await stop_server(self._runner)
            self._runner = None

    # The door ---------------------------------------------------------------------------------

    def _ahead_of(self, routed: ServerHandler) -> ServerHandler:
        """Hand signals to their handler through the same door, past the look-up of routes, which is not free."""

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            if (
                request.raw_path == SIGNALS_PATH
                and request.method == "POST"
                and "Expect" not in request.headers
                and isinstance(request, web.Request)
            ):
                return await self._door(request, self.routes.post_signals)
            return await routed(request)

        return answer

    @web.middleware
    async def _door(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let in whoever may come in, and see to it that every refusal has a JSON body."""
        try:
            refused = self._refused(request)
            return await handler(request) if refused is None else refused
        except web.HTTPRequestEntityTooLarge:
            return refusal(413, Reason.MALFORMED.value, f"the body is above {MAX_BODY} bytes")
        except web.HTTPException as error:
            reason = error.reason.upper().replace(" ", "_")
            return refusal(error.status, reason, f"{request.method} {public_path(request.path)}")
        except ConnectionError:
            return refusal(499, "GONE", "whoever asked has gone")  # Nobody gets to see it.
        except Exception:
            logger.exception("a request failed: %s %s", request.method, public_path(request.path))
            return refusal(500, "ERROR", "the request failed inside; the log says why")

    def _refused(self, request: web.Request) -> web.Response | None:
        """Refuse foreign Host and Origin headers (a web page may make a browser send them) and missing tokens."""
        if not self._knows_host(request.host):
            self.routes.count_unauthorised("a request for a host that is not among http.allowed_hosts: ", request.host)
            return refusal(403, Reason.UNAUTHORISED.value, "this Host header is not served (http.allowed_hosts)")
        if not _is_of_this_origin(request):
            self.routes.count_unauthorised("a request that a page from elsewhere made")
            return refusal(403, Reason.UNAUTHORISED.value, "a page from elsewhere may not ask this")
        request[TOKEN_SHOWN] = self._shows_token(request)
        if not (request[TOKEN_SHOWN] or self._is_open(request)):
            self.routes.count_unauthorised()
            return refusal(401, Reason.UNAUTHORISED.value, "the bearer token is missing or wrong")
        return None

    def _is_open(self, request: web.Request) -> bool:
        """Tell whether a request that shows no token is answered; one that shows a wrong one is not."""
        path = request.path
        if path.startswith(HOOK_PATH):
            return True  # The token is in the path; the handler judges it.
        if path == SIGNALS_PATH and request.method == "POST" and SIGNATURE in request.headers:
            return True  # The handler verifies the signature.
        if is_page(path) or (self._loopback and path in OPEN_ON_LOOPBACK):
            return True
        may_look = self._loopback and self._settings.read_without_token and open_to_look(path)
        return may_look and "Authorization" not in request.headers

    def _knows_host(self, header: str) -> bool:
        if not self._loopback and not self._settings.allowed_hosts:
            return True  # Every request shows the token, and by what names we are reached is not known.
        name = header.rpartition(":")[0] if header.rpartition(":")[2].isdigit() else header
        return name.lower() in self._hosts

    def _shows_token(self, request: web.Request) -> bool:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        shown = token.strip().encode("utf-8", "surrogateescape")
        return hmac.compare_digest(shown, self._token) and scheme.lower() == "bearer"


def _hooks_of(settings: HttpSettings) -> Hooks:
    templates = templates_of(settings.templates)
    tokens = [settings.token, *([settings.hook_token] if settings.hook_token else [])]
    hooks = [Hook(token.encode()) for token in tokens]
    for name, table in settings.templates.items():
        token = table.hook_token()
        if token is not None:
            hooks.append(Hook(token.encode(), templates[name]))
    return Hooks(hooks, templates)


def _server_logger() -> logging.Logger:
    """Make the server's logger say of a flood of bad requests that there is one, not each of them."""
    server = logging.getLogger("tidegate.http.server")
    if not any(isinstance(one, FloodFilter) for one in server.filters):
        server.addFilter(FloodFilter(quoting=(HttpProcessingError,)))
    return server


def _is_of_this_origin(request: web.Request) -> bool:
    """Tell whether the page that asks, if a page asks, came from where it asks."""
    origin = request.headers.get("Origin")
    return origin is None or urlsplit(origin).netloc.lower() == request.host.lower()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _write_address(path: Path, host: str, port: int) -> None:
    """Replace the file at once, so that nobody reads half of it."""
    draft = path.with_name(f"{path.name}.new")
    draft.write_bytes(orjson.dumps({"host": host, "port": port}))
    draft.replace(path)
