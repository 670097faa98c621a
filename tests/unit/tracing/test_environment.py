from __future__ import annotations

import pytest

from bridge.tracing.context import Sampler
from bridge.tracing.environment import disabled, number, sampler_of, secrets_of


@pytest.mark.parametrize(
    ("variables", "sampler"),
    [
        ({}, Sampler(1.0)),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, Sampler(1.0, follows=False)),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, Sampler(0.0, follows=False)),
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, Sampler(0.0)),
        ({"OTEL_TRACES_SAMPLER": " PARENTBASED_ALWAYS_ON"}, Sampler(1.0)),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}, Sampler(0.25, follows=False)),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}, Sampler(0.25)),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"}, Sampler(1.0)),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "nan"}, Sampler(1.0)),
        ({"OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}, Sampler(1.0)),
        ({"OTEL_TRACES_SAMPLER": "jaeger_remote"}, Sampler(1.0)),
    ],
)
def test_the_variables_say_what_is_sampled(variables: dict[str, str], sampler: Sampler) -> None:
    assert sampler_of(None, variables) == sampler


def test_a_ratio_in_the_settings_comes_before_the_variables() -> None:
    assert sampler_of(0.5, {"OTEL_TRACES_SAMPLER": "always_off"}) == Sampler(0.5)


@pytest.mark.parametrize(("text", "read"), [("7", 7), (" 7 ", 7), ("0", 5), ("-1", 5), ("x", 5), ("", 5)])
def test_a_number_that_makes_no_sense_is_not_set(text: str, read: int) -> None:
    assert number({"N": text}, "N", 5) == read


def test_the_switch_of_the_standard_counts() -> None:
    assert disabled({"OTEL_SDK_DISABLED": "True"})
    assert not disabled({"OTEL_SDK_DISABLED": "1"})
    assert not disabled({})


def test_header_values_in_variables_are_secrets() -> None:
    variables = {"OTEL_EXPORTER_OTLP_HEADERS": "api-key=abc%20def, x=yz", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "k=v"}
    assert secrets_of(variables) == {"abc%20def", "abc def", "yz", "v"}
