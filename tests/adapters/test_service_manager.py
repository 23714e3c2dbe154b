from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.service_manager import ServiceManager


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


def heard(manager: socket.socket) -> list[str]:
    messages: list[str] = []
    while True:
        try:
            messages.append(manager.recv(4096).decode())
        except BlockingIOError:
            return messages


def service(tmp_path: Path, **more: str) -> ServiceManager:
    return ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify"), **more})


def test_each_word_is_one_message(manager: socket.socket, tmp_path: Path) -> None:
    it = service(tmp_path)
    it.status("starting")
    it.ready("ready")
    it.stopping("SIGTERM")
    assert heard(manager) == ["STATUS=starting", "READY=1\nSTATUS=ready", "STOPPING=1\nSTATUS=SIGTERM"]


def test_a_reload_carries_the_monotonic_time(manager: socket.socket, tmp_path: Path) -> None:
    service(tmp_path).reloading()
    (said,) = heard(manager)
    first, second = said.split("\n")
    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0


def test_the_watchdog_is_fed_only_where_there_is_one_for_us(manager: socket.socket, tmp_path: Path) -> None:
    service(tmp_path).alive()
    service(tmp_path, WATCHDOG_USEC="30000000", WATCHDOG_PID="1").alive()
    assert heard(manager) == []
    service(tmp_path, WATCHDOG_USEC="30000000").alive()
    service(tmp_path, WATCHDOG_USEC="30000000", WATCHDOG_PID=str(os.getpid())).alive()
    assert heard(manager) == ["WATCHDOG=1", "WATCHDOG=1"]


def test_nobody_is_told_anything_without_a_manager_and_a_deaf_one_harms_nobody(tmp_path: Path) -> None:
    ServiceManager({}).ready("ready")
    service(tmp_path).ready("ready")
    ServiceManager({"NOTIFY_SOCKET": "@tidegate-nobody-listens"}).ready("ready")
