"""REST through python-binance's client, with its way of sending replaced by a careful one.

What the library brings along (session, endpoints, its methods by name) stays; each request goes out
once, with the timestamp and window that were decided on, within its own deadline, to no other host
than the one configured, and its outcome says whether it left the house.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiohttp
import yarl

from adapters.binance.codec import error_of
from adapters.binance.connections import CONNECTIONS, CleanConnector, OrderConnector
from adapters.binance.limits import Limits
from adapters.binance.outcomes import Answer, Care, RequestNotSent, RequestUnknown, row_of
from adapters.binance.settings import BinanceSettings, is_loopback
from adapters.binance.signing import Signer, rest_payload, signed_rest
from adapters.binance.ws_api import Trace
from adapters.importing import importing

if TYPE_CHECKING:
    from adapters.binance.clock import Clock

_KEEP_ALIVE_SECONDS = 10.0
"""Shorter than any server's, so that a question is not written into a connection that is just being closed."""


@cache
def _client_class() -> type[Any]:
    """Make the subclass; python-binance is imported here, and nowhere before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Of names that others have to mend.
        from binance.async_client import AsyncClient

    class CarefulClient(AsyncClient):  # type: ignore[misc]  # python-binance has no types
        """python-binance's client whose requests are sent by `Rest.send`."""

        def __init__(self, rest: Rest, settings: BinanceSettings) -> None:
            self._rest, self._key = rest, settings.api_key
            self.API_URL = settings.api_base.replace("{", "{{").replace("}", "}}")
            self.MARGIN_API_URL = settings.sapi_base.replace("{", "{{").replace("}", "}}")
            super().__init__(api_key=settings.api_key, session_params=rest.session_params())
            self.session._retry_connection = False  # noqa: SLF001 - nothing is sent twice

        def _get_headers(self) -> dict[str, str]:
            return {"Accept": "application/json", "User-Agent": "tidegate", "X-MBX-APIKEY": self._key}

        async def _request(
            self,
            method: str,
            uri: str,
            signed: bool,  # noqa: FBT001 - the library's signature
            force_params: bool = False,  # noqa: FBT001, FBT002 - the same
            **options: Any,
        ) -> Answer:
            params = {name: str(value) for name, value in (options.get("data") or {}).items() if value is not None}
            return await self._rest.send(self.session, method, uri, params, signed=signed)

        async def ask(self, method: str, path: str, params: Mapping[str, str], **how: Any) -> Answer:
            uri = self._create_margin_api_uri(path[5:]) if path.startswith("sapi/") else self._create_api_uri(path)
            return await self._rest.send(self.session, method, uri, params, **how)

    return CarefulClient


def import_client() -> None:
    """Import python-binance now, which takes a third of a second, rather than on the loop."""
    with importing():
        _client_class()


class Rest:
    """Requests over REST; lives on the loop's thread. `clock` is set by whoever makes both."""

    def __init__(self, settings: BinanceSettings, *, signer: Signer, limits: Limits) -> None:
        """Make it; `open` starts the session, on the loop."""
        self._settings, self._signer, self._limits = settings, signer, limits
        self._client: Any = None
        self._single: aiohttp.ClientSession | None = None
        self.clock: Clock | None = None
        proxied = not is_loopback(settings.rest_url)
        self._trust_environment = proxied

    def open(self) -> None:
        """Make the session; must be called on the running loop that will use it."""
        self._client = _client_class()(self, self._settings)
        session: Any = aiohttp.ClientSession(**self.session_params(single=True), headers=self._client.session.headers)
        session._retry_connection = False  # noqa: SLF001 - as the client's own
        self._single = session

    async def close(self) -> None:
        """Close the session and its connections."""
        if self._client is not None:
            await self._client.session.close()
        if self._single is not None:
            await self._single.close()

    def session_params(self, *, single: bool = False) -> dict[str, Any]:
        """Say how a session is made; with `single` each request has a connection to itself."""
        connector: CleanConnector
        if single:
            connector = OrderConnector(wanted=self._may_order, on_failure=self._note_trust)
        else:
            connector = CleanConnector(limit=CONNECTIONS, keepalive_timeout=_KEEP_ALIVE_SECONDS)
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_note_sent)
        return {
            "trace_configs": [trace],
            "connector": connector,
            "trust_env": self._trust_environment,
            "cookie_jar": aiohttp.DummyCookieJar(),
        }

    async def ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        signed: bool = False,
        seconds: float | None = None,
        trace: Trace | None = None,
    ) -> Answer:
        """Send one request and return what came back. Raises `RequestNotSent` or `RequestUnknown`.

        `path` is the endpoint's name below `/api/v3`, or begins with `sapi/`. A signed request gets the
        present timestamp and the configured window unless `params` has its own.
        """
        answer: Answer = await self._client.ask(
            method, path, dict(params or {}), signed=signed, seconds=seconds, trace=trace or Trace()
        )
        return answer

    async def send(
        self,
        session: aiohttp.ClientSession,
        method: str,
        uri: str,
        params: Mapping[str, str],
        *,
        signed: bool,
        seconds: float | None = None,
        trace: Trace | None = None,
    ) -> Answer:
        """Send one request to a whole address; `ask` and the library's own methods end up here.

        Inside a Retry-After nothing is sent, whoever asks.
        """
        if (held := self._limits.held_until()) is not None:  # The clock's questions, too, come along here.
            raise RequestNotSent(f"the venue wants to hear nothing until {held.isoformat()}")
        trace = trace or Trace()
        text = await self._payload(params) if signed else rest_payload(params)
        verb = method.upper()
        in_body = verb in {"POST", "PUT"}
        address = uri if in_body or not text else f"{uri}?{text}"
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if in_body else {}
        if verb != "GET" and self._single is not None:
            session = self._single  # What was said before on a connection must not be taken for an order's answer.
            headers["Connection"] = "close"
        try:
            async with session.request(
                verb,
                yarl.URL(address, encoded=True),
                data=text.encode() if in_body else None,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=seconds or self._settings.query_seconds),
                trace_request_ctx=trace,
            ) as response:
                body = await response.read()
                return self._learn(response.status, response.headers, body)
        except (aiohttp.ClientError, OSError) as error:
            # The error's own text may hold the address with the signature, so only its kind is told.
            self._note_trust(error)
            kind = type(error).__name__
            raise (RequestUnknown(kind) if trace.sent else RequestNotSent(kind)) from None

    def _may_order(self) -> bool:
        return self._limits.held_until(order=True) is None

    def _note_trust(self, error: Exception) -> None:
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            self._limits.distrust()

    async def _payload(self, params: Mapping[str, str]) -> str:
        complete = dict(params)
        if "timestamp" not in complete:
            assert self.clock is not None
            await self.clock.need()
            complete["timestamp"] = str(self.clock.milliseconds())
        complete.setdefault("recvWindow", str(self._settings.recv_window_ms))
        return signed_rest(complete, self._signer)

    def _learn(self, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
        self._limits.learn_headers(headers)
        if 200 <= status < 300:
            return Answer(status=status, body=body)
        error = error_of(body)
        answer = self._limits.learn_answer(
            Answer(
                status=status,
                code=None if error is None else error.code,
                message="" if error is None else error.msg,
                until=self._limits.retry_after(headers),
            )
        )
        if self.clock is not None and row_of(answer).care is Care.SET_CLOCK:
            self.clock.hurry()
        return answer


async def _note_sent(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    """Called just before the first byte of a request is written."""
    context.trace_request_ctx.sent = True
