"""The results of the execution-quality bench, as a table, as a page in docs/, and as a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from adapters.svg import Panel, drawing
from bench.tools.paired import Estimate
from messages.money import plain

DOCS = Path(__file__).parents[2] / "docs"
PAGE, PICTURE = DOCS / "execution-quality.md", DOCS / "execution-quality.svg"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
COLOURS = {
    "one order": "#b45309",
    "naive TWAP": "#8a93a8",
    "ours": "#2563eb",
    "passive": "#0891b2",
    "auto": "#db2777",
    "OW optimum": "#0f9d76",
}
OTHER = "#7c3aed"
FEES = "#d5d9e2"

HEADS = (
    *("policy", "total shortfall", "against naive", "wins", "worst seed", "slippage", "fees", "vs TWAP"),
    *("off plan", "filled", "made", "guards", "timed", "children"),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One policy on one market: costs in bps, `tracking` in %, `waits` and `timed` in s, the others as fractions."""

    policy: str
    shortfall: Estimate
    difference: Estimate | None
    wins: float
    worst: tuple[int, float]
    slippage: float
    fees: float
    timing: float
    tracking: float
    filled: float
    waits: float
    timed: float
    made: float
    children: float
    violations: int

    def row(self) -> tuple[str, ...]:
        """Write it under `HEADS`."""
        against = self.difference
        return (
            self.policy,
            str(self.shortfall),
            "" if against is None else str(against),
            "" if against is None else f"{self.wins:.0%}",
            "" if against is None else f"{self.worst[1]:+.2f} ({self.worst[0]})",
            f"{self.slippage:+.2f}",
            f"{self.fees:.2f}",
            f"{self.timing:+.2f}",
            f"{self.tracking:.1f} %",
            f"{self.filled:.1%}",
            f"{self.made:.0%}",
            f"{self.waits:.1f} s",
            f"{self.timed:.1f} s",
            f"{self.children:.1f}",
        )


@dataclass(frozen=True, slots=True)
class Line:
    """One market: what was worked there, each policy, and the share of the slippage that splitting saves."""

    market: str
    quantity: Decimal
    cells: tuple[Cell, ...]
    saved: Estimate

    def text(self) -> str:
        """Write it for a terminal."""
        rows = [HEADS, *(cell.row() for cell in self.cells)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
        said = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([self.title(), *(f"  {row}" for row in said), ""])

    def title(self) -> str:
        """Name the market, the quantity and what splitting saves."""
        saved = self.saved
        share = f"{saved.mean:.0%} [{saved.low:.0%}, {saved.high:.0%}]"
        return f"{self.market}, {plain(self.quantity)} BTC: splitting saves {share} of one order's slippage"

    def markdown(self) -> str:
        """Write it for a page."""
        rows = [HEADS, ("---",) * len(HEADS), *(cell.row() for cell in self.cells)]
        return "\n".join([f"**{self.title()}**", "", *(f"| {' | '.join(row)} |" for row in rows)])


def write_page(lines: Sequence[Line], seeds: range, picture: str) -> None:
    """Put the plot beside the page, and the table between the page's two marks."""
    PICTURE.write_text(picture, encoding="utf-8")
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    told = f"Seeds {seeds[0]} to {seeds[-1]}, buying and selling averaged; costs in bps, 95 % intervals in brackets."
    measured = "\n\n".join([told, *(line.markdown() for line in lines)])
    PAGE.write_text(f"{before}{BEGIN}\n\n{measured}\n\n{END}{after}", encoding="utf-8")


def plot(lines: Sequence[Line]) -> str:
    """Draw each market's total shortfall by policy, fees below and the rest above, with its interval."""
    width, gap, top = 205.0, 62.0, 66.0
    panels = []
    for index, line in enumerate(lines):
        cells = line.cells
        highest = max(cell.shortfall.high for cell in cells)
        lowest = min([0.0, *(cell.shortfall.low for cell in cells)])
        reach = (highest - lowest) or 1.0
        across = (-0.6, len(cells) - 0.4)
        y = (lowest - 0.02 * reach if lowest < 0 else 0.0, highest + 0.08 * reach)
        panel = Panel(across, y, gap + index * (width + gap), top, width, 250)
        panel.axes(None, lambda value: f"{value:g}", f"{line.market}, {plain(line.quantity)} BTC")
        for at, cell in enumerate(cells):
            shortfall, fees = cell.shortfall, cell.fees * cell.filled
            note = f"{cell.policy}: {shortfall}"
            panel.bar(at, 0.62, 0, fees, FEES, note)
            panel.bar(at, 0.62, fees, shortfall.mean, COLOURS.get(cell.policy, OTHER), note)
            panel.whisker(at, shortfall.low, shortfall.high)
        panels.append(panel)
    if panels:
        whole = gap + len(lines) * (width + gap)
        names = [(cell.policy, COLOURS.get(cell.policy, OTHER)) for cell in lines[0].cells]
        heading = panels[0]
        heading.text(gap, 24, "total shortfall in bps of the arrival notional, buying and selling averaged", bold=True)
        legend = Panel((0, 1), (0, 1), gap, top + 286, whole - 2 * gap, 10)
        legend.legend([("fees", FEES), *names])
        panels.append(legend)
        return drawing(panels, whole, top + 300, "total shortfall by market and policy", style=True)
    return drawing(panels, width, top, "nothing measured", style=True)
