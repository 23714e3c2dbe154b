from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.signal_gate.dedup import ConflictWith, Dedup, DedupSettings, DuplicateOf, Judgement, New
from messages.facts import SignalAccepted
from messages.money import BPS
from messages.signal import Side, Signal, TwapOptions
from tests.examples import examples
from tests.factories import EXECUTION, NOW, a_signal, an_accepted

D = Decimal
MID = D(42_000)
MILLISECOND = timedelta(milliseconds=1)
TTL = timedelta(seconds=600)
WEEK = timedelta(days=7)


def no_id(**changes: object) -> Signal:
    return a_signal(id=None, **changes)


def accepted(
    dedup: Dedup, signal: Signal, at: datetime = NOW, execution: str = EXECUTION, mid: Decimal = MID
) -> SignalAccepted:
    reference = mid if signal.price is None else signal.price
    fact = an_accepted(
        execution_id=execution,
        key=dedup.key(signal, reference, at),
        key_until=dedup.key_until(signal, at),
        signal=signal,
        symbol=signal.symbol,
        side=signal.side,
        reference_price=reference,
        accepted_at=at,
    )
    dedup.accept(fact)
    return fact


def test_the_first_signal_is_new() -> None:
    assert Dedup(DedupSettings()).judge(a_signal(), NOW, None) == New()


def test_the_same_id_again_is_a_duplicate_that_names_the_first_execution_and_when_it_was_accepted() -> None:
    dedup = Dedup(DedupSettings())
    accepted(dedup, a_signal())
    later = NOW + timedelta(seconds=1)
    assert dedup.judge(a_signal(), later, None) == DuplicateOf(EXECUTION, NOW, "id")


def test_amounts_are_compared_as_numbers_and_timestamps_not_at_all() -> None:
    dedup = Dedup(DedupSettings())
    accepted(dedup, a_signal(quantity=D("0.5"), limit_price=D(43_000)))
    again = a_signal(
        quantity=D("0.500"),
        limit_price=D("4.3E+4"),
        timestamp=NOW + timedelta(seconds=9),
        price=D(1),
        ttl_seconds=D(5),
        tag="x",
    )
    assert isinstance(dedup.judge(again, NOW, None), DuplicateOf)


@pytest.mark.parametrize(
    ("changes", "differing"),
    [
        ({"quantity": D("0.6")}, ("quantity",)),
        ({"quantity": None, "quote_quantity": D(5)}, ("quantity", "quote_quantity")),
        ({"side": Side.SELL}, ("side",)),
        ({"symbol": "ETHUSDT", "account": "other"}, ("account", "symbol")),
        ({"limit_price": D(1)}, ("limit_price",)),
        ({"twap": TwapOptions(num_chunks=2)}, ("twap",)),
    ],
)
def test_an_id_with_other_content_is_a_conflict_that_names_the_fields(
    changes: dict[str, object], differing: tuple[str, ...]
) -> None:
    dedup = Dedup(DedupSettings())
    accepted(dedup, a_signal())
    assert dedup.judge(a_signal(**changes), NOW, None) == ConflictWith(EXECUTION, NOW, differing)


def test_another_source_may_use_the_same_id() -> None:
    dedup = Dedup(DedupSettings())
    accepted(dedup, a_signal())
    assert dedup.judge(a_signal(source="other"), NOW, None) == New()


def test_an_id_is_remembered_for_its_retention_and_not_a_millisecond_longer() -> None:
    dedup = Dedup(DedupSettings())
    accepted(dedup, a_signal())
    dedup.close(EXECUTION, NOW, 1)
    assert isinstance(dedup.judge(a_signal(), NOW + WEEK - MILLISECOND, None), DuplicateOf)
    assert dedup.judge(a_signal(), NOW + WEEK + MILLISECOND, None) == New()


def test_42150_and_then_42149_is_a_duplicate() -> None:
    dedup = Dedup(DedupSettings())
    accepted(dedup, no_id(price=D("42150.0")))
    assert dedup.judge(no_id(price=D("42149.0")), NOW, None) == DuplicateOf(EXECUTION, NOW, "fingerprint")


@pytest.mark.parametrize(("price", "new"), [("42042", False), ("42042.01", True), ("41958", False), ("41957.99", True)])
def test_a_price_ten_basis_points_away_is_near_and_one_farther_is_not(price: str, *, new: bool) -> None:
    dedup = Dedup(DedupSettings())
    accepted(dedup, no_id(price=D(42_000)))
    assert (dedup.judge(no_id(price=D(price)), NOW, None) == New()) is new


def test_a_bucket_edge_lets_nothing_through() -> None:
    dedup = Dedup(DedupSettings())
    before, after = NOW.replace(hour=17, minute=4, second=59), NOW.replace(hour=17, minute=5, second=1)
    first = no_id(price=D("42150.49"), timestamp=before)
    again = no_id(price=D("42150.51"), timestamp=after)
    assert dedup.label(first, before, None) != dedup.label(again, after, None)
    accepted(dedup, first, before)
    assert isinstance(dedup.judge(again, after, None), DuplicateOf)


@pytest.mark.parametrize("changes", [{"symbol": "ETHUSDT"}, {"side": Side.SELL}, {"account": "other"}])
def test_another_symbol_side_or_account_is_new(changes: dict[str, object]) -> None:
    dedup = Dedup(DedupSettings())
    accepted(dedup, no_id())
    assert dedup.judge(no_id(**changes), NOW, None) == New()


def test_the_window_is_open_while_the_execution_runs_and_for_its_ttl_after_the_close() -> None:
    dedup = Dedup(DedupSettings())
    accepted(dedup, no_id())
    closed_at = NOW + timedelta(hours=5)
    assert isinstance(dedup.judge(no_id(), closed_at, None), DuplicateOf)
    dedup.close(EXECUTION, closed_at, 3)
    assert isinstance(dedup.judge(no_id(), closed_at + TTL - MILLISECOND, None), DuplicateOf)
    assert dedup.judge(no_id(), closed_at + TTL + MILLISECOND, None) == New()


def test_a_duplicate_does_not_extend_the_window() -> None:
    dedup = Dedup(DedupSettings())
    accepted(dedup, no_id())
    dedup.close(EXECUTION, NOW, 1)
    assert isinstance(dedup.judge(no_id(), NOW + TTL - MILLISECOND, None), DuplicateOf)
    assert dedup.judge(no_id(), NOW + TTL, None) == New()


def test_an_execution_that_closes_without_a_child_frees_its_id_and_its_price() -> None:
    dedup = Dedup(DedupSettings(fingerprint="always"))
    accepted(dedup, a_signal())
    dedup.close(EXECUTION, NOW, 0)
    assert dedup.judge(a_signal(), NOW, None) == New()
    assert len(dedup) == 0


def test_a_freed_id_that_is_taken_again_is_remembered_for_its_own_retention() -> None:
    dedup = Dedup(DedupSettings())
    accepted(dedup, a_signal())
    dedup.close(EXECUTION, NOW, 0)
    later = NOW + timedelta(days=3)
    accepted(dedup, a_signal(), later, "second2222222")
    assert dedup.judge(a_signal(), NOW + WEEK + MILLISECOND, None) == DuplicateOf("second2222222", later, "id")


def test_a_signal_without_an_id_is_compared_with_accepted_ones_that_have_one() -> None:
    dedup = Dedup(DedupSettings())
    accepted(dedup, a_signal())
    assert isinstance(dedup.judge(no_id(), NOW, None), DuplicateOf)
    assert dedup.judge(a_signal(id="other"), NOW, None) == New()


def test_with_always_another_id_at_the_same_price_is_a_duplicate() -> None:
    dedup = Dedup(DedupSettings(fingerprint="always"))
    accepted(dedup, a_signal())
    assert dedup.judge(a_signal(id="other"), NOW, None) == DuplicateOf(EXECUTION, NOW, "fingerprint")


def test_a_missing_price_is_the_mid() -> None:
    dedup = Dedup(DedupSettings())
    accepted(dedup, no_id(price=None), mid=D(42_000))
    assert isinstance(dedup.judge(no_id(price=None), NOW, D(42_001)), DuplicateOf)
    assert dedup.judge(no_id(price=None), NOW, D(43_000)) == New()
    assert dedup.judge(no_id(price=None), NOW, None) == New()


def test_of_several_near_ones_the_nearest_is_named_and_of_equals_the_earliest() -> None:
    dedup = Dedup(DedupSettings())
    for number, price in enumerate((42_000, 42_030, 42_030, 41_990, 41_990)):
        accepted(dedup, a_signal(id=str(number), price=D(price)), execution=f"execution{number}")
    assert dedup.judge(no_id(price=D(42_001)), NOW, None) == DuplicateOf("execution0", NOW, "fingerprint")
    assert dedup.judge(no_id(price=D(42_029)), NOW, None) == DuplicateOf("execution1", NOW, "fingerprint")
    assert dedup.judge(no_id(price=D(42_031)), NOW, None) == DuplicateOf("execution1", NOW, "fingerprint")
    assert dedup.judge(no_id(price=D(41_980)), NOW, None) == DuplicateOf("execution3", NOW, "fingerprint")
    assert dedup.judge(no_id(price=D(41_989)), NOW, None) == DuplicateOf("execution3", NOW, "fingerprint")
    assert dedup.judge(no_id(price=D(41_995)), NOW, None) == DuplicateOf("execution0", NOW, "fingerprint")
    assert dedup.judge(no_id(price=D(42_015)), NOW, None) == DuplicateOf("execution0", NOW, "fingerprint")


@pytest.mark.parametrize(
    ("price", "moment", "decimals", "label"),
    [
        ("42150.75", "17:03:22", 0, "BTCUSDT_BUY_42151_17:00"),
        ("42150.5", "17:05:00", 0, "BTCUSDT_BUY_42151_17:05"),
        ("42151.5", "17:04:59", 0, "BTCUSDT_BUY_42152_17:00"),
        ("0.12345", "00:59:59", 4, "BTCUSDT_BUY_0.1235_00:55"),
    ],
)
def test_the_label_has_the_price_rounded_half_up_and_the_five_minutes_of_the_signal(
    price: str, moment: str, decimals: int, label: str
) -> None:
    dedup = Dedup(DedupSettings(price_rounding_decimals=decimals))
    timestamp = datetime.fromisoformat(f"2026-07-01T{moment}Z")
    assert dedup.label(no_id(price=D(price), timestamp=timestamp), NOW, None) == label


def test_the_label_falls_back_on_the_mid_and_on_the_time_of_arrival() -> None:
    dedup = Dedup(DedupSettings())
    signal = no_id(price=None, timestamp=None)
    assert dedup.label(signal, NOW, D("42000.5")) == "BTCUSDT_BUY_42001_12:00"
    assert dedup.label(signal, NOW, None) == "BTCUSDT_BUY_-_12:00"


def test_the_label_is_in_utc_whatever_the_offset_of_the_timestamp() -> None:
    timestamp = datetime.fromisoformat("2026-07-01T19:03:22+02:00")
    label = Dedup(DedupSettings()).label(no_id(timestamp=timestamp), NOW, None)
    assert label == "BTCUSDT_BUY_42000_17:00"


def test_keys_of_ids_are_equal_for_equal_ids_and_keys_without_an_id_never() -> None:
    dedup = Dedup(DedupSettings())
    assert dedup.key(a_signal(), D(1), NOW) == dedup.key(a_signal(price=D(9)), D(2), NOW + TTL)
    assert dedup.key(no_id(), D(1), NOW) != dedup.key(no_id(), D(1), NOW + timedelta(microseconds=1))
    assert dedup.key_until(a_signal(), NOW) == NOW + WEEK
    assert dedup.key_until(no_id(), NOW) == NOW + TTL


def test_nothing_is_kept_for_ever() -> None:
    dedup = Dedup(DedupSettings(fingerprint="always"))
    for number in range(1_000):
        at = NOW + number * timedelta(hours=1)
        accepted(dedup, a_signal(id=str(number)), at, f"execution{number}")
        dedup.close(f"execution{number}", at, 1)
    assert len(dedup) <= 7 * 24 + 2
    dedup.expire(NOW + timedelta(days=60))
    assert len(dedup) == 0
    assert not dedup._by_price, "not even what is empty"


def test_what_has_run_out_is_forgotten_when_the_next_is_accepted_as_a_start_does_it() -> None:
    dedup = Dedup(DedupSettings())
    accepted(dedup, no_id())
    assert len(dedup) == 1
    dedup.close(EXECUTION, NOW, 1)
    accepted(dedup, a_signal(), NOW + TTL, "second2222222")
    assert len(dedup) == 2


def test_an_id_is_forgotten_at_the_end_of_its_retention_however_far_apart_the_two_clocks_are() -> None:
    for behind in (-timedelta(hours=1), timedelta(hours=1)):
        dedup = Dedup(DedupSettings())
        fact = an_accepted(key_until=NOW + WEEK)
        dedup.accept(fact, NOW + behind)
        dedup.close(EXECUTION, NOW + behind, 1)
        dedup.expire(NOW + behind + WEEK - MILLISECOND, NOW + WEEK - MILLISECOND)
        assert len(dedup) == 1
        dedup.expire(NOW + behind + WEEK, NOW + WEEK)
        assert len(dedup) == 0


def test_a_clock_that_steps_back_reopens_nothing_and_breaks_nothing() -> None:
    dedup = Dedup(DedupSettings())
    accepted(dedup, no_id())
    dedup.close(EXECUTION, NOW, 1)
    dedup.expire(NOW + TTL)
    assert dedup.judge(no_id(), NOW, None) == New()


def test_a_clock_that_was_ahead_for_a_while_shortens_no_window() -> None:
    dedup = Dedup(DedupSettings())
    hour, minute = timedelta(hours=1), timedelta(minutes=1)
    dedup.judge(no_id(), NOW + hour, None)
    accepted(dedup, no_id(), NOW + minute)
    dedup.close(EXECUTION, NOW + 2 * minute, 1)
    assert isinstance(dedup.judge(no_id(), NOW + 3 * minute, None), DuplicateOf)
    assert isinstance(dedup.judge(no_id(), NOW + 11 * minute, None), DuplicateOf)
    assert dedup.judge(no_id(), NOW + hour + TTL, None) == New()


def test_a_clock_that_was_ahead_by_more_than_the_retention_forgets_no_id() -> None:
    dedup = Dedup(DedupSettings())
    dedup.expire(NOW + 2 * WEEK)
    accepted(dedup, a_signal())
    dedup.close(EXECUTION, NOW, 1)
    assert isinstance(dedup.judge(a_signal(), NOW, None), DuplicateOf)
    dedup.expire(NOW + 3 * WEEK)
    assert len(dedup) == 0


def test_closing_what_was_never_accepted_changes_nothing() -> None:
    dedup = Dedup(DedupSettings())
    dedup.close("unknown222222", NOW, 0)
    assert len(dedup) == 0


# Against a model ----------------------------------------------------------------------------------


@dataclass
class Remembered:
    fact: SignalAccepted
    closed_at: datetime | None = None
    freed: bool = False


class Model:
    """What the two rules say, word for word, by looking at everything that ever happened."""

    def __init__(self, settings: DedupSettings) -> None:
        self.settings, self.all = settings, list[Remembered]()

    def judge(self, signal: Signal, now: datetime, mid: Decimal) -> tuple[str, frozenset[str]]:
        held = [one for one in self.all if not one.freed]
        for one in held:
            same = signal.id is not None and one.fact.signal.id == signal.id and now < one.fact.key_until
            if same:
                first = one.fact.signal
                equal = (first.quantity, first.side) == (signal.quantity, signal.side)
                return "duplicate" if equal else "conflict", frozenset({one.fact.execution_id})
        if signal.id is None or self.settings.fingerprint == "always":
            price = mid if signal.price is None else signal.price
            open_ = [one for one in held if one.closed_at is None or now < one.closed_at + TTL]
            near = [
                one.fact
                for one in open_
                if one.fact.side == signal.side
                and abs(price - one.fact.reference_price)
                <= one.fact.reference_price * self.settings.price_tolerance_bps / BPS
            ]
            if near:
                return "duplicate", frozenset(fact.execution_id for fact in near)
        return "new", frozenset()


arrivals = st.builds(
    lambda id_, side, price, quantity: a_signal(
        id=id_, side=side, price=None if price is None else D(price), quantity=D(quantity), timestamp=None
    ),
    st.sampled_from([None, "a", "b"]),
    st.sampled_from(list(Side)),
    st.one_of(st.none(), st.integers(9_980, 10_040)),
    st.sampled_from(["1", "2"]),
)
steps = st.lists(
    st.tuples(
        st.one_of(arrivals, st.integers(0, 5), st.integers(-6, -1)),
        st.sampled_from([0, 1, 299_999, 300_000, 600_000, 86_400_000 * 4]),
    ),
    max_size=40,
)


FINGERPRINTS: st.SearchStrategy[Literal["without_id", "always"]] = st.sampled_from(["without_id", "always"])


def kind_of(judgement: Judgement) -> tuple[str, str | None]:
    match judgement:
        case New():
            return "new", None
        case DuplicateOf():
            return "duplicate", judgement.execution_id
        case ConflictWith():
            return "conflict", judgement.execution_id


@settings(max_examples=examples(72))
@given(steps, FINGERPRINTS, st.integers(9_990, 10_030))
def test_any_course_of_events_is_judged_as_the_rules_say_also_after_a_restart(
    course: list[tuple[Signal | int, int]], fingerprint: Literal["without_id", "always"], mid: int
) -> None:
    config = DedupSettings(fingerprint=fingerprint)
    dedup, model, facts = Dedup(config), Model(config), list[tuple[str, SignalAccepted, datetime, int]]()
    now, numbers = NOW, count()
    for what, milliseconds in course:
        now += milliseconds * MILLISECOND
        if isinstance(what, int):
            close_one(what, now, dedup, model, facts)
            continue
        judged = kind_of(dedup.judge(what, now, D(mid)))
        restarted = Dedup(config)
        for kind, fact, at, children in facts:
            if kind == "accepted":
                restarted.accept(fact)
            else:
                restarted.close(fact.execution_id, at, children)
        assert kind_of(restarted.judge(what, now, D(mid))) == judged
        expected, candidates = model.judge(what, now, D(mid))
        assert judged[0] == expected
        assert judged[1] in candidates or expected == "new"
        if expected == "new":
            fact = accepted(dedup, what, now, f"execution{next(numbers)}", D(mid))
            model.all.append(Remembered(fact))
            facts.append(("accepted", fact, now, 0))


def close_one(
    which: int, now: datetime, dedup: Dedup, model: Model, facts: list[tuple[str, SignalAccepted, datetime, int]]
) -> None:
    """Close one of the open executions; a negative number closes it without a child."""
    running = [one for one in model.all if one.closed_at is None]
    if running:
        one, children = running[which % len(running)], int(which >= 0)
        one.closed_at, one.freed = now, not children
        dedup.close(one.fact.execution_id, now, children)
        facts.append(("closed", one.fact, now, children))
