"""Reading what came over the wire: REST parameters as raw text, WebSocket API requests as JSON (protocol §2, §6)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

import orjson

from adapters.paper.errors import ExchangeError, too_many, unread

Params = dict[str, str]

DUPLICATE_VALUES = (-1101, "Duplicate values for a parameter detected.")
OF_SIGNATURE = frozenset({"timestamp", "recvWindow", "signature"})
OF_FRAME = OF_SIGNATURE | {"apiKey", "returnRateLimits"}
"""What any request may have that is signed, or comes over the WebSocket API."""

BAD_JSON = (-1135, "Invalid JSON Request")


@dataclass(frozen=True, slots=True)
class Received:
    """A request's parameters, and what its signature is over."""

    params: Params
    payload: bytes
    signature: str | None


def refuse_unread(received: Received, names: frozenset[str]) -> None:
    """Refuse a parameter that is none of `names`, as a misspelt one: -1101 if there are more than names, else -1104."""
    sent = len(received.params) + (received.signature is not None)
    read = len(received.params.keys() & names) + (received.signature is not None and "signature" in names)
    if sent > len(names):
        raise too_many(len(names), sent)
    if read < sent:
        raise unread(read, sent)


def read_rest(query: str, body: str) -> Received:
    """Read the raw query and form body; a name in both has the query's value.

    What was signed is the query followed at once by the body, as they came, without the signature.
    """
    in_query, signed_query, first = _read_pairs(query)
    in_body, signed_body, second = _read_pairs(body)
    payload = f"{signed_query}{signed_body}".encode()
    return Received(in_body | in_query, payload, first if first is not None else second)


def _read_pairs(raw: str) -> tuple[Params, str, str | None]:
    """Read `a=1&b=2`: the decoded pairs, the raw text without the signature, and the signature."""
    if not raw:
        return {}, "", None
    pairs: Params = {}
    rest: list[str] = []
    signature: str | None = None
    for part in raw.split("&"):
        name, _, value = part.partition("=")
        if name == "signature":
            signature = unquote_plus(value) if "%" in value else value
            continue
        rest.append(part)
        if not name:
            continue
        name = _decoded(name)
        if name in pairs:
            raise ExchangeError(*DUPLICATE_VALUES)
        pairs[name] = _decoded(value)
    return pairs, "&".join(rest), signature


def _decoded(text: str) -> str:
    return unquote_plus(text) if "%" in text or "+" in text else text


@dataclass(frozen=True, slots=True)
class WsRequest:
    """A request on the WebSocket API; `id` is whatever the client chose and comes back as it is."""

    id: object
    method: str
    received: Received


def read_ws(text: str | bytes) -> WsRequest:
    """Read a frame; `BadFrame` with the request's id, as far as it can be told, if it is no request."""
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadFrame(None) from error
    if not isinstance(frame, dict):
        raise BadFrame(None)
    number, method, params = frame.get("id"), frame.get("method"), frame.get("params")
    if isinstance(number, (dict, list, float, bool)):
        raise BadFrame(None)
    if not isinstance(method, str) or not (params is None or isinstance(params, dict)):
        raise BadFrame(number)
    params = params or {}
    try:
        if any(
            isinstance(value, float) for value in params.values()
        ):  # What was signed is the number as it was written.
            params = json.loads(text, parse_float=str, parse_int=str)["params"]
        received = read_ws_params(params)
    except (TypeError, RecursionError) as error:  # It is nested too deeply to be written again.
        raise BadFrame(number) from error
    return WsRequest(number, method.removeprefix("v3/"), received)


def read_ws_params(params: Mapping[str, Any]) -> Received:
    """Turn JSON values into text and sort out what was signed: all but the signature, by name, unencoded."""
    texts = {name: _as_text(value) for name, value in params.items() if value is not None}
    signature = texts.pop("signature", None)
    payload = "&".join(f"{name}={texts[name]}" for name in sorted(texts))
    return Received(texts, payload.encode(), signature)


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return orjson.dumps(value).decode()


class BadFrame(Exception):
    """A frame is no request; `request_id` is its id if it has one."""

    def __init__(self, request_id: object) -> None:
        super().__init__("not a request")
        self.request_id = request_id
