"""Which route a command is about."""

from __future__ import annotations

from bridge.settings.problems import Problem
from bridge.settings.tree import Route, Settings


def chosen_route(settings: Settings, wanted: str | None) -> tuple[str, Route]:
    """Find the route that is asked for, else the only one. Raises Problem."""
    routes = settings.routes
    if wanted is None and len(routes) > 1:
        raise Problem("--route", "is missing, and there are several routes", f"Name one of {', '.join(routes)}")
    name = wanted or next(iter(routes))
    if name not in routes:
        raise Problem("--route", f"there is no route {name}", f"Name one of {', '.join(routes)}")
    return name, routes[name]
