"""The ways in: what senders say over HTTP or JSON lines becomes a `Signal`, and is answered by a verdict."""
