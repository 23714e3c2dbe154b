"""The command line within this process. It is made once, for that takes longer than most commands do."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import pytest
from typer import testing
from typer.main import get_command

from adapters.command_line import app

_made = cache(get_command)


def invoke(monkeypatch: pytest.MonkeyPatch, arguments: Sequence[str]) -> testing.Result:
    """Run a command; an exception comes up here."""
    monkeypatch.setattr(testing, "_get_command", _made)
    return testing.CliRunner().invoke(app, arguments, catch_exceptions=False)
