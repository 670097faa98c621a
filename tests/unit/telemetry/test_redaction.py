"""Secrets taken out of text, by value and by shape."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.telemetry.redaction import Redactor


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("connect amqp://user:pa55@host:5672/v failed", "connect amqp://***@host:5672/v failed"),
        ("amqp://user:pa/5@5@host/v", "amqp://***@host/v"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("{'authorization': 'Basic dXNlcjpwYXNz'}", "{'authorization': 'Basic ***'}"),
        ("sent with bearer eyJhbGciOi", "sent with bearer ***"),
        ("whsec_MfKQ9r8GKYqrTwjU is bad", "*** is bad"),
        ("tr_prod_4f5e6d7c", "***"),
        ("POST https://inn.gs/e/my-event-key: 401", "POST https://inn.gs/e/***: 401"),
        ("basic authentication is off", "basic authentication is off"),
        ("user@example.com reads /e/mail", "user@example.com reads /e/mail"),
    ],
)
def test_secrets_are_known_by_their_shape(text: str, shown: str) -> None:
    assert Redactor()(text) == shown


def test_a_known_value_is_masked_wherever_it_stands() -> None:
    redact = Redactor()
    redact.hide(["s3cr&t/1"])
    assert redact("a s3cr&t/1 b s3cr%26t%2F1") == "a *** b ***"


def test_the_longer_of_two_secrets_is_masked_whole() -> None:
    redact = Redactor()
    redact.hide(["abcd", "abcdefgh"])
    assert redact("abcdefgh") == "***"


def test_a_value_too_short_to_be_a_secret_blots_nothing_out() -> None:
    redact = Redactor()
    redact.hide(["a", ""])
    assert redact("a banana") == "a banana"


@given(secret=st.text(min_size=4), before=st.text(), after=st.text())
def test_no_known_secret_ever_passes(secret: str, before: str, after: str) -> None:
    redact = Redactor()
    redact.hide([secret])
    assert secret not in redact(f"{before}{secret}{after}").replace("***", "\0")
