"""How a Redis is named in settings: what is taken, what is refused and by which words, and that no secret shows."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from bridge.redis.options import Address, Login
from bridge.stores import StoreSettings
from bridge.stores.redis import RedisSettings

SENTINEL = {"mode": "sentinel", "sentinels": "s1:26379, s2:26379", "master_name": "events"}


def of(**given: Any) -> RedisSettings:
    return RedisSettings.model_validate({"type": "redis", **given})


def test_an_url_says_all_of_a_single_server() -> None:
    settings = of(url="rediss://user:p%40ss@[::1]:6380/3")
    assert settings.seeds == (Address("::1", 6380),)
    assert settings.login == Login("user", SecretStr("p@ss"), 3)
    assert settings.secure


def test_the_port_is_the_usual_one_and_the_password_may_stand_apart() -> None:
    settings = of(url="redis://cache", username="user", password="p@ss")
    assert settings.seeds == (Address("cache", 6379),)
    assert settings.login == Login("user", SecretStr("p@ss"))
    assert not settings.secure
    assert settings.place == "Redis at cache:6379"


def test_a_cluster_has_further_nodes_to_ask() -> None:
    settings = of(mode="cluster", url="redis://a:1", nodes=["b:2", "[::1]:3"])
    assert settings.seeds == (Address("a", 1), Address("b", 2), Address("::1", 3))


def test_sentinels_have_a_login_of_their_own_and_tls_by_its_presence() -> None:
    settings = of(**SENTINEL, password="at the server", sentinel_password="at the Sentinels", tls={})
    assert settings.seeds == (Address("s1", 26379), Address("s2", 26379))
    assert settings.login == Login(None, SecretStr("at the server"))
    assert settings.sentinel_login == Login(None, SecretStr("at the Sentinels"))
    assert settings.secure
    assert settings.place == "Redis events of the Sentinels s1:26379, s2:26379"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "url is missing"),
        ({"url": "http://canary"}, "url must begin with redis:// or rediss://"),
        ({"url": "redis://"}, "url must be redis://host:port"),
        ({"url": "redis://h:canary"}, "url cannot be read"),
        ({"url": "redis://h:99999"}, "url cannot be read"),
        ({"url": "redis://h/canary"}, "url cannot be read"),
        ({"url": "redis://h/-1"}, "a database that cannot be"),
        ({"url": "redis://h?db=canary"}, "url must be redis://host:port"),
        ({"url": "redis://canary:x@h", "username": "u"}, "username stands in `url` too"),
        ({"url": "redis://:canary@h", "password": "canary"}, "password stands in `url` too"),
        ({"url": "redis://h", "tls": {}}, "tls needs rediss://"),
        ({"url": "redis://h", "nodes": ["b:2"]}, "nodes is for `mode: cluster` only"),
        ({"url": "redis://h", "sentinels": ["b:2"]}, "sentinels is for `mode: sentinel` only"),
        ({"url": "redis://h", "sentinel_password": "canary"}, "sentinel_password is for `mode: sentinel` only"),
        ({"url": "redis://h/1", "mode": "cluster"}, "a cluster has only one"),
        ({"url": "redis://h", "mode": "cluster", "nodes": "canary"}, "write each server as host:port"),
        ({"url": "redis://h", "mode": "cluster", "nodes": "h:0"}, "write each server as host:port"),
        ({**SENTINEL, "url": "redis://canary"}, "url is not for `mode: sentinel`"),
        ({"mode": "sentinel", "master_name": "m"}, "sentinels is missing"),
        ({"mode": "sentinel", "sentinels": "h:1"}, "master_name is missing"),
        ({"url": "redis://h", "namespace": "a{b"}, "namespace"),
        ({"url": "redis://h", "namespace": ""}, "namespace"),
        ({"url": "redis://h", "timeout": 0}, "timeout"),
        ({"url": "redis://h", "pool": 0}, "pool"),
        ({"url": "redis://h", "eviction": "hope"}, "eviction"),
    ],
)
def test_what_cannot_work_is_refused_by_name_and_no_secret_is_repeated(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as raised:
        of(**given)
    assert said in str(raised.value)
    assert "canary" not in str(raised.value)


def test_no_secret_shows_in_the_settings_or_the_store() -> None:
    settings = of(url="redis://user:canary@h")
    both = of(**SENTINEL, password="canary", sentinel_password="canary")
    for shown in (settings, both, settings.login, both.sentinel_login, settings.build(), settings.place):
        assert "canary" not in f"{shown!r} {shown!s}"


def test_every_field_is_described() -> None:
    assert all(field.description for field in RedisSettings.model_fields.values())
    assert "RedisSettings" in repr(StoreSettings)
