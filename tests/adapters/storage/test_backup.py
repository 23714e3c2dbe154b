from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from adapters.storage.backup import CopyUnusable, back_up, check, restore
from adapters.storage.directory import DirectoryLocked, NoJournal
from adapters.storage.sqlite import JOURNAL_FILE, JournalDamaged, SqliteStore
from messages.control import Committed
from tests.factories import NOW, a_trade_booked


def filled(store: SqliteStore, count: int) -> None:
    after = store.last_seq()
    store.append([Committed(after + n, NOW, a_trade_booked(trade_id=after + n)) for n in range(1, count + 1)])


def test_a_backup_beside_a_running_daemon_holds_what_was_durable(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "data")) as store:
        filled(store, 3)
        assert back_up(tmp_path / "data", tmp_path / "copy") == 3
        filled(store, 2)
        assert back_up(tmp_path / "data", tmp_path / "later") == 5
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"data", "copy", "later"}


def test_a_restored_journal_goes_on_where_the_backup_ended(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "data")) as store:
        filled(store, 3)
        name = store.journal_id
    back_up(tmp_path / "data", tmp_path / "copy")
    assert restore(tmp_path / "copy", tmp_path / "new") == 3
    with closing(SqliteStore(tmp_path / "new")) as store:
        assert store.journal_id == name
        filled(store, 1)
        assert store.verify() == 4


def test_a_backup_overwrites_nothing(tmp_path: Path) -> None:
    SqliteStore(tmp_path / "data").close()
    (tmp_path / "copy").write_text("precious")
    with pytest.raises(FileExistsError, match="is there already"):
        back_up(tmp_path / "data", tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "precious"


def test_a_restore_overwrites_no_journal_and_touches_no_running_daemon(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "data")) as store:
        filled(store, 1)
        back_up(tmp_path / "data", tmp_path / "copy")
        with pytest.raises(DirectoryLocked):
            restore(tmp_path / "copy", tmp_path / "data")
    with pytest.raises(FileExistsError, match="has a journal already"):
        restore(tmp_path / "copy", tmp_path / "data")


def test_what_is_no_journal_is_not_restored(tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(b"no journal at all")
    with pytest.raises(JournalDamaged):
        restore(tmp_path / "copy", tmp_path / "data")
    assert not (tmp_path / "data").exists()
    with pytest.raises(CopyUnusable, match="there is no file"):
        restore(tmp_path / "nothing", tmp_path / "data")


def test_a_broken_journal_is_not_backed_up_and_leaves_no_copy(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "data")) as store:
        filled(store, 3)
        store._connection.execute("UPDATE facts SET body = replace(body, '42', '43') WHERE seq = 1")
    with pytest.raises(JournalDamaged):
        back_up(tmp_path / "data", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    assert (tmp_path / "data" / JOURNAL_FILE).exists()


def test_a_backup_of_nothing_or_into_nowhere_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoJournal):
        back_up(tmp_path / "data", tmp_path / "copy")
    SqliteStore(tmp_path / "data").close()
    with pytest.raises(CopyUnusable, match="cannot be written"):
        back_up(tmp_path / "data", tmp_path / "no" / "such" / "copy")
    back_up(tmp_path / "data", tmp_path / "empty")
    assert check(tmp_path / "empty") == 0
