"""Servers of tests end with all that they had begun."""

from __future__ import annotations

import gc
import http.client

import pytest

from tests.adapters.binance.stub import Say, Stub


def test_a_stub_whose_client_has_gone_leaves_no_task_to_be_found_by_the_next_test(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Stub() as stub:
        stub.handlers["GET /slow"] = lambda _: Say(silent=True)
        client = http.client.HTTPConnection("127.0.0.1", stub.port, timeout=5)
        client.request("GET", "/slow")
        stub.wait_for("GET /slow")
        client.close()
        stub.until_gone()
    del stub
    gc.collect()
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
