"""The tree of names, read off the models."""

from bridge.settings.places import place_of
from tests.unit.settings.toy import ROOT


def test_unions_lay_their_members_on_top_of_each_other() -> None:
    source = ROOT.fields["source"]
    assert set(source.names()) == {"type", "url", "queue", "prefetch", "size"}
    assert source.names("memory") == ("type", "size")


def test_secrets_lists_and_mappings_are_known() -> None:
    target = ROOT.fields["target"]
    assert target.fields["key"].secret
    assert not target.fields["key_file"].secret
    assert target.fields["tags"].many
    assert target.fields["headers"].each is not None
    assert ROOT.fields["format"].plain
    assert ROOT.fields["format"].fields["name"].plain


def test_any_name_may_stand_below_a_mapping() -> None:
    routes = ROOT.fields["routes"]
    assert routes.below("orders") is routes.each
    assert ROOT.below("nothing") is None


def test_walking_names_every_place_once() -> None:
    trails = [trail for trail, _ in ROOT.walk()]
    assert ("routes", "*", "source", "url") in trails
    assert ("target", "headers", "*") in trails
    assert len(trails) == len(set(trails))


def test_a_type_alias_of_text_is_plain() -> None:
    assert place_of(str | None).plain
