"""Run tests in several processes: they are collected once, and each worker is a fork of the process that did.

To import everything, and to make items of thousands of tests, is five seconds of processor, more where nothing is
compiled yet; so it is done once and not once a worker. A worker asks for its next unit (tests/turns.py) when it comes
to the last test of the one that it has. What it reports the first process tells as if it had run the tests itself.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, NoReturn

import pytest

from tests.turns import unit_of
from tests.uncounted import save_counts

Unit = tuple[int, ...]
"""The numbers of tests that one worker runs, one after the other."""

PATIENCE_SECONDS = 60.0
"""How long a worker may take to end once nobody listens: it ends its test and takes down what its tests have made."""


@dataclass
class Worker:
    """One process at work, as seen by the one that started it."""

    process: int
    line: Connection
    waiting: deque[int] = field(default_factory=deque)
    """The tests that it was given and has not begun."""
    running: int | None = None


class Workers:
    """Takes the place of pytest's own loop over all tests."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._started = 0
        self._units: deque[Unit] = deque()
        self._at_work: list[Worker] = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Hand out all tests and wait for their end; fails as pytest does where one is enough (`-x`)."""
        if session.config.option.collectonly or session.testsfailed or not session.items:
            return None  # Pytest says what is to be said of that.
        assert threading.active_count() == 1, f"no thread survives a fork: {threading.enumerate()}"
        self._units.extend(units(session.items))
        if (reporter := session.config.pluginmanager.getplugin("terminalreporter")) is not None:
            reporter.showfspath = False  # Files take turns all the time.
        try:
            for _ in range(min(self._count, len(self._units))):
                self._start(session)
            while self._at_work and not (session.shouldfail or session.shouldstop):
                for line in wait([worker.line for worker in self._at_work]):
                    self._hear(session, next(worker for worker in self._at_work if worker.line is line))
        finally:
            self._end()
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        return True

    def _start(self, session: pytest.Session) -> None:
        ours, theirs = Pipe()
        self._started += 1
        sys.stdout.flush()
        process = os.fork()
        if not process:
            for other in (ours, *(worker.line for worker in self._at_work)):
                other.close()
            _work(session, self._started, theirs)
        theirs.close()
        self._at_work.append(Worker(process, ours))

    def _hear(self, session: pytest.Session, worker: Worker) -> None:
        hook = session.config.hook
        try:
            what, told = worker.line.recv()
        except (EOFError, OSError):
            self._bury(session, worker)
            return
        match what:
            case "wants":
                unit = self._units.popleft() if self._units else ()
                worker.waiting.extend(unit)
                with suppress(OSError):  # That it has died is heard next.
                    worker.line.send(unit)
            case "begins":
                worker.running = worker.waiting.popleft()
                hook.pytest_runtest_logstart(**told)
            case "reports":
                report = hook.pytest_report_from_serializable(config=session.config, data=told)
                hook.pytest_runtest_logreport(report=report)
            case "ends":
                worker.running = None
                hook.pytest_runtest_logfinish(**told)
            case "warns":
                hook.pytest_warning_recorded.call_historic(kwargs=told)
            case "fails":
                raise RuntimeError(f"a worker failed outside of a test:\n{told}")

    def _bury(self, session: pytest.Session, worker: Worker) -> None:
        """Report the test at which a worker died, if it did, and let another one do the rest."""
        self._at_work.remove(worker)
        worker.line.close()
        code = os.waitstatus_to_exitcode(os.waitpid(worker.process, 0)[1])
        if worker.running is not None:
            session.config.hook.pytest_runtest_logreport(report=_died(session.items[worker.running], code))
        elif code:
            raise RuntimeError(f"a worker ended between tests, with {code}")
        if worker.waiting:
            self._units.appendleft(tuple(worker.waiting))
        if self._units:
            self._start(session)

    def _end(self) -> None:
        """Let no worker outlive this: it ends when nobody listens, or is ended."""
        for worker in self._at_work:
            worker.line.close()
        for worker in self._at_work:
            killer = threading.Timer(PATIENCE_SECONDS, os.kill, (worker.process, signal.SIGKILL))
            killer.start()
            os.waitpid(worker.process, 0)
            killer.cancel()
        self._at_work.clear()


def units(items: list[pytest.Item]) -> list[Unit]:
    """Return which tests stay together, in their order."""
    found: dict[str, list[int]] = {}
    for number, item in enumerate(items):
        found.setdefault(unit_of(item.nodeid), []).append(number)
    return [tuple(unit) for unit in found.values()]


def _died(item: pytest.Item, code: int) -> pytest.TestReport:
    return pytest.TestReport(
        nodeid=item.nodeid,
        location=item.location,
        keywords={},
        outcome="failed",
        longrepr=f"the process that ran {item.nodeid} ended with {code}",
        when="call",
    )


# In a worker --------------------------------------------------------------------------------------------------------


class _Teller:
    """Tells the first process what pytest tells its plugins."""

    def __init__(self, config: pytest.Config, line: Connection) -> None:
        self._config, self._line = config, line
        self.settled = False
        """Whether it was told already what the first process knows: as a plugin it is told all earlier warnings."""

    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        self._line.send(("begins", {"nodeid": nodeid, "location": location}))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        self._line.send(("reports", data))

    def pytest_runtest_logfinish(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        self._line.send(("ends", {"nodeid": nodeid, "location": location}))

    def pytest_warning_recorded(self, warning_message: Any, when: str, nodeid: str, location: Any) -> None:
        if self.settled:
            warning_message.message = str(warning_message.message)
            warning_message.source = None  # What it is about stays here.
            told = {"warning_message": warning_message, "when": when, "nodeid": nodeid, "location": location}
            self._line.send(("warns", told))


class _Writer:
    """Has of pytest's reporter what others ask it for: a timeout shows there where each thread stands."""

    def __init__(self, reporter: Any) -> None:
        self._tw = reporter._tw


def _work(session: pytest.Session, number: int, line: Connection) -> NoReturn:
    """Run units until there are no more, and end this process."""
    code = 1
    try:
        with _taken_down(session):
            _settle(session, number, line)
            _run_all(session, line)
        save_counts()
        code = 0
    except (BrokenPipeError, ConnectionResetError, EOFError, KeyboardInterrupt):
        pass  # The first process has ended, or ends.
    except BaseException:  # noqa: BLE001 - whatever it is, it is told.
        with suppress(OSError):
            line.send(("fails", traceback.format_exc()))
    finally:
        os._exit(code)


@contextmanager
def _taken_down(session: pytest.Session) -> Generator[None]:
    """Take down at the end whatever fixtures have made and still stands."""
    try:
        yield
    finally:
        session._setupstate.teardown_exact(None)


def _settle(session: pytest.Session, number: int, line: Connection) -> None:
    """Have an output, a directory and a teller of one's own, where the fork has those of the first process."""
    plugins = session.config.pluginmanager
    if (capture := plugins.getplugin("capturemanager")) is not None:
        capture.stop_global_capturing()
        capture.start_global_capturing()
        capture.suspend_global_capture()
    if (reporter := plugins.getplugin("terminalreporter")) is not None:
        plugins.unregister(reporter)
        plugins.register(_Writer(reporter), "terminalreporter")
    plugins.register(teller := _Teller(session.config, line))
    teller.settled = True
    directories: Any = session.config._tmp_path_factory  # type: ignore[attr-defined]
    directories._basetemp = directories.getbasetemp() / f"w{number}"
    directories._basetemp.mkdir(mode=0o700)


def _run_all(session: pytest.Session, line: Connection) -> None:
    waiting: deque[int] = deque()

    def wants() -> None:
        line.send(("wants", None))
        waiting.extend(line.recv())

    wants()
    while waiting:
        item = session.items[waiting.popleft()]
        if not waiting:
            wants()
        next_item = session.items[waiting[0]] if waiting else None
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=next_item)
        if session.shouldfail or session.shouldstop:
            break
