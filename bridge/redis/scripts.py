"""The scripts that the server runs, and the names of its keys."""

from __future__ import annotations

import hashlib
from binascii import crc_hqx
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Final

SLOTS: Final = 16_384
TAGS: Final = 64
"""
Into how many groups the keys fall, by their first byte: each group lies in one slot, so that a script may take many.

A slot for each key would make a command for each key of a batch. 64 keep up to 64 nodes busy, and a batch of 500 in
commands of about eight keys.
"""


@dataclass(slots=True, frozen=True)
class Script:
    """A Lua script by its SHA1, which is what the server calls it (EVALSHA)."""

    name: str
    text: bytes = field(repr=False)

    @property
    def sha(self) -> bytes:
        return _sha(self.text)


@cache
def script(name: str) -> Script:
    """The script of this name, with what is common to all in front."""
    folder = resources.files(__package__).joinpath("lua")
    parts = (folder.joinpath(f"{part}.lua").read_bytes() for part in ("prelude", name))
    return Script(name, b"\n".join(parts))


@cache
def _sha(text: bytes) -> bytes:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()


def slot_of(tag: bytes) -> int:
    """The slot of a cluster that keys with this hash tag live in (Redis cluster specification, "Hash tags")."""
    return crc_hqx(tag, 0) % SLOTS


@cache
def tags() -> tuple[bytes, ...]:
    """One hash tag for each TAGS-th part of the slots, so that nodes of a cluster have equal shares of the keys."""
    found: dict[int, bytes] = {}
    number = 0
    while len(found) < TAGS:
        tag = b"%d" % number
        found.setdefault(slot_of(tag) * TAGS // SLOTS, tag)
        number += 1
    return tuple(found[part] for part in range(TAGS))


class Names:
    """The names that keys have on the server, below one namespace."""

    def __init__(self, namespace: str) -> None:
        self._prefixes = [b"%s{%s}" % (namespace.encode(), tag) for tag in tags()]
        self.slots = [slot_of(tag) for tag in tags()]

    def group_of(self, key: bytes) -> int:
        """Which group a key belongs to, below TAGS."""
        return key[0] % TAGS

    def name_of(self, key: bytes) -> bytes:
        return self._prefixes[key[0] % TAGS] + key

    def grouped(self, keys: Sequence[bytes]) -> dict[int, list[int]]:
        """The places of the keys in the sequence, by group, in order."""
        groups: dict[int, list[int]] = {}
        for place, key in enumerate(keys):
            groups.setdefault(key[0] % TAGS, []).append(place)
        return groups
