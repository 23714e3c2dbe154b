"""Whether a signal makes sense by itself: types, ranges, and options that contradict each other.

An intake has decoded most signals strictly already; but a signal may come from any actor, and
whatever it holds must not bring the gate down.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from operator import attrgetter
from typing import Final, NamedTuple

from messages.money import ZERO, plain
from messages.signal import Reason, Side, Signal, TwapOptions

MAX_TEXT: Final = 128
MAX_MAGNITUDE: Final = 20
"""Amounts lie between 1e-20 and 1e20 and have at most 36 digits, so that no sum is ever rounded."""
MAX_DIGITS: Final = 36
MAX_CHUNKS: Final = 10_000
MAX_CAP_BPS: Final = 1_000
MAX_JITTER: Final = Decimal("0.5")
FIRST_YEAR: Final = 2000
LAST_YEAR: Final = 2200


class Refusal(NamedTuple):
    """Why a signal is not let in: the code, and figures for people."""

    reason: Reason
    detail: str


def malformed(detail: str) -> Refusal:
    """Refuse for a nonsense that waiting does not cure."""
    return Refusal(Reason.MALFORMED, detail)


_TEXTS: Final = (("symbol", False), ("source", False), ("account", False), ("id", True), ("tag", True))
"""Text fields, and whether they may be missing."""

_texts_of: Final = attrgetter(*(name for name, _ in _TEXTS))

_AMOUNTS: Final = ("quantity", "quote_quantity", "price", "ttl_seconds", "limit_price")
_TWAP_AMOUNTS: Final = ("duration_seconds", "interval_seconds", "rho")
_MOMENTS: Final = ("start_at", "end_at")
_WORDS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    ("child", ("market", "ioc", "passive", "auto")),
    ("catch_up", ("none", "spread", "cap")),
    ("remainder", ("report", "sweep")),
    ("schedule", ("equal", "ow")),
)
_NO_OPTIONS: Final = TwapOptions()


def check_shape(signal: Signal, max_duration_seconds: Decimal) -> Refusal | None:
    """Return the first thing wrong with the signal itself, or None."""
    return (
        _check_texts(signal)
        or _check_amounts(signal, _AMOUNTS, "")
        or _check_quantities(signal)
        or _check_moment("timestamp", signal.timestamp)
        or (None if signal.twap == _NO_OPTIONS else _check_twap(signal.twap, max_duration_seconds))
    )


def _check_texts(signal: Signal) -> Refusal | None:
    for (name, optional), text in zip(_TEXTS, _texts_of(signal), strict=True):
        if text is None and optional:
            continue
        if not isinstance(text, str) or not _plain_text(text):
            return malformed(f"{name} must be 1 to {MAX_TEXT} printable ASCII characters")
    return _check_kind("side", signal.side, Side, "buy or sell")


def _check_kind(name: str, value: object, kind: type, expected: str) -> Refusal | None:
    return None if isinstance(value, kind) else malformed(f"{name} must be {expected}")


def _plain_text(text: str) -> bool:
    return 0 < len(text) <= MAX_TEXT and text.isascii() and text.isprintable()


def _check_amounts(holder: object, names: tuple[str, ...], prefix: str) -> Refusal | None:
    for name in names:
        amount = getattr(holder, name)
        if amount is not None and (refusal := check_amount(prefix + name, amount)):
            return refusal
    return None


def check_amount(name: str, amount: object) -> Refusal | None:
    """Return why a value is not an amount above zero, or None if it is one."""
    if not isinstance(amount, Decimal):
        return malformed(f"{name} must be a decimal number")
    if not amount.is_finite():
        return Refusal(Reason.NOT_FINITE, f"{name} is {amount}")
    if amount <= ZERO:
        return malformed(f"{name} must be above 0")
    text = str(amount)
    if len(text) <= MAX_MAGNITUDE and "E" not in text:
        return None  # As most are: so few characters are neither too many digits nor too far from the point.
    if amount.adjusted() > MAX_MAGNITUDE:
        return Refusal(Reason.NOT_FINITE, f"{name} is above 1e{MAX_MAGNITUDE}")
    _, digits, exponent = amount.as_tuple()
    if len(digits) > MAX_DIGITS or (isinstance(exponent, int) and exponent < -MAX_MAGNITUDE):
        return malformed(f"{name} has too many digits")
    return None


def _check_quantities(signal: Signal) -> Refusal | None:
    if (signal.quantity is None) == (signal.quote_quantity is None):
        return malformed("exactly one of quantity and quote_quantity must be given")
    return None


def _check_moment(name: str, moment: object) -> Refusal | None:
    if moment is None:
        return None
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        return malformed(f"{name} must be a moment with its offset from UTC")
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        return malformed(f"{name} must lie between the years {FIRST_YEAR} and {LAST_YEAR}")
    return None


def _check_twap(options: TwapOptions, max_duration_seconds: Decimal) -> Refusal | None:
    return (
        _check_kind("twap", options, TwapOptions, "an object of options")
        or _check_chunks(options.num_chunks)
        or _check_amounts(options, _TWAP_AMOUNTS, "twap.")
        or _check_up_to("twap.cap_bps", options.cap_bps, MAX_CAP_BPS)
        or _check_up_to("twap.jitter", options.jitter, MAX_JITTER)
        or _check_participation(options.max_participation)
        or _check_words(options)
        or _check_times(options, max_duration_seconds)
    )


def _check_chunks(chunks: object) -> Refusal | None:
    if chunks is None:
        return None
    if not isinstance(chunks, int) or isinstance(chunks, bool):
        return malformed("twap.num_chunks must be a whole number")
    if not 1 <= chunks <= MAX_CHUNKS:
        return malformed(f"twap.num_chunks must be between 1 and {MAX_CHUNKS}")
    return None


def _check_up_to(name: str, amount: object, most: Decimal | int) -> Refusal | None:
    """Check an amount that may be zero and has a largest value."""
    if amount is None or (isinstance(amount, Decimal) and amount.is_zero() and amount.adjusted() >= -MAX_MAGNITUDE):
        return None
    if refusal := check_amount(name, amount):
        return refusal
    if isinstance(amount, Decimal) and amount > most:
        return malformed(f"{name} must be at most {most}")
    return None


def _check_participation(share: object) -> Refusal | None:
    if share is None:
        return None
    if refusal := check_amount("twap.max_participation", share):
        return refusal
    if isinstance(share, Decimal) and share > 1:
        return malformed("twap.max_participation is a fraction, at most 1")
    return None


def _check_words(options: TwapOptions) -> Refusal | None:
    for name, words in _WORDS:
        word = getattr(options, name)
        if word is not None and word not in words:
            return malformed(f"twap.{name} must be one of {', '.join(words)}")
    if options.timing is not None and (refusal := _check_kind("twap.timing", options.timing, bool, "true or false")):
        return refusal
    return None


def _check_times(options: TwapOptions, longest: Decimal) -> Refusal | None:
    for name in _MOMENTS:
        if refusal := _check_moment(f"twap.{name}", getattr(options, name)):
            return refusal
    start, end = options.start_at, options.end_at
    if start is not None and end is not None and end <= start:
        return malformed("twap.end_at is not after twap.start_at")
    interval = options.interval_seconds or Decimal(0)
    length = interval * (options.num_chunks or 1)
    if options.duration_seconds is not None:
        if interval and options.num_chunks and length != options.duration_seconds:
            return malformed("twap.num_chunks times interval_seconds is not duration_seconds")
        length = options.duration_seconds
    if start is not None and end is not None:
        length = max(length, Decimal((end - start) // timedelta(seconds=1)))
    if length > longest:
        return malformed(f"the execution would take {plain(length)} s, above {plain(longest)} s")
    return None
