"""Dead letters on the command line, without a broker: what is chosen, what is shown, what stays if something fails."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.cli.dlq import MOST, Cemetery, _named, _numbered, _of_kind
from bridge.cli.dlq_text import as_json, details, table
from bridge.cli.main import CONFIG, main
from bridge.core.pairs import mapping_of
from bridge.core.replays import identity_of
from bridge.deadletters.memory import MemoryDeadLetters
from bridge.delays.memory import MemoryDelayLine
from bridge.errors import Unavailable
from bridge.model import Burial, Delivery, Hold
from bridge.settings.tree import Settings

ROUTE = {"source": {"type": "memory"}, "target": {"type": "memory"}}
GRAVE = Burial(
    Delivery(body=b"{}", origin="rabbitmq:orders", headers={"tenant": "acme"}),
    b'{"sum":7}',
    reason="HTTP 422: unknown customer",
    kind="rejected",
    event_id="o1",
    name="order.paid",
    attempts=1,
    first_seen=1_763_700_000_000,
    buried_at=1_763_700_001_000,
    route="default",
)


def graves(*names: str) -> list[Burial]:
    return [replace(GRAVE, event_id=name, body=name.encode()) for name in names]


def names(burials: Sequence[Burial]) -> list[str | None]:
    return [burial.event_id for burial in burials]


class Line(MemoryDelayLine):
    """Refuses some for good, or everything for now."""

    def __init__(self, *, refuses: Sequence[str] = (), away: bool = False) -> None:
        super().__init__()
        self._refuses, self._away = refuses, away

    async def hold(self, items: Sequence[Hold]) -> list[Exception | None]:
        if self._away:
            raise Unavailable("the broker is away")
        good = [item for item in items if item.ticket.id not in self._refuses]
        await super().hold(good)
        return [None if item in good else ValueError("too large") for item in items]


async def bring_back(line: MemoryDelayLine, place: MemoryDeadLetters, *chosen: str, depth: int = 99) -> int:
    settings = Settings.model_validate(ROUTE).routes["default"]
    identities = {identity_of(burial) for burial in place.buried if burial.event_id in chosen}
    return await Cemetery("default", settings, place).bring_back(line, identities, depth)


async def held(line: MemoryDelayLine) -> list[str]:
    return [copy.ticket.id for copy in await line.due.receive(99, 0.0) if copy.ticket]


async def test_the_chosen_go_and_the_others_stand_behind_the_newest() -> None:
    line, place = Line(), MemoryDeadLetters()
    await place.bury(graves("a", "b", "c", "d"))
    assert await bring_back(line, place, "b", "c", depth=3) == 2
    assert await held(line) == ["b", "c"]
    assert names(place.buried) == ["d", "a"]
    assert place.buried[1].buried_at == GRAVE.buried_at


async def test_what_the_delay_line_refuses_stays() -> None:
    line, place = Line(refuses=["b"]), MemoryDeadLetters()
    await place.bury(graves("a", "b"))
    assert await bring_back(line, place, "a", "b") == 1
    assert names(place.buried) == ["b"]


@pytest.mark.parametrize(
    ("line", "chosen", "reason"),
    [
        (Line(away=True), ["a"], "the broker is away"),
        (Line(refuses=["a"]), ["a"], "nothing was replayed: too large"),
        (Line(), ["x"], "nothing was replayed: somebody else has taken them out"),
    ],
)
async def test_when_nothing_can_go_everything_stays_as_it_was(line: Line, chosen: list[str], reason: str) -> None:
    place = MemoryDeadLetters()
    await place.bury(graves("a", "b", "c"))
    with pytest.raises(Unavailable, match=f"^{reason}$"):
        await bring_back(line, place, *chosen)
    assert names(place.buried) == ["a", "b", "c"]


def test_one_is_named_by_its_event_or_else_by_its_number() -> None:
    found = _numbered([*graves("a", "3", "b", "a"), replace(GRAVE, event_id=None)])
    assert [number for number, _ in _named(found, ["a"])] == [1, 4]
    assert [number for number, _ in _named(found, ["3"])] == [2]
    assert [number for number, _ in _named(found, ["5", "b"])] == [3, 5]
    assert _named(found, ["6"]) == _named(found, ["c"]) == []


def test_a_kind_keeps_the_numbers_of_the_list() -> None:
    found = _numbered([GRAVE, replace(GRAVE, kind="poison"), GRAVE])
    assert [number for number, _ in _of_kind(found, "rejected")] == [1, 3]
    assert len(_of_kind(found, None)) == 3


def test_a_list_has_a_line_each_and_no_payload() -> None:
    poison = replace(GRAVE, kind="poison", event_id=None, name=None, buried_at=None, attempts=0, reason="no JSON")
    assert table(_numbered([GRAVE, poison])).split("\n") == [
        "   buried                kind      sent  event  name        reason",
        "1  2025-11-21T04:40:01Z  rejected  1     o1     order.paid  HTTP 422: unknown customer",
        "2  -                     poison    0     -      -           no JSON",
    ]


def test_one_is_shown_with_its_headers_and_its_body() -> None:
    headers = mapping_of([("a", b"1"), ("a", b"\xff"), ("n", None)])
    shown = details(1, replace(GRAVE, delivery=replace(GRAVE.delivery, headers=headers, key=b"k")))
    assert "\nreason        HTTP 422: unknown customer\n" in shown
    assert "\nkey           k\n" in shown
    assert "\nheader        a: 1\nheader        a: base64:/w==\nheader        n: None\n" in shown
    assert shown.endswith('\n\n{"sum":7}')
    assert details(1, replace(GRAVE, body=b"\xff")).endswith("\n\n(no text, base64) /w==")


def test_nothing_that_a_publisher_wrote_reaches_the_terminal_raw() -> None:
    evil = "\x1b[2Jx\r\ny\x9b\u202e"
    grave = replace(
        GRAVE,
        delivery=replace(GRAVE.delivery, headers={evil: evil}, origin=evil, routing_key=evil),
        event_id=evil, name=evil, reason=evil, kind=evil, body=evil.encode(),
    )  # fmt: skip
    for text in (table([(1, grave)]), details(1, grave)):
        assert all(char.isprintable() or char == "\n" for char in text)


def test_json_takes_whatever_there_is() -> None:
    odd = replace(GRAVE, event_id="\ud83d", body=b"\xff", buried_at=2**60, truncated=9)
    first, second = json.loads(as_json(_numbered([GRAVE, odd]), whole=True))
    assert (first["number"], first["event_id"], first["body"], first["headers"]) == (
        1, "o1", '{"sum":7}', [["tenant", "acme"]],
    )  # fmt: skip
    assert (second["event_id"], second["body_base64"], second["truncated"]) == ("\\ud83d", "/w==", 9)
    (bare,) = json.loads(as_json([(1, GRAVE)], whole=False))
    assert "body" not in bare
    assert "headers" not in bare


def settings_file(folder: Path, text: str) -> str:
    path = folder / "bridge.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("arguments", [["list"], ["show", "1"], ["replay"], ["purge", "--yes"]])
def test_dead_letters_in_another_process_are_out_of_reach(
    arguments: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = settings_file(tmp_path, "source: {type: memory}\ntarget: {type: memory}\n")
    assert main(["dlq", *arguments, "-c", path]) == CONFIG
    assert "dead_letters.type: is memory, which is in the bridge's own process" in capfd.readouterr().err


def test_a_delay_line_in_another_process_is_no_way_back(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    away = "dead_letters: {type: rabbitmq, url: 'amqp://127.0.0.1:9/'}"
    text = f"source: {{type: memory}}\ntarget: {{type: memory}}\n{away}\n"
    assert main(["dlq", "replay", "-c", settings_file(tmp_path, text)]) == CONFIG
    assert "delay.type: is memory, which is in the bridge's own process" in capfd.readouterr().err


@pytest.mark.parametrize("limit", ["0", str(MOST + 1)])
def test_a_limit_has_limits(limit: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = settings_file(
        tmp_path, "source: {type: rabbitmq, url: 'amqp://127.0.0.1:9/', queue: q}\ntarget: {type: memory}\n"
    )
    assert main(["dlq", "list", "--limit", limit, "-c", path]) == CONFIG
    assert "--limit: must be from 1 to 10,000" in capfd.readouterr().err


def test_a_broker_that_is_away_ends_with_1(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    text = 'source: {type: rabbitmq, url: "amqp://u:canary@127.0.0.1:9/", queue: q}\ntarget: {type: memory}\n'
    assert main(["dlq", "list", "-c", settings_file(tmp_path, text)]) == 1
    said = capfd.readouterr().err
    assert said.startswith("event-bridge: ")
    assert "canary" not in said


@pytest.mark.parametrize("arguments", [["dlq"], ["dlq", "purge"], ["dlq", "show"], ["dlq", "list", "--kind", "odd"]])
def test_a_purge_has_to_be_meant_and_the_rest_to_be_said(
    arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: event-bridge dlq" in capfd.readouterr().err
