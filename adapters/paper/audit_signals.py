"""The rules of signals and of manners (S6 to S8): one answer each, and no pestering the exchange."""

from __future__ import annotations

from collections import Counter, defaultdict

from adapters.paper.audit_evidence import Evidence, Line
from adapters.paper.audit_rules import Found, Limits, us
from adapters.paper.audit_truth import Request
from messages.money import plain

_FILTER_CODES = frozenset({-1013, -2010, *range(-1199, -1099)})
"""Refusals for what an order asks; not for its time, its rate, or the exchange's health."""


def one_execution_per_signal(evidence: Evidence, limits: Limits) -> Found:
    """S6: an accepted key causes one execution while it is held, a refused signal none."""
    held: dict[str, tuple[int, str]] = {}
    accepted: list[Line] = []
    for line in evidence.lines:
        match line.kind:
            case "SignalAccepted":
                until, holder = held.get(line.text("key"), (0, ""))
                if line.at < until:
                    text = f"accepts the key that {holder} holds: {line.text('key')!r}"
                    yield line.execution_id, text
                held[line.text("key")] = line.moment("key_until"), line.execution_id
                yield from _repeats(evidence, line, accepted, limits)
                accepted.append(line)
            case "ExecutionClosed" if not _intended(evidence, line.execution_id, line.seq):
                held.pop(line.text("key"), None)
            case "SignalDuplicate" | "SignalConflict":
                if line.execution_id not in {earlier.execution_id for earlier in accepted}:
                    yield line.execution_id, f"{line.kind} of an execution that was never accepted"
            case _:
                pass
    for execution in evidence.executions.values():
        for kind in ("SignalAccepted", "ExecutionPlanned", "ExecutionClosed"):
            if len(execution.every(kind)) > 1:
                yield execution.execution_id, f"has {len(execution.every(kind))} {kind}"
        if execution.execution_id and execution.first("SignalAccepted") is None:
            yield execution.execution_id, "is worked without an accepted signal"


def _intended(evidence: Evidence, execution_id: str, before: int) -> bool:
    lines = evidence.executions[execution_id].lines
    return any(line.kind == "ChildIntended" and line.seq < before for line in lines)


def _repeats(evidence: Evidence, line: Line, accepted: list[Line], limits: Limits) -> Found:
    """Judge by the signals themselves what the gate should have known for repeats."""
    signal = line.record("signal")
    for earlier in accepted:
        if not _still_counts(evidence, earlier, line, limits):
            continue
        other = earlier.record("signal")
        if signal.has("id"):
            same = [signal.body.get(name) == other.body.get(name) for name in ("id", "source")]
            if all(same) and line.at < earlier.moment("key_until"):
                text = f"repeats the id {signal.text('id')!r} of {earlier.execution_id}"
                yield line.execution_id, text
            continue
        alike = (
            line.text("symbol") == earlier.text("symbol")
            and line.text("side") == earlier.text("side")
            and signal.body.get("account") == other.body.get("account")
        )
        price, known = line.amount("reference_price"), earlier.amount("reference_price")
        if alike and abs(price - known) * 10_000 <= limits.price_tolerance_bps * known:
            text = f"at {plain(price)} repeats {earlier.execution_id} at {plain(known)}"
            yield line.execution_id, text


def _still_counts(evidence: Evidence, earlier: Line, now: Line, limits: Limits) -> bool:
    """Whether an accepted signal still makes a later one a repeat, by price or (longer) by id."""
    closed = evidence.executions[earlier.execution_id].closed
    if closed is None or closed.seq > now.seq:
        return True
    if not _intended(evidence, earlier.execution_id, closed.seq):
        return False
    if now.record("signal").has("id"):
        return True
    return now.at < closed.at + limits.cache_ttl_seconds * 1_000_000 - us(limits.wall_steps)


def one_verdict(evidence: Evidence, _limits: Limits) -> Found:
    """S6: each signal got exactly one answer, and what was answered is what the journal says.

    Judged on the answers that the senders counted, where they are given.
    """
    for sender, answers in evidence.verdicts.items():
        if len(answers) != 1:
            yield sender, f"got {len(answers)} verdicts"
        for answer in answers:
            if answer.text("status") == "accepted":
                execution = evidence.executions.get(answer.text("execution_id"))
                if execution is None or execution.first("SignalAccepted") is None:
                    yield sender, "was told accepted, but the journal knows nothing of it"


# S7, S8 -------------------------------------------------------------------------------------------


def rates(evidence: Evidence, limits: Limits) -> Found:
    """S7: requests stay within the exchange's limits, by its own count, and no order comes within a Retry-After."""
    for hit in evidence.exceeded:
        yield f"at {hit.whole('time')}", f"a limit of the exchange was exceeded ({hit.whole('code')})"
    for seconds, allowed in limits.order_limits:
        windows = Counter(r.arrived_at // (seconds * 1_000_000) for r in evidence.requests)
        for window, count in windows.items():
            if count > allowed:
                text = f"{count} orders in {seconds} s, {allowed} allowed"
                yield f"window {window * seconds}", text
    for line in evidence.kinds("RateLimited"):
        begins, ends = line.at + us(limits.transit), line.moment("until") // 1000 * 1000  # Arrivals are in whole ms.
        for request in evidence.requests:
            if begins < request.arrived_at - us(limits.clock_ahead) < ends:
                text = f"arrived although everything was forbidden before {line.text('until')}"
                yield request.client_order_id, text
    yield from _unheeded(evidence, limits)


def _unheeded(evidence: Evidence, limits: Limits) -> Found:
    """S7 by the exchange's word: a wait that it asked for in a refusal, and that was heard, is kept to.

    Whether the journal says that there was one does not matter.
    """
    for refused in evidence.requests:
        child = evidence.children.get(refused.client_order_id)
        heard = child.first("ChildRefused") if child is not None else None
        if refused.retry_after is None or heard is None:
            continue
        ends = refused.arrived_at + refused.retry_after
        begins = heard.at + us(limits.clock_ahead) + us(limits.transit)
        for request in evidence.requests:
            if begins < request.arrived_at < ends:
                text = f"arrived {(ends - request.arrived_at) / 1e6:.3f} s too soon after {refused.code}"
                yield request.client_order_id, text


def no_identical_refusals(evidence: Evidence, _limits: Limits) -> Found:
    """S8: an order that the exchange refuses for what it asks is not repeated more than once.

    Only refusals count that were heard: of one whose answer was lost, the daemon can't know.
    """
    refused: dict[tuple[object, ...], list[Request]] = defaultdict(list)
    for request in evidence.requests:
        child = evidence.children.get(request.client_order_id)
        if child is None or request.code not in _FILTER_CODES or not child.every("ChildRefused"):
            continue
        what = (request.symbol, request.side, request.order_type, request.quantity, request.price)
        refused[child.execution_id, *what].append(request)
    for requests in refused.values():
        if len(requests) > 2:
            name, code = requests[-1].client_order_id, requests[-1].code
            yield name, f"is the same order for the {len(requests)}th time after {code}"
