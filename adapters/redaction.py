"""Secrets stay in: names that give one away, and texts with them taken out."""

from __future__ import annotations

import re
from collections.abc import Mapping

MASK = "********"

_NAMES = (
    r"x-mbx-apikey|api[-_ ]?key|api[-_ ]?secret|secret[-_ ]?key|private[-_ ]?key|listen[-_ ]?key|"
    r"signature|secret|token|password|passphrase|authorization|credential"
)
_SECRET_NAME = re.compile(rf"(?:{_NAMES})$", re.IGNORECASE)
_NAMED_VALUE = re.compile(
    rf"((?:{_NAMES})[\"']?\s*[:=]\s*[\"']?(?:(?:Bearer|Basic)\s+)?)"
    r"(?!(?:is|or|should|stands|names|belongs|needs|has) [a-z])([^\"'&\s,;)}\]]+)",
    re.IGNORECASE,
)
"""A name and what follows it; but what begins with such a word and goes on is a sentence about a setting."""
_BEARER = re.compile(r"(\b(?:Bearer|Basic)\s+)([A-Za-z0-9._~+/=-]{6,})", re.IGNORECASE)
_HOOK_PATH = re.compile(r"(/hook/)([^\s\"'/?]+)")
_USER_IN_URL = re.compile(r"(://[^\s/:@]*:)([^\s/@]+)(?=@)")
_PATTERNS = (_NAMED_VALUE, _BEARER, _HOOK_PATH, _USER_IN_URL)


def is_secret_name(name: str) -> bool:
    """Tell whether a value of this name (of a key, header or parameter) must not be shown.

    The name has to end in the telling word, so that `token_file` or `tokens_left` stay readable.
    """
    return _SECRET_NAME.search(name) is not None


def redact_text(text: str, *, known: tuple[str, ...] = ()) -> str:
    """Take secrets out of a text: what follows a telling name, path tokens, and the values in `known`."""
    for secret in known:
        text = text.replace(secret, MASK)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\g<1>{MASK}", text)
    return text


def redact(value: object, *, known: tuple[str, ...] = ()) -> object:
    """Take secrets out of texts, mappings and sequences at every depth; anything else is returned as it is."""
    match value:
        case str():
            return redact_text(value, known=known)
        case bytes():
            return redact_text(value.decode(errors="replace"), known=known)
        case Mapping():
            return {
                key: MASK if is_secret_name(str(key)) and inner is not None else redact(inner, known=known)
                for key, inner in value.items()
            }
        case list() | tuple():
            return [redact(inner, known=known) for inner in value]
        case _:
            return value
