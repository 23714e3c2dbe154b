"""What operators send: the bodies of commands on executions and of halts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from adapters.intake.fields import (
    MAX_TEXT,
    BadValue,
    Reader,
    Refused,
    malformed,
    parse,
    read_fields,
    read_moment,
    read_positive,
)


@dataclass(frozen=True, slots=True)
class Amendment:
    """What an operator wants changed of what is left of an execution; None leaves it as it is."""

    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    end_at: datetime | None = None


_AMENDMENT: Final[dict[str, Reader]] = {
    "quantity": read_positive,
    "limit_price": read_positive,
    "end_at": read_moment,
}


def read_remark(name: str, value: object) -> str:
    """Read a remark for people: cut and cleaned rather than refused, for no halt may fail for its remark."""
    if type(value) is not str:
        raise BadValue(malformed(f"{name} must be a string"))
    return "".join(one if one.isprintable() else " " for one in value[:MAX_TEXT]).strip()


_DETAIL: Final[dict[str, Reader]] = {"detail": read_remark}


def decode_amendment(body: bytes) -> Amendment | Refused:
    """Read the body of an amend command: at least one of quantity, limit_price and end_at."""
    fields = _decode(body, _AMENDMENT)
    if isinstance(fields, Refused):
        return fields
    return Amendment(**fields) if fields else malformed("give quantity, limit_price or end_at")


def decode_detail(body: bytes) -> str | Refused:
    """Read the body of any other command: nothing, or an object with a `detail` for people."""
    fields = _decode(body, _DETAIL)
    return fields if isinstance(fields, Refused) else str(fields.get("detail", ""))


def _decode(body: bytes, readers: Mapping[str, Reader]) -> dict[str, Any] | Refused:
    if not body.strip():
        return {}
    value = parse(body)
    if isinstance(value, Refused):
        return value
    if not isinstance(value, dict):
        return malformed("the body must be a JSON object")
    try:
        return read_fields(value, readers, (), "")
    except BadValue as error:
        return error.refused
