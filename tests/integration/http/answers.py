"""A table of answers, byte by byte, and of what a client may make of each."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.model import Response
from bridge.targets.failures import Failure
from tests.fakes.hostile import Behaviour, raw
from tests.fakes.hostile_talk import crumbs
from tests.integration.http.rig import BROKE, NO_HTTP, OFF, reason

HEAD = b"HTTP/1.1 200 OK\r\n"
OK = HEAD + b"content-length: 2\r\n\r\nok"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


@dataclass(slots=True, frozen=True)
class Taken:
    """The answer counts, with this status and body."""

    status: int = 200
    body: bytes | None = b"ok"  # None: any

    def __contains__(self, answer: object) -> bool:
        return isinstance(answer, Response) and answer.status == self.status and self.body in {answer.body, None}


@dataclass(slots=True, frozen=True)
class Refused:
    """The request failed, for one of these reasons."""

    reasons: tuple[str, ...]

    def __contains__(self, answer: object) -> bool:
        return isinstance(answer, Failure) and reason(answer) in self.reasons


Meaning = Taken | Refused

BROKEN = Refused((NO_HTTP, OFF))  # whether it is no HTTP or a part of it, is a matter of taste
NONSENSE = Refused((NO_HTTP,))
UPGRADED = Taken(101, None)  # no API takes that for an acceptance


@dataclass(slots=True, frozen=True)
class Case:
    """One answer. `kept` says whether the connection is used again: True, False, or None for either."""

    name: str
    behaviour: Behaviour
    meanings: tuple[Meaning, ...]  # those that are right
    kept: bool | None = None
    aiohttp: Meaning | None = None  # what aiohttp makes of it instead, and no other client may

    def allows(self, answer: Response | Failure, kind: str) -> bool:
        meanings = (self.aiohttp,) if self.aiohttp and kind == "aiohttp" else self.meanings
        return any(answer in meaning for meaning in meanings)


def case(
    name: str,
    data: bytes,
    *meanings: Meaning,
    kept: bool | None = None,
    close: bool = False,
    aiohttp: Meaning | None = None,
) -> Case:
    return Case(name, raw(data, close=close), meanings, kept, aiohttp)


def status(line: bytes) -> bytes:
    return line + b"\r\ncontent-length: 2\r\n\r\nok"


def length(value: bytes, body: bytes = b"ok") -> bytes:
    return HEAD + b"content-length: " + value + b"\r\n\r\n" + body


def coded(value: bytes) -> bytes:
    return HEAD + b"transfer-encoding: " + value + b"\r\n\r\n2\r\nok\r\n0\r\n\r\n"


def field_line(line: bytes) -> bytes:
    return HEAD + b"content-length: 2\r\n" + line + b"\r\n\r\nok"


GOOD = (
    case("a length", OK, Taken(), kept=True),
    Case("in crumbs", crumbs(OK), (Taken(),), kept=True),
    Case("chunks in crumbs", crumbs(CHUNKED + b"2;a=b\r\nok\r\n0\r\nx: y\r\n\r\n"), (Taken(),), kept=True),
    case("no body", HEAD + b"content-length: 0\r\n\r\n", Taken(body=b""), kept=True),
    case("no words", status(b"HTTP/1.1 200 "), Taken(), kept=True),
    case("no words and no space", status(b"HTTP/1.1 200"), Taken(), NONSENSE),
    case("words beyond ASCII", status(b"HTTP/1.1 200 d\xe9j\xe0 vu"), Taken()),
    case("an empty value", field_line(b"x:"), Taken(), kept=True),
    case("a value beyond ASCII", field_line(b"x: d\xe9j\xe0 vu \xff"), Taken(), kept=True),
    case("a long but lawful value", field_line(b"x: " + b"y" * 4000), Taken(), kept=True),
    case("a hundred lawful fields", field_line(b"\r\n".join(b"x%d: y" % n for n in range(100))), Taken(), kept=True),
    case("chunks", CHUNKED + b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n", Taken(), kept=True),
    case("a chunk of ten, in hex", CHUNKED + b"A\r\n0123456789\r\n0\r\n\r\n", Taken(body=b"0123456789"), kept=True),
    case("a chunk with zeros before", CHUNKED + b"0002\r\nok\r\n000\r\n\r\n", Taken()),
    case("chunks with extensions", CHUNKED + b'2;a="b;c";d\r\nok\r\n0;e\r\n\r\n', Taken(), kept=True),
    case("chunks with a trailer", CHUNKED + b"2\r\nok\r\n0\r\nx: y\r\nz: z\r\n\r\n", Taken(), kept=True),
    case("close", HEAD + b"connection: close\r\ncontent-length: 2\r\n\r\nok", Taken(), kept=False),
    case("close among others", HEAD + b"connection: x, Close\r\ncontent-length: 2\r\n\r\nok", Taken(), kept=False),
    case("until the end", HEAD + b"\r\nok", Taken(), kept=False, close=True),
    case("HTTP/1.0", status(b"HTTP/1.0 200 OK"), Taken(), kept=False),
    case("HTTP/1.0 that stays", status(b"HTTP/1.0 200 OK\r\nconnection: keep-alive"), Taken()),
    case("HTTP/1.0 until the end", b"HTTP/1.0 200 OK\r\n\r\nok", Taken(), kept=False, close=True),
    case("204", b"HTTP/1.1 204 X\r\n\r\n", Taken(204, b""), kept=True),
    case("304 with the length of what it leaves out", b"HTTP/1.1 304 X\r\ncontent-length: 5\r\n\r\n", Taken(304, b"")),
    case("100 first", b"HTTP/1.1 100 Continue\r\n\r\n" + OK, Taken(), kept=True),
    case("103 thrice first", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" * 3 + OK, Taken(), kept=True),
    case("102 and 103 first", b"HTTP/1.1 102 X\r\n\r\nHTTP/1.1 103 X\r\nlink: x\r\n\r\n" + OK, Taken(), kept=True),
    case("a hint with a length first", b"HTTP/1.1 103 X\r\ncontent-length: 0\r\n\r\n" + OK, Taken(), NONSENSE),
    case("thousands of hints first", b"HTTP/1.1 103 X\r\nlink: x\r\n\r\n" * 5000 + OK, Taken(), NONSENSE),
    case("a redirect", b"HTTP/1.1 302 X\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n", Taken(302, b""), kept=True),
)
"""What a lawful server may say."""

MORE_THAN_ASKED = (
    case("more than the length", OK + b"more", Taken(), kept=False, aiohttp=NONSENSE),
    case("two answers", OK + length(b"5", b"again"), Taken(), kept=False),
    case("a thousand answers", OK + length(b"5", b"again") * 1000, Taken(), kept=False),
    case("an answer after the chunks", CHUNKED + b"2\r\nok\r\n0\r\n\r\n" + length(b"5", b"again"), Taken(), kept=False),
    case("a hint after the answer", OK + b"HTTP/1.1 103 X\r\nlink: x\r\n\r\n", Taken(), kept=False),
    case("one byte after the answer", OK + b"\0", Taken(), kept=False, aiohttp=NONSENSE),
    *(
        case(
            f"{code} with {name}", b"HTTP/1.1 %d X\r\n%s" % (code, rest), Taken(code, b""), kept=False, aiohttp=NONSENSE
        )
        for code in (204, 304)
        for name, rest in (
            ("a body", b"content-length: 5\r\n\r\nhello"),
            ("chunks", b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        )
    ),
)
"""
Lawful answers with more behind them, which must not become the answer to the next request.

What the server has taken in counts as taken in; aiohttp gives such an answer up where the rest comes in one segment.
"""

STATUS_LINES = tuple(
    case(f"status line {line[:24]!r}", status(line), NONSENSE, kept=False)
    for line in (
        b"HTTP/1.1 abc OK",
        b"HTTP/1.1 20 OK",
        b"HTTP/1.1 2000 OK",
        b"HTTP/1.1 -200 OK",
        b"HTTP/1.1  200 OK",
        b"HTTP/1.1\t200 OK",
        b"HTTP/9.9 200 OK",
        b"HTTP/1.1.1 200 OK",
        b"HTTP/ 200 OK",
        b"http/1.1 200 OK",
        b"ICY 200 OK",
        b"200 OK",
        b" HTTP/1.1 200 OK",
        b"XHTTP/1.1 200 OK",
        b"HTTP/1.1 200 " + b"y" * 1_000_000,
        b"SSH-2.0-OpenSSH_9.2",
        b"220 mail.test ESMTP",
        b"\0" * 100,
        b"<html><body>200 OK</body></html>",
        b"POST / HTTP/1.1\r\nhost: x",
    )
)

NOT_HTTP_AT_ALL = (
    case("HTTP/2", b"\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x80\0\4\0\1\0\0\0\5\0\xff\xff\xff", NONSENSE, kept=False),
    case("a TLS alert", b"\x15\3\1\0\2\2F", NONSENSE, kept=False),
    case("status 000", status(b"HTTP/1.1 000 X"), NONSENSE, aiohttp=Taken(0)),
    case("status 003", status(b"HTTP/1.1 003 X"), NONSENSE, aiohttp=Taken(3)),
    case("HTTP/0.9", b"<html>ok</html>", NONSENSE, kept=False, close=True),
    case(
        "101", b"HTTP/1.1 101 X\r\nupgrade: ws\r\nconnection: upgrade\r\n\r\n", NONSENSE, kept=False, aiohttp=UPGRADED
    ),
    case("101 unasked, with data", b"HTTP/1.1 101 X\r\nupgrade: ws\r\n\r\n" + OK, NONSENSE, aiohttp=UPGRADED),
)

FIELDS = (
    *(
        case(f"field {line[:24]!r}", field_line(line), NONSENSE, kept=False)
        for line in (
            b"no colon",
            b": no name",
            b"na me: x",
            b"na\0me: x",
            b"n\xe9: x",
            b"x: a\0b",
            b"x: a\rb",
            b"x" * 1_000_000 + b": y",
            b"x: " + b"y" * 1_000_000,
            b"\r\n".join(b"x%d: y" % n for n in range(10_000)),
        )
    ),
    case("a space before the first name", HEAD + b" x: y\r\ncontent-length: 2\r\n\r\nok", Taken(), NONSENSE),
    case("a control character in a value", field_line(b"x: a\x01b"), Taken(), NONSENSE),
    case("NUL in the words", status(b"HTTP/1.1 200 OK\0"), Taken(), NONSENSE),
    case("a folded value", field_line(b"x: a\r\n b"), Taken(), NONSENSE),
    case("a space before the colon", field_line(b"x : y"), Taken(), NONSENSE),
    case("a trailer without end", CHUNKED + b"2\r\nok\r\n0\r\n" + b"x: y\r\n" * 50_000, BROKEN, close=True),
    case("a chunk extension without end", CHUNKED + b"2;" + b"x" * 1_000_000, BROKEN, close=True),
)

LENGTHS = (
    *(
        case(f"length {value!r}", length(value), NONSENSE, kept=False)
        for value in (b"+2", b"-2", b"0x2", b"2, 3", b"2 2", b"2.0", b"2e0", b"two", b"", b"9" * 30, b"\xd9\xa2", b"2;")
    ),
    case("one length after another", length(b"1\r\ncontent-length: 2"), NONSENSE, kept=False),
    case("the same length twice", length(b"2\r\ncontent-length: 2"), Taken(), NONSENSE),
    case("the same length twice in one line", length(b"2, 2"), Taken(), NONSENSE),
    case(
        "a length and chunks",
        HEAD + b"content-length: 2\r\n" + CHUNKED[17:] + b"2\r\nok\r\n0\r\n\r\n",
        NONSENSE,
        kept=False,
    ),
    case("chunks and a length", CHUNKED[:-2] + b"content-length: 12\r\n\r\n2\r\nok\r\n0\r\n\r\n", NONSENSE, kept=False),
    case("a folded length", length(b"\r\n 2"), Taken(), NONSENSE),
)

CODINGS = (
    *(
        case(f"coding {value!r}", coded(value), Taken(body=None), BROKEN, close=True)  # without chunks: until the end
        for value in (
            b"xchunked",
            b"chunkedx",
            b"chunked, gzip",
            b"chunked, chunked",
            b"chunked ,",
            b"\x0bchunked",
            b"",
        )
    ),
    case("packed, then chunks", coded(b"gzip, chunked"), Taken(), NONSENSE),
    case("chunks of HTTP/1.0", b"HTTP/1.0" + coded(b"chunked")[8:], Taken(), NONSENSE),
)

CHUNKS = tuple(
    case(f"chunks {data[:24]!r}", CHUNKED + data, BROKEN, kept=False)
    for data in (
        b"zz\r\nok\r\n0\r\n\r\n",
        b"-2\r\nok\r\n0\r\n\r\n",
        b"+2\r\nok\r\n0\r\n\r\n",
        b"0x2\r\nok\r\n0\r\n\r\n",
        b"2 2\r\nok\r\n0\r\n\r\n",
        b"\r\nok\r\n0\r\n\r\n",
        b";x\r\nok\r\n0\r\n\r\n",
        b"2\r\nokay\r\n0\r\n\r\n",
        b"2\r\nok0\r\n\r\n",
        b"2\nok\n0\n\n",
        b"2\r\nok\r\n" + b"F" * 17 + b"\r\n",
        b"1" + b"0" * 16 + b"\r\nok\r\n",
        b"2\r\nok\r\n0\r\nno colon\r\n\r\n",
    )
)

CUT_SHORT = (
    *(case(f"cut {data!r}", HEAD + data, BROKEN, kept=False, close=True) for data in (
        b"content-length: 3\r\n\r\n",
        b"content-length: 3\r\n\r\nok",
        b"transfer-encoding: chunked\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\n2",
        b"transfer-encoding: chunked\r\n\r\n2\r\n",
        b"transfer-encoding: chunked\r\n\r\n2\r\no",
        b"transfer-encoding: chunked\r\n\r\n2\r\nok",
        b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
        b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0",
        b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
        b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx: y\r\n",
    )),
    *(case(f"cut {data!r}", data, Refused((BROKE, NO_HTTP)), kept=False, close=True) for data in (
        b"",
        b"H",
        b"HTTP/1.1",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 20",
    )),
)  # fmt: skip

ANSWERS = (
    *GOOD, *MORE_THAN_ASKED, *STATUS_LINES, *NOT_HTTP_AT_ALL, *FIELDS, *LENGTHS, *CODINGS, *CHUNKS, *CUT_SHORT
)  # fmt: skip
