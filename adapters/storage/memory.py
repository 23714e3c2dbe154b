"""The journal in memory: what a perfect disk would hold, with errors where a test wants them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence

from adapters.storage.codec import decode, encode
from adapters.storage.parts import UnwritableFact
from messages.control import TAIL, ClaimBroken, Committed, StoreFailed
from messages.ids import microseconds


class MemoryStore:
    """A journal's store that lives as long as this object, so also beyond a simulated crash.

    With `check_codec` every fact is written down and read again, and what was read is kept: a
    fact that JSON would change, or refuse, shows at once.
    """

    def __init__(self, journal_id: str = "journal-in-memory", *, check_codec: bool = True) -> None:
        self.journal_id = journal_id
        self.committed: list[Committed] = []
        """What is durable, in order."""
        self.appends = 0
        """How many appends were asked for, failed ones included."""
        self.append_seconds = 0.0
        """How long each append takes, where `wait` lets time pass."""
        self.wait: Callable[[float], None] | None = None
        self._under_way: Sequence[Committed] = ()
        self._of_execution: dict[str, list[Committed]] = {}
        self._check_codec = check_codec
        self._claims: dict[str, tuple[int, int]] = {}
        self._faults: dict[int, tuple[Exception, bool]] = {}
        self._poison: str | None = None
        self._archived: dict[int, None] = {}

    def fail_next(self, error: Exception | None = None, *, stored: bool = False) -> None:
        """Let the next append fail; with `stored` its facts become durable nevertheless."""
        self.fail_at(1, error, stored=stored)

    def fail_at(self, n: int, error: Exception | None = None, *, stored: bool = False) -> None:
        """Let the n-th append from now fail (1 = the next), as `fail_next` does."""
        self._faults[self.appends + n] = (error or StoreFailed("an error that a test asked for"), stored)

    def calm(self) -> None:
        """Forget all errors that are still to come, and be slow no more."""
        self._faults.clear()
        self.append_seconds = 0.0

    def reopen(self) -> None:
        """Do what a restart of the process does: a store that had failed can be used again."""
        self._poison = None

    def crash(self, *, kept: bool) -> None:
        """Do to an append that is under way what the end of its process does: its facts are lost, or `kept`."""
        under_way, self._under_way = self._under_way, ()
        if kept and under_way:
            self._store(under_way)

    def lose_tail(self, count: int) -> None:
        """Lose the last facts and their claims, as a disk does that lied about a sync."""
        kept = self.committed[: max(0, len(self.committed) - count)]
        self.committed, self._claims, self._of_execution = [], {}, {}
        self._archived = {seq: None for seq in self._archived if seq <= len(kept)}
        self._store(kept)

    def last_seq(self) -> int:
        """Return the number of the last durable fact, 0 if there is none."""
        return len(self.committed)

    def append(self, records: Sequence[Committed]) -> None:
        """Keep facts, all or none; raises `ClaimBroken` and `StoreFailed` as the file's store does."""
        if self._poison is not None:
            raise StoreFailed(f"the store has failed before: {self._poison}")
        self.appends += 1
        error, stored = self._faults.pop(self.appends, (None, False))
        if self.append_seconds and self.wait is not None:
            self._under_way = records
            self.wait(self.append_seconds)
            self._under_way = ()
        try:
            if error is None or stored:
                self._store(records)
            if error is not None:
                raise error
        except ClaimBroken:
            raise
        except Exception as failure:
            self._poison = f"{type(failure).__name__}: {failure}"
            raise

    def _store(self, records: Sequence[Committed]) -> None:
        kept = []
        taken: dict[str, tuple[int, int] | None] = {}
        for seq, record in enumerate(records, len(self.committed) + 1):
            if record.seq != seq:
                raise ClaimBroken(f"fact {record.seq} does not follow on {seq - 1}")
            kept.append(self._through_codec(record) if self._check_codec else record)
            self._take_claims(record, taken)
        self.committed += kept
        for record in kept:
            self._of_execution.setdefault(record.fact.execution_id, []).append(record)
        for key, claim in taken.items():
            if claim is None:
                self._claims.pop(key, None)
            else:
                self._claims[key] = claim

    def _take_claims(self, record: Committed, taken: dict[str, tuple[int, int] | None]) -> None:
        """Add to `taken` what the fact claims (until, seq) and releases (None)."""
        for key in record.fact.releases():
            taken[key] = None
        claims = record.fact.claims()
        moment = microseconds(record.at) if claims else 0
        for claim in claims:
            held = taken[claim.key] if claim.key in taken else self._claims.get(claim.key)
            if held is not None and held[0] > moment:
                raise ClaimBroken(f"fact {record.seq} claims {claim.key!r}, which fact {held[1]} holds")
            taken[claim.key] = claim.until, record.seq

    @staticmethod
    def _through_codec(record: Committed) -> Committed:
        try:
            fact = decode(type(record.fact).__name__, encode(record.fact))
        except UnwritableFact as error:
            raise StoreFailed(str(error)) from error
        if fact != record.fact or type(fact) is not type(record.fact):
            raise AssertionError(f"written and read again, {record.fact!r} becomes {fact!r}")
        return Committed(record.seq, record.at, fact)

    def read(
        self,
        after: int = 0,
        kinds: Collection[str] | None = None,
        execution_id: str | None = None,
        *,
        archived: bool = True,
    ) -> Iterator[Committed]:
        """Yield the durable facts after `after` in order, of these kinds and this execution only."""
        of_all = execution_id is None
        facts = self.committed if of_all else self._of_execution.get(execution_id or "", [])
        kinds = None if kinds is None else frozenset(kinds)
        position = max(after, 0) if of_all else bisect_right(facts, after, key=lambda record: record.seq)
        while position < len(facts):
            committed = facts[position]
            position += 1
            if not archived and committed.seq in self._archived:
                continue
            if kinds is None or type(committed.fact).__name__ in kinds:
                yield committed

    def archive(self, seqs: Sequence[int]) -> None:
        """Put facts aside: they are told only to those who ask for what is archived."""
        if self._poison is not None:
            raise StoreFailed(f"the store has failed before: {self._poison}")
        if any(seq > len(self.committed) - TAIL for seq in seqs):
            raise ValueError(f"the last {TAIL} facts stay at hand")
        self._archived.update(dict.fromkeys(seqs))

    def close(self) -> None:
        """Do nothing: what is in memory stays, for the next life of a simulated daemon."""
