from __future__ import annotations

from datetime import timedelta

from actors.signal_gate.nonces import KEPT_LONGER, Nonces
from messages.facts import NonceUsed
from tests.factories import NOW

UNTIL = NOW + timedelta(seconds=60)
GONE = UNTIL + KEPT_LONGER
TICK = timedelta(milliseconds=1)


def used(*names: str) -> Nonces:
    nonces = Nonces()
    for name in names:
        nonces.use(NonceUsed(sender="desk", nonce=name, until=UNTIL))
    return nonces


def test_a_nonce_is_used_from_its_use_on_until_nothing_could_let_it_in_again() -> None:
    nonces = used("one")
    assert nonces.used("desk", "one", NOW)
    assert nonces.used("desk", "one", GONE - TICK)
    assert not nonces.used("desk", "one", GONE)


def test_another_nonce_and_another_senders_nonce_are_fresh() -> None:
    nonces = used("one")
    assert not nonces.used("desk", "two", NOW)
    assert not nonces.used("other", "one", NOW)


def test_a_nonce_that_was_used_again_later_is_kept_for_the_later_use() -> None:
    nonces = used("one")
    nonces.use(NonceUsed(sender="desk", nonce="one", until=UNTIL + timedelta(hours=1)))
    assert nonces.used("desk", "one", GONE)


def test_nothing_is_kept_for_ever() -> None:
    nonces = used(*map(str, range(1_000)))
    assert len(nonces) == 1_000
    nonces.used("desk", "x", GONE)
    assert len(nonces) == 0
