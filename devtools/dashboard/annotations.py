"""Marks across all graphs: alerts that fire, and starts of the process."""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard

from devtools.dashboard.panels import DATASOURCE
from devtools.dashboard.promql import of_process

WORDS = ("titleFormat", "textFormat", "tagKeys", "useValueForTime")
"""What Grafana's Prometheus data source reads of an annotation, though the schema of dashboards does not tell of it."""


class Marks(dashboard.AnnotationQuery):
    """An annotation from Prometheus, with its query and its words."""

    def __init__(self, name: str, expr: str, colour: str, words: dict[str, object]) -> None:
        super().__init__(name=name, datasource=DATASOURCE, enable=True, icon_color=colour)
        self.asked = {"target": {"refId": "Anno", "expr": expr}}
        self.words = words

    def to_json(self) -> dict[str, object]:
        return super().to_json() | self.asked | self.words


@dataclass(frozen=True, slots=True)
class _Made(Builder[dashboard.AnnotationQuery]):
    made: Marks

    def build(self) -> dashboard.AnnotationQuery:
        return self.made


def firing() -> Builder[dashboard.AnnotationQuery]:
    """A mark for as long as one of our alerts fires."""
    expr = 'max by (alertname, route, severity) (ALERTS{alertname=~"Bridge.*", alertstate="firing"})'
    return _Made(
        Marks(
            "Alerts",
            expr,
            "red",
            {"titleFormat": "{{alertname}}", "textFormat": "{{route}}", "tagKeys": "severity"},
        )
    )


def starts() -> Builder[dashboard.AnnotationQuery]:
    """A mark where a process started; the metric says when, in seconds, and Grafana wants milliseconds."""
    return _Made(
        Marks(
            "Starts",
            f"{of_process('process_start_time_seconds')} * 1000",
            "blue",
            {"titleFormat": "start of {{instance}}", "textFormat": "", "tagKeys": "job", "useValueForTime": True},
        )
    )
