"""How layers lie on top of each other, and that each value remembers where it was written."""

from bridge.settings.layers import Stack, Written, from_document
from bridge.settings.yamlfile import parse
from tests.unit.settings.toy import ROOT


def stack(*layers: list[Written], yaml: str = "") -> Stack:
    built = Stack()
    built.lay(from_document(parse(yaml, "f"), "f"), ROOT)
    for layer in layers:
        built.lay(layer, ROOT)
    return built


def wrote(path: str, value: object, where: str = "ENV") -> Written:
    return Written(tuple(path.split(".")), value, where)


def test_mappings_are_merged_and_values_replaced() -> None:
    built = stack([wrote("source.queue", "b")], yaml="source:\n  type: rabbit\n  queue: a\n")
    assert built.tree == {"source": {"type": "rabbit", "queue": "b"}}
    assert built.where(("source", "type")) == "f:2"
    assert built.where(("source", "queue")) == "ENV"
    assert built.where(("source",)) == "f:1"


def test_what_stands_nowhere_is_where_its_surroundings_are() -> None:
    built = stack(yaml="source:\n  type: rabbit\n")
    assert built.where(("source", "url")) == "f:1"
    assert built.where(("target",)) == ""


def test_a_whole_mapping_in_a_variable_is_merged_too() -> None:
    built = stack([wrote("source", {"queue": "b"})], yaml="source: {type: rabbit}")
    assert built.tree == {"source": {"type": "rabbit", "queue": "b"}}


def test_lists_are_replaced_whole() -> None:
    built = stack([wrote("target.tags", ["z"])], yaml="target: {tags: [a, b]}")
    assert built.tree == {"target": {"tags": ["z"]}}


def test_a_plain_type_becomes_a_mapping_when_more_joins_it() -> None:
    built = stack([wrote("format.name", "x")], yaml="format: auto")
    assert built.tree == {"format": {"type": "auto", "name": "x"}}


def test_a_mapping_with_only_comments_in_it_is_empty() -> None:
    assert stack(yaml="limits:\n  # batch: 3\n").tree == {"limits": {}}


def test_a_key_above_replaces_the_key_file_below_and_the_other_way_round() -> None:
    built = stack([wrote("target.key", "k")], yaml="target: {key_file: /f}")
    assert built.tree == {"target": {"key": "k"}}
    built = stack([wrote("target.key_file", "/g")], yaml="target: {key: k}")
    assert built.tree == {"target": {"key_file": "/g"}}


def test_both_in_one_layer_stay_for_the_model_to_refuse() -> None:
    built = stack(yaml="target: {key_file: /f, key: k}")
    assert built.tree == {"target": {"key": "k", "key_file": "/f"}}


def test_a_variable_finds_a_route_with_a_dash_in_its_name() -> None:
    built = stack([wrote("routes.eu_orders.limits.batch", "3")], yaml="routes: {eu-orders: {}}")
    assert built.tree == {"routes": {"eu-orders": {"limits": {"batch": "3"}}}}


def test_a_new_route_may_come_from_above() -> None:
    built = stack([wrote("routes.us.limits.batch", "3")], yaml="routes: {eu: {}}")
    assert built.tree == {"routes": {"eu": {}, "us": {"limits": {"batch": "3"}}}}
