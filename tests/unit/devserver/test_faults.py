"""Faults: whom they hit, how often, and how they are written down."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.devserver.faults import Fault, Faults, Match, Named, parse_fault
from bridge.devserver.wire import Call


def call(api: str = "inngest", path: str = "/e/k", method: str = "POST", now: float = 0.0) -> Call:
    return Call(api=api, method=method, path=path, headers={}, body=b"", now=now)


def strikes(text: str, times: int = 1, names: tuple[Named, ...] = (), **where: Any) -> list[bool]:
    faults = Faults(seed=7)
    faults.add(parse_fault(text), 0.0)
    return [faults.pick(call(**where), names) is not None for _ in range(times)]


def test_without_a_match_every_request_is_hit() -> None:
    assert strikes("status=503", 3) == [True, True, True]


@pytest.mark.parametrize(
    ("text", "hit"),
    [
        ("status=500,api=inngest", True),
        ("status=500,api=zopio", False),
        ("status=500,api=in*", True),
        ("status=500,path=/e/*", True),
        ("status=500,path=/api/*", False),
        ("status=500,method=post", True),
        ("status=500,method=PUT", False),
        ("status=500,name=user.*", True),
        ("status=500,name=invoice.*", False),
        ("status=500,id=u-1", True),
        ("status=500,id=u-2", False),
        ("status=500,name=user.*,id=o-1", False),
        ("status=500,name=user.*,api=zopio", False),
    ],
)
def test_everything_in_a_match_must_match(text: str, hit: bool) -> None:
    assert strikes(text, names=(("user.created", "u-1"), ("order.paid", "o-1"))) == [hit]


def test_times_and_after_and_their_order() -> None:
    assert strikes("status=503,times=2", 4) == [True, True, False, False]
    assert strikes("status=503,after=2,times=1", 4) == [False, False, True, False]


def test_each_hits_every_event_id_so_often() -> None:
    faults = Faults()
    faults.add(parse_fault("status=503,each=2"), 0.0)
    hits = [faults.pick(call(), [("n", event_id)]) is not None for event_id in "aababba"]
    assert hits == [True, True, True, False, True, False, False]


def test_each_hits_a_batch_while_one_of_its_events_is_owed_a_hit() -> None:
    faults = Faults()
    faults.add(parse_fault("status=503,each=1"), 0.0)
    batches: list[list[Named]] = [[("n", "a")], [("n", "a"), ("n", "b")], [("n", "a"), ("n", "b")]]
    assert [faults.pick(call(), batch) is not None for batch in batches] == [True, True, False]


def test_a_rate_hits_its_share_and_a_seed_repeats_it() -> None:
    first = strikes("status=503,rate=0.2", 2000)
    assert 300 < sum(first) < 500
    assert strikes("status=503,rate=0.2", 2000) == first


def test_a_fault_ends_when_its_time_is_over() -> None:
    faults = Faults()
    active = faults.add(parse_fault("status=503,lasts=1m"), 1000.0)
    assert faults.pick(call(now=60_999.0), []) is active
    assert faults.pick(call(now=61_000.0), []) is None
    assert active.state(61_000.0) == "over"


def test_above_hits_what_is_too_much_at_once() -> None:
    faults = Faults()
    faults.add(parse_fault("status=503,above=2"), 0.0)
    picked = [faults.pick(replace(call(), under_way=under_way), []) is not None for under_way in (1, 2, 3, 2)]
    assert picked == [False, False, True, False]


def test_the_first_that_strikes_wins_and_the_next_has_its_turn_when_it_is_spent() -> None:
    faults = Faults()
    first, second = (faults.add(parse_fault(text), 0.0) for text in ("status=500,times=1", "status=503"))
    assert [faults.pick(call(), []) for _ in range(2)] == [first, second]
    assert (first.state(0), first.hits, second.hits) == ("spent", 1, 1)


def test_faults_can_be_removed() -> None:
    faults = Faults()
    active = faults.add(parse_fault("hang"), 0.0)
    assert len(faults) == 1
    assert faults.remove(active.id)
    assert not faults.remove(active.id)
    faults.add(parse_fault("hang"), 0.0)
    faults.clear()
    assert faults.all() == []


def test_poison_hits_single_events_and_never_whole_requests() -> None:
    faults = Faults()
    faults.add(parse_fault("poison=because,name=bad,times=1"), 0.0)
    assert faults.pick(call(), [("bad", None)]) is None
    reasons = [faults.poison(call(), name, None) for name in ("good", "bad", "bad")]
    assert reasons == [None, "because", None]


@pytest.mark.parametrize(
    ("text", "takes_in"),
    [
        ("latency_ms=5", True),
        ("drip_ms=5", True),
        ("cut=3", True),
        ("status=503", False),
        ("reset", False),
        ("hang", False),
        ("status=503,stored=true", True),
        ("reset,stored=true", True),
        ("latency_ms=5,stored=false", False),
    ],
)
def test_an_answer_of_its_own_keeps_the_event_out_unless_told_otherwise(text: str, takes_in: bool) -> None:
    assert parse_fault(text).takes_in is takes_in


def test_a_line_of_text_is_a_fault() -> None:
    assert parse_fault(" status=429, retry_after=2s, name=user.*, rate=0.5,") == Fault(
        match=Match(name="user.*"), status=429, retry_after=2.0, rate=0.5
    )
    assert parse_fault('{"status": 503, "body": {"a": 1}}') == Fault(status=503, body={"a": 1})
    assert parse_fault("status=503,body=gone").body == "gone"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("rate=0.5", "does nothing"),
        ("", "does nothing"),
        ("status=99", "status"),
        ("status=503,rate=2", "rate"),
        ("status=503,surprise=1", "surprise"),
        ("hang,body=x", "status"),
        ("status=503,lasts=soon", "lasts"),
        ("{", "JSON"),
    ],
)
def test_a_fault_that_cannot_work_is_refused_by_name(text: str, field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        parse_fault(text)
