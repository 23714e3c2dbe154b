"""What an answer, or the lack of one, says of a request: a table, read row by row (protocol §11).

The same table serves REST and the WebSocket API, whose `status` means what HTTP's does. The first
row that fits is the one that counts, and what no row speaks of is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, assert_never

from messages.order import CancelFailed, NotSent, OutcomeUnknown, Refused, SendCancel


class RequestNotSent(Exception):
    """Not one byte of the request was handed to a socket: another path may be tried."""


class RequestUnknown(Exception):
    """The request, or part of it, went out and no answer that can be trusted came back."""


class AnsweredWithError(Exception):
    """The venue answered, with an error: `answer` is it."""

    def __init__(self, answer: Answer) -> None:
        """Keep the answer."""
        super().__init__(str(answer))
        self.answer = answer


class Unreadable(ValueError):
    """An answer that is not what the protocol promises."""


class Meaning(StrEnum):
    """What became of the request, and so which message says it."""

    TAKEN = "taken"
    NOT_SENT = "not sent"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Care(StrEnum):
    """What the adapter does about it besides telling."""

    NONE = "none"
    HOLD_ALL = "hold all"
    HOLD_ORDERS = "hold orders"
    SET_CLOCK = "set clock"
    ALARM = "alarm"
    HOLD_ALL_AND_ALARM = "hold all and alarm"

    @property
    def holds_all(self) -> bool:
        """Whether nothing may be sent for a while."""
        return self in {Care.HOLD_ALL, Care.HOLD_ALL_AND_ALARM}

    @property
    def holds(self) -> bool:
        """Whether something may not be sent for a while: new orders, or everything."""
        return self.holds_all or self is Care.HOLD_ORDERS

    @property
    def alarms(self) -> bool:
        """Whether a person must see it."""
        return self in {Care.ALARM, Care.HOLD_ALL_AND_ALARM}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: `status` as of HTTP, `body` the result's JSON, of an error its code and text.

    `until` is the moment (aware UTC) before which the venue wants to hear nothing more.
    """

    status: int
    body: bytes = b""
    code: int | None = None
    message: str = ""
    until: datetime | None = None

    @property
    def good(self) -> bool:
        """Whether it is a result, not an error."""
        return 200 <= self.status < 300

    @property
    def error_code(self) -> int:
        """The venue's own code, HTTP's status where it gave none."""
        return self.status if self.code is None else self.code

    def __str__(self) -> str:
        said = f"{self.code}: {self.message}" if self.code is not None else self.message
        return f"status {self.status}, {said}" if said else f"status {self.status}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. A bound that is None fits everything; ranges include both ends."""

    signal: str
    meaning: Meaning
    transport: Literal["before", "after"] | None = None
    status: tuple[int, int] | None = None
    code: tuple[int, int] | None = None
    text: str | None = None
    care: Care = Care.NONE

    @property
    def executed(self) -> Literal["no", "?", "yes"]:
        """Whether the request took effect, in the reference's words."""
        if self.meaning is Meaning.TAKEN:
            return "yes"
        return "?" if self.meaning is Meaning.UNKNOWN else "no"

    def fits(self, answer: Answer) -> bool:
        """Tell whether this row speaks of an answer."""
        if self.transport is not None or not _within(self.status, answer.status):
            return False
        if self.code is not None and (answer.code is None or not _within(self.code, answer.code)):
            return False
        return self.text is None or self.text in answer.message


def _within(bounds: tuple[int, int] | None, value: int) -> bool:
    return bounds is None or bounds[0] <= value <= bounds[1]


def _one(code: int) -> tuple[int, int]:
    return code, code


_NO, _OPEN = Meaning.REFUSED, Meaning.UNKNOWN

ROWS: tuple[Row, ...] = (
    Row(signal="connection refused, DNS or TLS before sending", transport="before", meaning=Meaning.NOT_SENT),
    Row(signal="timeout, reset or close after bytes were sent", transport="after", meaning=_OPEN),
    Row(signal="a good status", status=(200, 299), meaning=Meaning.TAKEN),
    Row(signal="5xx, whatever the body", status=(500, 599), meaning=_OPEN),
    Row(signal="-1006 unexpected response", code=_one(-1006), meaning=_OPEN),
    Row(signal="-1007 internal timeout", code=_one(-1007), meaning=_OPEN),
    Row(signal="-1000 unknown error", code=_one(-1000), meaning=_OPEN),
    Row(signal="-1001 disconnected inside", code=_one(-1001), meaning=_OPEN),
    Row(signal="-1008 server busy", code=_one(-1008), meaning=_OPEN),
    Row(signal="-1016 shutting down", code=_one(-1016), meaning=_OPEN),
    Row(signal="418 banned", status=(418, 418), meaning=_NO, care=Care.HOLD_ALL),
    Row(signal="-2021 cancel and new order, half done", code=_one(-2021), meaning=_OPEN),
    Row(signal="-1015 too many orders", code=_one(-1015), meaning=_NO, care=Care.HOLD_ORDERS),
    Row(signal="-1003 too much weight", code=_one(-1003), meaning=_NO, care=Care.HOLD_ALL),
    Row(signal="429 over a limit", status=(429, 429), meaning=_NO, care=Care.HOLD_ALL),
    Row(signal="403 firewall", status=(403, 403), meaning=_NO, care=Care.HOLD_ALL_AND_ALARM),
    Row(signal="-1020 unsupported", code=_one(-1020), meaning=_NO),
    Row(signal="-1013 filter failure", code=_one(-1013), meaning=_NO),
    Row(signal="-1021 timestamp", code=_one(-1021), meaning=_NO, care=Care.SET_CLOCK),
    Row(signal="-1022 signature", code=_one(-1022), meaning=_NO, care=Care.ALARM),
    Row(signal="-1002 unauthorised", code=_one(-1002), meaning=_NO, care=Care.ALARM),
    Row(signal="-2014 form of the key", code=_one(-2014), meaning=_NO, care=Care.ALARM),
    Row(signal="-2015 key, address or permission", code=_one(-2015), meaning=_NO, care=Care.ALARM),
    Row(signal="401 unauthorised", status=(401, 401), meaning=_NO, care=Care.ALARM),
    Row(signal="-11xx a parameter is wrong", code=(-1199, -1100), meaning=_NO),
    Row(signal="-1220 status of the symbol", code=_one(-1220), meaning=_NO),
    Row(signal="-1010 engine's message", code=_one(-1010), meaning=_NO),
    Row(signal="-1014 order composition", code=_one(-1014), meaning=_NO),
    Row(signal="-2010 duplicate: an earlier one is open", code=_one(-2010), text="Duplicate order sent.", meaning=_NO),
    Row(signal="-2010 new order rejected", code=_one(-2010), meaning=_NO),
    Row(signal="-2016 no trading window", code=_one(-2016), meaning=_NO),
    Row(signal="-2011 cancel rejected", code=_one(-2011), meaning=_NO),
    Row(signal="-2022 cancel and new order, neither done", code=_one(-2022), meaning=_NO),
    Row(signal="-2038 amend rejected", code=_one(-2038), meaning=_NO),
    Row(signal="-2013 no such order", code=_one(-2013), meaning=_NO),
    Row(signal="-2026 archived without a fill", code=_one(-2026), meaning=_NO),
    Row(signal="-2039 ids of two orders", code=_one(-2039), meaning=_NO, care=Care.ALARM),
    Row(signal="-2035 subscribed already", code=_one(-2035), meaning=_NO),
    Row(signal="-2036 not subscribed", code=_one(-2036), meaning=_NO),
    Row(signal="-2042 too many subscriptions", code=_one(-2042), meaning=_NO),
    Row(signal="-2043 no reference price", code=_one(-2043), meaning=_NO),
    Row(signal="anything else", meaning=_OPEN),
)
"""The table. Codes that leave it open come before statuses that would close it."""

BEFORE, AFTER = ROWS[0], ROWS[1]


def row_of(answer: Answer) -> Row:
    """Return the first row that speaks of an answer."""
    return next(row for row in ROWS if row.fits(answer))


def order_failure(client_order_id: str, failure: Answer | Exception) -> Refused | NotSent | OutcomeUnknown:
    """Say what became of an order whose request brought no good answer."""
    match _meaning(failure):
        case Meaning.NOT_SENT:
            return NotSent(client_order_id=client_order_id, detail=_words(failure))
        case Meaning.REFUSED:
            assert isinstance(failure, Answer)
            return Refused(
                client_order_id=client_order_id,
                code=failure.error_code,
                message=failure.message,
                until=failure.until,
            )
        case Meaning.UNKNOWN | Meaning.TAKEN:
            return OutcomeUnknown(client_order_id=client_order_id, detail=_words(failure))
        case _ as unreachable:
            assert_never(unreachable)


def cancel_failure(cancel: SendCancel, failure: Answer | Exception) -> CancelFailed:
    """Say what became of a cancel whose request brought no good answer."""
    name, cancel_id = cancel.client_order_id, cancel.cancel_id
    if _meaning(failure) is Meaning.REFUSED:
        assert isinstance(failure, Answer)
        return CancelFailed(
            client_order_id=name,
            cancel_id=cancel_id,
            code=failure.error_code,
            detail=failure.message,
            until=failure.until,
        )
    return CancelFailed(client_order_id=name, cancel_id=cancel_id, code=None, detail=_words(failure))


def _meaning(failure: Answer | Exception) -> Meaning:
    if isinstance(failure, Answer):
        return row_of(failure).meaning
    return BEFORE.meaning if isinstance(failure, RequestNotSent) else AFTER.meaning


def _words(failure: Answer | Exception) -> str:
    return str(failure) or type(failure).__name__
