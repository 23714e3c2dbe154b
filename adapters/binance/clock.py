"""The venue's clock as seen from here (protocol §2): several samples, the quickest one counts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from actors.runtime import Runtime
from adapters.binance.outcomes import RequestNotSent, RequestUnknown
from messages.ids import milliseconds

SLOW_SECONDS = 0.5
"""A reading that took longer may be off by more than a timestamp is forgiven."""

LEAST_SECONDS = 1.0
"""The venue isn't asked again so soon, however many timestamps it has refused."""


class Clock:
    """Turns monotonic seconds into the venue's milliseconds; lives on the loop's thread."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[int]],
        runtime: Runtime,
        *,
        samples: int,
        bias_ms: int,
        refresh_seconds: float,
    ) -> None:
        """Ask the venue's time (ms since 1970) by `ask`, `samples` times a measurement.

        `bias_ms` is added to the result: a timestamp that is early is forgiven less than a late one.
        """
        self._ask, self._runtime = ask, runtime
        self._samples, self._bias, self._every = samples, bias_ms, refresh_seconds
        self._zero: float | None = None
        self._measuring: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._doubted = False

    @property
    def known(self) -> bool:
        """Whether it was ever measured."""
        return self._zero is not None

    def milliseconds(self) -> int:
        """Say the venue's time, ms since 1970; it must be known."""
        assert self._zero is not None, "the venue's clock was never read"
        return round(self._zero + 1000 * self._runtime.now())

    def offset_milliseconds(self) -> int:
        """Say what must be added to our wall clock to get the venue's."""
        return self.milliseconds() - milliseconds(self._runtime.wall_time())

    async def need(self) -> None:
        """Wait until the clock is known. Raises `RequestNotSent` if it can't be: nothing is sent without it."""
        if self.known:
            return
        try:
            await self.measure()
        except Exception as error:  # noqa: BLE001 - whatever it is, there is no timestamp
            raise RequestNotSent(f"the venue's clock could not be read ({type(error).__name__})") from None

    async def measure(self) -> None:
        """Measure now, once for all who wait for it. Raises what asking raises if no sample came."""
        if self._measuring is None or self._measuring.done():
            self._measuring = asyncio.get_running_loop().create_task(self._measure())
            self._measuring.add_done_callback(_noted)
        await asyncio.shield(self._measuring)

    def hurry(self) -> None:
        """Measure soon, and believe it: a timestamp was refused."""
        self._doubted = True
        self._hurry.set()

    async def keep(self) -> None:
        """Measure again and again, for ever."""
        while True:
            self._hurry.clear()
            try:
                await self.measure()
                wait = self._every
            except Exception:  # noqa: BLE001 - those who need the clock are told; here it is tried again
                wait = LEAST_SECONDS
            await asyncio.sleep(min(LEAST_SECONDS, self._every))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, wait - LEAST_SECONDS)):
                    await self._hurry.wait()

    async def _measure(self) -> None:
        best: tuple[float, float] | None = None
        failure: Exception = RequestUnknown("the venue's clock was not read")
        for _ in range(self._samples):
            before = self._runtime.now()
            try:
                told = await self._ask()
            except Exception as error:  # noqa: BLE001 - one good sample is enough
                failure = error
                if best is None:
                    break
                continue
            after = self._runtime.now()
            trip = after - before
            zero = told - 1000 * (before + after) / 2
            if best is None or trip < best[0]:
                best = (trip, zero)
        if best is None:
            raise failure
        self._take(*best)

    def _take(self, trip: float, read: float) -> None:
        """Take a reading, unless it took long and what is known lies within what it may be off by."""
        zero = read + self._bias
        agrees = self._zero is not None and abs(zero - self._zero) <= 1000 * trip / 2
        if trip <= SLOW_SECONDS or not agrees or self._doubted:
            self._zero, self._doubted = zero, False


def _noted(task: asyncio.Task[None]) -> None:
    """Look at the error, so that nobody complains that none did."""
    if not task.cancelled():
        task.exception()
