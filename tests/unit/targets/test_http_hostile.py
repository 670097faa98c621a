"""The HTTP target against servers that mean harm, or are broken as if they did."""

from __future__ import annotations

import asyncio
import gzip
import resource
import ssl
import time
from pathlib import Path

import pytest

from bridge.errors import ConfigError, Unavailable
from bridge.model import Accepted, Misconfigured, Rejected, Retryable
from tests.fakes.hostile import (
    OK,
    Behaviour,
    HostileServer,
    bomb,
    echo_authorization,
    endless,
    in_turn,
    plain,
    raw,
    reset,
    silence,
)
from tests.unit.apis.samples import event
from tests.unit.targets.rig import send, send_one, target_at

TLS = Path(__file__).parents[2] / "fakes" / "tls"
CANARY = "hunter2-hunter2"
IN_TIME = 60.0  # seconds; every test here ends within its own limit of half a second or so

HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (silence, "no answer in time; the event may have arrived"),
        (endless(b"", b"HTTP/1.1 200 OK\r\nx: y\r\n"[:1], pause=0.05), "the event may have arrived"),
        (endless(HEAD + b"content-length: 1000\r\n\r\n", b".", pause=0.05), "no answer in time"),
        (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.01), "no answer in time"),
        (endless(b"", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", pause=0.01), "no answer in time"),
        (reset, "the connection broke before an answer; the event may have arrived"),
        (raw(b"", close=True), "the connection broke before an answer; the event may have arrived"),
        (raw(b"HTTP/1.1 200 OK\r\ncontent-le", close=True), "the connection broke before an answer"),
        (raw(HEAD + b"content-length: 100\r\n\r\nshort", close=True), "the answer broke off; the event may have"),
        (raw(HEAD + b"transfer-encoding: chunked\r\n\r\nzz\r\nno\r\n", close=True), "the event may have arrived"),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "the answer is no HTTP"),
        (raw(HEAD + b"x" * 100_000 + b": y\r\n\r\n"), "the answer is no HTTP"),
        (raw(HEAD + b"".join(b"h%d: v\r\n" % n for n in range(200_000)) + b"\r\n"), "the event may have arrived"),
        (raw(HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\nxx"), "the answer is no HTTP"),
    ],
    ids=["silence", "drip-head", "drip-body", "flood-100", "flood-103", "reset", "hang-up", "half-head", "half-body",
         "bad-chunks", "not-http", "long-header", "many-headers", "two-lengths"],
)  # fmt: skip
async def test_every_kind_of_broken_answer_is_retryable_in_time(behaviour: Behaviour, words: str) -> None:
    async with HostileServer(behaviour) as server, target_at(server.url, http={"timeout": "0.5s"}) as target:
        outcome = await asyncio.wait_for(send_one(target), IN_TIME)
    assert isinstance(outcome, Retryable)
    assert words in outcome.reason


async def test_an_endless_body_is_read_for_64_kib_and_left() -> None:
    flood = endless(HEAD + b"content-type: text/plain\r\n\r\n", b"x" * 65_536)
    async with HostileServer(flood) as server, target_at(server.url) as target:
        assert await asyncio.wait_for(send_one(target), IN_TIME) == Accepted()
        await asyncio.wait_for(server.gone.wait(), IN_TIME)


async def test_a_bomb_stays_packed() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with HostileServer(bomb(64)) as server:
        during = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # the server had to pack it
        async with target_at(server.url) as target:
            for _ in range(4):
                assert isinstance(await send_one(target), Retryable)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - during < 32 << 10  # KiB
    assert before <= during


async def test_a_packed_answer_is_not_unpacked() -> None:
    packed = gzip.compress(b'{"error":"words in a parcel"}')
    async with HostileServer(plain(422, packed, "content-encoding: gzip")) as server, target_at(server.url) as target:
        outcome = await send_one(target)
    assert isinstance(outcome, Rejected)
    assert "parcel" not in outcome.reason


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed_and_take_no_credentials_along(status: int) -> None:
    async with HostileServer(plain()) as elsewhere:
        redirect = plain(status, b"", f"location: {elsewhere.url}/steal")
        auth = {"type": "bearer", "token": CANARY}
        async with HostileServer(redirect) as server, target_at(server.url, auth=auth) as target:
            assert await send_one(target) == Misconfigured(f"HTTP {status} (set the url to the final address)")
    assert elsewhere.requests == []


@pytest.mark.parametrize("after", ["99999999999999999999", "1e9", "-1", "Fri, 31 Dec 9999 23:59:59 GMT", "\x7f"])
async def test_absurd_waits_are_clamped_or_ignored(after: str) -> None:
    async with HostileServer(plain(429, b"", f"Retry-After: {after}")) as server, target_at(server.url) as target:
        outcome = await send_one(target)
    assert isinstance(outcome, Retryable)
    assert outcome.after is None or 0 <= outcome.after <= 3600


@pytest.mark.parametrize("status", [200, 400, 401, 500])
@pytest.mark.parametrize("type_", ["trigger", "inngest"])
async def test_an_api_that_repeats_the_key_does_not_get_it_into_a_reason(status: int, type_: str) -> None:
    fields = {"key": CANARY, **({"version": "v1"} if type_ == "trigger" else {})}
    async with HostileServer(echo_authorization(status)) as server, target_at(server.url, type_, **fields) as target:
        outcome = await send_one(target)
    assert CANARY in f"{server.requests[0].headers} {server.requests[0].target}"
    assert CANARY not in repr(outcome)
    assert "***" in repr(outcome)


async def test_nobody_listens() -> None:
    async with target_at("http://127.0.0.1:1", "inngest", key=CANARY) as target:
        assert await send_one(target) == Retryable("connect: Connection refused")
        with pytest.raises(Unavailable, match=r"cannot reach http://127\.0\.0\.1:1: Connection refused"):
            await target.probe()


async def test_a_host_without_an_address() -> None:
    async with target_at("http://no-such-host.invalid") as target:
        outcome = await send_one(target)
    assert isinstance(outcome, Retryable)
    assert outcome.reason.startswith("connect: ")


async def test_a_connection_that_went_stale_is_replaced_by_a_quick_try() -> None:
    answer_and_leave = raw(OK, close=True)
    async with HostileServer(answer_and_leave) as server, target_at(server.url) as target:
        target.quick_tries = lambda: True
        for n in range(20):
            assert await send_one(target, id=str(n)) == Accepted()


async def test_a_poison_in_a_hundred_ends_alone_among_answers_that_break() -> None:
    """Every request is first reset or cut short: all come back retryable, none is lost or counted twice."""
    behaviour = in_turn(reset, raw(HEAD + b"content-length: 9\r\n\r\nx", close=True), plain(502), plain(503), reset)
    async with HostileServer(behaviour) as server, target_at(server.url) as target:
        outcomes = await send(target, [event(str(n)) for n in range(100)])
    assert {type(outcome) for outcome in outcomes} == {Retryable}


def server_context(certificate: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / certificate)
    return context


async def test_a_trusted_certificate_is_taken() -> None:
    async with (
        HostileServer(plain(), tls=server_context("server.pem")) as server,
        target_at(server.url, http={"ca_file": str(TLS / "ca.pem")}) as target,
    ):
        assert await send_one(target) == Accepted()
        await target.probe()


@pytest.mark.parametrize(
    ("certificate", "trust", "words"),
    [
        ("server.pem", False, "unable to get local issuer certificate"),
        ("other.pem", True, "IP address mismatch"),
        ("expired.pem", True, "certificate has expired"),
    ],
)
async def test_any_other_certificate_is_a_matter_for_a_person(certificate: str, trust: bool, words: str) -> None:
    http = {"ca_file": str(TLS / "ca.pem")} if trust else {}
    async with (
        HostileServer(plain(), tls=server_context(certificate)) as server,
        target_at(server.url, http=http) as target,
    ):
        outcome = await send_one(target)
        with pytest.raises(ConfigError, match=words):
            await target.probe()
    assert isinstance(outcome, Misconfigured)
    assert words in outcome.reason
    assert server.requests == []


async def test_verification_is_off_only_where_it_says_insecure() -> None:
    async with (
        HostileServer(plain(), tls=server_context("other.pem")) as server,
        target_at(server.url, http={"insecure_skip_verify": True}) as target,
    ):
        assert await send_one(target) == Accepted()


async def test_our_own_certificate_is_shown() -> None:
    context = server_context("server.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(TLS / "ca.pem")
    ca = {"ca_file": str(TLS / "ca.pem")}
    async with HostileServer(plain(), tls=context) as server:
        async with target_at(server.url, http={**ca, "cert_file": str(TLS / "client.pem")}) as target:
            assert await send_one(target) == Accepted()
        async with target_at(server.url, http=ca) as target:
            assert isinstance(await send_one(target), Retryable)
    assert len(server.requests) == 1


async def test_old_tls_is_not_spoken() -> None:
    context = server_context("server.pem")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    async with (
        HostileServer(plain(), tls=context) as server,
        target_at(server.url, http={"ca_file": str(TLS / "ca.pem")}) as target,
    ):
        outcome = await send_one(target)
    assert isinstance(outcome, Retryable)
    assert outcome.reason.startswith("connect: ")


async def test_tls_where_there_is_none() -> None:
    async with (
        HostileServer(raw(b"HTTP/1.1 400 X\r\n\r\n", close=True)) as server,
        target_at(server.url.replace("http", "https"), http={"connect_timeout": "0.5s"}) as target,
    ):
        outcome = await asyncio.wait_for(send_one(target), IN_TIME)
    assert isinstance(outcome, Retryable)


@pytest.mark.parametrize(
    ("http", "words"),
    [
        ({"ca_file": "/nonexistent.pem"}, "target.http.ca_file: cannot be read: No such file or directory"),
        ({"ca_file": __file__}, "target.http.ca_file: is no PEM file of the right kind"),
        ({"cert_file": "/nonexistent.pem"}, "target.http.cert_file: cannot be read: No such file or directory"),
        ({"cert_file": str(TLS / "ca.pem")}, "target.http.cert_file: is no PEM file of the right kind"),
    ],
)
async def test_files_that_cannot_be_used_are_named_at_the_start(http: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        async with target_at("https://127.0.0.1:1", http=http):
            pass


async def test_a_missing_key_is_named_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIGGER_API_KEY", raising=False)
    monkeypatch.delenv("TRIGGER_API_KEY_FILE", raising=False)
    with pytest.raises(ConfigError, match=r"target\.key: is missing\. Give it in .* TRIGGER_API_KEY"):
        async with target_at("http://127.0.0.1:1", "trigger", version="v1"):
            pass


async def test_closing_does_not_wait_for_answers() -> None:
    async with HostileServer(silence) as server, target_at(server.url) as target:
        sending = asyncio.create_task(send_one(target))
        await asyncio.wait_for(server.arrived.wait(), IN_TIME)
        began = time.monotonic()
        await target.close()
        assert time.monotonic() - began < 5
        outcome = await asyncio.wait_for(sending, IN_TIME)
    assert isinstance(outcome, Retryable)
