"""What cannot work is said in a sentence with the field and the cure, and never with a secret."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.reach import _store
from bridge.errors import BridgeError, ConfigError, StoreUnavailable
from bridge.model import Answer, Ask, Move, Schedule
from bridge.stores.redis import RedisStore
from devtools.redis import ADMIN, RIGHTS, RedisNode, SecuredRedis
from devtools.redis_groups import MASTER, RedisCluster, WatchedRedis
from tests.integration.redis.stores import answers, numbered, opened, settings_of
from tests.redis_servers import CERTIFICATES, PASSWORD

A, B = numbered(2)
CA = {"ca_file": str(CERTIFICATES / "ca.pem")}


async def refusal(url: str, **more: Any) -> BridgeError:
    """What `open` raises; nothing stays open behind it."""
    store = RedisStore(settings_of(url, "eb", **more))
    with pytest.raises(BridgeError) as raised:
        await store.open()
    with pytest.raises(StoreUnavailable, match="is not open"):
        await store.claim([Ask(A)], owner="me", lease=1)
    return raised.value


def secured(node: SecuredRedis, *, user: str = "bridge", password: str = PASSWORD, port: int = 0) -> str:
    return f"rediss://{user}:{password}@127.0.0.1:{port or node.tls_port}"


async def test_the_least_rights_over_tls_suffice_for_everything(secured_redis: SecuredRedis) -> None:
    secured_redis.ask("FLUSHALL")
    secured_redis.ask("ACL", "LOG", "RESET")  # of whom other tests had refused
    async with opened(settings_of(secured(secured_redis), "eb", tls=CA)) as store:
        assert await answers(store, A, B) == [Answer.GRANTED, Answer.GRANTED]
        assert await store.renew([A], owner="me", lease=60) == [True]
        await store.schedule([Schedule(A, 1, 1)], owner="me", ttl=600)
        await store.move([Move(A, 2)], ttl=600)
        await store.look([A])
        await store.cancel([A], ttl=600)
        await store.release([B], owner="me")
        await store.commit([B], ttl=600)
    assert secured_redis.ask("ACL", "LOG") == []


async def test_the_least_rights_suffice_on_a_cluster(redis_cluster: RedisCluster) -> None:
    for node in redis_cluster.nodes:
        node.ask("ACL", "SETUSER", "least", "on", f">{PASSWORD}", *RIGHTS.split())
    url = f"redis://least:{PASSWORD}@127.0.0.1:{redis_cluster.nodes[0].port}"
    async with opened(settings_of(url, "eb", mode="cluster")) as store:
        await store.commit(numbered(100), ttl=1)


@pytest.mark.parametrize("right", [right for right in RIGHTS.split() if right not in {"+info", "+cluster|slots"}])
async def test_each_right_is_needed_and_a_missing_one_is_named(secured_redis: SecuredRedis, right: str) -> None:
    user = re.sub(r"\W", "", right)
    secured_redis.ask("SCRIPT", "FLUSH")
    secured_redis.ask(
        "ACL", "SETUSER", user, "reset", "on", f">{PASSWORD}", *[other for other in RIGHTS.split() if other != right]
    )
    secured_redis.ask("FLUSHALL")
    async with opened(settings_of(f"redis://{user}:{PASSWORD}@127.0.0.1:{secured_redis.port}", "eb")) as store:
        act = store.release([A], owner="me") if right == "+del" else store.commit([A], ttl=60)
        if right == "+del":
            await answers(store, A)
        with pytest.raises(StoreUnavailable, match=r"store\.username: .*docs/dedup\.md") as raised:
            await act
        assert PASSWORD not in str(raised.value)


async def test_without_the_right_to_look_a_warning_says_so(
    secured_redis: SecuredRedis, caplog: pytest.LogCaptureFixture
) -> None:
    secured_redis.ask("ACL", "SETUSER", "blind", "reset", "on", f">{PASSWORD}", *RIGHTS.replace("+info", "").split())
    async with opened(settings_of(f"redis://blind:{PASSWORD}@127.0.0.1:{secured_redis.port}", "eb")):
        assert [record.message for record in caplog.records] == ["key_store_not_inspected"]


@pytest.mark.parametrize(("user", "password"), [("bridge", "canary-wrong"), ("nobody", PASSWORD), ("", "")])
async def test_a_wrong_user_or_password(
    secured_redis: SecuredRedis, caplog: pytest.LogCaptureFixture, user: str, password: str
) -> None:
    caplog.set_level(logging.DEBUG)
    login = f"{user}:{password}@" if user else ""
    error = await refusal(f"redis://{login}127.0.0.1:{secured_redis.port}")
    assert isinstance(error, ConfigError)
    assert str(error) == (
        f"store.password: Redis at 127.0.0.1:{secured_redis.port} does not let us in with this user and password. "
        "Correct it, or store.username."
    )
    assert "canary" not in caplog.text


async def test_a_password_with_signs_of_an_url_beside_the_url(secured_redis: SecuredRedis) -> None:
    secured_redis.ask("ACL", "SETUSER", "odd", "reset", "on", ">p@ss/w:rd#%", *RIGHTS.split())
    url = f"redis://127.0.0.1:{secured_redis.port}"
    async with opened(settings_of(url, "eb", username="odd", password="p@ss/w:rd#%")) as store:
        assert "p@ss" not in f"{store._settings!r} {store!r}"


@pytest.mark.parametrize(
    ("tls", "field", "problem"),
    [
        ({}, "store.tls.ca_file", "certificate"),
        ({"ca_file": str(CERTIFICATES / "client.pem")}, "store.tls.ca_file", "certificate"),
    ],
)
async def test_an_authority_that_is_not_ours(
    secured_redis: SecuredRedis, tls: dict[str, str], field: str, problem: str
) -> None:
    error = await refusal(secured(secured_redis), tls=tls or None)
    assert isinstance(error, ConfigError)
    assert error.field == field
    assert problem in error.problem


async def test_the_name_in_the_certificate_counts_unless_told_otherwise(secured_redis: SecuredRedis) -> None:
    url = secured(secured_redis).replace("127.0.0.1", "localhost")
    error = await refusal(url, tls=CA)
    assert isinstance(error, ConfigError)
    assert error.field == "store.tls.verify"
    async with opened(settings_of(url, "eb", tls={**CA, "verify": "ca"})):
        pass


async def test_a_certificate_of_ours_is_shown_where_the_server_wants_one(secured_redis: SecuredRedis) -> None:
    secured_redis.ask("CONFIG", "SET", "tls-auth-clients", "yes")
    try:
        error = await refusal(secured(secured_redis), tls=CA)
        assert "certificate" in str(error)
        own = {**CA, "cert_file": str(CERTIFICATES / "client.pem")}
        async with opened(settings_of(secured(secured_redis), "eb", tls=own)):
            pass
    finally:
        secured_redis.ask("CONFIG", "SET", "tls-auth-clients", "optional")


async def test_tls_where_none_is_spoken_and_none_where_it_is(secured_redis: SecuredRedis) -> None:
    error = await refusal(secured(secured_redis, port=secured_redis.port), tls=CA, timeout=0.1)
    assert "must speak TLS if and only if the URL begins with rediss://" in str(error)
    error = await refusal(f"redis://bridge:{PASSWORD}@127.0.0.1:{secured_redis.tls_port}")
    assert "must speak TLS if and only if the URL begins with rediss://" in str(error)


async def test_certificate_files_that_are_missing(secured_redis: SecuredRedis, tmp_path: Path) -> None:
    error = await refusal(secured(secured_redis), tls={"ca_file": str(tmp_path / "none.pem")})
    assert isinstance(error, ConfigError)
    assert error.field.startswith("store.tls")


async def test_a_single_server_is_no_cluster_and_a_node_of_a_cluster_no_single_server(
    redis_node: RedisNode, redis_cluster: RedisCluster
) -> None:
    assert str(await refusal(redis_node.url, mode="cluster")).endswith("is no node of a cluster. Write `mode: single`.")
    error = await refusal(redis_cluster.nodes[1].url)
    assert str(error).endswith("is a node of a cluster. Write `mode: cluster`.")


async def test_a_replica_takes_no_writes(watched_redis: WatchedRedis) -> None:
    error = await refusal(watched_redis.replica.url)
    assert isinstance(error, StoreUnavailable)
    assert "is a read-only replica: name its master" in str(error)


async def test_sentinels_that_know_no_such_master(watched_redis: WatchedRedis) -> None:
    server = f"127.0.0.1:{watched_redis.sentinel.port}"
    error = await refusal_at_sentinels(sentinels=[server], master_name="other")
    assert "knows no master other: check store.master_name" in str(error)
    error = await refusal_at_sentinels(sentinels=[server], master_name=MASTER, sentinel_password="canary")
    assert "canary" not in str(error)


async def refusal_at_sentinels(**more: Any) -> BridgeError:
    from bridge.stores.redis import RedisSettings

    store = RedisStore(RedisSettings.model_validate({"mode": "sentinel", "timeout": 5.0, **more}))
    with pytest.raises(BridgeError) as raised:
        await store.open()
    return raised.value


async def test_a_server_that_forgets_keys_is_refused_or_warned_of(
    fresh_redis: RedisNode, caplog: pytest.LogCaptureFixture
) -> None:
    fresh_redis.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    async with opened(settings_of(fresh_redis.url, "eb")):  # there is no limit at which it would
        assert [record.message for record in caplog.records] == ["key_store_may_evict"]
    fresh_redis.ask("CONFIG", "SET", "maxmemory", "100mb")
    error = await refusal(fresh_redis.url)
    assert isinstance(error, ConfigError)
    assert error.field == "store.eviction"
    assert "Set maxmemory-policy to noeviction there" in error.cure
    async with opened(settings_of(fresh_redis.url, "eb", eviction="warn")):
        assert [record.message for record in caplog.records] == ["key_store_may_evict"] * 2


async def test_a_server_without_room_takes_no_claims_and_goes_on_with_room(fresh_redis: RedisNode) -> None:
    async with opened(settings_of(fresh_redis.url, "eb")) as store:
        fresh_redis.ask("CONFIG", "SET", "maxmemory", "1")
        with pytest.raises(StoreUnavailable, match="its memory is full"):
            await answers(store, A)
        fresh_redis.ask("CONFIG", "SET", "maxmemory", "0")
        assert await answers(store, A) == [Answer.GRANTED]


async def test_the_check_reaches_the_server(redis_node: RedisNode, unique: str) -> None:
    [finding] = await _store(settings_of(redis_node.url, unique))
    assert finding.level == "ok"
    assert finding.text == f"Redis at 127.0.0.1:{redis_node.port} reached, nothing written"


def test_the_administrator_of_the_tests_is_not_the_bridge() -> None:
    assert ADMIN not in RIGHTS
