"""Bootstrap intervals, the table, and that a comparison's runs meet the same market."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench import execution_quality
from bench.execution_quality import MARKETS, POLICIES, Result, Task, compare, work
from bench.tools import quality_page
from bench.tools.paired import Estimate, bootstrap
from bench.tools.quality_page import BEGIN, END, plot, write_page


def test_an_estimate_is_the_mean_with_an_interval_around_it() -> None:
    rows = [(float(value),) for value in range(100)]
    estimate = bootstrap(rows, range(100))
    assert estimate.mean == 49.5
    assert 40 < estimate.low < 49.5 < estimate.high < 60
    assert bootstrap(rows, range(100)) == estimate


def test_rows_that_share_a_market_count_as_one() -> None:
    rows = [(float(value),) for value in range(100)]
    apart, together = bootstrap(rows, range(100)), bootstrap(rows, [value // 25 for value in range(100)])
    assert together.mean == apart.mean
    assert together.high - together.low > 2 * (apart.high - apart.low)


def test_a_share_is_estimated_as_a_ratio_of_means() -> None:
    estimate = bootstrap([(4.0, 1.0), (2.0, 0.5)], range(2), lambda means: 1 - means[1] / means[0])
    assert estimate == Estimate(0.75, 0.75, 0.75)
    assert str(estimate) == "+0.75 [+0.75, +0.75]"


def test_policies_meet_the_same_market_and_break_no_rule() -> None:
    market = next(market for market in MARKETS if market.name == "btc")
    naive = next(policy for policy in POLICIES if policy.name == "naive TWAP")
    tiny = Decimal("0.006")  # Six slices of almost nothing: whoever sends them, they pay the same prices.
    paid = {policy.name: work(Task(market, policy, 7, tiny)) for policy in POLICIES}
    assert paid["ours"].slippage == paid["OW optimum"].slippage == paid["naive TWAP"].slippage
    assert paid["one order"].slippage != paid["naive TWAP"].slippage
    assert all((result.violations, result.filled) == (0, 1.0) for result in paid.values())
    assert work(Task(market, naive, 7, tiny)) == paid["naive TWAP"]


def test_a_comparison_becomes_a_table_a_page_and_a_plot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    markets = [market for market in MARKETS if market.name == "alt"]
    (line,) = lines = compare(markets, [1, 2], Decimal("0.1"), processes=1)
    assert [cell.policy for cell in line.cells] == [policy.name for policy in POLICIES]
    assert line.text().startswith("alt, 0.05 BTC: splitting saves ")
    assert line.markdown().count("\n| ") == len(POLICIES) + 2
    ET.fromstring(plot(lines))  # noqa: S314 - our own
    ET.fromstring(plot([]))  # noqa: S314 - drawn by ourselves
    page, picture = tmp_path / "page.md", tmp_path / "plot.svg"
    monkeypatch.setattr(quality_page, "PAGE", page)
    monkeypatch.setattr(quality_page, "PICTURE", picture)
    page.write_text(f"before {BEGIN} old {END} after")
    write_page(lines, range(1, 3), plot(lines))
    text = page.read_text()
    assert text.startswith("before ")
    assert text.endswith(" after")
    assert "old" not in text
    assert line.title() in text
    assert picture.read_text() == plot(lines)


@pytest.mark.acceptance
def test_a_comparison_that_was_interrupted_goes_on_with_what_it_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = next(market for market in MARKETS if market.name == "btc")
    keep, size = tmp_path / "results.jsonl", Decimal("0.01")
    whole = compare([market], [1], size, 1, keep)
    kept = keep.read_text().splitlines()
    assert len(kept) == len(POLICIES)
    keep.write_text("\n".join(kept[:4]) + "\n")
    run: list[Task] = []

    def counted(task: Task) -> Result:
        run.append(task)
        return work(task)

    monkeypatch.setattr(execution_quality, "work", counted)
    assert compare([market], [1], size, 1, keep) == whole
    assert [task.policy for task in run] == list(POLICIES[4:])
    assert compare([market], [1], size, 1, keep) == whole
    assert len(run) == len(POLICIES) - 4
