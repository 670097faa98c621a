from __future__ import annotations

import pytest

from bridge.errors import ConfigError
from bridge.targets.wire.proxy import Proxies, Proxy, parse_proxy

HERE = Proxy("proxy.test", 3128)


def through(direct: str, host: str = "api.test", port: int = 443) -> bool:
    return Proxies({"all": HERE}, direct).of("https", host, port) is HERE


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name}_PROXY".upper(), raising=False)


@pytest.mark.parametrize(
    ("direct", "host", "proxied"),
    [
        ("", "api.test", True),
        ("*", "api.test", False),
        ("api.test", "api.test", False),
        ("API.test", "api.test", False),
        ("test", "api.test", False),
        (".test", "api.test", False),
        ("other.test, api.test", "api.test", False),
        ("pi.test", "api.test", True),
        ("api.test:443", "api.test", False),
        ("api.test:444", "api.test", True),
        ("10.0.0.0/8", "10.1.2.3", False),
        ("10.0.0.0/8", "11.1.2.3", True),
        ("10.0.0.0/8", "api.test", True),
        ("127.0.0.1", "127.0.0.1", False),
        ("::1", "::1", False),
        ("[::1]:443", "::1", False),
        (",", "api.test", True),
    ],
)
def test_no_proxy_names_hosts_domains_and_networks(direct: str, host: str, proxied: bool) -> None:
    assert through(direct, host) is proxied


def test_the_environment_names_a_proxy_for_each_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:p%40ss@secure.test:8443")
    monkeypatch.setenv("all_proxy", "plain.test:3128")
    monkeypatch.setenv("NO_PROXY", "direct.test")
    proxies = Proxies.of_environment("target.http.proxy")
    assert proxies.of("https", "api.test", 443) == Proxy("secure.test", 8443, "Basic dXNlcjpwQHNz")
    assert proxies.of("http", "api.test", 80) == Proxy("plain.test", 3128)
    assert proxies.of("https", "direct.test", 443) is None


def test_without_any_nothing_is_proxied() -> None:
    assert Proxies.of_environment("x").of("https", "api.test", 443) is None
    assert Proxies().of("http", "api.test", 80) is None


@pytest.mark.parametrize(
    "url", ["socks5://proxy.test", "https://u:hunter2@proxy.test", "http://", "http://p.test:99999"]
)
def test_a_proxy_of_another_kind_is_refused_without_telling_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="HTTPS_PROXY is no http:// address") as found:
        parse_proxy(url, "https", "target.http.proxy")
    assert "hunter2" not in str(found.value)


def test_a_password_is_in_no_repr() -> None:
    proxy = parse_proxy("http://user:hunter2@[::1]:3128", "http", "x")
    assert proxy.netloc == "[::1]:3128"
    assert "Basic" not in repr(proxy)
