from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from actors.order_watcher.proof import Moment, Path, Proof, StreamHealth
from actors.order_watcher.settings import WatcherSettings
from messages.facts import ChildIntended
from messages.order import TradesFound
from messages.signal import Side
from tests.examples import examples
from tests.factories import an_intent
from tests.order_tools import a_trade

T = 1_000_000_000
WINDOW = 2000
HORIZON = T + WINDOW + 15_000
DEADLINE = T + WINDOW + 60_000
SEEN_AT = 100.0
NUMBERS = WatcherSettings()
ALIVE = StreamHealth(T - 1.0, HORIZON + 0.0)
NO_STREAM = StreamHealth()


def at(milliseconds: float) -> Moment:
    """So long after the timestamp, on two clocks that agree."""
    return Moment(SEEN_AT + milliseconds / 1000, T + milliseconds)


def intent(**changes: Any) -> ChildIntended:
    return an_intent(request_timestamp=T, recv_window=WINDOW, **changes)


def a_proof(**changes: Any) -> Proof:
    return Proof(intent(**changes), NUMBERS, SEEN_AT)


def fenced(milliseconds: float = 17_010, **changes: Any) -> Proof:
    proof = a_proof(**changes)
    assert proof.wants_fence(at(milliseconds))
    proof.fence_asked(at(milliseconds).now)
    proof.fence_named("fence")
    assert proof.not_open("fence", at(milliseconds))
    return proof


def count(proof: Proof, *moments: float, paths: tuple[Path, ...] = tuple(Path)) -> None:
    for moment in moments:
        for path in paths:
            proof.no_sign(path, at(moment))


def test_horizon_and_deadline_are_counted_from_the_timestamp_on_the_venues_clock() -> None:
    proof = a_proof()
    assert (proof.horizon, proof.deadline) == (HORIZON, DEADLINE)
    assert proof.next_turn(at(0)) == 17.0
    assert proof.next_turn(at(17_000)) == 45.0
    assert proof.next_turn(at(62_000)) is None


def test_of_an_order_from_an_earlier_life_only_the_venues_clock_is_known() -> None:
    recovered = Proof(intent(), NUMBERS)
    assert recovered.next_turn(Moment(SEEN_AT, T)) == 17.0
    assert recovered.next_turn(Moment(SEEN_AT, HORIZON)) == 45.0
    assert recovered.next_turn(Moment(SEEN_AT, DEADLINE)) is None


@pytest.mark.parametrize(
    ("own", "venue", "past"),
    [(0, 0, True), (-1, 0, False), (0, -1, False), (-1, 9_000, False), (9_000, -1, False)],
)
def test_horizon_and_deadline_are_past_when_both_clocks_say_so(own: int, venue: int, *, past: bool) -> None:
    """`own` and `venue` are how many ms each clock is past the moment."""
    proof = a_proof()
    assert proof.past_horizon(Moment(at(17_000 + own).now, HORIZON + venue)) is past
    assert proof.past_deadline(Moment(at(62_000 + own).now, DEADLINE + venue)) is past


def test_before_the_horizon_there_is_no_fence() -> None:
    proof = a_proof()
    assert not proof.wants_fence(at(16_999))
    assert proof.wants_fence(at(17_000))


def test_a_venues_clock_that_runs_ahead_does_not_bring_the_horizon_forward() -> None:
    proof = a_proof()
    assert not proof.wants_fence(Moment(SEEN_AT + 5.0, HORIZON + 1000.0))
    assert proof.next_turn(Moment(SEEN_AT + 5.0, HORIZON + 1000.0)) == 12.0
    recovered = Proof(intent(), NUMBERS)
    assert recovered.wants_fence(Moment(0.0, HORIZON + 1000.0))


def test_a_fence_is_asked_for_again_after_a_while_and_sooner_if_it_failed() -> None:
    proof = a_proof()
    proof.fence_asked(at(17_000).now)
    assert not proof.wants_fence(at(26_900))
    assert proof.wants_fence(at(27_000))
    proof.fence_asked(at(27_000).now)
    proof.fence_failed(at(27_500).now)
    assert not proof.wants_fence(at(28_400))
    assert proof.wants_fence(at(28_500))


def test_only_the_answer_to_a_fence_is_one() -> None:
    proof = a_proof()
    proof.fence_named("fence")
    assert not proof.not_open("an earlier cancel", at(17_100))
    assert not proof.not_open("", at(17_100))
    assert not proof.counting
    assert proof.not_open("fence", at(17_100))
    assert not proof.not_open("fence", at(18_000))
    assert proof.fenced == at(17_100)
    assert not proof.wants_fence(at(90_000))


def test_nothing_counts_before_the_fence() -> None:
    proof = a_proof()
    count(proof, 0, 1_500, 3_000, 17_000)
    assert not proof.counted
    proof = fenced(17_010)
    count(proof, 14_000, 15_500, 17_009)
    assert not proof.counted


def test_three_agreeing_answers_on_each_path_over_three_seconds_and_a_live_stream_prove_it() -> None:
    proof = fenced(99_960)
    count(proof, 99_970, 101_470)
    assert proof.verdict(ALIVE) is None
    count(proof, 102_970)
    proof.no_sign(Path.ORDER, at(105_970))
    assert proof.verdict(ALIVE) == (
        "not open at the engine 100.0 s after its timestamp, then on each of order, openOrders, allOrders, myTrades "
        "not there 3 times over 3.0 s; control: the user stream, without a gap and alive"
    )


def test_answers_are_wanted_from_the_fence_on_until_they_agree_and_again_once_the_deadline_is_past() -> None:
    proof = a_proof()
    assert not proof.wants_count(at(90_000))
    proof = fenced()
    assert proof.wants_count(at(17_010))
    count(proof, 17_010, 18_510, 20_010)
    assert not proof.wants_count(at(61_990))
    assert proof.wants_count(at(62_000))


def test_answers_too_close_together_do_not_prove_it() -> None:
    proof = fenced()
    count(proof, 17_010, 18_000, 19_000, 20_000)
    assert not proof.counted


def test_an_answer_to_the_same_question_counts_once() -> None:
    proof = fenced()
    count(proof, 17_010, 17_010, 20_010, 20_010)
    assert not proof.counted


@pytest.mark.parametrize("missing", list(Path))
def test_every_path_must_agree(missing: Path) -> None:
    proof = fenced()
    count(proof, 17_010, 18_510, 20_010, paths=tuple(path for path in Path if path is not missing))
    assert proof.verdict(ALIVE) is None
    count(proof, 18_510, 20_010, paths=(missing,))
    assert proof.verdict(ALIVE) is None
    count(proof, 21_510, paths=(missing,))
    assert proof.verdict(ALIVE) is not None


def test_a_contradiction_begins_the_count_anew() -> None:
    proof = fenced()
    count(proof, 17_010, 18_510)
    proof.upset()
    count(proof, 20_010, 21_510)
    assert proof.verdict(ALIVE) is None
    count(proof, 23_010)
    assert proof.verdict(ALIVE) is not None


@pytest.mark.parametrize(
    "stream",
    [
        NO_STREAM,
        StreamHealth(T + 1.0, HORIZON + 1.0),
        StreamHealth(T - 1.0, None),
        StreamHealth(T - 1.0, HORIZON - 1.0),
        StreamHealth(None, HORIZON + 1.0),
    ],
)
def test_a_stream_that_was_not_there_all_the_time_is_no_control(stream: StreamHealth) -> None:
    proof = fenced()
    count(proof, 17_010, 18_510, 20_010)
    assert proof.verdict(stream) is None


def shown(proof: Proof, *paths: Path, time: int = T + 1, asked: float = 17_020) -> None:
    for path in paths:
        proof.control(path, time, at(asked))


def test_later_orders_that_are_shown_are_a_control() -> None:
    proof = fenced()
    count(proof, 17_010, 18_510, 20_010)
    shown(proof, Path.ORDER, Path.ALL)
    assert proof.verdict(NO_STREAM) is None
    shown(proof, Path.TRADES, time=T)
    shown(proof, Path.TRADES, asked=17_009)
    assert proof.verdict(NO_STREAM) is None
    shown(proof, Path.TRADES, asked=17_010)
    text = proof.verdict(NO_STREAM)
    assert text is not None
    assert "a later order of ours is shown" in text


def test_a_market_order_is_never_among_the_open_ones_and_needs_no_control_there() -> None:
    proof = fenced(order_type="MARKET", time_in_force=None)
    count(proof, 17_010, 18_510, 20_010)
    shown(proof, Path.ORDER, Path.ALL, Path.TRADES)
    assert proof.verdict(NO_STREAM) is not None


def test_an_order_that_may_rest_needs_the_open_orders_as_well() -> None:
    proof = fenced(time_in_force="GTC")
    count(proof, 17_010, 18_510, 20_010)
    shown(proof, Path.ORDER, Path.ALL, Path.TRADES)
    assert proof.verdict(NO_STREAM) is None
    shown(proof, Path.OPEN)
    assert proof.verdict(NO_STREAM) is not None


def test_without_a_control_it_takes_a_minute() -> None:
    proof = fenced()
    count(proof, 17_010, 18_510, 20_010, 61_990)
    assert proof.verdict(NO_STREAM) is None
    count(proof, 62_000, paths=(Path.ORDER, Path.OPEN, Path.ALL))
    assert proof.verdict(NO_STREAM) is None
    count(proof, 62_000, paths=(Path.TRADES,))
    text = proof.verdict(NO_STREAM)
    assert text is not None
    assert "no sign within 60 s" in text


@pytest.mark.parametrize(("last", "venue"), [(20_010, DEADLINE + 20_010), (70_000, DEADLINE - 1)])
def test_a_venues_clock_that_is_off_does_not_shorten_the_minute(last: int, venue: int) -> None:
    proof = fenced()
    for moment in (17_010, 18_510, last):
        for path in Path:
            proof.no_sign(path, at(moment)._replace(venue=venue))
    assert proof.counted
    assert proof.verdict(NO_STREAM) is None


@pytest.mark.parametrize(
    ("changes", "suspect"),
    [
        ({}, True),
        ({"symbol": "ETHUSDT"}, False),
        ({"side": Side.SELL}, False),
        ({"time": T - 1000}, True),
        ({"time": T - 1001}, False),
        ({"quantity": a_trade().quantity * 2}, False),
        ({"order_id": 5}, False),
    ],
)
def test_a_trade_that_fits_and_is_nobodys_is_suspect(changes: dict[str, Any], suspect: bool) -> None:
    trade = replace(a_trade(time=T, order_id=1001), **changes)
    found = TradesFound(symbol="BTCUSDT", trades=(trade,), from_id=None, since=T, order_id=None)
    assert a_proof().suspects(found, lambda _, order_id: order_id == 5) is suspect


class AnyCourse(RuleBasedStateMachine):
    """Whatever comes in whatever order: what the proof claims must hold by a plain record of it all."""

    @initialize(kind=st.sampled_from(["IOC", "FOK", "GTC"]))
    def begin(self, kind: str) -> None:
        self.proof = a_proof(time_in_force=kind)
        self.kind = kind
        self.now = 0.0
        self.fence_at: float | None = None
        self.answers: dict[Path, list[float]] = {path: [] for path in Path}
        self.controls: set[Path] = set()
        self.stream = NO_STREAM

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.5, 1.5, 3.0, 10.0, 17.0, 45.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += 1000 * seconds

    @rule(named=st.booleans(), answered=st.booleans())
    def fence(self, named: bool, answered: bool) -> None:
        moment = at(self.now)
        if not self.proof.wants_fence(moment):
            assert self.now < 17_000 or self.fence_at is not None or self.proof._fence_at is not None
            return
        assert self.now >= 17_000
        self.proof.fence_asked(moment.now)
        if named:
            self.proof.fence_named("fence")
        if answered and self.proof.not_open("fence", moment):
            self.fence_at = self.now

    @rule(path=st.sampled_from(list(Path)), ago=st.sampled_from([0.0, 400.0, 5_000.0]))
    def answer(self, path: Path, ago: float) -> None:
        self.proof.no_sign(path, at(self.now - ago))
        told = self.answers[path]
        if self.fence_at is not None and self.now - ago >= self.fence_at and (not told or told[-1] < self.now - ago):
            told.append(self.now - ago)

    @rule()
    def answer_all(self) -> None:
        for path in Path:
            self.answer(path, 0.0)

    @rule()
    def contradict(self) -> None:
        self.proof.upset()
        self.answers = {path: [] for path in Path}

    @rule(path=st.sampled_from(list(Path)), later=st.booleans())
    def show(self, path: Path, later: bool) -> None:
        self.proof.control(path, T + later, at(self.now))
        if later and self.fence_at is not None:
            self.controls.add(path)

    @rule(since=st.sampled_from([None, T - 5.0, T + 5.0]), alive=st.booleans())
    def hear(self, since: float | None, alive: bool) -> None:
        self.stream = StreamHealth(since, T + self.now if alive else None)

    @precondition(lambda self: hasattr(self, "proof"))
    @invariant()
    def nothing_is_final_without_proof(self) -> None:
        proven = self.proof.verdict(self.stream) is not None
        agreed = self.fence_at is not None and all(
            len(told) >= 3 and told[-1] - told[0] >= 2999.999 for told in self.answers.values()
        )
        since, alive = self.stream.unbroken_since, self.stream.alive_until
        streamed = since is not None and since <= T and alive is not None and alive >= HORIZON
        used = set(Path) if self.kind == "GTC" else set(Path) - {Path.OPEN}
        waited = agreed and all(told[-1] >= 61_999.999 for told in self.answers.values())
        assert proven == (agreed and (streamed or used <= self.controls or waited))


TestAnyCourse = AnyCourse.TestCase
TestAnyCourse.settings = settings(max_examples=examples(30), stateful_step_count=40)
