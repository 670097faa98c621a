"""Settings that contradict each other."""

import pytest

from bridge.settings.checks import review
from bridge.settings.tree import Settings

RABBIT = {"type": "rabbitmq", "url": "amqp://h/", "queue": "q"}
KAFKA = {"type": "kafka", "bootstrap_servers": "a:9092,b:9092", "topics": "orders"}
ZOPIO = {"type": "zopio", "url": "http://h"}


def said(**settings: object) -> list[str]:
    return [str(problem) for problem in review(Settings.model_validate(settings))]


def test_sound_settings_are_left_alone() -> None:
    assert said(source=RABBIT, target=ZOPIO) == []
    assert said(source={"type": "memory"}, target={"type": "memory"}) == []


def test_forwarding_without_a_store_needs_a_target_that_suppresses_duplicates() -> None:
    forward = {"store_down": "forward"}
    (problem,) = said(source=RABBIT, target=ZOPIO, dedup=forward)
    assert problem == (
        "routes.default.dedup.store_down: `forward` would deliver duplicates: the target does not suppress them by id. "
        "Use `pause`, or say `target.dedups_by_id: true` where the target really does."
    )
    assert said(source=RABBIT, target={"type": "inngest", "url": "http://h"}, dedup=forward) == []
    webhook = {"type": "webhook", "url": "http://h"}
    assert len(said(source=RABBIT, target=webhook, dedup=forward)) == 1
    assert said(source=RABBIT, target={**webhook, "dedups_by_id": True}, dedup=forward) == []


@pytest.mark.parametrize("part", ["delay", "dead_letters"])
def test_what_a_broker_has_let_go_of_is_not_kept_in_memory(part: str) -> None:
    (problem,) = said(source=RABBIT, target=ZOPIO, **{part: {"type": "memory"}})
    assert problem.startswith(f"routes.default.{part}.type: `memory` would lose events at a restart")


def test_on_rabbitmq_nothing_holds_its_key_up_for_longer_than_the_broker_waits() -> None:
    ordering = {"type": "key", "stuck_after": "20m"}
    (problem,) = said(source=RABBIT, target=ZOPIO, ordering=ordering)
    assert problem.startswith("routes.default.ordering.stuck_after: is too long: RabbitMQ takes back")
    assert said(source=RABBIT, target=ZOPIO, ordering={**ordering, "stuck_after": "15m"}) == []
    assert said(source={"type": "memory"}, target={"type": "memory"}, ordering=ordering) == []


def test_two_routes_do_not_read_one_queue() -> None:
    route = {"source": RABBIT, "target": ZOPIO}
    (problem,) = said(routes={"a": route, "b": route})
    assert problem.startswith("routes.b.source.queue: is read by the route a too")
    other = {**route, "source": {**RABBIT, "queue": "other"}}
    assert said(routes={"a": route, "b": other}) == []


def test_two_routes_do_not_share_a_delay_namespace() -> None:
    first = {"source": RABBIT, "target": ZOPIO, "delay": {"namespace": "x"}}
    second = {**first, "source": {**RABBIT, "queue": "other"}}
    (problem,) = said(routes={"a": first, "b": second})
    assert problem.startswith("routes.b.delay.namespace: is that of the route a too")
    assert said(routes={"a": first, "b": {**second, "delay": {"namespace": "y"}}}) == []


def test_two_routes_do_not_share_a_consumer_group() -> None:
    first = {"source": {**KAFKA, "group_id": "g"}, "target": ZOPIO}
    second = {**first, "source": {**KAFKA, "group_id": "g", "bootstrap_servers": "b:9092,a:9092"}}
    (problem,) = said(routes={"a": first, "b": second})
    assert problem.startswith("routes.b.source.group_id: is that of the route a too")
    assert said(routes={"a": first, "b": {**first, "source": KAFKA}}) == []
    elsewhere = {**KAFKA, "group_id": "g", "bootstrap_servers": "c:9092"}
    assert said(routes={"a": first, "b": {**first, "source": elsewhere}}) == []


@pytest.mark.parametrize("part", ["delay", "dead_letters"])
def test_two_routes_do_not_share_a_namespace_on_kafka(part: str) -> None:
    route = {"source": KAFKA, "target": ZOPIO, part: {"namespace": "x"}}
    (problem,) = said(routes={"a": route, "b": route})
    assert problem.startswith(f"routes.b.{part}.namespace: is that of the route a too")
    away = {"type": "kafka", "namespace": "x", "bootstrap_servers": "c:9092"}
    assert said(routes={"a": route, "b": {**route, part: away}}) == []
    rabbit = {
        "source": RABBIT,
        "target": ZOPIO,
        part: {"type": "kafka", "namespace": "x", "bootstrap_servers": "a:9092,b:9092"},
    }
    assert len(said(routes={"a": route, "b": rabbit})) == 1
