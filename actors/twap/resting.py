"""The child that rests in the book: watched against the market's moves, and cancelled once."""

from __future__ import annotations

from typing import Any

import pykka

from actors.runtime import Runtime
from actors.twap.child import Child
from messages.execution import Plan
from messages.facts import SignalAccepted
from messages.market import Await, Awaited, Bounds, Unawait
from messages.order import CancelChild
from messages.refs import Tells


class Vigil:
    """Keeps watch over one resting child at a time; knows what this life of its actor has asked for.

    A cancel is asked for once a life: whether it takes effect, OrderWatcher sees to. Its keys are
    negative, so that they are never those of a wait for guards.
    """

    def __init__(
        self,
        accepted: SignalAccepted,
        *,
        runtime: Runtime,
        me: pykka.ActorRef[Any],
        market: Tells[Await | Unawait],
        exchange: Tells[CancelChild],
    ) -> None:
        self._accepted, self._runtime, self._me = accepted, runtime, me
        self._market, self._exchange = market, exchange
        self._number = 0
        self._watched: str | None = None
        self._cancelled: str | None = None

    def watch(self, child: str, plan: Plan, deadline: float) -> None:
        """Ask to be told if the price moves too far, or the market is lost, before `deadline` (monotonic s)."""
        if child in (self._watched, self._cancelled):
            return
        self.leave()
        self._watched, self._number = child, self._number - 1
        accepted = self._accepted
        bounds = Bounds(
            side=accepted.side,
            arrival_price=accepted.arrival_price,
            max_deviation=plan.max_deviation,
            both_sides=plan.both_sides,
        )
        await_ = Await(
            key=self._key,
            symbol=accepted.symbol,
            bounds=bounds,
            deadline=deadline,
            reply_to=self._me,
            until_broken=True,
        )
        self._runtime.send(self._market, await_)

    def leave(self) -> None:
        """Stop watching: nothing rests any more."""
        if self._watched is not None:
            self._watched = None
            self._runtime.send(self._market, Unawait(key=self._key))

    def broken(self, awaited: Awaited) -> str | None:
        """Return why the watched child must not rest any longer; None if it may, or is not the watched one."""
        if awaited.key != self._key or self._watched is None or awaited.held:
            return None
        return f"{awaited.failed}: {awaited.detail}" if awaited.detail else awaited.failed

    def cancel(self, child: Child, reason: str) -> None:
        """Have a child cancelled that the venue is known to have, unless that was asked for already."""
        if child.order_id is None or self._cancelled == child.client_order_id:
            return
        self.leave()
        self._cancelled = child.client_order_id
        accepted = self._accepted
        self._runtime.send(
            self._exchange,
            CancelChild(
                execution_id=accepted.execution_id,
                client_order_id=child.client_order_id,
                symbol=accepted.symbol,
                order_id=child.order_id,
                reason=reason,
            ),
        )

    @property
    def _key(self) -> tuple[str, int]:
        return self._accepted.execution_id, self._number
