"""An execution's report as one page that needs nothing else: its figures, its children, and a chart.

The chart shows the planned and the executed quantity over time, and below the mid at each send, the
price of each child, and the prices that it is measured against. Nothing is loaded from anywhere, and
whatever the view says is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from html import escape

from adapters.svg import STYLE, Panel, Point, drawing, padded
from adapters.terminal import amounts, bps, figure, figure_to, price, report_rows, signal_of, slice_of

Json = Mapping[str, object]

PLAN, DONE, MID, FILL = "#8a93a8", "#2563eb", "#0f9d76", "#c2410c"
ARRIVAL, TWAP, LIMIT = "#8a93a8", "#7c3aed", "#b91c1c"
WIDTH, LEFT, RIGHT = 940.0, 96.0, 24.0

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark;
  --ink: #1f2430; --faint: #626b7f; --axis: #aab1c0; --grid: #e8ebf1; --ground: #fff; --card: #f6f7fa; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e6e8ee; --faint: #9aa3b5; --axis: #5a6375; --grid: #2a303c; --ground: #14171d; --card: #1c2029; }}
}}
body {{ margin: 2rem auto; max-width: 1040px; padding: 0 1rem; background: var(--ground); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }}
h1 {{ font-size: 1.35rem; margin: 0 0 .2rem; }}
h2 {{ font-size: 1.05rem; margin: 2rem 0 .6rem; }}
p {{ margin: .2rem 0 1.2rem; color: var(--faint); }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums; }}
td, th {{ padding: .22rem .8rem .22rem 0; text-align: left; vertical-align: top; }}
th {{ font-weight: 500; color: var(--faint); }}
.children {{ display: block; overflow-x: auto; font-size: 13px; white-space: nowrap; }}
.children td:nth-child(n+4), .children th:nth-child(n+4) {{ text-align: right; }}
.children tr {{ border-bottom: 1px solid var(--grid); }}
.cards {{ display: flex; flex-wrap: wrap; gap: .7rem; margin: 1rem 0 1.4rem; }}
.card {{ background: var(--card); border-radius: 8px; padding: .6rem .9rem; min-width: 8rem; }}
.card b {{ display: block; font-size: 1.2rem; font-weight: 600; }}
.card span {{ color: var(--faint); font-size: 12.5px; }}
{svg}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{subtitle}</p>
<div class="cards">{cards}</div>
{chart}
<h2>Figures</h2>
<table>{rows}</table>
<p>Costs are positive; bps are of the notional at the arrival price.</p>
<h2>Child orders</h2>
{children}
</body>
</html>
"""


def report_page(view: Json) -> str:
    """Draw the page of an execution that has its report; `view` is what `run.py report --json` prints."""
    report, execution = _record(view.get("report")), str(view.get("execution_id", ""))
    title = f"{report.get('side', '')} {figure(report.get('quantity'))} {report.get('symbol', '')}"
    outcome = report.get("stop_reason", "")
    return _PAGE.format(
        title=escape(title),
        subtitle=escape(f"{execution} · {outcome} · {_when(report.get('started_at'))}"),
        svg=STYLE,
        cards="".join(_card(name, value) for name, value in _cards(report)),
        chart=_chart(report, _record(view.get("plan"))),
        rows="".join(
            f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"
            for name, value in report_rows(report, execution, signal_of(view))
        ),
        children=_children(report),
    )


def _cards(report: Json) -> list[tuple[str, str]]:
    return [
        ("total shortfall, bps", bps(report.get("total_shortfall_bps"))),
        ("slippage vs arrival, bps", bps(report.get("arrival_slippage_bps"))),
        ("fees, bps", bps(report.get("fees_bps"))),
        ("average price", price(report.get("average_price"))),
        ("filled", f"{figure(report.get('total_filled'))}"),
    ]


def _card(name: str, value: str) -> str:
    return f'<div class="card"><b>{escape(value)}</b><span>{escape(name)}</span></div>'


_HEADS = (
    *("child order", "slice", "outcome", "waited, s", "quantity", "executed", "average", "mid at send"),
    *("spread", "walk", "drift, bps", "fees", "failure"),
)


def _children(report: Json) -> str:
    rows = []
    for order in _orders(report):
        cells = (
            str(order.get("client_order_id", "")),
            slice_of(order),
            str(order.get("outcome", "")),
            figure_to(order.get("waited_seconds"), 1),
            figure(order.get("quantity")),
            figure(order.get("executed_quantity")),
            price(order.get("average_price")),
            price(order.get("mid_at_send")),
            bps(order.get("spread_bps")),
            bps(order.get("walk_bps")),
            bps(order.get("drift_bps")),
            amounts(order.get("fees")),
            str(order.get("failure_reason") or ""),
        )
        rows.append(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>")
    if not rows:
        return "<p>none</p>"
    head = "".join(f"<th>{escape(name)}</th>" for name in _HEADS)
    return f'<table class="children"><tr>{head}</tr>{"".join(rows)}</table>'


# The chart ----------------------------------------------------------------------------------------


def _chart(report: Json, plan: Json) -> str:
    begin, end = _moment(report.get("started_at")), _moment(report.get("ended_at"))
    if begin is None or end is None or end <= begin:
        return ""
    until = (end - begin).total_seconds()
    across = (-0.015 * until, 1.015 * until)
    panels = [
        _quantities(report, plan, begin, until, across),
        _prices(report, plan, begin, until, across),
    ]
    return drawing(panels, WIDTH, 505, "planned and executed quantity, and prices, over time")


def _quantities(report: Json, plan: Json, begin: datetime, until: float, across: tuple[float, float]) -> Panel:
    planned = _planned(plan, begin, until)
    done, total = [(0.0, 0.0)], 0.0
    for at, quantity, _, _ in _fills(report, begin):
        total += quantity
        done.append((at, total))
    top = max([total, *(value for _, value in planned)])
    panel = Panel(across, (0.0, top * 1.06 or 1.0), LEFT, 34, WIDTH - LEFT - RIGHT, 190)
    panel.axes(None, _short, "quantity")
    panel.steps(planned, until, PLAN, "band")
    panel.steps(done, until, DONE)
    panel.legend([("planned", PLAN), ("executed", DONE)])
    return panel


def _prices(report: Json, plan: Json, begin: datetime, until: float, across: tuple[float, float]) -> Panel:
    fills = _fills(report, begin)
    levels = {
        "arrival": (_number(report.get("arrival_price")), ARRIVAL),
        "interval TWAP": (_number(report.get("interval_twap_price")), TWAP),
        "limit": (_number(plan.get("limit_price")), LIMIT),
    }
    mids = [
        (at, mid)
        for order in _orders(report)
        if (at := _since(order.get("sent_at"), begin)) is not None
        and (mid := _number(order.get("mid_at_send"))) is not None
    ]
    ending = _number(report.get("end_price"))
    mids = [*mids, *([(until, ending)] if ending is not None else [])]
    seen = [value for name, (value, _) in levels.items() if value is not None and name != "limit"]
    seen += [mid for _, mid in mids] + [paid for _, _, paid, _ in fills]
    panel = Panel(across, padded(seen or [0.0]), LEFT, 278, WIDTH - LEFT - RIGHT, 200)
    panel.axes(lambda value: f"{value:g} s", _short, "price")
    shown = [("mid", MID), ("fills", FILL)]
    for name, (value, colour) in levels.items():
        if value is not None and panel.y[0] <= value <= panel.y[1]:
            panel.level(value, colour)
            shown.append((name, colour))
    if mids:
        panel.line(mids, MID)
    largest = max((quantity for _, quantity, _, _ in fills), default=1.0)
    for at, quantity, paid, note in fills:
        panel.dot(at, paid, FILL, note, 3.0 + 3.5 * (quantity / largest) ** 0.5)
    panel.legend(shown)
    return panel


def _planned(plan: Json, begin: datetime, until: float) -> list[Point]:
    """The planned quantity as steps, up to the end of the execution."""
    points, total = [(0.0, 0.0)], 0.0
    start = _since(plan.get("start_at"), begin) or 0.0
    interval = _number(plan.get("interval_seconds")) or 0.0
    slices, delays = _list(plan.get("slices")), _list(plan.get("delays"))
    for index, quantity in enumerate(slices):
        delay = _number(delays[index % len(delays)]) if delays else 0.0
        at = max(0.0, start + index * interval + (delay or 0.0))
        total += _number(quantity) or 0.0
        if at <= until:
            points.append((at, total))
    return points


def _fills(report: Json, begin: datetime) -> list[tuple[float, float, float, str]]:
    """Each child that executed: when (seconds), how much, at what average price, and what to say of it."""
    fills = []
    for order in _orders(report):
        at, quantity = _since(order.get("filled_at"), begin), _number(order.get("executed_quantity"))
        paid = _number(order.get("average_price"))
        if at is not None and quantity and paid is not None:
            done = f"{figure(order.get('executed_quantity'))} at {price(order.get('average_price'))}"
            note = f"slice {slice_of(order)}: {done}"
            fills.append((max(0.0, at), quantity, paid, note))
    return sorted(fills)


def _short(value: float) -> str:
    return f"{value:,.2f}" if abs(value) >= 100 else f"{value:.6g}"


# Reading the view -----------------------------------------------------------------------------------


def _record(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def _orders(report: Json) -> list[Json]:
    orders = report.get("orders")
    return [order for order in orders if isinstance(order, Mapping)] if isinstance(orders, Sequence) else []


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def _number(value: object) -> float | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        return float(Decimal(str(value)))
    except InvalidOperation:
        return None


def _when(value: object) -> str:
    moment = _moment(value)
    return "" if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _moment(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(value))
    except ValueError:
        return None


def _since(value: object, begin: datetime) -> float | None:
    moment = _moment(value)
    return None if moment is None else (moment - begin).total_seconds()
