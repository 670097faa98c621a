"""Records as they are after they went through the client's own bytes."""

from __future__ import annotations

from collections.abc import Sequence

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import ConsumerRecord

from bridge.core.pairs import Pair


def received(
    key: bytes | None,
    value: bytes | None,
    headers: Sequence[Pair],
    *,
    topic: str = "orders",
    partition: int = 3,
    offset: int = 42,
    timestamp: int = 1_763_690_000_123,
) -> ConsumerRecord[bytes, bytes]:
    """What a consumer would be handed of a record."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 2**31 - 1)
    builder.append(0, timestamp, key, value, list(headers))
    batch = MemoryRecords(bytes(builder.build())).next_batch()
    assert batch is not None
    [record] = list(batch)
    return ConsumerRecord(
        topic,
        partition,
        offset,
        record.timestamp,
        record.timestamp_type,
        record.key,
        record.value,
        record.checksum,
        len(record.key or b""),
        len(record.value or b""),
        tuple(record.headers),
    )
