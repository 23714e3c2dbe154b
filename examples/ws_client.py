"""Send a signal over the WebSocket and watch what becomes of it: python examples/ws_client.py BTCUSDT buy 0.01

The daemon's address and token are read from its data directory (`TIDEGATE_DATA`, by default `data`).
Needs nothing of Tidegate: copy it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import connect


def work(url: str, token: str, signal: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Send one signal; yield its verdict, then each fact of its execution up to the report."""
    with connect(url, additional_headers={"Authorization": f"Bearer {token}"}) as socket:
        socket.send(json.dumps(signal))
        for text in socket:
            said = json.loads(text)
            yield said
            refused = said["type"] == "Verdict" and said["status"] in ("rejected", "conflict")
            if refused or said["type"] == "ExecutionClosed":
                return


def main() -> None:
    """Send what the command line says."""
    data = Path(os.environ.get("TIDEGATE_DATA", "data"))
    address = json.loads((data / "http.json").read_text())
    token = (data / "token").read_text().strip()
    if len(sys.argv) != 4:
        sys.exit("usage: python examples/ws_client.py SYMBOL buy|sell QUANTITY")
    symbol, side, quantity = sys.argv[1:]
    signal = {
        # Sent again after a lost connection, it is a duplicate: the verdict names the execution, and its facts follow.
        "id": f"{symbol}-{side}-{time.time_ns()}",
        "symbol": symbol,
        "side": side,
        "quantity": quantity,
    }
    for said in work(f"ws://{address['host']}:{address['port']}/v1/ws", token, signal):
        print(json.dumps(said))


if __name__ == "__main__":
    main()
