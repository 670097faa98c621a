from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any

import pytest

from bridge.targets.wire import addresses
from bridge.targets.wire.addresses import by_turns, first_of

V4, V6 = socket.AF_INET, socket.AF_INET6


class Transport(asyncio.BaseTransport):
    """What a connection leaves behind when nobody wants it; a transport by its methods only, like that of uvloop."""

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


class Host:
    """Addresses, and what becomes of a connection to each."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **answers: BaseException | None) -> None:
        self.answers = {name.replace("_", "."): answer for name, answer in answers.items()}
        self.tried: list[str] = []
        self.transports: dict[str, Transport] = {}
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", self._find, raising=False)

    async def _find(self, host: str, port: int, **_: object) -> list[Any]:
        assert (host, port) == ("api.test", 80)
        return [(V4, socket.SOCK_STREAM, 6, "", (name, 80)) for name in self.answers]

    async def connect(self, address: str, port: int) -> tuple[Transport, asyncio.Protocol]:
        assert port == 80
        self.tried.append(address)
        answer = self.answers[address]
        if isinstance(answer, TimeoutError):
            await asyncio.Event().wait()
        if answer is not None:
            raise answer
        self.transports[address] = Transport()
        return self.transports[address], asyncio.Protocol()

    async def reach(self) -> Transport:
        transport, _ = await asyncio.wait_for(first_of("api.test", 80, self.connect), 60)
        assert isinstance(transport, Transport)
        return transport


def test_both_families_take_turns_and_the_first_stays_the_first() -> None:
    assert by_turns([(V6, "a"), (V6, "b"), (V4, "c"), (V6, "d")]) == ["a", "c", "b", "d"]
    assert by_turns([]) == []


async def test_the_first_address_that_answers_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Host(monkeypatch, a=ConnectionRefusedError(), b=None, c=None)
    assert await host.reach() is host.transports["b"]
    assert host.tried == ["a", "b"]


async def test_a_silent_address_holds_up_the_next_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "HEAD_START", 0.01)
    before = asyncio.all_tasks()
    host = Host(monkeypatch, a=TimeoutError(), b=TimeoutError(), c=None)
    assert await host.reach() is host.transports["c"]
    assert asyncio.all_tasks() == before


async def test_of_two_that_answer_at_once_one_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    both = asyncio.Event()
    host = Host(monkeypatch, a=None, b=None)
    connect = host.connect

    async def together(address: str, port: int) -> tuple[Transport, asyncio.Protocol]:
        made = await connect(address, port)
        if len(host.tried) == 2:
            both.set()
        await both.wait()
        return made

    monkeypatch.setattr(addresses, "HEAD_START", 0.01)
    monkeypatch.setattr(host, "connect", together)
    taken = await host.reach()
    assert {transport: transport.aborted for transport in host.transports.values()} == {
        transport: transport is not taken for transport in host.transports.values()
    }


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
async def test_where_none_answers_trouble_with_tls_tells_the_most(
    order: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: dict[str, BaseException] = {"a": ssl.SSLError("bad"), "b": ConnectionRefusedError()}
    host = Host(monkeypatch, **{name: errors[name] for name in order})
    with pytest.raises(ssl.SSLError):
        await host.reach()
    assert len(host.tried) == 2


async def test_a_host_without_addresses_is_an_error_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="no address"):
        await Host(monkeypatch).reach()
