from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import apsw
import pytest

from adapters.storage import sqlite
from adapters.storage.codec import decode
from adapters.storage.directory import DirectoryLocked, DirectoryUnusable, NoJournal
from adapters.storage.sqlite import APPLICATION_ID, MIGRATIONS, JournalDamaged, SqliteStore
from messages.control import TAIL, ClaimBroken, Committed, StoreFailed
from messages.facts import Claim, EpochStarted, Fact
from tests.factories import EXECUTION, NOW, an_intent


def epoch(seq: int) -> Committed:
    return Committed(seq, NOW, EpochStarted(epoch=seq, journal_id="j", mode="paper", version="1" * 200))


def fill(store: SqliteStore, count: int) -> list[Committed]:
    records = [epoch(store.last_seq() + number) for number in range(1, count + 1)]
    store.append(records)
    return records


def change(directory: Path, *statements: str) -> None:
    connection = apsw.Connection(str(directory / sqlite.JOURNAL_FILE))
    for statement in statements:
        connection.execute(statement)
    connection.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path)
    yield store
    store.close()


# Opening ------------------------------------------------------------------------------------------


def test_what_was_appended_is_there_after_opening_anew(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    records = fill(store, 3)
    store.close()
    again = SqliteStore(tmp_path)
    assert list(again.read()) == records
    assert again.journal_id == store.journal_id
    assert again.last_seq() == 3
    again.close()


def test_each_journal_has_an_id_of_its_own(tmp_path: Path) -> None:
    ids = []
    for name in "ab":
        store = SqliteStore(tmp_path / name)
        ids.append(store.journal_id)
        store.close()
    assert ids[0] != ids[1]
    assert all(len(id_) == 32 for id_ in ids)


def test_a_second_opener_is_locked_out_until_the_first_closes(tmp_path: Path, store: SqliteStore) -> None:
    with pytest.raises(DirectoryLocked):
        SqliteStore(tmp_path)
    store.close()
    SqliteStore(tmp_path).close()


def test_a_file_that_another_holds_locked_is_waited_for_a_while_and_then_fails_the_append_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_MILLISECONDS", 300)
    store = SqliteStore(tmp_path)
    fill(store, 1)
    other = apsw.Connection(str(tmp_path / sqlite.JOURNAL_FILE))
    other.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    with pytest.raises(StoreFailed, match="BusyError"):
        fill(store, 1)
    assert 0.25 < time.monotonic() - began < 5.0
    other.execute("ROLLBACK")
    other.close()
    with pytest.raises(StoreFailed, match="has failed before"):
        fill(store, 1)
    store.close()
    again = SqliteStore(tmp_path)
    assert again.last_seq() == 1
    again.close()


def test_a_lock_that_is_let_go_in_time_only_delays_the_append(tmp_path: Path, store: SqliteStore) -> None:
    other = apsw.Connection(str(tmp_path / sqlite.JOURNAL_FILE))
    other.execute("BEGIN IMMEDIATE")
    letting_go = threading.Timer(0.1, lambda: other.execute("ROLLBACK"))
    letting_go.start()
    fill(store, 2)
    letting_go.join()
    other.close()
    assert store.last_seq() == 2


def test_nobody_else_may_read_the_files_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = SqliteStore(tmp_path / "data")
        fill(store, 3)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert set(modes) == {"lock", "journal.sqlite", "journal.sqlite-wal", "journal.sqlite-shm"}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


def test_every_commit_is_synced(store: SqliteStore) -> None:
    pragmas = {name: store._connection.execute(f"PRAGMA {name}").get for name in ("journal_mode", "synchronous")}
    assert pragmas == {"journal_mode": "wal", "synchronous": 2}


def test_a_new_file_is_brought_from_version_zero_to_the_present_one(tmp_path: Path, store: SqliteStore) -> None:
    assert store._number("PRAGMA user_version") == len(MIGRATIONS)
    assert store._number("PRAGMA application_id") == APPLICATION_ID


def test_a_file_of_an_older_version_keeps_its_facts_and_its_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(tmp_path)
    records = fill(store, 2)
    store.close()
    monkeypatch.setattr(sqlite, "MIGRATIONS", (*MIGRATIONS, "ALTER TABLE facts ADD COLUMN colour TEXT"))
    with pytest.raises(JournalDamaged, match=f"version {len(MIGRATIONS)} is old"):
        SqliteStore(tmp_path, read_only=True)
    newer = SqliteStore(tmp_path)
    assert list(newer.read()) == records
    assert newer.journal_id == store.journal_id
    assert newer._number("PRAGMA user_version") == len(MIGRATIONS) + 1
    newer.close()
    monkeypatch.setattr(sqlite, "MIGRATIONS", MIGRATIONS)
    newest = len(MIGRATIONS)
    with pytest.raises(JournalDamaged, match=f"version {newest + 1} is newer than this program's {newest}"):
        SqliteStore(tmp_path)


def test_a_file_without_an_archive_is_given_one(tmp_path: Path) -> None:
    connection = apsw.Connection(str(tmp_path / sqlite.JOURNAL_FILE))
    connection.execute(MIGRATIONS[0])
    connection.execute("INSERT INTO meta VALUES ('journal_id', 'of-old')")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    store = SqliteStore(tmp_path)
    records = fill(store, TAIL + 1)
    store.archive([1])
    assert (store.journal_id, store.verify()) == ("of-old", TAIL + 1)
    assert list(store.read()) == records
    store.close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SqliteStore(tmp_path).close()
    steps = (*MIGRATIONS, "ALTER TABLE facts ADD COLUMN colour TEXT", "ALTER TABLE absent ADD COLUMN x")
    monkeypatch.setattr(sqlite, "MIGRATIONS", steps)
    with pytest.raises(JournalDamaged, match="no such table: absent"):
        SqliteStore(tmp_path)
    monkeypatch.setattr(sqlite, "MIGRATIONS", MIGRATIONS)
    store = SqliteStore(tmp_path)
    assert store._number("PRAGMA user_version") == len(MIGRATIONS)
    store.close()


def test_a_file_that_is_no_database_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / sqlite.JOURNAL_FILE
    path.write_text("certainly not a database, and long enough to have a header of one hundred bytes" * 3)
    before = path.read_bytes()
    with pytest.raises(JournalDamaged, match=f"{path} cannot be used: file is not a database"):
        SqliteStore(tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("read_only", [False, True])
def test_a_database_of_something_else_is_refused_and_kept(tmp_path: Path, *, read_only: bool) -> None:
    change(tmp_path, "CREATE TABLE trades (id)")
    before = (tmp_path / sqlite.JOURNAL_FILE).read_bytes()
    with pytest.raises(JournalDamaged, match="something else"):
        SqliteStore(tmp_path, read_only=read_only)
    assert (tmp_path / sqlite.JOURNAL_FILE).read_bytes() == before


def two_on_one_file(directory: Path) -> tuple[SqliteStore, SqliteStore]:
    """What a network file system may allow, or somebody who removes the lock: two processes at once."""
    old = SqliteStore(directory)
    old.append([epoch(1)])
    (directory / "lock").unlink()
    return old, SqliteStore(directory)


def test_one_that_has_lost_the_lock_can_write_nothing_once_another_has_begun_its_epoch(tmp_path: Path) -> None:
    old, new = two_on_one_file(tmp_path)
    new.append([epoch(2)])
    with pytest.raises(StoreFailed, match="another process has written to it: it ends with fact 2, not 1"):
        old.append([epoch(2)])
    with pytest.raises(StoreFailed, match="has failed before"):
        old.append([epoch(2)])
    new.append([epoch(3)])
    assert [one.seq for one in new.read()] == [1, 2, 3]
    assert new.verify() == 3
    old.close()
    new.close()


def test_one_that_comes_while_another_still_writes_does_not_begin_an_epoch(tmp_path: Path) -> None:
    old, new = two_on_one_file(tmp_path)
    old.append([epoch(2)])
    with pytest.raises(StoreFailed, match="another process"):
        new.append([epoch(2)])
    assert old.verify() == 2
    old.close()
    new.close()


def test_one_that_has_slept_while_another_wrote_and_archived_what_follows_can_write_nothing_either(
    tmp_path: Path,
) -> None:
    old, new = two_on_one_file(tmp_path)
    new.append([epoch(number) for number in range(2, TAIL + 12)])
    new.archive(range(2, 8))
    with pytest.raises(StoreFailed, match="another process"):
        old.append([epoch(2)])
    assert new.verify() == TAIL + 11
    old.close()
    new.close()


def test_a_directory_that_was_refused_is_not_left_locked(tmp_path: Path) -> None:
    path = tmp_path / sqlite.JOURNAL_FILE
    path.write_text("not a database" * 100)
    with pytest.raises(JournalDamaged):
        SqliteStore(tmp_path)
    path.unlink()
    SqliteStore(tmp_path).close()


def test_a_journal_that_cannot_be_written_makes_the_directory_unusable(tmp_path: Path) -> None:
    (tmp_path / sqlite.JOURNAL_FILE).mkdir()
    with pytest.raises(DirectoryUnusable, match=r"journal\.sqlite cannot be written"):
        SqliteStore(tmp_path)


def test_a_journal_that_this_user_may_not_open_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise apsw.CantOpenError("unable to open database file")

    SqliteStore(tmp_path).close()
    monkeypatch.setattr(apsw, "Connection", refused)
    with pytest.raises(DirectoryUnusable, match=r"journal\.sqlite cannot be opened \(unable to open"):
        SqliteStore(tmp_path, read_only=True)


def test_a_file_system_without_write_ahead_log_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = SqliteStore._text
    monkeypatch.setattr(
        SqliteStore, "_text", lambda self, query: "delete" if "journal_mode" in query else text(self, query)
    )
    with pytest.raises(DirectoryUnusable, match="local file system"):
        SqliteStore(tmp_path)


@pytest.mark.parametrize("statement", ["DELETE FROM meta", "UPDATE meta SET value = x'00'"])
def test_a_journal_without_an_id_is_refused(tmp_path: Path, statement: str) -> None:
    SqliteStore(tmp_path).close()
    change(tmp_path, statement)
    with pytest.raises(JournalDamaged, match="journal_id"):
        SqliteStore(tmp_path)


# Reading beside a daemon --------------------------------------------------------------------------


def test_a_running_daemons_journal_can_be_read_but_not_written(tmp_path: Path, store: SqliteStore) -> None:
    records = fill(store, 3)
    reader = SqliteStore(tmp_path, read_only=True)
    assert list(reader.read()) == records
    with pytest.raises(StoreFailed):
        reader.append([epoch(4)])
    reader.close()
    fill(store, 1)


def test_reading_what_does_not_exist_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(NoJournal, match="there is no journal in"):
        SqliteStore(tmp_path, read_only=True)
    assert list(tmp_path.iterdir()) == []


# Damage -------------------------------------------------------------------------------------------


def test_a_damaged_page_is_found_when_it_is_read_and_told_with_its_place(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    fill(store, 8000)
    store.close()
    path = tmp_path / sqlite.JOURNAL_FILE
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096 * 20] = bytes(4096 * 20)
    path.write_bytes(content)
    damaged = SqliteStore(tmp_path)
    with pytest.raises(JournalDamaged, match=f"{path} cannot be used: reading on after fact .* malformed"):
        list(damaged.read())
    with pytest.raises(JournalDamaged):
        damaged.verify()
    damaged.close()
    assert path.exists()


def test_a_fact_that_was_changed_is_found_when_the_journal_is_opened(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    fill(store, 5)
    store.close()
    change(tmp_path, "UPDATE facts SET body = replace(body, 'paper', 'liver') WHERE seq = 3")
    with pytest.raises(JournalDamaged, match="fact 3 was changed after it was written"):
        SqliteStore(tmp_path)
    assert (tmp_path / sqlite.JOURNAL_FILE).exists()


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("UPDATE facts SET at = at + 1 WHERE seq = 1", "fact 1 was changed"),
        ("UPDATE facts SET at = at + 1 WHERE seq = 2", "fact 2 was changed"),
        ("UPDATE facts SET execution_id = 'x' WHERE seq = 4", "fact 4 was changed"),
        ("DELETE FROM facts WHERE seq = 3", "fact 3 is missing"),
        ("UPDATE facts SET chain = x'00' WHERE seq = 5", "fact 5 was changed"),
    ],
)
def test_whatever_is_changed_breaks_the_chain(tmp_path: Path, store: SqliteStore, statement: str, finding: str) -> None:
    fill(store, 5)
    change(tmp_path, statement)
    with pytest.raises(JournalDamaged, match=finding):
        store.verify()


def test_the_chain_is_made_as_it_always_was_of_everything_that_is_told_of_a_fact() -> None:
    first = sqlite.linked(b"", (1, 1_782_907_200_000_000, "EpochStarted", "", '{"epoch":1}'))
    second = sqlite.linked(first, (2, 1_782_907_200_000_001, "ChildIntended", EXECUTION, "{}"))
    assert (first.hex(), second.hex()) == ("c79fde0fa2e221b8717ba32cbbdb3b80", "6dd685703ac28138b9be0d2b816201be")


def test_the_chain_goes_on_over_a_restart(tmp_path: Path) -> None:
    for _ in range(3):
        store = SqliteStore(tmp_path)
        fill(store, 2)
        store.close()
    store = SqliteStore(tmp_path)
    assert store.verify() == 6
    store.close()


def test_a_fact_that_is_none_is_told_by_its_number(tmp_path: Path, store: SqliteStore) -> None:
    fill(store, 3)
    change(tmp_path, "UPDATE facts SET body = '{}' WHERE seq = 2")
    with pytest.raises(JournalDamaged, match="fact 2: EpochStarted"):
        list(store.read())


def test_verifying_counts_the_facts(store: SqliteStore) -> None:
    fill(store, 3)
    store.append([Committed(4, NOW, an_intent())])
    assert store.verify() == 4


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("DELETE FROM facts WHERE seq = 2", "fact 2 is missing"),
        ("INSERT INTO claims VALUES ('x', 1, 99)", "1 claims belong to no fact"),
        ("UPDATE facts SET type = 'NoSuch' WHERE seq = 3", "fact 3"),
    ],
)
def test_verifying_finds(tmp_path: Path, store: SqliteStore, statement: str, finding: str) -> None:
    fill(store, 3)
    change(tmp_path, statement)
    with pytest.raises(JournalDamaged, match=finding):
        store.verify()


def test_verifying_finds_an_index_that_does_not_fit_its_facts(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    fill(store, 3)
    store.close()
    other = "UPDATE sqlite_schema SET sql = replace(sql, '<> ''''', '<> ''x''') WHERE name = 'facts_of_execution'"
    change(tmp_path, "PRAGMA writable_schema = ON", other)
    store = SqliteStore(tmp_path)
    with pytest.raises(JournalDamaged, match="row 1 missing from index facts_of_execution"):
        store.verify()
    store.close()


def test_an_opened_journal_must_have_the_fact_from_which_its_chain_is_checked(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    fill(store, TAIL + 5)
    store.close()
    change(tmp_path, "DELETE FROM facts WHERE seq = 5")
    with pytest.raises(JournalDamaged, match="fact 5 is missing"):
        SqliteStore(tmp_path)


# Failing ------------------------------------------------------------------------------------------


def test_a_full_disk_fails_the_append_as_a_whole_and_poisons_the_store(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path)
    records = fill(store, 3)
    pages = store._number("PRAGMA page_count")
    store._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreFailed, match="FullError"):
        fill(store, 500)
    with pytest.raises(StoreFailed, match="has failed before"):
        fill(store, 1)
    assert list(store.read()) == records
    store.close()
    again = SqliteStore(tmp_path)
    assert list(again.read()) == records
    fill(again, 500)
    again.close()


class Disk(apsw.VFS):
    """The system's disk, until its syncs begin to fail."""

    def __init__(self) -> None:
        self.failing = False
        self.system = apsw.vfs_names()[0]
        super().__init__("a-test-disk", self.system)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return DiskFile(self, name, flags)


class DiskFile(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        super().__init__(disk.system, name, flags)

    def xSync(self, flags: int) -> None:
        if self._disk.failing:
            raise apsw.IOError("the disk does not sync")
        super().xSync(flags)


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    apsw.set_default_vfs("a-test-disk")
    yield disk
    disk.failing = False
    apsw.set_default_vfs(disk.system)


def test_a_sync_that_fails_poisons_the_store(tmp_path: Path, disk: Disk) -> None:
    store = SqliteStore(tmp_path)
    fill(store, 1)
    disk.failing = True
    with pytest.raises(StoreFailed, match="IOError"):
        fill(store, 1)
    disk.failing = False
    with pytest.raises(StoreFailed, match="has failed before"):
        fill(store, 1)
    store.close()


def test_a_roll_back_that_fails_poisons_the_store(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        in_transaction = True

        def execute(self, *_: object) -> None:
            raise apsw.IOError("gone")

    connection = store._connection
    monkeypatch.setattr(store, "_connection", Broken())
    store._roll_back()
    monkeypatch.setattr(store, "_connection", connection)
    with pytest.raises(StoreFailed, match="gone"):
        fill(store, 1)


def test_a_closed_store_takes_nothing(store: SqliteStore) -> None:
    fill(store, 1)
    store.close()
    store.close()
    with pytest.raises(StoreFailed, match="closed"):
        fill(store, 1)
    with pytest.raises(StoreFailed):
        list(store.read())
    with pytest.raises(StoreFailed):
        store.verify()


def test_threads_may_use_it_one_after_the_other(store: SqliteStore) -> None:
    for _ in range(3):
        thread = threading.Thread(target=fill, args=(store, 2))
        thread.start()
        thread.join()
    assert store.last_seq() == store.verify() == 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Greedy(Fact):
    """A fact that claims one key twice."""

    def claims(self) -> tuple[Claim, ...]:
        return Claim("key"), Claim("key")


def test_a_fact_that_claims_a_key_twice_breaks_its_own_claim(store: SqliteStore) -> None:
    with pytest.raises(ClaimBroken, match="twice by one fact"):
        store.append([Committed(1, NOW, Greedy())])


def test_a_file_that_answers_strangely_is_damaged(store: SqliteStore) -> None:
    with pytest.raises(JournalDamaged, match="gives 'x'"):
        store._number("SELECT 'x'")


# Backup -------------------------------------------------------------------------------------------


def test_a_backup_is_a_journal_that_can_be_used_in_its_place(tmp_path: Path, store: SqliteStore) -> None:
    records = fill(store, 3)
    (tmp_path / "copy").mkdir()
    path = tmp_path / "copy" / sqlite.JOURNAL_FILE
    store.backup(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    copy = SqliteStore(tmp_path / "copy")
    assert list(copy.read()) == records
    assert copy.journal_id == store.journal_id
    assert copy.verify() == 3
    copy.close()


def test_a_backup_overwrites_nothing(tmp_path: Path, store: SqliteStore) -> None:
    (tmp_path / "copy").write_text("mine")
    with pytest.raises(FileExistsError):
        store.backup(tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "mine"


def test_a_backup_that_fails_says_so(tmp_path: Path, store: SqliteStore) -> None:
    store.close()
    with pytest.raises(StoreFailed, match="copy"):
        store.backup(tmp_path / "copy")


def test_amounts_keep_every_digit(store: SqliteStore) -> None:
    amount = Decimal("0.1234567890123456789012345678901234567")
    store.append([Committed(1, NOW, an_intent(quantity=amount))])
    (read,) = store.read()
    assert read.fact == an_intent(quantity=amount)


# The archive --------------------------------------------------------------------------------------


def test_the_chain_goes_on_through_the_archive_and_verifying_counts_all(tmp_path: Path, store: SqliteStore) -> None:
    records = fill(store, TAIL + 50)
    store.archive([1, 2, 5, 50])
    assert store.verify() == TAIL + 50
    store.close()
    again = SqliteStore(tmp_path)
    fill(again, 3)
    assert again.verify() == TAIL + 53
    assert list(again.read())[: TAIL + 50] == records
    again.close()


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("UPDATE archived SET body = replace(body, 'paper', 'live') WHERE seq = 2", "fact 2 was changed"),
        ("DELETE FROM archived WHERE seq = 2", "fact 2 is missing"),
        ("INSERT INTO facts SELECT * FROM archived WHERE seq = 2", "fact 3 is missing"),
    ],
)
def test_verifying_finds_what_was_done_to_the_archive(
    tmp_path: Path, store: SqliteStore, statement: str, finding: str
) -> None:
    fill(store, TAIL + 50)
    store.archive([1, 2, 3])
    change(tmp_path, statement)
    with pytest.raises(JournalDamaged, match=finding):
        store.verify()


def test_facts_that_are_not_at_hand_are_not_archived_and_nothing_beside_them(store: SqliteStore) -> None:
    fill(store, TAIL + 50)
    store.archive([7])
    with pytest.raises(ValueError, match="not at hand"):
        store.archive([6, 7])
    assert [record.seq for record in store.read(archived=False)][:7] == [1, 2, 3, 4, 5, 6, 8]
    fill(store, 1)


def test_a_backup_has_the_archive_in_it(tmp_path: Path, store: SqliteStore) -> None:
    records = fill(store, TAIL + 50)
    store.archive(range(1, 31))
    copy = tmp_path / "copy"
    copy.mkdir()
    store.backup(copy / sqlite.JOURNAL_FILE)
    again = SqliteStore(copy)
    assert list(again.read()) == records
    assert len(list(again.read(archived=False))) == TAIL + 20
    again.close()


class Power(apsw.VFS):
    """The system's disk, whose power fails at the n-th write or sync: from then on nothing reaches it."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.operations = 0
        self.system = apsw.vfs_names()[0]
        super().__init__("a-disk-with-power", self.system)

    def use(self) -> None:
        self.operations += 1
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise apsw.IOError("the power is gone")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return PoweredFile(self, name, flags)


class PoweredFile(apsw.VFSFile):
    def __init__(self, power: Power, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._power = power
        super().__init__(power.system, name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._power.use()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        self._power.use()
        super().xSync(flags)


def test_whatever_write_or_sync_of_archiving_fails_every_fact_is_there_once_and_in_order(tmp_path: Path) -> None:
    power = Power()
    apsw.set_default_vfs("a-disk-with-power")
    try:
        source = SqliteStore(tmp_path / "source")
        records = fill(source, TAIL + 100)
        source.close()
        image = (tmp_path / "source" / sqlite.JOURNAL_FILE).read_bytes()
        step, failed = 0, True
        while failed:
            directory = tmp_path / str(step)
            directory.mkdir()
            (directory / sqlite.JOURNAL_FILE).write_bytes(image)
            store = SqliteStore(directory)
            power.left = step
            failed = False
            try:
                store.archive(range(1, 81))
            except StoreFailed:
                failed = True
                with pytest.raises(StoreFailed, match="failed before"):
                    fill(store, 1)
            power.left = None
            # The process dies here: nothing is closed in order.
            store._directory.release()  # type: ignore[union-attr]
            again = SqliteStore(directory)
            assert list(again.read()) == records, step
            assert again.verify() == len(records)
            assert len(list(again.read(archived=False))) in ({len(records), len(records) - 80} if failed else {1020})
            again.archive([90, 91])
            fill(again, 1)
            again.close()
            step += 1
        assert step >= 3, "some of them did fail"
    finally:
        power.left = None
        apsw.set_default_vfs(power.system)


def test_a_full_disk_stops_the_archiving_and_not_the_journal(store: SqliteStore) -> None:
    fill(store, TAIL + 400)
    pages = store._connection.execute("PRAGMA page_count").get
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreFailed, match="Full"):
        store.archive(range(1, 400))
    store._connection.execute("PRAGMA max_page_count = 1000000")
    fill(store, 1)
    store.archive(range(1, 400))
    assert store.verify() == TAIL + 401


def test_what_several_read_one_after_the_other_is_decoded_once_and_let_go_of_with_the_next_append(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = fill(store, 1500)
    decoded: list[str] = []

    def count(kind: str, body: str) -> Fact:
        decoded.append(kind)
        return decode(kind, body)

    monkeypatch.setattr(sqlite, "decode", count)
    for _ in range(3):
        assert list(store.read(archived=False)) == records
    assert len(decoded) == 1500
    fill(store, 1)
    assert len(store._lately_read) == 0
    monkeypatch.setattr(sqlite, "REMEMBERED_READ", 100)
    assert len(list(store.read(archived=False))) == 1501
    assert len(store._lately_read) == 100
