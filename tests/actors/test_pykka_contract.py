"""What the runtime takes for granted about Pykka's inner life, one test a name.

If a new Pykka fails here, the test's name says which part of `actors/runtime` must change.
"""

from __future__ import annotations

import inspect
import sys
import threading
from importlib import metadata
from typing import Any
from uuid import UUID

import pykka
import pytest
from pykka import _actor, _envelope, messages

from actors.runtime import Actor, Simulation
from actors.runtime._actor import Ref, Stopped
from actors.runtime._mailbox import Mailbox


class Bare(pykka.Actor):
    """Pykka's actor with a list for an inbox and without a loop: the test calls its parts."""

    inbox_calls: int
    caught: list[str]

    @staticmethod
    def _create_actor_inbox() -> Any:
        return Inbox()

    @staticmethod
    def _create_future() -> pykka.Future[Any]:
        return pykka.ThreadingFuture()

    def _start_actor_loop(self) -> None:
        ALIVE.append(self)
        self.caught = ["_start_actor_loop"]

    def on_start(self) -> None:
        self.caught.append("on_start")

    def on_stop(self) -> None:
        self.caught.append("on_stop")

    def on_failure(self, *_: object) -> None:
        self.caught.append("on_failure")

    def on_receive(self, message: Any) -> Any:
        if isinstance(message, BaseException):
            raise message
        self.caught.append(message)
        return message


class Silent(Actor):
    """An actor of ours that is never started."""


class Inbox:
    def __init__(self) -> None:
        self.waiting: list[Any] = []

    def put(self, envelope: Any, /) -> None:
        self.waiting.append(envelope)

    def get(self) -> Any:
        if not self.waiting:
            raise IndexError("nothing left")
        return self.waiting.pop(0)

    def empty(self) -> bool:
        return not self.waiting


ALIVE: list[Bare] = []


def start() -> Bare:
    Bare.start()
    return ALIVE[-1]


@pytest.fixture(autouse=True)
def _unregister() -> Any:
    yield
    while ALIVE:
        pykka.ActorRegistry.unregister(ALIVE.pop().actor_ref)


def test_the_version_is_the_one_that_was_read() -> None:
    assert metadata.version("pykka").startswith("4.5.")


def test_start_calls_create_actor_inbox_and_start_actor_loop_after_registering() -> None:
    actor = start()
    assert isinstance(actor.actor_inbox, Inbox)
    assert actor.caught == ["_start_actor_loop"]
    assert actor.actor_ref in pykka.ActorRegistry.get_all()


def test_an_actor_of_ours_is_made_of_what_pykkas_own_init_makes() -> None:
    with Simulation():
        ours = vars(Silent())
    kinds = {"_actor_ref": Ref, "actor_inbox": Mailbox, "actor_stopped": Stopped}
    for name, made in vars(Bare()).items():
        assert type(ours.pop(name)) is kinds.get(name, type(made))
    assert ours.keys() == {"runtime"}


def test_whoever_waits_for_one_actor_to_stop_is_not_woken_for_good_by_another() -> None:
    mine, other, over = Stopped(), Stopped(), threading.Event()

    def wait() -> None:
        assert mine.wait(10)
        over.set()

    thread = threading.Thread(target=wait)
    thread.start()
    other.set()
    assert other.wait(0)
    assert not mine.wait(0.01)
    assert not over.is_set()
    mine.set()
    thread.join(10)
    assert over.is_set()
    mine.clear()
    assert not mine.is_set()


def test_an_event_is_made_of_a_condition_and_a_flag() -> None:
    assert vars(threading.Event()).keys() == {"_cond", "_flag"}


def test_each_actor_has_a_name_of_its_own_of_pykkas_form() -> None:
    with Simulation():
        names = [Silent().actor_urn for _ in range(100)]
    assert len(set(names)) == 100
    assert {UUID(name).version for name in (*names, Bare().actor_urn)} == {4}


def test_the_hooks_of_new_actor_types_are_the_abstract_methods() -> None:
    assert pykka.Actor.__abstractmethods__ == {"_create_actor_inbox", "_create_future", "_start_actor_loop"}


def test_ask_answers_with_what_create_future_made() -> None:
    assert type(start().actor_ref.ask("x", block=False)) is pykka.ThreadingFuture


def test_actor_loop_setup_calls_on_start_and_takes_its_failure_to_handle_failure() -> None:
    actor = start()
    actor._actor_loop_setup()
    assert actor.caught[-1] == "on_start"
    failing = start()
    failing.on_start = _fail  # type: ignore[method-assign] # a hook that fails
    failing._actor_loop_setup()
    assert failing.actor_stopped.is_set()


def _fail() -> None:
    raise ValueError


def test_actor_loop_running_fetches_outside_its_try_so_what_get_raises_leaves_the_loop() -> None:
    actor = start()
    actor.actor_ref.tell("one")
    actor.actor_ref.tell("two")
    with pytest.raises(IndexError):
        actor._actor_loop_running()
    assert actor.caught[1:] == ["one", "two"]
    assert not actor.actor_stopped.is_set()


def test_actor_loop_running_goes_on_where_it_left_and_returns_once_stopped() -> None:
    actor = start()
    with pytest.raises(IndexError):
        actor._actor_loop_running()
    actor.actor_ref.tell("later")
    actor.actor_ref.stop(block=False)
    actor.actor_ref.tell("behind the stop")
    actor._actor_loop_running()
    assert actor.caught[1:] == ["later", "on_stop"]
    assert len(actor.actor_inbox.waiting) == 1  # type: ignore[attr-defined] # the list of the test's inbox


def test_a_told_failure_goes_to_handle_failure_and_then_to_on_failure() -> None:
    actor, seen = start(), []
    original = actor._handle_failure

    def handle(*exc_info: Any) -> None:
        seen.append(exc_info[1])
        original(*exc_info)

    actor._handle_failure = handle  # type: ignore[method-assign, assignment] # as an override would
    error = ValueError("told")
    actor.actor_ref.tell(error)
    actor._actor_loop_running()
    assert seen == [error]
    assert actor.caught[-1] == "on_failure"
    assert actor.actor_ref not in pykka.ActorRegistry.get_all()
    assert list(inspect.signature(pykka.Actor._handle_failure).parameters)[1:] == [
        "exception_type",
        "exception_value",
        "traceback",
    ]


def test_an_asked_failure_goes_to_the_future_and_not_to_handle_failure() -> None:
    actor = start()
    future = actor.actor_ref.ask(ValueError("asked"), block=False)
    with pytest.raises(IndexError):
        actor._actor_loop_running()
    with pytest.raises(ValueError, match="asked"):
        future.get()
    assert not actor.actor_stopped.is_set()


def test_stop_is_called_with_the_exception_at_hand_when_a_handler_raises_more_than_an_exception() -> None:
    actor, seen = start(), []

    def stop() -> None:
        seen.append(sys.exception())
        raise RuntimeError("out")

    actor._stop = stop  # type: ignore[method-assign] # as an override would
    error = KeyboardInterrupt()
    actor.actor_ref.tell(error)
    with pytest.raises(RuntimeError, match="out"):
        actor._actor_loop_running()
    assert seen == [error]


def test_a_stop_message_calls_stop() -> None:
    actor, seen = start(), []
    actor._stop = lambda: seen.append(sys.exception())  # type: ignore[method-assign] # as an override would
    actor.actor_ref.tell(messages._ActorStop())
    with pytest.raises(IndexError):
        actor._actor_loop_running()
    assert seen == [None]


def test_actor_ref_is_what_was_put_in_the_private_attribute() -> None:
    actor = start()
    other = pykka.ActorRef(actor)
    assert actor.actor_ref is not other
    pykka.ActorRegistry.unregister(actor.actor_ref)
    actor._actor_ref = other
    assert actor.actor_ref is other


def test_a_ref_has_inbox_stopped_flag_and_urn_of_its_actor() -> None:
    actor = start()
    assert actor.actor_ref.actor_inbox is actor.actor_inbox
    assert actor.actor_ref.actor_stopped is actor.actor_stopped
    assert actor.actor_ref.actor_urn == actor.actor_urn
    assert isinstance(actor.actor_stopped, threading.Event)


def test_a_ref_stops_by_asking_with_the_private_stop_message() -> None:
    actor = start()
    actor.actor_ref.stop(block=False)
    envelope = actor.actor_inbox.get()
    assert isinstance(envelope.message, messages._ActorStop)
    assert envelope.reply_to is not None


def test_an_envelope_is_a_message_with_perhaps_a_future() -> None:
    envelope = _envelope.Envelope("message")
    assert (envelope.message, envelope.reply_to) == ("message", None)
    future = pykka.ThreadingFuture[str]()
    assert _envelope.Envelope("message", reply_to=future).reply_to is future


def test_a_threading_future_keeps_its_outcome_in_result_and_none_until_then() -> None:
    future = pykka.ThreadingFuture[int]()
    before = future._result
    future.set(None)
    assert before is None
    assert future._result is not None
    failed = pykka.ThreadingFuture[int]()
    failed.set_exception((ValueError, ValueError("x"), None))
    assert failed._result is not None


def test_a_threading_future_keeps_its_get_hook_and_calls_that_instead() -> None:
    future = pykka.ThreadingFuture[str]()
    before = future._get_hook
    future.set_get_hook(lambda timeout: f"hooked {timeout}")
    assert before is None
    assert future._get_hook is not None
    assert future.get(timeout=2) == "hooked 2"
    assert future._result is None


def test_a_threading_future_notifies_its_condition() -> None:
    future, woken = pykka.ThreadingFuture[int](), []

    def wait() -> None:
        with future._condition:
            woken.append(future._condition.wait_for(lambda: future._result is not None, 5))

    waiter = threading.Thread(target=wait)
    waiter.start()
    future.set(1)
    waiter.join()
    assert woken == [True]


def test_an_inbox_is_anything_that_puts_gets_and_knows_whether_it_is_empty() -> None:
    names = {name for name in vars(_actor.ActorInbox) if not name.startswith("_")}
    assert names == {"put", "get", "empty"}
