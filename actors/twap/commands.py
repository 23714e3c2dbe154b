"""What an operator's command does to a running execution: the fact that it becomes, or why not."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import assert_never

from actors.twap.execution import Execution
from messages.execution import AmendExecution, CancelExecution, ExecutionCommand, PauseExecution, ResumeExecution
from messages.facts import ExecutionAmended, ExecutionCancelRequested, ExecutionPaused, ExecutionResumed
from messages.money import floor_to, plain
from messages.signal import Side

CommandFact = ExecutionPaused | ExecutionResumed | ExecutionCancelRequested | ExecutionAmended


def fact_of(execution: Execution, command: ExecutionCommand, now: datetime) -> CommandFact | str:
    """Return the fact that a command becomes, or say for people why it does not."""
    execution_id = execution.accepted.execution_id
    if execution.closed:
        return "the execution is over"
    if execution.cancelled:
        return "the execution is being cancelled"
    match command:
        case PauseExecution(detail=why):
            if execution.paused:
                return "it is paused already"
            return ExecutionPaused(execution_id=execution_id, detail=why)
        case ResumeExecution(detail=why):
            if not execution.paused:
                return "it is not paused"
            return ExecutionResumed(execution_id=execution_id, detail=why)
        case CancelExecution(detail=why):
            return ExecutionCancelRequested(execution_id=execution_id, detail=why)
        case AmendExecution():
            return _amendment(execution, command, now)
        case _:
            assert_never(command)


def _amendment(execution: Execution, command: AmendExecution, now: datetime) -> ExecutionAmended | str:
    quantity, limit, end = command.quantity, command.limit_price, command.end_at
    if quantity is None and limit is None and end is None:
        return "nothing to change"
    assert execution.plan is not None, "an execution without a plan"
    if quantity is not None:
        quantity = floor_to(quantity, execution.plan.step)
        if quantity <= 0 or quantity < execution.committed:
            return f"{plain(execution.committed)} is filled or under way"
        if quantity > execution.plan.quantity:
            return f"more than the {plain(execution.plan.quantity)} that were accepted needs a new signal"
    if limit is not None and limit <= 0:
        return "the worst price must be above 0"
    if (limit is not None or quantity is not None) and (most := _too_dear(execution, quantity, limit)) is not None:
        return most
    if end is not None and end <= now:
        return "the end has passed already"
    return ExecutionAmended(
        execution_id=execution.accepted.execution_id, quantity=quantity, limit_price=limit, end_at=end
    )


def _too_dear(execution: Execution, quantity: Decimal | None, limit: Decimal | None) -> str | None:
    """Say why an amendment could spend more than the quote amount that was to be bought for, or None."""
    amount, accepted = execution.accepted.signal.quote_quantity, execution.accepted
    old = execution.limit_price
    worst = limit or old
    if amount is None or accepted.side is not Side.BUY or worst is None:
        return None
    if execution.open_child is not None and old is not None:  # It may still fill at the old price.
        worst = max(worst, old)
    left = (execution.target if quantity is None else quantity) - execution.executed
    if execution.executed_quote + left * worst <= amount:
        return None
    return f"at {plain(worst)} it could cost more than the {plain(amount)} that it was to buy for"
