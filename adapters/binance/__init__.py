"""Binance spot from the client's side of the wire: REST, WebSocket API, user-data and market streams."""
