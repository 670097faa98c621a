from __future__ import annotations

import time
from base64 import b64encode

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from bridge.apis.signing import signature_headers, unusable_secret

OLD, NEW, OTHER = (f"whsec_{b64encode(bytes([byte]) * 32).decode()}" for byte in (1, 2, 3))


def test_the_example_of_the_specification() -> None:
    secrets = {"signing": ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",)}
    body = b'{"test": 2432232314}'
    assert signature_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", body, secrets, 1_614_265_330_000) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_a_receiver_with_either_of_two_live_secrets_verifies(secret: str) -> None:
    body = orjson.dumps({"a": "ü"})
    headers = signature_headers("evt-1", body, {"signing": (NEW, OLD)}, time.time_ns() // 1_000_000)
    assert Webhook(secret).verify(body, headers) == {"a": "ü"}


def test_any_other_secret_or_body_fails() -> None:
    headers = signature_headers("evt-1", b"{}", {"signing": (NEW, OLD)}, time.time_ns() // 1_000_000)
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(b"{}", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(b'{"a":1}', headers)


@given(st.text(min_size=1))
def test_any_id_can_be_signed_and_never_holds_a_dot(webhook_id: str) -> None:
    headers = signature_headers(webhook_id, b"{}", {"signing": (NEW,)}, time.time_ns() // 1_000_000)
    assert "." not in headers["webhook-id"]
    assert Webhook(NEW).verify(b"{}", headers) == {}


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        ("hunter2", "must begin with whsec_"),
        ("whsec_not base64!", "must be base64 after whsec_"),
        ("whsec_" + b64encode(b"short").decode(), "must hold 24 to 64 bytes"),
        ("whsec_" + b64encode(b"x" * 65).decode(), "must hold 24 to 64 bytes"),
        ("whsec_", "must hold 24 to 64 bytes"),
        ("whsec_ü", "must be base64 after whsec_"),
        (NEW, None),
        (NEW.rstrip("="), None),
    ],
)
def test_secrets_that_cannot_sign_are_found_at_the_start(secret: str, problem: str | None) -> None:
    assert unusable_secret(secret) == problem
