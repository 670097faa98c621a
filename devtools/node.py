"""What a broker that runs for tests, the demo or the bench can do, whichever broker it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from devtools.processes import CommandError, wait_until

START_LIMIT = 120.0
"""Seconds until a start counts as failed. Usual are 2 to 6; on a loaded machine it takes far longer."""

STOP_LIMIT = 30
"""Seconds for an orderly shutdown, which usually takes 2."""


class Node(ABC):
    """One broker. Its data live until `close()`, whatever happens to its process in between."""

    def __init__(self, version: str, port: int) -> None:
        self.version = version
        """The first two numbers, for instance "3.10"."""
        self.port = port

    @property
    @abstractmethod
    def logs(self) -> Path:
        """Where the broker's own log is, for whoever looks into a failure."""

    @property
    @abstractmethod
    def running(self) -> bool:
        """Whether its process lives."""

    @abstractmethod
    def start(self) -> None:
        """Start, with the data that are there, and wait until it serves. Nothing happens if it runs."""

    @abstractmethod
    def stop(self) -> None:
        """Shut down in an orderly way (SIGTERM)."""

    @abstractmethod
    def kill(self) -> None:
        """End the process at once (SIGKILL)."""

    @abstractmethod
    def close(self) -> None:
        """End it for good, and remove its data."""

    @abstractmethod
    def _ready(self) -> bool:
        """Whether it serves clients. Raises CommandError when it cannot tell yet."""

    @abstractmethod
    def _last_words(self) -> str:
        """Return what the broker said at last, for the text of an error."""

    def _await_service(self) -> None:
        try:
            wait_until(self._serves, within=START_LIMIT, what=f"{self!r} serves")
        except TimeoutError as error:
            raise CommandError(f"{error}\n{self._last_words()}") from error

    def _serves(self) -> bool:
        if not self.running:
            raise CommandError(f"{self!r} did not start:\n{self._last_words()}")
        try:
            return self._ready()
        except CommandError:
            return False

    def restart(self) -> None:
        """Stop in an orderly way, and start again."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
