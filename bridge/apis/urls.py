"""Addresses: checked when the settings are read, so that no request ever goes anywhere else."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import AfterValidator

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LITERAL = re.compile(r"(?:[A-Za-z0-9\-._~:/?@!$&'()*+,;=\[\]]|%[0-9A-Fa-f]{2})*")  # RFC 3986, without "#"


def split_url(url: str) -> SplitResult:
    """
    Take an http(s) address apart.

    Raises ValueError, never repeating the address (it may hold a password), on anything else: no host, user and
    password in it, a fragment, characters that an address cannot have, "." or ".." in the path.
    """
    parts, port = _split(url)
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("must begin with http:// or https://")
    if not parts.hostname or not _LITERAL.fullmatch(parts.netloc) or "%" in parts.netloc:
        raise ValueError("needs a host, in ASCII (an international name in its xn-- form)")
    if "@" in parts.netloc:
        raise ValueError("must not hold a user or password; give them as a key or under auth")
    if port == 0:
        raise ValueError("needs a port from 1 to 65535")
    if "#" in url or not _LITERAL.fullmatch(parts.path + "?" + parts.query):
        raise ValueError("holds a character that must be written as %XX, or a # part")
    if climbs(parts.path):
        raise ValueError('must not hold "." or ".." as a part of the path')
    return parts


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # its words repeat the address
        raise ValueError("is no address: its host or port cannot be read") from None
    return parts, port


def origin_of(url: str) -> str:
    """Scheme, host and port of an address that was checked: "https://api.example.com:443"."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{parts.port or _DEFAULT_PORTS[parts.scheme]}"


def climbs(path: str) -> bool:
    """Whether a part of the path is "." or "..", also for a server that decodes %2F and %5C before it looks."""
    return any(part in {".", ".."} for part in re.split(r"[/\\]", unquote(path)))


def _base_url(url: str) -> str:
    if split_url(url).query:
        raise ValueError("must not hold a ? part; the API's own paths are added to it")
    return url.rstrip("/")


BaseUrl = Annotated[str, AfterValidator(_base_url)]
"""The address an API's own paths are added to: "https://trigger.example.com"."""


def _full_url(url: str) -> str:
    split_url(url)
    return url


FullUrl = Annotated[str, AfterValidator(_full_url)]
"""The address to send to, as it is."""
