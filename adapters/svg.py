"""Charts as plain SVG: axes with round figures, lines, steps, dots and bars. Nothing is fetched to show them.

Positions are floats, for a picture is no account; labels are made by whoever draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal

Point = tuple[float, float]
Label = Callable[[float], str]

STYLE = """
svg { font: 12px system-ui, sans-serif; max-width: 100%; height: auto; }
svg text { fill: var(--ink, #222); }
svg text.faint { fill: var(--faint, #667); }
svg .axis { stroke: var(--axis, #99a); stroke-width: 1; }
svg .grid { stroke: var(--grid, #e4e6ec); stroke-width: 1; }
svg .line { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
svg .band { stroke-width: 6; stroke-opacity: .38; }
svg .dashed { stroke-dasharray: 5 4; }
"""
"""What the classes of the drawings look like; a page may set the variables."""


def round_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Choose at most about `most` round figures (1, 2 or 5 times a power of ten) from low to high."""
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * unit for unit in (1, 2, 5, 10) if power * unit >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def padded(values: Iterable[float], share: float = 0.08) -> tuple[float, float]:
    """Return the range of some figures, with a margin of its `share` on either side; never empty."""
    seen = list(values)
    low, high = min(seen), max(seen)
    margin = (high - low) * share or abs(high) * 1e-4 or 1.0
    return low - margin, high + margin


@dataclass
class Panel:
    """One coordinate system in a drawing: `x` and `y` are the ranges shown, the rest is in pixels."""

    x: tuple[float, float]
    y: tuple[float, float]
    left: float
    top: float
    width: float
    height: float
    parts: list[str] = field(default_factory=list)

    def at(self, x: float, y: float) -> Point:
        """Say where a point is drawn."""
        across = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1.0)
        up = (y - self.y[0]) / ((self.y[1] - self.y[0]) or 1.0)
        return self.left + across * self.width, self.top + (1 - up) * self.height

    def axes(self, x_label: Label | None, y_label: Label, title: str = "", *, y_most: int = 5) -> None:
        """Draw both axes, the grid, the round figures, and a title above."""
        bottom, right = self.top + self.height, self.left + self.width
        for value in round_ticks(*self.y, y_most):
            _, y = self.at(0, value)
            self.parts.append(f'<line class="grid" x1="{self.left:.1f}" x2="{right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
            self.text(self.left - 7, y + 4, y_label(value), anchor="end", faint=True)
        for value in round_ticks(*self.x, 8) if x_label is not None else ():
            x, _ = self.at(value, 0)
            self.parts.append(f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom:.1f}" y2="{bottom + 4:.1f}"/>')
            if x_label is not None:
                self.text(x, bottom + 17, x_label(value), anchor="middle", faint=True)
        self.parts.append(
            f'<path class="axis" fill="none" d="M{self.left:.1f} {self.top:.1f}V{bottom:.1f}H{right:.1f}"/>'
        )
        if title:
            self.text(self.left, self.top - 9, title, bold=True)

    def line(self, points: Sequence[Point], colour: str, kind: Literal["plain", "dashed", "band"] = "plain") -> None:
        """Draw a line through points; a band is a broad pale one."""
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in (self.at(*point) for point in points))
        self.parts.append(f'<polyline class="line {kind}" stroke="{colour}" points="{drawn}"/>')

    def steps(
        self, points: Sequence[Point], until: float, colour: str, kind: Literal["plain", "dashed", "band"] = "plain"
    ) -> None:
        """Draw a function that keeps each point's value until the next one."""
        corners: list[Point] = []
        for index, (x, y) in enumerate(points):
            corners += [(x, y), (points[index + 1][0] if index + 1 < len(points) else until, y)]
        self.line(corners, colour, kind)

    def level(self, y: float, colour: str) -> None:
        """Draw a dashed line across, at a height."""
        self.line([(self.x[0], y), (self.x[1], y)], colour, "dashed")

    def dot(self, x: float, y: float, colour: str, note: str = "", radius: float = 4.0) -> None:
        """Draw a dot; `note` is shown when it is pointed at."""
        across, down = self.at(x, y)
        told = f"<title>{escape(note)}</title>" if note else ""
        self.parts.append(f'<circle cx="{across:.1f}" cy="{down:.1f}" r="{radius:.1f}" fill="{colour}">{told}</circle>')

    def bar(self, x: float, wide: float, begin: float, end: float, colour: str, note: str = "") -> None:
        """Draw an upright bar around `x` from one height to another."""
        left, one = self.at(x - wide / 2, begin)
        right, other = self.at(x + wide / 2, end)
        told = f"<title>{escape(note)}</title>" if note else ""
        self.parts.append(
            f'<rect x="{left:.1f}" y="{min(one, other):.1f}" width="{right - left:.1f}" '
            f'height="{max(1.0, abs(one - other)):.1f}" fill="{colour}" rx="1.5">{told}</rect>'
        )

    def whisker(self, x: float, low: float, high: float, wide: float = 6.0) -> None:
        """Draw an interval as an upright line with two ends."""
        across, bottom = self.at(x, low)
        _, top = self.at(x, high)
        ends = "".join(f"M{across - wide / 2:.1f} {y:.1f}h{wide:.1f}" for y in (bottom, top))
        self.parts.append(f'<path d="M{across:.1f} {bottom:.1f}V{top:.1f}{ends}" stroke="currentColor" fill="none"/>')

    def text(
        self, x: float, y: float, text: str, *, anchor: str = "start", bold: bool = False, faint: bool = False
    ) -> None:
        """Write at a place given in pixels."""
        weight = ' font-weight="600"' if bold else ""
        kind = ' class="faint"' if faint else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{weight}{kind}>{escape(text)}</text>')

    def legend(self, entries: Sequence[tuple[str, str]], *, right: float | None = None) -> None:
        """Name colours above the upper right corner."""
        x = self.left + self.width if right is None else right
        for name, colour in reversed(entries):
            x -= 7.0 * len(name) + 2
            self.text(x, self.top - 9, name)
            x -= 16
            self.parts.append(
                f'<rect x="{x:.1f}" y="{self.top - 18:.1f}" width="11" height="9" fill="{colour}" rx="2"/>'
            )
            x -= 12


def drawing(panels: Sequence[Panel], width: float, height: float, label: str, *, style: bool = False) -> str:
    """Put panels into one SVG element; with `style` it can stand alone, on white."""
    inside = "\n".join(part for panel in panels for part in panel.parts)
    alone = f'<style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>' if style else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{escape(label)}">{alone}\n{inside}\n</svg>'
    )
