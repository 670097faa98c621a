"""TLS: who is trusted, who we say we are, and what becomes of those who speak it badly."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from bridge.errors import ConfigError
from bridge.model import Misconfigured, Response
from bridge.targets.failures import Failure
from tests.fakes.hostile import OK, Behaviour, HostileServer, Received, Talk, Writer, plain, raw, silence
from tests.fakes.hostile_talk import ignore, leave_at_once, listen_only, reset_at_once
from tests.integration.http.rig import CA, FOLDER, LATE, PATIENCE, ask, client_of, heals, reason, until


def context_of(certificate: str = "server.pem") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / certificate)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_trusted_server_is_spoken_to_on_one_connection(kind: str, version: ssl.TLSVersion) -> None:
    context = context_of()
    context.minimum_version = context.maximum_version = version
    async with HostileServer(plain(), tls=context) as server, client_of(kind) as client:
        for _ in range(10):
            assert isinstance(await ask(client, server.url, bytes(100_000)), Response)
        await heals(client, server)
    assert (server.connections, len(server.requests)) == (1, 11)


async def test_a_certificate_may_vouch_for_itself(kind: str) -> None:
    async with (
        HostileServer(plain(), tls=context_of("self-signed.pem")) as server,
        client_of(kind, ca_file=str(FOLDER / "self-signed.pem")) as client,
    ):
        assert isinstance(await ask(client, server.url), Response)


@pytest.mark.parametrize(
    ("certificate", "trust", "words"),
    [
        ("server.pem", {"ca_file": None}, "unable to get local issuer certificate"),
        ("self-signed.pem", CA, "self-signed certificate"),
        ("other.pem", CA, "IP address mismatch"),
        ("expired.pem", CA, "certificate has expired"),
    ],
)
async def test_who_is_not_trusted_is_told_nothing(
    kind: str, certificate: str, trust: dict[str, str], words: str
) -> None:
    async with HostileServer(plain(), tls=context_of(certificate)) as server, client_of(kind, **trust) as client:
        answer = await ask(client, server.url)
    assert isinstance(answer, Failure)
    assert isinstance(answer.outcome, Misconfigured)
    assert words in answer.outcome.reason
    assert "http.ca_file" in answer.outcome.reason
    assert not answer.passing
    assert server.requests == []


async def test_anyone_is_trusted_where_the_settings_say_so(kind: str) -> None:
    async with (
        HostileServer(plain(), tls=context_of("other.pem")) as server,
        client_of(kind, insecure_skip_verify=True) as client,
    ):
        assert isinstance(await ask(client, server.url), Response)


async def test_the_host_is_named_in_the_handshake(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []
    context = context_of("other.pem")
    context.sni_callback = lambda _, name, __: asked.append(name)

    async def resolve(_: str, port: int, **__: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    async with HostileServer(plain(), tls=context) as server, client_of(kind) as client:
        assert isinstance(await ask(client, f"https://other.test:{server.port}"), Response)
    assert asked == ["other.test"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_our_own_certificate_is_shown_where_it_is_asked_for(kind: str, version: ssl.TLSVersion) -> None:
    context = context_of()
    context.minimum_version = context.maximum_version = version
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(FOLDER / "ca.pem")
    async with HostileServer(plain(), tls=context) as server:
        async with client_of(kind, cert_file=str(FOLDER / "client.pem")) as client:
            assert isinstance(await ask(client, server.url), Response)
        async with client_of(kind) as client:
            assert reason(await ask(client, server.url))
    assert len(server.requests) == 1


async def test_a_locked_key_is_refused_at_the_start(kind: str) -> None:
    with pytest.raises(ConfigError, match="cert_file"):
        async with client_of(kind, cert_file=str(FOLDER / "client-locked.pem")):
            pass


async def test_old_tls_is_not_spoken(kind: str) -> None:
    context = context_of()
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with HostileServer(plain(), tls=context) as server, client_of(kind) as client:
        assert reason(await ask(client, server.url)).startswith("connect: ")
    assert server.requests == []


@pytest.mark.parametrize("talk", [ignore, listen_only])
async def test_a_handshake_that_never_ends(kind: str, talk: Talk) -> None:
    async with HostileServer(plain(), talk=talk) as server, client_of(kind, connect_timeout=0.3) as client:
        answer = await ask(client, server.url.replace("http", "https"))
        assert isinstance(answer, Failure)
        assert reason(answer) == "connect: timed out"
        assert answer.passing


@pytest.mark.parametrize("talk", [leave_at_once, reset_at_once])
async def test_a_server_that_leaves_in_the_handshake(kind: str, talk: Talk) -> None:
    async with HostileServer(plain(), talk=talk) as server, client_of(kind) as client:
        answer = await ask(client, server.url.replace("http", "https"))
        assert isinstance(answer, Failure)
        assert reason(answer).startswith("connect: ")


async def test_tls_to_a_server_without(kind: str) -> None:
    async with HostileServer(plain(), talk=plain_refusal) as server, client_of(kind) as client:
        assert reason(await ask(client, server.url.replace("http", "https"))).startswith("connect: ")


async def plain_refusal(_: asyncio.StreamReader, writer: Writer) -> None:
    """Say in the clear that this was no HTTP."""
    writer.write(b"HTTP/1.1 400 X\r\nconnection: close\r\n\r\n")
    await writer.drain()
    writer.close()


async def test_no_tls_to_a_server_with(kind: str) -> None:
    async with HostileServer(plain(), tls=context_of()) as server, client_of(kind, timeout=5) as client:
        assert reason(await ask(client, server.url.replace("https", "http"))) != LATE
    assert server.requests == []


def answer_and_drop(data: bytes) -> Behaviour:
    """Close the TCP connection after these bytes, without the end of TLS."""

    async def act(_: Received, writer: Writer) -> None:
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()

    return act


async def test_a_connection_may_end_without_the_end_of_tls_after_a_whole_answer(kind: str) -> None:
    async with HostileServer(answer_and_drop(OK), tls=context_of()) as server, client_of(kind) as client:
        assert isinstance(await ask(client, server.url), Response)
        await until(server.gone.is_set)
        await heals(client, server)
    assert len(server.requests) == 2


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhal"])
async def test_but_not_before(kind: str, data: bytes) -> None:
    async with HostileServer(answer_and_drop(data), tls=context_of()) as server, client_of(kind) as client:
        assert reason(await ask(client, server.url)).endswith("the event may have arrived")
        assert len(server.requests) == 1
        await heals(client, server)


async def test_what_comes_unasked_over_tls_answers_nothing(kind: str) -> None:
    async def babble(_: Received, writer: Writer) -> None:
        writer.write(OK)
        asyncio.get_running_loop().call_later(0.05, writer.write, OK)

    keepalive = 0.3 if kind == "aiohttp" else 600  # see test_connections
    async with (
        HostileServer(babble, tls=context_of()) as server,
        client_of(kind, keepalive=keepalive) as client,
    ):
        assert isinstance(await ask(client, server.url), Response)
        await asyncio.wait_for(server.gone.wait(), PATIENCE)
        await heals(client, server)
    assert server.connections == 2


async def test_time_is_limited_over_tls(kind: str) -> None:
    async with HostileServer(silence, tls=context_of()) as server, client_of(kind, timeout=1) as client:
        assert reason(await ask(client, server.url)) == LATE
        await until(lambda: server.under_way == 0)


async def test_closing_ends_what_is_under_way_over_tls(kind: str) -> None:
    async with HostileServer(silence, tls=context_of()) as server, client_of(kind) as client:
        asking = [asyncio.create_task(ask(client, server.url)) for _ in range(3)]
        await until(lambda: len(server.requests) == 3)
        await asyncio.wait_for(client.close(), 15)
        answers = await asyncio.wait_for(asyncio.gather(*asking), PATIENCE)
        await until(lambda: server.under_way == 0)
    assert all(isinstance(answer, Failure) for answer in answers)


async def test_a_redirect_to_a_server_without_tls_is_not_followed(kind: str) -> None:
    async with HostileServer(plain()) as elsewhere:
        redirect = raw(f"HTTP/1.1 308 X\r\nlocation: {elsewhere.url}\r\ncontent-length: 0\r\n\r\n".encode())
        async with HostileServer(redirect, tls=context_of()) as server, client_of(kind) as client:
            answer = await ask(client, server.url, headers={"authorization": "Bearer canary"})
    assert isinstance(answer, Response)
    assert answer.status == 308
    assert elsewhere.connections == 0
