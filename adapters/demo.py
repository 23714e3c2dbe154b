"""The tour of `run.py demo`: hands in the scenario's signals, shows what becomes of them, audits the end."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from adapters.intake.signals import decode_signal, verdict_object
from adapters.projection import Projection
from adapters.scenarios import Scenario, TimedSignal
from adapters.terminal import demo_table, executions_table
from messages.control import CaughtUp, Committed, FactNews
from messages.refs import Tells
from messages.signal import Signal, Verdict

LIMIT_SECONDS = 55.0
LOOK_SECONDS = 0.2


@dataclass(slots=True)
class _Row:
    timed: TimedSignal
    verdict: Verdict | None = None

    def tell(self, message: Verdict, /) -> None:
        self.verdict = message


class Demo:
    """Plays a scenario in real time; it is told the journal's news, from any thread."""

    def __init__(self, scenario: Scenario, console: Console) -> None:
        self._scenario, self._console = scenario, console
        self._rows = [_Row(timed) for timed in scenario.signals]
        self._projection = Projection()
        self._news: queue.SimpleQueue[FactNews] = queue.SimpleQueue()

    def tell(self, message: FactNews, /) -> None:
        """Take a piece of the journal's news."""
        self._news.put(message)

    def play(self, hand_in: Callable[[Signal, Tells[Verdict]], None]) -> bool:
        """Hand everything in at its time; return whether all came to its end within the limit."""
        began = time.monotonic()
        waiting = list(self._rows)
        with Live(self._screen(0.0), console=self._console, auto_refresh=False, transient=True) as live:
            while (elapsed := time.monotonic() - began) < LIMIT_SECONDS:
                while waiting and waiting[0].timed.at <= elapsed:
                    self._send(waiting.pop(0), hand_in)
                self._listen()
                if self._console.is_terminal:
                    live.update(self._screen(elapsed), refresh=True)
                if not waiting and self._over():
                    return True
                time.sleep(LOOK_SECONDS)
        return False

    def table(self) -> RenderableType:
        """Draw the end: verdicts, fills, average price, slippage and fees of each signal."""
        return demo_table([(row.timed.note, _object(row.verdict), self._report(row)) for row in self._rows])

    def to_json(self) -> list[dict[str, Any]]:
        """Tell the same for programs."""
        return [
            {"signal": row.timed.note, "verdict": _object(row.verdict), "report": self._report(row)}
            for row in self._rows
        ]

    def verdicts(self) -> dict[str, list[dict[str, str]]]:
        """Tell each sender's verdicts, for the audit."""
        return {
            f"{row.timed.note} #{number}": [verdict_object(row.verdict)] if row.verdict else []
            for number, row in enumerate(self._rows)
        }

    def _send(self, row: _Row, hand_in: Callable[[Signal, Tells[Verdict]], None]) -> None:
        body = dict(row.timed.body)
        if row.timed.age is not None:
            body["timestamp"] = round((time.time() - row.timed.age) * 1000)
        decoded = decode_signal(orjson.dumps(body))
        if isinstance(decoded, Verdict):
            row.tell(decoded)
        else:
            hand_in(decoded, row)

    def _listen(self) -> None:
        while not self._news.empty():
            match self._news.get():
                case Committed() as committed:
                    self._projection.apply(committed)
                case CaughtUp():
                    pass

    def _over(self) -> bool:
        answered = all(row.verdict is not None for row in self._rows)
        return answered and not self._projection.running and all(self._finished(row) for row in self._rows)

    def _finished(self, row: _Row) -> bool:
        accepted = row.verdict is not None and row.verdict.execution_id is not None
        return not accepted or self._report(row) is not None

    def _report(self, row: _Row) -> dict[str, Any] | None:
        if row.verdict is None or row.verdict.execution_id is None:
            return None
        view = self._projection.execution(row.verdict.execution_id)
        report = view.get("report") if view is not None else None
        return report if isinstance(report, dict) else None

    def _screen(self, elapsed: float) -> RenderableType:
        sent = [row for row in self._rows if row.timed.at <= elapsed]
        lines = [
            Text(f"{row.timed.at:4.0f} s  {row.timed.note:32} {row.verdict.status if row.verdict else '…'}")
            for row in sent
        ]
        return Group(*lines, Text(), executions_table(self._projection.executions()))


def _object(verdict: Verdict | None) -> dict[str, str]:
    return verdict_object(verdict) if verdict is not None else {"status": "no verdict"}
