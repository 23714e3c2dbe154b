from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.storage.directory import DataDirectory, DirectoryLocked, DirectoryUnusable, open_private


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_directory_is_its_owners_alone(open_umask: None, tmp_path: Path) -> None:
    directory = DataDirectory(tmp_path / "deep" / "data")
    assert mode(tmp_path / "deep" / "data") == 0o700
    assert [mode(path) for path in directory.path.iterdir()] == [0o600]
    directory.release()


def test_a_directory_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    DataDirectory(tmp_path).release()
    assert mode(tmp_path) == 0o750


def test_a_second_one_is_locked_out_and_told_by_whom(tmp_path: Path) -> None:
    first = DataDirectory(tmp_path)
    with pytest.raises(DirectoryLocked, match=rf"{tmp_path} is in use by another daemon \(process {os.getpid()}\)"):
        DataDirectory(tmp_path)
    first.release()
    first.release()
    DataDirectory(tmp_path).release()


def test_a_dead_process_holds_no_lock(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from adapters.storage.directory import DataDirectory;"
        "DataDirectory(Path(sys.argv[1])); os._exit(9)"
    )
    root = Path(__file__).parents[3]
    ended = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=root, check=False, timeout=30)
    assert ended.returncode == 9
    DataDirectory(tmp_path).release()


def test_a_lock_file_without_a_number_tells_no_process(tmp_path: Path) -> None:
    first = DataDirectory(tmp_path)
    (tmp_path / "lock").write_bytes(b"\xff")
    with pytest.raises(DirectoryLocked, match=r"another daemon$"):
        DataDirectory(tmp_path)
    first.release()


def test_a_file_in_its_place_makes_it_unusable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DirectoryUnusable, match=str(path)):
            DataDirectory(path)


def test_a_directory_that_cannot_be_written_is_unusable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("adapters.storage.directory.os.open", refuse)
    with pytest.raises(DirectoryUnusable, match="Permission denied"):
        DataDirectory(tmp_path)


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch(mode=0o644)
    os.close(open_private(path))
    assert mode(path) == 0o600


def test_a_file_that_stays_open_to_others_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("adapters.storage.directory.os.fchmod", refuse)
    with pytest.raises(PermissionError):
        open_private(tmp_path / "file")
