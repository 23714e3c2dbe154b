"""What may go wrong on the wire, as a plan: which fault, for which requests, at which of them (protocol §15 row 13)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Literal

import msgspec


class WireFault(StrEnum):
    """A way of going wrong.

    Of requests: `dropped_request` is never done nor answered, `lost_reply` is done and never
    answered; `refuse` is not done and answered with an error, `error_instead` is not done and
    answered as by a server in trouble, `error_reply` is done and answered so; `late_request` comes
    late to `point`, `late_reply` is answered late; `revoked` is the WebSocket API's 401 without an id.
    Of queries: `query_lag` does not know what is younger than its milliseconds, `stale_open_orders`
    tells the list as it was its milliseconds ago.
    Of user-data events: `lost_event`, `duplicate_event`, `late_event`, and `event_first`, which tells a
    request's events before its reply.
    Of connections, when a request comes in on one: `disconnect` closes it with `code` (1001) after
    the reply, `shutdown` warns of that, `terminated` ends its user-data subscriptions.
    """

    DROPPED_REQUEST = "dropped_request"
    LOST_REPLY = "lost_reply"
    REFUSE = "refuse"
    ERROR_INSTEAD = "error_instead"
    ERROR_REPLY = "error_reply"
    LATE_REQUEST = "late_request"
    LATE_REPLY = "late_reply"
    REVOKED = "revoked"
    QUERY_LAG = "query_lag"
    STALE_OPEN_ORDERS = "stale_open_orders"
    LOST_EVENT = "lost_event"
    DUPLICATE_EVENT = "duplicate_event"
    LATE_EVENT = "late_event"
    EVENT_FIRST = "event_first"
    DISCONNECT = "disconnect"
    SHUTDOWN = "shutdown"
    TERMINATED = "terminated"


EVENT_FAULTS = frozenset({WireFault.LOST_EVENT, WireFault.DUPLICATE_EVENT, WireFault.LATE_EVENT})


REQUEST_KINDS = (
    "place",
    "test",
    "cancel",
    "cancel_all",
    "cancel_replace",
    "amend",
    "query",
    "open_orders",
    "all_orders",
    "trades",
    "account",
    "exchange_info",
    "depth",
    "market",
    "time",
    "ping",
    "session",
)
"""What a plan calls requests; `session` is whatever the WebSocket API has for log-ons and subscriptions."""

EVENT_KINDS = ("NEW", "TRADE", "CANCELED", "EXPIRED", "REPLACED", "TRADE_PREVENTION", "outboundAccountPosition")
"""What a plan calls events: the execution type of a report, or the event's own name."""

_STRIKES: Mapping[WireFault, tuple[str, ...]] = {
    **dict.fromkeys(EVENT_FAULTS, EVENT_KINDS),
    WireFault.QUERY_LAG: ("query", "all_orders", "trades"),
    WireFault.STALE_OPEN_ORDERS: ("open_orders",),
}
"""Kinds that a fault can strike; those that are not here strike any request."""
_OF_SOCKETS = frozenset({WireFault.REVOKED, WireFault.DISCONNECT, WireFault.SHUTDOWN, WireFault.TERMINATED})
"""Faults that only the WebSocket API has."""


class Point(StrEnum):
    """Where a request may be held up: on its way, before it is forwarded, before the matching engine (§2)."""

    RECEIVED = "received"
    FORWARDING = "forwarding"
    ENGINE = "engine"


class Body(StrEnum):
    """What a server in trouble answers with."""

    JSON = "json"
    HTML = "html"
    EMPTY = "empty"


class Fault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault: it strikes with `probability`, and certainly at the `nth` occasions (counted from 1).

    `on` names kinds of requests (`REQUEST_KINDS`; of events: `EVENT_KINDS`), none means any that the
    fault can strike; `via` is `rest` or `ws`; `times` bounds how often it strikes. `milliseconds` says
    how long, of a refusal or trouble the Retry-After; `status`, `code`, `message` and `body` what is
    answered. `ValueError` for a kind that does not exist or that the fault cannot strike.
    """

    kind: WireFault
    on: tuple[str, ...] = ()
    via: Literal["rest", "ws"] | None = None
    nth: tuple[Annotated[int, msgspec.Meta(ge=1)], ...] = ()
    probability: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    times: Annotated[int, msgspec.Meta(ge=0)] | None = None
    point: Point = Point.RECEIVED
    milliseconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    status: int | None = None
    code: int | None = None
    message: str | None = None
    body: Body = Body.JSON

    def __post_init__(self) -> None:
        """Refuse what would never strike."""
        known = _STRIKES.get(self.kind, REQUEST_KINDS)
        for name in self.on:
            if name not in known:
                raise ValueError(f"{self.kind} cannot be on {name!r}; there are {', '.join(known)}")
        if self.via == "rest" and self.kind in _OF_SOCKETS:
            raise ValueError(f"{self.kind} is of the WebSocket API alone: via 'ws'")

    def may_strike(self, kind: str, via: str | None) -> bool:
        """Tell whether an occasion of this kind, come this way, is one of this fault's."""
        if self.on:
            if kind not in self.on:
                return False
        elif kind not in _STRIKES.get(self.kind, (kind,)):
            return False
        if via == "rest" and self.kind in _OF_SOCKETS:
            return False
        return via is None or self.via in {None, via}


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fault plan as `POST /paper/faults` takes it; with `add` it joins the present one, whose seed stays."""

    faults: tuple[Fault, ...] = ()
    seed: int = 0
    add: bool = False


class BadPlan(ValueError):
    """A fault plan that makes no sense; the text says where."""


def read_plan(text: str | bytes) -> Plan:
    """Read a plan from its JSON; `BadPlan`."""
    try:
        return msgspec.json.decode(text, type=Plan)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise BadPlan(f"the fault plan: {error}") from error


@dataclass(slots=True)
class _Count:
    fault: Fault
    occasions: int = 0
    strikes: int = 0


class Struck:
    """The faults that strike at one occasion, one of a kind at most."""

    def __init__(self, faults: Mapping[WireFault, Fault]) -> None:
        self._faults = faults

    def __bool__(self) -> bool:
        return bool(self._faults)

    def __contains__(self, kind: WireFault) -> bool:
        return kind in self._faults

    def get(self, kind: WireFault) -> Fault | None:
        """Look up the fault of a kind."""
        return self._faults.get(kind)

    def delay(self, point: Point) -> float:
        """Say for how many seconds the request is held up at a point."""
        late = self._faults.get(WireFault.LATE_REQUEST)
        return late.milliseconds / 1000 if late is not None and late.point is point else 0.0


NOTHING = Struck({})


class WireFaults:
    """Decides what strikes; each fault counts its own occasions, by seed or by script."""

    def __init__(self, faults: Iterable[Fault] = (), seed: int = 0) -> None:
        """Begin with a plan."""
        self._counts = [_Count(fault) for fault in faults]
        self._chance = random.Random(seed)  # noqa: S311 - for tests, not for secrets

    def set(self, plan: Plan) -> None:
        """Follow another plan, or a further one."""
        added = [_Count(fault) for fault in plan.faults]
        if plan.add and self._counts:
            self._counts += added
        else:
            self._counts, self._chance = added, random.Random(plan.seed)  # noqa: S311 - the same

    def strike(self, kind: str, via: str) -> Struck:
        """Count a request of a kind, and say what strikes it."""
        if not self._counts:
            return NOTHING
        return self._draw(kind, via, events=False)

    def strike_event(self, kind: str) -> Struck:
        """Count an event of a kind, and say what strikes it."""
        if not self._counts:
            return NOTHING
        return self._draw(kind, None, events=True)

    def state(self) -> list[dict[str, object]]:
        """Tell the plan, and how often each fault could strike and did."""
        return [
            {**msgspec.to_builtins(entry.fault), "occasions": entry.occasions, "strikes": entry.strikes}
            for entry in self._counts
        ]

    def _draw(self, kind: str, via: str | None, *, events: bool) -> Struck:
        struck: dict[WireFault, Fault] = {}
        for entry in self._counts:
            fault = entry.fault
            if (fault.kind in EVENT_FAULTS) is not events or not fault.may_strike(kind, via):
                continue
            entry.occasions += 1
            hit = entry.occasions in fault.nth
            if fault.probability:
                hit = self._chance.random() < fault.probability or hit
            if not hit or fault.kind in struck or (fault.times is not None and entry.strikes >= fault.times):
                continue
            entry.strikes += 1
            struck[fault.kind] = fault
        return Struck(struck)


class NoReply(Exception):
    """The client gets no answer to this request.

    On REST its connection is dropped after `seconds`; the WebSocket API just stays silent.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__("no reply")
        self.seconds = fault.milliseconds / 1000


class Trouble(Exception):
    """The server answers as one in trouble; nothing is said of whether the request was done."""

    def __init__(self, fault: Fault) -> None:
        super().__init__("server in trouble")
        self.status = fault.status or 503
        self.code = -1000 if fault.code is None else fault.code
        self.message = fault.message or _MESSAGES.get(
            self.code, "An unknown error occurred while processing the request."
        )
        self.body = fault.body
        self.retry_after = fault.milliseconds / 1000


_MESSAGES = {
    -1001: "Internal error; unable to process your request. Please try again.",
    -1003: "Too many requests queued.",
    -1006: "An unexpected response was received from the message bus. Execution status unknown.",
    -1007: "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
    -1008: "Server is currently overloaded with other requests. Please try again in a few minutes.",
    -1013: "Filter failure: LOT_SIZE",
    -1015: "Too many new orders.",
    -1016: "This service is no longer available.",
    -1020: "This operation is not supported.",
    -2010: "Account has insufficient balance for requested action.",
}


def refusal_of(fault: Fault) -> tuple[int, str, int]:
    """Say code, text and HTTP status of a `refuse`."""
    code = -1013 if fault.code is None else fault.code
    return code, fault.message or _MESSAGES.get(code, "Refused."), fault.status or 400
