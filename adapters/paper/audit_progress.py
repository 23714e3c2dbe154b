"""The rules of progress (L): once faults have stopped, everything comes to its end in time."""

from __future__ import annotations

from collections.abc import Iterator

from adapters.paper.audit_conduct import slots_of
from adapters.paper.audit_evidence import Child, Evidence, Execution, Line
from adapters.paper.audit_rules import Found, Limits, us
from messages.money import ZERO

_PROVE_NOTHING = {"ChildUnknown", "ChildCancelRequested"}
"""What is said of a child of which nothing is known yet: the cancel that fences it off is a part of the proof."""

_GIVES_TIME = {
    "EpochStarted",
    "TradingHalted",
    "TradingResumed",
    "ExecutionPaused",
    "ExecutionResumed",
    "ExecutionAmended",
    "ExecutionCancelRequested",
    "ExecutionQuarantined",
}
"""What a person or a start does, after which an execution may take its time anew."""


def unknowns_resolved(evidence: Evidence, limits: Limits) -> Found:
    """L2: an unknown outcome is proven within its horizon, sooner with a control, once faults have stopped."""
    if limits.quiet_since is None or limits.until is None:
        return
    for child in evidence.children.values():
        for line in child.every("ChildUnknown"):
            after = [other.at for other in child.lines if other.seq > line.seq and other.kind not in _PROVE_NOTHING]
            resolved = after[0] if after else limits.until
            for due, why in _due(evidence, limits, child, line):
                if resolved > due + us(limits.clock_error):
                    long, over = (resolved - line.at) / 1e6, (resolved - due) / 1e6
                    yield child.client_order_id, f"unknown for {long:.1f} s, {over:.1f} s too long: {why}"
                    break


def _due(evidence: Evidence, limits: Limits, child: Child, unknown: Line) -> Iterator[tuple[int, str]]:
    """Say until when an outcome must be known, the earliest moment first.

    The time begins with the end of the order's window; where the exchange could not be asked then, when that ended.
    What an exchange says before and after its clock was set cannot be compared: then there is no control.
    """
    intent = child.intent
    if intent is None or limits.quiet_since is None:
        return
    sent = intent.whole("request_timestamp") * 1000
    window = sent + intent.whole("recv_window") * 1000
    asked = max(limits.quiet_since, window)
    for silence in evidence.kinds("RateLimited"):
        if not silence.body.get("orders_only") and silence.at < asked + us(limits.controlled_within):
            asked = max(asked, silence.moment("until"))
    known = max(unknown.at + us(limits.proof_takes), window)
    control = None if limits.venue_set else _control(evidence, child, intent, sent, window)
    if control is not None:
        moment, what = control
        yield max(max(asked, moment) + us(limits.controlled_within), known), f"{what} was a control"
    yield max(asked + us(limits.unknown_within), known), "without a control"


def _control(evidence: Evidence, child: Child, intent: Line, sent: int, window: int) -> tuple[int, str] | None:
    """Find what shows that a path which says nothing of an order would have shown it, and from when on."""
    found: list[tuple[int, str]] = []
    if _stream_unbroken(evidence, intent, sent):
        found.append((window, "the user stream, without a gap since the order's timestamp,"))
    at_once = intent.text("order_type") == "MARKET" or intent.body.get("time_in_force") in {"IOC", "FOK"}
    for order in evidence.own_orders():  # One that may rest must be shown among the open ones besides: not judged.
        later = order.symbol == intent.text("symbol") and order.created_at > sent and order.executed > ZERO
        if at_once and later and order.client_order_id != child.client_order_id:
            found.append((order.created_at, f"the later order {order.client_order_id}"))
    return min(found, default=None)


def _stream_unbroken(evidence: Evidence, intent: Line, sent: int) -> bool:
    """Whether the user stream was there when the order was sent, and has missed nothing since."""
    starts = [line for line in evidence.kinds("EpochStarted") if line.seq > intent.seq]
    gaps = [line for line in evidence.kinds("StreamGap") if line.at > sent]  # Told when it ends.
    return not starts and not gaps


def trades_known(evidence: Evidence, limits: Limits) -> Found:
    """L3: a trade is booked soon after it was made, or after the gap of the stream that hid it was over.

    Judged while questions are answered well; what is made while nobody runs is booked soon after the next start.
    """
    if limits.quiet_since is None or limits.until is None:
        return
    booked = {
        (line.text("symbol"), line.whole("order_id"), line.whole("trade_id")): line.at
        for line in evidence.kinds("TradeBooked")
    }
    hidden = [(line.moment("since"), line.at) for line in evidence.kinds("StreamGap")]
    starts = [line.at for line in evidence.kinds("EpochStarted")]
    own = {(order.symbol, order.order_id): order.client_order_id for order in evidence.own_orders()}
    for trade in evidence.trades:
        name = own.get((trade.symbol, trade.order_id))
        if name is None:
            continue
        made = trade.made_at - us(limits.clock_ahead)
        begins = max(made, limits.quiet_since if limits.answered_since is None else limits.answered_since)
        begins = max([begins, *(back for since, back in hidden if since <= made <= back)])
        known = booked.get(trade.key, limits.until)
        begins = max([begins, *(start for start in starts if start < known)])
        if known - begins > us(limits.known_within) + us(limits.clock_error):
            yield name, f"traded {(known - begins) / 1e6:.1f} s before it was booked"


def cancels_answered(evidence: Evidence, limits: Limits) -> Found:
    """L4: a child that was asked to be cancelled ends within its time, once faults have stopped."""
    if limits.quiet_since is None or limits.until is None:
        return
    for child in evidence.children.values():
        for line in child.every("ChildCancelRequested")[:1]:
            end = child.end
            ended = limits.until if end is None else end.at
            begins = max(line.at, limits.quiet_since)
            if ended - begins > us(limits.cancel_within):
                text = f"still open {(ended - begins) / 1e6:.1f} s after its cancel"
                yield child.client_order_id, text


def executions_end(evidence: Evidence, limits: Limits) -> Found:
    """L1: once faults have stopped, an execution ends within its time and the horizon of proof.

    Not judged while it is paused, halted or quarantined: then it waits for a person. What a person does gives it
    that time anew, and so does a start.
    """
    if limits.quiet_since is None or limits.until is None:
        return
    acts = evidence.kinds("EpochStarted", "TradingHalted", "TradingResumed")
    halted = bool(acts) and _halted(evidence)
    for execution in evidence.executions.values():
        accepted, closed = execution.first("SignalAccepted"), execution.closed
        if accepted is None or (closed is None and (halted or _waits(execution))):
            continue
        ended = limits.until if closed is None else closed.at
        given = [line.at for line in (*acts, *execution.lines) if line.kind in _GIVES_TIME and line.at < ended]
        overdue = ended - max([_last_slot(execution, accepted), limits.quiet_since, *given])
        if overdue > us(limits.end_within):
            runs = "still runs" if closed is None else "ended"
            yield execution.execution_id, f"{runs} {overdue / 1e6:.1f} s after its last slot"


def _last_slot(execution: Execution, accepted: Line) -> int:
    plan = execution.plan
    if plan is None:
        return accepted.at
    return plan.moment("start_at") + int(slots_of(plan) * plan.amount("interval_seconds") * 1_000_000)


def _halted(evidence: Evidence) -> bool:
    lines = evidence.kinds("TradingHalted", "TradingResumed")
    return bool(lines) and lines[-1].kind == "TradingHalted"


def _waits(execution: Execution) -> bool:
    lines = [
        line.kind
        for line in execution.lines
        if line.kind in {"ExecutionPaused", "ExecutionResumed", "ExecutionQuarantined"}
    ]
    return bool(lines) and lines[-1] != "ExecutionResumed"
