"""What `check --connect` asks of Kafka, without changing anything there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.cli.finding import Finding
from bridge.core.levels import Levels
from bridge.deadletters.kafka import KafkaDeadLettersSettings
from bridge.delays.kafka import KafkaDelaySettings, topics_of
from bridge.settings.tree import Route, Settings
from bridge.sources.kafka import KafkaSourceSettings
from bridge.stores import OF_ONE_PROCESS

if TYPE_CHECKING:
    from bridge.kafka import preflight


async def source(settings: Settings, name: str, source: KafkaSourceSettings, where: str) -> list[Finding]:
    """The brokers, the publishers' topics and the group."""
    from bridge.kafka import preflight
    from bridge.kafka.topics import administrator

    most, local_store = settings.routes[name].limits.max_event_bytes, settings.store.type in OF_ONE_PROCESS
    async with administrator(source, where=where) as admin:
        found = await preflight.of_brokers(admin, where=where)
        found += await preflight.of_source(
            admin, source.topics, source.topic_pattern, max_event_bytes=most, where=where
        )
        found += await preflight.of_group(admin, source.group_of(name), local_store=local_store, where=where)
    return _told(found, where)


async def delay(name: str, route: Route, settings: KafkaDelaySettings, where: str) -> list[Finding]:
    """The topics of the delay line, and the group that reads them."""
    from bridge.kafka import preflight
    from bridge.kafka.rights import Right
    from bridge.kafka.topics import administrator

    levels = Levels(settings.namespace_of(name))
    needs, declared = frozenset({Right.READ, Right.WRITE, Right.DELETE}), settings.topology == "declare"
    async with administrator(settings.at(route.source, where), where=where) as admin:
        topics = topics_of(levels, settings)
        found = await preflight.of_own(admin, topics, needs, declared=declared, where=where)
        found += preflight.of_room(route.limits.max_event_bytes, settings.max_record_bytes)
        found += await preflight.of_group(admin, levels.group, local_store=False, where=where)
    return _told(found, where)


async def dead_letters(name: str, route: Route, settings: KafkaDeadLettersSettings, where: str) -> list[Finding]:
    """The topic of the dead letters."""
    from bridge.kafka import preflight
    from bridge.kafka.rights import Right
    from bridge.kafka.topics import administrator

    needs, declared = frozenset({Right.WRITE}), settings.topology == "declare"
    async with administrator(settings.at(route.source, where), where=where) as admin:
        found = await preflight.of_own(admin, [settings.topic(name)], needs, declared=declared, where=where)
    return _told(found, where)


def _told(found: list[preflight.Finding], where: str) -> list[Finding]:
    return [Finding(where, each.level, each.text, each.cure) for each in found]
