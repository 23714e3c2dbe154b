from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from adapters.web.assets import HEADERS, POLICY, STATIC, Assets

VENDOR = STATIC / "vendor"
LISTED: dict[str, Any] = orjson.loads((VENDOR / "vendored.json").read_bytes())
OWN = sorted(path for path in STATIC.glob("*") if path.is_file())


@pytest.mark.parametrize("name", LISTED)
def test_vendored_files_are_those_that_were_taken_in(name: str) -> None:
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (VENDOR / name).iterdir()}
    assert found == LISTED[name]["sha256"]


@pytest.mark.parametrize("name", LISTED)
def test_each_vendored_thing_has_a_version_a_licence_and_its_text(name: str) -> None:
    entry = LISTED[name]
    text = (VENDOR / name / "LICENSE").read_text()
    assert {"Apache-2.0": "Apache License", "MIT": "MIT License"}[entry["licence"]] in text
    assert re.fullmatch(r"\d+\.\d+\.\d+", entry["version"])
    assert entry["version"] in entry["source"]


def test_nothing_is_vendored_that_is_not_listed() -> None:
    assert {path.name for path in VENDOR.iterdir() if path.is_dir()} == set(LISTED)


def test_the_page_shows_the_notice_of_the_chart_library() -> None:
    page = (STATIC / "index.html").read_text()
    assert "TradingView Lightweight Charts™" in page
    assert 'href="https://www.tradingview.com/"' in page


def test_the_policy_lets_nothing_in_that_is_inline_evaluated_or_from_elsewhere() -> None:
    assert "unsafe" not in POLICY
    assert "http" not in POLICY
    assert "*" not in POLICY
    assert POLICY.startswith("default-src 'none'")


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_no_file_of_the_page_has_inline_script_style_or_markup_from_text(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=\"|javascript:", text)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", text)


@pytest.mark.parametrize("path", [path for path in OWN if path.suffix in {".js", ".html"}], ids=lambda path: path.name)
def test_everything_that_the_page_asks_for_is_served(path: Path) -> None:
    served = Assets()
    for wanted in re.findall(r'"/ui/static/([^"]+)"', path.read_text()):
        assert served.response(wanted, make_mocked_request("GET", "/")).status == 200


def test_a_file_is_sent_with_its_type_and_the_policy() -> None:
    response = Assets().response("main.js", make_mocked_request("GET", "/"))
    assert response.content_type == "text/javascript"
    assert HEADERS.items() <= dict(response.headers).items()


def test_a_copy_that_is_still_good_is_not_sent_again() -> None:
    etag = Assets().response("main.js", make_mocked_request("GET", "/")).headers["ETag"]
    again = Assets().response("main.js", make_mocked_request("GET", "/", headers={"If-None-Match": etag}))
    assert (again.status, again.body) == (304, None)


@pytest.mark.parametrize("path", ["../site.py", "nothing.js", "", "/etc/passwd", "vendor"])
def test_nothing_else_is_served(path: str) -> None:
    with pytest.raises(web.HTTPNotFound):
        Assets().response(path, make_mocked_request("GET", "/"))
