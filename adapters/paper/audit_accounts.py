"""The rules of accounts (S10), and of rest (Q): two sets of books must agree."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from decimal import Decimal

from adapters.paper.audit_evidence import (
    ENDS_WITHOUT_EFFECT,
    Child,
    Evidence,
    Line,
)
from adapters.paper.audit_records import Unreadable
from adapters.paper.audit_rules import Found, Limits
from adapters.paper.audit_truth import VenueOrder, VenueTrade
from messages.ids import parse_child_id
from messages.money import ZERO, plain

Amounts = dict[str, Decimal]
TradeKey = tuple[str, int, int]

# S10 ----------------------------------------------------------------------------------------------


def trades_once(evidence: Evidence, _limits: Limits) -> Found:
    """S10: each trade is booked once, is one that the exchange made, and says what it said."""
    made = {trade.key: trade for trade in evidence.trades}
    booked = evidence.kinds("TradeBooked")
    for key, count in Counter(map(_key, booked)).items():
        if count > 1:
            yield _name(key), f"was booked {count} times"
    for line in booked:
        trade = made.get(_key(line))
        if trade is None:
            yield _name(_key(line)), f"was booked (seq {line.seq}) but never made"
            continue
        for what, ours, theirs in _booked_otherwise(line, trade):
            yield _name(trade.key), f"was booked with {what} {ours}, made with {theirs}"
        owners = [o.client_order_id for o in evidence.own_orders() if o.order_id == trade.order_id]
        if line.child_id not in owners:
            yield _name(trade.key), f"was booked for {line.child_id}, made for {owners}"


def _booked_otherwise(line: Line, trade: VenueTrade) -> Iterator[tuple[str, object, object]]:
    rows: list[tuple[str, object, object]] = [
        ("price", line.amount("price"), trade.price),
        ("quantity", line.amount("quantity"), trade.quantity),
        ("commission", line.amount("commission"), trade.commission),
        ("commission asset", line.text("commission_asset"), trade.commission_asset),
        ("side", line.text("side"), trade.side),
        ("maker", line.flag("maker"), trade.maker),
    ]
    return (row for row in rows if row[1] != row[2])


def closed_complete(evidence: Evidence, _limits: Limits) -> Found:
    """S10: a closed child's trades add up to its figures and to the exchange's, fees per asset too."""
    for child in evidence.children.values():
        for closing in child.every("ChildClosed"):
            booked = [t for t in child.every("TradeBooked") if t.seq < closing.seq]
            quantity, quote = sums(booked)
            for what, said, summed in (
                ("quantity", closing.amount("executed_quantity"), quantity),
                ("quote", closing.amount("executed_quote"), quote),
            ):
                if said != summed:
                    text = f"closed with {what} {plain(said)}, its trades make {plain(summed)}"
                    yield child.client_order_id, text
            yield from _as_venue_said(evidence, child, closing, booked)


def _as_venue_said(evidence: Evidence, child: Child, closing: Line, booked: list[Line]) -> Found:
    name = child.client_order_id
    order = _order_of(evidence, child, closing.whole("order_id"))
    if order is None:
        yield name, f"closed as order {closing.whole('order_id')}, which the exchange does not have"
        return
    if closing.amount("executed_quantity") != order.executed:
        said = plain(closing.amount("executed_quantity"))
        yield name, f"closed with {said}, the exchange executed {plain(order.executed)}"
    ours, theirs = fees_booked(booked), _fees_made(evidence.fills_of(order))
    if ours != theirs:
        yield name, f"closed with fees {_say(ours)}, the exchange took {_say(theirs)}"


def _order_of(evidence: Evidence, child: Child, order_id: int) -> VenueOrder | None:
    orders = evidence.orders.get(child.client_order_id, ())
    return next((order for order in orders if order.order_id == order_id), None)


# Q1 -----------------------------------------------------------------------------------------------


def books_agree(evidence: Evidence, _limits: Limits) -> Found:
    """Q1: for every own order, journal and exchange agree on status, quantity, quote and fees."""
    for child in evidence.children.values():
        orders = evidence.orders.get(child.client_order_id, [])
        end = child.end
        if end is not None and end.kind in ENDS_WITHOUT_EFFECT:
            for order in orders:
                if order.executed or order.open:
                    text = f"{end.kind} in the journal, {order.status} at the exchange"
                    yield child.client_order_id, text
            continue
        for order in orders:
            yield from _order_agrees(evidence, child, end, order)
        if not orders and child.every("ChildAcknowledged"):
            yield child.client_order_id, "acknowledged in the journal, unknown to the exchange"


def _order_agrees(evidence: Evidence, child: Child, end: Line | None, order: VenueOrder) -> Found:
    name = child.client_order_id
    booked = child.every("TradeBooked")
    quantity, quote = sums(booked)
    if end is not None and end.text("status") != order.status:
        yield name, f"{end.text('status')} in the journal, {order.status} at the exchange"
    if end is None and not order.open:
        yield name, f"without an end in the journal, {order.status} at the exchange"
    for what, ours, theirs in (
        ("quantity", quantity, order.executed),
        ("quote", quote, order.quote),
    ):
        if ours != theirs:
            yield name, f"{what} {plain(ours)} in the journal, {plain(theirs)} at the exchange"
    fees, taken = fees_booked(booked), _fees_made(evidence.fills_of(order))
    if fees != taken:
        yield name, f"fees {_say(fees)} in the journal, {_say(taken)} at the exchange"


def every_trade_booked(evidence: Evidence, _limits: Limits) -> Found:
    """Q1: every trade that the exchange made for an own order is in the journal."""
    booked = {_key(line) for line in evidence.kinds("TradeBooked")}
    own = {(o.symbol, o.order_id): o.client_order_id for o in evidence.own_orders()}
    for trade in evidence.trades:
        owner = own.get((trade.symbol, trade.order_id))
        if owner is not None and trade.key not in booked:
            yield owner, f"trade {_name(trade.key)} of {plain(trade.quantity)} was never booked"


def balances_explained(evidence: Evidence, _limits: Limits) -> Found:
    """Q1: what the account holds is what it held, plus the booked trades, to the last unit.

    Judged where the initial balances are given; others' trades on the account count as made.
    """
    if evidence.initial_balances is None:
        return
    expected: Amounts = defaultdict(Decimal, evidence.initial_balances)
    assets = set(evidence.initial_balances) | set(evidence.balances)
    own = {(o.symbol, o.order_id) for o in evidence.own_orders()}
    for line in evidence.kinds("TradeBooked"):
        _settle(expected, assets, line.text("symbol"), line.text("side"), _flows(line))
        expected[line.text("commission_asset")] -= line.amount("commission")
    for trade in evidence.trades:
        if (trade.symbol, trade.order_id) not in own:
            _settle(expected, assets, trade.symbol, trade.side, (trade.quantity, trade.quote))
            expected[trade.commission_asset] -= trade.commission
    for asset in sorted(assets | set(expected)):
        held, due = evidence.balances.get(asset, ZERO), expected[asset]
        if held != due:
            yield asset, f"the account holds {plain(held)}, the trades explain {plain(due)}"


def _flows(line: Line) -> tuple[Decimal, Decimal]:
    return line.amount("quantity"), line.amount("quantity") * line.amount("price")


def _settle(balances: Amounts, assets: set[str], symbol: str, side: str, flows: tuple[Decimal, Decimal]) -> None:
    base, quote = _pair_of(symbol, assets)
    sign = 1 if side == "BUY" else -1
    balances[base] += sign * flows[0]
    balances[quote] -= sign * flows[1]


def _pair_of(symbol: str, assets: Iterable[str]) -> tuple[str, str]:
    held = set(assets)
    for cut in range(1, len(symbol)):
        if symbol[:cut] in held and symbol[cut:] in held:
            return symbol[:cut], symbol[cut:]
    for quote in sorted(held, key=len, reverse=True):
        if symbol.endswith(quote) and symbol != quote:
            return symbol.removesuffix(quote), quote
    raise Unreadable(f"no balances tell the assets of {symbol}")


# Q2 to Q4 -----------------------------------------------------------------------------------------


def nothing_unknown(evidence: Evidence, _limits: Limits) -> Found:
    """Q2: of every child it is proven how it ended, or it is openly known to rest."""
    for child in evidence.children.values():
        if child.end is None and not child.every("ChildAcknowledged"):
            yield child.client_order_id, "nobody knows what became of it"


def no_orphan_open(evidence: Evidence, _limits: Limits) -> Found:
    """Q3: an order of ours that is open at the exchange has an execution that still runs."""
    for name, orders in evidence.orders.items():
        parsed = parse_child_id(name)
        child = evidence.children.get(name)
        if not any(order.open for order in orders) or (parsed is None and child is None):
            continue
        owner = child.execution_id if child else parsed.execution_id if parsed else ""
        execution = evidence.executions.get(owner)
        if execution is None or execution.closed is not None:
            yield name, "is open at the exchange, but its execution does not run"


def nothing_reserved(evidence: Evidence, _limits: Limits) -> Found:
    """Q4: an execution closes only when no child of it is open or unknown, and none is later."""
    for execution in evidence.executions.values():
        closed = execution.closed
        if closed is None:
            continue
        for child in execution.children:
            before = Child(child.client_order_id, child.execution_id)
            before.lines = [line for line in child.lines if line.seq < closed.seq]
            if before.intent is not None and before.end is None:
                yield child.client_order_id, "was open or unknown when its execution closed"
            elif child.end is None:
                yield child.client_order_id, "is open or unknown, and its execution is closed"


# Figures ------------------------------------------------------------------------------------------


def _key(line: Line) -> TradeKey:
    return line.text("symbol"), line.whole("order_id"), line.whole("trade_id")


def _name(key: TradeKey) -> str:
    return ":".join(map(str, key))


def sums(trades: list[Line]) -> tuple[Decimal, Decimal]:
    """Add up booked trades: (quantity, quote)."""
    quantity = sum((trade.amount("quantity") for trade in trades), ZERO)
    quote = sum((trade.amount("quantity") * trade.amount("price") for trade in trades), ZERO)
    return quantity, quote


def fees_booked(trades: list[Line]) -> Amounts:
    """Add up the commissions of booked trades by asset."""
    fees: Amounts = defaultdict(Decimal)
    for trade in trades:
        fees[trade.text("commission_asset")] += trade.amount("commission")
    return without_zeros(fees)


def _fees_made(trades: list[VenueTrade]) -> Amounts:
    fees: Amounts = defaultdict(Decimal)
    for trade in trades:
        fees[trade.commission_asset] += trade.commission
    return without_zeros(fees)


def without_zeros(amounts: Amounts) -> Amounts:
    """Leave out what is nothing."""
    return {asset: amount for asset, amount in amounts.items() if amount}


def _say(amounts: Amounts) -> str:
    return ", ".join(f"{plain(v)} {asset}" for asset, v in sorted(amounts.items())) or "none"


def tell(value: object) -> str:
    """Say a figure, amounts by asset or anything else."""
    if isinstance(value, Decimal):
        return plain(value)
    return _say(value) if isinstance(value, dict) else str(value)
