"""What was published and what became of it, event by event; and whether that is what should have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from bridge.settings.policies import TimingSettings
from devtools.demo.road import Counts, DeadLetter
from devtools.demo.story import Item, Named

HOLD_WINDOW = TimingSettings().hold_window
"""Seconds; the bridge keeps shorter waits inside of its process."""


@dataclass(slots=True, kw_only=True)
class Fate:
    """One event. Times are epoch ms."""

    event: Named
    item: Item
    published: int
    due: int
    arrivals: list[float] = field(default_factory=list)  # at the event API
    released: float | None = None  # by the event API, if that held it
    failures: list[str] = field(default_factory=list)
    dead: list[DeadLetter] = field(default_factory=list)
    copies: int = 0

    @property
    def delivered_at(self) -> float | None:
        """When it was there for whoever waits for it."""
        if self.item.holder == "api":
            return self.released
        return self.arrivals[0] if self.arrivals else None

    @property
    def lateness(self) -> float | None:
        """Ms from its due time to its delivery, as its publisher sees it: the way through the broker counts."""
        return None if self.delivered_at is None else self.delivered_at - self.due

    @property
    def ended(self) -> bool:
        """Whether something final has become of it."""
        return self.delivered_at is not None or bool(self.dead)


class Books:
    """Everything the demo knows."""

    def __init__(self) -> None:
        self.fates: dict[str, Fate] = {}
        self.deliveries = 0
        self.suppressed: list[Fate] = []
        self.strangers: list[str] = []
        self._over = False
        self._pending_copies: dict[str, list[Fate]] = {}
        self._pending_waits: dict[str, list[Fate]] = {}

    def published(self, item: Item, now: int) -> None:
        """Note what is being handed to the broker. `now` is the time of it."""
        self.deliveries += 1
        if item.copy:
            fate = self.fates[item.events[0].id]
            fate.copies += 1
            self._pending_copies.setdefault(item.route, []).append(fate)
            return
        for event in item.events:
            fate = Fate(event=event, item=item, published=now, due=now + round(item.wait * 1000))
            self.fates[event.id] = fate
            if item.holder == "bridge":
                self._pending_waits.setdefault(item.route, []).append(fate)

    def find(self, event_id: str, name: str) -> Fate | None:
        """Find an event by its id; or by its name, which is all that Zopio knows of it."""
        if event_id in self.fates or self._over:
            return self.fates.get(event_id)
        nameless = (fate for fate in self.fates.values() if fate.item.route == "zopio")
        return next((fate for fate in nameless if fate.event.name == name), None)

    def close(self) -> None:
        """Let what comes from now on be somebody else's."""
        self._over = True

    def suppress(self, route: str) -> Fate | None:
        """
        Note one more duplicate of a route, as its metrics count them, and return which it was.

        The metrics do not say, but a route takes copies in the order in which they were published.
        """
        pending = self._pending_copies.get(route)
        if not pending:
            return None
        self.suppressed.append(pending.pop(0))
        return self.suppressed[-1]

    def held(self, route: str, *, in_process: bool) -> Fate | None:
        """Return which event it was that the route has put aside, in the same way."""
        pending = self._pending_waits.get(route, [])
        found = next((fate for fate in pending if (fate.item.wait <= HOLD_WINDOW) == in_process), None)
        if found is not None:
            pending.remove(found)
        return found

    def strange(self, name: str, where: str) -> None:
        """Note an event that nobody here has published."""
        self.strangers.append(f"{name} came {where}, and is none of ours")

    def complete(self) -> bool:
        """Whether everything has become of the events that should."""
        copies = sum(len(pending) for pending in self._pending_copies.values())
        return not copies and all(fate.ended for fate in self.fates.values())

    def latenesses(self) -> list[float]:
        """Of the events that the bridge held, in ms."""
        held = (fate for fate in self.fates.values() if fate.item.holder == "bridge")
        return [late for fate in held if (late := fate.lateness) is not None]

    def differences(self, counts: Counts) -> list[str]:
        """Say what is not as it must be; nothing if all is well."""
        found = [line for fate in self.fates.values() for line in _of_one(fate)]
        found += self.strangers
        copies = sum(fate.copies for fate in self.fates.values())
        duplicates = sum(count for (_, result), count in counts.events.items() if result == "duplicate")
        if not copies == duplicates == len(self.suppressed):
            found.append(f"{copies} copies were published, but {duplicates} duplicates suppressed")
        if counts.received != counts.settled + counts.in_flight or counts.in_flight:
            found.append(f"the conservation law does not hold: {law(counts)}")
        if counts.taken_in != self.deliveries:
            found.append(f"{self.deliveries} deliveries were published, but {counts.taken_in} taken in")
        if counts.faults:
            found.append(f"the bridge counted {counts.faults} faults of its own")
        return found

    def rows(self, counts: Counts) -> list[tuple[str, int | None, str]]:
        """Sum up, as a table: what, how many, and more about it."""
        fates = self.fates.values()
        delivered = [fate for fate in fates if fate.delivered_at is not None]
        retried = [fate for fate in delivered if fate.failures]
        dead = [fate for fate in fates if fate.dead]
        by_api = [fate for fate in delivered if fate.item.holder == "api"]
        tries = sum(len(fate.failures) for fate in retried)
        return [
            ("published", self._events(), f"events in {self.deliveries} deliveries"),
            ("delivered", len(delivered), _times(delivered)),
            ("duplicates", len(self.suppressed), "suppressed"),
            ("delayed", len(self.latenesses()), f"by the bridge, {_delays(self.latenesses())}"),
            ("", len(by_api), "by the event API, which was told when"),
            ("retried", len(retried), f"delivered after {tries} failed attempts"),
            ("dead letters", len(dead), ""),
            *((f"  {fate.event.name}", None, letter.reason) for fate in dead for letter in fate.dead),
            ("conservation", None, law(counts)),
        ]

    def _events(self) -> int:
        return sum(1 + fate.copies for fate in self.fates.values())


def law(counts: Counts) -> str:
    """Write the law in numbers, over all routes and both stages."""
    sign = "=" if counts.received == counts.settled + counts.in_flight else "is not"
    return f"{counts.received} deliveries received {sign} {counts.settled} settled + {counts.in_flight} in flight"


def _of_one(fate: Fate) -> Iterator[str]:
    name, item = fate.event.name, fate.item
    if item.end == "delivered":
        wanted = item.failures
        yield from _of_delivered(fate)
    else:
        wanted = int(item.end == "rejected")
        if fate.arrivals:
            yield f"{name} was delivered, though it must not be"
        if [letter.kind for letter in fate.dead] != [item.end]:
            found = ", ".join(f"{letter.kind} ({letter.reason})" for letter in fate.dead) or "not there"
            yield f"{name} must be in the dead letters once, as {item.end}, but is {found}"
    if len(fate.failures) != wanted:
        yield f"{name} failed {len(fate.failures)} times, not {wanted}"


def _of_delivered(fate: Fate) -> Iterator[str]:
    name = fate.event.name
    if len(fate.arrivals) != 1:
        yield f"{name} was sent {len(fate.arrivals)} times, not once"
    if fate.dead:
        yield f"{name} is in the dead letters: {fate.dead[0].reason}"
    if fate.lateness is not None and fate.lateness < 0:
        yield f"{name} was delivered {-fate.lateness:.0f} ms early"
    if fate.item.holder == "api" and fate.arrivals and (fate.arrivals[0] >= fate.due or fate.released is None):
        yield f"{name} was not left to the event API, which can wait by itself"


def _times(fates: Sequence[Fate]) -> str:
    most = max((len(fate.arrivals) for fate in fates), default=0)
    return "each of them once" if most <= 1 else f"up to {most} times"


def _delays(latenesses: Sequence[float]) -> str:
    if not latenesses:
        return "none of them delivered"
    return f"late by {median(latenesses):.0f} ms (median), {max(latenesses):.0f} ms (most)"
