"""Settings of the RabbitMQ parts, and the checks of a URL."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from bridge.deadletters.rabbitmq import RabbitMQDeadLettersSettings
from bridge.delays.rabbitmq import RabbitMQDelaySettings
from bridge.errors import ConfigError
from bridge.rabbitmq.connection import checked_url
from bridge.rabbitmq.options import ConnectionSettings
from bridge.sources.memory import MemorySourceSettings
from bridge.sources.rabbitmq import RabbitMQSourceSettings

SOURCE = RabbitMQSourceSettings(
    type="rabbitmq", url=SecretStr("amqps://u:canary@mq/v"), queue="orders", heartbeat=20, ca_file="/ca.pem"
)


@pytest.mark.parametrize("settings", [RabbitMQDelaySettings, RabbitMQDeadLettersSettings])
def test_a_part_lives_at_the_sources_broker(
    settings: type[RabbitMQDelaySettings | RabbitMQDeadLettersSettings],
) -> None:
    at = settings(type="rabbitmq").at(SOURCE, "routes.x.delay")
    assert at == ConnectionSettings(url=SOURCE.url, heartbeat=20, ca_file="/ca.pem")


def test_what_a_part_says_itself_wins() -> None:
    at = RabbitMQDelaySettings(type="rabbitmq", heartbeat=60).at(SOURCE, "routes.x.delay")
    assert at == ConnectionSettings(url=SOURCE.url, heartbeat=60, ca_file="/ca.pem")


def test_another_broker_takes_nothing_over() -> None:
    at = RabbitMQDelaySettings(type="rabbitmq", url=SecretStr("amqp://other")).at(SOURCE, "routes.x.delay")
    assert at == ConnectionSettings(url=SecretStr("amqp://other"))


def test_a_part_without_any_broker_says_which_field_is_missing() -> None:
    with pytest.raises(ConfigError) as caught:
        RabbitMQDelaySettings(type="rabbitmq").build("x", MemorySourceSettings(type="memory"))
    assert caught.value.field == "routes.x.delay.url"


@pytest.mark.parametrize(("route", "namespace"), [("default", "bridge"), ("orders", "bridge.orders")])
def test_each_route_has_a_namespace_of_its_own(route: str, namespace: str) -> None:
    assert RabbitMQDelaySettings(type="rabbitmq").namespace_of(route) == namespace
    assert SOURCE.queue_to_declare(route).arguments["x-dead-letter-exchange"] == f"{namespace}.dead.v1"


def test_a_queue_declared_here_loses_nothing_at_its_delivery_limit() -> None:
    arguments = SOURCE.queue_to_declare("default").arguments
    assert arguments["x-delivery-limit"] == 100
    assert arguments["x-dead-letter-strategy"] == "at-least-once"
    other = SOURCE.model_copy(update={"dead_letter_exchange": "graves"})
    assert other.queue_to_declare("default").arguments["x-dead-letter-exchange"] == "graves"


@pytest.mark.parametrize("namespace", ["", "a b", "#", "*.x", ".x", "x" * 101])
def test_namespaces_that_would_confuse_a_topic_exchange_are_refused(namespace: str) -> None:
    with pytest.raises(ValidationError):
        RabbitMQDelaySettings(type="rabbitmq", namespace=namespace)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://u:canary@mq", "is no AMQP URL"),
        ("amqp:///vhost", "is no AMQP URL"),
        ("canary", "is no AMQP URL"),
        ("amqp://u:canary@mq:port/", "is no URL"),
        ("amqps://u:canary@mq/?no_verify_ssl=false", "no_verify_ssl"),
        ("amqp://u:canary@mq/?heartbeat=0", "heartbeat"),
        ("amqp://u:canary@mq/?cafile=/x&timeout=canary", "cafile, timeout"),
    ],
)
def test_urls_that_cannot_work_are_refused_without_being_repeated(url: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checked_url(SecretStr(url), where="routes.x.source")
    assert caught.value.field == "routes.x.source.url"
    assert problem in caught.value.problem
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("url", ["amqp://mq", "amqp://u:p%40ss@mq:5673/%2Forders", "amqps://[::1]/v"])
def test_urls_that_work(url: str) -> None:
    assert str(checked_url(SecretStr(url), where="x")) == url


def test_no_secret_shows_in_a_repr() -> None:
    assert "canary" not in repr(SOURCE) + repr(RabbitMQDelaySettings(type="rabbitmq").at(SOURCE, "x"))
