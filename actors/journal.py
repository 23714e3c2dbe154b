"""Journal: makes facts durable in the order in which they come, and tells everyone whom they concern."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import ClassVar, Protocol, TypeVar, assert_never

import pykka

from actors.archivist import Round
from actors.journal_routes import Follower, Newborn, Routes
from actors.retention import Retention, RetentionSettings
from actors.runtime import Timer
from actors.supervision import Child, ChildEnded
from messages.control import (
    ActorReady,
    Append,
    CaughtUp,
    ClaimBroken,
    Committed,
    FactNews,
    Follow,
    JournalCommand,
    JournalFailed,
    Ping,
    Pong,
    StoreFailed,
    Unfollow,
)
from messages.facts import (
    ChildAcknowledged,
    ExecutionPlanned,
    ExecutionStarted,
    Fact,
    PartFailed,
    SignalAccepted,
    TradingHalted,
)
from messages.refs import Tells

PATIENT: frozenset[type[Fact]] = frozenset({ExecutionPlanned, ExecutionStarted, ChildAcknowledged})
"""Facts on which nobody waits, and which others follow at once: intents on plans, trades on acknowledgements.

A commit of their own would hold those up, so they are committed with what comes next.
"""

FOLLOWED: frozenset[type[Fact]] = PATIENT | {SignalAccepted}
"""Facts that others follow at once. An acceptance's verdict waits for it, but so does its first child: one commit
for both is sooner over than two."""

LAST_WORDS: frozenset[type[Fact]] = frozenset({TradingHalted, PartFailed})
"""What is kept when a claim was broken: why. Nothing of an execution, whose acceptance may not have been stored."""

LINGER_SECONDS = 0.005
"""If nothing comes, those are committed after this."""

REPLAY_SLICE = 250
"""Old facts that one turn tells a new follower; between two slices others may append.

However many are being told, an append waits for one slice: some ten milliseconds.
"""

REMEMBERED_COMMITS = 1024

FIRST_TIDY_SECONDS, TIDY_SECONDS = 900.0, 3600.0
"""When, after a start and after the last time, it is looked what may be archived."""

STEP_SECONDS, QUIET_SECONDS, PATIENCE_SECONDS = 0.02, 0.25, 600.0
"""Between two small steps of that; how long nothing must have been appended before one; and after how long
in a round one is taken nevertheless."""

logger = logging.getLogger("tidegate.journal")

N = TypeVar("N", bound=FactNews)


class Store(Protocol):
    """Where facts are kept. One thread at a time calls it."""

    journal_id: str

    def append(self, records: Sequence[Committed]) -> None:
        """Make facts durable, all or none; they continue the sequence.

        Raises `ClaimBroken` (nothing stored) or `StoreFailed` (not known what is stored).
        """

    def read(
        self,
        after: int = 0,
        kinds: Collection[str] | None = None,
        execution_id: str | None = None,
        *,
        archived: bool = True,
    ) -> Iterator[Committed]:
        """Yield the durable facts after `after` in order, of these kinds and this execution only.

        With `archived` False those in the archive are left out. May be left open while facts are
        appended and archived. Raises `StoreFailed`.
        """

    def archive(self, seqs: Sequence[int]) -> None:
        """Move these facts to the archive, all or none.

        Raises `StoreFailed` with nothing moved, ValueError for facts of the last `TAIL`.
        """

    def last_seq(self) -> int:
        """Return the number of the last durable fact, 0 if there is none."""

    def close(self) -> None:
        """Let go of what it holds."""


@dataclass(slots=True)
class CommitTimes:
    """How long commits took, the last 1,024 of them; `count` counts all."""

    count: int = 0
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=REMEMBERED_COMMITS))

    def add(self, seconds: float) -> None:
        """Note one commit."""
        self.count += 1
        self._recent.append(seconds)

    def quantile(self, fraction: float) -> float | None:
        """Return the seconds that this fraction of the remembered commits did not exceed."""
        recent = sorted(self._recent)
        if not recent:
            return None
        return recent[min(len(recent) - 1, int(fraction * len(recent)))]


@dataclass(frozen=True, slots=True)
class _Flush:
    """Everything that was queued before this is one transaction."""


@dataclass(frozen=True, slots=True)
class _Lingered:
    """Patient facts have waited for long enough."""


@dataclass(frozen=True, slots=True)
class _Tidy:
    """Time to see what may be archived, or to go on with it."""


@dataclass(frozen=True, slots=True)
class _NextSlice:
    """Whoever has waited longest for more old facts is told some."""


@dataclass(frozen=True, slots=True, eq=False)
class _Replay:
    """A follower being told old facts; what is committed meanwhile waits in `behind`."""

    follow: Follow
    old: Iterator[Committed]
    until: int
    behind: deque[Committed] = field(default_factory=deque)


class Journal(Child):
    """Appends facts in group commits and delivers each, in order: to its writer, to the followers
    of its execution, and to the followers of its kind; to each of them once.

    A follower that has stopped is forgotten without a word. After a failed commit nothing is
    appended or delivered any more: the parent is told `JournalFailed`, once. If a broken claim was
    the reason, the store can still be used: then the parent alone may append `LAST_WORDS`.
    """

    pinned: ClassVar[bool] = True

    def __init__(
        self,
        parent: Tells[ChildEnded | ActorReady | JournalFailed],
        name: str,
        *,
        store: Store,
        retention: RetentionSettings | None = None,
    ) -> None:
        super().__init__(parent, name)
        self._retention = retention
        self._round: Round | None = None
        self._round_began = self._appended_at = 0.0
        self._told = parent
        self._store = store
        self._last_seq = store.last_seq()
        self._buffer: list[Append] = []
        self._buffered: dict[str, list[type[Fact]]] = {}
        self._held: list[Follow] = []
        self._flush_asked = False
        self._linger: Timer | None = None
        self._failed = self._last_words = False
        self._routes = Routes()
        self._replays: dict[object, _Replay] = {}
        self._turns: deque[_Replay] = deque()
        self._turn_asked = False
        self._newborn = Newborn()
        self.times = CommitTimes()

    def begin(self) -> None:
        """Nothing needs to be caught up with."""
        self._told.tell(ActorReady(self.name))
        if self._retention is not None:
            self.runtime.tell_after(FIRST_TIDY_SECONDS, self.actor_ref, _Tidy())

    def end(self) -> None:
        """Commit what was asked for before the stop."""
        self._flush()

    def on_receive(self, message: JournalCommand | Ping | _Flush | _Lingered | _NextSlice | _Tidy) -> None:
        """Take a command, unless the store has failed."""
        if self._failed:
            parent: object = self._told
            if self._last_words and isinstance(message, Append) and message.writer is parent:
                self._keep_last_words(message)
            return
        match message:
            case Append():
                self._take(message)
            case _Flush():
                self._flush()
            case _Lingered():
                if not self._flush_asked:  # Else that is the next thing to be done, with what has come meanwhile.
                    self._flush()
            case Follow():
                self._follow(message)
            case _NextSlice():
                self._turn_asked = False
                self._go_on(self._turns.popleft())
                self._ask_for_a_turn()
            case Unfollow(follower):
                self._forget(follower)
            case _Tidy():
                self._tidy()
            case Ping(reply_to):
                self.runtime.send(reply_to, Pong(self.name, reading=bool(self._replays)))
            case _:
                assert_never(message)

    # Appending ------------------------------------------------------------------------------------

    def _take(self, append: Append) -> None:
        self._buffer.append(append)
        for fact in append.facts:
            self._buffered.setdefault(fact.execution_id, []).append(type(fact))
        if self._flush_asked:
            return
        if not all(type(fact) in FOLLOWED for fact in append.facts):
            self._ask_for_a_flush()
        elif self._linger is None or not self._linger.pending:
            self._linger = self.runtime.tell_after(LINGER_SECONDS, self.actor_ref, _Lingered())

    def _ask_for_a_flush(self) -> None:
        """Flush once what is in the mailbox by now is buffered."""
        if not self._flush_asked:
            self._flush_asked = True
            self.actor_ref.tell(_Flush())

    def _flush(self) -> None:
        self._flush_asked = False
        if self._linger is not None:
            self._linger.cancel()
        if self._failed or not self._buffer:
            return
        records, writers = [], []
        for append in self._buffer:
            for fact in append.facts:
                self._last_seq += 1
                records.append(Committed(self._last_seq, append.at, fact))
                writers.append(append.writer)
        self._buffer, self._buffered = [], {}
        began = self.runtime.now()
        try:
            self._store.append(records)
        except StoreFailed as failure:
            self._fail(failure)
            return
        self._appended_at = self.runtime.now()
        self.times.add(self._appended_at - began)
        self._deliver(records, writers)
        for gone in self._routes.sweep():
            self._forget(gone)
        held, self._held = self._held, []
        for follow in held:
            if not self._failed:
                self._follow(follow)

    def _fail(self, failure: StoreFailed) -> None:
        self._failed = True
        self._buffer, self._buffered, self._held, self._replays, self._routes = [], {}, [], {}, Routes()
        self._last_words = isinstance(failure, ClaimBroken)
        logger.error("the journal has failed: %s", failure)
        self.runtime.send(self._told, JournalFailed(str(failure), invariant=self._last_words))

    def _keep_last_words(self, append: Append) -> None:
        """Make durable what the next start must know, and nothing else."""
        if not all(type(fact) in LAST_WORDS for fact in append.facts):
            return
        self._last_seq = self._store.last_seq()
        try:
            records = [Committed(self._last_seq + n, append.at, fact) for n, fact in enumerate(append.facts, 1)]
            self._store.append(records)
        except StoreFailed as failure:
            self._last_words = False
            logger.error("nor can the journal keep the last words: %s", failure)  # noqa: TRY400 - the text says all
            return
        for committed in records:
            _tell(append.writer, committed)

    # Archiving ------------------------------------------------------------------------------------

    def _tidy(self) -> None:
        """Do one small step of the housekeeping, if nobody is in a hurry."""
        now = self.runtime.now()
        if self._round is None:
            self._begin_round(now)
        elif not self._in_the_way(now):
            self._go_on_with(self._round)
            return
        self.runtime.tell_after(QUIET_SECONDS, self.actor_ref, _Tidy())

    def _begin_round(self, now: float) -> None:
        assert self._retention is not None, "nothing is archived without settings"
        facts = self._store.read(archived=False)
        self._round_began = now
        self._round = Round(Retention(self._retention, self.runtime.wall_time()), facts, self._store.last_seq())

    def _in_the_way(self, now: float) -> bool:
        """Whether appends come one after the other; a journal that never rests is tidied all the same."""
        if self._buffer or not all(replay.follow.archived for replay in self._replays.values()):
            return True
        return now - self._appended_at < QUIET_SECONDS and now - self._round_began < PATIENCE_SECONDS

    def _go_on_with(self, round_: Round) -> None:
        try:
            over = not round_.look() and not self._move(round_)
        except StoreFailed as failure:
            logger.warning("nothing more is archived for now: %s", failure)
            over = True
        if over:
            logger.info("archived %d facts that no start needs", round_.moved)
            self._round = None
        delay = TIDY_SECONDS if over else STEP_SECONDS
        self.runtime.tell_after(delay, self.actor_ref, _Tidy())

    def _move(self, round_: Round) -> bool:
        """Move a few facts; False if there were none."""
        seqs = round_.next_move()
        if seqs:
            self._store.archive(seqs)
        return bool(seqs)

    # Delivering -----------------------------------------------------------------------------------

    def _deliver(self, records: Sequence[Committed], writers: Sequence[Tells[Committed]]) -> None:
        """Tell everyone, each in the order of the facts: first those who wait for one of their own."""
        news: dict[Follower, list[Committed]] = {
            writer: []
            for committed, writer in zip(records, writers, strict=True)
            if type(committed.fact) not in PATIENT
        }
        for committed, writer in zip(records, writers, strict=True):
            news.setdefault(writer, []).append(committed)
            for follower in self._routes.of(committed.fact):
                if follower is not writer:
                    news.setdefault(follower, []).append(committed)
            self._routes.note(committed.fact)
            if not self._routes.attended(committed.fact.execution_id):
                self._newborn.note(committed)
            if self._round is not None:
                self._round.touch(committed.fact)
        for follower, concerning in news.items():
            replay = self._replays.get(follower)
            if replay is not None:  # It is being told old facts: these come in their turn.
                replay.behind.extend(concerning)
                continue
            for committed in concerning:
                if not _tell(follower, committed):
                    self._forget(follower)
                    break

    def _follow(self, follow: Follow) -> None:
        """Begin with the old facts; those that are buffered now come after them, as all new ones.

        An execution of which nothing but the acceptance is buffered has no old ones. Other buffered facts of its own
        are waited for: its actor, started again, must know what it has said in its life before.
        """
        self._forget(follow.follower)
        of = follow.execution_id
        buffered = None if of is None else self._buffered.get(of)
        if buffered == [SignalAccepted]:
            self._routes.add(follow)
            _tell(follow.follower, CaughtUp(self._store.last_seq(), self._store.journal_id))
            return
        if buffered:
            self._held.append(follow)
            self._ask_for_a_flush()
            return
        until = self._store.last_seq()
        old = self._newborn.take(follow)
        if old is None:
            kinds = None if follow.kinds is None else [kind.__name__ for kind in follow.kinds]
            old = self._store.read(follow.after, kinds, follow.execution_id, archived=follow.archived)
        replay = _Replay(follow, old, until)
        self._routes.add(follow)
        self._replays[follow.follower] = replay
        self._go_on(replay)

    def _go_on(self, replay: _Replay) -> None:
        """Tell one slice of what is old, and in the end what came meanwhile."""
        follower = replay.follow.follower
        if self._replays.get(follower) is not replay:
            return  # It follows something else by now, or nothing.
        try:
            told = 0
            for committed in islice(replay.old, REPLAY_SLICE):
                if committed.seq > replay.until:
                    break
                told += 1
                if not _tell(follower, committed):
                    self._forget(follower)
                    return
        except StoreFailed as failure:
            self._fail(failure)
            return
        if told == REPLAY_SLICE:
            self._turns.append(replay)
            self._ask_for_a_turn()
            return
        del self._replays[follower]
        alive = _tell(follower, CaughtUp(replay.until, self._store.journal_id))
        if not (alive and all(_tell(follower, committed) for committed in replay.behind)):
            self._forget(follower)

    def _ask_for_a_turn(self) -> None:
        """Go on with whoever is next once what has come meanwhile is done."""
        if self._turns and not self._turn_asked:
            self._turn_asked = True
            self.actor_ref.tell(_NextSlice())

    def _forget(self, follower: Follower) -> None:
        if self._held:
            self._held = [follow for follow in self._held if follow.follower is not follower]
        self._routes.remove(follower)
        self._replays.pop(follower, None)


def _tell(whom: Tells[N], news: N) -> bool:
    """Tell, and return whether there was still somebody."""
    try:
        whom.tell(news)
    except pykka.ActorDeadError:
        return False
    return True
