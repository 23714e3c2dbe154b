"""The rules of progress (L): once faults have stopped, everything comes to its end in time."""

from __future__ import annotations

from adapters.paper.audit_conduct import slots_of
from adapters.paper.audit_evidence import Evidence, Execution
from adapters.paper.audit_rules import Found, Limits, us

_PROVE_NOTHING = {"ChildUnknown", "ChildCancelRequested"}
"""What is said of a child of which nothing is known yet: the cancel that fences it off is a part of the proof."""


def unknowns_resolved(evidence: Evidence, limits: Limits) -> Found:
    """L2: an unknown outcome is proven within its horizon, once faults have stopped."""
    if limits.quiet_since is None or limits.until is None:
        return
    for child in evidence.children.values():
        for line in child.every("ChildUnknown"):
            after = [other.at for other in child.lines if other.seq > line.seq and other.kind not in _PROVE_NOTHING]
            resolved = after[0] if after else limits.until
            begins = max(line.at, limits.quiet_since)
            if resolved - begins > us(limits.unknown_within):
                text = f"unknown for {(resolved - begins) / 1e6:.1f} s"
                yield child.client_order_id, text


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

    Not judged while it is paused, halted or quarantined: then it waits for a person.
    """
    if limits.quiet_since is None or limits.until is None or _halted(evidence):
        return
    for execution in evidence.executions.values():
        plan = execution.plan
        accepted = execution.first("SignalAccepted")
        if accepted is None or execution.closed is not None or _waits(execution):
            continue
        last = accepted.at
        if plan is not None:
            slots = slots_of(plan)
            last = plan.moment("start_at")
            last += int(slots * plan.amount("interval_seconds") * 1_000_000)
        overdue = limits.until - max(last, limits.quiet_since)
        if overdue > us(limits.end_within):
            text = f"still runs {overdue / 1e6:.1f} s after its last slot"
            yield execution.execution_id, text


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
