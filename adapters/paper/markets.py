"""Which liquidity each symbol gets: synthetic by preset, replayed from files, or a block book."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path

from adapters.paper.liquidity.base import Liquidity
from adapters.paper.liquidity.ow import BlockBook, BlockBookMarket
from adapters.paper.liquidity.replay import Frame, ReplayMarket, merge, read_frames
from adapters.paper.liquidity.scripted import ScriptedMarket
from adapters.paper.liquidity.synthetic import PRESETS, Preset, SyntheticMarket
from adapters.paper.rules import SymbolSpec

START_PRICES: Mapping[str, Decimal] = {
    "BTCUSDT": Decimal(65_000),
    "ETHUSDT": Decimal(3_000),
    "BNBUSDT": Decimal(600),
    "DOGEUSDT": Decimal("0.12"),
}
_USUAL: Mapping[str, Preset] = {
    "BTCUSDT": PRESETS["btc"],
    "ETHUSDT": replace(PRESETS["btc"], depth=75_000.0, touch=60_000.0, takers=7.0, size_mu=4.8),
    "BNBUSDT": replace(PRESETS["alt"], spread=1.0),
    "DOGEUSDT": PRESETS["alt"],
}


OW_SYMBOL = "BTCUSDT"
OW_DEFAULTS: Mapping[str, Decimal] = {"q": Decimal("0.63"), "rho": Decimal(1), "lam": Decimal(0)}
"""A block book like BTCUSDT's at 65,000: 4.1 BTC per basis point. `h` is one tick if left out."""


class BadMarket(ValueError):
    """A market is asked for that there is none of; the text says what there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketChoice:
    """What the markets are made of.

    `market` is `synthetic`, `scripted` (empty books, set by hand), `replay:FILE[,FILE...]` or
    `ow:q=...,rho=...,lam=...[,h=...][,symbol=...]` (a block book of BTCUSDT or of the symbol named;
    what is left out is `OW_DEFAULTS`); the other symbols of the last two are synthetic. `preset` is
    the synthetic one for all symbols; None gives each symbol what is usual for it.
    """

    market: str = "synthetic"
    seed: int | str = 0
    preset: str | None = None
    start_prices: Mapping[str, Decimal] = field(default_factory=lambda: dict(START_PRICES))


def market_choice(market: str, preset: str, seed: int) -> MarketChoice:
    """Say what the paper exchange's markets are made of."""
    return MarketChoice(market=market, seed=seed, preset=None if preset == "usual" else preset)


def build_markets(choice: MarketChoice, specs: Mapping[str, SymbolSpec], origin: int) -> dict[str, Liquidity]:
    """Make the liquidity of every symbol, beginning at `origin` (microseconds); `BadMarket`, `BadRecording`."""
    kind, _, rest = choice.market.partition(":")
    if kind == "scripted":
        return {symbol: ScriptedMarket(spec.step) for symbol, spec in specs.items()}
    if kind not in {"synthetic", "replay", "ow"}:
        known = "synthetic, scripted, replay:FILE[,FILE...] and ow:q=...,rho=...,lam=..."
        raise BadMarket(f"market {choice.market!r}: there are {known}")
    if choice.preset is not None and choice.preset not in PRESETS:
        raise BadMarket(f"preset {choice.preset!r}: there are {', '.join(PRESETS)}")
    markets: dict[str, Liquidity] = {symbol: _synthetic(choice, spec, origin) for symbol, spec in specs.items()}
    if kind == "ow":
        symbol, book = _block_book(rest, choice, specs, origin)
        markets[symbol] = book
    if kind == "replay":
        paths = [Path(name) for name in rest.split(",") if name]
        for symbol in recorded_symbols(paths):
            if symbol not in specs:
                raise BadMarket(f"the recording's symbol {symbol} has no rules here")
            markets[symbol] = ReplayMarket(merge(paths, symbol), step=specs[symbol].step, origin=origin)
    return markets


def recorded_symbols(paths: list[Path]) -> list[str]:
    """List the symbols whose frames the recordings hold, by name; `BadMarket` if there is no file or symbol."""
    if not paths:
        raise BadMarket("replay: needs at least one file")
    try:
        found = sorted({frame.symbol for path in paths for frame in _some(path) if frame.symbol})
    except OSError as error:
        raise BadMarket(f"a recording cannot be read: {error}") from error
    if not found:
        raise BadMarket("there is no stream frame in the recordings")
    return found


def _some(path: Path) -> list[Frame]:
    frames = []
    for frame in read_frames(path):
        frames.append(frame)
        if len(frames) >= 200:
            break
    return frames


def _block_book(
    text: str, choice: MarketChoice, specs: Mapping[str, SymbolSpec], origin: int
) -> tuple[str, BlockBookMarket]:
    """Read `name=value,...` and make that symbol's block book."""
    symbol, given = _ow_parameters(text)
    if symbol not in specs:
        raise BadMarket(f"ow: there is no symbol {symbol!r} here")
    spec, price = specs[symbol], choice.start_prices.get(symbol, Decimal(1))
    try:
        book = BlockBook(q=given["q"], rho=given["rho"], lam=given["lam"], half_spread=given.get("h", spec.tick))
        return symbol, BlockBookMarket(book, price=price, tick=spec.tick, step=spec.step, origin=origin)
    except ValueError as error:
        raise BadMarket(f"ow: {error}") from error


def _ow_parameters(text: str) -> tuple[str, dict[str, Decimal]]:
    symbol, given = OW_SYMBOL, dict(OW_DEFAULTS)
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        if name == "symbol":
            symbol = value.upper()
            continue
        if name not in {*OW_DEFAULTS, "h"}:
            raise BadMarket(f"ow: there is no {name!r}; there are q, rho, lam, h and symbol")
        try:
            given[name] = Decimal(value)
        except InvalidOperation:
            given[name] = Decimal("NaN")
        if not given[name].is_finite():
            raise BadMarket(f"ow: {name} must be a number, not {value!r}")
    return symbol, given


def _synthetic(choice: MarketChoice, spec: SymbolSpec, origin: int) -> SyntheticMarket:
    preset = _USUAL.get(spec.symbol, PRESETS["alt"]) if choice.preset is None else PRESETS[choice.preset]
    return SyntheticMarket(
        seed=f"{choice.seed}/{spec.symbol}",
        preset=preset,
        start_price=choice.start_prices.get(spec.symbol, Decimal(1)),
        tick=spec.tick,
        step=spec.step,
        origin=origin,
    )
