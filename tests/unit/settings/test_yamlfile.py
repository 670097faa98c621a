"""The YAML reader: YAML 1.2 scalars, lines, and every ambiguity an error with its line."""

from pathlib import Path

import pytest

from bridge.settings.problems import Problem
from bridge.settings.yamlfile import parse, read


def refusal(text: str) -> str:
    with pytest.raises(Problem) as caught:
        parse(text, "bridge.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", "off"),
        ("yes", "yes"),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        ("010", 10),
        ("0x1F", 31),
        ("0o17", 15),
        ("true", True),
        ("FALSE", False),
        ("~", None),
        ("", None),
        ("1e3", 1000.0),
        ("-.inf", float("-inf")),
        (".5", 0.5),
        ("'12'", "12"),
        ("3MiB", "3MiB"),
        ("[a, 1]", ["a", 1]),
        ("{a: {b: no}}", {"a": {"b": "no"}}),
        ("caf\u00e9", "caf\u00e9"),
    ],
)
def test_scalars_follow_yaml_1_2(text: str, value: object) -> None:
    assert parse(f"key: {text}", "f").tree == {"key": value}


def test_every_key_and_item_has_its_line() -> None:
    lines = parse("a:\n  b: 1\n\n  c:\n    - x\n    - y\n", "f").lines
    assert lines == {("a",): 1, ("a", "b"): 2, ("a", "c"): 4, ("a", "c", 0): 5, ("a", "c", 1): 6}


def test_anchors_are_merged_and_own_keys_win() -> None:
    text = "x-base: &base {a: 1, b: 2}\nx-more: &more {b: 3, c: 4}\nroute:\n  <<: [*base, *more]\n  a: own\n"
    document = parse(text, "f")
    assert document.tree == {"route": {"a": "own", "b": 2, "c": 4}}
    assert document.lines["route", "a"] == 5
    assert document.lines["route", "c"] == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "bridge.yaml:3: a: stands twice, first in line 1. Remove one of the two."),
        ("r:\n  s: 1\n  s: 2\n", "bridge.yaml:3: r.s: stands twice, first in line 2. Remove one of the two."),
        ("- 1\n- 2\n", "bridge.yaml:1: bridge.yaml: is not a mapping. Write it as `name: value` lines."),
        ("a: 1\n1: 2\n", "bridge.yaml:2: bridge.yaml: has a name that is not text. Put the name in quotes."),
        ("a: !!binary aGk=\n", "bridge.yaml:1: a: has a YAML tag, which settings do not use. Remove the tag."),
        (
            "a: !!python/object:os.x {}\n",
            "bridge.yaml:1: a: has a YAML tag, which settings do not use. Remove the tag.",
        ),
        (
            "a: &a\n  b: *a\n",
            "bridge.yaml:1: a.b: is an alias of what contains it, or of too much. Write it out.",
        ),
        ("a: &n 1\nb:\n  <<: *n\n", "bridge.yaml:1: b: merges something that is not a mapping. Name a mapping."),
        ("a: [1\nb: 2\n", "bridge.yaml:2: bridge.yaml: is not YAML: expected ',' or ']', but got ':'. Correct it."),
        ("a: 1\n---\nb: 2\n", "bridge.yaml:2: bridge.yaml: is not YAML: but found another document. Correct it."),
        ("a: \x00\n", "bridge.yaml: bridge.yaml: has a character that YAML does not allow. Correct it."),
        ("a: " + "[" * 5000, "bridge.yaml: bridge.yaml: is nested too deeply. Correct it."),
        (f"a: {'9' * 5000}\n", "bridge.yaml:1: a: is not a number that can be read. Correct it."),
    ],
)
def test_what_is_ambiguous_is_refused_with_its_line(text: str, said: str) -> None:
    assert refusal(text) == said


def test_aliases_cannot_multiply_without_end() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    assert "or of too much" in refusal(bomb)


def test_no_refusal_repeats_a_value() -> None:
    for text in (
        "key: [canary",
        "key: 'canary",
        "key: canary: canary",
        "key: !canary2 canary",
        "key: canary\nkey: canary",
    ):
        assert "canary" not in refusal(text).replace("canary2", "")


def test_an_empty_file_is_an_empty_mapping() -> None:
    assert parse("# nothing\n", "f").tree == {}


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"no\.yaml: cannot be read \(No such file or directory\)\. Name a file"):
        read(tmp_path / "no.yaml")
    with pytest.raises(Problem, match="Is a directory"):
        read(tmp_path)


def test_a_file_that_is_not_utf_8_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_bytes(b"a: 1\nb: \xff\n")
    with pytest.raises(Problem, match=r"b\.yaml:2: b\.yaml: is not UTF-8"):
        read(tmp_path / "b.yaml")


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read(tmp_path / "b.yaml").tree == {"a": 1}


def test_a_huge_file_is_not_a_settings_file(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_bytes(b"#" * (5 << 20))
    with pytest.raises(Problem, match="larger than 4 MiB"):
        read(tmp_path / "b.yaml")
