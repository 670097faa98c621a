"""Every script does to every record what the pure function does: records of all shapes, fifty at a time."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from bridge.core import claims
from bridge.core.claims import Cancelled, Claimed, Done, Record, Scheduled
from bridge.model import Ask, Move, Schedule, Stage
from bridge.redis.scripts import Names
from bridge.stores.redis import RedisSettings, RedisStore
from devtools.redis import RedisNode
from tests.contract.key_store import LEASE, TTL, FakeClock

T = TypeVar("T")

NOW = FakeClock().now
SHIFTS = [-600_000, -1, 0, 1, 20_000, 600_000, 10_000_000]  # ms from now; a lease is 40 s, a ttl an hour

times = st.sampled_from([NOW + shift for shift in SHIFTS])
gens = st.integers(0, 3)
waiting = st.builds(Scheduled, gens, times, times) | st.builds(Cancelled, gens, times)
owners = st.sampled_from(["me", "you", "batch 3"])
records = st.none() | waiting | st.builds(Done, times) | st.builds(Claimed, owners, times, st.none() | waiting)
asks = st.builds(Ask, st.just(b""), st.sampled_from(Stage), gens, times, st.booleans())


def written(record: Record) -> str:
    """A record as prelude.lua has it."""
    match record:
        case Done(until):
            return f"{until}"
        case Scheduled(gen, due, until):
            return f"S {gen} {due} {until}"
        case Cancelled(gen, until):
            return f"X {gen} {until}"
        case Claimed(owner, until, was):
            return f"C {until} {owner.replace(' ', '%20')} call -{f' {written(was)}' if was else ''}"


def read(text: bytes | None) -> Record | None:
    if text is None or text.isdigit():
        return Done(int(text)) if text else None
    kind, *words = text.decode().split(" ", 4)
    if kind == "S":
        return Scheduled(*map(int, words))
    if kind == "X":
        return Cancelled(*map(int, words))
    until, owner, _, rest = words
    was = read(rest.partition(" ")[2].encode() or None)
    assert was is None or isinstance(was, Scheduled | Cancelled)
    return Claimed(re.sub("%20", " ", owner), int(until), was)


class Bench:
    """A store on a real server, whose records are put there and looked at by hand."""

    def __init__(self, node: RedisNode) -> None:
        namespace = secrets.token_hex(8)
        self.names = Names(namespace)
        self.settings = RedisSettings(url=SecretStr(node.url), namespace=namespace, timeout=30)

    def after(self, before: Sequence[Record | None], act: Callable[[RedisStore, list[bytes]], Any]) -> tuple[Any, Any]:
        """What `act` answered, and the records that it left."""
        return asyncio.run(self._after(before, act))

    async def _after(
        self, before: Sequence[Record | None], act: Callable[[RedisStore, list[bytes]], Any]
    ) -> tuple[Any, Any]:
        keys = [secrets.token_bytes(16) for _ in before]
        raw = [self.names.name_of(key) for key in keys]
        store = RedisStore(self.settings, clock=FakeClock())
        await store.open()
        try:
            [server] = await store._running().servers()
            put = [("SET", name, written(record)) for name, record in zip(raw, before, strict=True) if record]
            await server.ask([*put, ("PING",)])
            answer = await act(store, keys)
            left = await server.ask([("GET", name) for name in raw])
        finally:
            await store.close()
        return answer, [claims.current(read(text), NOW) for text in left]


def live(records: Sequence[Record | None]) -> list[Record | None]:
    return [claims.current(record, NOW) for record in records]


@pytest.fixture(scope="module")
def bench(redis_node: RedisNode) -> Bench:
    return Bench(redis_node)


def some(of: st.SearchStrategy[T]) -> st.SearchStrategy[list[tuple[Record | None, T]]]:
    return st.lists(st.tuples(records, of), min_size=30, max_size=50)


@settings(max_examples=200)
@given(pairs=some(asks), owner=owners)
def test_claim(bench: Bench, pairs: list[tuple[Record | None, Ask]], owner: str) -> None:
    def claim(store: RedisStore, keys: list[bytes]) -> Any:
        asked = [
            Ask(key, ask.stage, ask.gen, ask.due_at, ask.replaces) for key, (_, ask) in zip(keys, pairs, strict=True)
        ]
        return store.claim(asked, owner=owner, lease=LEASE)

    bid = Claimed(owner, NOW + round(LEASE * 1000))
    expected = [claims.claim(record, ask, bid, NOW) for record, ask in pairs]
    answers, left = bench.after([record for record, _ in pairs], claim)
    assert answers == [answer for _, answer in expected]
    assert left == live([record for record, _ in expected])


@given(before=st.lists(records, min_size=1, max_size=50), owner=owners)
def test_renew(bench: Bench, before: list[Record | None], owner: str) -> None:
    bid = Claimed(owner, NOW + round(LEASE * 1000))
    expected = [claims.renew(record, bid, NOW) for record in before]
    answers, left = bench.after(before, lambda store, keys: store.renew(keys, owner=owner, lease=LEASE))
    assert answers == [kept for _, kept in expected]
    assert left == live([record for record, _ in expected])


@given(before=st.lists(records, min_size=1, max_size=50))
def test_commit(bench: Bench, before: list[Record | None]) -> None:
    _, left = bench.after(before, lambda store, keys: store.commit(keys, ttl=TTL))
    assert left == [claims.commit(record, NOW, round(TTL * 1000)) for record in before]


@given(before=st.lists(records, min_size=1, max_size=50), owner=owners)
def test_release(bench: Bench, before: list[Record | None], owner: str) -> None:
    _, left = bench.after(before, lambda store, keys: store.release(keys, owner=owner))
    assert left == live([claims.release(record, owner, NOW) for record in before])


@given(pairs=some(st.tuples(gens, times)), owner=owners)
def test_schedule(bench: Bench, pairs: list[tuple[Record | None, tuple[int, int]]], owner: str) -> None:
    def schedule(store: RedisStore, keys: list[bytes]) -> Any:
        items = [Schedule(key, *item) for key, (_, item) in zip(keys, pairs, strict=True)]
        return store.schedule(items, owner=owner, ttl=TTL)

    items = [(record, Schedule(b"", *item)) for record, item in pairs]
    expected = [claims.schedule(record, item, owner, round(TTL * 1000), NOW) or record for record, item in items]
    _, left = bench.after([record for record, _ in pairs], schedule)
    assert left == live(expected)


@given(before=st.lists(records, min_size=1, max_size=50))
def test_cancel_and_look(bench: Bench, before: list[Record | None]) -> None:
    expected = [claims.cancel(record, round(TTL * 1000), NOW) or record for record in before]
    answers, left = bench.after(before, lambda store, keys: store.cancel(keys, ttl=TTL))
    assert answers == [claims.standing(record, NOW) for record in before]
    assert left == live(expected)
    answers, left = bench.after(before, lambda store, keys: store.look(keys))
    assert answers == [claims.standing(record, NOW) for record in before]
    assert left == live(before)


@given(pairs=some(times))
def test_move(bench: Bench, pairs: list[tuple[Record | None, int]]) -> None:
    def move(store: RedisStore, keys: list[bytes]) -> Any:
        return store.move([Move(key, due) for key, (_, due) in zip(keys, pairs, strict=True)], ttl=TTL)

    expected = [claims.move(record, Move(b"", due), round(TTL * 1000), NOW) or record for record, due in pairs]
    answers, left = bench.after([record for record, _ in pairs], move)
    assert answers == [claims.standing(record, NOW) for record, _ in pairs]
    assert left == live(expected)
