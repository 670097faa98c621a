from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bridge.apis import SecretSource
from bridge.apis.inngest import unsafe_in_path
from bridge.errors import ConfigError
from bridge.targets.credentials import Credentials

CANARY = "hunter2-hunter2"


def credentials(environ: dict[str, str] | None = None, **source: Any) -> Credentials:
    if isinstance(source.get("value"), str):
        source["value"] = SecretStr(source["value"])
    return Credentials([SecretSource(name="key", field="key", **source)], environ=environ or {})


def loaded(environ: dict[str, str] | None = None, **source: Any) -> tuple[str, ...]:
    found = credentials(environ, **source)
    found.load()
    return found.live["key"]


def test_each_place_is_read(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{CANARY}\n")
    assert loaded(value=CANARY) == (CANARY,)
    assert loaded(file=str(file)) == (CANARY,)
    assert loaded({"TRIGGER_API_KEY": CANARY}, env="TRIGGER_API_KEY") == (CANARY,)
    assert loaded({"TRIGGER_API_KEY_FILE": str(file)}, env="TRIGGER_API_KEY") == (CANARY,)


def test_settings_win_over_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("from-file")
    environ = {"K": "from-environment"}
    assert loaded(environ, value="from-settings", env="K") == ("from-settings",)
    assert loaded(environ, file=str(file), env="K") == ("from-file",)


@pytest.mark.parametrize("text", ["new\nold", "new\r\nold\r\n", "\n  new \n\n old\n", "\ufeffnew\nold\n"])
def test_two_lines_are_two_live_secrets_newest_first(tmp_path: Path, text: str) -> None:
    file = tmp_path / "key"
    file.write_bytes(text.encode())
    assert loaded(file=str(file)) == ("new", "old")


@pytest.mark.parametrize(
    ("environ", "source", "words"),
    [
        ({}, {"env": "K"}, "target.key: is missing. Give it in the environment variable K, or K_FILE."),
        ({}, {}, "target.key: is missing. Give it in the settings."),
        (
            {"K": " \n"},
            {"env": "K"},
            "target.key: is empty. Put the secret into the environment variable K, or K_FILE.",
        ),
        ({"K": "a", "K_FILE": "b"}, {"env": "K"}, "target.key: is given by both K and K_FILE. Keep one of them."),
        (
            {},
            {"file": "/nonexistent/key"},
            "target.key: cannot read /nonexistent/key: No such file or directory. Create the file or correct its name.",
        ),
        (
            {"K": f"{CANARY} b"},
            {"env": "K"},
            (
                "target.key: holds a space, a control character or a letter outside ASCII. "
                "Correct it in the environment variable K, or K_FILE."
            ),
        ),
    ],
)
def test_what_is_missing_or_unusable_is_named_with_its_cure(
    environ: dict[str, str], source: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(environ, **source)
    assert str(refused.value) == words
    assert CANARY not in words


@pytest.mark.parametrize("content", [b"x" * 70_000, b"\xff\xfe\x00"])
def test_a_file_that_is_no_secret_is_not_read_in(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"too large|no text"):
        loaded(file=str(file))


def test_a_rotated_file_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("first-secret")
    found = credentials(file=str(file))
    found.load()
    assert not found.refresh()
    file.write_text("second-secret")
    assert found.refresh()
    assert found.live == {"key": ("second-secret",)}


@pytest.mark.parametrize("broken", [None, "", "two words"])
def test_a_file_that_is_broken_for_a_moment_keeps_the_old_secret(
    tmp_path: Path, broken: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "key"
    file.write_text(CANARY)
    found = credentials(file=str(file))
    found.load()
    if broken is None:
        file.unlink()
    else:
        file.write_text(broken)
    with caplog.at_level(logging.WARNING):
        assert not found.refresh()
    assert found.live == {"key": (CANARY,)}
    assert [record.message for record in caplog.records] == ["secret_not_refreshed"]
    assert CANARY not in str([vars(record) for record in caplog.records])


def test_each_secret_is_refreshed_for_itself(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text("one-1")
    other.write_text("other-1")
    sources = [SecretSource(name=path.name, field=path.name, file=str(path)) for path in (one, other)]
    found = Credentials(sources, environ={})
    found.load()
    one.unlink()
    other.write_text("other-2")
    assert found.refresh()
    assert found.live == {"one": ("one-1",), "other": ("other-2",)}


def test_the_check_of_the_api_is_applied_to_every_value() -> None:
    with pytest.raises(ConfigError, match="cannot stand in the address"):
        loaded(value="fine\na/b", check=unsafe_in_path)


def test_secrets_are_masked_in_what_comes_back_and_in_reprs() -> None:
    found = credentials(value=f"{CANARY}\nother-secret\nshort")
    found.load()
    assert found.mask(f"no {CANARY}, no other-secret, but short".encode()) == b"no ***, no ***, but short"
    assert repr(found) == "Credentials(key=***)"


def test_nothing_is_needed_where_no_secret_is() -> None:
    found = Credentials([], environ={})
    found.load()
    assert found.live == {}
    assert not found.refresh()
