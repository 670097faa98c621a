"""Rights (ACLs) at a broker of `devtools.kafka_security`, granted and taken away from outside."""

from __future__ import annotations

import enum
from typing import Any

from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest

from devtools.kafka_lab import Lab

ANY = 1
"""In the place of a kind, a pattern, an operation or an answer: whichever (org.apache.kafka.common.acl)."""

ALLOW = 3


class Kind(enum.IntEnum):
    """What a right is about (org.apache.kafka.common.resource.ResourceType)."""

    TOPIC = 2
    GROUP = 3
    CLUSTER = 4


class May(enum.IntEnum):
    """What may be done (org.apache.kafka.common.acl.AclOperation)."""

    EVERYTHING = 2
    READ = 3
    WRITE = 4
    CREATE = 5
    DELETE = 6
    ALTER = 7
    DESCRIBE = 8
    DESCRIBE_CONFIGS = 10
    ALTER_CONFIGS = 11
    IDEMPOTENT_WRITE = 12


class Pattern(enum.IntEnum):
    """How a name is meant (org.apache.kafka.common.resource.PatternType)."""

    LITERAL = 3
    PREFIXED = 4


async def grant(lab: Lab, principal: str, may: May, kind: Kind, name: str, pattern: Pattern = Pattern.LITERAL) -> None:
    """
    Let a principal, for instance "User:alice" or "User:CN=client", do something, and wait until it counts.

    The cluster's name is "kafka-cluster"; "*" stands for every name.
    """
    wanted = (kind, name, pattern, principal, "*", may, ALLOW)
    answer = await lab.ask(CreateAclsRequest(*wanted))
    ((code, text),) = answer.creation_responses
    if code:
        raise for_code(code)(text)

    async def counts() -> bool:
        return bool(await _found(lab, *wanted))

    await lab.until(counts, f"{principal} has the right to {may.name}")


async def revoke_all(lab: Lab, principal: str) -> None:
    """Take all rights of a principal away, and wait until that counts."""
    wanted = (ANY, None, ANY, principal, None, ANY, ANY)
    answer = await lab.ask(DeleteAclsRequest(*wanted))
    ((code, text, *_),) = answer.filter_responses
    if code:
        raise for_code(code)(text)

    async def counts() -> bool:
        return not await _found(lab, *wanted)

    await lab.until(counts, f"{principal} has no rights")


async def _found(lab: Lab, *wanted: Any) -> Any:
    answer = await lab.ask(DescribeAclsRequest(*wanted))
    if answer.error_code:
        raise for_code(answer.error_code)(answer.error_message)
    return answer.resources
