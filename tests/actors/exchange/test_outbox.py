from __future__ import annotations

from actors.exchange.budget import Budget, BudgetLimits, Priority
from actors.exchange.outbox import Outbox
from messages.order import Query, QueryBalances, QueryOpenOrders, QueryOrder, SendCancel
from tests.factories import CHILD
from tests.order_tools import Nobody

ME = Nobody()
CANCEL = SendCancel(symbol="X", client_order_id=CHILD, order_id=1, cancel_id="c", reply_to=ME)
POLL = QueryOpenOrders(symbol="X", reply_to=ME)
PROOF = QueryOrder(symbol="X", client_order_id=CHILD, reply_to=ME)
OTHER = QueryBalances(reply_to=ME)


def test_cancels_go_before_proofs_before_polls() -> None:
    outbox = Outbox(10)
    assert outbox.put_query(POLL, Priority.POLL)
    assert outbox.put_query(PROOF, Priority.PROOF)
    outbox.put_cancel(CANCEL)
    assert outbox.take(Budget(BudgetLimits()), 0.0) == ([CANCEL, PROOF, POLL], None)
    assert len(outbox) == 0


def test_what_does_not_fit_waits_and_is_not_lost() -> None:
    outbox, budget = Outbox(10), Budget(BudgetLimits(weight=10))
    budget.spend(4, 0.0)
    outbox.put_query(POLL, Priority.POLL)
    outbox.put_query(PROOF, Priority.PROOF)
    going, look_at = outbox.take(budget, 0.0)
    assert (going, len(outbox)) == ([PROOF], 1)
    assert look_at is not None
    assert outbox.take(budget, look_at) == ([POLL], None)


def test_nothing_goes_while_the_venue_forbids_it() -> None:
    outbox, budget = Outbox(10), Budget(BudgetLimits())
    budget.forbid(30.0)
    outbox.put_cancel(CANCEL)
    assert outbox.take(budget, 10.0) == ([], 30.0)
    assert outbox.take(budget, 30.0) == ([CANCEL], None)


def test_a_query_that_waits_already_is_not_asked_twice() -> None:
    outbox, budget = Outbox(10), Budget(BudgetLimits())
    outbox.put_query(PROOF, Priority.PROOF)
    assert outbox.put_query(PROOF, Priority.POLL)
    assert outbox.take(budget, 0.0) == ([PROOF], None)
    outbox.put_query(PROOF, Priority.PROOF)
    assert outbox.take(budget, 0.0) == ([PROOF], None)


def test_a_poll_that_becomes_a_proof_moves_up() -> None:
    outbox = Outbox(10)
    outbox.put_query(PROOF, Priority.POLL)
    outbox.put_query(POLL, Priority.PROOF)
    assert outbox.put_query(PROOF, Priority.PROOF)
    assert outbox.take(Budget(BudgetLimits()), 0.0) == ([POLL, PROOF], None)


def test_there_is_room_for_so_many_queries_and_for_every_cancel() -> None:
    outbox = Outbox(1)
    queries: list[Query] = [POLL, OTHER]
    assert [outbox.put_query(query, Priority.POLL) for query in queries] == [True, False]
    assert outbox.put_query(OTHER, Priority.PROOF)
    assert outbox.put_query(POLL, Priority.PROOF)
    outbox.put_cancel(CANCEL)
    outbox.put_cancel(CANCEL)
    assert len(outbox) == 4
