"""What an API key may do, and what it must not be able to do before real money is at stake."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from actors.runtime import Pool
from adapters.binance.codec import decode
from adapters.binance.outcomes import Answer, RequestNotSent, RequestUnknown, Unreadable
from adapters.binance.queries import Queries
from adapters.binance.rest import import_client
from adapters.binance.settings import BinanceSettings
from adapters.binance.shapes import KeyRestrictions
from adapters.binance.signing import signer_of


@dataclass(frozen=True, slots=True)
class KeyProblem:
    """Something about a key that speaks against trading with it.

    `dangerous` ones (it may move money, or works from everywhere) can be overridden by whoever
    insists; with the others it does not work at all.
    """

    name: str
    detail: str
    dangerous: bool


UNREACHABLE = "UNREACHABLE"
"""The name of the problem that says nothing of the key: the venue could not be asked."""

_DANGERS = (
    ("enable_withdrawals", True, "WITHDRAWALS", "the key may withdraw; switch that off"),
    ("enable_internal_transfer", True, "TRANSFER", "the key may transfer to other accounts; switch that off"),
    ("permits_universal_transfer", True, "UNIVERSAL_TRANSFER", "the key may transfer universally; switch that off"),
    ("ip_restrict", False, "NO_IP_RESTRICTION", "the key works from every address; restrict it to this one"),
)
_LACKS = (
    ("enable_reading", "NO_READING", "the key may not read the account"),
    ("enable_spot_and_margin_trading", "NO_TRADING", "the key may not trade on spot"),
)


def problems_of(key: KeyRestrictions) -> tuple[KeyProblem, ...]:
    """List what speaks against a key with these restrictions."""
    dangers = [
        KeyProblem(name, detail, dangerous=True) for field, bad, name, detail in _DANGERS if getattr(key, field) is bad
    ]
    lacks = [KeyProblem(name, detail, dangerous=False) for field, name, detail in _LACKS if not getattr(key, field)]
    return (*dangers, *lacks)


def check_key(settings: BinanceSettings) -> tuple[KeyProblem, ...]:
    """Ask what the key may do, and return what speaks against it; blocks, for some seconds at most.

    A venue that does not answer, or not in a way that can be read, is a problem too: nothing is taken for granted.
    """
    import_client()
    return asyncio.run(fetch_problems(settings))


def parted(
    problems: tuple[KeyProblem, ...], *, allow_dangerous: bool
) -> tuple[tuple[KeyProblem, ...], tuple[KeyProblem, ...]]:
    """Part problems into those for which a key is refused, and those with which it is used all the same."""
    allowed = tuple(problem for problem in problems if allow_dangerous and problem.dangerous)
    return tuple(problem for problem in problems if problem not in allowed), allowed


def allowance(allowed: tuple[KeyProblem, ...]) -> str:
    """Say what a key may do too much that is used all the same, and why it is."""
    said = "; ".join(problem.detail for problem in allowed)
    return f"{said}; it is used because venue.allow_dangerous_key says so"


async def fetch_problems(settings: BinanceSettings) -> tuple[KeyProblem, ...]:
    """Do the asking of `check_key`, on the running loop."""
    signer = signer_of(settings.api_secret, settings.private_key, settings.private_key_pass)
    rest = Queries(settings, signer=signer, runtime=Pool(1)).rest  # The pool tells the time; it runs nothing.
    rest.open()
    try:
        answer = await rest.ask("GET", "sapi/account/apiRestrictions", signed=True)
        if not answer.good:
            return (_unanswered(answer, UNREACHABLE if answer.status >= 500 else "NOT_ANSWERED"),)
        return problems_of(decode(KeyRestrictions, answer.body))
    except (RequestNotSent, RequestUnknown) as error:
        return (_unanswered(error, UNREACHABLE),)
    except Unreadable as error:
        return (_unanswered(error),)
    finally:
        await rest.close()


def _unanswered(why: Answer | Exception, name: str = "NOT_ANSWERED") -> KeyProblem:
    return KeyProblem(name, f"what the key may do could not be found out: {why}", dangerous=False)
