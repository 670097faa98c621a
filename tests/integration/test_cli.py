"""The command line as processes of its own, without a broker: life, death, exit codes, output."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest

Run = Callable[..., "subprocess.Popen[str]"]

MEMORY = "source: {type: memory}\ntarget: {type: memory}\nstore: {type: memory}\nadmin: {port: 0}\n"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Start `event-bridge` in an empty directory, with nothing in the environment but what is given."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, settings: str = MEMORY, **environment: str) -> subprocess.Popen[str]:
        (tmp_path / "event-bridge.yaml").write_text(settings)
        process = subprocess.Popen(
            [sys.executable, "-m", "bridge.cli", *arguments],
            cwd=tmp_path,
            env={"PYTHONPATH": str(Path(__file__).parents[2]), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def lines_until(process: subprocess.Popen[str], event: str) -> list[dict[str, object]]:
    """Read log lines up to the one with this event."""
    assert process.stdout is not None
    said: list[dict[str, object]] = []
    for line in process.stdout:
        said.append(json.loads(line))
        if said[-1]["event"] == event:
            return said
    assert process.stderr is not None
    pytest.fail(f"{event} was never logged, but {said}; {process.stderr.read()}")


def get(port: object, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as refusal:
        return refusal.code, refusal.read().decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_daemon_lives_is_asked_to_stop_and_ends_with_0(run: Run, number: signal.Signals) -> None:
    process = run("run")
    said = lines_until(process, "started")
    port = next(line["port"] for line in said if line["event"] == "admin_listening")
    assert get(port, "/livez")[0] == 200
    status, body = get(port, "/readyz")
    assert (status, json.loads(body)) == (200, {"ready": True, "reasons": []})
    assert "bridge_deliveries_received_total" in get(port, "/metrics")[1]
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert [json.loads(line)["event"] for line in out.splitlines()][-1] == "stopped"


def test_settings_that_cannot_work_end_with_78_before_anything_is_logged(run: Run) -> None:
    process = run("run", settings="source: {type: memry}\ntarget: {type: memory}\n")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (78, "")
    assert err == (
        "event-bridge: one problem in the settings\n"
        '  event-bridge.yaml:1: source.type: must be rabbitmq, kafka or memory. Did you mean "memory"?\n'
    )


def test_a_port_in_use_ends_with_78(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = run("run", "--set", f"admin.port={port}")
        _, err = process.communicate(timeout=30)
    assert process.returncode == 78
    assert f"admin.port: {port} is in use. Choose another, or 0 for a free one." in err


def test_people_get_text_where_they_ask_for_it(run: Run) -> None:
    process = run("run", BRIDGE_LOG__FORMAT="human")
    assert process.stdout is not None
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} INFO    \w+ .*\n", process.stdout.readline())
    process.terminate()
    assert process.wait(30) == 0


def test_check_shows_the_settings_and_connects_to_nothing(run: Run, tmp_path: Path) -> None:
    process = run("check", "--set", "limits.batch=7")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert re.search(r"^ +batch: 7 +# --set limits\.batch$", out, re.MULTILINE)
    assert "the settings are valid: 1 route" in out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["event-bridge.yaml"]


def test_check_reports_as_json(run: Run) -> None:
    out, _ = run("check", "--json", "--connect").communicate(timeout=30)
    report = json.loads(out)
    assert report["valid"] is True
    assert report["file"] == "event-bridge.yaml"
    assert report["origins"]["source.type"] == "event-bridge.yaml:1"
    assert {finding["part"]: finding["level"] for finding in report["findings"]} == {
        "store": "ok", "routes.default.source": "ok", "routes.default.target": "ok",
    }  # fmt: skip


def test_check_reports_problems_as_json(run: Run) -> None:
    process = run("check", "--json", settings="source: {type: memory}\n")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (78, "")
    assert json.loads(out) == {
        "valid": False,
        "problems": [
            {
                "where": "",
                "field": "target",
                "problem": "is missing",
                "cure": "Set it in the file, or as BRIDGE_TARGET__TYPE and so on",
            }
        ],
    }


def test_check_looks_for_the_secrets_too(run: Run) -> None:
    settings = "source: {type: memory}\ntarget: {type: inngest, url: 'http://h'}\n"
    process = run("check", settings=settings)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 78
    assert "event-bridge.yaml:2: target.key: is missing." in err
    assert "INNGEST_EVENT_KEY_FILE" in err


def test_check_says_what_cannot_be_reached(run: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    settings = MEMORY.replace("target: {type: memory}", f"target: {{type: zopio, url: 'http://127.0.0.1:{port}'}}")
    settings = settings.replace("store: {type: memory}", f"store: {{type: sqlite, path: {tmp_path}/no/keys.db}}")
    process = run("check", "--connect", settings=settings)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"store: cannot write in {tmp_path}/no" in out
    assert f"routes.default.target: cannot reach http://127.0.0.1:{port}" in out


@pytest.mark.parametrize("way", ["file", "variable", "named file", "secrets directory", "--set"])
def test_no_secret_shows_however_it_is_given(run: Run, tmp_path: Path, way: str) -> None:
    secret = "canary-5ecret"
    key = tmp_path / ("bridge_target__key" if way == "secrets directory" else "key.txt")
    key.write_text(secret)
    settings = MEMORY.replace("target: {type: memory}", "target: {type: inngest, url: 'http://127.0.0.1:9'}")
    if way == "file":
        settings = settings.replace("type: inngest", f"type: inngest, key: {secret}")
    given = {
        "variable": {"BRIDGE_TARGET__KEY": secret},
        "named file": {"BRIDGE_TARGET__KEY_FILE": str(key)},
        "secrets directory": {"BRIDGE_SECRETS_DIR": str(tmp_path)},
    }.get(way, {})
    options = ("--set", f"target.key={secret}") if way == "--set" else ()
    wrong = ("--set", "limits.batch=many", "--set", "target.url=canary-5ecret")
    for command, code in (
        (("check",), 0),
        (("check", "--json", "--connect"), 1),
        (("check", *wrong), 78),
        (("run",), 0),
    ):
        process = run(*command, *options, settings=settings, BRIDGE_LOG__LEVEL="debug", **given)
        if command == ("run",):
            assert secret not in str(lines_until(process, "started"))
            process.terminate()
        out, err = process.communicate(timeout=30)
        assert process.returncode == code, err
        assert secret not in out + err


def test_a_key_store_in_use_is_no_error(run: Run) -> None:
    settings = MEMORY.replace("store: {type: memory}", "store: {type: sqlite, path: keys.db}")
    daemon = run("run", settings=settings)
    lines_until(daemon, "started")
    process = run("check", "--connect", settings=settings)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "keys.db is in use" in out
    daemon.terminate()
    assert daemon.wait(30) == 0


def test_publishing_needs_a_queue_outside_of_the_process(run: Run) -> None:
    process = run("publish", "--name", "user.created")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 78
    assert "event-bridge.yaml:1: source.type: has no queue outside of the bridge's own process" in err
    assert err.endswith("Use rabbitmq or kafka.\n")


def test_output_into_a_closed_pipe_is_no_fault_of_ours(run: Run) -> None:
    process = run("schema")
    assert process.stdout is not None
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (1, "")


def test_schema_prints_what_is_committed(run: Run) -> None:
    out, _ = run("schema").communicate(timeout=30)
    assert out == (Path(__file__).parents[2] / "config" / "schema.json").read_text()


def test_schema_prints_the_table_of_the_metrics_too(run: Run) -> None:
    out, _ = run("schema", "--metrics").communicate(timeout=30)
    assert (Path(__file__).parents[2] / "docs" / "metrics.md").read_text().endswith(f"\n{out}")


def test_devserver_serves_and_stops(run: Run) -> None:
    process = run("devserver", "--port", "0")
    assert process.stderr is not None
    started = json.loads(process.stderr.readline())
    assert get(started["url"].rpartition(":")[2], "/")[0] == 200
    process.terminate()
    assert process.wait(30) == 0


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--fault", "statu=503", "--fault statu: Extra inputs are not permitted"),
        ("--port", "99999", "--port: Input should be less than or equal to 65535"),
        ("--webhook-secret", "!", "--webhook-secret: "),
    ],
)
def test_devserver_options_that_cannot_work_are_named(run: Run, option: str, value: str, said: str) -> None:
    process = run("devserver", option, value)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 78
    assert said in err
