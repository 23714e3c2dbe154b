from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from adapters.alert_routes import Delivery, RouteSettings
from adapters.alert_setup import alert_sender, route_settings
from adapters.alerts import BOUND, TRIES, AlertSender, AppriseMissing, AppriseSink, BadSink
from adapters.config import Config
from messages.facts import AlertRaised
from tests.slowness import at_most


class Mailbox:
    """A sink that fails as often as it is told to, and may hang until it is let go."""

    def __init__(self, failures: int = 0) -> None:
        self.got: list[Delivery] = []
        self.tries, self.failures = 0, failures
        self.free = threading.Event()
        self.free.set()

    def send(self, delivery: Delivery) -> bool:
        self.tries += 1
        assert self.free.wait(10)
        if self.tries <= self.failures:
            if self.tries % 2:
                raise OSError("no network")
            return False
        self.got.append(delivery)
        return True


def an_alert(number: int = 0) -> AlertRaised:
    return AlertRaised(kind="halt", subject=str(number), level="critical", text="t")


def sender(mailbox: Mailbox, naps: list[float] | None = None) -> AlertSender:
    settings = RouteSettings(sinks=("it",))
    return AlertSender(settings, {"it": mailbox}, sleep=(naps if naps is not None else []).append)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_alerts_are_sent_in_order_and_the_end_waits_for_them() -> None:
    mailbox = Mailbox()
    with sender(mailbox) as alerts:
        for number in range(5):
            alerts.tell(an_alert(number))
    assert [one.body for one in mailbox.got] == [f"{number}: t" for number in range(5)]
    assert alerts.sent == 5


def test_a_sink_that_fails_is_tried_again_after_a_while() -> None:
    mailbox, naps = Mailbox(failures=2), list[float]()
    with sender(mailbox, naps) as alerts:
        alerts.tell(an_alert())
        until(lambda: alerts.sent == 1)
    assert (mailbox.tries, naps) == (3, [5.0, 10.0])


def test_a_sink_that_goes_on_failing_is_given_up_for_this_alert_only() -> None:
    mailbox = Mailbox(failures=TRIES)
    with sender(mailbox) as alerts:
        alerts.tell(an_alert(1))
        alerts.tell(an_alert(2))
        until(lambda: alerts.sent == 1)
    assert (alerts.failed, [one.body for one in mailbox.got]) == (1, ["2: t"])


def test_a_sink_that_hangs_delays_nobody_who_tells_and_costs_a_bounded_memory() -> None:
    mailbox = Mailbox()
    mailbox.free.clear()
    with sender(mailbox) as alerts:
        alerts.tell(an_alert(-1))
        until(lambda: mailbox.tries == 1)
        with at_most(2.0):
            for number in range(50 * BOUND):
                alerts.tell(an_alert(number))
        assert len(alerts._waiting) == BOUND
        assert alerts.dropped == 49 * BOUND
        mailbox.free.set()
    assert mailbox.got[-1].body == f"{50 * BOUND - 1}: t", "the newest survive"


def test_a_sink_that_hangs_for_ever_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.alerts.GIVE_UP_SECONDS", 0.05)
    mailbox = Mailbox()
    mailbox.free.clear()
    with sender(mailbox) as alerts:
        alerts.tell(an_alert())
        until(lambda: mailbox.tries == 1)
    mailbox.free.set()


class Receiver(BaseHTTPRequestHandler):
    bodies: list[dict[str, str]]

    def do_POST(self) -> None:
        self.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep still."""


def test_apprise_brings_an_alert_to_a_real_address() -> None:
    Receiver.bodies = []
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sink = AppriseSink("it", f"json://127.0.0.1:{server.server_port}/")
        assert sink.send(Delivery(("it",), "critical", "critical: halt", "trading: no new orders"))
        server.shutdown()
    (body,) = Receiver.bodies
    assert (body["title"], body["message"], body["type"]) == (
        "Tidegate critical: halt",
        "trading: no new orders",
        "failure",
    )


def test_an_address_that_nobody_answers_is_a_failure_and_no_exception() -> None:
    assert not AppriseSink("it", "json://127.0.0.1:9/").send(Delivery(("it",), "info", "t", "b"))


def test_an_address_that_is_none_is_refused_by_its_name() -> None:
    with pytest.raises(BadSink, match=r"alerts\.sinks\.phone") as caught:
        AppriseSink("phone", "nothing://hush")
    assert "hush" not in str(caught.value)


def test_what_an_address_holds_is_said_by_nobody_at_any_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    hush = "hush-0123456789"
    Receiver.bodies = []
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for port, sent in ((server.server_port, True), (9, False)):
            sink = AppriseSink("it", f"json://{hush}:{hush}@127.0.0.1:{port}/{hush}")
            assert sink.send(Delivery(("it",), "critical", "critical: halt", "trading: no new orders")) is sent
        server.shutdown()
    for wrong in (f"nothing://{hush}", f"tgram://{hush}"):
        with pytest.raises(BadSink):
            AppriseSink("phone", wrong)
    assert Receiver.bodies
    assert hush not in caplog.text


def test_without_apprise_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(AppriseMissing, match="pip install apprise"):
        AppriseSink("phone", "ntfy://x")


def test_the_configuration_says_who_hears_of_what() -> None:
    assert alert_sender(Config())._sinks == {}
    config = Config.model_validate(
        {
            "alerts": {
                "sinks": {"phone": "ntfy://x", "mail": "json://localhost"},
                "level": "error",
                "quiet": "22:00-06:30",
                "routes": {"halt": ["phone"]},
            }
        }
    )
    settings = route_settings(config)
    assert (settings.sinks, settings.level, settings.routes) == (("phone", "mail"), "error", {"halt": ("phone",)})
    assert settings.quiet is not None
    assert [at.isoformat() for at in settings.quiet] == ["22:00:00", "06:30:00"]
    made = alert_sender(config)
    assert set(made._sinks) == {"phone", "mail"}
    assert made._now() <= datetime.now(UTC)


def test_other_routes_and_sinks_count_from_the_next_alert_on() -> None:
    first, second = Mailbox(), Mailbox()
    with sender(first) as alerts:
        alerts.tell(an_alert(1))
        until(lambda: alerts.sent == 1)
        alerts.change(RouteSettings(sinks=("other",)), {"other": second})
        alerts.tell(an_alert(2))
        until(lambda: alerts.sent == 2)
    assert [one.body for one in first.got + second.got] == ["1: t", "2: t"]


def test_what_waited_in_quiet_hours_is_sent_at_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.alerts.LOOK_SECONDS", 0.01)
    clock = [datetime(2026, 7, 1, 23, tzinfo=UTC)]
    mailbox = Mailbox()
    quiet = RouteSettings(sinks=("it",), quiet=(datetime(2026, 7, 1, 22).time(), datetime(2026, 7, 1, 6).time()))
    with AlertSender(quiet, {"it": mailbox}, now=lambda: clock[0]) as alerts:
        alerts.tell(AlertRaised(kind="early_stop", subject="x", level="warning", text="t"))
        time.sleep(0.05)
        assert mailbox.got == []
        clock[0] = datetime(2026, 7, 2, 7, tzinfo=UTC)
        until(lambda: alerts.sent == 1)
    assert mailbox.got[0].title == "warning: early stop"
