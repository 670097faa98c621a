"""The proxies that the environment names: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, and NO_PROXY for what goes direct."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import unquote, urlsplit

from bridge.errors import ConfigError

_SCHEMES: Final = frozenset({"http", "https", "all"})


@dataclass(slots=True, frozen=True)
class Proxy:
    """Where one listens, and how it is told who we are."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)  # a secret

    @property
    def netloc(self) -> str:
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


class Proxies:
    """Which proxy an address is reached through; without any, none."""

    def __init__(self, named: Mapping[str, Proxy] | None = None, direct: str = "") -> None:
        """`named` by scheme, or "all"; `direct` is what NO_PROXY says."""
        self._named = named or {}
        self._direct = direct

    @classmethod
    def of_environment(cls, where: str) -> Proxies:
        """Read the environment. Raises ConfigError, without repeating what may hold a password; `where` names us."""
        from urllib.request import getproxies_environment

        found = getproxies_environment()
        named = {name: parse_proxy(url, name, where) for name, url in found.items() if name in _SCHEMES}
        return cls(named, found.get("no", ""))

    def of(self, scheme: str, host: str, port: int) -> Proxy | None:
        """Choose the proxy for a host, None where it is reached directly."""
        proxy = self._named.get(scheme) or self._named.get("all")
        if proxy is None or any(_covers(entry.strip().lower(), host, port) for entry in self._direct.split(",")):
            return None
        return proxy


def _covers(entry: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY, a domain, address or network, maybe with a port, is about this host."""
    if entry == "*":
        return True
    with suppress(ValueError):
        return ip_address(host) in ip_network(entry, strict=False)
    name, colon, digits = entry.rpartition(":")
    if not colon or not digits.isdigit():
        name, digits = entry, str(port)
    name = name.strip("[]").lstrip(".")
    return bool(name) and digits == str(port) and (host == name or host.endswith(f".{name}"))


def parse_proxy(url: str, scheme: str, where: str) -> Proxy:
    """Take "http://user:password@host:port", or the same without its scheme. Raises ConfigError."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port or 80
    except ValueError:
        port = 0
    if parts.scheme != "http" or not parts.hostname or not port:
        problem = f"the environment's {scheme.upper()}_PROXY is no http:// address"
        raise ConfigError(where, problem, "Correct the variable, or set proxy: none")
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + b64encode(pair.encode()).decode()
    return Proxy(parts.hostname, port, authorization)
