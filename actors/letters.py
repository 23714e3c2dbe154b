"""Dead letters that somebody waits for: what a command's sender is told, and which losses an operator should know."""

from __future__ import annotations

from typing import get_args

from actors.runtime import Runtime
from messages.control import TroubleOver, TroubleSeen
from messages.execution import CommandAnswer, ExecutionCommand
from messages.order import CancelReply, OrderReply, OrderReport
from messages.refs import Tells
from messages.signal import SignalReceived

WORDS: tuple[type, ...] = (*get_args(OrderReply), *get_args(CancelReply), OrderReport, SignalReceived)
"""What carries a trade, an outcome or a signal, and is told once. Queries are asked again, so their answers are not."""

SUBJECT = "messages"


def heed(letter: object, runtime: Runtime, troubles: Tells[TroubleSeen | TroubleOver]) -> None:
    """Answer a command that its actor did not come to, and tell of what nobody will say again. For any thread."""
    if isinstance(letter, ExecutionCommand):
        detail = "the execution's actor failed before it came to this: ask again"
        runtime.send(letter.reply_to, CommandAnswer(execution_id=letter.execution_id, done=False, detail=detail))
    elif isinstance(letter, WORDS):
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
