"""The account runs out of BNB while an execution is worked: fees are taken in another asset from then on."""

from __future__ import annotations

from actors.runtime import Simulation
from adapters.paper.account import Fees
from tests.simulation.whole import D, Stage, own_trades

FIVE = {"num_chunks": 5, "interval_seconds": 10}
FOR_TWO_CHILDREN = D("0.012")
"""Each costs 3.15 USDT of commission, at 600 USDT for a BNB."""


def test_fees_are_summed_by_the_asset_in_which_each_was_taken(simulation: Simulation) -> None:
    stage = Stage(simulation, symbols=("BTCUSDT", "BNBUSDT"))
    account = stage.world.exchange.account
    account.fees = Fees(pay_in_bnb=True)
    stage.start()
    account.free["BNB"] = FOR_TWO_CHILDREN
    report = stage.report(stage.accepted("0.5", twap=FIVE))
    taken = [(trade["commissionAsset"], D(trade["commission"])) for trade in own_trades(stage.world.exchange.truth())]
    assert [asset for asset, _ in taken] == ["BNB", "BNB", "BTC", "BTC", "BTC"]
    fees = {asset: sum((fee for other, fee in taken if other == asset), D(0)) for asset in ("BNB", "BTC")}
    assert dict(report.total_fees) == fees
    assert report.fees_bps is not None
    assert D("7.5") < report.fees_bps < D(10)
    assert report.total_filled == D("0.5"), "a fee in the base asset is no lack of fill"
    stage.run(10.0)
    free = account.free["BTC"]
    sold = stage.report(stage.accepted("0.5", side="sell", price="43000", twap=FIVE))
    assert sold.total_filled == D("0.5")
    assert account.free["BTC"] == free - D("0.5")
    assert account.free["BNB"] >= 0
    stage.check_safety()
