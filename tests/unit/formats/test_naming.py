from __future__ import annotations

import pytest

from bridge.formats.naming import Naming, complaint


@pytest.mark.parametrize(
    "name",
    [
        "user.created",
        "cart.checkout.completed",
        "app/user.created",
        "storefront/cart.checkout.completed",
        "a/b/user.signed_up",
        "com.example.order-created",
        "order.v2.paid",
    ],
)
def test_good_names_have_no_complaint(name: str) -> None:
    assert complaint(name) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("User.created", "must be in lower case"),
        ("userCreated", "must be in lower case"),
        ("usercreated", "must be an entity and an action with a dot between them"),
        ("app/created", "must be an entity and an action with a dot between them"),
        ("user created", "must have only letters, digits, dots"),
        ("user.créé", "must have only letters, digits, dots"),
        ("user:created", "must have only letters, digits, dots"),
        ("user.created\n", "must have only letters, digits, dots"),
        ("user..created", "must have a word on either side"),
        (".user.created", "must have a word on either side"),
        ("user.created.", "must have a word on either side"),
        ("/user.created", "must have a word on either side"),
        ("user.-created", "must have a word on either side"),
        ("user.created/app", "must have a word on either side"),
        ("", "must be an entity and an action"),
    ],
)
def test_each_complaint_says_what_the_name_must_be(name: str, problem: str) -> None:
    assert (complaint(name) or "").startswith(problem)


def test_the_rule_is_one_of_three_words() -> None:
    assert [rule.value for rule in Naming] == ["off", "warn", "reject"]
