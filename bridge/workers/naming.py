"""What workers must not share: the names under which a broker knows one instance."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel

from bridge.settings.tree import Route, Settings

NAME = "group_instance_id"
"""Of Kafka's static members: the last one to come with a name throws out the one before."""

PARTS = ("source", "delay")

Part = TypeVar("Part", bound=BaseModel)


def settings_of(worker: int, settings: Settings) -> Settings:
    """Give the settings of a worker, in which each instance name ends with its number."""
    routes = {name: _route(worker, route) for name, route in settings.routes.items()}
    return settings.model_copy(update={"routes": routes})


def _route(worker: int, route: Route) -> Route:
    return route.model_copy(update={name: _part(worker, getattr(route, name)) for name in PARTS})


def _part(worker: int, part: Part) -> Part:
    name = getattr(part, NAME, None)
    return part.model_copy(update={NAME: f"{name}-{worker}"}) if name else part
