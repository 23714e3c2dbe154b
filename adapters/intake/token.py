"""The bearer token that senders show: drawn once, kept in a file that only its owner reads."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

TOKEN_BYTES = 32


def kept_token(path: Path) -> str:
    """Return the token in a file; if there is none, draw one and keep it there (mode 0600).

    Raises ValueError for an empty file, and OSError if it can be neither read nor made.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        token = path.read_text(encoding="utf-8").strip()
        if not token:
            raise ValueError(f"{path} is empty: it should hold the bearer token") from None
        return token
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f"{token}\n")
        file.flush()
        os.fsync(file.fileno())
    return token


def keep_token(path: Path, token: str) -> None:
    """See to it that a token stands in its file, also one that was configured: commands on this machine look there."""
    try:
        if path.read_text(encoding="utf-8").strip() == token:
            return
    except (OSError, ValueError):
        pass
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(f"{token}\n")
    draft.replace(path)
