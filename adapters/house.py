"""A daemon in real time: its journal, its exchange, its threads, and the mail in which it says how it fares."""

from __future__ import annotations

import queue
from contextlib import ExitStack
from datetime import UTC, datetime
from threading import Thread
from typing import Any, Final, Protocol, Self

import pykka
import structlog

from actors.runtime import Pool
from adapters import exits
from adapters.alert_setup import alert_sender
from adapters.binance.rest import import_client
from adapters.binance.venue import BinanceVenue
from adapters.config import Config
from adapters.exchanges import exchange_of, quiet_until_of
from adapters.exits import Exit
from adapters.journal_mode import refuse_another_mode
from adapters.journal_note import JournalNote
from adapters.last_cancels import cancel_open_children
from adapters.lost_journal import find_own_orders, is_new, refuse_if_lost, since
from adapters.patience import telling
from adapters.storage.log_keeper import log_keeper_of
from adapters.storage.sqlite import SqliteStore
from adapters.unsaid import Unsaid
from adapters.vitals import TimedStore, Vitals
from adapters.web.site import Sources
from messages.control import DaemonEnded, DaemonNews, DaemonStands, DaemonUp, Readiness, ShutDown
from messages.facts import ChildRefused, RateLimited

SILENT_START_SECONDS: Final = 15.0
"""The daemon speaks up earlier than that while it starts: one that does not hangs somewhere."""


class Begin(Protocol):
    """Starts a daemon in a house; only run.py, which knows all actors, has one."""

    def __call__(self, house: House, /) -> pykka.ActorRef[Any]:
        """Start the root actor and return its ref."""


class House:
    """A daemon in real time and the exchange that it trades on; `tell` and `mail` carry what happens, in order.

    `begin` starts the root actor on what the house has by then: journal, exchange, alerts and figures.
    """

    def __init__(self, config: Config, begin: Begin) -> None:
        self.config, self._begin = config, begin
        self.mail: queue.SimpleQueue[DaemonNews | int] = queue.SimpleQueue()
        self.rebuild_since: int | None = None
        self._broken = False
        self.daemon: pykka.ActorRef[Any] | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            with telling(f"the journal in {self.config.data_dir} to be opened"):
                self.store = SqliteStore(self.config.data_dir)
            stack.callback(self.store.close)
            refuse_another_mode(self.store, self.config.mode, self.config.data_dir)
            stack.enter_context(log_keeper_of(self.store))
            self.alerts = stack.enter_context(alert_sender(self.config))
            self.unsaid = Unsaid(self.config.data_dir)
            self.note = JournalNote(self.config.data_dir, self.alerts)
            self.timed_store, self.vitals = TimedStore(self.store), Vitals()
            importing = Thread(target=import_client, name="import", daemon=True)
            importing.start()  # It takes a while, in which another process starts, too.
            with telling("the paper exchange to start" if self.config.mode == "paper" else "the key to be checked"):
                told = self.store.read(kinds=(RateLimited.__name__, ChildRefused.__name__), archived=False)
                quiet_until = quiet_until_of(told, datetime.now(UTC))
                self.exchange = stack.enter_context(exchange_of(self.config, quiet_until))
            importing.join()
            self.pool = stack.enter_context(Pool(4, close_seconds=2.0))
            self.venue = stack.enter_context(BinanceVenue(self.pool, self.exchange, on_broken=self._leave))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def tell(self, message: DaemonNews | int, /) -> None:
        """Take news of the daemon, or the number of a signal of the system."""
        match message:
            case DaemonUp():
                self.unsaid.forget()
            case DaemonEnded(exit_code=code):
                self.unsaid.keep(message)
                self._broken = self._broken or code == exits.INVARIANT
            case _:
                pass
        self.mail.put(message)

    def gravest(self, exit_code: int) -> int:
        """Return what to exit with when all has ended; a promise that was broken meanwhile is graver than the rest."""
        return exits.INVARIANT if self._broken else exit_code

    def look_for_a_lost_journal(self, *, rebuild: bool) -> None:
        """See to it that a new journal does not hide that there was another one. Raises `Exit`."""
        config, days = self.config, float(self.config.dedup.retention_days)
        if rebuild:
            self.rebuild_since = since(self.pool, days)
        elif is_new(self.store):
            with telling("the exchange to say whether it has orders of an earlier journal"):
                found = find_own_orders(self.pool, self.venue, config.gate.symbols, since(self.pool, days))
            refuse_if_lost(found, config.data_dir, days)

    def start(self) -> None:
        """Start the daemon; what becomes of it comes as mail."""
        self.daemon = self._begin(self)

    def shut_down(self, why: str, exit_code: int = exits.OK) -> None:
        """Have the daemon end in order, if it runs already. For any thread."""
        if self.daemon is None:
            self.mail.put(DaemonEnded(exit_code=exit_code, detail=why))
        else:
            self.pool.send(self.daemon, ShutDown(why, exit_code))

    def cancel_what_is_open(self) -> tuple[list[str], list[str]]:
        """Cancel this journal's open orders when no actor will; return those that ended, and what may still be open."""
        try:
            return cancel_open_children(self.store, self.pool, self.venue)
        except Exception as error:  # noqa: BLE001 - what fails at every start may be the reading of the journal
            return [], [f"whatever it was, as the journal cannot be read ({type(error).__name__}: {error})"]

    def _leave(self, why: str) -> None:
        """End: there is no trading without the venue, and the next start has a new one."""
        self.shut_down(why, exits.ERROR)

    def sources(self) -> Sources:
        """Say where the dashboard gets its figures."""
        return Sources(
            account=self.config.account,
            vitals=self.vitals,
            mailboxes=self.pool.mailboxes,
            commits=self.timed_store.view,
        )

    def wait_until_ready(self) -> DaemonUp:
        """Wait for the daemon to be up and ready. Raises `Exit` if it ends instead."""
        up: DaemonUp | None = None
        ready = False
        while up is None or not ready:
            match self.news(starting=True):
                case DaemonUp() as news:
                    up = news
                case DaemonStands(readiness=Readiness.READY | Readiness.HALTED):
                    ready = True
                case DaemonEnded(exit_code=code, detail=detail):
                    raise Exit(code, detail)
        return up

    def news(self, *, starting: bool) -> DaemonNews | int:
        """Wait for the next mail; while the daemon starts, say who is at what if there is none for long."""
        while starting:
            try:
                return self.mail.get(timeout=SILENT_START_SECONDS)
            except queue.Empty:
                structlog.get_logger("tidegate").warning("the start says nothing", dump=self.pool.dump())
        return self.mail.get()

    def stop(self) -> DaemonEnded:
        """Shut down in order, and say how it ended."""
        self.shut_down("asked to stop")
        while not isinstance(news := self.mail.get(), DaemonEnded):
            pass
        return news
