from __future__ import annotations

import pytest

from adapters.paper.errors import ExchangeError
from adapters.paper.server.keys import PAPER_KEY, verify
from adapters.paper.server.reading import BadFrame, read_rest, read_ws, read_ws_params

REST_ORDER = (
    "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=IOC&quantity=0.01&price=50000.00"
    "&newClientOrderId=tw-1-0001&recvWindow=3000&timestamp=1700000000000"
)


@pytest.mark.parametrize(
    ("query", "signature"),
    [
        (REST_ORDER, "9cd52915187d4a9d9e3cfd413443d2a1512bda30092739637bc309a9711720ae"),
        (
            "symbol=%E6%B5%8B%E8%AF%95USDT&timestamp=1700000000000",
            "8b8858247707283892b3b6b03ffdfac82a3138056e649169b2850faea5870c5a",
        ),
    ],
)
def test_known_rest_signatures_are_valid_over_the_encoded_text(query: str, signature: str) -> None:
    received = read_rest(f"{query}&signature={signature}", "")
    assert received.signature == signature
    verify(PAPER_KEY, received.payload, signature)


def test_an_encoded_name_is_decoded_for_use_but_signed_as_it_came() -> None:
    received = read_rest("symbol=%E6%B5%8B%E8%AF%95USDT&a=1+2", "")
    assert received.params == {"symbol": "测试USDT", "a": "1 2"}
    assert received.payload == b"symbol=%E6%B5%8B%E8%AF%95USDT&a=1+2"


@pytest.mark.parametrize(
    ("params", "signature"),
    [
        (
            {
                "apiKey": "paper-key",
                "symbol": "BTCUSDT",
                "side": "BUY",
                "type": "MARKET",
                "quantity": "0.01",
                "newClientOrderId": "tw-1-0002",
                "recvWindow": 3000,
                "timestamp": 1_700_000_000_000,
            },
            "5944cef68c276d247fca52abd563ae6267b07c88a34941839aa19237f1d37a25",
        ),
        (
            {"symbol": "测试USDT", "apiKey": "paper-key", "timestamp": 1_700_000_000_000},
            "be75565a807d2ed4445bb9997ed8a503cfe892a8dc659809160d199893501a8f",
        ),
    ],
)
def test_known_websocket_signatures_are_valid_over_sorted_names_unencoded(
    params: dict[str, object], signature: str
) -> None:
    received = read_ws_params({**params, "signature": signature})
    assert received.signature == signature
    verify(PAPER_KEY, received.payload, signature)


def test_the_query_wins_over_the_body_and_both_are_signed_one_after_the_other() -> None:
    received = read_rest("a=1&b=2", "b=3&c=4&signature=x")
    assert received.params == {"a": "1", "b": "2", "c": "4"}
    assert received.payload == b"a=1&b=2b=3&c=4"
    assert received.signature == "x"


def test_the_signature_may_stand_anywhere_and_may_be_encoded() -> None:
    received = read_rest("signature=a%2Bb%3D&x=1", "")
    assert (received.signature, received.payload) == ("a+b=", b"x=1")


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(ExchangeError) as refused:
        read_rest("a=1&a=2", "")
    assert refused.value.code == -1101


def test_empty_parts_and_a_name_without_value_are_borne() -> None:
    assert read_rest("&a&=5&b=", "").params == {"a": "", "b": ""}
    assert read_rest("", "").params == {}


def test_json_values_become_text_and_null_is_nothing() -> None:
    received = read_ws_params({"a": 1, "b": True, "c": False, "d": None, "e": ["X"], "f": 0.5})
    assert received.params == {"a": "1", "b": "true", "c": "false", "e": '["X"]', "f": "0.5"}


def test_a_method_may_carry_its_version() -> None:
    request = read_ws('{"id": "q", "method": "v3/order.place"}')
    assert (request.id, request.method, request.received.params) == ("q", "order.place", {})


@pytest.mark.parametrize(
    ("frame", "request_id"),
    [
        ("no json", None),
        ("[]", None),
        ('{"id": [1], "method": "ping"}', None),
        ('{"id": 1.5, "method": "ping"}', None),
        ('{"id": 7}', 7),
        ('{"id": 7, "method": 3}', 7),
        ('{"id": "x", "method": "ping", "params": []}', "x"),
        ('{"id": 7, "method": "ping", "params": {"a": ' + "[" * 300 + "]" * 300 + "}}", 7),
        ('{"id": 7, "method": "ping", "params": {"b": 1.5, "a": ' + "[" * 1000 + "]" * 1000 + "}}", 7),
    ],
)
def test_what_is_no_request_says_whose_it_was_as_far_as_known(frame: str, request_id: object) -> None:
    with pytest.raises(BadFrame) as bad:
        read_ws(frame)
    assert bad.value.request_id == request_id


def test_a_whole_number_of_any_length_is_text_like_all_others() -> None:
    frame = '{"id": 1, "method": "order.place", "params": {"price": 1.50, "quantity": ' + "1" * 21 + "}}"
    assert read_ws(frame).received.params == {"price": "1.50", "quantity": "1" * 21}
    assert read_ws(frame.replace("1.50", '"1.50"')).received.payload == f"price=1.50&quantity={'1' * 21}".encode()
