from __future__ import annotations

import pytest

from adapters.config import Config, ConfigError, load_config

KEYS = {"TIDEGATE__VENUE__API_KEY": "k", "TIDEGATE__VENUE__API_SECRET": "s"}

LONG = "a-token-of-128-bits-or-more"
TOKEN, DESK = "TIDEGATE__HTTP__TOKEN", "TIDEGATE__HTTP__SIGNING_KEYS__desk"
"""Where secrets come from: they are refused on the command line."""


def check(*settings: str, env: dict[str, str] | None = None) -> dict[str, str]:
    """Give the problems of a configuration, by key; none if it may be run."""
    try:
        load_config(None, settings, env or {})
    except ConfigError as error:
        return {problem.key: problem.message for problem in error.problems}
    return {}


def test_live_mode_needs_the_accounts_name_once_more() -> None:
    assert "real money" in check("mode=live", env=KEYS)["consent"]
    assert "consent" in check("mode=live", "consent=other", env=KEYS)
    assert "consent" in check("mode=live", "account=fund", "consent=main", env=KEYS)
    assert check("mode=live", "account=fund", "consent=fund", env=KEYS) == {}


def test_consent_without_live_mode_is_a_mistake() -> None:
    assert "remove it" in check("consent=main")["consent"]


@pytest.mark.parametrize("mode", ["testnet", "demo"])
def test_an_exchange_needs_keys(mode: str) -> None:
    assert set(check(f"mode={mode}")) == {"venue.api_key", "venue.api_secret"}
    assert check(f"mode={mode}", env=KEYS) == {}


def test_paper_mode_needs_no_keys() -> None:
    assert check() == {}


def test_there_is_one_kind_of_key() -> None:
    assert "venue.private_key_file" in check("venue.api_secret=s", "venue.private_key_file=x")


def test_a_passphrase_is_of_a_private_key_file() -> None:
    env = {"TIDEGATE__VENUE__PRIVATE_KEY_PASSPHRASE": "s"}
    assert "venue.private_key_file, which is not set" in check(env=env)["venue.private_key_passphrase"]
    assert check("venue.private_key_file=x", env=env) == {}


def test_listening_beyond_this_machine_needs_a_token() -> None:
    assert "0.0.0.0" in check("http.host=0.0.0.0")["http.token"]
    assert "http.token" in check("http.host=example.org")
    assert check("http.host=0.0.0.0", "http.allow_remote=true", env={TOKEN: LONG}) == {}
    assert check("http.host=0.0.0.0", "http.allow_remote=true", "http.token_file=t") == {}


def test_an_address_that_others_can_reach_needs_an_explicit_word() -> None:
    assert "0.0.0.0" in check("http.host=0.0.0.0", env={TOKEN: LONG})["http.allow_remote"]


def test_a_token_that_others_may_guess_at_is_long() -> None:
    remote = ("http.host=0.0.0.0", "http.allow_remote=true")
    assert "22" in check(*remote, env={TOKEN: "short"})["http.token"]
    assert "22" in check(*remote, env={TOKEN: LONG, DESK: "short"})["http.signing_keys.desk"]
    assert "22" in check("mode=live", env={TOKEN: "short"})["http.token"]
    assert check(*remote, env={TOKEN: "x" * 22, DESK: "x" * 22}) == {}
    assert check(*remote, env={TOKEN: "x" * 21, DESK: "x" * 21}).keys() == {"http.token", "http.signing_keys.desk"}
    assert check(env={TOKEN: "short", DESK: "short"}) == {}


def test_signatures_can_be_required_only_where_there_are_keys() -> None:
    assert "http.require_signature" in check("http.require_signature=true")
    assert check("http.require_signature=true", env={DESK: "secret"}) == {}


def test_a_template_that_makes_no_sense_is_named_by_its_key() -> None:
    assert check("templates.tv.base=tvhub", "templates.tv.source=desk") == {}
    assert check("templates.tv.base=nobody").keys() == {"templates.tv.base"}
    assert check("templates.tv.fields.symbol={a", "templates.tv.colour=red").keys() == {"templates.tv.colour"}


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "::1"])
def test_loopback_needs_no_token(host: str) -> None:
    assert check(f"http.host={host}") == {}


def test_there_is_one_token() -> None:
    assert "http.token_file" in check("http.token_file=f", env={TOKEN: "t"})


def test_a_url_has_the_scheme_of_its_use() -> None:
    problems = check("venue.rest_url=ws://127.0.0.1:1", "venue.ws_api_url=nonsense", "venue.stream_url=wss://")

    assert set(problems) == {"venue.rest_url", "venue.ws_api_url", "venue.stream_url"}
    assert problems["venue.rest_url"] == "should be a URL that begins with http:// or https://"


@pytest.mark.parametrize(
    ("mode", "url", "other"),
    [
        ("paper", "https://api.binance.com", "live"),
        ("paper", "https://api4.binance.com", "live"),
        ("paper", "https://binance.com", "live"),
        ("testnet", "https://api.binance.com", "live"),
        ("testnet", "https://demo-api.binance.com", "demo"),
        ("demo", "https://testnet.binance.vision", "testnet"),
        ("demo", "https://api1.testnet.binance.vision", "testnet"),
        ("live", "https://testnet.binance.vision", "testnet"),
    ],
)
def test_no_mode_reaches_the_exchange_of_another(mode: str, url: str, other: str) -> None:
    settings = [f"mode={mode}", f"venue.rest_url={url}"] + ["consent=main"] * (mode == "live")

    assert f'of mode "{other}"' in check(*settings, env=KEYS)["venue.rest_url"]


def test_any_mode_may_use_a_host_of_its_own() -> None:
    assert check("venue.rest_url=http://127.0.0.1:9000", "venue.ws_api_url=ws://127.0.0.1:9000/ws-api/v3") == {}
    assert check("mode=live", "consent=main", "venue.rest_url=https://proxy.example.org", env=KEYS) == {}
    assert check("mode=live", "consent=main", "venue.rest_url=https://api2.binance.com", env=KEYS) == {}


def test_times_go_together() -> None:
    assert "watcher.poll_interval_seconds" in check("watcher.poll_interval_seconds=31")
    assert "twap.guard_wait_seconds" in check("twap.guard_wait_seconds=31")
    assert check("twap.guard_wait_seconds=30", "watcher.poll_interval_seconds=30") == {}


def test_the_defaults_of_paper_mode_may_be_run() -> None:
    assert load_config(env={}) == Config()


def test_a_route_leads_to_sinks_that_there_are() -> None:
    assert "pager" in check('alerts.routes={"halt": ["pager"]}')["alerts.routes.halt"]
    sinks = {"TIDEGATE__ALERTS__SINKS": '{"pager": "ntfy://x"}'}
    assert check('alerts.routes={"halt": ["pager"], "conflict": []}', env=sinks) == {}


@pytest.mark.parametrize("quiet", ["22-6", "24:00-06:00", "22:00", "22:00-06:60"])
def test_quiet_hours_are_two_times_of_day(quiet: str) -> None:
    assert "alerts.quiet" in check(f"alerts.quiet={quiet}")
    assert check("alerts.quiet=22:00-06:00") == {}


def test_a_latency_that_would_make_every_request_too_old_is_a_mistake() -> None:
    assert "venue.recv_window_ms" in check("paper.latency=5-2000")["paper.latency"]
    assert check("paper.latency=5-1999") == {}
    assert check("paper.latency=2000", "venue.recv_window_ms=5000") == {}
    assert check("mode=testnet", "paper.latency=5-2000", env=KEYS) == {}
    assert "as 5-80" in check("paper.latency=fast")["paper.latency"]
