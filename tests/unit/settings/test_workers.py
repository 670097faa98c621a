"""How many processes, and with what that does not go."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.settings.checks import review
from bridge.settings.load import load
from bridge.settings.problems import Problems
from bridge.settings.tree import Settings

RABBIT = {"type": "rabbitmq", "url": "amqp://h/", "queue": "q"}
ZOPIO = {"type": "zopio", "url": "http://h"}


def said(**settings: object) -> list[str]:
    return [str(problem) for problem in review(Settings.model_validate({"target": ZOPIO, **settings}))]


@pytest.mark.parametrize(("written", "read"), [("3", 3), (" 3 ", 3), ("auto", "auto"), (128, 128), (1, 1)])
def test_it_is_a_number_or_auto(written: object, read: object) -> None:
    assert Settings.model_validate({"source": RABBIT, "target": ZOPIO, "workers": written}).workers == read


@pytest.mark.parametrize("written", ["0", "129", "-1", "many", "", "1.5", "true"])
def test_anything_else_is_one_problem_that_says_what_it_must_be(written: str, tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text(
        "source: {type: rabbitmq, url: amqp://h/, queue: q}\n"
        "target: {type: zopio, url: http://h}\n"
        f"workers: {written!r}\n"
    )
    with pytest.raises(Problems) as caught:
        load(file=file, environment={})
    assert str(caught.value) == ("bridge.yaml:3: workers: must be a whole number from 1 to 128, or auto. Correct it.")


def test_true_is_no_number() -> None:
    with pytest.raises(ValueError, match="must be a whole number"):
        Settings.model_validate({"source": RABBIT, "target": ZOPIO, "workers": True})


@pytest.mark.parametrize("workers", [2, "auto"])
@pytest.mark.parametrize("store", ["sqlite", "memory"])
def test_a_store_of_one_process_is_refused(workers: object, store: str) -> None:
    (problem,) = said(source=RABBIT, workers=workers, store={"type": store})
    assert problem == (
        f"workers: needs a store that the workers share, and `store.type: {store}` is of one process: each would send "
        "what another one has sent already. Use the store `redis`, or 1 worker."
    )


def test_so_is_a_source_of_one_process() -> None:
    problems = said(source={"type": "memory"}, workers=2)
    assert "routes.default.source.type: `memory` is of one process" in problems[1]


def test_one_worker_may_have_any() -> None:
    assert said(source=RABBIT, workers=1) == []
    assert said(source={"type": "memory"}, workers=1) == []
