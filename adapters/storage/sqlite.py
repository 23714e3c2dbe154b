"""The journal in a SQLite file: one connection, write-ahead log, every commit synced to the disk."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path

import apsw

from adapters.storage.codec import UnreadableFact, decode, encode
from adapters.storage.directory import DataDirectory, DirectoryUnusable, NoJournal, open_private
from adapters.storage.parts import UnwritableFact
from messages.control import TAIL, ClaimBroken, Committed, StoreFailed
from messages.ids import microseconds

JOURNAL_FILE = "journal.sqlite"
APPLICATION_ID = 0x7469_6465
"""Marks a SQLite file as a journal of ours (PRAGMA application_id); the letters `tide`."""

PAGE = 250
"""Facts that `read` fetches at a time, so that nothing stays open while others append, and none waits long for it."""

BUSY_MILLISECONDS = 2000
CHECKPOINT_PAGES = 4000
"""Pages of 4 kB in the log before a commit writes it back, if nobody else has (`log_keeper.py`)."""

LOG_HEADER, FRAME_HEADER, PAGE_BYTES = 32, 24, 4096
"""What a write-ahead log is made of (SQLite's file format, section 4)."""

CACHE_KILOBYTES = 16_000
logger = logging.getLogger("tidegate.journal")

REMEMBERED_READ = 20_000
"""Facts that are kept as they were read while a start's actors read them one after the other."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE facts (
        seq INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,         -- microseconds since 1970
        type TEXT NOT NULL,
        execution_id TEXT NOT NULL,  -- empty where no execution is concerned
        body TEXT NOT NULL,          -- the fact's fields, JSON
        chain BLOB NOT NULL          -- hash of all this and of the chain before it
    );
    CREATE INDEX facts_of_execution ON facts (execution_id, seq) WHERE execution_id <> '';
    CREATE TABLE claims (
        key TEXT PRIMARY KEY,
        until INTEGER NOT NULL,      -- microseconds since 1970; free again from then on
        seq INTEGER NOT NULL         -- the fact that holds it
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE archived (          -- facts that no start needs any more; with `facts` they are the journal
        seq INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        type TEXT NOT NULL,
        execution_id TEXT NOT NULL,
        body TEXT NOT NULL,
        chain BLOB NOT NULL
    );
    CREATE INDEX archived_of_execution ON archived (execution_id, seq) WHERE execution_id <> '';
    """,
)
"""Step n brings a file from version n to n + 1; a step that was once released is never changed."""

_INSERT = "INSERT INTO facts (seq, at, type, execution_id, body, chain) VALUES (?, ?, ?, ?, ?, ?)"
_CLAIM = """
INSERT INTO claims (key, until, seq) VALUES (?1, ?2, ?3)
ON CONFLICT (key) DO UPDATE SET until = excluded.until, seq = excluded.seq WHERE claims.until <= ?4
"""
_RELEASE = "DELETE FROM claims WHERE key = ?"
_COLUMNS = "seq, at, type, execution_id, body, chain"
_WHOLE = f"(SELECT {_COLUMNS} FROM facts UNION ALL SELECT {_COLUMNS} FROM archived)"  # noqa: S608 - our own words
_PUT_ASIDE = f"INSERT INTO archived ({_COLUMNS}) SELECT {_COLUMNS} FROM facts WHERE seq = ?"  # noqa: S608 - our own words
_TAKE_AWAY = "DELETE FROM facts WHERE seq = ?"

FactRow = tuple[int, int, str, str, str]
"""seq, at, type, execution_id, body: what a link of the chain is made of."""

ClaimRow = tuple[str, int, int, int]
"""Key, until, seq of the claiming fact, and its moment."""


class _Overtaken(Exception):
    """The file has facts that this process did not write, though it holds the lock, or did."""


class JournalDamaged(StoreFailed):
    """The file is no journal, of a newer version, or broken; it is left as it is."""


class SqliteStore:
    """A journal's store in `directory`, which it locks until `close()`.

    With `read_only` an existing journal is opened without lock, also while a daemon writes to it,
    and every append fails. Methods may be called from any thread, one at a time. A failed append
    poisons the store: what the disk holds then is known only after opening anew.

    Raises:
        DirectoryUnusable, DirectoryLocked: as `DataDirectory` does.
        JournalDamaged: the file cannot be trusted.
    """

    def __init__(self, directory: Path, *, read_only: bool = False) -> None:
        if read_only:
            try:
                (directory / JOURNAL_FILE).stat()
            except FileNotFoundError:
                raise NoJournal(f"there is no journal in {directory}") from None
            except OSError as error:
                raise DirectoryUnusable(f"{directory} cannot be looked into: {error.strerror}") from error
        self._directory = None if read_only else DataDirectory(directory)
        try:
            self._open(directory / JOURNAL_FILE)
        except BaseException:
            if self._directory is not None:
                self._directory.release()
            raise

    def _open(self, path: Path) -> None:
        self.path = path
        self._poison: str | None = None
        self._lately_read: dict[int, Committed] = {}
        writable = self._directory is not None
        if writable:
            try:
                os.close(open_private(path))
            except OSError as error:
                raise DirectoryUnusable(f"the journal {path} cannot be written: {error.strerror}") from error
        flags = apsw.SQLITE_OPEN_READWRITE if writable else apsw.SQLITE_OPEN_READONLY
        try:
            self._connection = apsw.Connection(str(path), flags=flags)
            self._connection.set_busy_timeout(BUSY_MILLISECONDS)
            if writable:
                self._prepare()
            self._check_version()
            self.journal_id = self._text("SELECT value FROM meta WHERE key = 'journal_id'")
            self._last_seq = self._number("SELECT coalesce(max(seq), 0) FROM facts")
            self._chain = self._check_chain(max(0, self._last_seq - TAIL))
        except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError) as error:
            self._disconnect()
            raise DirectoryUnusable(f"the journal {path} cannot be opened ({error})") from error  # It may be in order.
        except apsw.Error as error:
            self._disconnect()
            raise self._damaged(str(error)) from error
        except BaseException:
            self._disconnect()
            raise

    def _prepare(self) -> None:
        """Bring the file to the present version and the connection to its settings."""
        version = self._number("PRAGMA user_version")
        tables = self._number("SELECT count(*) FROM sqlite_schema")
        if tables and self._number("PRAGMA application_id") != APPLICATION_ID:
            raise self._damaged("it is a database of something else")
        if version < len(MIGRATIONS):
            self._migrate(version)
        mode = self._text("PRAGMA journal_mode = WAL")
        if mode != "wal":
            raise DirectoryUnusable(f"the journal {self.path} needs a local file system: no write-ahead log there")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA fullfsync = ON")  # macOS: down to the platter
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        self._connection.execute(f"PRAGMA cache_size = -{CACHE_KILOBYTES}")

    def make_room(self, pages: int) -> None:
        """Make the log's file so many pages long, filled with nothing, unless it is longer.

        A commit that writes into what is there already has less to wait for. Of a log, SQLite reads what
        fits together and stops where it doesn't; the zeros behind it are none of it. Room that cannot be
        had is no failure: commits make it as they need it.
        """
        log, wanted = Path(f"{self.path}-wal"), LOG_HEADER + pages * (PAGE_BYTES + FRAME_HEADER)
        self._connection.execute("BEGIN IMMEDIATE")  # Nobody else writes to the log meanwhile.
        try:
            with log.open("r+b", buffering=0) as file:
                there = file.seek(0, os.SEEK_END)
                try:
                    file.write(bytes(max(0, wanted - there)))
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(there)
                    raise
        except OSError as error:
            logger.warning("no room could be made in the journal's log: %s", error.strerror)
        finally:
            self._connection.execute("ROLLBACK")

    def _migrate(self, version: int) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            for step in MIGRATIONS[version:]:
                execute(step)
            execute(
                "INSERT INTO meta (key, value) VALUES ('journal_id', ?) ON CONFLICT DO NOTHING",
                (secrets.token_hex(16),),
            )
            execute(f"PRAGMA application_id = {APPLICATION_ID}")
            execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _check_version(self) -> None:
        version = self._number("PRAGMA user_version")
        if self._number("PRAGMA application_id") != APPLICATION_ID:
            raise self._damaged("it is a database of something else")
        if version > len(MIGRATIONS):
            raise self._damaged(f"its version {version} is newer than this program's {len(MIGRATIONS)}")
        if version < len(MIGRATIONS):
            raise self._damaged(f"its version {version} is old: start the daemon once to bring it up to date")

    def last_seq(self) -> int:
        """Return the number of the last durable fact, 0 if there is none."""
        return self._last_seq

    def append(self, records: Sequence[Committed]) -> None:
        """Make facts durable in one transaction: all, or none.

        They continue the sequence. Raises `ClaimBroken` when they do not, or one would take a key that is
        held, with nothing stored and the store as it was; `StoreFailed` for whatever else went wrong,
        after which every further append raises too.
        """
        if self._poison is not None:
            raise StoreFailed(f"the store has failed before: {self._poison}")
        self._lately_read.clear()  # The start is over, or about to be.
        try:
            self._transact(records)
        except ClaimBroken:
            raise
        except _Overtaken as error:
            self._poison = str(error)
            raise StoreFailed(f"{self.path}: {self._poison}") from None
        except (apsw.Error, UnwritableFact) as error:
            self._poison = f"{type(error).__name__}: {error}"
            raise StoreFailed(f"{self.path}: {self._poison}") from error

    def _transact(self, records: Sequence[Committed]) -> None:
        rows: list[tuple[int, int, str, str, str, bytes]] = []
        expected, chain = self._last_seq, self._chain
        for record in records:
            expected += 1
            if record.seq != expected:
                raise ClaimBroken(f"fact {record.seq} does not follow on {expected - 1}")
            fact = record.fact
            body = encode(fact).decode()
            row = (record.seq, microseconds(record.at), type(fact).__name__, fact.execution_id, body)
            chain = linked(chain, row)
            rows.append((*row, chain))
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            self._see_that_nobody_else_wrote()
            self._connection.executemany(_INSERT, rows)
            self._take_claims(records)
            execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self._last_seq, self._chain = expected, chain

    def _see_that_nobody_else_wrote(self) -> None:
        """The number's key alone would say so no more once the other has archived what bears it."""
        for (last,) in self._connection.execute("SELECT max(seq) FROM facts"):
            if (last or 0) != self._last_seq:
                raise _Overtaken(f"another process has written to it: it ends with fact {last}, not {self._last_seq}")

    def _take_claims(self, records: Sequence[Committed]) -> None:
        waiting: list[ClaimRow] = []
        for record in records:
            released = record.fact.releases()
            if released:
                self._claim(waiting)
                waiting = []
                self._connection.executemany(_RELEASE, [(key,) for key in released])
            claims = record.fact.claims()
            if claims:
                moment = microseconds(record.at)
                waiting += [(claim.key, claim.until, record.seq, moment) for claim in claims]
        self._claim(waiting)

    def _claim(self, rows: list[ClaimRow]) -> None:
        """Take all keys at once; who was in the way is looked up only if one was."""
        if not rows:
            return
        before = self._connection.total_changes()
        self._connection.executemany(_CLAIM, rows)
        if self._connection.total_changes() - before != len(rows):
            raise ClaimBroken(self._broken(rows))

    def _broken(self, rows: list[ClaimRow]) -> str:
        for key, _, seq, _ in rows:
            for (holder,) in self._connection.execute("SELECT seq FROM claims WHERE key = ?", (key,)):
                if holder < seq:
                    return f"fact {seq} claims {key!r}, which fact {holder} holds"
        return "a key was claimed twice by one fact"

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except apsw.Error as error:  # The first error is the one to tell; nothing more is written.
            self._poison = f"{type(error).__name__}: {error}"

    def read(
        self,
        after: int = 0,
        kinds: Collection[str] | None = None,
        execution_id: str | None = None,
        *,
        archived: bool = True,
    ) -> Iterator[Committed]:
        """Yield the durable facts after `after` in order, of these kinds and this execution only.

        Those that were archived come in their places, or with `archived` False not at all. It may go on
        while facts are appended, and then meets them too. Raises `JournalDamaged`.
        """
        where, bindings = ["seq > ?"], []
        if kinds is not None:
            where.append(f"type IN ({', '.join('?' * len(kinds))})")
            bindings += list(kinds)
        if execution_id:
            where.append("execution_id = ? AND execution_id <> ''")
            bindings.append(execution_id)
        elif execution_id is not None:
            where.append("execution_id = ''")
        table = _WHOLE if archived else "facts"
        query = f"SELECT seq, at, type, body FROM {table} WHERE {' AND '.join(where)} ORDER BY seq LIMIT {PAGE}"  # noqa: S608 - our own words
        while True:
            page = self._page(query, (after, *bindings), remember=not archived)
            yield from page
            if len(page) < PAGE:
                return
            after = page[-1].seq

    def _page(self, query: str, bindings: tuple[int | str, ...], *, remember: bool) -> list[Committed]:
        seq = 0
        page = []
        known = self._lately_read
        try:
            for seq, at, kind, body in self._connection.execute(query, bindings):
                committed = known.get(seq)
                if committed is None:
                    committed = Committed(seq, _EPOCH + timedelta(microseconds=at), decode(kind, body))
                    if remember:
                        known[seq] = committed
                page.append(committed)
            while len(known) > REMEMBERED_READ:
                del known[next(iter(known))]
        except UnreadableFact as error:
            raise self._damaged(f"fact {seq}: {error}") from error
        except apsw.Error as error:
            raise self._damaged(f"reading on after fact {seq}: {error}") from error
        return page

    def archive(self, seqs: Sequence[int]) -> None:
        """Move facts to the archive in one transaction: a start no longer reads them, nobody loses them.

        Raises `StoreFailed` with nothing moved; only if the disk is full can the store be used further.
        Raises ValueError for facts that are not at hand, or among the last.
        """
        if self._poison is not None:
            raise StoreFailed(f"the store has failed before: {self._poison}")
        if any(seq > self._last_seq - TAIL for seq in seqs):
            raise ValueError(f"the last {TAIL} facts stay at hand")
        rows = [(seq,) for seq in seqs]
        try:
            self._put_aside(rows)
        except apsw.Error as error:
            if not isinstance(error, apsw.FullError):
                self._poison = f"{type(error).__name__}: {error}"
            raise StoreFailed(f"{self.path}: {type(error).__name__}: {error}") from error

    def _put_aside(self, rows: list[tuple[int]]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            before = self._connection.total_changes()
            self._connection.executemany(_PUT_ASIDE, rows)
            self._connection.executemany(_TAKE_AWAY, rows)
            if self._connection.total_changes() - before != 2 * len(rows):
                raise ValueError("facts that are not at hand cannot be archived")
            self._connection.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def verify(self) -> int:
        """Check the file, every fact, archived or not, and every claim; return how many facts there are.

        Raises `JournalDamaged` and says where.
        """
        try:
            for (finding,) in self._connection.execute("PRAGMA integrity_check(1)"):
                if finding != "ok":
                    raise self._damaged(str(finding))
            loose = self._number(f"SELECT count(*) FROM claims WHERE seq NOT IN (SELECT seq FROM {_WHOLE})")  # noqa: S608 - our own words
        except apsw.Error as error:
            raise self._damaged(str(error)) from error
        if loose:
            raise self._damaged(f"{loose} claims belong to no fact")
        try:
            self._check_chain(0)
        except apsw.Error as error:
            raise self._damaged(str(error)) from error
        return sum(1 for _ in self.read())

    def _check_chain(self, after: int) -> bytes:
        """Recompute the chain of the facts after one, and return its end. Raises `JournalDamaged`."""
        found = self._connection.execute(f"SELECT chain FROM {_WHOLE} WHERE seq = ?", (after,)).fetchone()  # noqa: S608 - our own words
        if after and found is None:
            raise self._damaged(f"fact {after} is missing")
        chain, last = found[0] if found else b"", after
        query = f"SELECT {_COLUMNS} FROM {_WHOLE} WHERE seq > ? ORDER BY seq"  # noqa: S608 - our own words
        for *row, told in self._connection.execute(query, (after,)):
            if row[0] != last + 1:
                raise self._damaged(f"fact {last + 1} is missing")
            chain, last = linked(chain, (row[0], row[1], row[2], row[3], row[4])), row[0]
            if told != chain:
                raise self._damaged(f"fact {last} was changed after it was written")
        return bytes(chain)

    def backup(self, path: Path) -> None:
        """Write a compact copy of the journal to a new file that only its owner can read.

        Raises FileExistsError if there is one already, `StoreFailed` if it cannot be written.
        """
        descriptor = open_private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            self._connection.execute("VACUUM INTO ?", (str(path),))
            os.fsync(descriptor)
        except apsw.Error as error:
            raise StoreFailed(f"{path}: {error}") from error
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Close the file and let go of the directory; closing again does nothing."""
        self._disconnect()
        self._poison = self._poison or "it is closed"
        if self._directory is not None:
            self._directory.release()

    def _disconnect(self) -> None:
        connection = getattr(self, "_connection", None)
        if connection is not None:
            connection.close(True)

    def _number(self, query: str) -> int:
        value = self._connection.execute(query).get
        if not isinstance(value, int):
            raise self._damaged(f"{query} gives {value!r}")
        return value

    def _text(self, query: str) -> str:
        value = self._connection.execute(query).get
        if not isinstance(value, str):
            raise self._damaged(f"{query} gives {value!r}")
        return value

    def _damaged(self, what: str) -> JournalDamaged:
        return JournalDamaged(f"the journal {self.path} cannot be used: {what}")


def linked(chain: bytes, row: FactRow) -> bytes:
    """Hash a fact together with the chain before it: whoever changes one must change all that follow."""
    text = "\x1f".join((str(row[0]), str(row[1]), row[2], row[3], row[4]))
    return blake2b(chain + text.encode(), digest_size=16).digest()
