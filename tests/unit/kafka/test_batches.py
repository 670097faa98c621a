"""Batches that a publisher wrote by hand, and all others, which are read by the client itself."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from aiokafka.structs import ConsumerRecord
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.pairs import Pair
from bridge.kafka.batches import RUNS, Batches, Run, Unpacked, _records

Written = tuple[int, bytes | None, bytes | None, list[Pair]]
octets = st.none() | st.binary(max_size=200)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
written = st.lists(
    st.tuples(st.integers(0, 2**50), octets, octets, st.lists(st.tuples(names, octets), max_size=4)),
    min_size=1,
    max_size=8,
)


def batch(records: list[Written], codec: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 2**30)
    for number, (stamp, key, value, headers) in enumerate(records):
        builder.append(number, stamp, key, value, headers)
    return bytes(builder.build())


def read(reader: Any) -> list[tuple[object, ...]]:
    """What all records of all batches say."""
    found = []
    while (batch := reader.next_batch()) is not None:
        found += [said(record) for record in batch]
    return found


def said(record: Any) -> tuple[object, ...]:
    return record.offset, record.timestamp, record.timestamp_type, record.key, record.value, record.headers


def one(value: bytes, headers: list[Pair] | None = None) -> bytes:
    return batch([(1, None, value, headers or [])])


@given(written, st.sampled_from(range(5)))
def test_the_client_and_this_decoder_read_the_same(records: list[Written], codec: int) -> None:
    raw = batch(records, codec)
    client = MemoryRecords(raw).next_batch()
    assert [said(record) for record in _records(client, raw)] == read(MemoryRecords(raw)) == read(Batches(raw))


def test_a_batch_says_of_itself_what_the_clients_says() -> None:
    ours, theirs = (reader(one(b"v")).next_batch() for reader in (Batches, MemoryRecords))
    for name in ("base_offset", "next_offset", "producer_id", "is_control_batch", "is_transactional"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours is not None
    assert ours.validate_crc()


def test_names_that_are_no_text_are_escaped_in_each_batch_of_an_answer_by_itself() -> None:
    strange = one(b"v", [("a", b"1"), ("NAME", b"\xff"), ("NAME", None)]).replace(b"NAME", b"\xffame")
    answer = Batches(one(b"before") + strange + one(b"behind", [("b", b"2")]))
    got = [(record[4], record[5]) for record in read(answer)]
    assert got == [
        (b"before", []),
        (b"v", [("a", b"1"), (r"\xffame", b"\xff"), (r"\xffame", None)]),
        (b"behind", [("b", b"2")]),
    ]


def test_attributes_of_a_record_that_mean_nothing_do_nothing() -> None:
    raw = bytearray(one(b"value"))
    raw[62] = 0x80  # behind the length of the first record
    with pytest.raises(CorruptRecordException):
        read(MemoryRecords(bytes(raw)))
    assert read(Batches(bytes(raw))) == read(Batches(one(b"value")))


def test_what_is_no_record_at_all_is_said_to_be_corrupt() -> None:
    raw = one(b"v" * 50)
    for spoilt in (raw[:61] + b"\x03" + raw[62:], raw[:61] + b"\xff" * (len(raw) - 61), raw[:60] + b"\x09" + raw[61:]):
        with pytest.raises(CorruptRecordException):
            read(Batches(spoilt))


def test_what_cannot_be_decompressed_is_not_taken_for_a_fault_of_the_connection() -> None:
    raw = batch([(1, None, b"v" * 500, [])], codec=1)
    with pytest.raises(CorruptRecordException, match="BadGzipFile"):
        read(Batches(raw[:61] + b"no gzip" + raw[68:]))


def test_the_beginning_of_a_batch_is_none_yet() -> None:
    answer = Batches(one(b"v") + one(b"next")[:-1])
    assert len(read(answer)) == 1
    assert not answer.has_next()
    assert answer.size_in_bytes() > 0


def misplaced(deltas: list[int], *, last: int) -> bytes:
    """A batch, not compressed, whose records claim these places in it, and which says that its last is at `last`."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 2**30)
    for delta in deltas:
        builder.append(delta, 1, None, b"%d" % delta, [("h", b"1")])
    raw = bytearray(builder.build())
    raw[23:27] = last.to_bytes(4, "big")
    return bytes(raw)


@given(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=8))
def test_records_have_the_offsets_that_the_broker_counts_not_those_they_claim(deltas: list[int]) -> None:
    raw = misplaced(deltas, last=len(deltas) - 1)
    got = read(Batches(raw + one(b"behind")))
    assert got == [(at, 1, 0, None, b"%d" % delta, [("h", b"1")]) for at, delta in enumerate(deltas)] + [
        (0, 1, 0, None, b"behind", [])
    ]


def test_what_compaction_left_of_a_batch_keeps_its_offsets() -> None:
    assert [record[0] for record in read(Batches(misplaced([2, 3, 7], last=9)))] == [2, 3, 7]


@pytest.mark.parametrize("deltas", [[2, 10], [3, 2], [2, 2]])
def test_offsets_that_compaction_cannot_have_left_are_not_believed(deltas: list[int]) -> None:
    with pytest.raises(CorruptRecordException):
        read(Batches(misplaced(deltas, last=9)))


def runs(answer: bytes, *, begin: int = 0, aborted: list[tuple[int, int]] | None = None) -> Unpacked:
    """What a consumer that asks for runs from the offset `begin` is handed of an answer."""
    place = TopicPartition("orders", 3)
    return Unpacked(place, Batches(answer), aborted, begin, None, RUNS, True, READ_COMMITTED)


def singles(unpacked: Unpacked) -> list[tuple[object, ...]]:
    """What the records of all runs say, by the client's own accessors."""
    return [said(record) for run in unpacked for record in run]


def written_at(offset: int, count: int, producer: int = -1, codec: int = 0) -> bytes:
    """A batch of so many records, as the broker has stored it at this offset."""
    transactional = producer >= 0
    builder = DefaultRecordBatchBuilder(2, codec, transactional, producer, 0, 0, 2**30)
    for number in range(count):
        builder.append(number, 1, None, b"%d" % (offset + number), [])
    raw = bytearray(builder.build())
    raw[:8] = offset.to_bytes(8, "big")
    return bytes(raw)


@given(st.lists(written, min_size=1, max_size=4), st.sampled_from(range(5)))
def test_runs_hold_what_the_client_reads_one_by_one(batches: list[list[Written]], codec: int) -> None:
    raws = [bytearray(batch(records, codec)) for records in batches]
    offset = 0
    for raw, records in zip(raws, batches, strict=True):
        raw[:8] = offset.to_bytes(8, "big")
        offset += len(records)
    answer = b"".join(raws)
    unpacked = runs(answer)
    assert singles(unpacked) == read(MemoryRecords(answer))
    assert unpacked.next_fetch_offset == offset


def test_a_batch_without_oddities_is_one_run() -> None:
    assert [len(run) for run in runs(written_at(0, 3) + written_at(3, 5, codec=4))] == [3, 5]


def test_who_does_not_ask_for_runs_is_handed_the_clients_own_records() -> None:
    unpacked = Unpacked(TopicPartition("orders", 3), Batches(written_at(7, 2)), [], 7, None, None, True, READ_COMMITTED)
    records = list(unpacked)
    assert all(isinstance(record, ConsumerRecord) for record in records)
    assert [(record.topic, record.partition, record.offset) for record in records] == [
        ("orders", 3, 7),
        ("orders", 3, 8),
    ]


@pytest.mark.parametrize(("begin", "expected"), [(0, [4, 5, 6, 7]), (6, [6, 7]), (7, [7]), (8, [])])
def test_what_stands_before_where_the_client_goes_on_is_left_out(begin: int, expected: list[int]) -> None:
    unpacked = runs(written_at(4, 4), begin=begin)
    assert [record[0] for record in singles(unpacked)] == expected
    assert unpacked.next_fetch_offset == 8


def test_what_a_transaction_took_back_is_in_no_run() -> None:
    answer = written_at(0, 2, producer=9) + written_at(2, 1) + written_at(3, 2, producer=8)
    unpacked = runs(answer, aborted=[(9, 0)])
    assert [record[0] for record in singles(unpacked)] == [2, 3, 4]


@given(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=8))
def test_in_runs_too_records_have_the_offsets_that_the_broker_counts(deltas: list[int]) -> None:
    answer = signed(misplaced(deltas, last=len(deltas) - 1))
    assert [record[0] for record in singles(runs(answer))] == list(range(len(deltas)))


def test_what_compaction_left_of_a_batch_is_read_record_by_record() -> None:
    unpacked = runs(signed(misplaced([2, 3, 7], last=9)))
    assert [[record.offset for record in run] for run in unpacked] == [[2], [3], [7]]
    assert unpacked.next_fetch_offset == 10


def test_records_before_a_bad_one_are_read_first() -> None:
    raw = bytearray(batch([(1, None, b"good", []), (1, None, b"bad", [])]))
    raw[-5] = 0x7F  # how long the second value is
    unpacked = runs(signed(bytes(raw)))
    assert [record.value for record in next(unpacked)] == [b"good"]
    with pytest.raises(CorruptRecordException):
        next(unpacked)


@given(st.data())
def test_no_bytes_whatever_lead_a_decoder_astray(data: st.DataObject) -> None:
    """The client's decoder of numbers, in C, does not look where its data ends."""
    raw = bytearray(batch([(1, b"key", b"value", [("name", b"1")]), (1, None, b"more", [])]))
    for at in data.draw(st.lists(st.integers(61, len(raw) - 1), min_size=1, max_size=5)):
        raw[at] = data.draw(st.integers(0, 255))
    try:
        found = singles(runs(signed(bytes(raw))))
    except CorruptRecordException:
        return
    assert [record[0] for record in found] == [0, 1]


def test_a_run_with_strange_names_is_read_all_the_same() -> None:
    answer = batch([(1, None, b"v", [("NAME", b"1")]), (1, None, b"w", [])]).replace(b"NAME", b"\xffame")
    found = [record[5] for record in singles(runs(signed(answer)))]
    assert found == [[(r"\xffame", b"1")], []]


def test_a_run_is_never_empty() -> None:
    assert list(runs(signed(misplaced([], last=2**31 - 1)))) == []
    assert isinstance(next(runs(written_at(0, 1))), Run)


def signed(raw: bytes) -> bytes:
    """The batch with the checksum that it has to have."""
    return raw[:17] + struct.pack(">I", calc_crc32c(raw[21:])) + raw[21:]
