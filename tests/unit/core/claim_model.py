"""
A small exhaustive model checker for the claim protocol.

The world holds copies of one event, workers that take them, one record in the store and a target. From the first world
every possible next step is taken, with a bounded number of faults, until no new world appears. The records change
through the functions of `bridge.core.claims` alone, so it is the product that is checked, not a copy of it.

Time is reduced to what the protocol can tell apart: it stands at NOW until an event is due at NEXT, or was moved to
LAST. A lease that runs out is set to NOW.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from bridge.core import claims
from bridge.core.claims import Claimed, Record
from bridge.model import Answer, Ask, Claim, Move, Schedule, Stage

KEY = b"k" * 16
NOW, NEXT, LAST, ALIVE = 0, 1, 2, 10

Steps = tuple[str, ...]
Claiming = Callable[[Record | None, Ask, Claimed, int], tuple[Record | None, Claim]]


@dataclass(frozen=True)
class Protocol:
    """What a worker does once it knows something. The defaults are the product's."""

    claim: Claiming = claims.claim
    accepted: Steps = ("commit", "settle")
    failed: Steps = ("hold", "release", "settle")
    later: Steps = ("hold", "schedule", "settle")
    failed_anew: Steps = ("hold", "schedule", "settle")  # where it has replaced another copy
    busy: Steps = ("hold", "settle")
    known: Steps = ("settle",)
    tells_stages_apart: bool = True


class Copy(NamedTuple):
    """One copy of the event in a queue: as it was published, or from the delay line."""

    due: bool
    plan: int = NOW  # when it is to be sent
    gen: int = 0
    replaces: bool = False


class Worker(NamedTuple):
    """Busy with a copy. `owns` while it acts on a claim that was granted to it."""

    copy: Copy  # as it goes on
    took: Copy  # as it was taken, and comes again after a crash
    todo: Steps
    settled: bool = False
    owns: bool = False
    anew: bool = False  # whether it replaces another copy


class Faults(NamedTuple):
    """How many of each may (still) happen."""

    crash: int = 0
    lost_lease: int = 0
    failed_send: int = 0  # the target did not get it
    lost_reply: int = 0  # the target has it, the worker thinks it has not
    forgotten: int = 0  # the store lost its record: power cut, damage, max_keys
    cancel: int = 0
    move: int = 0


class World(NamedTuple):
    queue: tuple[Copy, ...]  # unsettled, and nobody is at work on it; in order, since queues promise none
    workers: tuple[Worker | None, ...]
    record: Record | None
    time: int
    end: int  # the last time that matters
    sends: int
    accepted: bool
    cancelled: bool
    sent_after_cancel: bool
    moved: bool
    sent_before_move: bool
    newest: int  # generation that was recorded
    sent_stale: bool
    left: Faults

    @property
    def is_over(self) -> bool:
        return not self.queue and not any(self.workers)

    @property
    def is_lost(self) -> bool:
        return self.is_over and not self.accepted and not self.cancelled


def first_world(*, plans: Sequence[int], workers: int, faults: Faults, replaces: bool = False) -> World:
    """Copies that are published for those times; with `replaces` the last one to come is to win."""
    copies = _sorted(*(Copy(due=False, plan=plan, replaces=replaces) for plan in plans))
    end = LAST if faults.move else max(plans)
    nobody = (None,) * workers
    return World(copies, nobody, None, NOW, end, 0, False, False, False, False, False, 0, False, faults)


def next_worlds(world: World, protocol: Protocol) -> Iterator[tuple[str, World]]:
    """Every step that anyone could take, with what to call it."""
    yield from _of_the_surroundings(world)
    for number, worker in enumerate(world.workers):
        if worker is None:
            yield from _takes(world, number)
            continue
        for event, after in _of_a_worker(world, number, worker, protocol):
            yield f"worker {number} {event}", after
        if world.left.crash:
            queue = world.queue if worker.settled else _sorted(*world.queue, worker.took)
            yield f"worker {number} crashes", _put(_spend(world, "crash"), number, None, queue=queue)


def _of_the_surroundings(world: World) -> Iterator[tuple[str, World]]:
    record = world.record
    if world.time < world.end:
        yield "time passes", world._replace(time=world.time + 1)
    if record is not None and world.left.forgotten:
        yield "the store forgets", _spend(world, "forgotten")._replace(record=None)
    if world.left.move and (moved := claims.move(record, Move(KEY, LAST), ALIVE, world.time)):
        yield "it is moved", _spend(world, "move")._replace(record=moved, moved=True)
    if world.left.cancel and (stopped := claims.cancel(record, ALIVE, world.time)):
        yield "it is cancelled", _spend(world, "cancel")._replace(record=stopped, cancelled=True)
    if isinstance(record, Claimed) and record.until > NOW:
        over = replace(record, until=NOW)
        if not _is_alive(world, record.owner):
            yield "the lease of the dead runs out", world._replace(record=over)
        elif world.left.lost_lease:
            yield "a lease is lost", _spend(world, "lost_lease")._replace(record=over)


def _takes(world: World, number: int) -> Iterator[tuple[str, World]]:
    for copy in set(world.queue):
        if world.time >= copy.plan or not copy.due:  # the delay line gives nothing out before its time
            rest = list(world.queue)
            rest.remove(copy)
            worker = Worker(copy, copy, ("claim",))
            what = "the copy that came due" if copy.due else "a published copy"
            yield f"worker {number} takes {what}", _put(world, number, worker, queue=tuple(rest))


def _of_a_worker(world: World, number: int, worker: Worker, protocol: Protocol) -> Iterator[tuple[str, World]]:
    step, rest = worker.todo[0], worker.todo[1:]
    onward = worker._replace(todo=rest)
    owner = str(number)
    match step:
        case "claim":
            yield _claims(world, number, worker, protocol)
        case "send":
            yield from _sends(world, number, worker, protocol)
        case "commit":
            yield step, _put(world, number, onward, record=claims.commit(world.record, world.time, ALIVE))
        case "release":
            yield step, _put(world, number, onward, record=claims.release(world.record, owner, world.time))
        case "schedule":
            plan = Schedule(KEY, worker.copy.gen, worker.copy.plan)
            scheduled = claims.schedule(world.record, plan, owner, ALIVE, world.time)
            newest = max(world.newest, worker.copy.gen) if scheduled else world.newest
            yield step, _put(world, number, onward, record=scheduled or world.record, newest=newest)
        case "hold":
            held = worker.copy._replace(due=True, replaces=False)
            yield step, _put(world, number, onward, queue=_sorted(*world.queue, held))
        case "settle":
            yield step, _put(world, number, onward._replace(settled=True))


def _claims(world: World, number: int, worker: Worker, protocol: Protocol) -> tuple[str, World]:
    copy = worker.copy
    stage = Stage.DUE if copy.due and protocol.tells_stages_apart else Stage.INTAKE
    ask = Ask(KEY, stage, copy.gen, copy.plan, copy.replaces)
    record, claim = protocol.claim(world.record, ask, Claimed(str(number), ALIVE), world.time)
    if claim.answer is Answer.GRANTED:
        plan = copy.plan if claim.due_at is None else claim.due_at
        granted = copy._replace(plan=plan, gen=copy.gen if claim.gen is None else claim.gen)
        todo: Steps = ("send",) if world.time >= plan else protocol.later
        asker = worker._replace(todo=todo, owns=True, anew=claim.gen is not None, copy=granted)
    else:
        asker = worker._replace(todo=protocol.busy if claim.answer is Answer.BUSY else protocol.known)
    return f"asks: {claim.answer.value}", _put(world, number, asker, record=record)


def _sends(world: World, number: int, worker: Worker, protocol: Protocol) -> Iterator[tuple[str, World]]:
    sent = world._replace(
        sends=world.sends + 1,
        sent_after_cancel=world.sent_after_cancel or world.cancelled,
        sent_before_move=world.sent_before_move or (world.moved and world.time < LAST),
        sent_stale=world.sent_stale or worker.copy.gen < world.newest,
    )
    glad = worker._replace(todo=protocol.accepted)
    sad = worker._replace(todo=protocol.failed_anew if worker.anew else protocol.failed)
    yield "sends", _put(sent, number, glad, accepted=True)
    if world.left.failed_send:
        yield "sends and fails", _put(_spend(sent, "failed_send"), number, sad)
    if world.left.lost_reply:
        yield "sends and loses the reply", _put(_spend(sent, "lost_reply"), number, sad, accepted=True)


def _put(world: World, number: int, worker: Worker | None, **changes: object) -> World:
    """The world with this worker in it, idle if it has nothing left to do."""
    if worker is not None and not worker.todo:
        worker = None
    workers = (*world.workers[:number], worker, *world.workers[number + 1 :])
    return world._replace(workers=workers, **changes)  # type: ignore[arg-type]


def _cost(faults: Faults) -> int:
    """How many of them may cost a send: a cancel may not, nor may a move."""
    return sum(faults) - faults.cancel - faults.move


def _spend(world: World, fault: str) -> World:
    return world._replace(left=world.left._replace(**{fault: getattr(world.left, fault) - 1}))


def _is_alive(world: World, owner: str) -> bool:
    worker = world.workers[int(owner)]
    return worker is not None and worker.owns


def _sorted(*copies: Copy) -> tuple[Copy, ...]:
    return tuple(sorted(copies))


class Exploration:
    """Every world that can come about, and by what steps."""

    def __init__(self, first: World, protocol: Protocol, *, at_most: int = 500_000) -> None:
        self.first = first
        self._came_from: dict[World, tuple[World, str] | None] = {first: None}
        self._leads_to: dict[World, list[World]] = {}
        todo = deque([first])
        while todo:
            world = todo.popleft()
            nexts = list(next_worlds(world, protocol))
            self._leads_to[world] = [after for _, after in nexts]
            for event, after in nexts:
                if after not in self._came_from:
                    self._came_from[after] = (world, event)
                    todo.append(after)
            if len(self._came_from) > at_most:
                raise AssertionError(f"more than {at_most} worlds: the model has no end")

    def __len__(self) -> int:
        return len(self._came_from)

    def find(self, bad: Callable[[World], bool]) -> list[str] | None:
        """The shortest story that ends in such a world, or None."""
        for world in self._came_from:  # breadth first, so the first found is the nearest
            if bad(world):
                return self._story(world)
        return None

    def too_many_sends(self) -> list[str] | None:
        """A story that breaks the formula: sends <= 1 + crashes + lost leases + failed or ambiguous sends."""
        return self.find(lambda world: world.sends > 1 + _cost(self.first.left) - _cost(world.left))

    def stuck(self) -> list[str] | None:
        """A story after which nothing can ever come to an end."""
        comes_from: dict[World, list[World]] = {}
        for world, afters in self._leads_to.items():
            for after in afters:
                comes_from.setdefault(after, []).append(world)
        fine = {world for world in self._came_from if world.is_over}
        todo = list(fine)
        while todo:
            for before in comes_from.get(todo.pop(), ()):
                if before not in fine:
                    fine.add(before)
                    todo.append(before)
        return self.find(lambda world: world not in fine)

    def most_sends(self) -> int:
        return max(world.sends for world in self._came_from)

    def _story(self, world: World) -> list[str]:
        story: list[str] = []
        while step := self._came_from[world]:
            world, event = step
            story.append(event)
        return story[::-1]
