"""Settings of the devserver."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from bridge.devserver.faults import Fault
from bridge.units import Size


class DevServerSettings(BaseModel):
    """Where the local event API listens and what it remembers."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    host: str = Field(default="127.0.0.1", description="Address to listen on; the page has no login, so keep it local.")
    port: int = Field(default=8288, ge=0, le=65535, description="Port; 0 takes a free one.")
    keys: tuple[SecretStr, ...] = Field(default=(), description="Keys that are let in; none: every key is.")
    webhook_secrets: tuple[SecretStr, ...] = Field(
        default=(), description="Standard Webhooks secrets (whsec_...); with one, a wrong signature is refused."
    )
    faults: tuple[Fault, ...] = Field(default=(), description="Faults that are at work from the start.")
    seed: int | None = Field(default=None, description="Seed of the dice behind rate and jitter, to repeat a run.")
    max_events: int = Field(default=10_000, ge=1, description="Events remembered; ids beyond are forgotten too.")
    max_requests: int = Field(default=10_000, ge=1, description="Requests remembered.")
    max_payload_bytes: Size = Field(default=256 << 20, ge=1, description="Bytes of events remembered, in all.")
    max_body: Size = Field(default=16 << 20, ge=1, description="Largest request body; beyond it 413.")
