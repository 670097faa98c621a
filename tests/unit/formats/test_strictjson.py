from __future__ import annotations

import gc
import json
import math
import struct
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.errors import PoisonError
from bridge.formats.strictjson import DEEPEST, MAX_DEPTH, dumps, load_elements, loads, split
from bridge.model import JsonValue


def refusal(body: bytes, max_depth: int = 100) -> str:
    with pytest.raises(PoisonError) as caught:
        loads(body, max_depth=max_depth)
    return str(caught.value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "body is empty"),
        (b" \n\t ", "body is empty"),
        (b"\xef\xbb\xbf{}", "body begins with a byte order mark: send plain UTF-8"),
        (b'{"a":"\xff"}', "body is not valid UTF-8 at byte 6"),
        (b'"\xed\xa0\x80"', "body is not valid UTF-8 at byte 1"),
        (b"\xff\xfe{\x00}\x00", "body is not valid UTF-8 at byte 0"),
        (b"NaN", "body has NaN or Infinity at line 1, column 1, which JSON does not know"),
        (b'{"a": Infinity}', "body has NaN or Infinity at line 1, column 7, which JSON does not know"),
        (b"[-Infinity]", "body has NaN or Infinity at line 1, column 3, which JSON does not know"),
        (b"1e999", "body is not valid JSON at line 1, column 1: number is infinity when parsed as double"),
        (b"9" * 400, "body is not valid JSON at line 1, column 1: number is infinity when parsed as double"),
        (b"{} {}", "body is not valid JSON at line 1, column 4: unexpected content after document"),
        (b'{"a":1,}', "body is not valid JSON at line 1, column 7"),
        (b'{"a":\n1', "body is not valid JSON at line 2, column 2: unexpected end of data"),
        (b"{'a':1}", "body is not valid JSON at line 1, column 2"),
        (b'"\\ud800"', "body is not valid JSON at line 1, column 2"),
        (b'"\x01"', "body is not valid JSON at line 1, column 2"),
        (b"01", "body is not valid JSON at line 1, column 1"),
        (b"[" * 2000 + b"]" * 2000, "body is not valid JSON at line 1, column 1026: depth limit exceeded"),
        (b'{"id":1,"id":1}', "id is given twice"),
        (b'{"event":{"payload":{"a":1,"a":2}}}', "event.payload.a is given twice"),
        (b'{"a":[0,{"b":[{"c":1,"c":2}]}]}', "a[1].b[0].c is given twice"),
        (b'{"x":{"a":1,"\\u0061":2}}', "x.a is given twice"),
        (b'{"u":"\\u003a","x":{"a":1,"a":2}}', "x.a is given twice"),  # an escaped colon makes up for a lost one
        (b'{"a b":{"\\n":1,"\\n":2}}', r"['a b']['\n'] is given twice"),
    ],
)
def test_a_bad_body_is_refused_with_its_place(body: bytes, reason: str) -> None:
    assert refusal(body).startswith(reason)


def test_the_path_of_a_repeated_key_stays_short() -> None:
    body = b'{"%s":' % (b"k" * 300) * 95 + b'{"a":1,"a":2}' + b"}" * 95
    assert len(refusal(body)) < 250


@pytest.mark.parametrize("size", [1, 10_000], ids=["short", "long"])
@pytest.mark.parametrize("max_depth", [1, 2, 100, 253, 254, 255, DEEPEST])
def test_depth_is_allowed_up_to_the_limit_and_refused_beyond(max_depth: int, size: int) -> None:
    middle = b'"%s"' % (b"x" * size)
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        deepest = opening * max_depth + middle + closing * max_depth
        assert loads(deepest, max_depth=max_depth) is not None
        one_more = opening * (max_depth + 1) + middle + closing * (max_depth + 1)
        assert refusal(one_more, max_depth) == f"body is nested deeper than {max_depth} levels"


def test_brackets_in_strings_are_no_depth() -> None:
    assert loads(b'["' + b"[{" * 500 + b'"]', max_depth=1) == ["[{" * 500]


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**64 - 1, 2**64, 10**30, -(2**63), -(2**63) - 1, -(10**300)])
@pytest.mark.parametrize("spacing", ["%d", "[ %d ]", '{ "a" : %d }', '["%d", 1]'])
def test_integers_keep_every_digit(number: int, spacing: str) -> None:
    body = (spacing % number).encode()
    assert json.dumps(loads(body)) == json.dumps(json.loads(body))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


def same(left: JsonValue, right: JsonValue) -> bool:
    """Equal in value and type, down to the sign of zero."""
    if isinstance(left, float) and isinstance(right, float):
        return struct.pack("d", left) == struct.pack("d", right)
    if isinstance(left, dict) and isinstance(right, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


@given(json_values, st.sampled_from([None, 1]), st.booleans(), st.sampled_from([(",", ":"), (", ", " : ")]))
@example({"a": ":", "b": 10**25}, None, True, (",", ":"))
def test_whatever_is_valid_reads_like_the_standard_library_and_is_written_without_loss(
    value: JsonValue, indent: int | None, ascii_only: bool, separators: tuple[str, str]
) -> None:
    body = json.dumps(value, indent=indent, ensure_ascii=ascii_only, separators=separators).encode()
    read = loads(body)
    assert same(read, value)
    assert same(read, json.loads(body))
    assert same(loads(dumps(read)), value)


fragments = st.sampled_from(
    [
        '{"a":1}',
        '{"a":1,"a":1}',
        '"\\u003a"',
        '":"',
        "18446744073709551616",
        '"9999999999999999999"',
        "[]",
        "{}",
        "-0.0",
    ]
)


def pairs_once(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    if len(dict(pairs)) != len(pairs):
        raise KeyError
    return dict(pairs)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", ":", "\\u003a", "\\u0061"]), fragments), max_size=6))
def test_repeated_keys_are_refused_exactly_where_the_standard_library_sees_them(pairs: list[tuple[str, str]]) -> None:
    body = ("{" + ",".join(f'"{key}":{value}' for key, value in pairs) + "}").encode()
    try:
        expected = json.loads(body, object_pairs_hook=pairs_once)
    except KeyError:
        assert refusal(body).endswith("is given twice")
    else:
        assert same(loads(body), expected)


@given(st.binary(max_size=60) | st.text(st.sampled_from('{}[]":,0129eE.-+\\u tfn'), max_size=30).map(str.encode))
@example(b'{"":[{"":0,"":0}]}')
def test_any_bytes_are_read_or_refused_like_a_strict_standard_library(body: bytes) -> None:
    try:
        value = loads(body)
    except PoisonError:
        return
    assert same(value, json.loads(body.decode(), object_pairs_hook=pairs_once))


def test_only_the_bad_element_of_an_array_is_refused_for_its_keys() -> None:
    good, bad = '{"a":1}', '{"b":{"c":1,"c":2}}'
    first, second, third = elements_of(f"[{good}, {bad}, {good}]".encode())
    assert first == third == {"a": 1}
    assert str(second) == "[1].b.c is given twice"


def elements_of(body: bytes) -> list[JsonValue | PoisonError]:
    elements, _ = load_elements(body, MAX_DEPTH)
    assert isinstance(elements, list)
    return [*elements]


def test_an_object_with_repeated_keys_is_refused_as_a_whole() -> None:
    with pytest.raises(PoisonError, match=r"^b\.c is given twice$"):
        load_elements(b'{"b":{"c":1,"c":2}}', MAX_DEPTH)


@given(st.lists(json_values, max_size=5), st.sampled_from([(",", ":"), (" ,\n", " : ")]), st.sampled_from(["", " \n"]))
def test_an_array_is_cut_into_the_exact_bytes_of_its_elements(
    values: list[JsonValue], seps: tuple[str, str], space: str
) -> None:
    written = [json.dumps(value, separators=seps, ensure_ascii=False) for value in values]
    body = f"{space}[{space}{f'{space},{space}'.join(written)}{space}]{space}"
    assert split(body.encode()) == [element.encode() for element in written]


def test_deep_values_and_long_integers_are_written() -> None:
    deep: JsonValue = 2**70
    for _ in range(DEEPEST):
        deep = [deep]
    assert dumps(deep) == b"[" * DEEPEST + str(2**70).encode() + b"]" * DEEPEST
    with pytest.raises(ValueError, match="surrogates"):
        dumps("\ud800")


SIZE = 1 << 20
DEEP_KEYS = b'{"%s":' % (b"k" * 50) * 90 + b"1" + b"}" * 90
HOSTILE: dict[str, Callable[[int], bytes]] = {
    "repeated keys": lambda n: b'{"a":{' + b'"k":1,' * (n // 6) + b'"k":1}}',
    "different keys": lambda n: b"{" + b",".join(b'"%d":99999999999999999999' % i for i in range(n // 30)) + b"}",
    "escaped colons": lambda n: b'["' + b"\\u003a" * (n // 6) + b'"]',
    "nested to the limit": lambda n: b"[" + b",".join([b"[" * 98 + b"]" * 98] * (n // 197)) + b"]",
    "nothing but brackets": lambda n: b"[" * n,
    "many bad elements": lambda n: b"[" + b",".join([b'{"a":1,"a":2}'] * (n // 14)) + b"]",
    "deep keys": lambda n: b"[" + b",".join([DEEP_KEYS] * (n // len(DEEP_KEYS))) + b',{"a":1,"a":2}]',
    "unfinished": lambda n: b'{"a":"' + b"x" * n,
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_bodies_take_time_like_their_size(hostile: str) -> None:
    def seconds(size: int) -> float:
        body, start = HOSTILE[hostile](size), time.thread_time()
        try:
            elements: object = load_elements(body, MAX_DEPTH)[0]
        except PoisonError:
            elements = None
        took = time.thread_time() - start
        assert elements is None or isinstance(elements, list | dict)
        return took

    # Quadratic time would be 256 times the small body's. Others use the machine too, and disturb in one direction only:
    # hence the best of several, and no look at objects that other tests left behind.
    gc.collect()
    gc.disable()
    try:
        small = min(seconds(SIZE // 16) for _ in range(5))
        assert any(seconds(SIZE) < 16 * 6 * max(small, 0.003) for _ in range(5))
    finally:
        gc.enable()


def test_floats_read_as_the_nearest_double() -> None:
    assert loads(b"[0.1, 1e-400, 1.7976931348623157e308]") == [0.1, 0.0, 1.7976931348623157e308]
    assert math.copysign(1, float(str(loads(b"-0.0")))) == -1
