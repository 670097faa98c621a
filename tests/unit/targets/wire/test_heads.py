from __future__ import annotations

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model import Request
from bridge.targets.client import NOTHING_MORE
from bridge.targets.wire.heads import Heads
from bridge.targets.wire.proxy import Proxies, Proxy


def head_of(request: Request, more: dict[str, str] | None = None, heads: Heads | None = None) -> bytes:
    heads = heads or Heads(Proxies())
    return heads.head(heads.start(request.method, request.url), request, more or NOTHING_MORE)


def post(url: str, headers: dict[str, str] | None = None, body: bytes = b"{}") -> Request:
    return Request("POST", url, headers or {}, body)


def lines(head: bytes) -> list[str]:
    assert head.endswith(b"\r\n\r\n")
    return head[:-4].decode().split("\r\n")


def test_a_head_says_what_is_asked_for_and_by_whom() -> None:
    first, *fields = lines(head_of(post("http://api.test/a?b=c", {"content-type": "application/json"})))
    assert first == "POST /a?b=c HTTP/1.1"
    named = dict(field.split(": ", 1) for field in fields)
    assert named.pop("user-agent").startswith("event-bridge/")
    assert named == {
        "host": "api.test",
        "accept": "*/*",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "content-length": "2",
    }


@pytest.mark.parametrize(
    ("url", "host", "target"),
    [
        ("http://api.test", "api.test", "/"),
        ("http://api.test?x=1", "api.test", "/?x=1"),
        ("http://api.test:80/", "api.test", "/"),
        ("https://api.test:443/", "api.test", "/"),
        ("https://api.test:80/", "api.test:80", "/"),
        ("http://api.test:8080/a%2Fb%7E", "api.test:8080", "/a%2Fb%7E"),
        ("http://[::1]/", "[::1]", "/"),
        ("http://[::1]:8080/", "[::1]:8080", "/"),
        ("http://API.test/A#part", "api.test", "/A"),
    ],
)
def test_host_and_target_are_what_the_address_says(url: str, host: str, target: str) -> None:
    first, second, *_ = lines(head_of(post(url)))
    assert first == f"POST {target} HTTP/1.1"
    assert second == f"host: {host}"


def test_what_a_request_says_itself_counts() -> None:
    head = head_of(
        post("http://a.test/", {"User-Agent": "me", "traceparent": "mine"}), {"traceparent": "its", "n": "1"}
    )
    named = [line.lower() for line in lines(head)]
    assert "user-agent: me" in named
    assert "traceparent: mine" in named
    assert "n: 1" in named
    assert len({line.split(":")[0] for line in named}) == len(named)


@pytest.mark.parametrize("url", ["http://a.test/ b", "http://a.test/\r\nx: y", "http://a.test/ü", "ftp://a.test/", ""])
def test_an_address_that_no_request_line_can_carry_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="an address holds characters"):
        head_of(post(url))


@pytest.mark.parametrize(
    "name", ["", "a b", "a:", "a\r\nb", "ü", "Host", "Content-Length", "transfer-encoding", "connection"]
)
def test_a_name_that_is_none_or_belongs_to_the_connection_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name of a header"):
        head_of(post("http://a.test/", {name: "v"}))


@given(st.text(max_size=20))
def test_no_value_ends_its_line(value: str) -> None:
    plain = head_of(post("http://a.test/", {"x": "v"})).count(b"\r\n")
    try:
        head = head_of(post("http://a.test/", {"x": value}))
    except (ValueError, UnicodeEncodeError):
        assert any(ord(char) < 32 or ord(char) == 127 or 0xD800 <= ord(char) <= 0xDFFF for char in value)
    else:
        assert head.count(b"\r") == head.count(b"\n") == plain
        assert b"\0" not in head


def test_the_same_headers_are_written_once_and_others_anew() -> None:
    heads = Heads(Proxies())
    one, other = MappingProxyType({"authorization": "Bearer one"}), {"authorization": "Bearer other"}
    for fields in (one, one, other, one):
        head = head_of(Request("POST", "http://a.test/", fields, b""), heads=heads)
        assert f"authorization: {fields['authorization']}".encode() in head
    more = {"n": "1"}
    assert b"n: 1\r\n" in head_of(Request("POST", "http://a.test/", one, b""), more, heads)
    assert b"n: 1\r\n" not in head_of(Request("POST", "http://a.test/", one, b""), heads=heads)


def test_no_more_addresses_are_remembered_than_a_thousand() -> None:
    heads = Heads(Proxies())
    places = {heads.start("POST", f"http://a.test/{n}").place for n in range(5000)}
    assert len(places) == 1
    assert len(heads._starts) <= 1024


def test_a_proxy_is_asked_with_the_whole_address_unless_it_tunnels() -> None:
    proxy = Proxy("proxy.test", 3128, "Basic dTpw")
    heads = Heads(Proxies({"all": proxy}))
    first, *fields = lines(head_of(post("http://[::1]:81/a"), heads=heads))
    assert first == "POST http://[::1]:81/a HTTP/1.1"
    assert "proxy-authorization: Basic dTpw" in fields
    first, *fields = lines(head_of(post("https://a.test/a"), heads=heads))
    assert first == "POST /a HTTP/1.1"
    assert not [field for field in fields if "proxy" in field]
    assert heads.start("POST", "https://a.test/a").place.proxy is proxy
