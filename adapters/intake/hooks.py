"""Webhooks: a token in the path, for senders such as TradingView that can show it nowhere else."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from adapters.intake.signals import http_status
from adapters.intake.templates import Template
from messages.signal import Verdict

HOOK_PATH: Final = "/hook/"


class Hook(NamedTuple):
    """A token that opens the webhook; with a `template` that is how its bodies are read."""

    token: bytes
    template: Template | None = None


class Hooks:
    """The tokens that open `/hook/<token>`, and the templates that such a request may name."""

    def __init__(self, hooks: Iterable[Hook], templates: Mapping[str, Template]) -> None:
        self._hooks, self._templates = tuple(hooks), templates

    def of(self, token: str) -> Hook | None:
        """Find the hook of a token; it takes the same time whichever it is, and when it is none."""
        shown = token.encode("utf-8", "surrogateescape")
        found = None
        for hook in self._hooks:
            if hmac.compare_digest(shown, hook.token):
                found = hook
        return found

    def template(self, hook: Hook, named: str | None) -> Template | None:
        """Say how a hook's bodies are read: None for the signal's own form.

        Raises `LookupError` with what is wrong: a template that nobody knows, or another than the token's.
        """
        if hook.template is not None:
            if named not in (None, hook.template.name):
                raise LookupError(f"this hook reads bodies by template {hook.template.name} only")
            return hook.template
        if named is None:
            return None
        template = self._templates.get(named)
        if template is None:
            raise LookupError(f"there is no such template; there are {', '.join(sorted(self._templates))}")
        return template


def hook_status(verdicts: Iterable[Verdict]) -> int:
    """Name the one HTTP status for all verdicts: a sender that resends on 5xx only must come again for one."""
    codes = {http_status(verdict) for verdict in verdicts}
    if 503 in codes:
        return 503
    return codes.pop() if len(codes) == 1 else 200


def public_path(path: str) -> str:
    """Write a request's path without the token that may be in it."""
    return f"{HOOK_PATH}..." if path.lower().lstrip("/").startswith("hook") else path
