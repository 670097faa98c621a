"""
The naming convention of events: dots, lower case, no special characters, the entity before the action.

As the guides of Trigger.dev and Inngest recommend it: `user.created`, `cart.checkout.completed`, `app/user.created`.
"""

from __future__ import annotations

import re
from enum import StrEnum

_WORD = r"[a-z0-9]+(?:[_-][a-z0-9]+)*"
_GOOD = re.compile(rf"(?:{_WORD}/)*{_WORD}(?:\.{_WORD})+")
_SPECIAL = re.compile(r"[^A-Za-z0-9._/-]")


class Naming(StrEnum):
    """What happens to an event whose name breaks the convention."""

    OFF = "off"
    WARN = "warn"
    REJECT = "reject"


def complaint(name: str) -> str | None:
    """Say what `name` must be to keep the convention, as the end of a sentence; None if it does."""
    if _GOOD.fullmatch(name):
        return None
    if _SPECIAL.search(name):
        return "must have only letters, digits, dots, and - or _ inside words, with / after a prefix"
    if name != name.lower():
        return "must be in lower case"
    if "." not in name:
        return "must be an entity and an action with a dot between them, such as user.created"
    return "must have a word on either side of each dot, dash and slash, such as app/user.created"
