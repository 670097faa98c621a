"""Environment variables, secret files and `--set`: what they mean, and what is refused."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from bridge.settings.texts import Reader
from tests.unit.settings.toy import ROOT


def environment(variables: Mapping[str, str]) -> dict[str, object]:
    reader = Reader(ROOT)
    direct, files = reader.environment(variables)
    assert reader.problems == []
    return {".".join(trail): value for trail, value, _ in (*direct, *files)}


def problems(variables: Mapping[str, str]) -> list[str]:
    reader = Reader(ROOT)
    reader.environment(variables)
    return [str(problem) for problem in reader.problems]


@pytest.mark.parametrize(
    ("name", "text", "path", "value"),
    [
        ("BRIDGE_DRAIN", "5s", "drain", "5s"),
        ("BRIDGE_SOURCE__QUEUE", "orders", "source.queue", "orders"),
        ("BRIDGE_ROUTES__ORDERS__SOURCE__URL", "amqp://h", "routes.orders.source.url", "amqp://h"),
        ("BRIDGE_ROUTES__EU_ORDERS__LIMITS__BATCH", "7", "routes.eu_orders.limits.batch", "7"),
        ("BRIDGE_TARGET__TAGS", "a, b,c", "target.tags", ["a", "b", "c"]),
        ("BRIDGE_TARGET__TAGS", '["a", "b,c"]', "target.tags", ["a", "b,c"]),
        ("BRIDGE_TARGET__HEADERS", '{"X-Key": "v"}', "target.headers", {"X-Key": "v"}),
        ("BRIDGE_SOURCE", '{"type": "memory"}', "source", {"type": "memory"}),
        ("BRIDGE_FORMAT", "raw", "format", "raw"),
        ("BRIDGE_SOURCE__QUEUE", "{not json}", "source.queue", "{not json}"),
    ],
)
def test_a_variable_says_a_value(name: str, text: str, path: str, value: object) -> None:
    assert environment({name: text}) == {path: value}


def test_other_variables_and_empty_ones_say_nothing() -> None:
    assert environment({"PATH": "/bin", "BRIDGE_DRAIN": "", "BRIDGE_CONFIG": "f", "BRIDGE_SECRETS_DIR": "/x"}) == {}


@pytest.mark.parametrize(
    "name",
    [
        "BRIDGE_SERVICE_HOST",
        "BRIDGE_SERVICE_PORT",
        "BRIDGE_SERVICE_PORT_METRICS",
        "BRIDGE_PORT",
        "BRIDGE_PORT_9464_TCP",
        "BRIDGE_PORT_9464_TCP_PROTO",
        "BRIDGE_PORT_9464_TCP_ADDR",
        "BRIDGE_ORDERS_SERVICE_HOST",
        "BRIDGE_ORDERS_PORT_9464_TCP_PORT",
    ],
)
def test_the_links_of_a_kubernetes_service_called_bridge_are_let_pass(name: str) -> None:
    assert environment({name: "10.0.0.1"}) == {}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("BRIDGE_SOURCE_URL", "BRIDGE_SOURCE_URL: is not a setting. Did you mean BRIDGE_SOURCE__URL?"),
        ("BRIDGE_SOURCE__QUEU", "BRIDGE_SOURCE__QUEU: is not a setting. Did you mean BRIDGE_SOURCE__QUEUE?"),
        ("BRIDGE_CONFG", "BRIDGE_CONFG: is not a setting. Did you mean BRIDGE_CONFIG?"),
        (
            "BRIDGE_ROUTES__EU__LIMIT__BATCH",
            "BRIDGE_ROUTES__EU__LIMIT__BATCH: is not a setting. Did you mean BRIDGE_ROUTES__EU__LIMITS__BATCH?",
        ),
        ("BRIDGE_SOURCE__URLFILE", "BRIDGE_SOURCE__URLFILE: is not a setting. Did you mean BRIDGE_SOURCE__URL_FILE?"),
        (
            "BRIDGE_QQ",
            "BRIDGE_QQ: is not a setting. Remove it, or see `event-bridge schema` for what there is.",
        ),
        ("BRIDGE_", "BRIDGE_: is not a setting. Remove it, or see `event-bridge schema` for what there is."),
        ("BRIDGE_SOURCE__", "BRIDGE_SOURCE__: is not a setting. Did you mean BRIDGE_SOURCE?"),
        (
            "BRIDGE_TARGET__HEADERS__X",
            "BRIDGE_TARGET__HEADERS__X: is not a setting. Did you mean BRIDGE_TARGET__HEADERS?",
        ),
        (
            "BRIDGE_SOURCE__QUEUE_FILE",  # not a secret: no file variant
            "BRIDGE_SOURCE__QUEUE_FILE: is not a setting. Did you mean BRIDGE_SOURCE__QUEUE?",
        ),
    ],
)
def test_an_unknown_variable_is_refused_with_what_was_probably_meant(name: str, said: str) -> None:
    assert problems({name: "x"}) == [said]


def test_a_secret_is_read_from_the_file_that_a_variable_names(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("amqp://u:p@h\n")
    assert environment({"BRIDGE_SOURCE__URL_FILE": str(tmp_path / "url")}) == {"source.url": "amqp://u:p@h"}


def test_a_file_setting_of_its_own_keeps_the_name_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k")
    path = str(tmp_path / "key")
    assert environment({"BRIDGE_TARGET__KEY_FILE": path}) == {"target.key_file": path}


def test_a_secret_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    (said,) = problems({"BRIDGE_SOURCE__URL_FILE": str(tmp_path / "no")})
    assert said == (
        "BRIDGE_SOURCE__URL_FILE: source.url: names a file that cannot be read (No such file or directory). "
        "Correct the path or its permissions."
    )
    (tmp_path / "bin").write_bytes(b"\xff\xfe")
    assert "is not UTF-8" in problems({"BRIDGE_SOURCE__URL_FILE": str(tmp_path / "bin")})[0]
    (tmp_path / "big").write_bytes(b"x" * 70_000)
    assert "is larger than 64 KiB" in problems({"BRIDGE_SOURCE__URL_FILE": str(tmp_path / "big")})[0]


def test_a_secret_set_both_ways_is_ambiguous(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("amqp://h")
    both = {"BRIDGE_SOURCE__URL": "amqp://x", "BRIDGE_SOURCE__URL_FILE": str(tmp_path / "url")}
    assert problems(both) == [
        "source.url: is set by BRIDGE_SOURCE__URL and by BRIDGE_SOURCE__URL_FILE. Set only one of the two."
    ]


def test_two_spellings_of_one_variable_are_ambiguous() -> None:
    assert problems({"BRIDGE_DRAIN": "1s", "BRIDGE_drain": "2s"}) == [
        "drain: is set by BRIDGE_DRAIN and by BRIDGE_drain. Set only one of the two."
    ]


def test_broken_json_is_named_but_not_shown() -> None:
    (said,) = problems({"BRIDGE_TARGET__HEADERS": '{"canary'})
    assert said == "BRIDGE_TARGET__HEADERS: target.headers: is not valid JSON. Correct it."


def test_files_of_a_secrets_directory_are_settings(tmp_path: Path) -> None:
    (tmp_path / "bridge_source__url").write_text("amqp://h\r\n")
    (tmp_path / "BRIDGE_TARGET__KEY").write_text("k")
    (tmp_path / "someone_elses").write_text("x")
    (tmp_path / "..data").mkdir()
    reader = Reader(ROOT)
    found = {".".join(written.trail): written.value for written in reader.secrets(tmp_path, required=True)}
    assert reader.problems == []
    assert found == {"source.url": "amqp://h", "target.key_file": str(tmp_path / "BRIDGE_TARGET__KEY")}


def test_a_misspelt_secret_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bridge_source__ulr").write_text("x")
    reader = Reader(ROOT)
    reader.secrets(tmp_path, required=True)
    assert "BRIDGE_SOURCE__ULR: is not a setting. Did you mean BRIDGE_SOURCE__URL?" in str(reader.problems[0])


def test_only_a_directory_that_was_asked_for_must_exist(tmp_path: Path) -> None:
    reader = Reader(ROOT)
    assert reader.secrets(tmp_path / "no", required=False) == []
    assert reader.problems == []
    reader.secrets(tmp_path / "no", required=True)
    assert "BRIDGE_SECRETS_DIR: cannot be read (No such file or directory)" in str(reader.problems[0])


def test_assignments_of_the_command_line() -> None:
    reader = Reader(ROOT)
    found = reader.assignments(["source.queue=a=b", "routes.eu.limits.batch=3", "target.tags=x,y"])
    assert [(".".join(trail), value) for trail, value, _ in found] == [
        ("source.queue", "a=b"),
        ("routes.eu.limits.batch", "3"),
        ("target.tags", ["x", "y"]),
    ]
    assert found[0].where == "--set source.queue"


def test_a_wrong_assignment_is_refused() -> None:
    reader = Reader(ROOT)
    reader.assignments(["source.queu=a", "source.queue"])
    assert [str(problem) for problem in reader.problems] == [
        "source.queu: is not a setting. Did you mean source.queue?",
        "--set source.queue: has no value. Write it as --set path=value.",
    ]
