"""Which own orders may be open: as long as one is, the user stream is watched closely."""

from __future__ import annotations

from collections import OrderedDict

from messages.order import OrderSnapshot

MOST = 10_000


class OpenOrders:
    """Child ids that were sent and of which nothing final is known. Times are monotonic seconds.

    An order of which nothing is heard for `forget_seconds` no longer counts: this is about how
    often a stream is probed, not about what is owed to whom.
    """

    def __init__(self, forget_seconds: float) -> None:
        """Begin with none."""
        self._forget = forget_seconds
        self._since: OrderedDict[str, float] = OrderedDict()

    def any(self, now: float) -> bool:
        """Tell whether an order may be open."""
        while self._since:
            oldest, since = next(iter(self._since.items()))
            if now - since < self._forget and len(self._since) <= MOST:
                return True
            del self._since[oldest]
        return False

    def sent(self, client_order_id: str, now: float) -> None:
        """Note that an order is on its way, or was heard of."""
        self._since[client_order_id] = now
        self._since.move_to_end(client_order_id)

    def gone(self, client_order_id: str) -> None:
        """Note that an order is not there."""
        self._since.pop(client_order_id, None)

    def seen(self, order: OrderSnapshot, now: float) -> None:
        """Note what somebody says of an order."""
        if order.status.final:
            self.gone(order.client_order_id)
        else:
            self.sent(order.client_order_id, now)
