"""The settings: their names, types, bounds and defaults, one class a section of the file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    StringConstraints,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from adapters.config.layers import active_layers
from adapters.paper.latency import EXPECTED, BadLatency, read_latency

Mode = Literal["paper", "testnet", "demo", "live"]
Policy = Literal["wait", "skip", "stop"]


def _refuse_bool(value: object) -> object:
    """`num_chunks = true` would otherwise be read as 1."""
    if isinstance(value, bool):
        raise ValueError("should be a number, not true or false")  # noqa: TRY004 - pydantic collects ValueErrors
    return value


def _nothing(value: object) -> object:
    """TOML and the environment have no null: an empty text or `none` stands for "not set"."""
    return None if value in ("", "none") else value


def _structure(value: object) -> object:
    """Read a list or table that came as text, from the environment or the command line."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith(("[", "{")):
        with suppress(json.JSONDecodeError):
            return json.loads(text, parse_float=Decimal)
        try:
            return tomllib.loads(f"value = {text}", parse_float=Decimal)["value"]
        except tomllib.TOMLDecodeError as error:
            raise ValueError("should be written as in TOML or JSON") from error
    return [part.strip() for part in text.split(",") if part.strip()]


def _text(value: object) -> object:
    """Let a number stand where a text may say more than one."""
    return str(_refuse_bool(value)) if isinstance(value, bool | int | float | Decimal) else value


def _latency(value: str) -> str:
    try:
        read_latency(value)
    except BadLatency:
        raise ValueError(EXPECTED) from None
    return value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


# Nothing sensible is larger, and no figure gets so long that writing it down becomes a problem.
_TEN_YEARS = 315_360_000
_A_QUADRILLION = 10**15

Whole = Annotated[int, BeforeValidator(_refuse_bool)]
CountBound = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_refuse_bool), BeforeValidator(_nothing)]
Natural = Annotated[Whole, Field(ge=0)]
Seconds = Annotated[Decimal, Field(ge=0, le=_TEN_YEARS)]
SomeSeconds = Annotated[Decimal, Field(gt=0, le=_TEN_YEARS)]
Fraction = Annotated[Decimal, Field(gt=0, le=1)]
Bps = Annotated[Decimal, Field(ge=0, le=10_000)]
Amount = Annotated[Decimal, Field(ge=0, le=_A_QUADRILLION)]
Bound = Annotated[Annotated[Decimal, Field(gt=0, le=_A_QUADRILLION)] | None, BeforeValidator(_nothing)]
Text = Annotated[str | None, BeforeValidator(_nothing)]
File = Annotated[Path | None, BeforeValidator(_nothing)]
Secret = Annotated[SecretStr | None, BeforeValidator(_nothing)]
Symbol = Annotated[str, BeforeValidator(_upper), StringConstraints(pattern=r"^[A-Z0-9]{2,20}$")]
Asset = Annotated[str, BeforeValidator(_upper), StringConstraints(pattern=r"^[A-Z0-9]{1,20}$")]
Symbols = Annotated[tuple[Symbol, ...], BeforeValidator(_structure), Field(min_length=1)]
Balances = Annotated[dict[Asset, Amount], BeforeValidator(_structure)]
Table = Annotated[dict[str, object], BeforeValidator(_structure)]
Names = Annotated[
    tuple[Annotated[str, StringConstraints(min_length=1, max_length=255)], ...], BeforeValidator(_structure)
]
KeyId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Routes = Annotated[dict[KeyId, Annotated[tuple[KeyId, ...], BeforeValidator(_structure)]], BeforeValidator(_structure)]
Secrets = Annotated[dict[KeyId, SecretStr], BeforeValidator(_structure)]


class Section(BaseModel):
    """What all sections share: no unknown key, no change once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Http(Section):
    """The HTTP face: intakes, control, health, dashboard."""

    host: str = "127.0.0.1"
    """Address to listen on; any but loopback needs allow_remote and a token of at least 22 characters."""
    allow_remote: bool = False
    """Whether others than this machine may be listened to."""
    allowed_hosts: Names = ()
    """More names by which this daemon is reached, as a Host header says them."""
    port: Annotated[Whole, Field(ge=0, le=65_535)] = 8787
    """Port to listen on; 0 takes a free one and says which."""
    token: Secret = None
    """Bearer token that senders show. Better kept in token_file or the environment than here."""
    token_file: File = None
    """File whose content is the bearer token."""
    signing_keys: Secrets = {}
    """Keys of senders that sign their requests: their secrets by key id."""
    require_signature: bool = False
    """Whether /v1/signals takes signed requests only."""
    read_without_token: bool = True
    """Whether browsers on this machine may look at the dashboard without the token; acting always takes it."""

    def bearer_token(self) -> str | None:
        """Give the token that senders must show, from `token` or `token_file`; None if neither is set.

        Raises:
            OSError: the file cannot be read.
            ValueError: there is nothing in it.
        """
        if self.token is not None:
            return self.token.get_secret_value()
        if self.token_file is None:
            return None
        if not (token := self.token_file.read_text(encoding="utf-8").strip()):
            raise ValueError(f"{self.token_file} is empty; it should hold the bearer token")
        return token


class Gate(Section):
    """Which signals are let in at all."""

    symbols: Symbols = ("BTCUSDT", "ETHUSDT", "DOGEUSDT", "BNBUSDT")
    """Symbols that signals may name."""
    cooldown_seconds: Seconds = Decimal(0)
    """Rest between an execution's end and the next signal for the same symbol and side."""
    opposite_signals: Literal["refuse", "both"] = "refuse"
    """A buy while a sell of the symbol runs (or the reverse): refuse it, or run both."""
    max_age_seconds: SomeSeconds = Decimal(60)
    """A signal whose timestamp is older than this is stale."""
    max_future_seconds: Seconds = Decimal(5)
    """A signal whose timestamp lies further ahead than this is refused."""
    max_quote_age_seconds: SomeSeconds = Decimal(5)
    """A quote older than this is no price to accept a signal at."""


class Dedup(Section):
    """What counts as the same signal again."""

    fingerprint: Literal["without_id", "always"] = "without_id"
    """Compare account, symbol, side and price of signals without an id, or of all."""
    cache_ttl_seconds: SomeSeconds = Decimal(600)
    """How long after an execution's end its like still counts as a repeat."""
    price_tolerance_bps: Bps = Decimal(10)
    """How far apart two prices may be and still be the same, in basis points."""
    price_rounding_decimals: Annotated[Whole, Field(ge=0, le=12)] = 0
    """Decimals of the price in the label that people see; nothing is compared by it."""
    retention_days: Annotated[Decimal, Field(gt=0, le=3_650)] = Decimal(7)
    """How long the id of an accepted signal is remembered."""


class Limits(Section):
    """How much may be at stake, in quote units; "none" takes a bound away."""

    max_notional: Bound = Decimal(1_000)
    """Largest value of one execution."""
    max_open_notional_per_symbol: Bound = Decimal(2_000)
    """Largest value of all open executions of one symbol."""
    max_daily_notional: Bound = Decimal(10_000)
    """Largest value accepted within a UTC day."""
    max_executions: CountBound = 5
    """Most executions at a time."""
    max_executions_per_symbol: CountBound = 1
    """Most executions of one symbol at a time."""
    max_signals_per_second: Bound = Decimal(50)
    """Most signals a second of all senders together."""
    max_signals_per_second_per_sender: Bound = Decimal(20)
    """Most signals a second of one sender, which is the source that they name or whose hook they use."""
    signal_burst_seconds: SomeSeconds = Decimal(5)
    """After a pause, as many signals may come at once as this many seconds allow."""


class Twap(Section):
    """How an execution is worked into the market, where its signal does not say otherwise."""

    schedule: Literal["equal", "ow"] = "equal"
    """How the quantity is shared out: equal slices, or large ones at both ends as the book's resilience makes best."""
    rho: Annotated[Decimal, Field(gt=0, le=1_000)] = Decimal(1)
    """Resilience that the ow schedule assumes: the rate per second at which a book comes back."""
    num_chunks: Annotated[Whole, Field(ge=1, le=10_000)] = 5
    """Number of slices."""
    interval_seconds: SomeSeconds = Decimal(30)
    """Time from one slice to the next."""
    jitter: Annotated[Decimal, Field(ge=0, le=Decimal("0.5"))] = Decimal(0)
    """Slices differ in size by up to this share, and are due up to this share of the interval later; 0: not at all."""
    max_price_deviation: Fraction = Decimal("0.01")
    """Stop when the price has moved this far against us since the arrival, as a fraction."""
    deviation_side: Literal["adverse", "both"] = "adverse"
    """Whether only a move against us counts as deviation, or one on both sides."""
    min_chunk_value: Amount = Decimal(50)
    """Least value of a slice while there is more than one, in quote units."""
    check_spread: bool = True
    """Whether the spread guard is on."""
    max_spread: Fraction = Decimal("0.005")
    """Widest spread to trade at, as a fraction of the mid."""
    slice_above_notional: Amount = Decimal(1_000)
    """Orders worth more than this are sliced, in quote units; smaller ones go directly ..."""
    slice_above_depth_share: Fraction = Decimal("0.10")
    """... unless they exceed this share of the book's depth ..."""
    depth_bps: Bps = Decimal(10)
    """... within this many basis points of the touch."""
    child: Literal["ioc", "market", "passive", "auto"] = "ioc"
    """LIMIT IOC at the touch plus cap_bps, MARKET, posted at the touch to the slot's deadline, or what is best."""
    cap_bps: Bps = Decimal(20)
    """How far beyond the touch an IOC child may reach, in basis points."""
    timing: bool = False
    """Whether the child of a slice waits in its slot until the queues at the touch press against it."""
    slot_deadline: Annotated[Decimal, Field(gt=0, lt=1)] = Decimal("0.8")
    """The slot's deadline, as a fraction of the interval: no child waits for the queues, or rests, any longer."""
    fee_gap_bps: Annotated[Decimal, Field(ge=-100, le=100)] = Decimal(0)
    """How much less a maker pays than a taker, in basis points, where the venue does not say; auto weighs it."""
    catch_up: Literal["none", "spread", "cap"] = "spread"
    """What slots missed or left unfilled do to later ones: nothing, spread evenly, or fill up to the cap."""
    catch_up_cap: Annotated[Decimal, Field(ge=1, le=10_000)] = Decimal(2)
    """No caught-up slice is larger than this many planned ones."""
    extra_slots: Natural = 2
    """Slots that may be added after the planned end for what is left."""
    remainder: Literal["report", "sweep"] = "report"
    """What is left after the last slot is reported, or sent as one more child, under the cap and before the end."""
    guard_wait_seconds: Annotated[Seconds | None, BeforeValidator(_nothing)] = None
    """How long a slice may wait for its guards to hold; not set: to the end of its slot."""
    max_quote_age_seconds: SomeSeconds = Decimal(5)
    """A quote older than this is no price to trade on."""
    max_spread_multiple: Bound = None
    """Widest spread in multiples of the usual one, which is the median of the last five minutes; not set: no bound."""
    max_depth_share: Annotated[Fraction | None, BeforeValidator(_nothing)] = None
    """Largest child as a share of what stands within depth_bps on the side that it takes; not set: no bound."""
    max_participation: Annotated[Fraction | None, BeforeValidator(_nothing)] = None
    """Most that an execution may trade of what the whole market trades meanwhile, as a share; not set: no bound."""
    guard_patience_seconds: SomeSeconds = Decimal(600)
    """How long a guard with the policy wait may hold up an execution, slots passing meanwhile, before it stops it."""
    on_spread: Policy = "stop"
    """A spread too wide to the end of the waiting: wait on while slots pass, skip the slot, or stop the execution."""
    on_deviation: Policy = "stop"
    """The same for a price that has moved too far against us."""
    on_stale: Policy = "skip"
    """The same for a market of which nothing is heard."""
    on_limit_price: Policy = "skip"
    """The same for a price beyond the signal's limit price."""
    on_depth: Policy = "skip"
    """The same for a book too thin for max_depth_share of it to be the smallest child."""
    on_symbol_status: Policy = "stop"
    """The same for a symbol that does not trade (HALT, BREAK)."""
    on_balance: Policy = "stop"
    """The same for a balance too low for the child."""
    partial_direct: Literal["accept", "requeue"] = "accept"
    """A direct order that fills in part: accept it with a warning, or try again for the rest."""
    partial_slice: Literal["requeue", "accept"] = "requeue"
    """A slice that fills in part: put the rest into later slots, or leave it unfilled."""


class Watcher(Section):
    """How an order's fate is followed and, where it is unknown, proven."""

    poll_interval_seconds: SomeSeconds = Decimal(2)
    """First wait before the venue is asked about an order of which the stream says nothing."""
    timeout_seconds: SomeSeconds = Decimal(30)
    """An order without an end by then is cancelled, or its fate is put to proof."""
    absent_after_seconds: SomeSeconds = Decimal(60)
    """Without a control, an order seen nowhere for so long counts as never executed."""
    engine_wait_seconds: Seconds = Decimal(10)
    """How long the exchange's engine may sit on a request it has let in."""
    margin_seconds: Seconds = Decimal(5)
    """Added to the above before any absence is believed."""


class Venue(Section):
    """The exchange that orders go to; in paper mode, without URLs, the one in this process."""

    rest_url: Text = None
    """Base URL of the REST API; not set: the one of the mode."""
    ws_api_url: Text = None
    """URL of the WebSocket API; not set: the one of the mode."""
    stream_url: Text = None
    """Base URL of the market streams; not set: the one of the mode."""
    api_key: Secret = None
    """API key."""
    api_secret: Secret = None
    """Secret of an HMAC key."""
    private_key_file: File = None
    """PEM file of an Ed25519 key, instead of api_secret."""
    private_key_passphrase: Secret = None
    """What opens that file, if it is encrypted."""
    allow_dangerous_key: bool = False
    """Trade live although the key may withdraw or transfer, or works everywhere; each start warns. Better mend it."""
    recv_window_ms: Annotated[Whole, Field(ge=100, le=60_000)] = 2_000
    """A request older than this when it arrives is refused by the exchange."""


class Paper(Section):
    """The paper exchange, in paper mode."""

    market: Annotated[str, StringConstraints(pattern=r"^(synthetic|replay:.+|ow:.+)$")] = "synthetic"
    """Where prices come from: synthetic, replay:FILE[,FILE...] or ow:q=...,rho=...,lam=..."""
    preset: Literal["usual", "btc", "alt", "thin", "stress"] = "usual"
    """Temper of the synthetic market: one for all symbols, or what is usual for each."""
    seed: Whole = 1
    """What the synthetic market is drawn from."""
    latency: Annotated[str, BeforeValidator(_text), AfterValidator(_latency)] = "0"
    """Milliseconds that messages take each way: as 20, or as 5-80, drawn from between by the seed; 0: none."""
    orders_per_10_seconds: Annotated[Whole, Field(ge=1, le=1_000_000)] = 50
    """Unfilled orders that the paper exchange takes within ten seconds."""
    balances: Balances = {
        "BTC": Decimal(10),
        "ETH": Decimal(200),
        "USDT": Decimal(1_000_000),
        "BNB": Decimal(20),
    }
    """What a new paper account holds; a table given here replaces this one as a whole."""
    bnb_discount: bool = False
    """Whether commissions are paid in BNB, a quarter less, as long as there is enough of it."""
    api_key: str = "paper-key"
    """API key that the paper exchange knows."""
    api_secret: str = "paper-secret"  # noqa: S105 - known to everybody, opens nothing
    """Secret of that key."""


class Alerts(Section):
    """Where alerts go besides the log and the dashboard; needs the package apprise."""

    sinks: Secrets = {}
    """Addresses by names of your choice, as apprise writes them: phone = "ntfy://topic"."""
    level: Annotated[Literal["info", "warning", "error", "critical"], BeforeValidator(_lower)] = "warning"
    """Least important alerts that are sent."""
    quiet: Annotated[str, StringConstraints(pattern=r"^(|([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d)$")] = ""
    """Hours (UTC) in which only critical ones are sent and others wait: "22:00-06:00"; empty: none."""
    routes: Routes = {}
    """Sinks of single kinds, where not all are meant: halt = ["phone"], partial_fill = []."""


class Log(Section):
    """What the daemon says of itself."""

    level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = "info"
    """Least important records that are written."""
    format: Literal["auto", "console", "json"] = "auto"
    """console for people, json for machines, auto: console on a terminal and json elsewhere."""


MODE_DEFAULTS: Mapping[str, Mapping[str, Mapping[str, object]]] = {
    "paper": {
        "gate": {"opposite_signals": "both"},
        "limits": {
            "max_notional": Decimal(2_000_000),
            "max_open_notional_per_symbol": Decimal(10_000_000),
            "max_daily_notional": Decimal(100_000_000),
            "max_executions": 1_000,
            "max_executions_per_symbol": 500,
            "max_signals_per_second": Decimal(5_000),
            "max_signals_per_second_per_sender": Decimal(2_000),
        },
    },
    "testnet": {
        "venue": {
            "rest_url": "https://testnet.binance.vision",
            "ws_api_url": "wss://ws-api.testnet.binance.vision/ws-api/v3",
            "stream_url": "wss://stream.testnet.binance.vision",
        },
    },
    "demo": {
        "venue": {
            "rest_url": "https://demo-api.binance.com",
            "ws_api_url": "wss://demo-ws-api.binance.com/ws-api/v3",
            "stream_url": "wss://demo-stream.binance.com",
        },
    },
    "live": {
        "venue": {
            "rest_url": "https://api.binance.com",
            "ws_api_url": "wss://ws-api.binance.com/ws-api/v3",
            "stream_url": "wss://stream.binance.com",
        },
    },
}
"""Defaults that depend on the mode: they stand above a section's own and below all that is configured."""


class _Origins(dict[str, str]):
    """Where values come from is no part of what they are: any two of these are equal."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Origins)

    __hash__ = None  # as of any dict


class Config(BaseSettings):
    """The whole configuration.

    Built directly, it holds the defaults of its mode and what it is given, and reads neither file nor
    environment; `load_config` reads them.
    """

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    mode: Mode = "paper"
    """paper (an exchange of our own, no keys), testnet, demo or live (real money)."""
    data_dir: Path = Path("data")
    """Directory of the journal and of the paper account; one daemon at a time may use it."""
    archive_after_days: Annotated[Decimal, Field(ge=2, le=3650)] = Decimal(2)
    """Days after which what a closed execution left in the journal is archived: kept, but no longer read by a start."""
    account: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,32}$")] = "main"
    """Name of the account that signals are executed for."""
    consent: Text = None
    """In live mode the account's name once more, so that nobody trades real money by accident."""

    http: Http = Http()
    gate: Gate = Gate()
    dedup: Dedup = Dedup()
    limits: Limits = Limits()
    twap: Twap = Twap()
    watcher: Watcher = Watcher()
    venue: Venue = Venue()
    paper: Paper = Paper()
    templates: Table = {}
    """How bodies of other senders map to signals, one table a sender."""
    alerts: Alerts = Alerts()
    log: Log = Log()

    _origins: _Origins = PrivateAttr(default_factory=_Origins)

    @property
    def origins(self) -> Mapping[str, str]:
        """Where the value of each dotted key comes from; empty unless `load_config` read it."""
        return self._origins

    def remember_origins(self, origins: Mapping[str, str]) -> None:
        """Note where the values come from; for `load_config`."""
        self._origins.update(origins)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the hook's signature
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read what `load_config` has laid out, in place of whatever lies around in the environment."""
        return (init_settings, *active_layers(settings_cls))

    @model_validator(mode="before")
    @classmethod
    def _fill_in_what_the_mode_implies(cls, data: dict[str, Any]) -> dict[str, Any]:
        filled = dict(data)
        for section, values in MODE_DEFAULTS.get(str(data.get("mode", "paper")), {}).items():
            given = data.get(section, {})
            if isinstance(given, Mapping):
                filled[section] = {**values, **given}
        return filled


SECTIONS: Mapping[str, type[Section]] = {
    name: field.annotation
    for name, field in Config.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
}
"""The sections that have fixed keys, by name."""
