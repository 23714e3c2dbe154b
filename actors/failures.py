"""Whether the same thing fails at every start: then it is not tried for ever, nor traded on in between."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from messages.facts import ExecutionQuarantined, Fact, PartFailed, StartRefused

TO_QUARANTINE, TO_HALT, TO_REFUSE = 2, 3, 6
"""After so many failures of critical actors in a row that are all about one execution, it is quarantined; after so many
a start is halted; after so many, nobody is started any more."""

APART_SECONDS = 600.0
"""In a row are those of which none came longer than that after the one before."""


def never_up(failures: Sequence[str]) -> str | None:
    """Say why not even the journal is started, which counts the others: in so many lives nobody else was, either."""
    if len(failures) < TO_REFUSE:
        return None
    return (
        f"{len(failures)} starts in a row ended before anybody but the journal was up, the last time because "
        f"{failures[-1]}: nothing was started, nobody watches orders any more"
    )


class Failures:
    """A fold of the failures of critical actors: what makes them fail may be in the journal, or at the venue."""

    def __init__(self) -> None:
        self._count, self._at, self._part = 0, datetime.min.replace(tzinfo=UTC), ""
        self._of, self._of_it = "", 0

    def fold(self, fact: Fact, at: datetime) -> None:
        """Take a fact of that moment."""
        match fact:
            case PartFailed(in_a_row=count, part=part, execution_id=of):
                self._of_it = self._of_it + 1 if of == self._of and count > 1 else 1
                self._count, self._at, self._part, self._of = count, at, part, of
            case StartRefused():
                self._count = 0
            case _:
                pass

    def next(self, part: str, detail: str, now: datetime, *, of: str = "", told: bool = False) -> PartFailed:
        """Return the fact of one more, about the execution `of`; `told`: another alert says why."""
        return PartFailed(execution_id=of, part=part, detail=detail, in_a_row=self._lately(now) + 1, told=told)

    def poisoned(self, now: datetime) -> ExecutionQuarantined | None:
        """Return the fact that the execution is left alone of which others fail again and again."""
        if not self._of or self._of_it < TO_QUARANTINE or not self._lately(now):
            return None
        detail = f"{self._part} failed of it, {self._of_it} starts in a row"
        return ExecutionQuarantined(execution_id=self._of, detail=detail)

    def halts(self, now: datetime) -> str | None:
        """Say why a start must be halted, if it must."""
        return self._text if self._lately(now) >= TO_HALT else None

    def refuses(self, now: datetime) -> StartRefused | None:
        """Return the fact that nobody is started, if it has come to that."""
        if self._lately(now) < TO_REFUSE:
            return None
        return StartRefused(
            part=self._part, detail=f"{self._text}: nothing was started, nobody watches orders any more"
        )

    @property
    def _text(self) -> str:
        return f"{self._count} starts in a row ended because a part failed, the last time {self._part}"

    def _lately(self, now: datetime) -> int:
        return self._count if abs((now - self._at).total_seconds()) <= APART_SECONDS else 0
