"""What the settings of all APIs have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from bridge.units import Duration


class Options(BaseModel):
    """Settings cannot change, have no unknown fields, and are never repeated in an error (they may be secret)."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class HttpOptions(Options):
    """How requests are made."""

    timeout: Duration = Field(30.0, gt=0, le=600, description="How long one request may take, answer included.")
    connect_timeout: Duration = Field(5.0, gt=0, le=600, description="How long a connection may take to open.")
    concurrency: int = Field(64, ge=1, le=10_000, description="Requests under way at once; as many connections.")
    adaptive: bool = Field(
        False,
        description="Find out how many requests at once the API takes, up to concurrency, by its latency and refusals.",
    )
    keepalive: Duration = Field(15.0, gt=0, le=3600, description="How long an idle connection is kept.")
    ca_file: str | None = Field(
        None, description="PEM file of the certificate authorities to trust instead of the system's."
    )
    cert_file: str | None = Field(None, description="PEM file of our own certificate, where the API wants one.")
    cert_key_file: str | None = Field(None, description="PEM file of its key, unless cert_file holds that too.")
    proxy: Literal["none", "environment"] = Field(
        "none",
        description="Whether HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY count. A proxy sees all that is not TLS.",
    )
    client: Literal["native", "aiohttp"] = Field(
        "native", description="What makes the requests: the bridge's own client, or aiohttp at several times the CPU."
    )
    propagate: bool = Field(
        True,
        description="Send the W3C trace context along: the publisher's, or with `tracing` that of our span. Off for an "
        "API that is not to learn of your traces.",
    )
    insecure_skip_verify: bool = Field(False, description="Take any certificate. For tests on one machine only.")

    @model_validator(mode="after")
    def _key_has_a_certificate(self) -> Self:
        if self.cert_key_file and not self.cert_file:
            raise ValueError("cert_key_file needs cert_file")
        return self

    @model_validator(mode="after")
    def _proxy_has_a_careful_client(self) -> Self:
        if self.proxy == "environment" and self.client == "aiohttp":  # it takes what a proxy says for an API's answer
            raise ValueError("proxy: environment needs client: native")
        return self


def visible_ascii(value: str) -> str | None:
    """What keeps a secret from being a header value, or None. Never repeats the secret."""
    if all("!" <= char <= "~" for char in value):
        return None
    return "holds a space, a control character or a letter outside ASCII"


@dataclass(slots=True, frozen=True, kw_only=True)
class SecretSource:
    """Where one named secret lives. Exactly one of the places is used: the value, the file, else the environment."""

    name: str  # under which the dialect asks for it
    field: str  # its field below the target's settings, for errors: "auth.token"
    value: SecretStr | None = None
    file: str | None = None
    env: str | None = None  # the variable; with _FILE at its end, the name of a file
    check: Callable[[str], str | None] = visible_ascii  # what is wrong with a value, without repeating it


class ApiSettings(Options):
    """The part that the settings of every HTTP API share."""

    http: HttpOptions = Field(HttpOptions(), description="Time limits, connections and certificates.")

    def secrets(self) -> tuple[SecretSource, ...]:
        """Name the secrets this API needs, for `bridge.targets.credentials`."""
        return ()


class KeySettings(ApiSettings):
    """Settings of an API that wants one key."""

    key: SecretStr | None = Field(None, description="The key itself. Better: key_file or the environment.")
    key_file: str | None = Field(
        None, min_length=1, description="File with the key; read again when the key is refused."
    )

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        only_one(self, "key", "key_file")
        return self


def only_one(settings: BaseModel, *fields: str) -> int:
    """Count which of the fields are set. Raises ValueError when more than one is."""
    given = [field for field in fields if getattr(settings, field) is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} exclude each other; keep one")
    return len(given)
