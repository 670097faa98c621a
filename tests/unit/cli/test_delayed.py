"""Scheduled events on the command line, over a key store in a file."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bridge.cli.main import CONFIG, FAULT, OK, main
from bridge.core.keys import key_of
from bridge.model import Ask, Schedule, Standing, State
from bridge.routes import scope_of_route
from bridge.settings.tree import Settings
from bridge.stores.sqlite import SqliteStore

DUE_AT = 4_102_444_800_000  # 2100-01-01
NEXT_DAY = "2100-01-02T00:00:00.000Z"
ROUTE = {"source": {"type": "rabbitmq", "url": "amqp://127.0.0.1:1", "queue": "q"}, "target": {"type": "memory"}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.db"


@pytest.fixture
def delayed(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run `event-bridge delayed` with the store of this test; what it returns is its exit code."""
    settings = tmp_path / "bridge.yaml"
    settings.write_text(json.dumps({**ROUTE, "store": {"type": "sqlite", "path": str(path)}}))
    monkeypatch.setenv("BRIDGE_CONFIG", str(settings))

    def run(*arguments: str) -> int:
        return main(["delayed", *arguments])

    return run


def key(event_id: str = "e1", source: str | None = None) -> bytes:
    route = Settings.model_validate(ROUTE).routes["default"]
    return key_of(scope_of_route("default", route), event_id, source)


def with_store(path: Path, act: Callable[[SqliteStore], Awaitable[object]]) -> object:
    async def run() -> object:
        store = SqliteStore(path)
        await store.open()
        try:
            return await act(store)
        finally:
            await store.close()

    return asyncio.run(run())


def scheduled(path: Path, at: bytes) -> None:
    async def schedule(store: SqliteStore) -> None:
        await store.claim([Ask(at)], owner="me", lease=60)
        await store.schedule([Schedule(at, 0, DUE_AT)], owner="me", ttl=60)

    with_store(path, schedule)


def standing(path: Path, at: bytes) -> Standing:
    found = with_store(path, lambda store: store.look([at]))
    assert isinstance(found, list)
    [only] = found
    assert isinstance(only, Standing)
    return only


def test_show_tells_when_an_event_is_due(
    delayed: Callable[..., int], path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scheduled(path, key())
    assert delayed("show", "e1") == OK
    assert capfd.readouterr().out == "e1 of the route default is scheduled for 2100-01-01T00:00:00.000Z\n"


def test_show_says_that_nothing_is_known(
    delayed: Callable[..., int], path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scheduled(path, key())
    assert delayed("show", "e2") == FAULT
    assert "e2 of the route default is unknown to the key store" in capfd.readouterr().out


def test_cancel_is_lasting_and_may_be_said_twice(
    delayed: Callable[..., int], path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scheduled(path, key())
    assert delayed("cancel", "e1") == OK
    assert "is cancelled; it was scheduled for 2100-01-01" in capfd.readouterr().out
    assert delayed("cancel", "e1") == OK
    assert delayed("show", "e1") == OK
    assert capfd.readouterr().out.endswith("is cancelled\n")


def test_what_is_done_is_too_late_to_cancel_or_to_move(
    delayed: Callable[..., int], path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with_store(path, lambda store: store.commit([key()], ttl=60))
    assert delayed("cancel", "e1") == FAULT
    assert delayed("move", "e1", "--in", "1h") == FAULT
    assert capfd.readouterr().out.count("stays as it is: too late: it is done") == 2


def test_move_puts_an_event_off(delayed: Callable[..., int], path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    scheduled(path, key())
    assert delayed("move", "e1", "--until", NEXT_DAY) == OK
    assert f"is scheduled for {NEXT_DAY}; it was scheduled for 2100-01-01" in capfd.readouterr().out
    assert standing(path, key()).due_at == DUE_AT + 86_400_000


def test_move_counts_from_now_where_it_is_told_to(delayed: Callable[..., int], path: Path) -> None:
    scheduled(path, key())
    before = time.time_ns() // 1_000_000
    assert delayed("move", "e1", "--in", "36500d") == OK
    moved = standing(path, key()).due_at
    assert moved is not None
    assert moved >= before + 36_500 * 86_400_000


def test_move_to_sooner_needs_the_event(
    delayed: Callable[..., int], path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    scheduled(path, key())
    assert delayed("move", "e1", "--in", "1h") == FAULT
    assert "`--event FILE`" in capfd.readouterr().out
    assert standing(path, key()).due_at == DUE_AT


def test_a_cloudevent_is_named_by_its_source_too(delayed: Callable[..., int], path: Path) -> None:
    scheduled(path, key(source="/shop"))
    assert delayed("cancel", "e1") == FAULT
    assert delayed("cancel", "e1", "--source", "/shop") == OK
    assert standing(path, key(source="/shop")).state is State.CANCELLED


def test_what_is_being_sent_is_left_alone(path: Path) -> None:
    from bridge.cli.delayed import Event, _cancel

    async def act(store: SqliteStore) -> int:
        await store.claim([Ask(key())], owner="me", lease=60)
        settings = Settings.model_validate(ROUTE).routes["default"]
        return await _cancel(store, Event("e1", "default", settings, key(), 60, 0))

    assert with_store(path, act) == FAULT


def test_the_file_of_a_running_bridge_is_its_own(
    delayed: Callable[..., int], path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async def meanwhile(_store: SqliteStore) -> int:
        return await asyncio.to_thread(delayed, "cancel", "e1")

    assert with_store(path, meanwhile) == FAULT
    error = capfd.readouterr().err
    assert "is locked by another process" in error
    assert "publish a control envelope (`control.enabled`), or use the store `redis`" in error


def test_a_store_that_is_not_there_is_not_made(
    delayed: Callable[..., int], path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert delayed("show", "e1") == CONFIG
    assert f"there is no file {path} here" in capfd.readouterr().err
    assert not path.exists()


def test_a_store_in_memory_is_out_of_reach(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    settings = tmp_path / "bridge.yaml"
    settings.write_text(json.dumps({**ROUTE, "store": {"type": "memory"}}))
    assert main(["delayed", "show", "e1", "-c", str(settings)]) == CONFIG
    assert "store.type: memory is inside of the bridge's own process" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--in", "soon"), "--in"),
        (("--in", "-5000000000000"), "--in"),
        (("--until", "tomorrow"), "--until"),
    ],
)
def test_a_time_that_is_none_is_told(
    delayed: Callable[..., int], arguments: tuple[str, str], problem: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert delayed("move", "e1", *arguments) == CONFIG
    assert problem in capfd.readouterr().err


@pytest.mark.parametrize("arguments", [(), ("--in", "1h", "--until", NEXT_DAY)])
def test_move_needs_one_time(delayed: Callable[..., int], arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as end:
        delayed("move", "e1", *arguments)
    assert end.value.code == 2


ON = ("--set", "control.enabled=true")


@pytest.mark.parametrize(
    ("event", "more", "problem"),
    [
        ('{"name": "a.b"}', (), "goes by a control envelope, and they are off"),
        ("{", ON, "is not JSON"),
        ('{"data": 1}', ON, "is no event of the route"),
        ('{"id": "e2", "name": "a.b", "data": {}}', ON, "event.id is not that of the control envelope"),
        ('{"name": "a.b", "data": {}}', (*ON, "--set", "limits.max_event_bytes=20"), "limits.max_event_bytes"),
        (None, ON, "cannot be read"),
    ],
)
def test_an_event_that_the_bridge_would_not_take_is_not_published(
    delayed: Callable[..., int],
    tmp_path: Path,
    event: str | None,
    more: tuple[str, ...],
    problem: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "event.json"
    if event is not None:
        file.write_text(event)
    assert delayed("move", "e1", "--in", "1h", "--event", str(file), *more) == CONFIG
    assert problem in capfd.readouterr().err
