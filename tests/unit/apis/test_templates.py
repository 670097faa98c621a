from __future__ import annotations

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from bridge.apis.templates import MAX_HEADER, MAX_URL, HeaderTemplate, Unfilled, UrlTemplate, body_template
from tests.unit.apis.samples import event

HOSTILE = st.text() | st.sampled_from(
    [
        "..",
        "../..",
        "%2e%2e",
        "..%2f",
        "a/../b",
        "@evil.test",
        "//evil.test",
        "\r\nX: y",
        "?x",
        "#y",
        "\\..\\",
        "\x00",
        "\ud800",
    ]
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("https://h/{{nope}}", "{{nope}} is no field of an event; there are id, name, data"),
        ("https://h/{{id", "write a place like {{id}}"),
        ("https://h/{{ID}}", "write a place like {{id}}"),
        ("https://h/{{id|upper}}", "write a place like {{id}}"),
        ("https://h/{{}}", "write a place like {{id}}"),
        ("https://h/{{__class__}}", "is no field"),
        ("https://{{name}}/", "places only in its path"),
        ("https://{{name}}.test/", "places only in its path"),
        ("https://api.test:{{id}}/", "host or port cannot be read"),
        ("https://api.test{{id}}/", "places only in its path|needs a /"),
        ("{{id}}://api.test/", "must begin with"),
        ("https://{{id}}@api.test/", "user or password"),
        ("https://api.test/#{{id}}", "# part"),
        ("https://api.test/../{{id}}", '".."'),
    ],
)
def test_addresses_that_could_go_elsewhere_are_refused_when_read(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem.replace("{", r"\{").replace("}", r"\}")):
        UrlTemplate(text)


def test_places_in_path_and_query_are_filled_percent_encoded() -> None:
    template = UrlTemplate("https://api.test:8443/hooks/{{name}}/{{ data.user.id }}?id={{id}}&tag={{data.tags.1}}")
    filled = template.fill(event("a/b", "ü x", data={"user": {"id": 7}, "tags": ["x", "y&z"]}))
    assert filled == "https://api.test:8443/hooks/%C3%BC%20x/7?id=a%2Fb&tag=y%26z"


def test_an_address_without_places_stays_as_it_is() -> None:
    template = UrlTemplate("https://api.test/a%2Fb?x=1")
    assert not template.varies
    assert template.fill(event()) == "https://api.test/a%2Fb?x=1"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({}, r"\{\{data.x\}\} is missing in the event"),
        ({"x": None}, "is missing"),
        ({"x": ""}, "is empty"),
        ({"x": ".."}, "or"),
        ({"x": "a/../b"}, "path"),
        ({"x": "y" * MAX_URL}, "longer than 8000"),
    ],
)
def test_an_event_that_would_break_the_address_is_unfilled(data: dict[str, str], problem: str) -> None:
    with pytest.raises(Unfilled, match=problem):
        UrlTemplate("https://api.test/x/{{data.x}}").fill(event(data=data))


def test_two_values_cannot_climb_together() -> None:
    with pytest.raises(Unfilled):
        UrlTemplate("https://api.test/{{id}}{{name}}/x").fill(event(".", "."))


@given(HOSTILE, HOSTILE, HOSTILE)
@example("..", "..", "..")
@example("%2e%2e", "\u2025", "\uff0e\uff0e")
def test_no_value_leads_to_another_origin_or_directory(first: str, second: str, third: str) -> None:
    template = UrlTemplate("https://api.test:8443/a/{{id}}/b-{{data.x}}?q={{name}}")
    try:
        url = template.fill(event(first, third, data={"x": second}))
    except Unfilled:
        return
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc) == ("https", "api.test:8443")
    assert all("!" <= char <= "~" for char in url)
    assert parts.path.count("/") == 3
    assert not parts.fragment
    assert not {".", ".."} & set(unquote(parts.path).replace("\\", "/").split("/"))


@given(HOSTILE)
def test_a_header_value_never_breaks_its_line(value: str) -> None:
    try:
        filled = HeaderTemplate("v={{data.x}}; {{data.x?}}").fill(event(data={"x": value}))
    except Unfilled:
        return
    assert filled.isascii()
    assert filled.isprintable()
    assert len(filled) <= MAX_HEADER


def test_a_header_that_would_be_too_long_is_unfilled() -> None:
    with pytest.raises(Unfilled, match="longer than 4000"):
        HeaderTemplate("{{data.x}}").fill(event(data={"x": "€" * 1000}))


@pytest.mark.parametrize("text", ["a\r\nb", "tab\t", "ü", "nul\x00"])
def test_a_header_value_itself_is_printable_ascii(text: str) -> None:
    with pytest.raises(ValueError, match="visible ASCII"):
        HeaderTemplate(text)


def test_values_in_text_are_written_as_json_unless_they_are_text() -> None:
    data = {"n": 1.5, "b": True, "o": {"k": [1]}, "s": "plain"}
    template = HeaderTemplate("{{data.n}} {{data.b}} {{data.o}} {{data.s}}{{data.none?}}")
    assert template.fill(event(data=data)) == "1.5 true {%22k%22:[1]} plain"


def test_a_body_keeps_the_type_of_a_value_that_stands_alone() -> None:
    fill = body_template(
        {
            "to": "{{data.user}}",
            "n": "{{ts}}",
            "list": ["{{data.tags}}", 3],
            "text": "Hi {{data.user.name}} #{{ts}}",
            "none": None,
        }
    )
    data = {"user": {"name": 'A "quoted" {{id}}'}, "tags": [1, 2]}
    assert fill(event(data=data, ts=5)) == {
        "to": {"name": 'A "quoted" {{id}}'},
        "n": 5,
        "list": [[1, 2], 3],
        "text": 'Hi A "quoted" {{id}} #5',
        "none": None,
    }


def test_an_optional_place_is_null_alone_and_empty_in_text() -> None:
    fill = body_template({"alone": "{{data.x?}}", "text": "<{{data.x?}}>"})
    assert fill(event(data={})) == {"alone": None, "text": "<>"}


def test_a_missing_place_in_a_body_is_named() -> None:
    with pytest.raises(Unfilled, match=r"\{\{data.a.b\}\} is missing in the event"):
        body_template(["{{data.a.b}}"])(event(data={"a": [1]}))


@given(st.text())
def test_literal_text_is_never_changed(text: str) -> None:
    assume("{{" not in text and "}}" not in text)
    assert body_template(text)(event()) == text
