from __future__ import annotations

from actors.order_watcher.inquiry import Answered, Asker
from actors.order_watcher.proof import Moment
from actors.order_watcher.recovery import Recovery
from actors.runtime import Simulation
from messages.order import OpenOrdersFound, QueryFailed, QueryTrades, TradesFound
from tests.probe import Probe

ASKED = Moment(1.0, 0.0)


def no_trades(*, complete: bool) -> TradesFound:
    return TradesFound(symbol="BTCUSDT", trades=(), from_id=7, since=None, order_id=None, complete=complete)


def test_a_later_page_of_trades_that_fails_is_asked_for_again_or_the_start_would_wait_for_ever(
    simulation: Simulation,
) -> None:
    me, recovery = Probe(simulation), Recovery()
    _, first = recovery.begin([("BTCUSDT", 7, None)], me.ref, ASKED)
    assert isinstance(first, QueryTrades)
    assert recovery.take(Answered(ASKED, None, OpenOrdersFound(symbol="BTCUSDT", orders=()))) is None
    assert recovery.take(Answered(ASKED, None, no_trades(complete=False))) is None
    page = QueryTrades(symbol="BTCUSDT", from_id=1008, reply_to=Asker(me.ref, ASKED))
    assert recovery.take(Answered(ASKED, None, QueryFailed(query=page, detail="cut"))) == page
    assert recovery.missing == [page]
    other = QueryTrades(symbol="BTCUSDT", from_id=1, reply_to=me.ref)
    assert recovery.take(Answered(ASKED, None, QueryFailed(query=other, detail="cut"))) is None
    recovery.take(Answered(ASKED, None, no_trades(complete=True)))
    assert recovery.done
