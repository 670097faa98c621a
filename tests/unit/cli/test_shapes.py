"""What `publish` composes is what the formats read."""

import pytest

from bridge.cli.main import SHAPES
from bridge.cli.shapes import Wanted, compose
from bridge.formats import build_format
from bridge.model import Delivery, Envelope

NOW = 1_700_000_000_000
NAMES = {"trigger-v2": "trigger"}


def read(shape: str, wanted: Wanted, *, by: str) -> Envelope:
    composed = compose(shape, wanted)
    delivery = Delivery(body=composed.body, headers=composed.headers, content_type=composed.content_type)
    (event,) = build_format(by).decode(delivery, NOW)  # type: ignore[arg-type]
    assert isinstance(event, Envelope)
    return event


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("auto", [True, False])
def test_every_shape_is_read_back(shape: str, auto: bool) -> None:
    wanted = Wanted(name="user.created", data={"a": [1, None, "x"]}, id="e-1", delay=0, now=NOW)
    event = read(shape, wanted, by="auto" if auto else NAMES.get(shape, shape))
    assert (event.id, event.name, event.data) == ("e-1", "user.created", {"a": [1, None, "x"]})
    assert event.due_at is None or event.due_at <= NOW


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("delay", [0.25, 90.0])
def test_every_shape_can_be_delayed(shape: str, delay: float) -> None:
    wanted = Wanted(name="user.created", data={}, id="e-1", delay=delay, now=NOW)
    assert read(shape, wanted, by="auto").due_at == NOW + delay * 1000


def test_a_shape_that_there_is_not_is_refused() -> None:
    with pytest.raises(KeyError):
        compose("morse", Wanted(name="n", data={}, id="i", delay=0, now=NOW))
