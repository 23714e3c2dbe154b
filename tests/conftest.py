"""Runtimes and probes as fixtures, runs over many seeds, and the story of a failed simulation."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, nullcontext, suppress
from importlib import import_module
from pathlib import Path

import pytest
from _pytest.unittest import TestCaseFunction
from hypothesis import HealthCheck, settings

from actors.runtime import Pool, Runtime, Simulation
from adapters import loops
from adapters.campaign.many import YOUNG_OBJECTS
from adapters.importing import importing
from tests.examples import examples
from tests.probe import Probe
from tests.turns import in_turn
from tests.uncounted import at_work, count_at_first, count_no_more, import_all, uncounted
from tests.workers import Workers

DEFAULT_SEEDS = 20

# A busy machine may hold up any example for seconds: that fails no test.
settings.register_profile(
    "tidegate", max_examples=examples(30), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("tidegate")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("simulation")
    group.addoption("--seeds", type=int, metavar="N", help="run each test marked `seeds` over the seeds 0 to N-1")
    group.addoption("--seed", type=int, metavar="S", help="run each test marked `seeds` with this seed alone")
    parser.addoption("--workers", type=int, default=0, metavar="N", help="share the tests among so many processes")
    parser.addoption("--plain-loops", action="store_true", help="let loops be asyncio's own, as where uvloop is not")


def pytest_configure(config: pytest.Config) -> None:
    gc.set_threshold(YOUNG_OBJECTS, 20, 20)  # The usual 700 cost a simulated run a twentieth of its time.
    if config.getoption("--plain-loops"):
        loops._make = asyncio.new_event_loop
    if workers := config.getoption("--workers"):
        config.pluginmanager.register(Workers(workers))
    config.addinivalue_line(
        "markers", "seeds(default=20): run over so many seeds, given as the argument `seed`; see --seeds and --seed"
    )


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Let what runs in coroutines run on the kind of loop that it has in its own process."""
    return {"loop": loops.new_loop}


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Let coverage see our modules imported, and not pytest at work on thousands of tests, none of which is garbage."""
    with importing():
        if session.config.pluginmanager.hasplugin("_cov"):
            import_all()
        with uncounted(), _compiled_from_both_ends(session.config):
            return (yield)


@contextmanager
def _compiled_from_both_ends(config: pytest.Config) -> Iterator[None]:
    """Let a second process import the tests from the last one on: each finds compiled what the other has come by.

    To write each assertion so that it tells its figures is most of the work where nothing is compiled yet.
    """
    files = sorted((config.rootpath / "tests").rglob("test_*.py"))
    whole = config.args == config.getini("testpaths")
    if not (whole and config.getoption("--workers") and any(not _is_compiled(file) for file in files)):
        yield
        return
    if not (process := os.fork()):
        try:
            for file in reversed(files):
                with suppress(Exception, pytest.skip.Exception):  # What fails is told where it is collected.
                    import_module(".".join(file.relative_to(config.rootpath).with_suffix("").parts))
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def _is_compiled(file: Path) -> bool:
    return any(file.parent.glob(f"__pycache__/{file.stem}.*-pytest-*"))


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop() -> Generator[None, object, object]:
    """Let coverage see tests at work, and not pytest between them."""
    with uncounted():
        return (yield)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Refuse a set of parameters: the tests would come in another order, under other names, at each run."""
    for mark in metafunc.definition.iter_markers("parametrize"):
        if isinstance(mark.args[1], set | frozenset):
            raise pytest.UsageError(f"{metafunc.definition.nodeid}: a set of parameters has no order: sort it")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the tests in turn where workers share them; alone, they stay as they are written."""
    if config.getoption("--workers"):
        items[:] = in_turn(items)


def seeds_of(config: pytest.Config, marker: pytest.Mark) -> range:
    """Return the seeds that a marked test shall run over."""
    seed, seeds = config.getoption("--seed"), config.getoption("--seeds")
    if seed is not None:
        return range(seed, seed + 1)
    return range(seeds if seeds is not None else marker.kwargs.get("default", DEFAULT_SEEDS))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Let coverage look at a test, fixtures included, for it sees a thread from its start or never."""
    count_at_first(item.nodeid.partition("[")[0])
    return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_fixture_setup() -> Generator[None, object, object]:
    """Let coverage look at what a fixture does."""
    with at_work():
        return (yield)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pyfunc_call() -> Generator[None, object, object]:
    """Let coverage look at what a test does."""
    with at_work():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Let the garbage collector look at what a test makes, not at all before it."""
    gc.freeze()
    try:
        with at_work() if isinstance(item, TestCaseFunction) else nullcontext():
            return (yield)
    finally:
        gc.unfreeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Generator[None, None, None]:
    """Let coverage look away."""
    count_no_more()
    return (yield)


@pytest.hookimpl(tryfirst=True, specname="pytest_pyfunc_call")
def pytest_pyfunc_call_with_seeds(pyfuncitem: pytest.Function) -> bool | None:
    """Call a test marked `seeds` once a seed, with the same fixtures, until one fails."""
    marker = pyfuncitem.get_closest_marker("seeds")
    if marker is None:
        return None
    test = pyfuncitem.obj
    arguments = {name: pyfuncitem.funcargs[name] for name in inspect.signature(test).parameters}
    for seed in seeds_of(pyfuncitem.config, marker):
        try:
            test(**{**arguments, "seed": seed})
        except BaseException as error:
            error.add_note(f"failed with seed {seed}; to see it again: pytest '{pyfuncitem.nodeid}' --seed {seed}")
            raise
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add seed and last messages to the report of a failed test that was given a simulation."""
    report = yield
    if report.failed and report.when == "call":
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Simulation):
                report.sections.append((f"simulation, seed {value.seed}", value.story()))
    return report


@pytest.fixture(params=["uvloop", "asyncio"])
def kind_of_loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the test once on each kind of loop."""
    kind: str = request.param
    monkeypatch.setattr(loops, "_make", pytest.importorskip(kind).new_event_loop)
    return kind


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Give the first seed; a test marked `seeds` is then called with each of them."""
    marker = request.node.get_closest_marker("seeds")
    assert marker is not None, "a test that takes a seed is marked `seeds`"
    return seeds_of(request.config, marker).start


@pytest.fixture(params=["pool", "simulation"])
def runtime(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    """Run the test once on a pool in real time and once in a simulation."""
    with Pool(3) if request.param == "pool" else Simulation(5) as runtime:
        yield runtime


@pytest.fixture
def simulation() -> Iterator[Simulation]:
    """Give a simulation that checks at the end that nobody died unclaimed."""
    with Simulation(5) as simulation:
        yield simulation


@pytest.fixture
def probe(request: pytest.FixtureRequest) -> Probe:
    """Give a probe on the test's own runtime: the fixture `simulation` if it has it, else `runtime`."""
    name = "simulation" if "simulation" in request.fixturenames else "runtime"
    return Probe(request.getfixturevalue(name))


@pytest.fixture
def a_probe(request: pytest.FixtureRequest) -> Callable[[str], Probe]:
    """Give a maker of named probes, for tests that need several."""
    name = "simulation" if "simulation" in request.fixturenames else "runtime"
    runtime = request.getfixturevalue(name)
    return lambda name: Probe(runtime, name)
