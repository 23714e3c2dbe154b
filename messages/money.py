"""Amounts of money: one decimal context for every thread, and one way to write them down."""

from __future__ import annotations

import decimal
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

MONEY = Context(
    prec=40,
    traps=[
        decimal.FloatOperation,
        decimal.InvalidOperation,
        decimal.DivisionByZero,
        decimal.Overflow,
    ],
)
"""Mixing in a float, dividing by zero or a NaN raise here instead of spreading."""

ZERO = Decimal(0)
ONE = Decimal(1)
BPS = Decimal(10_000)


def use_money_context() -> None:
    """Make `MONEY` the decimal context of this thread and of every thread started from now on."""
    decimal.DefaultContext.prec = MONEY.prec
    for signal in MONEY.traps:
        decimal.DefaultContext.traps[signal] = MONEY.traps[signal]
    decimal.setcontext(MONEY.copy())


def plain(amount: Decimal) -> str:
    """Write an amount as a plain string without exponent or trailing zeros, as `0.00001`."""
    text = format(amount, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def floor_to(amount: Decimal, step: Decimal) -> Decimal:
    """Round towards minus infinity to a multiple of `step`; a step of zero means no step."""
    if not step:
        return amount
    return (amount / step).to_integral_value(ROUND_FLOOR) * step


def ceil_to(amount: Decimal, step: Decimal) -> Decimal:
    """Round towards plus infinity to a multiple of `step`; a step of zero means no step."""
    if not step:
        return amount
    return (amount / step).to_integral_value(ROUND_CEILING) * step


def in_bps(difference: Decimal, base: Decimal) -> Decimal:
    """Say a difference of prices in basis points of `base`."""
    return difference / base * BPS
