"""Talks to systemd, or whatever set NOTIFY_SOCKET: ready, reloading, stopping, alive (sd_notify(3))."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress


class ServiceManager:
    """Says how the service stands; without a NOTIFY_SOCKET in the environment it says nothing.

    A message that cannot be sent is lost: nobody waits for it, and the next one comes.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        pid = environment.get("WATCHDOG_PID", "")
        self._watched = "WATCHDOG_USEC" in environment and pid in {"", str(os.getpid())}

    def ready(self, status: str) -> None:
        """Say that work is taken; also ends a reload."""
        self._say("READY=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """Say in words how it stands."""
        self._say(f"STATUS={status}")

    def reloading(self) -> None:
        """Say that a reload begins; without the monotonic time systemd would wait for ever."""
        self._say("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str) -> None:
        """Say that the end has begun."""
        self._say("STOPPING=1", f"STATUS={status}")

    def alive(self) -> None:
        """Feed the watchdog, if there is one for this process."""
        if self._watched:
            self._say("WATCHDOG=1")

    def _say(self, *lines: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to_manager:
            to_manager.setblocking(False)
            to_manager.sendto("\n".join(lines).encode(), self._address)
