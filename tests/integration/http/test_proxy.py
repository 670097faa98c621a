"""Proxies that the environment names: used only where the settings say so, and trusted with no more than they need."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator, Callable

import pytest

from bridge.errors import ConfigError
from bridge.model import Misconfigured, Response
from bridge.targets.failures import Failure
from tests.fakes.hostile import HostileServer, plain
from tests.fakes.hostile_proxy import HostileProxy
from tests.integration.http.rig import ask, client_of, reason, until
from tests.integration.http.test_tls import context_of

NATIVE = "native"  # aiohttp must not be behind a proxy, see bridge.apis.options
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
CANARY = "Bearer canary"
ELSEWHERE = "http://api.test/hook?x=1"  # which only a proxy could reach
Say = Callable[..., None]


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Say:
    """Sets the variables of this name, and no others."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)

    def setter(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name.upper(), value)

    return setter


@pytest.fixture
async def proxy(say: Say) -> AsyncIterator[HostileProxy]:  # noqa: ARG001  clears the environment first
    async with HostileProxy() as proxy:
        yield proxy


async def test_the_environment_counts_for_nothing_unless_asked_for(say: Say, proxy: HostileProxy) -> None:
    say(http_proxy=proxy.url, https_proxy=proxy.url, all_proxy=proxy.url)
    async with HostileServer(plain()) as server, client_of(NATIVE) as client:
        assert isinstance(await ask(client, server.url), Response)
    async with HostileServer(plain(), tls=context_of()) as server, client_of(NATIVE) as client:
        assert isinstance(await ask(client, server.url), Response)
    assert proxy.connections == 0


async def test_plain_requests_go_through_the_proxy_with_the_whole_address(say: Say, proxy: HostileProxy) -> None:
    say(http_proxy=proxy.url.replace("//", "//user:p%40ss@"))
    async with client_of(NATIVE, proxy="environment") as client:
        for _ in range(3):
            answer = await ask(client, ELSEWHERE, headers={"authorization": CANARY})
            assert isinstance(answer, Response)
            assert answer.body == b"by proxy"
    assert proxy.connections == 1
    for request in proxy.requests:
        assert request.target.replace(":80", "") == ELSEWHERE
        assert request.headers["host"] == "api.test"
        assert request.headers["authorization"] == CANARY
        assert request.headers["proxy-authorization"] == "Basic " + b64encode(b"user:p@ss").decode()


async def test_requests_over_tls_go_through_a_tunnel_that_sees_nothing(say: Say, proxy: HostileProxy) -> None:
    say(https_proxy=proxy.url.replace("//", "//user:pass@"))
    async with (
        HostileServer(plain(), tls=context_of()) as server,
        client_of(NATIVE, proxy="environment") as client,
    ):
        for _ in range(3):
            assert isinstance(await ask(client, server.url, bytes(300_000), headers={"x-key": CANARY}), Response)
        (head,) = proxy.connects
        assert head.startswith(f"CONNECT 127.0.0.1:{server.port} HTTP/1.1\r\n")
        assert "Basic " + b64encode(b"user:pass").decode() in head
        assert CANARY not in head
        assert "proxy-authorization" not in server.requests[0].headers
        assert (len(server.requests), server.connections, proxy.requests) == (3, 1, [])
    await until(lambda: proxy.under_way == 0)


@pytest.mark.parametrize("direct", ["127.0.0.1", "*", "example.com, 127.0.0.1"])
async def test_no_proxy_means_none(say: Say, proxy: HostileProxy, direct: str) -> None:
    say(http_proxy=proxy.url, no_proxy=direct)
    async with HostileServer(plain()) as server, client_of(NATIVE, proxy="environment") as client:
        assert isinstance(await ask(client, server.url), Response)
    assert proxy.connections == 0


async def test_a_host_that_merely_ends_alike_is_not_spared(say: Say, proxy: HostileProxy) -> None:
    say(http_proxy=proxy.url, no_proxy="i.test,pi.test,test.api")
    async with client_of(NATIVE, proxy="environment") as client:
        assert isinstance(await ask(client, ELSEWHERE), Response)
    assert len(proxy.requests) == 1


async def test_the_certificate_is_that_of_the_host_also_behind_a_proxy(say: Say, proxy: HostileProxy) -> None:
    say(https_proxy=proxy.url)
    async with (
        HostileServer(plain(), tls=context_of("other.pem")) as server,
        client_of(NATIVE, proxy="environment") as client,
    ):
        answer = await ask(client, server.url)
    assert isinstance(answer, Failure)
    assert isinstance(answer.outcome, Misconfigured)
    assert "http.ca_file" in answer.outcome.reason
    assert server.requests == []


@pytest.mark.parametrize(
    "refusal",
    [
        b"HTTP/1.1 407 X\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 403 X\r\ncontent-length: 4\r\n\r\nnone",
        b"HTTP/1.1 502 X\r\n\r\n",
        b"HTTP/1.1 302 X\r\nlocation: http://127.0.0.1/\r\n\r\n",
        b"HTTP/1.1 200",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\0" * 100,
        b"x" * 1_000_000,
        b"",
    ],
    ids=["407", "403", "502", "302", "cut", "ssh", "zeros", "flood", "nothing"],
)
async def test_a_proxy_that_opens_no_tunnel(say: Say, proxy: HostileProxy, refusal: bytes) -> None:
    proxy.refusal = refusal
    say(https_proxy=proxy.url)
    async with (
        HostileServer(plain(), tls=context_of()) as server,
        client_of(NATIVE, proxy="environment") as client,
    ):
        assert isinstance(await ask(client, server.url), Failure)
        assert server.connections == 0
        proxy.refusal = None
        assert isinstance(await ask(client, server.url), Response)


async def test_a_tunnel_that_speaks_before_the_server_does(say: Say, proxy: HostileProxy) -> None:
    proxy.greeting = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    say(https_proxy=proxy.url)
    async with (
        HostileServer(plain(), tls=context_of()) as server,
        client_of(NATIVE, proxy="environment", connect_timeout=5) as client,
    ):
        assert isinstance(await ask(client, server.url), Failure)
    assert server.requests == []


async def test_a_proxy_that_is_not_there(say: Say, proxy: HostileProxy) -> None:
    await proxy.__aexit__(None, None, None)
    say(http_proxy=proxy.url, https_proxy=proxy.url)
    async with client_of(NATIVE, proxy="environment") as client:
        for url in (ELSEWHERE, "https://127.0.0.1:9/"):
            answer = await ask(client, url)
            assert isinstance(answer, Failure)
            assert reason(answer) == "connect: Connection refused"


async def test_a_proxy_that_says_nothing(say: Say, proxy: HostileProxy) -> None:
    async def listen(reader: object, _: object) -> None:
        await reader.read()  # type: ignore[attr-defined]

    proxy.talk = listen
    say(https_proxy=proxy.url)
    async with client_of(NATIVE, proxy="environment", connect_timeout=0.3, timeout=1) as client:
        assert isinstance(await ask(client, "https://127.0.0.1:9/"), Failure)
        await until(lambda: proxy.under_way == 0)


async def test_a_proxy_that_is_no_address_is_named_at_the_start_without_its_secret(say: Say) -> None:
    say(https_proxy="socks5://user:canary@127.0.0.1:1")
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as caught:
        async with client_of(NATIVE, proxy="environment"):
            pass
    assert "canary" not in str(caught.value)
