"""
The image of the bridge, built without a daemon and without a registry.

The base is a small Debian of this machine's own release with its Python, made by mmdebstrap; buildah builds the
Dockerfile on it, as root, in a chroot, in a store of its own. Debian's Python stands in for the official image, which
no registry hands out here: it is /usr/bin/python3 and not /usr/local/bin/python3, and may be older.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devtools import debian
from devtools.processes import CommandError, MissingError, run
from devtools.scratch import folder, locked

PACKAGES = ("buildah", "mmdebstrap", "runc")
"""Debian's packages that build an image and run it."""

BASE_PACKAGES = ("python3", "python3-venv", "ca-certificates")
BUILD_LIMIT = 900.0  # seconds, on a slow line
CERTIFICATES = "/etc/ssl/certs"
"""Mounted while building: this machine may reach the package index only through a proxy that it trusts."""


def prepare() -> None:
    """Install what builds and runs images. Raises MissingError where that is impossible."""
    missing = [name for name in PACKAGES if not debian.installed_version(name)]
    if not missing:
        return
    if os.getuid() != 0 or not shutil.which("apt-get") or debian.mirror() is None:
        raise MissingError(f"Images are built as root on Debian, with {', '.join(missing)}")
    debian.install(*missing)


def base() -> Path:
    """Return the archive with the root of the base image, made if need be (half a minute)."""
    prepare()
    made = debian.CACHE / f"image-base-{debian.release()}.tar"
    with locked(made.with_suffix(".lock")):
        if not made.exists():
            unfinished = made.with_suffix(".unfinished.tar")
            include = f"--include={','.join(BASE_PACKAGES)}"
            run(["mmdebstrap", "--variant=minbase", include, debian.release(), str(unfinished)], timeout=BUILD_LIMIT)
            unfinished.rename(made)
    return made


@dataclass(frozen=True, slots=True)
class Image:
    """A built image, unpacked."""

    root: Path  # its root file system; to be read only
    facts: dict[str, Any]  # its configuration, as Docker writes it
    size: int  # bytes on top of the base


@contextmanager
def built(context: Path) -> Iterator[Image]:
    """Build the Dockerfile of this folder; the image lasts as long as the block. Raises CommandError."""
    archive, store = base(), folder("image")
    driver = "overlay" if _overlays(store) else "vfs"  # which copies everything for each layer
    buildah = ["buildah", "--root", f"{store}/root", "--runroot", f"{store}/run", "--storage-driver", driver]

    def call(*arguments: str) -> str:
        return run([*buildah, *arguments], timeout=BUILD_LIMIT).strip()

    try:
        empty = call("from", "scratch")
        call("add", "--quiet", empty, str(archive), "/")
        call("commit", "--quiet", "--rm", empty, "localhost/base")
        call(
            *("bud", "--pull-never", "--format", "docker", "--isolation", "chroot", "--network", "host"),
            *("--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro", "--build-arg", "BASE=localhost/base"),
            *("--tag", "localhost/event-bridge", str(context)),
        )
        container = call("from", "--pull-never", "localhost/event-bridge")
        facts = json.loads(call("inspect", "--type", "image", "localhost/event-bridge"))["Docker"]
        sizes = {image["names"][0]: image["size"] for image in json.loads(call("images", "--json")) if image["names"]}
        root = Path(call("mount", container))
        yield Image(root, facts, _bytes(sizes, "event-bridge") - _bytes(sizes, "base"))
    finally:
        run([*buildah, "rm", "--all"])
        shutil.rmtree(store)


def _overlays(store: Path) -> bool:
    """Whether this machine's kernel can lay one folder over another where the store is."""
    names = ("lower", "upper", "work", "merged")
    lower, upper, work, merged = (store / "probe" / name for name in names)
    for made in (lower, upper, work, merged):
        made.mkdir(parents=True)
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    try:
        run(["mount", "-t", "overlay", "overlay", "-o", options, str(merged)])
    except CommandError:
        return False
    run(["umount", str(merged)])
    return True


def _bytes(sizes: dict[str, str], name: str) -> int:
    """Read the size that buildah prints for people: "292 MB"."""
    number, unit = sizes[f"localhost/{name}:latest"].split()
    return int(float(number) * {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}[unit])
