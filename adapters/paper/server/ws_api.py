"""The WebSocket API: requests, log-ons, and the user-data stream over one socket (protocol §6, §7)."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

import orjson
from aiohttp import web

from adapters.paper.errors import ExchangeError, missing, refuse
from adapters.paper.server.call import Call, flag
from adapters.paper.server.connection import GOING_AWAY, Connection
from adapters.paper.server.desk import Desk, require_time
from adapters.paper.server.faults import NoReply, Struck, Trouble, WireFault
from adapters.paper.server.keys import REJECTED_KEY, ApiKey, KeyKind, verify
from adapters.paper.server.operations import BY_METHOD, GONE_METHODS
from adapters.paper.server.reading import BAD_JSON, BadFrame, Received, WsRequest, read_ws
from adapters.paper.server.replies import MILLISECOND, order_counts, weight_count
from adapters.paper.server.rest import error_shape
from adapters.paper.server.settings import ServerSettings
from adapters.paper.server.user_events import shutdown, terminated
from adapters.paper.shapes import Shape

ALREADY_SUBSCRIBED = (-2035, "User Data Stream subscription already active.")
NOT_SUBSCRIBED = (-2036, "User Data Stream subscription not active.")
WORN_OUT = (-2042, "Maximum subscription ID reached for this connection.")
UNKNOWN_METHOD = (-1020, "This operation is not supported.")
WRONG_KEY_KIND = (-4056, "{} API key is not supported.")
MOST_SUBSCRIPTIONS = 65_535

SessionMethod = Callable[["Session", Received], object]


class Session(Connection):
    """One client on the WebSocket API."""

    def __init__(
        self,
        request: web.BaseRequest,
        socket: web.WebSocketResponse,
        settings: ServerSettings,
        desk: Desk,
        *,
        unit: int = MILLISECOND,
        with_limits: bool = True,
    ) -> None:
        """Speak over `socket`; `unit` is that of times, `with_limits` whether replies tell rate limits."""
        super().__init__(request, socket, settings, desk.delays)
        self._desk, self.unit, self._with_limits = desk, unit, with_limits
        self._connected = desk.time()
        self._logged_on: tuple[ApiKey, int] | None = None
        self._subscriptions: dict[int, bool] = {}
        self._next_subscription = 0
        self._tasks: set[asyncio.Task[None]] = set()

    # Events ---------------------------------------------------------------------------------------

    @property
    def subscriptions(self) -> tuple[int, ...]:
        """The numbers of the active user-data subscriptions."""
        return tuple(self._subscriptions)

    def tell(self, encoded: bytes) -> None:
        """Send an event, already JSON, to each subscription."""
        for number in self._subscriptions:
            self.send(b'{"subscriptionId":%d,"event":%b}' % (number, encoded), event=True)

    def warn_of_shutdown(self) -> None:
        """Say that this connection is about to go."""
        self.send(orjson.dumps({"event": shutdown(self._desk.time(), self.unit)}))

    def terminate(self, numbers: tuple[int, ...] | None = None) -> None:
        """End subscriptions (all, unless numbers are given), each with its last event after what is being answered."""
        for number in self.subscriptions if numbers is None else numbers:
            self._subscriptions.pop(number, None)
            event = terminated(self._desk.time(), self.unit)
            frame = orjson.dumps({"subscriptionId": number, "event": event})
            self._loop.call_soon(self.send_event, frame)

    def forget_subscriptions(self) -> None:
        """Lose the subscriptions without telling anyone."""
        self._subscriptions.clear()

    def on_closed(self) -> None:
        """Let go of what is still under way."""
        for task in self._tasks:
            task.cancel()

    # Requests -------------------------------------------------------------------------------------

    async def on_text(self, text: str) -> None:
        """Do a request; one that is held up does not hold up others."""
        try:
            request = read_ws(text)
        except BadFrame as bad:
            self._reply(bad.request_id, 400, {"error": {"code": BAD_JSON[0], "msg": BAD_JSON[1]}}, with_limits=False)
            return
        struck = self._desk.faults.strike(self._kind_of(request.method), "ws")
        if struck:
            task = asyncio.create_task(self._do(request, struck))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            await self._do(request, struck)

    @staticmethod
    def _kind_of(method: str) -> str:
        operation = BY_METHOD.get(method)
        return operation.kind if operation is not None else "session"

    async def _do(self, request: WsRequest, struck: Struck) -> None:
        if WireFault.REVOKED in struck:
            error = {"code": REJECTED_KEY[0], "msg": REJECTED_KEY[1]}
            self._reply(None, 401, {"error": error}, with_limits=False)
            return
        with_limits = self._with_limits
        try:
            with_limits = flag(request.received.params, "returnRateLimits", default=with_limits)
            result, call = await self._perform(request, struck)
        except NoReply:
            pass
        except Trouble as trouble:
            self._reply(
                request.id,
                trouble.status,
                {"error": {"code": trouble.code, "msg": trouble.message}},
                with_limits=with_limits,
            )
        except ExchangeError as error:
            self._refuse(request, error, with_limits=with_limits)
        else:
            self._reply(request.id, 200, {"result": result}, with_limits=with_limits, call=call)
        self._misbehave(struck)

    async def _perform(self, request: WsRequest, struck: Struck) -> tuple[object, Call | None]:
        method, received = request.method, request.received
        session_method = _SESSION_METHODS.get(method)
        if session_method is not None:
            await self._desk.hold_up(struck)
            limits, now = self._desk.exchange.limits, self._desk.time()
            limits.count_request(now)
            limits.check_weight(2, now)
            limits.add_weight(2, now)
            result = session_method(self, received)
            await self._desk.strike_after(struck)
            return result, None
        operation = BY_METHOD.get(method)
        if operation is None:
            if method in GONE_METHODS:
                refuse(UNKNOWN_METHOD, 410)
            refuse(UNKNOWN_METHOD)
        return await self._desk.perform(operation, received, struck, lambda: self._identify(received), self.unit, "ws")

    def _identify(self, received: Received) -> ApiKey:
        """Say who asks: by signature, or by the log-on where there is none."""
        if received.signature is None and "apiKey" not in received.params and self._logged_on is not None:
            return self._desk.keys.find(self._logged_on[0].key)
        return self._prove(received)

    def _prove(self, received: Received) -> ApiKey:
        name = received.params.get("apiKey")
        if not name:
            raise missing("apiKey")
        key = self._desk.keys.find(name)
        if not received.signature:
            raise missing("signature")
        if not received.params.get("timestamp"):
            raise missing("timestamp")
        verify(key, received.payload, received.signature)
        return key

    def _misbehave(self, struck: Struck) -> None:
        if WireFault.TERMINATED in struck:
            self.terminate()
        if WireFault.SHUTDOWN in struck:
            self.warn_of_shutdown()
        cut = struck.get(WireFault.DISCONNECT)
        if cut is not None:
            self.close(cut.code or GOING_AWAY)

    # Replies --------------------------------------------------------------------------------------

    def _refuse(self, request: WsRequest, error: ExchangeError, *, with_limits: bool) -> None:
        shape = error_shape(error)
        if error.until is not None:
            now = self._desk.time()
            shape["data"] = {"serverTime": now // self.unit, "retryAfter": math.ceil(error.until / 1000)}
        self._reply(request.id, error.http_status, {"error": shape}, with_limits=with_limits)
        if error.http_status == 418:
            self.close(1008, "banned")

    def _reply(
        self, request_id: object, status: int, outcome: Shape, *, with_limits: bool, call: Call | None = None
    ) -> None:
        frame: Shape = {"id": request_id, "status": status, **outcome}
        if with_limits:
            limits, now = self._desk.exchange.limits, self._desk.time()
            counts = order_counts(limits, now) if call is not None and call.placed else []
            frame["rateLimits"] = [*counts, weight_count(limits, now)]
        encoded = orjson.dumps(frame)
        self._desk.when_durable(lambda: self.send(encoded))

    # Session methods ------------------------------------------------------------------------------

    def log_on(self, received: Received) -> Shape:
        """Answer `session.logon`, which takes Ed25519 keys only."""
        key = self._prove(received)
        if key.kind is not KeyKind.ED25519:
            name = "HMAC_SHA256" if key.kind is KeyKind.HMAC else key.kind.value
            raise ExchangeError(WRONG_KEY_KIND[0], WRONG_KEY_KIND[1].format(name))
        now = self._desk.time()
        require_time(received, now)
        self._logged_on = key, now
        return self.status(received)

    def status(self, received: Received) -> Shape:
        """Answer `session.status`."""
        key, since = self._logged_on if self._logged_on is not None else (None, None)
        return {
            "apiKey": None if key is None else key.key,
            "authorizedSince": None if since is None else since // self.unit,
            "connectedSince": self._connected // self.unit,
            "returnRateLimits": self._with_limits,
            "serverTime": self._desk.time() // self.unit,
            "userDataStream": bool(self._subscriptions),
        }

    def log_out(self, received: Received) -> Shape:
        """Answer `session.logout`, which ends what was subscribed by the log-on."""
        self._logged_on = None
        self.terminate(tuple(number for number, by_logon in self._subscriptions.items() if by_logon))
        return self.status(received)

    def list_subscriptions(self, received: Received) -> list[Shape]:
        """Answer `session.subscriptions`."""
        return [{"subscriptionId": number} for number in self._subscriptions]

    def subscribe(self, received: Received) -> Shape:
        """Answer `userDataStream.subscribe`, for who has logged on."""
        if self._logged_on is None:
            raise ExchangeError(*REJECTED_KEY, 401)
        return self._subscribe(by_logon=True)

    def subscribe_signed(self, received: Received) -> Shape:
        """Answer `userDataStream.subscribe.signature`."""
        self._prove(received)
        require_time(received, self._desk.time())
        return self._subscribe(by_logon=False)

    def _subscribe(self, *, by_logon: bool) -> Shape:
        if self._subscriptions:
            refuse(ALREADY_SUBSCRIBED)
        if self._next_subscription >= MOST_SUBSCRIPTIONS:
            refuse(WORN_OUT)
        number = self._next_subscription
        self._next_subscription += 1
        self._subscriptions[number] = by_logon
        return {"subscriptionId": number}

    def unsubscribe(self, received: Received) -> Shape:
        """Answer `userDataStream.unsubscribe`."""
        wanted = received.params.get("subscriptionId")
        if wanted is None:
            numbers = self.subscriptions
        else:
            numbers = tuple(number for number in self._subscriptions if str(number) == wanted)
        if not numbers:
            refuse(NOT_SUBSCRIBED)
        self.terminate(numbers)
        return {}


_SESSION_METHODS: dict[str, SessionMethod] = {
    "session.logon": Session.log_on,
    "session.status": Session.status,
    "session.logout": Session.log_out,
    "session.subscriptions": Session.list_subscriptions,
    "userDataStream.subscribe": Session.subscribe,
    "userDataStream.subscribe.signature": Session.subscribe_signed,
    "userDataStream.unsubscribe": Session.unsubscribe,
}
