"""How a client finds the server that an address names, and what it says of that in the request."""

from __future__ import annotations

import asyncio
import socket

import pytest

from bridge.model import Request, Response
from bridge.targets.failures import Failure
from tests.fakes.hostile import HostileServer, plain
from tests.fakes.hostile_talk import full_backlog
from tests.integration.http.rig import PATIENCE, READ_LIMIT, ask, client_of, heals, reason, until

NAME = "api.test"


class Names:
    """Stands for the system's resolver: `addresses` are those of `NAME`."""

    def __init__(self) -> None:
        self.addresses: list[str] = ["127.0.0.1"]
        self.asked: list[str] = []
        self.stuck = False

    async def getaddrinfo(self, host: str, port: int, *, family: int = 0, **_: int) -> list[tuple[object, ...]]:
        self.asked.append(host)
        if self.stuck:
            await asyncio.Event().wait()
        addresses = self.addresses if host == NAME else [host] if host[0].isdigit() or ":" in host else []
        found = [self._entry(address, int(port)) for address in addresses]
        found = [entry for entry in found if family in {0, entry[0]}]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return found

    @staticmethod
    def _entry(address: str, port: int) -> tuple[object, ...]:
        if ":" in address:
            return socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port, 0, 0)
        return socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port)


@pytest.fixture
async def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names()
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names.getaddrinfo)
    return names


def at(server: HostileServer) -> str:
    return f"http://{NAME}:{server.port}"


@pytest.mark.parametrize(
    "addresses", [["127.0.0.2", "127.0.0.1"], ["::2", "127.0.0.1"], ["127.0.0.2", "127.0.0.3", "127.0.0.1"]]
)
async def test_where_one_address_is_dead_the_next_is_taken(kind: str, names: Names, addresses: list[str]) -> None:
    names.addresses = addresses
    async with HostileServer(plain()) as server, client_of(kind) as client:
        answer = await ask(client, at(server))
        assert isinstance(answer, Response), answer
    assert server.requests[0].headers["host"] == f"{NAME}:{server.port}"


async def test_where_one_address_takes_no_connection_the_next_is_taken(kind: str, names: Names) -> None:
    names.addresses = ["127.0.0.2", "127.0.0.1"]
    async with HostileServer(plain()) as server, client_of(kind, connect_timeout=10) as client:
        with full_backlog("127.0.0.2", server.port):
            assert isinstance(await ask(client, at(server)), Response)


async def test_where_all_are_dead_the_words_are_the_systems(kind: str, names: Names) -> None:
    names.addresses = ["127.0.0.2", "127.0.0.3"]
    async with HostileServer(plain()) as server, client_of(kind) as client:
        answer = await ask(client, at(server))
        assert isinstance(answer, Failure)
        assert reason(answer) == "connect: Connection refused"
        assert answer.passing
        names.addresses = ["127.0.0.1"]
        if kind != "aiohttp":  # which remembers addresses for ten seconds
            assert isinstance(await ask(client, at(server)), Response)


async def test_a_name_is_asked_for_again_when_a_connection_is_made(kind: str, names: Names) -> None:
    async with HostileServer(plain(200, b"old", "connection: close")) as old, client_of(kind) as client:
        assert isinstance(await ask(client, at(old)), Response)
        async with HostileServer(plain(200, b"new"), host="127.0.0.2", port=old.port):
            names.addresses = ["127.0.0.2"]
            answer = await ask(client, at(old))
    assert isinstance(answer, Response)
    assert answer.body == (b"old" if kind == "aiohttp" else b"new")  # it remembers addresses for ten seconds


async def test_a_kept_connection_needs_no_name(kind: str, names: Names) -> None:
    async with HostileServer(plain()) as server, client_of(kind) as client:
        for _ in range(3):
            assert isinstance(await ask(client, at(server)), Response)
            names.addresses = []
    assert server.connections == 1
    assert names.asked.count(NAME) == 1


async def test_an_international_name_goes_out_in_its_ascii_form(kind: str, names: Names) -> None:
    name = "xn--bcher-kva.test"
    async with HostileServer(plain()) as server, client_of(kind) as client:
        names.addresses = []
        assert reason(await ask(client, f"http://{name}:{server.port}")) == "connect: Name or service not known"
        assert names.asked[-1] == name, "it is what the resolver is asked for"
        with pytest.MonkeyPatch.context() as known:
            known.setattr("tests.integration.http.test_names.NAME", name)
            names.addresses = ["127.0.0.1"]
            if kind != "aiohttp":  # which remembers for a while that it found nothing
                assert isinstance(await ask(client, f"http://{name}:{server.port}"), Response)
                assert server.requests[0].headers["host"] == f"{name}:{server.port}"


async def test_a_name_without_an_address(kind: str, names: Names) -> None:
    names.addresses = []
    async with client_of(kind) as client:
        answer = await ask(client, f"http://{NAME}")
    assert isinstance(answer, Failure)
    assert reason(answer) == "connect: Name or service not known"
    assert answer.passing


async def test_a_resolver_that_is_stuck(kind: str, names: Names) -> None:
    names.stuck = True
    async with client_of(kind, timeout=0.5, connect_timeout=0.3) as client:
        answer = await ask(client, f"http://{NAME}")
        assert isinstance(answer, Failure)
        names.stuck = False
        async with HostileServer(plain()) as server, client_of(kind) as other:
            assert isinstance(await ask(other, at(server)), Response)


async def test_a_port_where_nobody_listens(kind: str) -> None:
    async with HostileServer(plain()) as server, client_of(kind) as client:
        url = server.url
        await server.__aexit__(None, None, None)
        answer = await ask(client, url)
        assert isinstance(answer, Failure)
        assert reason(answer) == "connect: Connection refused"
        assert answer.passing


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


async def test_an_address_of_ipv6(kind: str) -> None:
    """A machine without IPv6 has to say so; there is nothing else to see there."""
    async with client_of(kind) as client:
        if not _has_ipv6():
            assert reason(await ask(client, "http://[::1]:9")).startswith("connect: ")
            return
        async with HostileServer(plain(), host="::1") as server:
            assert isinstance(await ask(client, f"{server.url}/x"), Response)
            assert server.requests[0].headers["host"] == f"[::1]:{server.port}"
            await heals(client, server)


@pytest.mark.parametrize(
    "rest", ["", "/", "/a%2Fb%7E?q=1%2B1&r=%20", "/%C3%BC//x/../y;z", "?only=this", "/x?y=%00#fragment", "/a|b^c`d{}"]
)
async def test_an_address_goes_out_as_it_was_encoded(kind: str, rest: str) -> None:
    async with HostileServer(plain()) as server, client_of(kind) as client:
        assert isinstance(await ask(client, server.url + rest), Response)
    expected = rest.partition("#")[0]
    assert server.requests[0].target == (expected if expected.startswith("/") else f"/{expected}")


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nx-evil: 1", "a\rx-evil: 1", "a\0b"])
async def test_a_header_that_would_be_two_never_goes_out(kind: str, value: str) -> None:
    async with HostileServer(plain()) as server, client_of(kind) as client:
        with pytest.raises(ValueError):  # noqa: PT011  the words are the client's own
            await ask(client, server.url, headers={"x-good": value})
        await heals(client, server)
    assert [request.headers.get("x-evil") for request in server.requests] == [None]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/a b", "http://127.0.0.1:1/\r\nx: y", "http://127.0.0.1:1/ü", "ftp://x/"]
)
async def test_an_address_that_no_request_can_carry(kind: str, url: str) -> None:
    async with client_of(kind) as client:
        with pytest.raises(ValueError, match="address"):
            await ask(client, url)


async def test_what_a_request_says_of_itself(kind: str) -> None:
    async with HostileServer(plain()) as server, client_of(kind) as client:
        for method, body in [("POST", b"{}"), ("POST", b""), ("PUT", b"x" * 300)]:
            request = Request(method, f"{server.url}/x", {"X-One": "1", "authorization": "Bearer ü"}, body)
            answer = await asyncio.wait_for(client.once(request, READ_LIMIT), PATIENCE)
            assert isinstance(answer, Response)
            seen = server.requests[-1]
            assert (seen.method, seen.target, seen.body) == (method, "/x", body)
            assert seen.headers["content-length"] == str(len(body))
            assert seen.headers["host"] == f"127.0.0.1:{server.port}"
            assert seen.headers["accept-encoding"] == "identity"
            assert seen.headers["user-agent"].startswith("event-bridge/")
            assert seen.headers["x-one"] == "1"
            assert "content-type" not in seen.headers
            assert "transfer-encoding" not in seen.headers
    await until(lambda: server.under_way == 0)
