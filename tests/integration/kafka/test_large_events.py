"""Records that are small while they travel, and too large once unpacked: from their topic to the dead letters."""

from __future__ import annotations

import json
from pathlib import Path

from devtools.kafka import KafkaNode
from devtools.kafka_lab import Lab
from tests.integration.kafka.members import undone, until
from tests.integration.kafka.test_crossings import arrivals, running

MOST = 200_000  # bytes of an event
HUGE = 5 << 20
TRAVELS = 100_000  # bytes of a batch


def event(event_id: str, size: int) -> bytes:
    """An event of exactly so many bytes, which pack well."""
    bare = json.dumps({"id": event_id, "name": "user.created", "data": {"text": ""}}).encode()
    return bare.replace(b'""', b'"' + b"x" * (size - len(bare)) + b'"')


async def test_what_unpacks_to_more_than_max_event_bytes_is_buried_whole_and_holds_up_nobody(
    newest_kafka: KafkaNode, unique: str, tmp_path: Path
) -> None:
    bodies = [event("fits", MOST), event("large", MOST + 1), event("huge", HUGE), event("behind", 100)]
    source = {"type": "kafka", "bootstrap_servers": newest_kafka.bootstrap, "topics": unique, "group_id": unique}
    route = {
        "source": {**source, "prefetch_bytes": MOST},
        "delay": {"namespace": unique},
        "dead_letters": {"namespace": unique},
        "limits": {"max_event_bytes": MOST},
    }

    async with Lab(newest_kafka.bootstrap) as lab:
        await lab.create_topic(unique, configs={"max.message.bytes": str(TRAVELS)})
        headers = [("seen", b"\xff")]
        await lab.produce(
            unique, bodies, keys=[b"k"] * 4, headers=headers, compression_type="gzip", max_request_size=2 * HUGE
        )

        async def all_done() -> bool:
            return not await undone(lab, unique, unique)

        async with running(tmp_path, route) as server:
            await until(lambda: "behind" in arrivals(server))
            await until(all_done)
        letters = await lab.records(f"{unique}.dead.v1")

    assert set(arrivals(server)) == {"fits", "behind"}
    assert {(letter.key, letter.value) for letter in letters} == {(b"k", bodies[1]), (b"k", bodies[2])}
    for letter in letters:
        facts = dict(letter.headers)
        problem = f"body has {len(letter.value)} bytes, more than max_event_bytes ({MOST})"
        assert (facts["x-bridge-dlq-kind"], facts["x-bridge-dlq-reason"]) == (b"poison", problem.encode())
        assert facts["seen"] == b"\xff"
