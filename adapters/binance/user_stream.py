"""The user-data stream on a connection of its own, and the proof that it still delivers.

Silence proves nothing: a subscription can end while its socket lives. So the venue is asked again
and again whether it still has it, and an order that was taken, or that a query shows to have changed,
must be reported. If not, the stream counts as cut since it last proved itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from msgspec import Raw
from websockets.asyncio.client import ClientConnection

from actors.runtime import Runtime
from adapters.binance.clock import Clock
from adapters.binance.codec import balances_seen, decode, order_report
from adapters.binance.limits import Limits
from adapters.binance.links import Keeper, SessionFailed
from adapters.binance.outcomes import Answer, RequestNotSent, RequestUnknown, Unreadable
from adapters.binance.settings import BinanceSettings
from adapters.binance.shapes import Frame, Kind, Subscription
from adapters.binance.signing import Signer, signed_ws
from adapters.binance.ws_api import ApiSession, Trace, note_handshake
from messages.money import ZERO
from messages.order import BalancesSeen, OrderReport, OrderSnapshot, StreamCut, StreamOpened, StreamProbed, UserEvent
from messages.refs import Tells

logger = logging.getLogger("tidegate.binance")

REMEMBERED_REPORTS = 2000
LEFT_ASIDE = frozenset({"balanceUpdate", "listStatus", "externalLockUpdate", "serverShutdown"})
"""Kinds of events that tell nothing which others do not (protocol §7.4)."""
MOST_UNKNOWN = 20
SUBSCRIBED_ALREADY = -2035
OPENED_ERROR_MS = 200
"""How exactly the moment of an opening is known on the venue's clock."""
OVERLAP_MS = 60_000
"""An event that is older than another by more than this did not come late: the venue's clock was set."""

OrderKey = tuple[str, int]


@dataclass(frozen=True, slots=True)
class _State:
    """How far an order has come, as a report or a query says."""

    executed: Decimal = ZERO
    final: bool = False

    @classmethod
    def of(cls, order: OrderSnapshot) -> _State:
        return cls(order.executed_quantity, order.status.final)

    def joined(self, other: _State | None) -> _State:
        """All that is known here or there: reports may come late, and what they say is never taken back."""
        return self if other is None else _State(max(self.executed, other.executed), self.final or other.final)

    def covers(self, other: _State) -> bool:
        """Whether nothing is missing here that is known there."""
        return self.executed >= other.executed and self.final >= other.final


class _UserSession:
    """One connection with one subscription."""

    def __init__(self, stream: UserStream, api: ApiSession) -> None:
        self._stream, self._api = stream, api
        api.take_events(self._take_event, lambda: stream.miss(self, "a frame was unreadable"))
        self._subscription: int | None = None
        self.doubted: str | None = None
        self.proven_at = stream.runtime.now()
        self.probing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Subscribe; from its answer on the stream delivers."""
        stream = self._stream
        try:
            await stream.clock.need()
            params = {"timestamp": stream.clock.milliseconds(), "recvWindow": stream.settings.recv_window_ms}
            answer = await self._api.request(
                "userDataStream.subscribe.signature",
                signed_ws(params, stream.settings.api_key, stream.signer),
                seconds=stream.settings.connect_seconds,
                trace=Trace(),
            )
        except (RequestNotSent, RequestUnknown) as error:
            raise SessionFailed(f"it could not be subscribed to: {error}") from None
        self._take_subscription(answer)
        if self.doubted is not None:  # Its end came along with its beginning.
            raise SessionFailed(self.doubted)
        self.proven()
        self.probing = asyncio.create_task(stream.probe(self))
        stream.session_opened(self)

    def _take_subscription(self, answer: Answer) -> None:
        if answer.good:
            try:
                self._subscription = decode(Subscription, answer.body).subscription_id
            except Unreadable as error:
                raise SessionFailed(f"the answer to the subscription is unreadable: {error}") from None
        elif answer.code != SUBSCRIBED_ALREADY:
            raise SessionFailed(f"the subscription was refused: {answer}")

    def take(self, frame: bytes) -> None:
        """Handle a frame."""
        self._api.take(frame)

    def end(self, detail: str | None) -> None:
        """The socket is gone."""
        self._api.end(detail)
        if self.probing is not None:
            self.probing.cancel()
        if detail is not None:
            self._stream.session_ended(self, detail)

    @property
    def busy(self) -> bool:
        """A probe may be given up."""
        return False

    @property
    def delivered(self) -> bool:
        """Whether it was subscribed to, and nothing spoke against it until it was replaced."""
        return self.probing is not None and self.doubted is None

    @property
    def said_goodbye(self) -> bool:
        """Whether the venue has closed it in order, behind everything that it had to tell."""
        return self._api.said_goodbye

    def proven(self) -> None:
        """Note that the subscription delivers."""
        self.proven_at = self._stream.runtime.now()

    async def still_subscribed(self, seconds: float) -> bool:
        """Ask whether the venue has the subscription."""
        try:
            answer = await self._api.request("session.subscriptions", {}, seconds=seconds, trace=Trace())
            if not answer.good:
                return False
            found = decode(list[Subscription], answer.body)
        except (RequestNotSent, RequestUnknown, Unreadable):
            return False
        return any(self._subscription in {None, one.subscription_id} for one in found)

    def _take_event(self, frame: Frame) -> None:
        """Take an event, or say that one is missing: whatever goes wrong, none is lost without a word."""
        if not frame.event:
            return
        try:
            if frame.subscription_id is not None:
                self._stream.take_event(self, frame.event)
            elif decode(Kind, frame.event).kind == "serverShutdown":
                self._stream.leave(self, "the server is about to stop")
        except Unreadable as error:
            logger.error("an event of the user-data stream is unreadable: %s", error)  # noqa: TRY400 - it says all
            self._stream.miss(self, "an event was unreadable")
        except Exception:
            logger.exception("an event of the user-data stream could not be handled")
            self._stream.miss(self, "an event could not be handled")


class UserStream:
    """Tells one listener everything that happens to the account, and when something may be missing."""

    def __init__(
        self,
        settings: BinanceSettings,
        *,
        runtime: Runtime,
        signer: Signer,
        clock: Clock,
        limits: Limits,
        orders_open: Callable[[], bool],
        on_report: Callable[[OrderReport], None],
    ) -> None:
        """Make it; `run` connects.

        `orders_open` says whether probes must be frequent; `on_report` is told every report before
        the listener is.
        """
        self.settings, self.runtime, self.signer, self.clock = settings, runtime, signer, clock
        self._limits, self._orders_open, self._on_report = limits, orders_open, on_report
        self._listener: Tells[UserEvent] | None = None
        self._wanted = asyncio.Event()
        self._streaming = False
        self._relied: _UserSession | None = None
        self._reported: OrderedDict[OrderKey, _State] = OrderedDict()
        self._proofs: set[asyncio.Task[None]] = set()
        self._expected: dict[OrderKey, tuple[_State, asyncio.TimerHandle]] = {}
        self._opened_ms = 0
        self._balances_of: dict[str, int] = {}
        self._unknown: dict[str, None] = {}
        self._since_opened: set[OrderKey] = set()
        self._keeper: Keeper[_UserSession] = Keeper(
            "user-data stream",
            url=lambda: settings.ws_api_url,
            build=lambda connection: _UserSession(self, self._api(connection)),
            settings=settings,
            hold_seconds=limits.hold_seconds,
            on_refused=lambda status, headers: note_handshake(limits, status, headers),
        )

    async def run(self) -> None:
        """Stay subscribed once somebody listens, until cancelled."""
        await self._wanted.wait()
        await self._keeper.run()

    def listen(self, listener: Tells[UserEvent]) -> None:
        """Tell `listener` from now on, in place of whoever listened before."""
        self._listener = listener
        self._wanted.set()
        if self._streaming:
            self.runtime.send(listener, StreamOpened())

    def tell(self, event: UserEvent) -> None:
        """Tell the listener."""
        if self._listener is not None:
            self.runtime.send(self._listener, event)

    def expect(self, key: OrderKey) -> None:
        """Count the stream as cut unless this order is reported soon: the venue has taken it."""
        if key not in self._reported:
            self._expect(key, _State(), self.settings.report_seconds)

    def compare(self, order: OrderSnapshot) -> None:
        """Count the stream as cut if it does not soon tell what a query has told.

        What happened before the stream was opened is not its business.
        """
        key = order.symbol, order.order_id
        if not self.clock.known or (order.update_time <= self._opened_ms and key not in self._since_opened):
            return
        age = (self.clock.milliseconds() - order.update_time) / 1000
        self._expect(key, _State.of(order), self.settings.report_seconds - age)

    def _expect(self, key: OrderKey, state: _State, seconds: float) -> None:
        reported = self._reported.get(key)
        if not self._streaming or (reported is not None and reported.covers(state)):
            return
        if (expected := self._expected.get(key)) is not None:  # The first to be missed decides when.
            self._expected[key] = state.joined(expected[0]), expected[1]
            return
        timer = asyncio.get_running_loop().call_later(max(0.0, seconds), self._missed, key, self.runtime.now())
        self._expected[key] = state, timer

    def prove(self, probe: int) -> None:
        """Tell `StreamProbed` behind every event of before, if the stream delivers; else it is cut.

        The question goes over the connection of the events, so its answer comes behind them.
        """
        session = self._relied
        if session is not None:
            task = asyncio.create_task(self._prove(session, probe))
            self._proofs.add(task)
            task.add_done_callback(self._proofs.discard)

    # What sessions tell ---------------------------------------------------------------------------

    def session_opened(self, session: _UserSession) -> None:
        """A connection delivers, and is the one relied on from now on."""
        self._relied = session
        if not self._streaming:
            self._opened_ms = self.clock.milliseconds() + OPENED_ERROR_MS
            self._since_opened.clear()
            self._streaming = True
            self.tell(StreamOpened())

    def session_ended(self, session: _UserSession, detail: str) -> None:
        """A connection is gone; if it was the one relied on, events may be missing.

        So they may on one that was replaced and had been good: what the venue told it before its goodbye came, and no
        other connection has it from before its own beginning.
        """
        if session is self._relied:
            self._cut(session, detail)
        elif session.delivered and not session.said_goodbye and self._streaming:
            logger.warning("a user-data connection that was replaced ended without a goodbye")
            self.tell(
                StreamCut(since=session.proven_at, detail="a connection that was replaced ended without a goodbye")
            )
            self.tell(StreamOpened())

    def leave(self, session: _UserSession, detail: str) -> None:
        """Open another connection in place of this one, which goes on delivering meanwhile."""
        self._keeper.renew(session, detail)

    def take_event(self, session: _UserSession, event: Raw) -> None:
        """Read an event and tell it. Raises `Unreadable`."""
        session.proven()
        kind = decode(Kind, event).kind
        if kind == "executionReport":
            self._take_report(order_report(event))
        elif kind == "outboundAccountPosition":
            self._take_balances(event)
        elif kind == "eventStreamTerminated":
            self._distrust(session, "the subscription was ended")
        elif kind not in LEFT_ASIDE:
            self._note_unknown(kind)

    def miss(self, session: _UserSession, detail: str) -> None:
        """Say that an event is missing on a connection that goes on; that is a gap if it is the one relied on."""
        if session is self._relied:
            self.tell(StreamCut(since=self.runtime.now(), detail=detail))
            self.tell(StreamOpened())

    def _note_unknown(self, kind: str) -> None:
        """Say once that there is a kind of event that nobody here knows; whatever it tells, queries tell too."""
        if kind not in self._unknown and len(self._unknown) < MOST_UNKNOWN:
            self._unknown[kind] = None
            logger.warning("the user-data stream has events of an unknown kind, %.40r: they are left aside", kind)

    async def probe(self, session: _UserSession) -> None:
        """Ask again and again whether a connection's subscription lives, often while orders are open."""
        settings = self.settings
        while True:
            await asyncio.sleep(min(settings.probe_open_seconds, settings.probe_seconds))
            silent = self.runtime.now() - session.proven_at
            if silent < (settings.probe_open_seconds if self._orders_open() else settings.probe_seconds) * 0.9:
                continue
            asked_at = self.runtime.now()
            if await self._lives(session):
                session.proven_at = max(session.proven_at, asked_at)
            else:
                self._distrust(session, "a probe found the subscription dead")
                return

    async def _lives(self, session: _UserSession) -> bool:
        try:
            return await session.still_subscribed(self.settings.probe_answer_seconds)
        except Exception:
            logger.exception("a probe of the user-data stream failed")  # In doubt it is dead: nobody else would notice.
            return False

    async def _prove(self, session: _UserSession, probe: int) -> None:
        asked_at = self.runtime.now()
        if not await self._lives(session):
            self._distrust(session, "a probe found the subscription dead")
        elif session is self._relied:
            session.proven_at = max(session.proven_at, asked_at)
            self.tell(StreamProbed(probe=probe))

    # Inside ---------------------------------------------------------------------------------------

    def _api(self, connection: ClientConnection) -> ApiSession:
        return ApiSession(connection, limits=self._limits, clock=self.clock)

    def _take_report(self, report: OrderReport) -> None:
        key = report.order.symbol, report.order.order_id
        state = _State.of(report.order).joined(self._reported.get(key))
        self._reported[key] = state
        self._reported.move_to_end(key)
        self._since_opened.add(key)
        while len(self._reported) > REMEMBERED_REPORTS:
            self._since_opened.discard(self._reported.popitem(last=False)[0])
        if (expected := self._expected.get(key)) is not None and state.covers(expected[0]):
            del self._expected[key]
            expected[1].cancel()
        self._on_report(report)
        self.tell(report)

    def _take_balances(self, event: Raw) -> None:
        """Tell balances, but none that is older than one told: where connections overlap, an event comes on both."""
        moment, seen = balances_seen(event)
        fresh = tuple(one for one in seen.balances if not 0 < self._balances_of.get(one[0], 0) - moment < OVERLAP_MS)
        self._balances_of.update((asset, moment) for asset, _, _ in fresh)
        if fresh:
            self.tell(BalancesSeen(balances=fresh))

    def _missed(self, key: OrderKey, asked_at: float) -> None:
        del self._expected[key]
        session = self._relied
        if session is not None:
            session.proven_at = min(session.proven_at, asked_at)
            self._distrust(session, "something that happened to an order was not reported")

    def _distrust(self, session: _UserSession, detail: str) -> None:
        """A connection lives but delivers nothing more: say so, and make another."""
        session.doubted = detail
        if session is self._relied:
            self._cut(session, detail)
        self._keeper.renew(session, detail)

    def _cut(self, session: _UserSession, detail: str) -> None:
        for _, timer in self._expected.values():
            timer.cancel()
        self._expected.clear()
        self._relied, self._streaming = None, False
        logger.warning("the user-data stream was cut: %s", detail)
        self.tell(StreamCut(since=session.proven_at, detail=detail))
