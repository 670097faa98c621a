"""Signatures of Standard Webhooks 1.0: who sent it, when, and that nothing was changed."""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from typing import Self

from pydantic import Field, SecretStr, model_validator

from bridge.apis.encoding import header_value
from bridge.apis.options import Options, SecretSource, only_one
from bridge.ports import Secrets

SECRET = "signing"  # noqa: S105  the name of the secret, not the secret
_PREFIX = "whsec_"
_KEY_BYTES = range(24, 65)  # Standard Webhooks 1.0, "Signature scheme"


class SigningSettings(Options):
    """A secret `whsec_<base64>`. Two, one a line and the newer first, sign both: so secrets change without a gap."""

    secret: SecretStr | None = Field(None, description="The secret itself. Better: secret_file or secret_env.")
    secret_file: str | None = Field(None, min_length=1, description="File with one secret a line, at most two.")
    secret_env: str | None = Field(None, min_length=1, description="Environment variable with the secret.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if not only_one(self, "secret", "secret_file", "secret_env"):
            raise ValueError("give one of secret, secret_file, secret_env")
        return self

    def source(self) -> SecretSource:
        return SecretSource(
            name=SECRET,
            field="signing.secret",
            value=self.secret,
            file=self.secret_file,
            env=self.secret_env,
            check=unusable_secret,
        )


def unusable_secret(secret: str) -> str | None:
    """Say what keeps a secret from signing, without repeating it."""
    if not secret.startswith(_PREFIX):
        return f"must begin with {_PREFIX}"
    try:
        key = _key(secret)
    except ValueError:
        return f"must be base64 after {_PREFIX}"
    return None if len(key) in _KEY_BYTES else "must hold 24 to 64 bytes"


def _key(secret: str) -> bytes:
    text = secret.removeprefix(_PREFIX).rstrip("=")
    return b64decode(text + "=" * (-len(text) % 4), validate=True)


def signature_headers(webhook_id: str, body: bytes, secrets: Secrets, now: int) -> dict[str, str]:
    """
    Sign one attempt at `now` (epoch ms).

    The id may come from a publisher, and dots separate what is signed, so dots in it are written %2E: the
    specification asks for ids without dots. Every attempt has the same id, for the receiver to recognise it by.
    """
    safe_id, timestamp = header_value(webhook_id).replace(".", "%2E"), str(now // 1000)
    content = f"{safe_id}.{timestamp}.".encode() + body
    signatures = [
        "v1," + b64encode(hmac.digest(_key(secret), content, "sha256")).decode() for secret in secrets[SECRET]
    ]
    return {"webhook-id": safe_id, "webhook-timestamp": timestamp, "webhook-signature": " ".join(signatures)}
