"""Looks through every text file of the tree for what belongs to one machine or one moment."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.architecture.source import Offence, Sample, tracked_texts

SLASH, DOT = "/", r"\."
"""Kept apart from what follows, so that this file does not hold what it looks for."""

PLACES = {
    "a path of one machine": re.compile(
        rf"(?<![\w.}}$~-]){SLASH}(work|farm|home{SLASH}\w+|root|Users{SLASH}\w+|tmp{SLASH}lab)({SLASH}|\b(?![\w.-]))"
    ),
    "the address of a package registry": re.compile(
        rf"pypi{DOT}org|pythonhosted{DOT}org|npmjs{DOT}(org|com)|deb{DOT}debian{DOT}org|archive{DOT}ubuntu|"
        rf"(?:extra-)?index-url[ =]|proxy{DOT}golang{DOT}org|crates{DOT}io"
    ),
    "a merge left half done": re.compile(r"^(<{7} |>{7} |={7}$)"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a space at the end of a line": re.compile(r"[ \t]$"),
}

SPARED = {"a private key": "tests/fakes/"}
"""What belongs there all the same: certificates that only tests trust."""


def _offences(text: Sample) -> Iterator[Offence]:
    for number, line in enumerate(text.text.splitlines(), 1):
        for name, pattern in PLACES.items():
            if (found := pattern.search(line)) and not text.path.startswith(SPARED.get(name, "//")):
                yield Offence(text.path, number, f"{name}: {found[0]!r}")


def test_no_text_is_tied_to_a_machine() -> None:
    offences = [str(offence) for text in tracked_texts() for offence in _offences(text)]
    assert offences == [], "\n" + "\n".join(offences)


def test_every_text_ends_with_one_newline() -> None:
    ragged = [text.path for text in tracked_texts() if text.text and not re.search(r"[^\n]\n\Z", text.text)]
    assert ragged == []


def test_the_texts_are_really_read() -> None:
    assert {"README.md", "pyproject.toml", "bridge/model.py"} <= {text.path for text in tracked_texts()}


@pytest.mark.parametrize(
    "line",
    [
        SLASH + "work/main/bridge",
        "see " + SLASH + "home/alice/notes",
        "cd " + SLASH + "root",
        "(" + SLASH + "Users/alice/x)",
        "https:" + SLASH * 2 + "files.python" + "hosted.org/packages",
        "--index-" + "url https://example.com",
        "from py" + "pi.org",
        "<" * 7 + " HEAD",
        "=" * 7,
        "-" * 5 + "BEGIN RSA PRIVATE " + "KEY" + "-" * 5,
        "x = 1 ",
    ],
)
def test_a_planted_line_is_found_out(line: str) -> None:
    assert len(list(_offences(Sample("docs/a.md", line)))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "POST /trigger",
        "the network/ folder and its homework/x",
        "$HOME/.cache and ~" + SLASH + "work/x, https://example.com" + SLASH + "work/x",
        "path: /var/lib/event-bridge/keys.db",
        "x = 1",
        "=" * 8,
    ],
)
def test_an_innocent_line_is_left_alone(line: str) -> None:
    assert list(_offences(Sample("docs/a.md", line))) == []
