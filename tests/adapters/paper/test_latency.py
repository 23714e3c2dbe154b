from __future__ import annotations

import pytest

from adapters.paper.latency import BadLatency, Delays, Latency, read_latency


@pytest.mark.parametrize(
    ("text", "latency"),
    [
        ("0", Latency()),
        ("20", Latency(20.0, 20.0)),
        ("5-80", Latency(5.0, 80.0)),
        (" 0.5-1.25 ", Latency(0.5, 1.25)),
        ("10000", Latency(10_000.0, 10_000.0)),
    ],
)
def test_a_latency_is_a_number_or_a_range(text: str, latency: Latency) -> None:
    assert read_latency(text) == latency


@pytest.mark.parametrize("text", ["", "fast", "-5", "80-5", "5-", "1e3", "10001", "nan", "5-80-90"])
def test_what_is_no_latency_is_refused_with_what_one_looks_like(text: str) -> None:
    with pytest.raises(BadLatency, match="as 20, or a range, as 5-80"):
        read_latency(text)


def test_delays_lie_in_the_range_and_follow_the_seed() -> None:
    def drawn(seed: int) -> list[float]:
        delays = Delays(Latency(5.0, 80.0), seed)
        return [delays.draw() for _ in range(200)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert all(0.005 <= seconds <= 0.080 for seconds in drawn(1))
    assert max(drawn(1)) - min(drawn(1)) > 0.06
    assert Delays(Latency(20.0, 20.0)).draw() == 0.02
    assert (bool(Delays(Latency())), bool(Delays(Latency(0.0, 1.0)))) == (False, True)
