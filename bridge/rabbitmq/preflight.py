"""What may go wrong with a publishers' queue, found out before it does and without changing anything."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from aiormq.exceptions import ChannelAccessRefused, ChannelPreconditionFailed

from bridge.rabbitmq.connection import Session, limited
from bridge.rabbitmq.topology import exists

OLDEST: Final = (3, 10)  # the first version whose quorum queues dead-letter at least once
DEFAULT_LIMIT_SINCE: Final = (4, 0)  # quorum queues drop after 20 returns where nothing else is said
FEW_RETURNS: Final = 20
MOST_ARGUMENTS: Final = 20

# inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received none but current is the value '7' of type 'long'
_DIFFERENCE: Final = re.compile(
    r"inequivalent arg '(?P<name>[^']+)' for queue .* but current is "
    r"(?:none|(?:the value )?'(?P<value>.*?)'(?: of type '(?P<type>\w+)')?)$",
    re.DOTALL,
)
# What no broker would declare a queue with: so one that is missing stays missing, whatever else is asked. Each is
# compared after others, and so the others are told first.
_BAITS: Final = ("x-queue-type", "x-max-priority")

Arguments = Mapping[str, str | int | bool]


@dataclass(slots=True, frozen=True)
class Finding:
    """Something to know, and what to do about it."""

    level: Literal["ok", "warning", "error"]
    text: str
    cure: str = ""


def version_of(text: str) -> tuple[int, int]:
    """The first two numbers of a broker's version; zeros where it tells none."""
    numbers = re.match(r"(\d+)\.(\d+)", text)
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)


def of_broker(session: Session) -> Finding:
    """Whether the delay line can work there."""
    text = f"RabbitMQ {session.version} reached"
    if version_of(session.version) >= OLDEST:
        return Finding("ok", text)
    return Finding("error", text, "Upgrade to 3.10 or later: older ones may lose an event while it waits")


async def of_queue(session: Session, queue: str, *, declared: bool, where: str) -> list[Finding]:
    """What there is to know about the queue. `declared` says that the bridge will make it where it is missing."""
    if not await exists(session, queue, where=where):
        if declared:
            return [Finding("ok", f"the queue {queue} will be made")]
        return [Finding("error", f"there is no queue {queue}", "Create it, or set topology to declare")]
    there = Finding("ok", f"the queue {queue} is there")
    arguments = await arguments_of(session, queue, where=where)
    if arguments is None:
        return [there, Finding("ok", "its arguments cannot be seen without the permission to configure it")]
    return [there, *judged(arguments, version_of(session.version))]


async def arguments_of(session: Session, queue: str, *, where: str) -> Arguments | None:
    """
    The arguments that a queue was declared with, and whether it is durable; None without permission to configure it.

    AMQP cannot ask for them, but a broker refuses to declare a queue again with other ones, and names one that differs.
    """
    known: dict[str, str | int | bool] = {"durable": True}
    asked: dict[str, str | int | bool] = {}
    for bait in _BAITS:
        for _ in range(MOST_ARGUMENTS):
            text = await _refusal(session, queue, {**asked, bait: "?"}, durable=bool(known["durable"]), where=where)
            if text is None:
                return None
            difference = _DIFFERENCE.search(text)
            if difference is None:
                return known  # the queue is gone meanwhile
            name, value = difference["name"], _typed(difference["value"], difference["type"])
            if value is not None:
                known[name] = value
                if name != "durable":
                    asked[name] = value
            if name == bait:
                break
    return {"x-queue-type": "classic", **known}  # what 3.x says nothing about


async def _refusal(session: Session, queue: str, arguments: Arguments, *, durable: bool, where: str) -> str | None:
    """What the broker says to declaring the queue like this; None when nothing may be declared at all."""
    async with session.scratch() as channel, limited(f"looking at {queue}", where=where):
        try:
            await channel.queue_declare(queue, durable=durable, arguments=dict(arguments))
        except ChannelAccessRefused:
            return None
        except ChannelPreconditionFailed as refused:
            return str(refused)
    return ""


def _typed(value: str | None, kind: str | None) -> str | int | bool | None:
    if value in ("true", "false"):
        return value == "true"
    is_number = value is not None and kind != "longstr" and value.lstrip("-").isdigit()
    return int(value) if value is not None and is_number else value


def judged(arguments: Arguments, version: tuple[int, int]) -> Iterator[Finding]:
    """What these arguments mean for events that have to wait: a target may be down for hours."""
    kind = arguments.get("x-queue-type")
    if kind == "stream":
        yield Finding("error", "it is a stream, which keeps what is settled", "Consume a quorum queue instead")
    if not arguments["durable"]:
        yield Finding("warning", "it is not durable: a restart of the broker empties it", "Declare it durable")
    if "x-message-ttl" in arguments:
        text = f"it drops what waits longer than {arguments['x-message-ttl']} ms (x-message-ttl)"
        yield Finding("warning", text, "Declare it without, or dead-letter what expires")
    if any(name.endswith("-expires") for name in arguments):
        yield Finding("warning", "it deletes itself when it is unused, with all that is in it", "Declare it without")
    limits = [name for name in ("x-max-length", "x-max-length-bytes") if name in arguments]
    if limits and arguments.get("x-overflow", "drop-head") == "drop-head":
        text = f"it drops the oldest when it is full ({', '.join(limits)})"
        yield Finding("warning", text, "Declare it with x-overflow=reject-publish, and let publishers wait")
    if arguments.get("x-single-active-consumer"):
        text = "only one of its consumers is served at a time, so a session that waits for its turn looks deaf"
        yield Finding("warning", text, "Set source.watchdog to 0")
    if kind == "quorum":
        yield from _of_returns(arguments, version)


def _of_returns(arguments: Arguments, version: tuple[int, int]) -> Iterator[Finding]:
    limit = arguments.get("x-delivery-limit", FEW_RETURNS if version >= DEFAULT_LIMIT_SINCE else None)
    if not isinstance(limit, int) or (limit < 0 and version >= DEFAULT_LIMIT_SINCE):
        return
    returns = "at the first return" if limit < 0 else f"after {limit} returns"
    if "x-dead-letter-exchange" not in arguments:
        text = f"it drops a delivery {returns}, unless a policy says otherwise; each lost connection is one for all"
        yield Finding("warning", text, "Declare it with an x-dead-letter-exchange, and x-delivery-limit=100")
    elif limit <= FEW_RETURNS:
        text = f"it dead-letters a delivery {returns}; each lost connection is one for all that it had"
        yield Finding("warning", text, "Declare it with x-delivery-limit=100")
