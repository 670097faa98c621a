"""What only these tests need."""

from __future__ import annotations

import socket

import pytest

from bridge.rabbitmq.options import Client


@pytest.fixture
def unused_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(params=["native", "aio-pika"])
def client(request: pytest.FixtureRequest) -> Client:
    """What speaks AMQP for a consumer: our own codec, and the client that publishes."""
    chosen: Client = request.param
    return chosen
