"""What must hold between settings that are each right by themselves."""

from __future__ import annotations

import ipaddress
import os
import stat
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from adapters.config.layers import ENV_PREFIX
from adapters.config.model import MODE_DEFAULTS, Config
from adapters.intake.template_tables import template_tables
from adapters.paper.latency import read_latency

TOKEN_CHARACTERS = 22

Contradiction = tuple[tuple[str, ...], str]
"""The keys involved, the one to change first, and what is expected."""


def contradictions(config: Config) -> Iterator[Contradiction]:
    """Find settings that do not go together; none are found in a configuration that may be run."""
    yield from _about_the_mode(config)
    yield from _about_keys(config)
    yield from _about_addresses(config)
    yield from _about_times(config)
    yield from _about_tokens(config)
    yield from _about_alerts(config)
    for key, message in template_tables(config.templates)[1]:
        yield (f"templates.{key}",), message


def _about_the_mode(config: Config) -> Iterator[Contradiction]:
    if config.mode == "live" and config.consent != config.account:
        yield (
            ("consent", "mode", "account"),
            f'should be "{config.account}", the name of the account: live mode trades real money',
        )
    if config.mode != "live" and config.consent is not None:
        yield ("consent", "mode"), f'belongs to mode "live" and does nothing in mode "{config.mode}"; remove it'


def _about_keys(config: Config) -> Iterator[Contradiction]:
    venue = config.venue
    if venue.api_secret is not None and venue.private_key_file is not None:
        yield (
            ("venue.private_key_file", "venue.api_secret"),
            "stands beside venue.api_secret; a key is either an HMAC key or an Ed25519 key",
        )
    if venue.private_key_passphrase is not None and venue.private_key_file is None:
        yield (
            ("venue.private_key_passphrase", "venue.private_key_file"),
            "opens venue.private_key_file, which is not set",
        )
    if config.mode == "paper":
        return
    if venue.api_key is None:
        yield ("venue.api_key", "mode"), f'is needed in mode "{config.mode}"'
    if venue.api_secret is None and venue.private_key_file is None:
        yield (
            ("venue.api_secret", "venue.private_key_file", "mode"),
            f'or venue.private_key_file is needed in mode "{config.mode}"',
        )


def exposed_keys(
    config: Config,
    file: Path | None,
    keys_in_file: tuple[str, ...],
    *,
    keys_in_argv: tuple[str, ...] = (),
    secret_files: Mapping[str, Path] = MappingProxyType({}),
) -> Iterator[Contradiction]:
    """Find secrets where others on this machine can read them: on the command line, and an account's keys in files.

    Args:
        config: the configuration; in paper mode there is no account to protect, but tokens are secrets in every mode.
        file: the TOML file.
        keys_in_file: which of the account's keys stand in it.
        keys_in_argv: which secrets stand on the command line.
        secret_files: which of the account's keys have a secret file, and where that is.
    """
    for key in keys_in_argv:
        if config.mode != "paper" or not key.startswith("venue."):
            yield (key,), f"stands on the command line, which everybody on this machine can read; {_better_place(key)}"
    if config.mode == "paper":
        return
    if file is not None and keys_in_file and _others_can_read(file):
        yield keys_in_file, f"stands in a file that others can read; run: chmod 600 {file}"
    for key, secret_file in secret_files.items():
        if _others_can_read(secret_file) and _others_can_read(secret_file.parent):
            yield (key,), f"stands in a file that others can read; run: chmod 600 {secret_file}"
    key_file = config.venue.private_key_file
    if key_file is not None and (wrong := _wrong_with(key_file)):
        yield ("venue.private_key_file",), wrong


def _wrong_with(key_file: Path) -> str | None:
    """Say why a key's file will not do, None if it will."""
    try:
        if not key_file.is_file():
            return f"names a file that is not there: {key_file}"
        if _others_can_read(key_file):
            return f"names a file that others can read; run: chmod 600 {key_file}"
    except OSError as error:  # It stands where this user may not look.
        return f"cannot be read: {(error.strerror or str(error)).lower()}: {key_file}"
    return None


def _better_place(key: str) -> str:
    """Say where a secret may stand."""
    parts = key.split(".")
    variable = ENV_PREFIX + "__".join([*map(str.upper, parts[:2]), *parts[2:]])
    if len(parts) != 2:
        return f"put it in the environment ({variable}) or a file with mode 0600"
    return f"put it in the environment ({variable}), a secret file or a file with mode 0600"


def _others_can_read(file: Path) -> bool:
    """Tell whether anybody but its owner and this process's user may do anything with a file or directory."""
    if entries := _access_list(file):
        return any(
            permissions and (tag in _ACL_OTHERS or (tag == _ACL_USER and user != os.geteuid()))
            for tag, permissions, user in entries
        )
    return bool(file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


_ACL_USER, _ACL_MASK, _ACL_ELSE = 0x02, 0x10, 0x20
"""Tags of an access list's entries: a user by name, what all names and groups have at most, everybody else."""
_ACL_OTHERS = (0x04, 0x08, _ACL_ELSE)
"""The file's group, a group by name, and everybody else."""


def _access_list(file: Path) -> list[tuple[int, int, int]]:
    """Read a POSIX access list: tag, permissions and id of each entry; none where there is no such list.

    systemd gives a service's user its credentials by one. The mode then shows the list's mask where the group's
    permissions stand, 0440 for a file that no group may read.
    """
    if sys.platform != "linux":
        return []
    try:
        packed = os.getxattr(file, "system.posix_acl_access")
    except OSError:
        return []
    entries = list(struct.iter_unpack("<HHI", packed[4:]))
    mask = next((permissions for tag, permissions, _ in entries if tag == _ACL_MASK), 0o7)
    return [(tag, permissions & (0o7 if tag == _ACL_ELSE else mask), id_) for tag, permissions, id_ in entries]


def _about_addresses(config: Config) -> Iterator[Contradiction]:
    http = config.http
    if http.token is not None and http.token_file is not None:
        yield ("http.token_file", "http.token"), "stands beside http.token; only one of them can be meant"
    if not _is_loopback(http.host) and http.token is None and http.token_file is None:
        yield (
            ("http.token", "http.token_file", "http.host"),
            f"or http.token_file is needed to listen on {http.host}, which others can reach",
        )
    if not _is_loopback(http.host) and not http.allow_remote:
        yield (
            ("http.allow_remote", "http.host"),
            f"is needed to listen on {http.host}, which others can reach; put a proxy with TLS before it",
        )
    schemes = {"rest_url": ("http", "https"), "ws_api_url": ("ws", "wss"), "stream_url": ("ws", "wss")}
    for name, allowed in schemes.items():
        url = getattr(config.venue, name)
        if url is None:
            continue
        key = f"venue.{name}"
        parts = urlsplit(url)
        if parts.scheme not in allowed or not parts.hostname:
            yield (key,), f"should be a URL that begins with {' or '.join(f'{scheme}://' for scheme in allowed)}"
        elif (other := _mode_of(parts.hostname)) and other != config.mode:
            yield (key, "mode"), f'leads to the exchange of mode "{other}", but the mode is "{config.mode}"'


def _about_tokens(config: Config) -> Iterator[Contradiction]:
    """A token that others might try to guess has 128 bits or more: 22 characters of base64."""
    http = config.http
    if config.mode == "live" or not _is_loopback(http.host):
        if http.token is not None and len(http.token.get_secret_value()) < TOKEN_CHARACTERS:
            yield ("http.token",), f"should have at least {TOKEN_CHARACTERS} random characters"
        for key, secret in http.signing_keys.items():
            if len(secret.get_secret_value()) < TOKEN_CHARACTERS:
                yield (f"http.signing_keys.{key}",), f"should have at least {TOKEN_CHARACTERS} random characters"
    if http.require_signature and not http.signing_keys:
        yield ("http.require_signature", "http.signing_keys"), "needs at least one key in http.signing_keys"


def _about_alerts(config: Config) -> Iterator[Contradiction]:
    for kind, sinks in config.alerts.routes.items():
        for name in sinks:
            if name not in config.alerts.sinks:
                yield (f"alerts.routes.{kind}", "alerts.sinks"), f"names {name}, which is none of alerts.sinks"


def _about_times(config: Config) -> Iterator[Contradiction]:
    watcher = config.watcher
    if watcher.poll_interval_seconds > watcher.timeout_seconds:
        yield (
            ("watcher.poll_interval_seconds", "watcher.timeout_seconds"),
            "should not be longer than watcher.timeout_seconds",
        )
    wait, interval = config.twap.guard_wait_seconds, config.twap.interval_seconds
    if wait is not None and wait > interval:
        yield (
            ("twap.guard_wait_seconds", "twap.interval_seconds"),
            "should not be longer than twap.interval_seconds, at which the slot ends",
        )
    if config.mode == "paper" and read_latency(config.paper.latency).high_ms >= config.venue.recv_window_ms:
        yield (
            ("paper.latency", "venue.recv_window_ms"),
            "should be below venue.recv_window_ms: the exchange refuses a request that is older when it arrives",
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _mode_of(host: str) -> str | None:
    """Name the mode whose exchange a host belongs to; a host of nobody we know may be a proxy or a paper exchange."""
    for mode, sections in MODE_DEFAULTS.items():
        for url in sections.get("venue", {}).values():
            if host == urlsplit(str(url)).hostname:
                return mode
    if host == "binance.com" or host.endswith(".binance.com"):
        return "live"
    return "testnet" if host.endswith(".binance.vision") else None
