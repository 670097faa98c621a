"""How a webhook or CloudEvents endpoint is told who we are."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, SecretStr, model_validator

from bridge.apis.options import Options, SecretSource, only_one
from bridge.ports import Secrets

SECRET = "auth"  # noqa: S105  the name of the secret, not the secret
TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # a header name, RFC 9110 section 5.6.2

S = TypeVar("S", bound=Options)

# Set by the connection itself, or ways to make a server read the request differently than it was meant.
RESERVED = frozenset(
    {
        "accept-encoding",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


def no_controls(value: str) -> str | None:
    """Say what keeps a password from being one."""
    return None if value.isprintable() else "holds a control character"


class BearerAuth(Options):
    """`Authorization: Bearer <token>`."""

    type: Literal["bearer"]
    token: SecretStr | None = Field(None, description="The token itself. Better: token_file or token_env.")
    token_file: str | None = Field(None, min_length=1, description="File with the token.")
    token_env: str | None = Field(None, min_length=1, description="Environment variable with the token.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        return _exactly_one(self, "token", "token_file", "token_env")

    def source(self) -> SecretSource:
        return SecretSource(name=SECRET, field="auth.token", value=self.token, file=self.token_file, env=self.token_env)

    def headers(self, secrets: Secrets) -> dict[str, str]:
        return {"authorization": f"Bearer {secrets[SECRET][0]}"}


class BasicAuth(Options):
    """`Authorization: Basic <user:password>` (RFC 7617, in UTF-8)."""

    type: Literal["basic"]
    user: str = Field(pattern=r"^[^:\x00-\x1f\x7f]*$", description="User name; a colon in it is impossible.")
    password: SecretStr | None = Field(None, description="The password itself. Better: password_file or password_env.")
    password_file: str | None = Field(None, min_length=1, description="File with the password.")
    password_env: str | None = Field(None, min_length=1, description="Environment variable with the password.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        return _exactly_one(self, "password", "password_file", "password_env")

    def source(self) -> SecretSource:
        return SecretSource(
            name=SECRET,
            field="auth.password",
            value=self.password,
            file=self.password_file,
            env=self.password_env,
            check=no_controls,
        )

    def headers(self, secrets: Secrets) -> dict[str, str]:
        return {"authorization": "Basic " + b64encode(f"{self.user}:{secrets[SECRET][0]}".encode()).decode()}


class HeaderAuth(Options):
    """A header of any name with the secret as its value, such as `X-Api-Key` or `Authorization: ApiKey <secret>`."""

    type: Literal["header"]
    name: str = Field(description="Name of the header.")
    prefix: str = Field(
        "", pattern=r"^([!-~][ -~]*)?$", description='What stands before the secret, such as "ApiKey ".'
    )
    value: SecretStr | None = Field(None, description="The secret itself. Better: value_file or value_env.")
    value_file: str | None = Field(None, min_length=1, description="File with the secret.")
    value_env: str | None = Field(None, min_length=1, description="Environment variable with the secret.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.name.lower() != "authorization":
            check_header_name(self.name)
        return _exactly_one(self, "value", "value_file", "value_env")

    def source(self) -> SecretSource:
        return SecretSource(name=SECRET, field="auth.value", value=self.value, file=self.value_file, env=self.value_env)

    def headers(self, secrets: Secrets) -> dict[str, str]:
        return {self.name.lower(): self.prefix + secrets[SECRET][0]}


Auth = Annotated[BearerAuth | BasicAuth | HeaderAuth, Field(discriminator="type")]


def check_header_name(name: str) -> None:
    """Raise ValueError unless a settings file may set this header."""
    if not TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is no header name")
    if name.lower() in RESERVED:
        raise ValueError(f"the header {name} cannot be set here" + (": use auth" if "auth" in name.lower() else ""))


def _exactly_one(settings: S, *fields: str) -> S:
    if not only_one(settings, *fields):
        raise ValueError(f"give one of {', '.join(fields)}")
    return settings
