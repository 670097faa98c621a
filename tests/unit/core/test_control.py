"""What an order to cancel or to move comes to."""

from __future__ import annotations

import pytest

from bridge.core.control import Control, Effect, Op, effect_of
from bridge.model import Standing, State

CANCEL = Control(op=Op.CANCEL, id="e1")
MOVE = Control(op=Op.RESCHEDULE, id="e1", due_at=2_000)
DUE = 1_000


@pytest.mark.parametrize(
    ("control", "before", "effect"),
    [
        (CANCEL, Standing(State.SCHEDULED, due_at=DUE), Effect.DONE),
        (CANCEL, Standing(State.CANCELLED), Effect.DONE),
        (CANCEL, Standing(State.DONE), Effect.TOO_LATE),
        (CANCEL, Standing(State.UNKNOWN), Effect.UNKNOWN),
        (CANCEL, Standing(State.CLAIMED, due_at=DUE), None),
        (MOVE, Standing(State.SCHEDULED, due_at=1_999), Effect.DONE),
        (MOVE, Standing(State.SCHEDULED, due_at=2_000), Effect.DONE),
        (MOVE, Standing(State.SCHEDULED, due_at=2_001), Effect.REFUSED),
        (MOVE, Standing(State.CANCELLED), Effect.TOO_LATE),
        (MOVE, Standing(State.DONE), Effect.TOO_LATE),
        (MOVE, Standing(State.UNKNOWN), Effect.UNKNOWN),
        (MOVE, Standing(State.CLAIMED), None),
    ],
)
def test_an_order_comes_to_what_the_store_says(control: Control, before: Standing, effect: Effect | None) -> None:
    assert effect_of(control, before) is effect
