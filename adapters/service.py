"""The daemon as a service: it listens, follows the news of its house to the end, and obeys the system's signals."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from logging import ERROR, INFO
from pathlib import Path

import structlog

from adapters import exits
from adapters.alert_setup import alert_sinks, route_settings
from adapters.alerts import AppriseMissing, BadSink
from adapters.config import Config, ConfigError
from adapters.exits import Exit
from adapters.fact_log import FactLog
from adapters.house import Begin, House
from adapters.intake.followed import FollowedFile
from adapters.intake.http import HttpIntake
from adapters.intake.jsonl import JsonLines, apart
from adapters.intake.settings import http_settings, secrets_of
from adapters.logging import change_level, setup_logging
from adapters.loop_thread import LoopThread
from adapters.lost_journal import refuse_to_rebuild_what_is_in_use
from adapters.reload import compare
from adapters.service_manager import ServiceManager
from adapters.storage.directory import make_directory
from messages.control import (
    DaemonEnded,
    DaemonStands,
    DaemonUp,
    EveryoneAnswered,
    Follow,
    Readiness,
)
from messages.refs import Tells
from messages.signal import SignalReceived


def serve(
    config: Config,
    begin: Begin,
    *,
    stdin: bool,
    follow: Path | None = None,
    reread: Callable[[], Config] | None = None,
    rebuild: bool = False,
) -> int:
    """Run the daemon until it is told to end, or must; return the exit code. `reread` is for SIGHUP."""
    make_directory(config.data_dir)
    if rebuild:
        refuse_to_rebuild_what_is_in_use(config.data_dir)
    try:
        settings = http_settings(config)
    except (OSError, ValueError) as error:
        raise Exit(exits.CONFIG, f"a token cannot be read: {error}") from error
    secrets = [*secrets_of(settings), *known_secrets(config)]
    stop_logging = setup_logging(config.log.level, config.log.format, secrets=secrets)
    try:
        with House(config, begin) as house, LoopThread(house.pool, close_seconds=2.0) as loop:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
                signal.signal(number, lambda number, _frame: house.tell(number))
            house.look_for_a_lost_journal(rebuild=rebuild)
            http = HttpIntake(loop, settings, sources=house.sources())
            code = Service(house, http, stdin=stdin, follow=follow, reread=reread).run()
        return house.gravest(code)
    finally:
        stop_logging()


def known_secrets(config: Config) -> list[str]:
    """List the values that must never be written anywhere."""
    venue = config.venue
    secrets = (venue.api_key, venue.api_secret, venue.private_key_passphrase, *config.alerts.sinks.values())
    return [secret.get_secret_value() for secret in secrets if secret is not None]


class Service:
    """What a running daemon shows to the outside, as its news come in."""

    def __init__(
        self,
        house: House,
        http: HttpIntake,
        *,
        stdin: bool,
        follow: Path | None,
        reread: Callable[[], Config] | None,
    ) -> None:
        self._house, self._http, self._stdin, self._followed = house, http, stdin, follow
        self._reread, self._manager, self._facts = reread, ServiceManager(), FactLog()
        self._log = structlog.get_logger("tidegate")

    def run(self) -> int:
        """Listen, start the daemon, and follow its news to the end; Ctrl-C while it settles ends at once."""
        port = self._http.start()
        try:
            self._log.info("listening", url=f"http://{self._house.config.http.host}:{port}")
            self._house.start()
            with self._facts:
                return self._follow()
        finally:
            self._http.close()

    def _follow(self) -> int:
        asked, starting, ready = False, True, False
        unread: DaemonUp | None = None
        while True:
            match self._house.news(starting=starting):
                case DaemonUp() as up:
                    unread = up
                    self._http.connect(up)
                    up.journal.tell(Follow(follower=self._facts, archived=False))
                case DaemonStands(readiness=readiness, detail=detail) as stands:
                    starting = readiness is Readiness.STARTING
                    ready = readiness in {Readiness.READY, Readiness.HALTED}
                    self._http.stands(stands)
                    self._tell_manager(stands)
                    why = {"detail": detail} if detail else {}
                    self._log.info(readiness.value.lower(), mode=self._house.config.mode, **why)
                case EveryoneAnswered():
                    self._manager.alive()
                case DaemonEnded(exit_code=code, detail=detail):
                    self._manager.stopping(detail)
                    if code == exits.GAVE_UP:
                        cancelled, left = self._house.cancel_what_is_open()
                        self._log.error("cancelled what was open, as nobody watches it", cancelled=cancelled, left=left)
                    self._log.log(INFO if code == exits.OK else ERROR, "ended", exit_code=code, detail=detail)
                    return code
                case signal.SIGHUP:
                    self._reload()
                case signal.SIGUSR1:
                    self._log.warning("actors and mailboxes", dump=self._house.pool.dump())
                case signal.SIGINT if asked:
                    return exits.ERROR
                case int() as number if not asked:  # make, for one, hands SIGTERM on to those who got it already.
                    asked = True
                    self._house.shut_down(signal.Signals(number).name)
                case int():
                    pass
            if unread is not None and ready:
                self._read_lines(unread.gate)
                unread = None

    def _read_lines(self, gate: Tells[SignalReceived]) -> None:
        """Take JSON lines from now on: whoever writes into a pipe or a file does not send again what came too early."""
        if self._stdin:
            JsonLines(apart(sys.stdin.buffer, "rb"), apart(sys.stdout.buffer, "wb")).start(gate)
        if self._followed is not None:
            file = FollowedFile(self._followed)
            JsonLines(file, apart(sys.stdout.buffer, "wb"), decode=file.decode).start(gate)

    def _tell_manager(self, stands: DaemonStands) -> None:
        status = (
            f"{stands.readiness.value.lower()}: {stands.detail}" if stands.detail else stands.readiness.value.lower()
        )
        match stands.readiness:
            case Readiness.READY | Readiness.HALTED:
                self._manager.ready(status)
            case Readiness.DRAINING | Readiness.FAILED:
                self._manager.stopping(status)
            case Readiness.STARTING:
                self._manager.status(status)

    def _reload(self) -> None:
        """Read the configuration again, take what no order depends on, and say what needs a restart."""
        self._manager.reloading()
        house = self._house
        try:
            fresh = self._reread() if self._reread is not None else house.config
            found = compare(house.config, fresh)
            house.alerts.change(route_settings(fresh), alert_sinks(fresh))
        except (ConfigError, AppriseMissing, BadSink) as error:
            self._log.error("the configuration is left as it was", error=str(error))
        else:
            change_level(fresh.log.level)
            house.config = house.config.model_copy(update={"log": fresh.log, "alerts": fresh.alerts})
            self._log.warning("reloaded", applied=found.applied, needs_restart=found.refused)
        self._manager.ready("reloaded")
