"""One thin handler for each HTTP endpoint: decode, tell an actor or look into the projection, answer."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

import orjson
import pykka
from aiohttp import web
from prometheus_client.core import Metric

from adapters.execution_views import ExecutionView
from adapters.intake.bridge import Answer, committed_facts, facts_of
from adapters.intake.commands import Amendment, decode_amendment, decode_detail
from adapters.intake.fields import Refused, malformed, shown
from adapters.intake.floods import Floods
from adapters.intake.hooks import Hooks, hook_status
from adapters.intake.signals import Body, decode_body, http_status, rejected, verdict_object
from adapters.intake.signatures import SIGNATURE, signer_of
from adapters.intake.websocket import SignalSocket
from adapters.metrics import metrics_text
from adapters.projection import Projection
from adapters.storage.codec import export_line
from adapters.views import Json
from messages.control import (
    Committed,
    DaemonStands,
    DaemonUp,
    HaltTrading,
    JournalCommand,
    Readiness,
    ResumeTrading,
)
from messages.execution import (
    AmendExecution,
    CancelExecution,
    CommandAnswer,
    ExecutionCommand,
    PauseExecution,
    ResumeExecution,
)
from messages.refs import Tells
from messages.signal import UNJOURNALLED, NonceAnswer, Reason, Signal, SignalReceived, Status, UseNonce, Verdict

SIGNALS_PATH: Final = "/v1/signals"
BODY_SECONDS: Final = 10.0
"""A body that takes longer to arrive is not waited for."""
LISTED: Final = 1_000
"""Executions that are listed unless more are asked for."""
STREAM_BOUND: Final = 1_024
"""Facts that wait for one reader of events, and are written for it at once; a slower one is served from the store."""
FOLD_BOUND: Final = 65_536
"""Facts that wait for the views to fold them."""
KEEP_ALIVE_SECONDS: Final = 15.0
STALLED_SECONDS: Final = 30.0
"""A reader of events that takes nothing for so long is let go; it may come back where it left off."""
SHOWN_SECONDS: Final = 1.0
"""How long an answer may wait until the views show what it says."""

HOOK_SECONDS: Final = 2.0
"""How long a webhook waits for its verdict: TradingView breaks off after 3 s, and then comes again only for a 5xx."""

logger = logging.getLogger("tidegate.http")

T = TypeVar("T")

NO_VERDICT: Final = Verdict(
    status=Status.REJECTED,
    reason=Reason.NOT_READY,
    detail="no verdict in time; ask again with the same id",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Senders:
    """Who may send besides the bearer of the token.

    `hooks` open `/hook/<token>`. `keys` are secrets by key id, for signed requests; with `required` no
    other `POST /v1/signals` is taken. `wall_time` is what timestamps are judged by.
    """

    wall_time: Callable[[], datetime]
    hooks: Hooks = field(default_factory=lambda: Hooks((), {}))
    keys: dict[str, str] = field(default_factory=dict, repr=False)
    required: bool = False


def reply(body: object, status: int = 200) -> web.Response:
    """Answer with JSON."""
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")


def refusal(status: int, reason: str, detail: str) -> web.Response:
    """Refuse, and say why in JSON."""
    return reply({"status": "rejected", "reason": reason, "detail": detail}, status)


class Routes:
    """The endpoints. Everything here happens in the loop's thread."""

    def __init__(self, projection: Projection, senders: Senders, *, answer_seconds: float, max_streams: int) -> None:
        self._projection, self._senders = projection, senders
        self._floods = Floods(logger)
        self._answer_seconds, self._max_streams = answer_seconds, max_streams
        self._verdicts: Counter[tuple[str, str]] = Counter()
        self._stands = DaemonStands(readiness=Readiness.STARTING)
        self._up: DaemonUp | None = None
        self._folding: asyncio.Task[None] | None = None
        self._streams: set[asyncio.Task[object]] = set()
        self._watchers: set[asyncio.Future[None]] = set()
        self.more_metrics: Callable[[], Iterable[Metric]] = tuple
        """Figures that others have for /metrics."""

    def add_to(self, app: web.Application) -> None:
        """Name the endpoints."""
        app.add_routes(
            [
                web.post(SIGNALS_PATH, self.post_signals),
                web.post("/hook/{token}", self.post_hook),
                web.get("/v1/ws", self.get_ws),
                web.get(SIGNALS_PATH, self.get_signals),
                web.get("/v1/executions", self.get_executions),
                web.get("/v1/executions/{id}", self.get_execution),
                web.post("/v1/executions/{id}/{verb:pause|resume|cancel}", self.post_command),
                web.post("/v1/executions/{id}/amend", self.post_amend),
                web.post("/v1/halt", self.post_halt),
                web.post("/v1/unhalt", self.post_unhalt),
                web.get("/v1/alerts", self.get_alerts),
                web.get("/v1/events", self.get_events),
                web.get("/livez", self.get_livez),
                web.get("/readyz", self.get_readyz),
                web.get("/metrics", self.get_metrics),
            ]
        )

    # The daemon -------------------------------------------------------------------------------

    def connect(self, up: DaemonUp) -> None:
        """Take the actors, and fold their journal into the views."""
        self._up = up
        if self._folding is None:
            self._folding = asyncio.get_running_loop().create_task(self._fold(up))

    def stand(self, stands: DaemonStands) -> None:
        """Take note of how the daemon stands."""
        self._stands = stands
        self._notify()

    async def disconnect(self) -> None:
        """Follow the journal no more, and end every stream."""
        self._up = None
        tasks = [*self._streams, *([] if self._folding is None else [self._folding])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def stands(self) -> DaemonStands:
        """How the daemon stands."""
        return self._stands

    @property
    def readers(self) -> int:
        """How many read the events."""
        return len(self._streams)

    def count_unauthorised(
        self, what: str = "a request without the token, or with a wrong one", named: str | None = None
    ) -> None:
        """Count a request that showed no token, or whose signature proves nothing; `named` is a word of its sender."""
        self._floods.note(what, "" if named is None else shown(named))
        self._verdicts[Status.REJECTED.value, Reason.UNAUTHORISED.value] += 1

    async def _fold(self, up: DaemonUp) -> None:
        async for batch in committed_facts(up.journal, self._projection.seq, bound=FOLD_BOUND, archived=False):
            for committed in batch:
                self._projection.apply(committed)
            self._notify()

    def _notify(self) -> None:
        for watcher in self._watchers:
            if not watcher.done():
                watcher.set_result(None)
        self._watchers.clear()

    async def _until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Wait until the views show something; False if they don't within so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not holds():
                    watcher = asyncio.get_running_loop().create_future()
                    self._watchers.add(watcher)
                    try:
                        await watcher
                    finally:
                        self._watchers.discard(watcher)
        return holds()

    # Signals ----------------------------------------------------------------------------------

    async def post_signals(self, request: web.Request) -> web.Response:
        """Take one signal, or an array of them: each gets its verdict."""
        raw = await self._read(request)
        if self._senders.required or SIGNATURE in request.headers:
            refused = await self._check_signature(request, raw)
            if refused is not None:
                return refused
        return await self._decide(decode_body(raw), _status_of)

    async def post_hook(self, request: web.Request) -> web.Response:
        """Take what a webhook brings: the signal's own form, or another that a template reads."""
        hook = self._senders.hooks.of(request.match_info["token"])
        if hook is None:
            self.count_unauthorised("a request to /hook/ with a wrong token")
            return refusal(401, Reason.UNAUTHORISED.value, "no such hook")
        try:
            template = self._senders.hooks.template(hook, request.query.get("template"))
        except LookupError as error:
            return await self._decide(rejected(malformed(str(error))), hook_status)
        raw = await self._read(request)
        body = decode_body(raw) if template is None else template.decode(raw)
        return await self._decide(body, hook_status, min(HOOK_SECONDS, self._answer_seconds))

    async def get_ws(self, request: web.Request) -> web.StreamResponse:
        """Take signals over a WebSocket, and tell on it what becomes of them."""
        if len(self._streams) >= self._max_streams:
            return refusal(429, Reason.TOO_MANY.value, f"{len(self._streams)} open streams, the most allowed")
        task = asyncio.current_task()
        assert task is not None, "a handler runs in a task"
        self._streams.add(task)
        try:
            return await SignalSocket(self._judge_and_count, self._journal).serve(request)
        finally:
            self._streams.discard(task)

    async def _check_signature(self, request: web.Request, raw: bytes) -> web.Response | None:
        """Refuse a signed request that is forged, late or comes again; its nonce is used up for good."""
        signed = signer_of(request.headers, raw, self._senders.keys, self._senders.wall_time())
        if signed is not None:
            answer: Answer[NonceAnswer] = Answer()
            asked = UseNonce(sender=signed.key, nonce=signed.nonce, until=signed.until, reply_to=answer)
            if not self._tell_gate(asked):
                return _not_ready("the daemon is starting or stopping")
            try:
                async with asyncio.timeout(self._answer_seconds):
                    state = (await answer.future).state
            except TimeoutError:
                state = "not_ready"
            if state == "fresh":
                return None
            if state == "not_ready":
                return _not_ready("ask again, signed anew with another nonce")
        self.count_unauthorised()
        return refusal(401, Reason.UNAUTHORISED.value, "the signature is missing or wrong")

    async def _decide(
        self, body: Body | Verdict, status: Callable[[list[Verdict]], int], seconds: float | None = None
    ) -> web.Response:
        items = (body,) if isinstance(body, Verdict) else body.items
        futures = [self._judge(item, seconds) for item in items]
        verdicts = [await future for future in futures]
        for verdict in verdicts:
            self._count(verdict)
            if verdict.execution_id is not None and seconds is None and verdict.execution_id not in self._projection:
                await self._until_shown(verdict.execution_id)
        bodies = [verdict_object(verdict) for verdict in verdicts]
        many = isinstance(body, Body) and body.many
        return reply(bodies if many else bodies[0], status(verdicts))

    def _judge_and_count(self, item: Signal | Verdict) -> asyncio.Future[Verdict]:
        future = self._judge(item)
        future.add_done_callback(lambda done: None if done.cancelled() else self._count(done.result()))
        return future

    def _count(self, verdict: Verdict) -> None:
        reason = "" if verdict.reason is None else verdict.reason.value
        self._verdicts[verdict.status.value, reason] += 1
        if verdict.reason in UNJOURNALLED:  # A log line is the only trace of it that a person finds.
            self._floods.note(f"a signal was refused, {reason}: ", verdict.detail or "")

    def _journal(self) -> Tells[JournalCommand] | None:
        return None if self._up is None else self._up.journal

    def _judge(self, item: Signal | Verdict, seconds: float | None = None) -> asyncio.Future[Verdict]:
        """Tell the gate at once, in the order of the body, and wait later."""
        answer: Answer[Verdict] = Answer(seconds or self._answer_seconds, NO_VERDICT)
        if isinstance(item, Verdict):
            answer.resolve(item)
        elif not self._tell_gate(SignalReceived(item, answer)):
            answer.resolve(NO_VERDICT)
        return answer.future

    async def _until_shown(self, execution_id: str) -> None:
        await self._until(lambda: execution_id in self._projection, SHOWN_SECONDS)

    async def get_signals(self, request: web.Request) -> web.Response:
        """List the signals of late, with their verdicts."""
        return reply({"signals": self._projection.signals()})

    # Executions -------------------------------------------------------------------------------

    async def get_executions(self, request: web.Request) -> web.Response:
        """List executions: the newest 1,000, or `?newest=N`."""
        newest = request.query.get("newest", str(LISTED))
        if not (newest.isascii() and newest.isdigit() and len(newest) <= 9):
            return refusal(422, Reason.MALFORMED.value, "newest must be a whole number")
        return reply({"executions": self._projection.executions(int(newest))})

    async def get_execution(self, request: web.Request) -> web.Response:
        """Tell all about one execution."""
        view = await self.find(request.match_info["id"])
        return _no_execution() if view is None else reply(view.view())

    async def find(self, execution_id: str) -> ExecutionView | None:
        """Find an execution, in the journal's archive too; None if there is none of that name."""
        known = self._projection.execution_view(execution_id)
        if self._up is None or not (known is None or known.abridged):
            return known
        past = Projection()
        with suppress(pykka.ActorDeadError, TimeoutError):
            async with asyncio.timeout(self._answer_seconds):
                for committed in await facts_of(self._up.journal, execution_id):
                    past.apply(committed)
        return past.execution_view(execution_id) or known

    async def post_command(self, request: web.Request) -> web.Response:
        """Pause, resume or cancel an execution."""
        detail = decode_detail(await self._read(request))
        if isinstance(detail, Refused):
            return refusal(422, detail.reason.value, detail.detail)
        kind = _COMMANDS[request.match_info["verb"]]
        return await self._command(
            request.match_info["id"], lambda of, reply_to: kind(execution_id=of, reply_to=reply_to, detail=detail)
        )

    async def post_amend(self, request: web.Request) -> web.Response:
        """Change what is left of an execution."""
        wanted = decode_amendment(await self._read(request))
        if not isinstance(wanted, Amendment):
            return refusal(422, wanted.reason.value, wanted.detail)
        return await self._command(
            request.match_info["id"],
            lambda of, reply_to: AmendExecution(
                execution_id=of,
                reply_to=reply_to,
                quantity=wanted.quantity,
                limit_price=wanted.limit_price,
                end_at=wanted.end_at,
            ),
        )

    async def _command(
        self, execution_id: str, command: Callable[[str, Tells[CommandAnswer]], ExecutionCommand]
    ) -> web.Response:
        answer: Answer[CommandAnswer] = Answer()
        if not self._tell_gate(command(execution_id, answer)):
            return _not_ready("the daemon is starting or stopping")
        try:
            async with asyncio.timeout(self._answer_seconds):
                said = await answer.future
        except TimeoutError:
            return _not_ready("no answer in time; it may still be done")
        if said.done:
            return reply({"status": "done", "execution_id": execution_id, "detail": said.detail})
        if execution_id not in self._projection:
            return _no_execution()
        return refusal(409, "NOT_POSSIBLE", said.detail)

    # Halts ------------------------------------------------------------------------------------

    async def post_halt(self, request: web.Request) -> web.Response:
        """Send no new order from now on; answered once that is durable, and signals are refused."""
        detail = decode_detail(await self._read(request))
        if isinstance(detail, Refused):
            return refusal(422, detail.reason.value, detail.detail)
        asked = self._tell_exchange(HaltTrading(reason="MANUAL", detail=detail))
        if asked and await self._until(self._halted_for_good, self._answer_seconds):
            return reply({"status": "halted", "detail": self._projection.halted})
        return _not_ready("no answer in time; it may still be done")

    def _halted_for_good(self) -> bool:
        """Whether a halt stands that does not end by itself, and the gate has been told of it."""
        told = self._stands.readiness is not Readiness.READY
        return told and self._projection.halted is not None and not self._projection.banned

    def _resumed(self) -> bool:
        """Whether no halt stands, and the gate has been told so."""
        return self._projection.halted is None and self._stands.readiness is not Readiness.HALTED

    async def post_unhalt(self, request: web.Request) -> web.Response:
        """Lift a halt; answered once that is durable, and signals are taken."""
        detail = decode_detail(await self._read(request))
        if isinstance(detail, Refused):
            return refusal(422, detail.reason.value, detail.detail)
        asked = self._tell_exchange(ResumeTrading(detail=detail))
        if asked and await self._until(self._resumed, self._answer_seconds):
            return reply({"status": "resumed"})
        return _not_ready("no answer in time; it may still be done")

    # What happens -----------------------------------------------------------------------------

    async def get_alerts(self, request: web.Request) -> web.Response:
        """List the alerts of late."""
        return reply({"alerts": self._projection.alerts()})

    async def get_events(self, request: web.Request) -> web.StreamResponse:
        """Tell every fact after `Last-Event-ID`, then each new one, as server-sent events."""
        after = request.headers.get("Last-Event-ID", "0").strip()
        if not (after.isascii() and after.isdigit() and len(after) <= 18):
            return refusal(422, Reason.MALFORMED.value, "Last-Event-ID must be the number of a fact")
        if self._up is None:
            return _not_ready("the daemon is starting or stopping")
        if len(self._streams) >= self._max_streams:
            return refusal(429, Reason.TOO_MANY.value, f"{len(self._streams)} readers of events, the most allowed")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        task = asyncio.current_task()
        assert task is not None, "a handler runs in a task"
        self._streams.add(task)
        try:
            await response.prepare(request)
            await self._stream(response, self._up, int(after))
        except ConnectionError:
            pass  # The reader has gone.
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()  # What is written for it is not kept any longer.
        finally:
            self._streams.discard(task)
        return response

    async def _stream(self, response: web.StreamResponse, up: DaemonUp, after: int) -> None:
        facts = committed_facts(up.journal, after, bound=STREAM_BOUND, idle_seconds=KEEP_ALIVE_SECONDS)
        try:
            async for batch in facts:
                text = b"".join(map(_event, batch)) or b": alive\n\n"
                del batch  # While it is written, only its text is kept.
                async with asyncio.timeout(STALLED_SECONDS):
                    await response.write(text)
        finally:
            await facts.aclose()

    # Health -----------------------------------------------------------------------------------

    async def get_livez(self, request: web.Request) -> web.Response:
        """Prove that the loop answers."""
        return reply({"status": "alive"})

    async def get_readyz(self, request: web.Request) -> web.Response:
        """Tell how the daemon stands; 200 only while signals are let in."""
        stands, projection = self._stands, self._projection
        body: Json = {
            "readiness": stands.readiness.value,
            "detail": stands.detail or None,
            "mode": projection.mode or None,
            "epoch": projection.epoch,
            "running": projection.running,
            "halted": projection.halted,
            "seq": projection.seq,
        }
        if stands.readiness is Readiness.READY:
            return reply({"status": "ready", **body})
        reason = Reason.HALTED if stands.readiness is Readiness.HALTED else Reason.NOT_READY
        return reply({"status": "rejected", "reason": reason.value, **body}, 503)

    async def get_metrics(self, request: web.Request) -> web.Response:
        """Give the figures to a monitoring system."""
        more = self.more_metrics()
        text = metrics_text(self._projection, self._stands.readiness, self._verdicts, len(self._streams), more)
        return web.Response(body=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    # Within -----------------------------------------------------------------------------------

    async def _read(self, request: web.Request) -> bytes:
        if request.content.is_eof():  # All of it came with the head, as nearly always: nothing to wait for.
            return await request.read()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                return await request.read()
        except TimeoutError:
            raise web.HTTPRequestTimeout from None

    def _tell_gate(self, message: SignalReceived | UseNonce | ExecutionCommand) -> bool:
        return self._up is not None and _tell(self._up.gate, message)

    def _tell_exchange(self, message: HaltTrading | ResumeTrading) -> bool:
        return self._up is not None and _tell(self._up.exchange, message)


def _tell(whom: Tells[T], message: T) -> bool:
    try:
        whom.tell(message)
    except pykka.ActorDeadError:
        return False
    return True


def _event(one: Committed) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n" % (one.seq, type(one.fact).__name__.encode(), export_line(one))


def _status_of(verdicts: Iterable[Verdict]) -> int:
    codes = {http_status(verdict) for verdict in verdicts}
    return codes.pop() if len(codes) == 1 else 200


def _not_ready(detail: str) -> web.Response:
    return refusal(503, Reason.NOT_READY.value, detail)


def _no_execution() -> web.Response:
    return refusal(404, "NOT_FOUND", "no such execution")


_COMMANDS: Final[dict[str, type[PauseExecution | ResumeExecution | CancelExecution]]] = {
    "pause": PauseExecution,
    "resume": ResumeExecution,
    "cancel": CancelExecution,
}
