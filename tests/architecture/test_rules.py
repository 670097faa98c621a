"""Runs every rule over the tree, and shows of each that it bites."""

from __future__ import annotations

from itertools import chain

import pytest

from tests.architecture import layers, promises, purity, shape
from tests.architecture.source import Module, Rule, Sample, modules

RULES = tuple(chain(layers.RULES, purity.RULES, promises.RULES, shape.RULES))


def _each(samples: str) -> list[object]:
    return [
        pytest.param(rule, sample, id=f"{rule.name} {number}".replace(" ", "-"))
        for rule in RULES
        for number, sample in enumerate(getattr(rule, samples), 1)
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name.replace(" ", "-"))
def test_the_tree_keeps_the_rule(rule: Rule) -> None:
    scope = [module for module in modules() if rule.everywhere or module.in_bridge]
    offences = [str(offence) for module in scope for offence in rule.check(module)]
    assert offences == [], "\n" + "\n".join(offences)


@pytest.mark.parametrize(("rule", "sample"), _each("bites"))
def test_a_rule_bites(rule: Rule, sample: Sample) -> None:
    assert list(rule.check(Module.of(sample.path, sample.text))) != []


@pytest.mark.parametrize(("rule", "sample"), _each("spares"))
def test_a_rule_spares_what_is_right(rule: Rule, sample: Sample) -> None:
    assert list(rule.check(Module.of(sample.path, sample.text))) == []


def test_the_tree_is_really_read() -> None:
    names = {module.name for module in modules()}
    assert {"bridge", "bridge.model", "bridge.core.ledger", "bridge.pipeline", __name__} <= names
