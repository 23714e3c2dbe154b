"""No token or secret gets out: not into a log line, an answer, the figures, the events or the journal."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from adapters.config import load_config
from adapters.config.show import describe
from adapters.intake.settings import http_settings, secrets_of
from adapters.logging import setup_logging
from messages.facts import SignalRejected
from messages.signal import SignalReceived, Status, Verdict
from tests.adapters.intake.test_templates import THREE_COMMAS
from tests.adapters.intake.world import SIGNAL, TOKEN, World
from tests.factories import an_accepted

HOOK = "canary-of-the-hook-0123456789"
DESK = "canary-of-the-desk-0123456789"
KEY = "canary-of-the-key-0123456789"
BODY_SECRET = "canary-of-the-body"
CANARIES = (TOKEN, HOOK, DESK, KEY, BODY_SECRET)


@pytest.fixture
def written(tmp_path: Path) -> Iterator[io.StringIO]:
    """Everything that the daemon logs; without what is known to be secret, so that nothing is merely masked."""
    stream = io.StringIO()
    stop = setup_logging("debug", "json", stream)
    yield stream
    stop()


def test_no_secret_of_the_intakes_is_written_or_said_anywhere(
    make: Callable[..., World], written: io.StringIO, tmp_path: Path
) -> None:
    variables = {
        "TIDEGATE__TEMPLATES__DESK__token": DESK,
        "TIDEGATE__HTTP__SIGNING_KEYS__k": KEY,
        "TIDEGATE__HTTP__TOKEN": TOKEN,
    }
    config = load_config(None, ["templates.desk.base=3commas", f"data_dir={tmp_path}"], variables)
    (tmp_path / "hook-token").write_text(HOOK)
    settings = http_settings(config)
    assert set(secrets_of(settings)) == {TOKEN, HOOK, DESK, KEY}
    world = make(hook_token=settings.hook_token, templates=settings.templates, signing_keys=settings.signing_keys)
    said: list[Any] = [repr(settings), str(describe(config))]

    def judge(message: Any) -> None:
        assert isinstance(message, SignalReceived)
        if message.signal.source == "desk":
            world.commit(SignalRejected(signal=message.signal, label="x", reason="STALE", detail="old"))
            message.reply_to.tell(Verdict(status=Status.REJECTED))
        else:
            raise RuntimeError("a gate that fails")

    world.gate.react = judge
    desk = orjson.dumps({**THREE_COMMAS, "secret": BODY_SECRET})
    for path, body in (
        (f"/hook/{DESK}", desk),
        (f"/hook/{DESK}", desk.replace(b'"secret"', b'"other"')),
        (f"/hook/{DESK}?template=nobody", b"{}"),
        (f"/hook/{HOOK}", orjson.dumps(SIGNAL)),
        (f"/hook/{HOOK}", b"nonsense"),
        (f"/hook/{HOOK}x", b"{}"),
        (f"/hook/{HOOK}/more", b"{}"),
        (f"/HOOK/{HOOK}", b"{}"),
        (f"//hook/{HOOK}", b"{}"),
        ("/v1/signals", orjson.dumps({**SIGNAL, "twap": {"x": 1}})),
    ):
        said += [world.ask(method, path, body) for method in ("POST", "GET", "DELETE")]
    for raw in (f"POST /hook/{HOOK} HTTP/9.9\r\n\r\n", f"GET /hook/{HOOK}\x00 HTTP/1.1\r\n\r\n", f"{HOOK}\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", world.port), timeout=5) as connection:
            connection.sendall(raw.encode())
            connection.recv(4096)  # The server quotes such lines to who sent them, and to nobody else.
    world.shown(an_accepted())
    said += [world.ask("GET", path) for path in ("/v1/signals", "/v1/executions", "/readyz", "/v1/alerts")]
    said += world.journal._actor_weakref().facts  # type: ignore[union-attr]
    world.intake.close()

    everything = repr(said) + written.getvalue()
    assert "a request failed" in written.getvalue()
    for canary in CANARIES:
        assert canary not in everything, everything[max(0, everything.find(canary) - 200) :][:400]


def test_a_flood_of_wrong_tokens_is_one_line(world: World, written: io.StringIO) -> None:
    for _ in range(50):
        world.ask("POST", "/v1/signals", b"{}", Authorization="Bearer wrong")
    world.intake.close()
    assert len(written.getvalue().splitlines()) == 1
