"""What goes wrong in one run, and when: drawn from the run's seed alone.

Faults stay within what the proof of an absence assumes: the engine sits on an order for no more than
10 s, and what it executed shows on some path within a minute. Where the user stream may lose single
events without a word, queries lag by no more than 5 s. Worse is possible, and tested by itself.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

from adapters.paper.faults import Fault, FaultKind
from adapters.paper.link import LatencySettings
from adapters.scenarios import Scenario, TimedSignal
from messages.frozen import replace


class Level(StrEnum):
    """How bad it is: latencies and partial fills alone, each kind of fault rarely, or some kinds often."""

    NONE = "none"
    LIGHT = "light"
    HEAVY = "heavy"


class Trouble(StrEnum):
    """What goes wrong besides the faults of single requests and events."""

    HALT = "halt"
    FILTER = "filter"
    FREEZE = "freeze"
    BLOWOUT = "blowout"
    CROSSED = "crossed"
    EMPTY = "empty"
    CLOCK = "clock"
    SKEW = "skew"
    CRASH = "crash"
    JOURNAL = "journal"
    STALLS = "stalls"
    ACTOR = "actor"
    BURST = "burst"
    COMMANDS = "commands"
    OPERATOR_HALT = "operator_halt"
    STOP = "stop"
    SLOW_DISK = "slow_disk"
    HANDS = "hands"
    WISHES = "wishes"


@dataclass(frozen=True, slots=True)
class Happening:
    """One piece of trouble, `at` seconds after the start, for `seconds`; `symbol` where it has one.

    `size` is what the kind makes of it: seconds of a clock's step, messages until a crash, and so on.
    """

    at: float
    trouble: Trouble
    seconds: float = 0.0
    symbol: str = ""
    size: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """All that goes wrong in one run. Faults strike until `ends_at`, in seconds from the start.

    With `converges`, they end then and everything must come to its end; without, they never do
    and only safety is asked. `skew_seconds` is how far the exchange's clock is ahead.
    """

    faults: tuple[Fault, ...] = ()
    happenings: tuple[Happening, ...] = ()
    converges: bool = True
    ends_at: float = 0.0
    skew_seconds: float = 0.0
    steady: bool = False
    """No actor is ever stalled, and no disk slow."""
    safety_seconds: float = 30.0
    """How long after `ends_at` a run goes on in which faults never end."""
    latency: LatencySettings = field(default_factory=LatencySettings)

    @property
    def names(self) -> tuple[str, ...]:
        """The kinds of fault and trouble in this weather, each once."""
        kinds = [fault.kind.value for fault in self.faults] + [one.trouble.value for one in self.happenings]
        return tuple(dict.fromkeys([*kinds, *(["skew"] if self.skew_seconds else [])]))

    @property
    def answers(self) -> bool:
        """Whether questions are answered at once and truly, by an exchange and a daemon that are there all the time."""
        kinds = {fault.kind for fault in self.faults} | {one.trouble for one in self.happenings}
        forbidden = any(fault.kind is FaultKind.REFUSE and fault.code in _FORBID for fault in self.faults)
        return not (kinds & _SILENCE or forbidden or self.steady)

    @property
    def longest_effect(self) -> float:
        """How many seconds after the last strike an effect may still show itself."""
        times = [fault.milliseconds / 1000 for fault in self.faults]
        return max(times, default=0.0)


_R, _E = FaultKind.REFUSE, FaultKind.ERROR_AFTER
_FAULTS: tuple[Fault, ...] = (
    Fault(kind=FaultKind.LOST_REPLY),
    Fault(kind=FaultKind.GARBLED_REPLY),
    Fault(kind=FaultKind.DROPPED_REQUEST),
    Fault(kind=FaultKind.NOT_SENT),
    Fault(kind=FaultKind.LATE_REQUEST, milliseconds=1_500),
    Fault(kind=FaultKind.LATE_REQUEST, milliseconds=4_000),
    Fault(kind=FaultKind.SLOW_ENGINE, milliseconds=9_500),
    Fault(kind=_E, code=-1007, message="Timeout waiting for response from backend server."),
    Fault(kind=_E, code=-1006, message="An unexpected response was received from the message bus."),
    Fault(kind=_E, code=503, message="Service Unavailable"),
    Fault(kind=_R, code=-1007, message="Timeout waiting for response from backend server."),
    Fault(kind=_R, code=-1008, message="Server is currently overloaded with other requests."),
    Fault(kind=_R, code=-1016, message="This service is no longer available."),
    Fault(kind=_R, code=-1021, message="Timestamp for this request is outside of the recvWindow."),
    Fault(kind=_R, code=-1015, message="Too many new orders.", milliseconds=7_000),
    Fault(kind=_R, code=-1003, message="Too many requests.", milliseconds=20_000),
    Fault(kind=_R, code=-1013, message="Filter failure: LOT_SIZE"),
    Fault(kind=_R, code=-2010, message="Account has insufficient balance for requested action."),
    Fault(kind=_R, code=-2010, message="This action is disabled on this account."),
    Fault(kind=FaultKind.DROPPED_CANCEL),
    Fault(kind=FaultKind.LOST_CANCEL_REPLY),
    Fault(kind=FaultKind.LATE_EVENT, milliseconds=5_000),
    Fault(kind=FaultKind.DUPLICATE_EVENT),
    Fault(kind=FaultKind.LOST_EVENT),
    Fault(kind=FaultKind.STREAM_CUT, milliseconds=20_000),
    Fault(kind=FaultKind.STREAM_STALL, milliseconds=15_000),
    Fault(kind=FaultKind.QUERY_LAG, milliseconds=5_000),
    Fault(kind=FaultKind.QUERY_LAG, milliseconds=40_000),
    Fault(kind=FaultKind.LIST_LAG, milliseconds=5_000),
    Fault(kind=FaultKind.LIST_LAG, milliseconds=40_000),
    Fault(kind=FaultKind.STALE_ANSWER, milliseconds=5_000),
    Fault(kind=FaultKind.FAILED_QUERY),
    Fault(kind=FaultKind.FAILED_TIME),
    Fault(kind=FaultKind.MARKET_CUT, milliseconds=4_000),
)

_LATER: tuple[Fault, ...] = (
    Fault(kind=_R, code=-2015, message="Invalid API-key, IP, or permissions for action."),
    Fault(kind=_R, code=-1022, message="Signature for this request is not valid."),
    Fault(kind=_R, code=418, message="Way too much request weight used; IP banned.", milliseconds=40_000),
)
"""Kinds that joined later: drawn last, so that older seeds keep most of their course."""

_LATER_TROUBLES = (Trouble.SLOW_DISK, Trouble.HANDS, Trouble.WISHES)
"""Troubles that joined later, drawn last of all, each behind those of before."""

_SILENCE = {
    FaultKind.FAILED_QUERY,
    FaultKind.QUERY_LAG,
    FaultKind.LIST_LAG,
    FaultKind.STALE_ANSWER,
    FaultKind.FAILED_TIME,
    Trouble.CRASH,
    Trouble.JOURNAL,
    Trouble.STALLS,
    Trouble.SLOW_DISK,
    Trouble.STOP,
}
"""What keeps the daemon from asking, or the exchange from a true answer."""

_FORBID = {-1003, 418}
"""Refusals with which the exchange forbids to ask anything for a while."""

_SELDOM = {FaultKind.MARKET_CUT: 0.01, FaultKind.STREAM_CUT: 0.4}
"""Kinds that would be all the time if they struck as often as the others; factors."""

_UNTOLD = {FaultKind.LOST_EVENT, FaultKind.LATE_EVENT}
_LAGS = {FaultKind.QUERY_LAG, FaultKind.LIST_LAG, FaultKind.STALE_ANSWER}
SHORT_LAG_MS = 5_000

_SHARES = {Level.NONE: (0.0, 0.0), Level.LIGHT: (1.0, 0.01), Level.HEAVY: (0.25, 0.25)}
"""How large a part of the kinds a run has, and how often each of them strikes."""

_LATENCIES = (
    LatencySettings(),
    LatencySettings(),
    LatencySettings(user_stream_ms=150.0, sigma=0.8),
    LatencySettings(ack_out_ms=150.0, sigma=0.8),
    LatencySettings(order_in_ms=60.0, ack_out_ms=60.0, user_stream_ms=60.0, market_data_ms=60.0, sigma=0.6),
)
"""What is under way for how long: usually, with a slow stream, with slow answers, and with all of it far away."""

_DENSE_SHARES = {**_SHARES, Level.HEAVY: (0.2, 0.5)}
"""The same for a short scenario."""

SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT", "DOGEUSDT")
_DURATIONS = {
    Trouble.HALT: (1.0, 30.0),
    Trouble.FREEZE: (2.0, 20.0),
    Trouble.BLOWOUT: (1.0, 15.0),
    Trouble.CROSSED: (1.0, 15.0),
    Trouble.EMPTY: (1.0, 15.0),
    Trouble.STALLS: (2.0, 15.0),
    Trouble.OPERATOR_HALT: (1.0, 30.0),
    Trouble.SLOW_DISK: (1.0, 15.0),
    Trouble.HANDS: (10.0, 40.0),
}


def draw_weather(chance: random.Random, level: Level, scenario: Scenario) -> Weather:
    """Draw what goes wrong while a scenario is played."""
    if level is Level.NONE:
        return Weather()
    share, rate = (_DENSE_SHARES if scenario.short else _SHARES)[level]
    last_signal = max((signal.at for signal in scenario.signals), default=0.0)
    ends_at = last_signal + (chance.uniform(2.0, 10.0) if scenario.short else chance.uniform(5.0, 30.0))
    troubles = [trouble for trouble in Trouble if trouble not in _LATER_TROUBLES and chance.random() < share]
    happenings = [one for trouble in troubles for one in _happenings(trouble, chance, level, ends_at, scenario)]
    faults = [fault for fault in _FAULTS if chance.random() < share]
    clocks = [one for one in happenings if one.trouble in (Trouble.CLOCK, Trouble.SKEW)]
    skew = chance.choice((-3600.0, -30.0, -0.4, 0.4, 30.0, 3600.0)) if Trouble.SKEW in troubles else 0.0
    if clocks or skew:  # A Retry-After is told in absolute time, which then says nothing.
        faults = [replace(fault, milliseconds=0.0) if fault.kind is FaultKind.REFUSE else fault for fault in faults]
    kinds = {fault.kind for fault in faults}
    if kinds & _UNTOLD:
        faults = [fault for fault in faults if fault.kind not in _LAGS or fault.milliseconds <= SHORT_LAG_MS]
    converges = chance.random() < 0.7
    if not (clocks or skew):
        faults += [fault for fault in _LATER if chance.random() < share / 3]
    latency = chance.choice(_LATENCIES) if scenario.short and level is Level.HEAVY else LatencySettings()
    for later in _LATER_TROUBLES:
        if chance.random() < share:
            happenings += _happenings(later, chance, level, ends_at, scenario)
    return Weather(
        faults=tuple(_striking(fault, rate) for fault in faults),
        happenings=tuple(sorted(happenings, key=lambda one: one.at)),
        converges=converges,
        ends_at=ends_at,
        skew_seconds=skew if clocks or skew else 0.0,
        steady=bool(clocks or skew),
        safety_seconds=12.0 if scenario.short else 30.0,
        latency=latency,
    )


@cache
def _striking(fault: Fault, rate: float) -> Fault:
    """Let a fault strike as often as the level has it; there are few, and every run draws some of them."""
    return replace(fault, probability=rate * _SELDOM.get(fault.kind, 1.0))


def _happenings(
    trouble: Trouble, chance: random.Random, level: Level, until: float, scenario: Scenario
) -> Iterator[Happening]:
    if level is Level.LIGHT and chance.random() < 0.9:
        return
    symbols = named(scenario)
    for _ in range(1 if level is Level.LIGHT else chance.choice((1, 1, 2, 3))):
        low, high = _DURATIONS.get(trouble, (0.0, 0.0))
        yield Happening(
            at=chance.uniform(0.0, until),
            trouble=trouble,
            seconds=chance.uniform(low, high),
            symbol=chance.choice(symbols),
            size=_size(trouble, chance, short=scenario.short),
        )


def named(scenario: Scenario) -> tuple[str, ...]:
    """Return the symbols that a scenario's signals name, of those that are traded; all where they name none."""
    said = [one.body.get("symbol") for one in scenario.signals]
    return tuple(symbol for symbol in SYMBOLS if symbol in said) or SYMBOLS


def _size(trouble: Trouble, chance: random.Random, *, short: bool) -> float:
    match trouble:
        case Trouble.CRASH:
            return float(chance.choice((0, chance.randint(1, 20), chance.randint(1, 200))))
        case Trouble.JOURNAL:
            return float(chance.randint(1, 8))
        case Trouble.CLOCK:
            return chance.choice((-1, 1)) * chance.choice((0.02, 0.4, 3.0, 60.0, 600.0))
        case Trouble.SKEW:
            return chance.choice((-1, 1)) * chance.choice((0.05, 0.5, 1.5, 2.5))
        case Trouble.STALLS:
            return chance.choice((0.001, 0.01, 0.05))
        case Trouble.SLOW_DISK:
            return chance.choice((0.03, 0.3, 2.5))
        case Trouble.BURST:
            return float(chance.randint(3, 6 if short else 30))
        case _:
            return chance.random()


def burst(chance: random.Random, happening: Happening, scenario: Scenario) -> Iterator[TimedSignal]:
    """Draw a burst of signals: repeats of the scenario's own, their conflicts, garbage, and new ones."""
    bodies = [signal.body for signal in scenario.signals]
    for number in range(int(happening.size)):
        at = happening.at + chance.uniform(0.0, 0.5)
        body = dict(chance.choice(bodies)) if bodies else {"symbol": "BTCUSDT", "side": "buy", "quantity": "0.01"}
        match chance.randrange(5):
            case 0 | 1:
                pass
            case 2:
                body["quantity"] = "0.007"
            case 3:
                body = {**body, "id": f"burst-{happening.at:.3f}-{number % 3}", "quantity": "0.02"}
            case _:
                body = chance.choice(_GARBAGE)
        yield TimedSignal(at, body)


_GARBAGE: tuple[dict[str, object], ...] = (
    {},
    {"symbol": None, "side": "buy", "quantity": "1"},
    {"symbol": "BTCUSDT", "side": "buy", "quantity": "Infinity"},
    {"symbol": "BTCUSDT", "side": ["buy"], "quantity": "1"},
    {"symbol": "ВТСUSDT", "side": "buy", "quantity": "1"},
    {"symbol": "BTCUSDT", "side": "buy", "quantity": "1e-30"},
    {"symbol": "BTCUSDT", "side": "buy", "quantity": "1", "timestamp": 4_000_000_000_000},
    {"symbol": "BTCUSDT", "side": "buy", "quantity": "1", "twap": {"num_chunks": 0}},
)
