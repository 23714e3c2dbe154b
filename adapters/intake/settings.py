"""From the configuration to what the intakes need: tokens read or drawn, templates made, and every secret named."""

from __future__ import annotations

from adapters.client import ADDRESS_FILE, HOOK_TOKEN_FILE, TOKEN_FILE
from adapters.config import Config
from adapters.intake.http import HttpSettings
from adapters.intake.template_tables import template_tables
from adapters.intake.token import kept_token


def http_settings(config: Config) -> HttpSettings:
    """Read, or draw and keep, the tokens, and say how to listen. The data directory must be there.

    Raises OSError and ValueError for tokens that can't be read.
    """
    http, data_dir = config.http, config.data_dir
    return HttpSettings(
        token=http.bearer_token() or kept_token(data_dir / TOKEN_FILE),
        host=http.host,
        port=http.port,
        address_file=data_dir / ADDRESS_FILE,
        allowed_hosts=http.allowed_hosts,
        hook_token=kept_token(data_dir / HOOK_TOKEN_FILE),
        templates=template_tables(config.templates)[0],
        signing_keys={key: secret.get_secret_value() for key, secret in http.signing_keys.items()},
        require_signature=http.require_signature,
        read_without_token=http.read_without_token,
    )


def secrets_of(settings: HttpSettings) -> list[str]:
    """List every value of the settings that must never be written anywhere."""
    tokens = [settings.token, settings.hook_token, *(table.hook_token() for table in settings.templates.values())]
    return [*filter(None, tokens), *settings.signing_keys.values()]
