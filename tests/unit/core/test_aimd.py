from __future__ import annotations

import heapq
from collections.abc import Callable
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.core.aimd import FLOOR, OPENING, SLACK, Aimd


class Server:
    """So many workers, each busy for so many seconds with a request; what finds none free waits for its turn."""

    def __init__(self, workers: int, seconds: float) -> None:
        self.seconds = seconds
        self._free = [0.0] * workers  # when each worker is

    def answer(self, now: float) -> float:
        """When a request that comes now is answered."""
        done = max(now, heapq.heappop(self._free)) + self.seconds
        heapq.heappush(self._free, done)
        return done


class Traffic:
    """Requests under way to a server, as many as the limit allows, or as there is a demand for."""

    def __init__(self, aimd: Aimd) -> None:
        self.now = 0.0
        self.limits: list[int] = []
        self._aimd = aimd
        self._under_way: list[tuple[float, float]] = []

    def run(self, answers: int, server: Server, *, demand: int = 1_000_000) -> None:
        aimd, under_way = self._aimd, self._under_way
        self.limits = []
        for _ in range(answers):
            while len(under_way) < min(aimd.limit, demand):
                heapq.heappush(under_way, (server.answer(self.now), self.now))
            self.now, began = heapq.heappop(under_way)
            aimd.answered(self.now - began, bad=False, full=demand > aimd.limit)
            self.limits.append(aimd.limit)


MANY = 10_000  # workers: nobody waits


@pytest.mark.parametrize("seconds", [0.0002, 0.05, 2.0, 30.0])
def test_latency_that_does_not_rise_leaves_the_whole_ceiling(seconds: float) -> None:
    aimd = Aimd(64)
    Traffic(aimd).run(1_000, Server(MANY, seconds))
    assert aimd.limit == 64


def test_the_ceiling_is_reached_within_a_few_windows() -> None:
    aimd = Aimd(64)
    traffic, server = Traffic(aimd), Server(MANY, 2.0)
    while aimd.limit < 64:
        traffic.run(1, server)
    assert traffic.now <= 2.0 * 6


@pytest.mark.parametrize("workers", [8, 20, 50, 100])
def test_the_knee_of_a_queueing_server_is_found_within_a_factor_of_two(workers: int) -> None:
    traffic, server = Traffic(Aimd(1000)), Server(workers, 0.5)
    traffic.run(50_000, server)
    traffic.run(50_000, server)
    assert min(traffic.limits) >= workers / 2
    assert max(traffic.limits) <= workers * 2.5
    assert median(traffic.limits) <= workers * 2.2


def test_a_target_that_grows_slower_for_reasons_of_its_own_keeps_its_concurrency() -> None:
    aimd = Aimd(64)
    traffic = Traffic(aimd)
    traffic.run(1_000, Server(MANY, 0.1))
    traffic.run(5_000, Server(MANY, 1.0))
    assert aimd.limit == 64
    assert aimd.baseline == pytest.approx(1.0)


def test_a_server_that_shrinks_and_recovers_is_followed_both_ways() -> None:
    aimd = Aimd(64)
    traffic = Traffic(aimd)
    traffic.run(1_000, Server(64, 0.2))
    assert aimd.limit == 64
    traffic.run(5_000, Server(8, 0.2))
    assert 8 <= aimd.limit <= 24
    traffic.run(10_000, Server(64, 0.2))
    assert aimd.limit == 64


def test_latency_within_the_slack_is_our_own_scheduling() -> None:
    aimd = Aimd(64)
    Traffic(aimd).run(5_000, Server(1, SLACK / 65))
    assert aimd.limit == 64


def answer_all(aimd: Aimd, windows: int, *, bad: Callable[[int], bool]) -> None:
    """Answer whole windows; the number of an answer in its window tells whether it is a bad one."""
    for _ in range(windows):
        n, over = 0, False
        while not over:
            over = aimd.answered(0.1, bad=bad(n), full=True)
            n += 1


def test_refusals_halve_it_down_to_the_floor_and_it_finds_up_again() -> None:
    aimd = Aimd(64)
    answer_all(aimd, 5, bad=lambda _: False)
    assert aimd.limit == 64
    answer_all(aimd, 1, bad=lambda n: n % 5 == 0)
    assert aimd.limit == 32
    answer_all(aimd, 20, bad=lambda _: True)
    assert aimd.limit == FLOOR
    answer_all(aimd, 100, bad=lambda _: False)
    assert aimd.limit == 64


def test_a_refusal_now_and_then_is_no_overload() -> None:
    aimd = Aimd(64)
    answer_all(aimd, 5, bad=lambda _: False)
    answer_all(aimd, 50, bad=lambda n: n == 0)
    assert aimd.limit == 64


def test_what_is_not_used_does_not_grow() -> None:
    aimd = Aimd(64)
    Traffic(aimd).run(1_000, Server(MANY, 0.1), demand=3)
    assert aimd.limit == OPENING


@given(st.integers(1, 300), st.lists(st.tuples(st.floats(0, 600), st.booleans(), st.booleans()), max_size=300))
def test_it_never_leaves_its_bounds(ceiling: int, answers: list[tuple[float, bool, bool]]) -> None:
    aimd = Aimd(ceiling)
    for seconds, bad, full in answers:
        before = aimd.limit
        changed = aimd.answered(seconds, bad=bad, full=full)
        assert changed or aimd.limit == before
        assert 1 <= aimd.floor <= aimd.limit <= ceiling


@given(st.integers(1, 200), st.floats(0.001, 30), st.integers(1, 300))
def test_it_never_starves_a_healthy_server(workers: int, seconds: float, ceiling: int) -> None:
    aimd = Aimd(ceiling)
    Traffic(aimd).run(3_000, Server(workers, seconds))
    assert aimd.limit >= min(ceiling, workers) // 2
