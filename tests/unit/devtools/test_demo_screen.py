"""What the demo writes: columns, colour where it is wanted, nothing beyond the edge of a terminal."""

from __future__ import annotations

import io
import re
import time

import pytest

from devtools.demo.screen import Screen

CODES = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    """A stream that is one."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    return Terminal()


def lines(stream: io.StringIO) -> list[str]:
    return stream.getvalue().splitlines()


def show(stream: io.StringIO) -> None:
    screen = Screen(stream)
    screen.columns()
    screen.line("published", "trigger-v1", "order.created", "Trigger.dev v1")
    screen.line("dead letter", "zopio", "order.paid", "poison: " + "x" * 200)


def test_all_lines_have_the_same_columns() -> None:
    stream = io.StringIO()
    show(stream)
    head, first, second = lines(stream)
    assert head.index("event") == first.index("order.created") == second.index("order.paid")
    assert head.index("route") == first.index("trigger-v1") == second.index("zopio")
    assert head.index("what") == first.index("published") == second.index("dead letter")


def test_colour_moves_no_column(terminal: Terminal) -> None:
    plain = io.StringIO()
    show(terminal)
    show(plain)
    coloured = CODES.sub("", terminal.getvalue()).splitlines()
    assert [line[8:40] for line in coloured] == [line[8:40] for line in lines(plain)]
    assert all(CODES.search(line) for line in lines(terminal))


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colour_where_it_is_not_wanted(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    show(terminal)
    assert not CODES.search(terminal.getvalue())


def test_no_line_is_wider_than_the_terminal_but_all_of_it_goes_into_a_file(terminal: Terminal) -> None:
    file = io.StringIO()
    show(terminal)
    show(file)
    last = CODES.sub("", lines(terminal)[-1])
    assert len(last) == 80
    assert last.endswith("x…")
    assert lines(file)[-1].endswith("x" * 200)


def test_a_table_lines_up_its_numbers_and_texts() -> None:
    stream = io.StringIO()
    Screen(stream).table([("published", 29, "events"), ("", 2, "more"), ("dead letters", 3, ""), ("law", None, "good")])
    assert lines(stream) == [
        "",
        "  published      29  events",
        "                  2  more",
        "  dead letters    3",
        "  law                good",
        "",
    ]


def test_a_step_says_what_and_how_long_and_ends_its_line_when_it_fails() -> None:
    stream = io.StringIO()
    screen = Screen(stream)
    with screen.step("RabbitMQ"):
        assert stream.getvalue().endswith("RabbitMQ".ljust(43))
    with pytest.raises(ValueError, match="no"), screen.step("bridge"):
        raise ValueError("no")
    first, second = lines(stream)
    assert re.fullmatch(r"  RabbitMQ +\d+\.\d s", first)
    assert second.strip() == "bridge"


def test_a_time_is_shown_in_the_seconds_of_the_screen() -> None:
    screen = Screen(io.StringIO())
    assert float(screen.at((time.time() + 60) * 1000)) == pytest.approx(60, abs=5)
