"""What people see in a terminal: tables and reports drawn from plain views, nothing else.

Every function takes JSON as the daemon serves it (amounts as strings) and returns something that rich
can print; nothing here asks, waits or decides. Money keeps its digits: it goes from text to text
through Decimal, prices are rounded for show to `PRICE_DIGITS` significant digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text, TextType

from messages.money import plain

Json = Mapping[str, object]

PRICE_DIGITS = 10
WIDTH = 100
_ENDLESS = 1000
NOTHING = "–"

_COLOURS = {
    "accepted": "green",
    "duplicate": "yellow",
    "conflict": "red",
    "rejected": "yellow",
    "COMPLETED": "green",
    "FILLED": "green",
    "PARTIAL": "yellow",
    "TIMEOUT": "yellow",
    "FAILED": "red",
    "READY": "green",
    "HALTED": "red",
}


# Figures ------------------------------------------------------------------------------------------


def figure(value: object) -> str:
    """Write an amount as it is, without trailing zeros; a dash for none."""
    amount = _amount(value)
    return NOTHING if amount is None else plain(amount)


def price(value: object) -> str:
    """Write a price to `PRICE_DIGITS` significant digits."""
    amount = _amount(value)
    if amount is None:
        return NOTHING
    return plain(Context(prec=PRICE_DIGITS, rounding=ROUND_HALF_EVEN).plus(amount))


def bps(value: object) -> str:
    """Write basis points with a sign and two decimals; positive is a cost."""
    amount = _amount(value)
    return NOTHING if amount is None else f"{amount:+.2f}"


def figure_to(value: object, digits: int) -> str:
    """Write an amount with so many decimals."""
    amount = _amount(value)
    return NOTHING if amount is None else f"{amount:.{digits}f}"


def percent(value: object) -> str:
    """Write a percentage with two decimals."""
    amount = _amount(value)
    return NOTHING if amount is None else f"{amount:.2f} %"


def amounts(value: object) -> str:
    """Write amounts by asset, `0.0005 BTC, 1.2 USDT`, from an object or a list of pairs."""
    listed = value.items() if isinstance(value, Mapping) else value
    pairs = listed if isinstance(listed, Iterable) and not isinstance(listed, str) else ()
    said = [
        f"{figure(pair[1])} {pair[0]}"
        for pair in pairs
        if isinstance(pair, list | tuple) and len(pair) == 2 and _amount(pair[1])
    ]
    return ", ".join(said) or NOTHING


def seconds(value: object) -> str:
    """Write a duration in seconds with one decimal."""
    amount = _amount(value)
    return NOTHING if amount is None else f"{amount:.1f} s"


def moment(value: object, form: str = "%Y-%m-%d %H:%M:%S UTC") -> str:
    """Write an ISO 8601 moment to the second, as it was given (UTC)."""
    try:
        return datetime.fromisoformat(str(value)).strftime(form)
    except ValueError:
        return NOTHING


def since(value: object, now: object) -> str:
    """Write the time of day of an ISO 8601 moment, with its date where that is not the date of `now`."""
    return moment(value, "%H:%M:%S" if str(value)[:10] == str(now)[:10] else "%Y-%m-%d %H:%M:%S")


def _amount(value: object) -> Decimal | None:
    if value is None or isinstance(value, bool | float):
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None


def word(value: object) -> Text:
    """Write a code, in its colour if it has one."""
    text = NOTHING if value in {None, ""} else str(value)
    return Text(text, style=_COLOURS.get(text.partition(":")[0], ""))


def share(part: object, whole: object) -> str:
    """Write a part of a whole in per cent; a dash without a whole."""
    done, of = _amount(part), _amount(whole)
    return NOTHING if done is None or not of else f"{done / of * 100:.0f} %"


# Verdicts -----------------------------------------------------------------------------------------

_ABOUT = {"duplicate": "duplicate of", "conflict": "conflict with"}


def verdict_line(verdict: Json) -> str:
    """Say a verdict in one line: of which execution, or why not."""
    status, other = str(verdict.get("status")), verdict.get("duplicate_of")
    said = f"{_ABOUT.get(status, status)} {other}" if other else status
    if verdict.get("execution_id"):
        said += f", execution {verdict['execution_id']}"
    if verdict.get("first_seen"):
        said += f", first seen {verdict['first_seen']}"
    reason = str(verdict.get("reason") or "")
    if reason and reason.lower() != status:
        said += f", {reason}"
    return f"{said}: {verdict['detail']}" if verdict.get("detail") else said


# Executions ---------------------------------------------------------------------------------------


def executions_table(executions: Sequence[Json], title: str | None = None) -> RenderableType:
    """List executions, one a line, in the order given."""
    if not executions:
        return Text("no executions")
    drawn = table(title, "execution", "accepted", "order", "state")
    for name in ("quantity", "filled", "%", "average", "bps", "fees"):
        drawn.add_column(name, justify="right", no_wrap=True)
    for view in executions:
        figures = _figures_of(view)
        drawn.add_row(
            str(view.get("execution_id", NOTHING)),
            moment(view.get("accepted_at"), "%m-%d %H:%M"),
            f"{view.get('side', '')} {view.get('symbol', '')}",
            word(str(view.get("stop_reason") or view.get("state") or "").partition(":")[0]),
            figure(view.get("quantity")),
            figure(figures.get("total_filled")),
            share(figures.get("total_filled"), view.get("quantity")),
            price(figures.get("average_price")),
            bps(figures.get("arrival_slippage_bps")),
            amounts(figures.get("total_fees")),
        )
    return Fitting(drawn, ("accepted", "bps", "quantity", "fees", "average", "%", "filled", "state"))


def status_line(status: Json) -> Text:
    """Say in one line how the daemon stands and why, then every plain figure beside it."""
    line = Text("tidegate ")
    line.append_text(word(status.get("readiness")))
    if why := status.get("halted") or status.get("detail"):
        line.append(f": {why}")
    for name in ("mode", "epoch", "running", "seq"):
        if status.get(name) is not None:
            line.append(f"  {name} {status[name]}")
    return line


def _figures_of(view: Json) -> Json:
    """The figures of an execution: its report's once there is one, else its own so far."""
    report = view.get("report")
    return report if isinstance(report, Mapping) else view


# One report ---------------------------------------------------------------------------------------


def report_view(report: Json, execution_id: str = "", signal: str = "") -> RenderableType:
    """Draw one execution report: the outcome, its costs, and each child order."""
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="dim")
    lines.add_column()
    for name, value in report_rows(report, execution_id, signal):
        lines.add_row(name, word(value) if name == "outcome" else Text(value))
    return Group(lines, Text(), _children(report))


def signal_of(view: Json) -> str:
    """Name the signal of an execution: whose, its id, and its tag, as far as there are any."""
    named = " / ".join(str(view[name]) for name in ("source", "signal_id") if view.get(name))
    return f"{named}, tag {view['tag']}" if view.get("tag") else named


def report_rows(report: Json, execution_id: str = "", signal: str = "") -> list[tuple[str, str]]:
    """List what a report says, as names and figures in their units; costs are positive."""
    symbol, side = report.get("symbol", ""), report.get("side", "")
    filled = f"{figure(report.get('total_filled'))} of {figure(report.get('quantity'))}"
    done = share(report.get("total_filled"), report.get("quantity"))
    off, most = percent(report.get("tracking_error_percent")), percent(report.get("max_lag_percent"))
    return [
        ("execution", f"{execution_id}  {side} {symbol}".strip()),
        *([("signal", signal)] if signal else []),
        ("outcome", str(report.get("stop_reason") or NOTHING)),
        ("filled", f"{filled} ({done}) for {figure(report.get('filled_quote'))}"),
        ("average price", price(report.get("average_price"))),
        ("arrival price", price(report.get("arrival_price"))),
        ("slippage vs arrival", _parts(report, "arrival_slippage_bps", ("drift", "spread", "walk"))),
        ("of it before the first child", f"{bps(report.get('delay_bps'))} bps"),
        ("fees", amounts(report.get("total_fees"))),
        ("fees in quote", price(report.get("fees_quote"))),
        ("fees in bps", f"{bps(report.get('fees_bps'))} bps"),
        ("not filled", f"{bps(report.get('opportunity_bps'))} bps"),
        ("total shortfall", f"{bps(report.get('total_shortfall_bps'))} bps"),
        ("interval TWAP", price(report.get("interval_twap_price"))),
        ("slippage vs interval TWAP", f"{bps(report.get('interval_twap_bps'))} bps"),
        ("effective spread", f"{bps(report.get('effective_spread_bps'))} bps"),
        *_afterwards(report),
        ("slices", f"{report.get('chunks_executed')} of {report.get('total_chunks')}"),
        ("children sent", str(report.get("children_sent"))),
        ("started", moment(report.get("started_at"))),
        ("took", seconds(report.get("execution_time_seconds"))),
        ("off the plan", f"{off}, at most {most}"),
        ("late", _late(report)),
        ("waited for guards", _guards(report)),
        *_timing(report),
        *_swept(report),
        ("in doubt", seconds(report.get("unknown_seconds"))),
        ("share of the market", share(report.get("participation"), "1")),
    ]


def _parts(report: Json, whole: str, parts: tuple[str, ...]) -> str:
    total = f"{bps(report.get(whole))} bps"
    if any(_amount(report.get(f"{part}_bps")) is None for part in parts):
        return total
    told = (f"{part} {bps(report.get(part + '_bps'))}" for part in parts)
    return f"{total} = {', '.join(told)}"


def _guards(report: Json) -> str:
    waits = report.get("guard_waits", 0)
    total = f"{seconds(report.get('guard_wait_seconds'))}, {waits} {'time' if waits == 1 else 'times'}"
    each = report.get("guard_waits_by")
    if not isinstance(each, list | tuple) or not each:
        return total
    told = (f"{guard or 'unnamed'} {seconds(spent)} ({times})" for guard, times, spent in each)
    return f"{total}: {', '.join(told)}"


def _swept(report: Json) -> list[tuple[str, str]]:
    swept = _amount(report.get("swept"))
    return [("swept up at the end", figure(swept))] if swept else []


def _timing(report: Json) -> list[tuple[str, str]]:
    rows = []
    if waits := report.get("timing_waits"):
        spent, moved = seconds(report.get("timing_seconds")), bps(report.get("timing_bps"))
        rows.append(("waited for the queues", f"{spent}, {waits} times: {moved} bps of the drift"))
    if rested := report.get("children_rested"):
        rows.append(("rested in the book", f"{rested} children, {figure(report.get('maker_filled'))} made"))
    return rows


def _afterwards(report: Json) -> list[tuple[str, str]]:
    """Say what the market did after the trades, and of how much of what was filled that is known."""
    marks = report.get("markouts")
    if not isinstance(marks, list | tuple) or not marks:
        return []
    known = [mark for mark in marks if isinstance(mark, Mapping)]

    def told(name: str) -> str:
        each = (f"{bps(mark.get(name))} after {figure(mark.get('seconds'))} s" for mark in known)
        return f"{', '.join(each)} (bps)"

    shares = ", ".join(share(mark.get("share"), "1") for mark in known)
    rows = [("realised spread", told("realised_spread_bps")), ("impact", told("impact_bps"))]
    if _amount(report.get("reversion_bps")) is not None:
        rows.append(("reversion", f"{bps(report.get('reversion_bps'))} bps"))
    return [*rows, ("both known of", f"{shares} of the fills")]


def _late(report: Json) -> str:
    told = (figure_to(report.get(f"lateness_{name}_ms"), 1) for name in ("p50", "p99", "max"))
    return f"{' / '.join(told)} ms (half, 99 %, most)"


def _children(report: Json) -> RenderableType:
    orders = report.get("orders")
    if not isinstance(orders, list | tuple) or not orders:
        return Text("no child orders")
    drawn = table(None, "child order", "slice", "outcome")
    for name in ("quantity", "executed", "average", "fees", "polls"):
        drawn.add_column(name, justify="right", no_wrap=True)
    drawn.add_column("failure")
    for order in orders:
        if isinstance(order, Mapping):
            drawn.add_row(
                str(order.get("client_order_id", NOTHING)),
                slice_of(order),
                word(order.get("outcome")),
                figure(order.get("quantity")),
                figure(order.get("executed_quantity")),
                price(order.get("average_price")),
                amounts(order.get("fees")),
                str(order.get("polls", 0)),
                str(order.get("failure_reason") or ""),
            )
    return Fitting(drawn, ("polls", "slice", "quantity", "fees", "average", "executed"))


def slice_of(order: Json) -> str:
    """Say which slice a child is of, counted from 1 as on the dashboard, and which attempt where it is a later one."""
    number, attempt = (int(str(order.get(name, 0))) + 1 for name in ("slice", "attempt"))
    return f"{number}" if attempt == 1 else f"{number}, attempt {attempt}"


# The demo -----------------------------------------------------------------------------------------


def demo_table(rows: Sequence[tuple[str, Json, Json | None]]) -> RenderableType:
    """Draw the demo's end: each signal by its name, its verdict, and its report if it was worked."""
    drawn = table(None, "signal", "verdict", "reason")
    for name in ("filled", "average", "slippage bps", "fees"):
        drawn.add_column(name, justify="right", no_wrap=True)
    for name, verdict, report in rows:
        known = report or {}
        drawn.add_row(
            name,
            word(verdict.get("status")),
            str(verdict.get("reason") or known.get("stop_reason") or ""),
            figure(known.get("total_filled")),
            price(known.get("average_price")),
            bps(known.get("arrival_slippage_bps")),
            amounts(known.get("total_fees")),
        )
    return Fitting(drawn, ("slippage bps", "average", "fees"))


class Fitting:
    """A table that does without some of its columns where there is no room for them, the first named first.

    A figure that is cut or folded into several lines can no longer be read; one that is left out is in the report.
    """

    def __init__(self, drawn: Table, spare: Sequence[str]) -> None:
        self._drawn, self._spare = drawn, spare

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Leave out columns until the rest fits, and draw that."""
        drawn = self._drawn
        for name in self._spare:
            if Measurement.get(console, options.update(width=_ENDLESS), drawn).maximum <= options.max_width:
                break
            drawn = _without(drawn, name)
        yield drawn


def _without(drawn: Table, name: str) -> Table:
    kept = [column for column in drawn.columns if column.header != name]
    less = table(drawn.title)
    for column in kept:
        less.add_column(column.header, justify=column.justify, no_wrap=column.no_wrap)
    for cells in zip(*(column.cells for column in kept), strict=True):
        less.add_row(*cells)
    return less


def table(title: TextType | None, *columns: str) -> Table:
    """Begin a table in the style of all of them, with its first columns."""
    drawn = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")
    for name in columns:
        drawn.add_column(name, no_wrap=True)
    return drawn


def rendered(what: RenderableType, width: int = WIDTH, *, colours: bool = False) -> str:
    """Turn something drawn into text of at most `width` columns."""
    console = Console(width=width, force_terminal=colours, no_color=not colours, legacy_windows=False, file=None)
    with console.capture() as capture:
        console.print(what)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()).rstrip("\n")
