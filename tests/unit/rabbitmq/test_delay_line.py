"""What the delay line asks of its ladder, without a broker."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from bridge.delays.rabbitmq import RabbitMQDelaySettings
from bridge.model import Delivery, Hold, Stage, Ticket

NOW = 1_800_000_000


def hold(seconds: int, stage: Stage = Stage.INTAKE) -> Hold:
    ticket = Ticket(route="x", id="e", due_at=(NOW + seconds) * 1000, attempt=1, first_seen=0)
    return Hold(Delivery(body=b"{}", stage=stage), b"{}", ticket)


@pytest.mark.parametrize(("window", "steps"), [(0.0, 22), (3.0, 20), (10.0, 16)])
def test_a_copy_comes_back_within_the_window_of_its_route(window: float, steps: int) -> None:
    settings = RabbitMQDelaySettings(type="rabbitmq", url=SecretStr("amqp://127.0.0.1"))
    line = settings.build("x", window=window)

    assert line._steps(hold(23), NOW) == steps


def test_a_copy_that_found_no_room_in_the_process_takes_the_shortest_level() -> None:
    line = RabbitMQDelaySettings(type="rabbitmq", url=SecretStr("amqp://127.0.0.1")).build("x")

    assert line._steps(hold(1, Stage.DUE), NOW) == 1
    assert line._steps(hold(1), NOW) == 0
    assert line._steps(hold(-1, Stage.DUE), NOW) == 0
