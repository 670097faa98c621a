"""
RabbitMQ and other programs from Debian's packages, on Debian and Ubuntu.

A version that this machine's own release carries is installed with apt; another one comes as a small Debian of the
release that carries it, unpacked by debootstrap into a folder (about a minute, once, 250 MB) and entered with chroot.
"""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from devtools.processes import CommandError, MissingError, run
from devtools.scratch import locked

RELEASES = {"3.10": "bookworm", "4.0": "trixie"}
"""The Debian release that carries each version of RabbitMQ."""

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "event-bridge"
"""Where unpacked releases stay. May be deleted at any time that nothing runs."""

INSTALL_LIMIT = 900.0
"""Seconds for an apt-get or debootstrap, on a slow line."""

POLICY = Path("/usr/sbin/policy-rc.d")
"""Asked by maintainer scripts whether they may start a service (invoke-rc.d(8)); exit code 101 means no."""

APT = ["apt-get", "-y", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=600"]


def rabbitmq_root(version: str) -> Path:
    """
    Return the folder below which this version is installed, `/` for the machine itself, and put it there if needed.

    Raises MissingError where that takes a root user or a Debian that we do not have.
    """
    if installed_version("rabbitmq-server").startswith(f"{version}."):
        return Path("/")
    if os.getuid() != 0 or not shutil.which("apt-get"):
        raise MissingError(
            f"RabbitMQ {version} is not at hand. Start a Docker engine, or run as root on Debian or Ubuntu, "
            f'or leave it out with: ./dev test -k "not rabbitmq-{version}"'
        )
    if release() == RELEASES[version] and not installed_version("rabbitmq-server"):
        install("rabbitmq-server")
        return Path("/")
    return unpacked(RELEASES[version], "rabbitmq-server")


def at_hand(version: str) -> bool:
    """Whether `rabbitmq_root` has nothing to install for this version."""
    if installed_version("rabbitmq-server").startswith(f"{version}."):
        return True
    return os.getuid() == 0 and _folder_of(RELEASES[version], "rabbitmq-server").exists()


def installed_version(package: str) -> str:
    """Return the version of an installed package without its epoch, "" when it is not installed."""
    try:
        fields = run(["dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Version}", package])
    except (CommandError, FileNotFoundError):
        return ""
    status, _, version = fields.partition(" ")
    return version.rpartition(":")[2] if status == "installed" else ""


def release() -> str:
    """Return the code name of this machine's own release, "" where it has none."""
    with contextlib.suppress(OSError):
        return platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    return ""


def install(*packages: str) -> None:
    """Install packages with apt, without starting any service. Raises CommandError."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = [*APT, "install", *packages]
    with locked(CACHE / "apt.lock"), _services_kept_down():
        try:
            run(command, env=environment, timeout=INSTALL_LIMIT)
        except CommandError:  # the lists are missing or name versions that are gone
            run([*APT, "update"], env=environment, timeout=INSTALL_LIMIT)
            run(command, env=environment, timeout=INSTALL_LIMIT)


def unpacked(suite: str, package: str) -> Path:
    """Return a folder with a minimal Debian of another release and one package in it. Raises CommandError."""
    root = _folder_of(suite, package)
    with locked(CACHE / f"{root.name}.lock"):
        if not root.exists():
            _unpack(suite, package, root)
    return root


def fetched(package: str) -> Path:
    """
    Return a folder with the files of one package of this machine's own release, fetched but not installed.

    None of its scripts run, no service is made, and it takes no rights but to renew apt's lists where they are missing.
    Raises CommandError.
    """
    root = CACHE / f"{release()}-{package}-{platform.machine()}-files"
    with locked(root.with_name(f"{root.name}.lock")):
        if not root.exists():
            _fetch(package, root)
    return root


def _fetch(package: str, root: Path) -> None:
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name)
        folder.chmod(0o755)  # apt fetches as a user of its own
        command = [*APT, "download", package]
        with locked(CACHE / "apt.lock"):
            try:
                run(command, cwd=folder, timeout=INSTALL_LIMIT)
            except CommandError:  # the lists are missing or name versions that are gone
                run([*APT, "update"], timeout=INSTALL_LIMIT)
                run(command, cwd=folder, timeout=INSTALL_LIMIT)
        (archive,) = folder.glob("*.deb")
        run(["dpkg-deb", "--extract", str(archive), str(folder / "files")], timeout=INSTALL_LIMIT)
        (folder / "files").rename(root)


def _folder_of(suite: str, package: str) -> Path:
    return CACHE / f"{suite}-{package}-{platform.machine()}"


def mirror(sources: Path = Path("/etc/apt")) -> str | None:
    """Return the archive that apt takes this machine's Debian release from, None where it is not a Debian."""
    own = release()
    if own not in RELEASES.values():
        return None
    for uri, suites in _archives(sources):
        if own in suites and uri.startswith(("http:", "https:", "file:")):
            return uri
    return None


def _unpack(suite: str, package: str, root: Path) -> None:
    missing = [name for name in ("debootstrap", "debian-archive-keyring") if not installed_version(name)]
    if missing:
        install(*missing)
    unfinished = root.with_name(f"{root.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    source = mirror()  # without one, debootstrap knows where the release lives
    command = ["debootstrap", "--variant=minbase", f"--include={package}", suite, str(unfinished)]
    run([*command, source] if source else command, timeout=INSTALL_LIMIT)
    shutil.rmtree(unfinished / "var/cache/apt/archives")
    unfinished.rename(root)


def _archives(sources: Path) -> Iterator[tuple[str, list[str]]]:
    """Read both forms of sources.list(5): each archive's address, with the suites taken from it."""
    for path in sorted(sources.glob("sources.list.d/*.sources")):
        for stanza in re.split(r"\n\s*\n", re.sub(r"^#.*\n", "", path.read_text(), flags=re.MULTILINE)):
            fields = dict(re.findall(r"^(\w[\w-]*):[ \t]*(.*(?:\n[ \t]+.*)*)", stanza, flags=re.MULTILINE))
            for uri in fields.get("URIs", "").split():
                yield uri, fields.get("Suites", "").split()
    for path in [sources / "sources.list", *sorted(sources.glob("sources.list.d/*.list"))]:
        text = path.read_text() if path.exists() else ""
        for uri, suite in re.findall(r"^deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)", text, flags=re.MULTILINE):
            yield uri, [suite]


@contextlib.contextmanager
def _services_kept_down() -> Iterator[None]:
    """Answer "no" to packages that would start what they install, unless the machine has an answer of its own."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()
