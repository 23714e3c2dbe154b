"""`run.py status --watch`: the dashboard's state in a terminal, looked at again and again until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NoReturn

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from adapters.client import Client, ClientError, Refused
from adapters.console import one_line, wide_enough
from adapters.terminal import NOTHING, Fitting, amounts, bps, figure, price, share, since, table, word
from messages.money import plain

Json = Mapping[str, Any]

EVERY_SECONDS: Final = 0.5
CLOSED_SHOWN: Final = 5
BAR: Final = 12
MODES: Final = {"live": ("LIVE · REAL MONEY", "bold white on red"), "paper": ("PAPER", "bold cyan")}
STREAM: Final = {True: "up", False: "down", None: "not open yet"}


def watch(find: Callable[[], Client], *, json: bool, every: float = EVERY_SECONDS) -> NoReturn:
    """Look again and again, until interrupted; `find` says where the daemon listens.

    On a terminal one view is drawn in place, elsewhere one is printed a look; as JSON one line a look. The
    first look raises what a client raises; later ones say that there is no connection, and try again.
    """
    view: Json = find().present()
    console = wide_enough()
    with Live(console=console, auto_refresh=False, transient=False, vertical_overflow="ellipsis") as live:
        while True:
            if json:
                one_line(view)
            elif console.is_terminal:
                live.update(watched(view), refresh=True)
            else:
                console.print(watched(view))
            time.sleep(every)
            view = _look(find, view)


def _look(find: Callable[[], Client], last: Json) -> Json:
    try:
        return find().present()
    except Refused:
        raise
    except ClientError as error:  # Also while it starts again: whoever watches wants to see it come back.
        return {**last, "lost": str(error)}


# Drawing --------------------------------------------------------------------------------------------------------------


def watched(state: Json, *, closed: int = CLOSED_SHOWN) -> RenderableType:
    """Draw how the daemon stands, what it works on against its schedule, what ended of late, and what is the matter."""
    parts: list[RenderableType] = [_bar(state)]
    if lost := state.get("lost"):
        parts.append(Text(f"no connection, what is shown may be over; trying again ({lost})", style="bold red"))
    if halted := state["halted"]:
        parts.append(Text(f"trading is halted: {halted}", style="bold red"))
    parts += [Text(), running_table(state["running"], state["now"])]
    if state["closed"] and closed:
        parts += [Text(), closed_table(state["closed"][:closed])]
    standing = [alert for alert in state["alerts"] if alert["cleared_at"] is None]
    if standing:
        parts += [Text(), *(_alert(alert, state["now"]) for alert in standing)]
    return Group(*parts)


def running_table(running: Sequence[Json], now: str) -> RenderableType:
    """List what is being worked: filled against schedule, cost so far, what comes next or is waited for."""
    if not running:
        return Text("nothing is being worked", style="dim")
    drawn = table(None, "running")
    drawn.add_column("filled against schedule", no_wrap=True)
    for name in ("average", "arrival", "TWAP"):
        drawn.add_column(name, justify="right", no_wrap=True)
    drawn.add_column("next child", justify="right", no_wrap=True)
    for one in running:
        drawn.add_row(
            Text(f"{one['side']} {figure(one['quantity'])} {one['symbol']}\n").append(one["execution_id"], "dim"),
            _progress(one),
            price(one["average_price"]),
            bps(one["arrival_slippage_bps"]),
            bps(one["interval_twap_bps"]),
            _next(one, now),
        )
    waiting = (Text(f"{one['execution_id']} waits: {one['waiting']}", "yellow") for one in running if one["waiting"])
    return Group(Fitting(drawn, ("TWAP", "average", "arrival", "next child")), *waiting)


def closed_table(closed: Sequence[Json]) -> RenderableType:
    """List what ended of late, the latest first."""
    drawn = table(None, "finished", "order", "outcome")
    for name in ("filled", "average", "arrival", "fees"):
        drawn.add_column(name, justify="right", no_wrap=True)
    for one in closed:
        drawn.add_row(
            one["execution_id"],
            f"{one['side']} {figure(one['quantity'])} {one['symbol']}",
            word(str(one["stop_reason"]).partition(":")[0]),
            share(one["total_filled"], one["quantity"]),
            price(one["average_price"]),
            bps(one["arrival_slippage_bps"]),
            amounts(one["total_fees"]),
        )
    return Fitting(drawn, ("arrival", "fees", "average", "filled", "order"))


def _bar(state: Json) -> Text:
    vitals = state["vitals"]
    mode, style = MODES.get(state["mode"], (str(state["mode"]).upper(), "bold yellow"))
    line = Text.assemble("tidegate ", (f" {mode} ", style), " ").append_text(word(state["readiness"]))
    up = NOTHING if state["started_at"] is None else duration(_seconds(state["now"]) - _seconds(state["started_at"]))
    offset, age = vitals["clock"]["offset_ms"], vitals["market"]["age"]
    for name, value in (
        ("account", state["account"]),
        ("up", up),
        ("market", "no quote" if age is None else duration(age)),
        ("stream", STREAM[vitals["stream"]["open"]]),
        ("clock", NOTHING if offset is None else f"{offset:+} ms"),
        ("budget", _budget(vitals["limits"])),
    ):
        line.append(f"  {name} ", "dim").append(str(value))
    return line


def _budget(limits: Json) -> str:
    shares = [used / limit for _, used, limit in limits["order_counts"]]
    if limits["used_weight"] is not None and limits["weight_limit"]:
        shares.append(limits["used_weight"] / limits["weight_limit"])
    return f"{max(shares) * 100:.0f} %" if shares else NOTHING


def _progress(one: Json) -> Text:
    quantity = Decimal(one["quantity"])
    done = Decimal(one["total_filled"]) / quantity if quantity else Decimal(0)
    behind = one["scheduled"] is not None and Decimal(one["behind"]) > 0
    bar = Text("━" * min(BAR, int(done * BAR)), "yellow" if behind else "green")
    bar.append("─" * (BAR - len(bar)), "dim")
    return bar.append(f" {share(one['total_filled'], one['quantity'])}\n").append(pace(one), "dim")


def pace(one: Json) -> str:
    """Say how far an execution is ahead of its schedule or behind it."""
    if one["scheduled"] is None:
        return "no schedule yet"
    behind = Decimal(one["behind"])
    return "on schedule" if not behind else f"{plain(abs(behind))} {'behind' if behind > 0 else 'ahead'}"


def _next(one: Json, now: str) -> str:
    due = one["next_child_at"]
    if due is not None:
        return f"in {duration(_seconds(due) - _seconds(now))}"
    held = one["waiting"] and not one["open_children"] and one["state"] != "CANCELLING"
    return "on hold" if held else "none left"


def _alert(alert: Json, now: str) -> Text:
    colour = "yellow" if alert["level"] in {"info", "warning"} else "bold red"
    raised = (f"since {since(alert['raised_at'], now)}", "dim")
    return Text.assemble((alert["level"], colour), f" {alert['kind']}: {alert['text']} ", raised)


def duration(seconds: float) -> str:
    """Write a duration as people say it: 4.2 s, 3 min 20 s, 5 h 10 min."""
    whole = int(max(seconds, 0.0))
    if whole < 60:
        return f"{max(seconds, 0.0):.1f} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()
