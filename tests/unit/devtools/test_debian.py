"""Which Debian a broker is taken from, and that nothing is started by installing it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from devtools import browser, debian
from devtools.processes import MissingError

DEB822 = """\
# comment
Types: deb
# a dated archive
URIs: http://archive.test/debian-security
Suites: bookworm-security
Components: main

Types: deb deb-src
URIs: {uri}
Suites:
 bookworm
 bookworm-updates
Components: main
"""

CLASSIC = """\
# deb http://archive.test/old bookworm main
deb http://archive.test/debian-security bookworm-security main
deb [arch=amd64 signed-by=/some/key.gpg] {uri} bookworm main contrib
"""


def on(monkeypatch: pytest.MonkeyPatch, *, release: str, installed: str = "", uid: int = 0) -> None:
    monkeypatch.setattr(debian, "release", lambda: release)
    monkeypatch.setattr(debian, "installed_version", lambda _: installed)
    monkeypatch.setattr(os, "getuid", lambda: uid)


@pytest.mark.parametrize(
    ("name", "text"),
    [("sources.list.d/debian.sources", DEB822), ("sources.list", CLASSIC), ("sources.list.d/x.list", CLASSIC)],
)
def test_the_archive_is_the_one_that_apt_uses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    on(monkeypatch, release="bookworm")
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / name).write_text(text.format(uri="https://archive.test/debian"))
    assert debian.mirror(tmp_path) == "https://archive.test/debian"


def test_an_archive_that_debootstrap_cannot_read_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, release="bookworm")
    (tmp_path / "sources.list").write_text(CLASSIC.format(uri="mirror+file:/etc/apt/mirrors"))
    assert debian.mirror(tmp_path) is None


def test_another_distribution_has_no_archive_for_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, release="noble")
    (tmp_path / "sources.list").write_text("deb http://archive.test/ubuntu noble main universe\n")
    assert debian.mirror(tmp_path) is None


def test_a_package_of_the_right_version_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, release="bookworm", installed="3.10.8-1.1", uid=1000)
    assert debian.rabbitmq_root("3.10") == Path("/")


def test_the_own_release_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, release="trixie")
    installed: list[str] = []
    monkeypatch.setattr(debian, "install", lambda *names: installed.extend(names))
    monkeypatch.setattr(debian, "unpacked", Path)
    assert debian.rabbitmq_root("4.0") == Path("/")
    assert installed == ["rabbitmq-server"]
    assert debian.rabbitmq_root("3.10") == Path("bookworm/rabbitmq-server")


def test_an_installed_broker_of_another_version_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, release="bookworm", installed="3.13.7-1")
    monkeypatch.setattr(debian, "unpacked", Path)
    assert debian.rabbitmq_root("3.10") == Path("bookworm/rabbitmq-server")


def test_without_root_a_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, release="bookworm", uid=1000)
    with pytest.raises(MissingError, match=r"RabbitMQ 4\.0 .*Docker.*root"):
        debian.rabbitmq_root("4.0")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(MissingError, match="install the package chromium"):
        browser.chromium()


def test_an_unknown_package_has_no_version_and_a_known_one_has() -> None:
    assert debian.installed_version("no-such-package") == ""
    if debian.release() in debian.RELEASES.values():
        assert debian.installed_version("base-files")[0].isdigit()


def test_services_stay_down_during_an_installation_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(debian, "POLICY", policy)
    with debian._services_kept_down():
        assert subprocess.run([policy, "rabbitmq-server", "start"], check=False).returncode == 101
    assert not policy.exists()


def test_a_policy_of_the_machine_itself_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("of this machine")
    monkeypatch.setattr(debian, "POLICY", policy)
    with debian._services_kept_down():
        pass
    assert policy.read_text() == "of this machine"
