"""What holds of every execution, whatever fills, fails, stalls, waits, is paused, amended or crashes.

Plans are drawn with all that shapes them: sizes, jitter, `ow`, catching up, extra slots, a sweep, an
end; and so is their course. The execution is driven as TWAPActor does, without messages.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from actors.twap.execution import AwaitChild, Close, Done, Execution, Serve, Skip, Wait
from actors.twap.schedule import due_at, minimum_at, plan, slot_at, slot_number, sweep_slot
from actors.twap.settings import TwapSettings
from messages.execution import Plan, StopReason
from messages.facts import ExecutionAmended, ExecutionPaused, ExecutionResumed
from messages.signal import TwapOptions
from tests.actors.twap.world import World
from tests.examples import examples
from tests.factories import EXECUTION, NOW, D, a_signal, an_accepted, rules

PRICE = D(42_000)

plans = st.builds(
    lambda steps, least, **options: (steps * D("0.00001"), least, options),
    steps=st.integers(200, 2_000_000),
    least=st.sampled_from([D(0), D(50), D(5_000)]),
    num_chunks=st.integers(1, 12),
    interval_seconds=st.sampled_from([D(1), D(10), D("29.7")]),
    jitter=st.sampled_from([D(0), D("0.07"), D("0.5")]),
    schedule=st.sampled_from(["equal", "ow"]),
    rho=st.sampled_from([D("0.01"), D(1)]),
    catch_up=st.sampled_from(["none", "spread", "cap"]),
    remainder=st.sampled_from(["report", "sweep"]),
    end_at=st.sampled_from([None, *(NOW + timedelta(seconds=seconds) for seconds in (3, 31, 95))]),
)
"""A quantity, the least value of a chunk, and a signal's options."""

turns = st.lists(
    st.one_of(
        st.tuples(st.just("fill"), st.sampled_from([D(0), D("0.3"), D("0.999"), D(1)])),
        st.tuples(st.just("skip"), st.sampled_from([D(0), D("0.2"), D("0.99")])),
        st.tuples(st.just("stall"), st.integers(1, 12)),
        st.tuples(st.just("pause"), st.integers(1, 6)),
        st.tuples(st.just("amend"), st.sampled_from([D("0.5"), D("0.9"), D(1)])),
        st.tuples(st.just("end"), st.integers(1, 9)),
        st.tuples(st.just("quiet"), st.sampled_from([D(0), D("0.4")])),
        st.tuples(st.just("crash"), st.just(0)),
    ),
    max_size=30,
)
"""What happens at each turn, and its measure: the share that fills, the part of the slot that guards waited,
intervals of a stall or a pause, what an amendment leaves, intervals to a new end, what participation allows."""


def drawn(quantity: Decimal, least: Decimal, options: dict[str, Any]) -> Plan:
    signal = a_signal(quantity=quantity, twap=TwapOptions(**options))
    accepted = an_accepted(signal=signal, quantity=quantity)
    return plan(accepted, rules(), TwapSettings(min_chunk_value=least, guard_wait_seconds=None), NOW)


class Course(World):
    """Drives an execution through its turns, and checks each child."""

    def __init__(self, schedule: Plan) -> None:
        super().__init__(
            an_accepted(quantity=schedule.quantity), **{one.name: getattr(schedule, one.name) for one in fields(Plan)}
        )
        self.now: datetime = NOW
        self.interval = slot_at(schedule, 1) - slot_at(schedule, 0)
        self.turns: dict[int, int] = {}
        self.cut = False

    @property
    def seconds(self) -> Decimal:
        return Decimal((self.now - NOW) // timedelta(microseconds=1)) / 1_000_000

    def step(self) -> Serve | Close:
        """Let time pass until a slot is to be served, or the execution ends."""
        for _ in range(10_000):
            match step := self.execution.next(self.now):
                case Wait(until):
                    assert until is not None, "waits for nothing"
                    assert until > self.now, "waits for what has passed"
                    self.now = until
                case Skip(slot, quantity, _, _):
                    assert quantity >= 0
                    assert slot >= self.execution.next_slot, "lets a slot go twice"
                    self.skip(slot, float(self.seconds), "OVERDUE")
                case Serve():
                    return step
                case Close():
                    return step
                case AwaitChild() | Done():
                    raise AssertionError(step)
                case _:
                    raise AssertionError(step)
        raise AssertionError("goes nowhere")

    def check_time(self, serve: Serve) -> None:
        """No slot before its time, and none after the end."""
        schedule, number = self.plan, slot_number(self.plan, self.now)
        assert self.now < serve.slot_end
        assert self.now >= due_at(schedule, number) or serve.slot == sweep_slot(schedule)
        if serve.slot != sweep_slot(schedule):
            assert self.now >= due_at(schedule, serve.slot)
        if self.execution.end_at is not None:
            assert self.now < self.execution.end_at
            assert serve.slot_end <= self.execution.end_at

    def check_child(self, serve: Serve, child: Decimal) -> None:
        """One slot an interval; whole steps, no less than the minimum, no more than cap, rest and order."""
        schedule, execution = self.plan, self.execution
        if serve.slot != sweep_slot(schedule):
            number = slot_number(schedule, self.now)
            assert self.turns.setdefault(number, serve.slot) == serve.slot, "two slots in an interval"
        assert child % schedule.step == 0
        assert child >= minimum_at(schedule, PRICE)
        assert child <= schedule.catch_up_cap * max(schedule.slices)
        if serve.slot < len(schedule.slices):
            assert child <= schedule.catch_up_cap * schedule.slices[serve.slot]
        assert child <= execution.rest
        assert execution.committed + child <= execution.target <= schedule.quantity
        if len(schedule.slices) > schedule.catch_up_cap * 2 and schedule.schedule == "equal":
            assert child < schedule.quantity, "the whole order at once"


def play(course: Course, happenings: list[tuple[str, Any]], last: Callable[[], Decimal]) -> Close:
    """Play a course to its end; once nothing more happens by itself, slots fill by `last`."""
    coming = iter(happenings)
    for _ in range(2_000):
        step = course.step()
        if isinstance(step, Close):
            return step
        course.check_time(step)
        what: str
        size: Any
        what, size = next(coming, ("fill", last()))
        execution = course.execution
        match what:
            case "fill" | "quiet":
                room = None if what == "fill" else (execution.rest * size).quantize(course.plan.step)
                child = execution.child_quantity(step.slot, PRICE, room)
                assert room is None or child <= room
                if not child:
                    course.skip(step.slot, float(course.seconds), "LIQUIDITY" if what == "quiet" else "BELOW_MINIMUM")
                    continue
                course.check_child(step, child)
                filled = child if what == "quiet" else (child * size) // course.plan.step * course.plan.step
                course.fill(step.slot, child, course.seconds, filled=filled)
            case "skip":
                waited = (step.slot_end - course.now) * float(size)
                course.now += waited
                seconds = Decimal(waited // timedelta(microseconds=1)) / 1_000_000
                course.skip(step.slot, float(course.seconds), "SPREAD_TOO_WIDE", waited=str(seconds))
            case "stall":
                course.now += size * course.interval
            case "pause":
                course.add(ExecutionPaused(execution_id=EXECUTION), course.now)
                resumes = course.now + size * course.interval
                assert course.execution.next(course.now) == Wait(course.execution.end_at)
                course.now = resumes
                course.add(ExecutionResumed(execution_id=EXECUTION), course.now)
            case "amend":
                target = (course.plan.quantity * size) // course.plan.step * course.plan.step
                if execution.committed <= target > 0:
                    course.cut = True
                    course.add(ExecutionAmended(execution_id=EXECUTION, quantity=target), course.now)
            case "end":
                course.cut = True
                end = course.now + size * course.interval
                course.add(ExecutionAmended(execution_id=EXECUTION, end_at=end), course.now)
            case "crash":
                assert course.refolded() == execution
                course.execution = course.refolded()
            case _:
                raise AssertionError(what)
        event(what)
    raise AssertionError("never ends")


@settings(max_examples=examples(72))
@given(drawn_plan=plans, happenings=turns)
def test_whatever_happens_each_child_is_legal_no_slot_early_and_the_end_comes(
    drawn_plan: tuple[Decimal, Decimal, dict[str, Any]], happenings: list[tuple[str, Any]]
) -> None:
    course = Course(drawn(*drawn_plan))
    close = play(course, happenings, lambda: D(1))
    execution: Execution = course.execution
    assert execution.executed <= execution.target
    assert execution.open_child is None
    assert course.refolded() == execution
    if close.reason is StopReason.COMPLETED:
        assert execution.target - execution.executed < minimum_at(course.plan, PRICE) * 2


@settings(max_examples=examples(36))
@given(drawn_plan=plans)
def test_undisturbed_every_plan_fills_to_the_last_step(drawn_plan: tuple[Decimal, Decimal, dict[str, Any]]) -> None:
    quantity, least, options = drawn_plan
    schedule = drawn(quantity, least, {**options, "end_at": None})
    course = Course(schedule)
    close = play(course, [], lambda: D(1))
    assert close == Close(StopReason.COMPLETED)
    assert course.execution.executed == schedule.quantity == quantity
    assert [child.quantity for child in course.execution.children.values()] == list(schedule.slices)


@settings(max_examples=examples(36))
@given(drawn_plan=plans, misses=st.integers(1, 30))
def test_after_a_stall_of_any_length_no_interval_carries_more_than_the_cap(
    drawn_plan: tuple[Decimal, Decimal, dict[str, Any]], misses: int
) -> None:
    quantity, least, options = drawn_plan
    course = Course(drawn(quantity, least, {**options, "end_at": None}))
    play(course, [("stall", misses)], lambda: D(1))
    carried: dict[int, Decimal] = {}
    for child in course.execution.children.values():
        number = slot_number(course.plan, child.intended_at)
        carried[number] = carried.get(number, D(0)) + child.quantity
    assert all(amount <= course.plan.catch_up_cap * max(course.plan.slices) for amount in carried.values())
