"""Names that are derived, never random: execution ids, child order ids, cancel ids."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Literal, get_args

from messages.frozen import dataclass

Environment = Literal["p", "t", "d", "l"]
"""p(aper), t(estnet), d(emo), l(ive)."""

EXECUTION_ID_LENGTH = 13
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND, _MILLISECOND = timedelta(microseconds=1), timedelta(milliseconds=1)
_ENVIRONMENTS: dict[str, Environment] = {letter: letter for letter in get_args(Environment)}
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_CHILD = re.compile(
    r"tg(?P<env>[ptdl])-(?P<execution>[a-z2-7]{13})-(?P<slice>0|[1-9a-z][0-9a-z]{0,4})-(?P<attempt>0|[1-9a-z][0-9a-z]{0,2})"
    r"(?:_c(?P<cancel>0|[1-9a-z][0-9a-z]{0,2}))?"
)


@dataclass(frozen=True, slots=True)
class ChildName:
    """What a child order's id says: attempt `attempt` of slice `slice` of an execution."""

    environment: Environment
    execution_id: str
    slice: int
    attempt: int
    cancel: int | None = None


def microseconds(moment: datetime) -> int:
    """Count the microseconds since 1970 of an aware moment, exactly."""
    return (moment - _EPOCH) // _MICROSECOND


def milliseconds(moment: datetime) -> int:
    """Count the whole milliseconds since 1970 of an aware moment."""
    return (moment - _EPOCH) // _MILLISECOND


def from_milliseconds(count: int) -> datetime:
    """Turn milliseconds since 1970 into an aware moment."""
    return _EPOCH + timedelta(milliseconds=count)


def execution_id(journal_id: str, signal_key: str, accepted_at: datetime) -> str:
    """Derive an execution's id: 13 lower-case base32 characters."""
    text = f"{journal_id}\n{signal_key}\n{microseconds(accepted_at)}"
    digest = blake2b(text.encode(), digest_size=10).digest()
    return base64.b32encode(digest).decode().lower()[:EXECUTION_ID_LENGTH]


def child_id(environment: Environment, execution: str, slice_: int, attempt: int) -> str:
    """Derive a child order's client order id: `tg<env>-<execution>-<slice>-<attempt>` in base 36."""
    return f"tg{environment}-{execution}-{base36(slice_)}-{base36(attempt)}"


def cancel_id(child: str, number: int) -> str:
    """Derive the client id of the `number`-th cancel of a child order."""
    return f"{child}_c{base36(number)}"


def parse_child_id(text: str) -> ChildName | None:
    """Read a client order id of ours; None for any other text, however similar."""
    match = _CHILD.fullmatch(text)
    if match is None:
        return None
    return ChildName(
        environment=_ENVIRONMENTS[match["env"]],
        execution_id=match["execution"],
        slice=int(match["slice"], 36),
        attempt=int(match["attempt"], 36),
        cancel=None if match["cancel"] is None else int(match["cancel"], 36),
    )


def base36(number: int) -> str:
    """Write a number >= 0 in base 36, lower case."""
    if number < 0:
        message = f"not a name's number: {number}"
        raise ValueError(message)
    text = ""
    while True:
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
        if not number:
            return text
