"""
Batches of records that no publisher's header can break.

Brokers do not look into header names, and take bytes that are no UTF-8. The client then raises (aiokafka 0.14.0, in its
C extension and without it), every time, and the partition stands still. So it does for attributes of a record above
127, which it takes for a number of several bytes. The rest of such a batch is read here instead, as KIP-98 lays it out,
and each such name with its strange bytes escaped.

Nor do brokers look at the offsets that the records of an uncompressed batch give themselves: they count the records.
Whoever believed them would skip what others have written. So the records are counted here too.

The client makes three objects and a dozen calls of each record. A consumer that asks for it with `in_runs` gets whole
batches instead, read by the client's C extension in one go, with the same checks.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final

import aiokafka.consumer.fetcher
from aiokafka import TopicPartition, codec
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.errors import CorruptRecordException, KafkaError
from aiokafka.record.default_records import DefaultRecord
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint

from bridge.core.pairs import Pair

LENGTH_AT: Final = 8  # where a batch says how long it is, behind its first offset; the length counts from there on
MAGIC_AT: Final = 16  # where it says how it is laid out
LAID_OUT: Final = 2  # as KIP-98 says; what is older has neither headers nor offsets of its own, unless it is compressed
COUNT_AT: Final = 57  # where it says how many records it holds; they follow, compressed or not
NUMBER: Final = struct.Struct(">i")
CODECS: Final = 0x07  # the bits of a batch's attributes that name its codec
APPEND_TIME: Final = 1  # the timestamp type whose time is that of the batch

_DECODERS: Final[dict[int, Callable[[bytes], bytes]]] = {
    0: bytes,
    1: codec.gzip_decode,
    2: codec.snappy_decode,
    3: codec.lz4_decode,
    4: codec.zstd_decode,
}


def install() -> None:
    """Put these batches in place of the client's, which has no option for that. May be called again."""
    aiokafka.consumer.fetcher.MemoryRecords = Batches
    aiokafka.consumer.fetcher.PartitionRecords = Unpacked


def in_runs(consumer: Any) -> None:
    """Let a consumer that was just started hand out a `Run` wherever it would hand out a record."""
    consumer._fetcher._value_deserializer = RUNS  # noqa: SLF001  what it tells `Unpacked` of itself


RUNS: Final = object()  # is told from deserializers, and never called


class Run(list[Any]):
    """Records of one batch in their order, at least one; the client takes them for one record."""

    __slots__ = ()

    @property
    def offset(self) -> int:
        """Behind it the client goes on."""
        return int(self[-1].offset)


class Unpacked(PartitionRecords):  # type: ignore[misc]  # the client has no types
    """The client's way through the batches of an answer: it leaves out what was aborted, and what was read before."""

    def __init__(self, place: TopicPartition, batches: Batches, *more: Any) -> None:
        super().__init__(place, batches, *more)
        if self._value_deserializer is RUNS:
            batches.in_runs = True

    def _consumer_record(self, place: TopicPartition, record: Any) -> Any:
        if not isinstance(record, Run):
            return super()._consumer_record(place, record)
        if record[0].offset >= self.next_fetch_offset:
            return record
        return Run(each for each in record if each.offset >= self.next_fetch_offset)


class Batches:
    """What a broker answered for one partition: the client's own reader of it, whose batches are lenient."""

    in_runs = False

    def __init__(self, answer: bytes) -> None:
        self._inner = MemoryRecords(answer)
        self._answer = memoryview(answer)
        self._at = 0
        self.has_next = self._inner.has_next
        self.size_in_bytes = self._inner.size_in_bytes

    def next_batch(self) -> Batch | None:
        """The next one. Raises CorruptRecordException."""
        batch = self._inner.next_batch()
        if batch is None:
            return None
        begin = self._at
        (length,) = NUMBER.unpack_from(self._answer, begin + LENGTH_AT)
        self._at = begin + LENGTH_AT + NUMBER.size + length
        return Batch(batch, self._answer[begin : self._at], in_runs=self.in_runs)


class Batch:
    """The client's batch; what it cannot read is read from `raw`, all of its bytes."""

    __slots__ = ("_in_runs", "_inner", "_raw")

    def __init__(self, inner: Any, raw: memoryview, *, in_runs: bool = False) -> None:
        self._inner = inner
        self._raw = raw
        self._in_runs = in_runs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __next__(self) -> Any:
        """The next record, by the client alone, which so reads the marks of transactions."""
        return next(self._inner)

    def __iter__(self) -> Iterator[Any]:
        """All records. Raises KafkaError, and nothing that would seem to be about the client or its connections."""
        return self._runs() if self._in_runs else self._each()

    def _runs(self) -> Iterator[Run]:
        """All in one run where nothing is odd about them; else one by one, so that those before a bad one are read."""
        if self._raw[MAGIC_AT] == LAID_OUT and (run := self._whole()) is not None:
            yield run
            return
        again = MemoryRecords(bytes(self._raw)).next_batch()
        for record in Batch(again, self._raw):
            yield Run([record])

    def _whole(self) -> Run | None:
        """All records, where the client can read them and their offsets are those that the broker has counted."""
        try:
            run = Run(self._inner)
        except Exception:  # noqa: BLE001  whatever it is, it is told when they are read one by one
            return None
        counted = range(self._inner.base_offset, self._inner.next_offset)
        if not run or len(run) != len(counted):
            return None
        return run if [record.offset for record in run] == list(counted) else None

    def _each(self) -> Iterator[Any]:
        try:
            if self._raw[MAGIC_AT] == LAID_OUT:
                yield from self._placed()
            else:
                yield from self._inner
        except KafkaError:
            raise
        except Exception as error:
            raise CorruptRecordException(f"{type(error).__name__}: {error}") from error

    def _placed(self) -> Iterator[Any]:
        """The records at the offsets that the broker gave them, whatever they say of that themselves."""
        at, end = self._inner.base_offset, self._inner.next_offset
        (count,) = NUMBER.unpack_from(self._raw, COUNT_AT)
        whole = count == end - at  # else the broker has compacted it: it wrote the offsets anew, which have gaps
        for record in self._read():
            if record.offset != at:
                if whole:
                    record = _moved(record, at)  # noqa: PLW2901  it stands for the same record
                elif not at <= record.offset < end:
                    raise CorruptRecordException(f"a record says that its offset is {record.offset}")
            at = record.offset + 1
            yield record

    def _read(self) -> Iterator[Any]:
        given = 0
        try:
            for given, record in enumerate(self._inner, 1):  # noqa: B007  how many there were
                yield record
        except (UnicodeDecodeError, CorruptRecordException):  # the checksum was right: it came as it was written
            yield from islice(_records(self._inner, bytes(self._raw)), given, None)


def _records(batch: Any, raw: bytes) -> Iterator[DefaultRecord]:
    """The records of a batch of format 2, the only one with headers."""
    data = _DECODERS[batch.attributes & CODECS](raw[COUNT_AT + NUMBER.size :])
    (count,) = NUMBER.unpack_from(raw, COUNT_AT)
    at = 0
    for _ in range(count):
        length, at = _number(data, at)
        end = at + length
        record, at = _record(batch, data, at)
        if at != end or end > len(data):
            raise CorruptRecordException(f"a record of {length} bytes does not end where it says")
        yield record


def _record(batch: Any, data: bytes, at: int) -> tuple[DefaultRecord, int]:
    """The record whose attributes, a byte without meaning, stand at `at`; and where it ends."""
    age, at = _number(data, at + 1)
    delta, at = _number(data, at)
    key, at = _octets(data, at)
    value, at = _octets(data, at)
    count, at = _number(data, at)
    headers: list[Pair] = []
    for _ in range(count):
        name, at = _octets(data, at)
        content, at = _octets(data, at)
        headers.append(((name or b"").decode("utf-8", "backslashreplace"), content))
    stamp = batch.max_timestamp if batch.timestamp_type == APPEND_TIME else batch.first_timestamp + age
    return DefaultRecord(batch.base_offset + delta, stamp, batch.timestamp_type, key, value, headers), at


def _moved(record: Any, offset: int) -> DefaultRecord:
    """The same record at another offset; the client's own cannot be changed."""
    return DefaultRecord(offset, record.timestamp, record.timestamp_type, record.key, record.value, record.headers)


def _octets(data: bytes, at: int) -> tuple[bytes | None, int]:
    """Bytes with their length before them; a negative one stands for none at all."""
    length, at = _number(data, at)
    return (None, at) if length < 0 else (data[at : at + length], at + length)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends. The client's own decoder, in C, would go on behind the data, wherever that leads."""
    if at >= len(data):
        raise CorruptRecordException("a record is longer than its batch")
    found: tuple[int, int] = decode_varint(data, at)  # stops at the 0 that Python keeps behind bytes
    return found
