"""What the service makes of the system's signals; the daemon itself is played by a list of its news."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from adapters import exits
from adapters.service import Service
from messages.control import DaemonEnded, DaemonNews, DaemonStands, Readiness, ShutDown

TERM, INT = signal.SIGTERM, signal.SIGINT
DRAINING = DaemonStands(readiness=Readiness.DRAINING, detail="SIGTERM")
ENDED = DaemonEnded(exit_code=exits.OK, detail="SIGTERM")


class House:
    """Has the given news to tell, and keeps what the daemon is told."""

    def __init__(self, news: Iterable[DaemonNews | int]) -> None:
        self._news, self.told = list(news), list[object]()
        self.config = SimpleNamespace(http=SimpleNamespace(host="127.0.0.1"), mode="paper")

    def start(self) -> None:
        pass

    def shut_down(self, why: str) -> None:
        self.told.append(ShutDown(why))

    def cancel_what_is_open(self) -> tuple[list[str], list[str]]:
        self.told.append("cancel what is open")
        return ["a"], []

    def news(self, *, starting: bool) -> DaemonNews | int:
        del starting
        return self._news.pop(0)


class Http:
    """Listens to nobody."""

    def start(self) -> int:
        return 1

    def stands(self, stands: DaemonStands) -> None:
        pass

    def close(self) -> None:
        pass


def serve(*news: DaemonNews | int) -> tuple[int, list[object]]:
    house: Any = House(news)
    http: Any = Http()
    return Service(house, http, stdin=False, follow=None, reread=None).run(), house.told


@pytest.mark.parametrize("number", [TERM, INT])
def test_the_first_signal_lets_the_daemon_settle(number: signal.Signals) -> None:
    assert serve(number, DRAINING, ENDED) == (exits.OK, [ShutDown(number.name)])


@pytest.mark.parametrize("first", [TERM, INT])
def test_terminating_again_cuts_no_settling_short_for_make_hands_on_what_its_whole_group_gets(
    first: signal.Signals,
) -> None:
    assert serve(first, TERM, DRAINING, TERM, ENDED) == (exits.OK, [ShutDown(first.name)])


@pytest.mark.parametrize("first", [TERM, INT])
def test_ctrl_c_while_it_settles_ends_it_at_once(first: signal.Signals) -> None:
    assert serve(first, DRAINING, INT) == (exits.ERROR, [ShutDown(first.name)])


def test_a_refused_start_cancels_what_is_open_before_it_leaves_and_no_other_end_does() -> None:
    assert serve(DaemonEnded(exit_code=exits.GAVE_UP, detail="six in a row")) == (76, ["cancel what is open"])
    for code in (exits.ERROR, exits.INVARIANT, exits.JOURNAL):
        assert serve(DaemonEnded(exit_code=code, detail="")) == (code, [])
