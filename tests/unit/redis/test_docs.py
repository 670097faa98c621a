"""What the papers say about Redis is what the tests run with."""

from __future__ import annotations

from devtools.redis import RIGHTS
from tests.unit.markdown import paper


def test_the_rights_in_the_papers_are_those_that_are_tried_one_by_one() -> None:
    assert f"ACL SETUSER bridge on >password {RIGHTS}\n" in paper("docs/dedup.md").text
