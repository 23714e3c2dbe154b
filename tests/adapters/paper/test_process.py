"""The paper exchange's process as its parent sees it; small programs stand in for the exchange."""

from __future__ import annotations

import os
import sys

import pytest

from adapters.paper import process
from adapters.paper.process import ExchangeNotUp, PaperProcess

pytestmark = pytest.mark.process

ADDRESSES = '{"rest": "http://x/api", "ws_api": "ws://x/ws-api/v3", "streams": "ws://x"}'


def a_program(text: str) -> list[str]:
    return [sys.executable, "-c", text]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_says_where_the_exchange_is_and_ends_it_by_closing_its_input() -> None:
    with PaperProcess(a_program(f"import sys; print('{ADDRESSES}', flush=True); sys.stdin.read()")) as paper:
        assert (paper.rest, paper.ws_api, paper.streams) == ("http://x/api", "ws://x/ws-api/v3", "ws://x")
        assert alive(paper.pid)
    assert not alive(paper.pid)


def test_a_signal_to_ones_group_is_not_for_the_exchange_which_is_needed_to_settle_what_is_open() -> None:
    with PaperProcess(a_program(f"import sys; print('{ADDRESSES}', flush=True); sys.stdin.read()")) as paper:
        assert os.getpgid(paper.pid) != os.getpgid(0)


def test_one_that_does_not_end_by_itself_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STOP_SECONDS", 0.1)
    with PaperProcess(a_program(f"import time; print('{ADDRESSES}', flush=True); time.sleep(60)")) as paper:
        pass
    assert not alive(paper.pid)


def test_one_that_ends_at_once_is_said_to_with_its_code() -> None:
    with pytest.raises(ExchangeNotUp, match="code 3"), PaperProcess(a_program("raise SystemExit(3)")):
        pass


def test_one_that_says_nothing_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "START_SECONDS", 0.1)
    monkeypatch.setattr(process, "STOP_SECONDS", 0.1)
    with pytest.raises(ExchangeNotUp, match="did not come up"), PaperProcess(a_program("import time; time.sleep(60)")):
        pass


def test_one_that_speaks_nonsense_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STOP_SECONDS", 1.0)
    paper = PaperProcess(a_program("import sys; print('hello', flush=True); sys.stdin.read()"))
    with pytest.raises(ValueError), paper:
        pass
    assert not alive(paper.pid)
