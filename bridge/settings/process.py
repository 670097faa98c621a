"""The settings of the process itself, common to all of its routes."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, SecretStr

from bridge.apis.urls import BaseUrl
from bridge.settings.base import Frozen

EventLoop: TypeAlias = Literal["auto", "uvloop", "asyncio"]


class AdminSettings(Frozen):
    """The port for `/livez`, `/readyz` and `/metrics`."""

    enabled: bool = Field(True, description="Whether to listen at all.")
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="The address to listen on; `0.0.0.0` in a container whose port is scraped from outside.",
    )
    port: int = Field(9464, ge=0, le=65_535, description="The port to listen on; 0 takes a free one and logs it.")


class LogSettings(Frozen):
    """What is written about the work, and how. Payloads and secrets never are."""

    format: Literal["auto", "json", "human"] = Field(
        "auto", description="`json` writes one line an event, `human` aligned text; `auto` is human on a terminal."
    )
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least level that is written.")


def _header_value(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", value.get_secret_value()):
        raise ValueError("must be printable ASCII without spaces around it")
    return value


HeaderName = Annotated[str, Field(pattern=r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$")]
HeaderValue = Annotated[SecretStr, AfterValidator(_header_value)]


class TracingSettings(Frozen):
    """Spans about the requests to targets, exported by OTLP over HTTP. `OTEL_*` variables say what is not said here."""

    enabled: bool = Field(False, description="Whether to write and export spans. Needs `event-bridge[otel]`.")
    endpoint: BaseUrl | None = Field(
        None,
        description="Address of a collector, such as `http://otel-collector:4318`; `/v1/traces` is added. By default "
        "that of `OTEL_EXPORTER_OTLP_ENDPOINT`, or `http://localhost:4318`.",
    )
    headers: dict[HeaderName, HeaderValue] = Field(
        {}, description="Headers for the collector, by name; their values are secrets."
    )
    sample_ratio: float | None = Field(
        None,
        ge=0,
        le=1,
        description="The part of the traces to record that no publisher has begun; of the others, those that their "
        "publisher records. By default what `OTEL_TRACES_SAMPLER` says, or all.",
    )
    name: str | None = Field(
        None,
        min_length=1,
        max_length=255,
        description="The `service.name` of the spans. By default `OTEL_SERVICE_NAME`, or `event-bridge`.",
    )
