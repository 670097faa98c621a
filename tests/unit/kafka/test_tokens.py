"""Tokens out of files and programs."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaError, SaslAuthenticationFailed

from bridge.errors import ConfigError, Disconnected
from bridge.kafka.options import Sasl
from bridge.kafka.tokens import NoToken, Tokens, _Authenticator, expiry_of
from devtools.kafka_security import token

FIELD = "routes.x.source.sasl"


def tokens(**settings: Any) -> Tokens:
    return Tokens(Sasl.model_validate({"mechanism": "OAUTHBEARER", **settings}), "routes.x.source")


def python(script: str, *more: str) -> dict[str, Any]:
    return {"token_command": [sys.executable, "-c", script, *more]}


COUNT = """
import sys
from pathlib import Path
count = Path(sys.argv[1])
count.write_text(count.read_text() + "x" if count.exists() else "x")
print(sys.argv[2])
"""


async def told(source: Tokens) -> ConfigError | Disconnected:
    with pytest.raises(NoToken) as caught:
        await source.token()
    assert isinstance(caught.value, KafkaError)  # or the client's own task would end
    found: ConfigError | Disconnected = caught.value.told
    return found


async def test_a_file_is_read_at_each_connection(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("first\n")
    source = tokens(token_file=str(file))
    assert await source.token() == "first"
    file.write_text("second")
    assert await source.token() == "second"


async def test_a_token_is_used_again_while_it_is_fresh(tmp_path: Path) -> None:
    source = tokens(**python(COUNT, str(tmp_path / "runs"), token("carol")))
    assert len({await source.token() for _ in range(3)}) == 1
    assert (tmp_path / "runs").read_text() == "x"


async def test_several_connections_at_once_run_the_program_once(tmp_path: Path) -> None:
    source = tokens(**python(COUNT, str(tmp_path / "runs"), token("carol")))
    await asyncio.gather(*(source.token() for _ in range(5)))
    assert (tmp_path / "runs").read_text() == "x"


@pytest.mark.parametrize("printed", ["opaque", "stale", "a.b.c", "a.e30.c"])
async def test_a_token_that_is_stale_or_does_not_say_is_not_used_again(tmp_path: Path, printed: str) -> None:
    if printed == "stale":
        printed = token("carol", lifetime=-5)
    source = tokens(**python(COUNT, str(tmp_path / "runs"), printed))
    for _ in range(2):
        assert await source.token() == printed
    assert (tmp_path / "runs").read_text() == "xx"


async def test_a_token_past_most_of_its_life_is_not_used_again(tmp_path: Path) -> None:
    source = tokens(**python(COUNT, str(tmp_path / "runs"), token("carol", lifetime=3)))
    await source.token()
    async with asyncio.timeout(20):
        while (tmp_path / "runs").read_text() == "x":
            await source.token()
            await asyncio.sleep(0.1)


PROBLEMS = {
    "import sys; print('canary'); sys.exit('canary')": (Disconnected, "exit code 1"),
    "": (Disconnected, "gives no token"),
    "print('canary and more')": (ConfigError, "gives more than a token"),
    "print('canary' * 100_000)": (ConfigError, "prints more than"),
    "import sys; sys.stdout.buffer.write(b'canary\\xff')": (ConfigError, "gives more than a token"),
}


@pytest.mark.parametrize("script", PROBLEMS)
async def test_what_a_program_does_wrong_is_told_without_what_it_printed(script: str) -> None:
    kind, problem = PROBLEMS[script]
    found = await told(tokens(**python(script)))
    assert type(found) is kind
    assert f"{FIELD}.token_command" in str(found)
    assert problem in str(found)
    assert "canary" not in str(found)


async def test_a_program_that_is_not_there_is_told() -> None:
    found = await told(tokens(token_command=["/no/such/program", "canary"]))
    assert isinstance(found, ConfigError)
    assert "cannot run /no/such/program: No such file or directory" in found.problem
    assert "canary" not in str(found)


async def test_a_program_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    script = f"sleep 600 & echo $! > {tmp_path}/pid; wait"
    source = tokens(token_command=["sh", "-c", script], token_timeout=0.5)
    found = await told(source)
    assert "gave no token within 0.5 s" in str(found)
    child = int((tmp_path / "pid").read_text())
    async with asyncio.timeout(20):
        while _runs(child):  # noqa: ASYNC110  the system is asked
            await asyncio.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "cannot read"), (b"", "gives no token"), (b"a\nb", "more than a token"), (b"x" * 70_000, "too large")],
)
async def test_what_is_wrong_with_a_file_is_told(tmp_path: Path, content: bytes | None, problem: str) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    found = await told(tokens(token_file=str(file)))
    assert f"{FIELD}.token_file" in str(found)
    assert problem in str(found)


@pytest.mark.parametrize("text", ["", "opaque", "a.b", "a.b.c", "a.!!.c", "a.e30.c", "a.W10.c", "a.bnVsbA.c"])
def test_what_is_no_jwt_or_never_expires_has_no_expiry(text: str) -> None:
    assert expiry_of(text) is None


def test_the_expiry_of_a_jwt_is_read() -> None:
    end = expiry_of(token("carol", lifetime=100))
    assert end is not None
    assert 90 < end - time.time() < 110


async def test_an_expired_token_is_known_as_such(tmp_path: Path) -> None:
    file = tmp_path / "token"
    source = tokens(token_file=str(file))
    assert source.expired() is None
    for lifetime, gone in ((-50, True), (50, False)):
        file.write_text(token("carol", lifetime=lifetime))
        await source.token()
        assert (source.expired() is not None) is gone


@pytest.mark.parametrize(
    ("answer", "status"), [(b'{"status":"invalid_token"}', "invalid_token"), (b"oops", "no reason given")]
)
async def test_a_token_is_refused_by_what_the_brokers_answer_to_it(tmp_path: Path, answer: bytes, status: str) -> None:
    (tmp_path / "token").write_text("canary")
    authenticator = _Authenticator(sasl_oauth_token_provider=tokens(token_file=str(tmp_path / "token")))
    sent = await authenticator.step(None)
    assert sent == (b"n,,\x01auth=Bearer canary\x01\x01", True)
    with pytest.raises(SaslAuthenticationFailed, match=status):
        await authenticator.step(answer)
    assert await authenticator.step(b"") is None


async def test_extensions_travel_with_the_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    source = tokens(token_file=str(tmp_path / "token"), extensions={"logicalCluster": "lkc-1"})
    sent = await _Authenticator(sasl_oauth_token_provider=source).step(None)
    assert sent == (b"n,,\x01auth=Bearer t\x01logicalCluster=lkc-1\x01\x01", True)


def test_no_token_shows_in_a_repr(tmp_path: Path) -> None:
    source = tokens(token_file=str(tmp_path / "token"))
    source._last = "canary"
    assert "canary" not in repr(source)
