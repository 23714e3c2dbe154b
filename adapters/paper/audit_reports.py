"""The rule of reports (Q4): what an execution says of itself is what its trades say."""

from __future__ import annotations

from decimal import Decimal

from adapters.paper.audit_accounts import fees_booked, sums, tell, without_zeros
from adapters.paper.audit_evidence import Evidence, Execution, Line
from adapters.paper.audit_records import Record, as_record
from adapters.paper.audit_rules import Found, Limits
from messages.money import plain


def report_true(evidence: Evidence, _limits: Limits) -> Found:
    """Q4: a report's totals are the sums of the trades, as corrected since, child by child."""
    for execution in evidence.executions.values():
        closed = execution.closed
        if closed is None:
            continue
        report = closed.record("report")
        trades = [t for t in execution.every("TradeBooked") if t.seq < closed.seq]
        quantity, quote = sums(trades)
        average = quote / quantity if quantity else None
        rows: list[tuple[str, object, object]] = [
            ("total_filled", report.amount("total_filled"), quantity),
            ("filled_quote", report.amount("filled_quote"), quote),
            ("total_fees", without_zeros(report.by_asset("total_fees")), fees_booked(trades)),
            ("children", closed.whole("children"), len(_intents_before(execution, closed))),
        ]
        for what, said, true in rows:
            if said != true:
                yield execution.execution_id, f"reports {what} {tell(said)}, it is {tell(true)}"
        if not _close(report.amount_or_none("average_price"), average):
            told, true_average = report.amount_or_none("average_price"), average
            text = f"reports average_price {tell(told)}, it is {tell(true_average)}"
            yield execution.execution_id, text
        yield from _sent_true(execution, report, closed)
        yield from _children_true(execution, report, closed)
        yield from _corrected(execution, closed)


def _intents_before(execution: Execution, closed: Line) -> list[Line]:
    return [line for line in execution.every("ChildIntended") if line.seq < closed.seq]


def _sent_true(execution: Execution, report: Record, closed: Line) -> Found:
    """What never left the house may be counted as sent or not; everything else must be."""
    intents = _intents_before(execution, closed)
    kept = {line.child_id for line in execution.every("ChildNotSent")}
    least = sum(1 for line in intents if line.child_id not in kept)
    told = report.whole("children_sent")
    if not least <= told <= len(intents):
        yield execution.execution_id, f"reports {told} children sent, there were {least}"


def _children_true(execution: Execution, report: Record, closed: Line) -> Found:
    told = {order.text("client_order_id"): order for order in map(as_record, report.items("orders"))}
    for child in execution.children:
        intent = child.intent
        if intent is None or intent.seq > closed.seq:
            continue
        order = told.get(child.client_order_id)
        trades = [t for t in child.every("TradeBooked") if t.seq < closed.seq]
        if order is None:
            if trades:
                yield child.client_order_id, "was executed but is not in the report"
        elif order.amount("executed_quantity") != sums(trades)[0]:
            said = plain(order.amount("executed_quantity"))
            text = f"is reported with {said} executed, its trades make {plain(sums(trades)[0])}"
            yield child.client_order_id, text


def _corrected(execution: Execution, closed: Line) -> Found:
    late = [t for t in execution.every("TradeBooked") if t.seq > closed.seq]
    if not late:
        return
    quantity, quote = sums(execution.every("TradeBooked"))
    corrections = execution.every("ExecutionCorrected")
    last = corrections[-1] if corrections else None
    if last is None or last.amount("total_filled") != quantity or last.amount("filled_quote") != quote:
        text = f"filled {plain(quantity)} for {plain(quote)}, its report was not corrected to that"
        yield execution.execution_id, text


def _close(told: Decimal | None, true: Decimal | None) -> bool:
    """Equal but for the digits that a quotient is rounded to."""
    if told is None or true is None:
        return told is true
    return abs(told - true) <= true * Decimal("1e-12")
