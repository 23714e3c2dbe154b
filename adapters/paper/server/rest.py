"""REST: `/api/v3` and the two of `/sapi/v1` (protocol §2 to §5)."""

from __future__ import annotations

import asyncio
import math

import orjson
from aiohttp import web

from adapters.paper.errors import ExchangeError, missing
from adapters.paper.server.call import Call, HalfDone
from adapters.paper.server.desk import Desk, unit_of
from adapters.paper.server.faults import Body, NoReply, Trouble
from adapters.paper.server.keys import ApiKey, verify
from adapters.paper.server.operations import BY_PATH, GONE_PATHS
from adapters.paper.server.reading import Received, read_rest
from adapters.paper.server.replies import order_counts
from adapters.paper.shapes import Shape

HTML = "<html><head><title>{0}</title></head><body><h1>{0}</h1><hr>CloudFront</body></html>"
GONE = {"code": -1020, "msg": "This operation is not supported."}


class Rest:
    """Answers HTTP requests by the desk's word."""

    def __init__(self, desk: Desk) -> None:
        """Serve `desk`."""
        self._desk = desk

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request, there and back for as long as the network takes."""
        delays = self._desk.delays
        if not delays:
            return await self._answer(request)
        await asyncio.sleep(delays.draw())
        reply = await self._answer(request)
        await asyncio.sleep(delays.draw())
        return reply

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; a reply that must not be given ends its connection."""
        verb, raw = request.method, request.raw_path
        path, _, query = raw.partition("?")
        operation = BY_PATH.get((verb, path))
        if operation is None:
            return self._unknown(verb, path)
        body = (await request.read()).decode("utf-8", "replace") if request.can_read_body else ""
        struck = self._desk.faults.strike(operation.kind, "rest")
        try:
            received = read_rest(query, body)
            key_name = request.headers.get("X-MBX-APIKEY")
            result, call = await self._desk.perform(
                operation,
                received,
                struck,
                lambda: self._identify(key_name, received),
                unit_of(request.headers.get("X-MBX-TIME-UNIT")),
            )
            await self._desk.durable()
        except NoReply as silence:
            await asyncio.sleep(silence.seconds)
            return self._hang_up(request)
        except Trouble as trouble:
            return self._trouble(trouble)
        except ExchangeError as error:
            return self.refusal(error, path)
        return self._reply(200, result, self._headers(path, call))

    def _identify(self, key_name: str | None, received: Received) -> ApiKey:
        key = self._desk.keys.find(key_name)
        if not received.signature:
            raise missing("signature")
        if not received.params.get("timestamp"):
            raise missing("timestamp")
        verify(key, received.payload, received.signature)
        return key

    # Replies --------------------------------------------------------------------------------------

    def _headers(self, path: str, call: Call | None = None) -> dict[str, str]:
        if not path.startswith("/api/"):
            return {}
        limits, now = self._desk.exchange.limits, self._desk.time()
        used = str(limits.used_weight(now))
        headers = {"X-MBX-USED-WEIGHT": used, "X-MBX-USED-WEIGHT-1M": used}
        if call is not None and call.placed:
            for row in order_counts(limits, now):
                suffix = "10S" if row["interval"] == "SECOND" else "1D"
                headers[f"X-MBX-ORDER-COUNT-{suffix}"] = str(row["count"])
        return headers

    def refusal(self, error: ExchangeError, path: str = "") -> web.Response:
        """Write a refusal, with the seconds to wait where there are any; of a handshake, too."""
        headers = self._headers(path)
        if error.until is not None:
            seconds = max(0, math.ceil((error.until - self._desk.time()) / 1_000_000))
            headers["Retry-After"] = str(seconds)
        return self._reply(error.http_status, error_shape(error), headers)

    def _trouble(self, trouble: Trouble) -> web.Response:
        headers = {"Retry-After": str(math.ceil(trouble.retry_after))} if trouble.retry_after else {}
        match trouble.body:
            case Body.HTML:
                page = HTML.format(f"{trouble.status} Service Temporarily Unavailable")
                return web.Response(status=trouble.status, text=page, content_type="text/html", headers=headers)
            case Body.EMPTY:
                return web.Response(status=trouble.status, headers=headers)
            case Body.JSON:
                return self._reply(trouble.status, {"code": trouble.code, "msg": trouble.message}, headers)

    def _unknown(self, verb: str, path: str) -> web.Response:
        if (verb, path) in GONE_PATHS:
            return self._reply(410, GONE, {})
        if any(known[1] == path for known in BY_PATH):
            return self._reply(405, {"code": -1020, "msg": "Request method is not supported."}, {})
        return web.Response(
            status=404, text="<html><body><h2>404 Not found</h2></body></html>", content_type="text/html"
        )

    @staticmethod
    def _reply(status: int, body: object, headers: dict[str, str]) -> web.Response:
        return web.Response(
            status=status, body=orjson.dumps(body), headers=headers, content_type="application/json", charset="UTF-8"
        )

    @staticmethod
    def _hang_up(request: web.BaseRequest) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)  # Nobody gets to see it.


def error_shape(error: ExchangeError) -> Shape:
    """Write an error's body (protocol §5.9, §5.5)."""
    shape: Shape = {"code": error.code, "msg": error.message}
    if isinstance(error, HalfDone):
        shape["data"] = error.data
    return shape
