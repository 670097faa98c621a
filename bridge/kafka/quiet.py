"""What the client logs, thinned out: an outage of 25 s makes 3,500 lines of it (aiokafka 0.14.0)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

CLIENT: Final = "aiokafka"
EVERY: Final = 60.0  # seconds between two lines from the same place of the client's code


class Relay(logging.Handler):
    """Passes on one line a minute from each place that logs, and how many were held back since."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)  # below that stand user names, and requests with passwords in them
        self._clock = clock
        self._said: dict[tuple[str, int], tuple[float, int]] = {}  # place -> when it last spoke, held back since

    def emit(self, record: logging.LogRecord) -> None:
        place, now = (record.name, record.lineno), self._clock()
        last, unsaid = self._said.get(place, (-EVERY, 0))
        if now - last < EVERY:
            self._said[place] = (last, unsaid + 1)
            return
        self._said[place] = (now, 0)
        log.warning(
            "kafka_client_warned", extra={"part": record.name, "reason": record.getMessage()[:500], "unsaid": unsaid}
        )


def quiet() -> None:
    """Let the client speak only through a `Relay`, from now on. May be called again."""
    client = logging.getLogger(CLIENT)
    if not any(isinstance(each, Relay) for each in client.handlers):
        client.addHandler(Relay())
    client.setLevel(logging.WARNING)
    client.propagate = False
