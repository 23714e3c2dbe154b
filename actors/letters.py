"""Dead letters that somebody waits for: what a command's sender is told, and which losses an operator should know."""

from __future__ import annotations

from actors.runtime import Runtime
from messages.control import TroubleOver, TroubleSeen
from messages.execution import AmendExecution, CancelExecution, CommandAnswer, PauseExecution, ResumeExecution
from messages.order import (
    Acknowledged,
    CancelAcknowledged,
    CancelFailed,
    NotSent,
    OrderReport,
    OutcomeUnknown,
    Refused,
)
from messages.refs import Tells
from messages.signal import SignalReceived

WORDS = (Acknowledged, Refused, NotSent, OutcomeUnknown, CancelAcknowledged, CancelFailed, OrderReport, SignalReceived)
"""What carries a trade, an outcome or a signal, and is told once. Queries are asked again, so their answers are not."""

SUBJECT = "messages"


def heed(letter: object, runtime: Runtime, troubles: Tells[TroubleSeen | TroubleOver]) -> None:
    """Answer a command that its actor did not come to, and tell of what nobody will say again. For any thread."""
    match letter:
        case PauseExecution() | ResumeExecution() | CancelExecution() | AmendExecution():
            detail = "the execution's actor failed before it came to this: ask again"
            runtime.send(letter.reply_to, CommandAnswer(execution_id=letter.execution_id, done=False, detail=detail))
        case _ if isinstance(letter, WORDS):
            text = f"nobody was there to take {what(letter)}: a start reads everything anew"
            runtime.send(troubles, TroubleSeen(kind="lost_message", subject=SUBJECT, level="error", text=text))
        case _:
            pass


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
