"""The pure state machine of one execution: whatever happens, it stays within its bounds."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from actors.twap.execution import MOST_ATTEMPTS, AwaitChild, Close, Execution, Serve, Wait
from actors.twap.schedule import minimum_at, most_of
from messages.facts import ExecutionPaused, ExecutionResumed, SlotSkipped
from messages.signal import CatchUp
from tests.actors.twap.world import PRICE, World, absent, after, quantity, refused, unknown
from tests.factories import EXECUTION, NOW, D, a_plan, a_planned, an_accepted

turns = st.lists(
    st.tuples(
        st.sampled_from(["fill", "part", "refuse", "absent", "skip", "stall", "pause", "unfilled"]),
        st.integers(0, 1000),
    ),
    max_size=30,
)


@given(
    turns=turns,
    steps=st.integers(200, 60_000),
    count=st.integers(1, 12),
    catch_up=st.sampled_from(["none", "spread", "cap"]),
    accept=st.booleans(),
)
def test_any_course_of_fills_failures_and_stalls_stays_within_its_bounds(
    turns: list[tuple[str, int]], steps: int, count: int, catch_up: CatchUp, *, accept: bool
) -> None:
    step = D("0.00001")
    size, larger = divmod(steps, count)
    world = World(
        quantity=steps * step,
        slices=tuple((size + (index < larger)) * step for index in range(count)),
        catch_up=catch_up,
        on_partial="accept" if accept else "requeue",
        min_notional=D(size) * step * 30_000,
    )
    play(world, turns)
    assert world.execution.executed <= world.plan.quantity
    assert world.execution == world.refolded()
    assert world.execution.next(after(10**6)) == world.refolded().next(after(10**6))


def play(world: World, turns: list[tuple[str, int]]) -> None:
    """Let happen what `turns` say, checking each child, until the execution closes."""
    again: list[int] = []
    now, intervals, course = 0.0, set(), iter(turns)
    for _ in range(200):
        step = world.execution.next(after(now))
        assert step == world.refolded().next(after(now))
        if isinstance(step, Close):
            return
        if isinstance(step, Wait):
            assert step.until is not None
            assert step.until > after(now)
            now = (step.until - NOW).total_seconds()
            continue
        kind, share = next(course, ("fill", 0))
        if kind == "stall":
            now += share
            continue
        if kind == "pause":
            world.add(ExecutionPaused(execution_id=EXECUTION), after(now))
            now += share
            world.add(ExecutionResumed(execution_id=EXECUTION), after(now))
            continue
        serve = world.serve(now)
        assert serve.guards_until <= serve.slot_end
        child = quantity(world, serve.slot)
        if kind == "skip" or not child:
            world.skip(serve.slot, now)
            continue
        interval = int(now // 30)
        assert interval not in intervals, "two children within an interval"
        retried = sum(kept == serve.slot for kept in again)
        assert retried < MOST_ATTEMPTS, "too many attempts of a slot"
        if kind in {"refuse", "absent"}:
            again.append(serve.slot)
        else:
            intervals.add(interval)
        check(world, serve, child)
        happen(world, serve.slot, child, (kind, share), now)
    raise AssertionError("it does not end")


def check(world: World, serve: Serve, child: Decimal) -> None:
    plan = world.plan
    assert child % plan.step == 0
    assert child >= minimum_at(plan, PRICE)
    assert child <= most_of(plan, serve.slot)
    assert world.execution.committed + child <= plan.quantity
    assert child < plan.quantity or len(plan.slices) <= plan.catch_up_cap


def happen(world: World, slot: int, child: Decimal, turn: tuple[str, int], now: float) -> None:
    kind, share = turn
    match kind:
        case "refuse":
            world.add(refused(world.intend(slot, child, now)), after(now))
        case "absent":
            name = world.intend(slot, child, now)
            world.add(unknown(name), after(now))
            assert world.next(now) == AwaitChild(name)
            world.add(absent(name), after(now))
        case "part":
            filled = child * share // 1000 // world.plan.step * world.plan.step
            world.fill(slot, child, now, filled=filled)
        case "unfilled":
            world.fill(slot, child, now, filled=D(0))
        case _:
            world.fill(slot, child, now)


def test_an_execution_without_a_plan_folds_its_acceptance_and_nothing_else() -> None:
    execution = Execution(an_accepted(), "BTC", "USDT")
    execution.fold(an_accepted(), NOW)
    assert execution == Execution(an_accepted(), "BTC", "USDT")
    execution.fold(a_planned(plan=a_plan(limit_price=D(43_000), end_at=after(9))), NOW)
    assert (execution.limit_price, execution.end_at) == (D(43_000), after(9))
    assert execution.slice_quantity(4) == D("0.1")
    assert execution.slice_quantity(5) == 0


def test_waiting_is_summed_over_skipped_slots_and_children() -> None:
    world = World()
    world.add(
        SlotSkipped(
            execution_id=EXECUTION,
            slice=0,
            quantity=D("0.1"),
            reason="STALE_MARKET",
            detail="",
            waited_seconds=D("30"),
        ),
        NOW + timedelta(seconds=30),
    )
    world.intend(1, "0.1", 31, waited_seconds=D("1.5"))
    assert world.execution.waited_seconds == D("31.5")
