"""The paper exchange on real sockets: Binance's protocol in front of `PaperExchange`, for any client that speaks it."""

from adapters.paper.server.app import PaperServer, serving
from adapters.paper.server.keys import PAPER_KEY, ApiKey, KeyKind
from adapters.paper.server.settings import NotLoopback, ServerSettings

__all__ = ["PAPER_KEY", "ApiKey", "KeyKind", "NotLoopback", "PaperServer", "ServerSettings", "serving"]
