"""Queries, in the words of the dashboard: everything asks for `$job` and `$instance`, and for `$route` where it can."""

from __future__ import annotations

INTERVAL = "$__rate_interval"
"""Grafana's own: four scrapes at least, and no gaps between the points of a graph."""

_PROCESS = ('job=~"$job"', 'instance=~"$instance"')
_ROUTE = (*_PROCESS, 'route=~"$route"')


def of_process(metric: str, *matchers: str) -> str:
    """Select a metric that has no route."""
    return f"{metric}{{{', '.join((*_PROCESS, *matchers))}}}"


def of_route(metric: str, *matchers: str) -> str:
    """Select a metric of routes."""
    return f"{metric}{{{', '.join((*_ROUTE, *matchers))}}}"


def rate(selector: str) -> str:
    """How much a counter grows in a second."""
    return f"rate({selector}[{INTERVAL}])"


def increase(selector: str, over: str = INTERVAL) -> str:
    """How much a counter has grown."""
    return f"increase({selector}[{over}])"


def total(expr: str, *by: str) -> str:
    return _over("sum", expr, by)


def largest(expr: str, *by: str) -> str:
    return _over("max", expr, by)


def smallest(expr: str, *by: str) -> str:
    return _over("min", expr, by)


def share(part: str, whole: str) -> str:
    """One rate as a part of another, 0 while there is nothing; no answer at all only where there is no bridge."""
    return f"{part} / ({whole} > 0) or 0 * {whole}"


def quantile(share_of_all: float, buckets: str, *by: str) -> str:
    """
    A quantile of a histogram of a route, whose `buckets` are selected, in its unit.

    While nothing is observed it has no value, and a graph shows a gap, as it should.
    """
    return f"histogram_quantile({share_of_all}, {total(rate(buckets), *by, 'le')})"


def _over(aggregation: str, expr: str, by: tuple[str, ...]) -> str:
    return f"{aggregation} by ({', '.join(by)}) ({expr})" if by else f"{aggregation}({expr})"
