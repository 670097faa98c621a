"""Writes the heads of requests: what stays the same from one to the next is written once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from bridge import __version__
from bridge.model import Request
from bridge.targets.wire.proxy import Proxies, Proxy

_ADDRESS = re.compile(r"https?://[!-~]+")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_UNFIT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # what would end a header early, or stand in none
_OURS: Final = frozenset({"host", "content-length", "transfer-encoding", "connection", "accept-encoding"})
_DEFAULTS: Final = {"user-agent": f"event-bridge/{__version__}", "accept": "*/*"}
_PORTS: Final = {"http": 80, "https": 443}
_REMEMBERED = 1024  # addresses


@dataclass(slots=True, frozen=True, eq=False)
class Place:
    """Where connections lead: the origin of an address, and the proxy on the way to it. One object a place."""

    tls: bool
    host: str
    port: int
    proxy: Proxy | None = None

    @property
    def netloc(self) -> str:
        """Host and port, also where that is the usual one."""
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def place_of(url: str, proxies: Proxies) -> Place:
    """Where connections for an address lead."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    return Place(parts.scheme == "https", host, port, proxies.of(parts.scheme, host, port))


@dataclass(slots=True, frozen=True)
class Start:
    """How requests of one method to one address begin."""

    place: Place
    line: bytes  # the request line, the host, and the headers that every request has


class Heads:
    """
    Writes heads up to the body.

    A mapping of headers that is the very object of the request before is not written again, so a dialect should hand
    out one and the same while nothing in it changes, and never change it. The same holds for what is added.
    """

    def __init__(self, proxies: Proxies) -> None:
        self._proxies = proxies
        self._places: dict[tuple[bool, str, int], Place] = {}
        self._starts: dict[tuple[str, str], Start] = {}
        self._fields: Mapping[str, str] | None = None
        self._more: Mapping[str, str] | None = None
        self._written = b""  # those two

    def start(self, method: str, url: str) -> Start:
        """Raises ValueError for an address that no request line can carry."""
        start = self._starts.get((method, url))
        if start is None:
            start = self._begin(method, url)
            if len(self._starts) >= _REMEMBERED:
                self._starts.clear()
            self._starts[method, url] = start
        return start

    def head(self, start: Start, request: Request, more: Mapping[str, str]) -> bytes:
        """Write it all. A header that the request has itself is not taken from `more`. Raises ValueError."""
        fields = request.headers
        if fields is not self._fields or more is not self._more:
            named = {name.lower() for name in fields}
            added = {name: value for name, value in {**_DEFAULTS, **more}.items() if name not in named}
            self._written = _lines(added) + _lines(fields)
            self._fields, self._more = fields, more
        return b"%b%bcontent-length: %d\r\n\r\n" % (start.line, self._written, len(request.body))

    def _begin(self, method: str, url: str) -> Start:
        if not _ADDRESS.fullmatch(url):
            raise ValueError("an address holds characters that no request line can carry")
        parts = urlsplit(url)
        place = self._place(url)
        usual = place.port == _PORTS[parts.scheme]
        target = url.split("#", 1)[0][len(parts.scheme) + 3 + len(parts.netloc) :]
        if not target.startswith("/"):
            target = "/" + target
        fields = {
            "host": place.netloc.removesuffix(f":{place.port}") if usual else place.netloc,
            # "identity", because a missing one allows any (RFC 9110, section 12.5.3)
            "accept-encoding": "identity",
        }
        if place.proxy is not None and not place.tls:
            target = f"http://{place.netloc}{target}"
            if place.proxy.authorization is not None:
                fields["proxy-authorization"] = place.proxy.authorization
        return Start(place, f"{method} {target} HTTP/1.1\r\n".encode() + _written(fields))

    def _place(self, url: str) -> Place:
        """The one object for a place, by which the pools know it."""
        place = place_of(url, self._proxies)
        return self._places.setdefault((place.tls, place.host, place.port), place)


def _lines(fields: Mapping[str, str]) -> bytes:
    for name in fields:
        _check(name)
    return _written(fields)


@lru_cache(maxsize=256)
def _check(name: str) -> None:
    if not _NAME.fullmatch(name) or name.lower() in _OURS:
        raise ValueError(f"{name!r} cannot be the name of a header here")


def _written(fields: Mapping[str, str]) -> bytes:
    if _UNFIT.search("".join(fields.values())):
        raise ValueError("the value of a header holds a control character")
    return "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode()
