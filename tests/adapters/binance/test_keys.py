from __future__ import annotations

from typing import Any

import pytest

from adapters.binance.keys import UNREACHABLE, KeyProblem, check_key, parted
from tests.adapters.binance.conftest import settings_for
from tests.adapters.binance.stub import Say, Stub

PATH = "GET /sapi/v1/account/apiRestrictions"
SAFE = {
    "ipRestrict": True,
    "createTime": 1,
    "enableReading": True,
    "enableSpotAndMarginTrading": True,
    "enableWithdrawals": False,
    "enableInternalTransfer": False,
    "permitsUniversalTransfer": False,
}


def names(problems: tuple[KeyProblem, ...]) -> set[str]:
    return {problem.name for problem in problems}


def test_a_key_that_can_only_trade_from_here_has_no_problem(stub: Stub) -> None:
    stub.handlers[PATH] = lambda _: SAFE
    assert check_key(settings_for(stub)) == ()
    assert stub.asked_for(PATH)[0].signature_ok


@pytest.mark.parametrize(
    ("change", "name", "dangerous"),
    [
        ({"enableWithdrawals": True}, "WITHDRAWALS", True),
        ({"enableInternalTransfer": True}, "TRANSFER", True),
        ({"permitsUniversalTransfer": True}, "UNIVERSAL_TRANSFER", True),
        ({"ipRestrict": False}, "NO_IP_RESTRICTION", True),
        ({"enableReading": False}, "NO_READING", False),
        ({"enableSpotAndMarginTrading": False}, "NO_TRADING", False),
    ],
)
def test_each_permission_too_many_or_too_few_is_a_problem(
    stub: Stub, change: dict[str, Any], name: str, dangerous: bool
) -> None:
    stub.handlers[PATH] = lambda _: {**SAFE, **change}
    (problem,) = check_key(settings_for(stub))
    assert (problem.name, problem.dangerous) == (name, dangerous)
    assert parted((problem,), allow_dangerous=False) == ((problem,), ())
    assert parted((problem,), allow_dangerous=True) == (((), (problem,)) if dangerous else ((problem,), ()))


def test_what_is_not_told_is_not_taken_for_safe(stub: Stub) -> None:
    stub.handlers[PATH] = lambda _: {}
    assert len(check_key(settings_for(stub))) == 6


@pytest.mark.parametrize("told", [Say(status=404, text="<html>"), Say(status=400, code=-2015), Say(body=[])])
def test_a_venue_that_does_not_say_is_a_problem_that_nobody_overrides(stub: Stub, told: Say) -> None:
    stub.handlers[PATH] = lambda _: told
    refused, allowed = parted(check_key(settings_for(stub)), allow_dangerous=True)
    assert (names(refused), allowed) == ({"NOT_ANSWERED"}, ())


@pytest.mark.parametrize("told", [Say(drop=True), Say(status=503, text="<html>")])
def test_a_venue_in_trouble_says_nothing_of_the_key(stub: Stub, told: Say) -> None:
    stub.handlers[PATH] = lambda _: told
    refused, allowed = parted(check_key(settings_for(stub)), allow_dangerous=True)
    assert (names(refused), allowed) == ({UNREACHABLE}, ())


def test_a_venue_that_is_not_there_is_a_problem(stub: Stub) -> None:
    settings = settings_for(stub, rest_url="http://127.0.0.1:9")
    assert names(check_key(settings)) == {UNREACHABLE}
