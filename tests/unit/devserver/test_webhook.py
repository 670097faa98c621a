"""The webhook receiver, its signatures checked against the reference implementation of Standard Webhooks."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook

from bridge.devserver.dialects.webhook import secret_bytes
from tests.unit.devserver.asking import NOW, Ask, said

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()
BODY = json.dumps({"total": 42})


def signed(secret: str = SECRET, *, age: float = 0, body: str = BODY) -> dict[str, str]:
    at = datetime.fromtimestamp(NOW / 1000, UTC) - timedelta(seconds=age)
    signature = Webhook(secret).sign("msg_1", at, body)
    return {"webhook-id": "msg_1", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}


def locked(*secrets: str) -> Ask:
    return Ask(secrets=tuple(secret_bytes(secret) for secret in secrets))


@pytest.mark.parametrize("method", ["POST", "PUT", "GET", "DELETE", "PATCH"])
def test_any_method_is_taken(method: str) -> None:
    ask = Ask()
    answer = ask("/webhook/orders/new", BODY.encode(), method=method)
    assert (answer.status, said(answer)["signature"]) == (200, "unchecked")
    assert (ask.only.name, ask.only.details["method"]) == ("orders/new", method)


def test_a_good_signature_of_either_secret_passes() -> None:
    ask = locked(SECRET, OTHER)
    for secret in (SECRET, OTHER):
        assert said(ask("/webhook/o", BODY.encode(), headers=signed(secret)))["signature"] == "valid"


def test_one_good_signature_of_several_is_enough() -> None:
    headers = signed()
    headers["webhook-signature"] = f"v1,{'A' * 43}= v2,x {headers['webhook-signature']}"
    assert locked(SECRET)("/webhook/o", BODY.encode(), headers=headers).status == 200


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({}, "missing"),
        (signed(OTHER), "wrong"),
        (signed(body="{}"), "wrong"),
        (signed(age=301), "expired"),
        (signed(age=-301), "expired"),
        (signed() | {"webhook-timestamp": "now"}, "expired"),
    ],
)
def test_a_bad_signature_is_refused_and_nothing_is_stored(headers: dict[str, str], why: str) -> None:
    ask = locked(SECRET)
    answer = ask("/webhook/o", BODY.encode(), headers=headers)
    assert (answer.status, said(answer)) == (401, {"ok": False, "error": f"signature {why}"})
    assert not ask.events


def test_the_same_id_is_a_duplicate() -> None:
    ask = Ask()
    flags = [said(ask("/webhook/o", b"{}", headers={"webhook-id": "m"}))["duplicate"] for _ in range(2)]
    assert flags == [False, True]
    assert said(ask("/webhook/other", b"{}", headers={"webhook-id": "m"}))["duplicate"] is False


@pytest.mark.parametrize(
    ("body", "kept"),
    [(b'{"a":1}', {"a": 1}), (b"plain text", "plain text"), (b"\xff\x00", {"base64": "/wA="}), (b"", "")],
)
def test_any_body_is_kept_readable(body: bytes, kept: Any) -> None:
    ask = Ask()
    ask("/webhook/o", body)
    assert json.loads(ask.only.payload) == kept


def test_a_poisoned_delivery_is_422() -> None:
    ask = Ask()
    ask.fault("poison=no,name=o")
    assert ask("/webhook/o", b"{}").status == 422


def test_a_secret_that_is_no_base64_is_refused() -> None:
    with pytest.raises(ValueError, match="whsec_"):
        secret_bytes("whsec_***")
