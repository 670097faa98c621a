from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from bridge.apis.urls import BaseUrl, climbs, origin_of, split_url

_BASE: TypeAdapter[str] = TypeAdapter(BaseUrl)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.test",
        "ftp://api.test",
        "https://",
        "https://user:hunter2@api.test",
        "https://user@api.test",
        "https://api.test:0",
        "https://api.test:99999",
        "https://api.test:x",
        "https://[::1",
        "https://bücher.test",
        "https://api.test/a b",
        "https://api.test/\r\nX: y",
        "https://api.test/a\\b",
        "https://api.test/%zz",
        "https://api.test/#part",
        "https://api.test/a/../b",
        "https://api.test/a/%2e%2e/b",
        "https://api.test/./b",
        "https://api.test/a%2f..%2fb",
        "https://api.test\x00.evil.test/",
        "https://api.test\\@evil.test/",
    ],
)
def test_addresses_that_are_none_are_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        split_url(url)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("host", ["bücher.test", "b%C3%BCcher.test", "例え.test", "bücher.test:8080"])
def test_an_international_name_is_refused_with_what_to_write(host: str) -> None:
    """Clients and resolvers do not agree on how to write one as ASCII: there are two ways (IDNA 2003 and 2008)."""
    with pytest.raises(ValueError, match="xn--"):
        split_url(f"http://{host}/x")
    assert origin_of("http://xn--bcher-kva.test/x") == "http://xn--bcher-kva.test:80"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://api.test", "https://api.test:443"),
        ("http://API.test/x?y=1", "http://api.test:80"),
        ("http://127.0.0.1:8288/e", "http://127.0.0.1:8288"),
        ("http://[::1]:8288", "http://[::1]:8288"),
    ],
)
def test_the_origin_always_has_its_port(url: str, origin: str) -> None:
    split_url(url)
    assert origin_of(url) == origin


def test_a_base_address_loses_its_last_slash_and_takes_no_query() -> None:
    assert _BASE.validate_python("https://api.test/trigger/") == "https://api.test/trigger"
    with pytest.raises(ValidationError, match=r"\? part"):
        _BASE.validate_python("https://api.test/?x=1")


@pytest.mark.parametrize("path", ["/..", "/a/../b", "/%2e%2E", "/a%2f..", "/a%5C..%5Cb", "/.", "/a/./b"])
def test_paths_that_climb_are_seen_in_every_disguise(path: str) -> None:
    assert climbs(path)


@pytest.mark.parametrize("path", ["", "/", "/a..b/...", "/.well-known/x", "/a//b"])
def test_paths_that_do_not_climb_pass(path: str) -> None:
    assert not climbs(path)
