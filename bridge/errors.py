"""
Every error the bridge raises on purpose, named by what the caller should do about it.

    BridgeError
    ├── ConfigError          stop with exit code 78: a person must change the configuration
    ├── PoisonError          bury this delivery: it can never become an event
    ├── EndOfSource          finish: the source was asked to stop and has nothing left
    └── Unavailable          wait and try again: something we depend on is away
        ├── Disconnected     the broker; build a new session
        └── StoreUnavailable the key store

What an event API answers is never an exception: it is an `Outcome` (see `bridge.model`).
"""

from __future__ import annotations


class BridgeError(Exception):
    """Root of everything the bridge raises on purpose."""


class ConfigError(BridgeError):
    """The configuration cannot work; the process exits with 78 (`EX_CONFIG` of sysexits.h)."""

    def __init__(self, field: str, problem: str, cure: str) -> None:
        """
        Name the field and the cure.

        `field` is the dotted path in the settings (`routes.orders.source.queue`), `problem` says what is wrong
        without repeating a secret, `cure` says what to do, in the imperative.
        """
        super().__init__(f"{field}: {problem}. {cure}.")
        self.field = field
        self.problem = problem
        self.cure = cure


class PoisonError(BridgeError):
    """A delivery that is no envelope. `field` is the path of what is wrong, such as `event.delay.seconds`."""

    element: bytes | None = None
    """Of one event of an array: a body with that event alone, fit to be buried. None: the whole delivery is meant."""

    def __init__(self, field: str, problem: str) -> None:
        """`problem` completes the sentence that `field` begins: "must be a string, not a number"."""
        super().__init__(f"{field} {problem}")
        self.field = field
        self.problem = problem


class EndOfSource(BridgeError):
    """`receive()` after `stop()`, once nothing is left to hand out."""


class Unavailable(BridgeError):
    """Something outside is away. Nothing is lost: wait, then try again."""


class Disconnected(Unavailable):
    """The broker session is gone; its unsettled deliveries come again on the next one."""


class StoreUnavailable(Unavailable):
    """The key store cannot answer or cannot write."""
