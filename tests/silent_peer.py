"""A server that takes connections, agrees to speak, and then never says a word again."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class SilentPeer:
    """Agrees to TLS, if it has a `context`, and to WebSockets; requests are taken and not answered."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.taken = threading.Event()
        self._lines: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self) -> None:
        """Listen."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and drop everyone."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        for one in (self._listening, *self._lines):
            one.close()

    def left_alone(self, seconds: float = 2.0) -> bool:
        """Whether everyone who came is gone, or goes within so many seconds: nobody holds a connection any more."""
        return all(self._ended(line, seconds) for line in self._lines)

    def _ended(self, line: socket.socket, seconds: float) -> bool:
        line.settimeout(seconds)
        try:
            while line.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass  # Reset, or TLS that ends without its goodbye: gone all the same.
        return True

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self._listening.accept()
                if self._context is not None:
                    line = self._context.wrap_socket(line, server_side=True)
                self._lines.append(line)
                head = b""
                while b"\r\n\r\n" not in head:
                    head += line.recv(65536)
                if (key := re.search(rb"(?i)sec-websocket-key: *(\S+)", head)) is not None:
                    line.sendall(_agreement(key[1]))
                self.taken.set()


def _agreement(key: bytes) -> bytes:
    accept = base64.b64encode(hashlib.sha1(key + _GUID).digest())  # noqa: S324 - what the protocol asks for
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %s\r\n\r\n" % accept
    )


@contextmanager
def silent_peer(context: ssl.SSLContext | None = None) -> Iterator[SilentPeer]:
    """Run one."""
    peer = SilentPeer(context)
    peer.start()
    try:
        yield peer
    finally:
        peer.close()
