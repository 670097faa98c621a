"""The tree of all settings. The names in it are the names in the file and, behind `BRIDGE_`, in the environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, model_validator

from bridge.apis import TargetSettings
from bridge.deadletters import DeadLettersSettings
from bridge.delays import DelaySettings
from bridge.formats import FormatSettings
from bridge.formats.auto import AutoSettings
from bridge.formats.naming import Naming
from bridge.settings.base import Frozen
from bridge.settings.policies import (
    BreakerSettings,
    ControlSettings,
    DedupSettings,
    FilterSettings,
    LimitsSettings,
    OrderingSettings,
    RetrySettings,
    TimingSettings,
    UnorderedSettings,
)
from bridge.settings.process import AdminSettings, EventLoop, LogSettings, TracingSettings
from bridge.sources import SourceSettings
from bridge.stores import StoreSettings
from bridge.stores.sqlite import SqliteSettings
from bridge.units import Duration

DEFAULT = "default"
"""The name of the one route of flat settings."""


def _route_name(name: str) -> str:
    words = name.replace("_", "-").split("-")
    if len(name) > 50 or not all(word.isascii() and word.isalnum() and word == word.lower() for word in words):  # noqa: PLR2004
        problem = "a route's name has lower-case letters and digits, with single - or _ between them, at most 50 in all"
        raise ValueError(problem)
    return name


RouteName = Annotated[str, AfterValidator(_route_name)]


MOST_WORKERS = 128


def _workers(value: object) -> object:
    """Read a number or `auto`, and say so in one sentence where it is neither."""
    number = int(value) if isinstance(value, str) and value.strip().isdecimal() else value
    if value == "auto" or (type(number) is int and 1 <= number <= MOST_WORKERS):
        return number
    problem = f"must be a whole number from 1 to {MOST_WORKERS}, or auto"
    raise ValueError(problem)


Workers = Annotated[Annotated[int, Field(ge=1, le=MOST_WORKERS)] | Literal["auto"], BeforeValidator(_workers)]


def _as_the_source(settings: Any) -> Callable[[dict[str, Any]], Any]:
    """Make the default of a part that lives where the source lives, unless the settings say otherwise."""
    adapter: TypeAdapter[Any] = TypeAdapter(settings)
    return lambda data: adapter.validate_python({"type": data["source"].type})


class Route(Frozen):
    """One road from a source to a target."""

    source: SourceSettings = Field(description="Where deliveries come from.")
    format: FormatSettings = Field(AutoSettings(), description="The shape of their bodies, or just its name.")
    target: TargetSettings = Field(description="The event API they go to.")
    filter: FilterSettings = Field(FilterSettings(), description="Which events are taken.")
    naming: Naming = Field(
        Naming.OFF, description="What happens to names that break the convention `entity.action` in lower case."
    )
    limits: LimitsSettings = Field(LimitsSettings(), description="How much at once.")
    ordering: OrderingSettings = Field(
        UnorderedSettings(), description="Whether events of one key stay in order; or just `none` or `key`."
    )
    dedup: DedupSettings = Field(DedupSettings(), description="How duplicates are told.")
    timing: TimingSettings = Field(TimingSettings(), description="How events that are due later wait.")
    delay: DelaySettings = Field(
        default_factory=_as_the_source(DelaySettings),
        description="Where events wait that are due later, or failed. By default at the source's broker.",
    )
    dead_letters: DeadLettersSettings = Field(
        default_factory=_as_the_source(DeadLettersSettings),
        description="Where events end that can never pass. By default at the source's broker.",
    )
    control: ControlSettings = Field(
        ControlSettings(), description="Whether events are cancelled by what is published."
    )
    retry: RetrySettings = Field(RetrySettings(), description="How failed events are tried again.")
    breaker: BreakerSettings = Field(BreakerSettings(), description="When the target counts as down.")

    @model_validator(mode="before")
    @classmethod
    def _types_as_the_source(cls, data: Any) -> Any:
        """Let `delay: {namespace: x}` do without a type."""
        if not isinstance(data, dict) or not isinstance(source := data.get("source"), dict) or "type" not in source:
            return data
        parts = {name: data[name] for name in ("delay", "dead_letters") if isinstance(data.get(name), dict)}
        return data | {name: {"type": source["type"], **part} for name, part in parts.items()}


class Settings(Frozen):
    """Everything. Either `routes`, or the fields of one route at the top, which make the route `default`."""

    routes: dict[RouteName, Route] = Field(min_length=1, description="The routes by name.")
    store: StoreSettings = Field(
        SqliteSettings(), description="Where the process remembers which events it has delivered; one for all routes."
    )
    admin: AdminSettings = Field(AdminSettings(), description="The port for health and metrics.")
    log: LogSettings = Field(LogSettings(), description="What is logged, and how.")
    tracing: TracingSettings = Field(TracingSettings(), description="Spans about the requests to targets.")
    workers: Workers = Field(
        1,
        description="Processes that share the work; `auto` is the number of CPUs that may be used. More than one need "
        "a store that they can share.",
    )
    event_loop: EventLoop = Field(
        "auto",
        description="What runs the process: `uvloop`, which takes less CPU; `asyncio`, that of Python; `auto` takes "
        "uvloop where it is installed.",
    )
    drain_timeout: Duration = Field(
        20.0, ge=0, le=3600, description="How long to finish what is under way when asked to stop."
    )

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, data: Any) -> Any:
        """Make the route `default` of a route's fields at the top."""
        if not isinstance(data, dict) or "routes" in data:
            return data
        flat = {name: data[name] for name in Route.model_fields if name in data}
        return {name: value for name, value in data.items() if name not in flat} | {"routes": {DEFAULT: flat}}
