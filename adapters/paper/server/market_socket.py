"""One client on the market streams, raw or combined (protocol §8)."""

from __future__ import annotations

from collections.abc import Iterable

import orjson
from aiohttp import web

from adapters.paper.server.connection import POLICY, Connection
from adapters.paper.server.replies import MILLISECOND
from adapters.paper.server.settings import ServerSettings
from adapters.paper.server.streams import Board, Listener
from adapters.paper.server.user_events import shutdown

MOST_STREAMS = 1024

UNKNOWN_PROPERTY = (0, "Unknown property")
NOT_A_BOOL = (1, "Invalid value type: expected Boolean")
BAD_REQUEST = (2, "Invalid request: {}")
BAD_JSON = (3, "Invalid JSON: {}")


class MarketSocket(Connection):
    """Subscribes, unsubscribes, and is told."""

    def __init__(
        self,
        request: web.BaseRequest,
        socket: web.WebSocketResponse,
        settings: ServerSettings,
        board: Board,
        *,
        combined: bool,
        names: Iterable[str],
        unit: int = MILLISECOND,
    ) -> None:
        """Listen to `names` on `board`; `combined` wraps each payload with its stream's name."""
        super().__init__(request, socket, settings, board.delays)
        self._board, self._combined = board, combined
        self._listener = Listener(self._tell, unit)
        self._names: dict[str, None] = {}
        self._incoming: list[float] = []
        self._subscribe(list(names))

    def warn_of_shutdown(self, now: int) -> None:
        """Say that this connection is about to go; `now` is microseconds."""
        event = shutdown(now, self._listener.unit)
        self.send(orjson.dumps({"stream": "!serverShutdown", "data": event} if self._combined else event))

    def on_closed(self) -> None:
        """Listen no more."""
        for name in list(self._names):
            self._board.unsubscribe(name, self._listener)

    def admit(self) -> bool:
        """Count a message, ping or pong; who sends too many a second is cut off."""
        limit = self._settings.stream_messages_per_second
        if limit is not None and self._too_many(limit):
            self.close(POLICY, "Too many requests")
            return False
        return True

    async def on_text(self, text: str) -> None:
        """Do what a control message says."""
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            self._refuse(BAD_JSON, str(error), None)
            return
        if not isinstance(message, dict) or not isinstance(message.get("method"), str):
            self._refuse(BAD_REQUEST, "missing field `method`", None)
            return
        self._obey(message["method"], message.get("params", []), message.get("id"))

    def _obey(self, method: str, params: object, number: object) -> None:
        match method:
            case "SUBSCRIBE" | "UNSUBSCRIBE":
                if not isinstance(params, list) or not all(isinstance(name, str) for name in params):
                    self._refuse(BAD_REQUEST, "params must be an array of stream names", number)
                    return
                if method == "SUBSCRIBE" and len(self._names.keys() | set(params)) > MOST_STREAMS:
                    self._refuse(BAD_REQUEST, "too many streams", number)
                    return
                self._answer(None, number)
                (self._subscribe if method == "SUBSCRIBE" else self._unsubscribe)(params)
            case "LIST_SUBSCRIPTIONS":
                self._answer(list(self._names), number)
            case "GET_PROPERTY" | "SET_PROPERTY":
                self._property(method, params, number)
            case _:
                self._refuse(BAD_REQUEST, f"unknown variant `{method}`", number)

    def _property(self, method: str, params: object, number: object) -> None:
        if not isinstance(params, list) or not params or params[0] != "combined":
            self._refuse(UNKNOWN_PROPERTY, "", number)
        elif method == "GET_PROPERTY":
            self._answer(self._combined, number)
        elif len(params) != 2 or not isinstance(params[1], bool):
            self._refuse(NOT_A_BOOL, "", number)
        else:
            self._combined = params[1]
            self._answer(None, number)

    def _too_many(self, limit: int) -> bool:
        now = self._loop.time()
        self._incoming = [at for at in self._incoming if now - at < 1.0]
        self._incoming.append(now)
        return len(self._incoming) > limit

    def _subscribe(self, names: list[str]) -> None:
        for name in names:
            if name not in self._names:
                self._names[name] = None
                self._board.subscribe(name, self._listener, self._loop.time())

    def _unsubscribe(self, names: list[str]) -> None:
        for name in names:
            if name in self._names:
                del self._names[name]
                self._board.unsubscribe(name, self._listener)

    def _tell(self, name: str, payload: bytes) -> None:
        if self._combined:
            payload = b'{"stream":%b,"data":%b}' % (orjson.dumps(name), payload)
        self.send(payload, event=True)

    def _answer(self, result: object, number: object) -> None:
        self.send(orjson.dumps({"result": result, "id": number}))

    def _refuse(self, error: tuple[int, str], detail: str, number: object) -> None:
        shape = {"code": error[0], "msg": error[1].format(detail)}
        self.send(orjson.dumps({"error": shape, "id": number}))
