"""The rules of when and how (S9, S11 to S14, Q6): what may follow what, and what may not go when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

from adapters.paper.audit_evidence import Evidence, Execution, Line
from adapters.paper.audit_records import Record
from adapters.paper.audit_rules import Found, Limits, us
from messages.money import ZERO, plain

TOO_LATE = -1021
"""What the exchange says of a request whose receive window is over."""

_ROUNDING = Decimal("1e-9")
"""Fractions are quotients: cited and derived ones may differ in their last digits."""

# S9 -----------------------------------------------------------------------------------------------

_STEPS: dict[str, tuple[frozenset[str], str | None]] = {
    "ChildIntended": (frozenset({"new"}), "intended"),
    "ChildNotSent": (frozenset({"intended", "unknown"}), "gone"),
    "ChildRefused": (frozenset({"intended", "unknown"}), "gone"),
    "ChildUnknown": (frozenset({"intended", "unknown"}), "unknown"),
    "ChildAbsent": (frozenset({"unknown"}), "gone"),
    "ChildAcknowledged": (frozenset({"intended", "unknown", "known"}), "known"),
    "TradeBooked": (frozenset({"intended", "unknown", "known"}), "known"),
    "ChildClosed": (frozenset({"intended", "unknown", "known"}), "closed"),
    "AttemptReappeared": (frozenset({"gone", "closed", "known"}), "known"),
    "ChildCancelRequested": (frozenset({"intended", "unknown", "known"}), None),
}
"""Fact of a child -> the states that it may be told in, and the state it leads to."""


def monotone(evidence: Evidence, limits: Limits) -> Found:
    """S9: a child's facts never go back, and its quantities never shrink.

    A cancel and an end have two writers: each may be told before the other's has come round, for `transit`.
    """
    for child in evidence.children.values():
        state, ended_at, executed = "new", 0, ZERO
        for line in child.lines:
            allowed, leads_to = _STEPS.get(line.kind, (None, None))
            if allowed is None:
                continue
            crossed = line.kind == "ChildCancelRequested" and line.at - ended_at <= us(limits.transit)
            if state not in allowed and not (state in {"gone", "closed"} and crossed):
                yield child.client_order_id, f"{line.kind} (seq {line.seq}) when it was {state}"
            state = leads_to or state
            ended_at = line.at if leads_to in {"gone", "closed"} else ended_at
            if line.has("executed_quantity"):
                now = line.amount("executed_quantity")
                if now < executed:
                    text = f"executed {plain(now)} after {plain(executed)} (seq {line.seq})"
                    yield child.client_order_id, text
                executed = max(executed, now)
    for execution in evidence.executions.values():
        yield from _corrections_grow(execution)


def _corrections_grow(execution: Execution) -> Found:
    filled = ZERO
    for line in execution.lines:
        if line.kind == "ExecutionClosed":
            filled = line.record("report").amount("total_filled")
        elif line.kind == "ExecutionCorrected":
            if line.amount("total_filled") < filled:
                text = f"corrected from {plain(filled)} down to {plain(line.amount('total_filled'))}"
                yield execution.execution_id, text
            filled = line.amount("total_filled")


def without_gap(evidence: Evidence, _limits: Limits) -> Found:
    """S9: the journal is numbered one by one from its first line on."""
    expected = 1
    for line in evidence.lines:
        if line.seq != expected:
            yield f"seq {line.seq}", f"stands where {expected} was due"
        expected = line.seq + 1


# S11 ----------------------------------------------------------------------------------------------


def quiet_when_halted(evidence: Evidence, limits: Limits) -> Found:
    """S11: in a halt nothing is intended, and nothing arrives that was not already on its way."""
    halted: Line | None = None
    spans: list[tuple[Line, int | None]] = []
    for line in evidence.kinds("TradingHalted", "TradingResumed", "ChildIntended"):
        match line.kind:
            case "TradingHalted":
                halted = halted or line
            case "TradingResumed" if halted:
                spans.append((halted, line.at // 1000 * 1000))  # Arrivals are in whole ms.
                halted = None
            case "ChildIntended" if halted:
                yield line.child_id, f"was intended in the halt of seq {halted.seq}"
            case _:
                pass
    if halted:
        spans.append((halted, None))
    for request in evidence.requests:
        at = request.arrived_at - us(limits.clock_ahead)
        for begin, end in spans:
            if at > begin.at + us(limits.transit) and (end is None or at < end):
                yield request.client_order_id, f"arrived in the halt of seq {begin.seq}"


def quiet_until_ready(evidence: Evidence, limits: Limits) -> Found:
    """S11: after a start, only an execution that was taken up again intends, and nothing is resent.

    That an epoch was ready is seen from its executions: each is started anew in each epoch. A request
    that was still on its way when its epoch ended is no resend: it comes once, and too late for its
    receive window, so the exchange has refused it.
    """
    arrivals = Counter(request.client_order_id for request in evidence.requests)
    epoch: Line | None = None
    started: set[str] = set()
    epoch_of: dict[str, int] = {}
    epochs = evidence.kinds("EpochStarted")
    for line in evidence.kinds("EpochStarted", "ExecutionStarted", "ChildIntended"):
        match line.kind:
            case "EpochStarted":
                epoch, started = line, set()
            case "ExecutionStarted":
                started.add(line.execution_id)
            case _:
                epoch_of[line.child_id] = epoch.seq if epoch else 0
                if line.execution_id not in started:
                    text = "was intended before its execution was taken up in this epoch"
                    yield line.child_id, text
    for request in evidence.requests:
        born = epoch_of.get(request.client_order_id)
        later = next((line for line in epochs if born is not None and line.seq > born), None)
        at = request.arrived_at - us(limits.clock_ahead)
        overdue = request.code == TOO_LATE and arrivals[request.client_order_id] == 1
        if later is not None and at > later.at + us(limits.transit) and not overdue:
            yield request.client_order_id, f"arrived in an epoch after its own (seq {later.seq})"


# S12 ----------------------------------------------------------------------------------------------


def within_its_time(evidence: Evidence, limits: Limits) -> Found:
    """S12: no child after the end, a cancel or a pause of its execution, nor after its end of time."""
    for execution in evidence.executions.values():
        stopped: Line | None = None
        closed = False
        plan = execution.plan
        ends_at = plan.moment("end_at") if plan is not None and plan.has("end_at") else None
        for line in execution.lines:
            match line.kind:
                case "ExecutionClosed":
                    closed = True
                case "ExecutionCancelRequested" | "ExecutionPaused" | "ExecutionQuarantined":
                    stopped = stopped or line
                case "ExecutionResumed" if stopped and stopped.kind == "ExecutionPaused":
                    stopped = None
                case "ExecutionAmended" if line.has("end_at"):
                    ends_at = line.moment("end_at")
                case "ChildIntended":
                    if closed and not _never_left(evidence, line):
                        yield line.child_id, "was intended after its execution had closed"
                    elif stopped and line.at > stopped.at + us(limits.transit):
                        yield line.child_id, f"was intended after {stopped.kind}"
                    if ends_at is not None and line.at > ends_at + us(limits.wall_steps):
                        yield line.child_id, f"was intended {_seconds(line.at - ends_at)} s late"
                case _:
                    pass


def _never_left(evidence: Evidence, intent: Line) -> bool:
    """Whether an intent was the wish of an actor that had failed, and was kept back: the next one decided meanwhile."""
    child = evidence.children.get(intent.child_id)
    end = None if child is None else child.end
    return end is not None and end.kind == "ChildNotSent" and end.text("source") == "exchange_actor"


def within_its_slot(evidence: Evidence, limits: Limits) -> Found:
    """S12: no child before its slot is due, by our clock and by the time that its request names.

    What sweeps up before an end goes earlier than its number says.
    """
    for execution, plan, intent in _intents(evidence):
        if plan is None:
            yield intent.child_id, "was intended without a plan"
            continue
        index = intent.whole("slice")
        slots = slots_of(plan)
        if not 0 <= index < slots:
            yield intent.child_id, f"is for slice {index} of {slots}"
        if plan.text("remainder") == "sweep" and index == slots - 1 and _has_end(execution, plan):
            continue
        due = plan.moment("start_at") + int(index * plan.amount("interval_seconds") * 1_000_000) + _delay(plan, index)
        if intent.at < due - us(limits.wall_steps):
            yield intent.child_id, f"was intended {_seconds(due - intent.at)} s before its slot"
        named = intent.whole("request_timestamp") * 1000 - us(limits.clock_ahead)
        if named < due - us(limits.clock_error) - us(limits.wall_steps):
            yield intent.child_id, f"names a time {_seconds(due - named)} s before its slot"


def slots_of(plan: Record) -> int:
    """Count the slots of a plan: planned ones, extra ones, and one to sweep up."""
    sweep = plan.has("remainder") and plan.text("remainder") == "sweep"
    return len(plan.items("slices")) + plan.whole("extra_slots") + sweep


def _has_end(execution: Execution, plan: Record) -> bool:
    return plan.has("end_at") or any(line.has("end_at") for line in execution.every("ExecutionAmended"))


def _delay(plan: Record, index: int) -> int:
    """How many microseconds after its interval's beginning a slot is due."""
    delays = [Record({"delay": value}).amount("delay") for value in plan.items("delays")] if plan.has("delays") else []
    return int(delays[index % len(delays)] * 1_000_000) if delays else 0


def catch_up(evidence: Evidence, _limits: Limits) -> Found:
    """S12: a child is at most the catch-up cap times the largest slice, unless the order is direct."""
    for execution, plan, intent in _intents(evidence):
        if plan is None or plan.flag("direct"):
            continue
        slices = [Record({"quantity": value}).amount("quantity") for value in plan.items("slices")]
        grown = max(execution.asked() / plan.amount("quantity"), Decimal(1))
        allowed = plan.amount("catch_up_cap") * max(slices) * grown
        if intent.amount("quantity") > allowed:
            yield (
                intent.child_id,
                f"intends {plain(intent.amount('quantity'))}, the cap allows {plain(allowed)}",
            )


def no_burst(evidence: Evidence, limits: Limits) -> Found:
    """S12: missed slots are not made up for at once: in each interval one slice has its turn.

    Not judged where the daemon's wall clock was set, for that is what intervals are counted on.
    """
    if limits.wall_steps:
        return
    turns: dict[tuple[str, int], int] = {}
    for execution, plan, intent in _intents(evidence):
        if plan is None or intent.flag("adopted"):
            continue
        interval = int(plan.amount("interval_seconds") * 1_000_000)
        if plan.text("remainder") == "sweep" and intent.whole("slice") == slots_of(plan) - 1:
            continue  # It may go in the last slot's interval, before the end.
        number = (intent.at - plan.moment("start_at")) // interval if interval else intent.seq
        first = turns.setdefault((execution.execution_id, number), intent.whole("slice"))
        if first != intent.whole("slice"):
            yield (
                intent.child_id,
                f"is of slice {intent.whole('slice')}, in the interval in which slice {first} had its turn",
            )


def _intents(evidence: Evidence) -> Iterator[tuple[Execution, Record | None, Line]]:
    for execution in evidence.executions.values():
        plan = execution.plan
        for child in execution.children:
            for intent in child.every("ChildIntended"):
                yield execution, plan, intent


def _seconds(span: int) -> str:
    return f"{span / 1_000_000:.6f}"


# S13, S14 -----------------------------------------------------------------------------------------


def guards_held(evidence: Evidence, _limits: Limits) -> Found:
    """S13: each intent cites a quote that is fresh, tight and near enough, and worst prices hold."""
    for execution, plan, intent in _intents(evidence):
        accepted = execution.first("SignalAccepted")
        if plan is None or accepted is None:
            continue
        for what, cited, bound in _cited(intent, plan):
            if cited > bound:
                yield intent.child_id, f"{what} {plain(cited)} above {plain(bound)}"
        yield from _honest(intent, accepted)
        if not _never_left(evidence, intent):
            yield from _worst_price(execution, plan, intent)


def _cited(intent: Line, plan: Record) -> Iterator[tuple[str, Decimal, Decimal]]:
    yield "quote age", intent.amount("quote_age_seconds"), plan.amount("max_quote_age")
    yield "deviation", intent.amount("deviation"), plan.amount("max_deviation")
    if plan.flag("check_spread"):
        yield "spread", intent.amount("spread"), plan.amount("max_spread")


def _honest(intent: Line, accepted: Line) -> Found:
    """The cited fractions are those of the cited quote; a deviation may be judged on mid or touch."""
    bid, ask = intent.amount("bid"), intent.amount("ask")
    if not ZERO < bid <= ask:
        yield intent.child_id, f"cites a touch of {plain(bid)} / {plain(ask)}"
        return
    mid, arrival = (bid + ask) / 2, (accepted.amount("bid") + accepted.amount("ask")) / 2
    if abs((ask - bid) / mid - intent.amount("spread")) > _ROUNDING:
        yield intent.child_id, f"cites a spread of {plain(intent.amount('spread'))}, not its quote's"
    sign = 1 if intent.text("side") == "BUY" else -1
    adverse = sign * (mid - arrival) / arrival
    if max(intent.amount("deviation"), ZERO) < max(adverse, ZERO) - _ROUNDING:
        text = f"cites a deviation of {plain(intent.amount('deviation'))}, its quote's is {adverse:.6f}"
        yield intent.child_id, text
    if intent.amount("quote_age_seconds") < 0:
        yield intent.child_id, "cites a quote from the future"


def _worst_price(execution: Execution, plan: Record, intent: Line) -> Found:
    worst = plan.amount_or_none("limit_price")
    for line in execution.every("ExecutionAmended"):
        if line.seq < intent.seq:
            worst = line.amount_or_none("limit_price") or worst
    if worst is None:
        return
    sign = 1 if intent.text("side") == "BUY" else -1
    touch = intent.amount("ask") if sign > 0 else intent.amount("bid")
    limit = intent.amount_or_none("limit_price")
    taken = touch if limit is None else limit
    if sign * (taken - worst) > 0:
        yield intent.child_id, f"may trade at {plain(taken)}, worse than {plain(worst)}"


def epochs_rise(evidence: Evidence, _limits: Limits) -> Found:
    """S14: each start has a higher epoch than the one before, on the same journal."""
    last: Line | None = None
    for line in evidence.kinds("EpochStarted"):
        if last is not None and line.whole("epoch") <= last.whole("epoch"):
            yield f"seq {line.seq}", f"epoch {line.whole('epoch')} after {last.whole('epoch')}"
        if last is not None and line.text("journal_id") != last.text("journal_id"):
            yield f"seq {line.seq}", "belongs to another journal"
        last = line
    incarnations: dict[str, int] = {}
    for line in evidence.kinds("ExecutionStarted"):
        number = line.whole("incarnation")
        if number <= incarnations.get(line.execution_id, -1):
            yield line.execution_id, f"incarnation {number} does not rise (seq {line.seq})"
        incarnations[line.execution_id] = number


def newest_incarnation(evidence: Evidence, limits: Limits) -> Found:
    """S14: only the newest incarnation of an execution intends children, but for what was under way."""
    current: dict[str, Line] = {}
    for line in evidence.kinds("ExecutionStarted", "ChildIntended"):
        newest = current.get(line.execution_id)
        if line.kind == "ExecutionStarted":
            current[line.execution_id] = line
        elif (
            newest is not None
            and line.whole("incarnation") != newest.whole("incarnation")
            and line.at > newest.at + us(limits.transit)
        ):
            text = f"by incarnation {line.whole('incarnation')}, not {newest.whole('incarnation')}"
            yield line.child_id, text


# Q6 -----------------------------------------------------------------------------------------------


def alerts_pair(evidence: Evidence, _limits: Limits) -> Found:
    """Q6: an alert is raised once per episode and cleared at most once after it."""
    raised: set[tuple[str, str]] = set()
    for line in evidence.kinds("AlertRaised", "AlertCleared"):
        key = line.text("kind"), line.text("subject")
        if line.kind == "AlertRaised":
            if key in raised:
                yield ":".join(key), f"raised again before it was cleared (seq {line.seq})"
            raised.add(key)
        elif key not in raised:
            yield ":".join(key), f"cleared without having been raised (seq {line.seq})"
        else:
            raised.remove(key)
