"""The demo as a new user runs it: in memory, on a real RabbitMQ and Kafka, to its end, interrupted, and kept."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from devtools.processes import wait_until

ROOT = Path(__file__).parents[2]
LINE = re.compile(r" *(?P<at>\d+\.\d{3})  (?P<what>[a-z ]{11})  (?P<route>.{10})  (?P<event>.{15})  (?P<more>.*)")
SUMMARY = {
    "published": "29  events in 27 deliveries",
    "delivered": "21  each of them once",
    "duplicates": " 6  suppressed",
    "delayed": " 6  by the bridge, late by",
    "retried": " 1  delivered after 2 failed attempts",
    "dead letters": " 2",
    "  order.???": "    event.name is missing",
    "  order.refunded": "    HTTP 422: payload.total must not be negative",
}

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start the demo with all of its folders below `tmp_path`; nothing of it may be there in the end."""
    started: list[subprocess.Popen[str]] = []

    def demo(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "devtools.demo", *arguments],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(tmp_path), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield demo
    for process in started:
        process.kill()
        process.communicate()


def processes_of(folder: Path) -> list[int]:
    """Find all processes that know the folder: from their arguments, their environment, or as a mount."""
    wanted, found = str(folder).encode(), []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            facts = [(process / name).read_bytes() for name in ("cmdline", "environ", "mountinfo")]
            if any(wanted in fact for fact in facts):
                found.append(int(process.name))
    return found


def assert_nothing_is_left(folder: Path) -> None:
    wait_until(lambda: not processes_of(folder), within=10, what=f"no process of {folder} is left")
    left = [path for path in folder.glob("event-bridge-*/*") if path.name not in {"lock", "ports"}]
    assert left == []


def read_until(process: subprocess.Popen[str], text: str) -> list[str]:
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        said.append(line.rstrip("\n"))
        if text in line:
            return said
    assert process.stderr is not None
    raise AssertionError(f"{text!r} was never said, but:\n" + "\n".join(said) + process.stderr.read())


def facts(said: Sequence[str]) -> set[tuple[str, str, str]]:
    """Read the lines about events: what, which route, which event."""
    found = (LINE.fullmatch(line) for line in said)
    return {(line["what"].strip(), line["route"].strip(), line["event"].strip()) for line in found if line}


def assert_all_was_shown(said: Sequence[str]) -> None:
    shown = facts(said)
    for what, route, event in (
        ("published", "inngest", "cart.*"),
        ("delivered", "inngest", "cart.left"),
        ("delivered", "webhook", "stock.moved"),
        ("delivered", "zopio", "invoice.created"),
        ("duplicate", "zopio", "invoice.created"),
        ("duplicate", "trigger-v1", "order.archived"),
        ("waiting", "webhook", "sensor.blinked"),
        ("waiting", "trigger-v1", "order.archived"),
        ("waiting", "inngest", "user.nudged"),
        ("delivered", "inngest", "user.nudged"),
        ("failed", "webhook", "report.built"),
        ("delivered", "webhook", "report.built"),
        ("dead letter", "trigger-v1", "order.???"),
        ("dead letter", "trigger-v2", "order.refunded"),
    ):
        assert (what, route, event) in shown
    for name, text in SUMMARY.items():
        assert any(line.startswith(f"  {name} ") and text in line for line in said), f"{name}: {text}"
    assert any(
        re.search(r"conservation .* (\d+) deliveries received = \1 settled \+ 0 in flight", line) for line in said
    )


def test_in_memory_everything_is_as_it_must_be(start: Start, tmp_path: Path) -> None:
    process = start("--broker", "memory")
    out, err = process.communicate(timeout=120)
    said = out.splitlines()
    assert (process.returncode, err) == (0, ""), out
    assert_all_was_shown(said)
    assert re.fullmatch(r"Everything was as it must be, in \d+ s\.", said[-1])
    assert "\x1b" not in out, "colour is for terminals"
    assert_nothing_is_left(tmp_path)


REAL = [pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("rabbitmq", "kafka")]


@pytest.mark.parametrize("broker", REAL)
def test_on_a_broker_everything_is_as_it_must_be_and_stays_until_ctrl_c(
    start: Start, tmp_path: Path, broker: str
) -> None:
    process = start("--keep", "--broker", broker)
    said = read_until(process, "Ctrl-C ends it.")
    assert_all_was_shown(said)
    places = dict(re.findall(r"^  (event API|metrics|log|publish) +(\S.*)$", "\n".join(said), re.MULTILINE))
    for name in ("event API", "metrics"):
        with urllib.request.urlopen(places[name], timeout=10) as answer:  # noqa: S310  the demo's own http address
            assert answer.status == 200
    assert Path(places["log"]).is_file()
    assert len(processes_of(tmp_path)) >= 3, "the demo, the bridge and the broker run"

    more = said[next(number for number, line in enumerate(said) if line.startswith("  publish ")) + 1]
    command = shlex.split(places["publish"].removesuffix("\\") + more.replace("5s", "4s"))
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=60)
    later = facts(read_until(process, "delivered"))
    assert later == {("waiting", "webhook", ""), ("delivered", "webhook", "order.created")}

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, ""), out
    assert out.endswith("Nothing is left running.\n")
    assert_nothing_is_left(tmp_path)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_in_the_middle_it_can_be_ended(start: Start, tmp_path: Path, sign: signal.Signals) -> None:
    process = start("--broker", "memory")
    read_until(process, "delivered")
    process.send_signal(sign)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "")
    assert "Everything was" not in out
    assert_nothing_is_left(tmp_path)


@pytest.mark.parametrize("moment", ["MQ 3|MQ 4|Kafka 4", "event-bridge run", "delivered"])
@pytest.mark.parametrize("broker", REAL)
def test_with_a_broker_it_can_be_ended_at_any_time(start: Start, tmp_path: Path, broker: str, moment: str) -> None:
    process = start("--broker", broker)
    wait_until(lambda: bool(processes_of(tmp_path)), within=30, what="it runs")
    read_until_text(process, moment)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (130, "")
    assert_nothing_is_left(tmp_path)


def read_until_text(process: subprocess.Popen[str], text: str) -> None:
    """Read until one of the texts, with a | between two, has come, be its line finished or not."""
    assert process.stdout is not None
    said = ""
    while not re.search(text, said):
        char = process.stdout.read(1)
        assert char, f"{text!r} was never said, but {said!r}"
        said += char


@pytest.mark.parametrize(
    ("broker", "name"), [("rabbitmq", r"RabbitMQ \d\.\d+"), ("kafka", r"(A Java runtime.*|Maven \(mvn\))")]
)
def test_without_any_broker_one_sentence_says_what_to_do(start: Start, tmp_path: Path, broker: str, name: str) -> None:
    process = start(
        "--broker", broker, PATH=str(tmp_path), DOCKER_HOST="tcp://127.0.0.1:1", XDG_CACHE_HOME=str(tmp_path)
    )
    _, err = process.communicate(timeout=60)
    assert process.returncode == 69
    assert re.fullmatch(
        rf"demo: {name} is not at hand[^:]*: start a Docker engine, or run as root on Debian or Ubuntu, "
        r"or do without: \./dev demo --broker memory\n",
        err,
    )
    assert_nothing_is_left(tmp_path)
