"""What messages are about, and those that nobody takes: what a sender is told, which losses an operator should know."""

from __future__ import annotations

from typing import get_args

from actors.order_watcher.inquiry import Answered
from actors.runtime import Runtime
from messages.control import Committed, TroubleOver, TroubleSeen
from messages.execution import CommandAnswer, ExecutionCommand
from messages.ids import parse_child_id
from messages.order import CancelReply, OrderReply, OrderReport, QueryFailed, Relay
from messages.refs import Tells
from messages.signal import SignalReceived

WORDS: tuple[type, ...] = (*get_args(OrderReply), *get_args(CancelReply), OrderReport, SignalReceived)
"""What carries a trade, an outcome or a signal, and is told once. Queries are asked again, so their answers are not."""

SUBJECT = "messages"


def answer(letter: object, runtime: Runtime) -> None:
    """Answer a command that its actor did not come to. For any thread."""
    if isinstance(letter, ExecutionCommand):
        detail = "the execution's actor ended before it came to this: ask again"
        runtime.send(letter.reply_to, CommandAnswer(execution_id=letter.execution_id, done=False, detail=detail))


def heed(letter: object, runtime: Runtime, troubles: Tells[TroubleSeen | TroubleOver]) -> None:
    """Answer a command that its actor did not come to, and tell of what nobody will say again. For any thread."""
    answer(letter, runtime)
    if isinstance(letter, WORDS):
        text = f"nobody was there to take {what(letter)}: a start reads everything anew"
        runtime.send(troubles, TroubleSeen(kind="lost_message", subject=SUBJECT, level="error", text=text))


def what(letter: object) -> str:
    """Name a message for people, with the order or signal that it is of."""
    match letter:
        case OrderReport(order=order):
            of = order.client_order_id
        case SignalReceived(signal=signal):
            of = str(signal.id or signal.symbol)
        case _:
            of = str(getattr(letter, "client_order_id", ""))
    return f"{type(letter).__name__} {of}"


def execution_of(message: object) -> str:
    """Return the execution that a message is about, by its own word or by the id of a child; empty if it is of none."""
    match message:
        case Committed(fact=fact):
            return fact.execution_id
        case Answered(answer=inner) | Relay(query=inner) | QueryFailed(query=inner):
            return execution_of(inner)
        case OrderReport(order=order):
            child = order.client_order_id
        case _:
            of = getattr(message, "execution_id", "")
            if of:
                return str(of)
            child = str(getattr(message, "client_order_id", "") or getattr(message, "child", ""))
    name = parse_child_id(child)
    return "" if name is None else name.execution_id
