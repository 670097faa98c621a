"""Rules that guard the promises: what must never be written, because somewhere it has lost events or told secrets."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.architecture.source import Module, Offence, Rule, Sample, calls_of

RETURNERS = frozenset({"nack", "basic_nack", "reject", "basic_reject"})
MAY_RETURN = "bridge/rabbitmq/consumer.py"
"""The one place that gives deliveries back, at shutdown."""

CARRY_OUT = frozenset({MAY_RETURN, "bridge/rabbitmq/native.py", "bridge/rabbitmq/throughclient.py"})
"""It says so to its subscription, of which there are two kinds."""

DECIDES_RETURN = "bridge/settling.py"
"""The one place that decides so."""

FORBIDDEN_ARGUMENTS = {
    ("no_ack", "True"): "the broker would forget a delivery before it is safe",
    ("allow_redirects", "True"): "a redirect would take keys to another origin",
    ("trust_env", "True"): "a proxy of the environment would see every event",
    ("on_return_raises", "False"): "an unroutable publish would pass for a durable one",
    ("mandatory", "False"): "an unroutable publish would vanish",
}
FORBIDDEN_TEXTS = {
    "x-expires": "the queue would delete itself with what waits in it",
    "INSERT OR IGNORE": "marks are a log of blocks, not a row a key",
}

MAY_COMMIT = "bridge/kafka/commits.py"
"""The one place that commits offsets."""

SEEKS = frozenset({"seek", "seek_to_beginning", "seek_to_end", "seek_to_committed"})
MAY_SEEK = {
    "bridge/kafka/membership.py": frozenset({"seek"}),
    "bridge/kafka/reading.py": frozenset({"seek"}),
    "bridge/kafka/renewal.py": frozenset({"seek"}),
    "bridge/kafka/reader.py": frozenset({"seek_to_beginning"}),
}
"""Where it is decided what is read next of a partition: when it is assigned, failed or made anew, and for tools."""

CONSUMER_SAYS = {
    "enable_auto_commit": (frozenset({"False"}), "the client would commit what was fetched, not what is safe"),
    "auto_offset_reset": (frozenset({"'earliest'", "'none'"}), "what is not known yet, or gone, would be skipped"),
    "value_deserializer": (frozenset[str](), "a value it cannot read would block its partition for ever"),
    "key_deserializer": (frozenset[str](), "a key it cannot read would block its partition for ever"),
}
CONSUMER_MUST_SAY = ("enable_auto_commit", "auto_offset_reset")
"""Arguments of a Kafka consumer: what they may be, and why nothing else; those that default to what loses events."""

EVENT_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LEVELS = frozenset({"debug", "info", "warning", "error", "exception", "critical"})
PRIVATE_DETAILS = frozenset(
    {"body", "data", "payload", "headers", "secret", "secrets", "key", "token", "password", "url"}
)


def one_returner(module: Module) -> Iterator[Offence]:
    if module.path in CARRY_OUT:
        return
    for called, node in calls_of(module.tree):
        if called.rpartition(".")[2] in RETURNERS or called.endswith("amqp.give_back"):
            yield Offence(module.path, node.lineno, f"{called}() counts against delivery limits: only {MAY_RETURN} may")


def one_decider(module: Module) -> Iterator[Offence]:
    if module.path in {DECIDES_RETURN, MAY_RETURN, "bridge/memory.py"}:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "Verdict.RETURN":
            yield Offence(module.path, node.lineno, f"giving back is decided in {DECIDES_RETURN}")


def no_traps(module: Module) -> Iterator[Offence]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute | ast.alias):
            name = node.attr if isinstance(node, ast.Attribute) else node.name
            if name == "connect_robust":
                yield Offence(module.path, node.lineno, f"{name} wedges for ever when a blocked connection drops")
    for called, node in calls_of(module.tree):
        if called.endswith(".process"):
            yield Offence(module.path, node.lineno, f"{called}() settles by leaving a block, and rejects by default")
        for argument in node.keywords:
            if why := FORBIDDEN_ARGUMENTS.get((argument.arg or "", ast.unparse(argument.value))):
                yield Offence(module.path, node.lineno, f"{argument.arg}: {why}")
            if argument.arg == "sock":
                yield Offence(module.path, node.lineno, "uvloop closes the descriptor of a socket it was given twice")


def no_trap_texts(module: Module) -> Iterator[Offence]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for text, why in FORBIDDEN_TEXTS.items():
                if node.value == text or (" " in text and text in node.value):
                    yield Offence(module.path, node.lineno, f"{text}: {why}")


def commits_name_offsets(module: Module) -> Iterator[Offence]:
    for called, node in calls_of(module.tree):
        owner, _, name = called.rpartition(".")
        if name != "commit" or not owner.endswith("consumer"):
            continue
        if not (node.args or node.keywords):
            yield Offence(module.path, node.lineno, f"{called}() commits what was fetched: name the offsets")
        if module.path != MAY_COMMIT:
            yield Offence(module.path, node.lineno, f"{called}() could overtake another commit: only {MAY_COMMIT} may")


def careful_consumers(module: Module) -> Iterator[Offence]:
    for called, node in calls_of(module.tree):
        if called.rpartition(".")[2] != "AIOKafkaConsumer":
            continue
        said = {argument.arg: ast.unparse(argument.value) for argument in node.keywords}
        for name in CONSUMER_MUST_SAY:
            if name not in said:
                yield Offence(module.path, node.lineno, f"{name} is missing: {CONSUMER_SAYS[name][1]}")
        for name, (allowed, why) in CONSUMER_SAYS.items():
            if name in said and said[name] not in allowed:
                yield Offence(module.path, node.lineno, f"{name}={said[name]}: {why}")


def few_seek(module: Module) -> Iterator[Offence]:
    for called, node in calls_of(module.tree):
        owner, _, name = called.rpartition(".")
        allowed = MAY_SEEK.get(module.path, frozenset())
        if owner.endswith("consumer") and name in SEEKS and name not in allowed:
            yield Offence(
                module.path, node.lineno, f"{called}() moves past records or back: only {sorted(MAY_SEEK)} may"
            )


def _log_calls(module: Module) -> Iterator[ast.Call]:
    for called, node in calls_of(module.tree):
        logger, _, level = called.rpartition(".")
        if logger in {"log", "_log", "logger", "self._log"} and level in LEVELS:
            yield node


def stable_log_events(module: Module) -> Iterator[Offence]:
    for node in _log_calls(module):
        if len(node.args) != 1 or not _stable(node.args[0]):
            yield Offence(module.path, node.lineno, "a log line is one stable snake_case name, its details are `extra`")


def _stable(event: ast.expr) -> bool:
    if isinstance(event, ast.IfExp):
        return _stable(event.body) and _stable(event.orelse)
    return isinstance(event, ast.Constant) and EVENT_NAME.fullmatch(str(event.value)) is not None


def discreet_logs(module: Module) -> Iterator[Offence]:
    for node in _log_calls(module):
        for argument in node.keywords:
            if argument.arg == "extra" and isinstance(argument.value, ast.Dict):
                names = {key.value for key in argument.value.keys if isinstance(key, ast.Constant)}
                if module.part == "devserver":
                    names.discard("url")  # the address it listens on itself, which holds no password
                for name in sorted(map(str, names & PRIVATE_DETAILS)):
                    yield Offence(module.path, node.lineno, f"{name!r} must not stand in a log line")


RULES = (
    Rule(
        "one place gives deliveries back",
        one_returner,
        (
            Sample("bridge/pipeline.py", "async def f(m):\n    await m.nack(requeue=True)"),
            Sample("bridge/rabbitmq/a.py", "async def f(c):\n    await c.basic_reject(7, requeue=False)"),
            Sample("bridge/delays/rabbitmq.py", "async def f(m):\n    await m.reject()"),
            Sample("bridge/settling.py", "def f(link):\n    link.amqp.give_back(1, 7)"),
        ),
        (
            *(Sample(path, "async def f(c):\n    await c.basic_nack(7, requeue=True)") for path in CARRY_OUT),
            Sample("bridge/gate.py", "x.rejected()"),
        ),
    ),
    Rule(
        "one place decides to give back",
        one_decider,
        (Sample("bridge/sending.py", "from bridge.model import Verdict\nx = Verdict.RETURN"),),
        (
            Sample("bridge/sending.py", "from bridge.model import Verdict\nx = Verdict.SETTLE"),
            Sample("bridge/memory.py", "x = verdict is Verdict.RETURN"),
        ),
    ),
    Rule(
        "known traps are not stepped into",
        no_traps,
        (
            Sample("bridge/rabbitmq/a.py", "import aio_pika\nx = aio_pika.connect_robust"),
            Sample("bridge/rabbitmq/a.py", "from aio_pika import connect_robust"),
            Sample("bridge/rabbitmq/a.py", "async def f(m):\n    async with m.process(requeue=True):\n        pass"),
            Sample("bridge/rabbitmq/a.py", "q.consume(f, no_ack=True)"),
            Sample("bridge/targets/a.py", "session.post(url, allow_redirects=True)"),
            Sample("bridge/rabbitmq/a.py", "c.channel(on_return_raises=False)"),
            Sample("bridge/targets/a.py", "loop.create_connection(make, sock=made)"),
        ),
        (
            Sample("bridge/rabbitmq/a.py", "aio_pika.connect(url)\nc.channel(on_return_raises=True)"),
            Sample("bridge/targets/a.py", "session.post(url, allow_redirects=False)\nprocess(x)"),
        ),
    ),
    Rule(
        "known traps are not declared",
        no_trap_texts,
        (
            Sample("bridge/rabbitmq/a.py", "ARGUMENTS = {'x-expires': 60_000}"),
            Sample("bridge/stores/a.py", "db.execute('INSERT OR IGNORE INTO keys VALUES (?)')"),
        ),
        (Sample("bridge/rabbitmq/a.py", '"""Why there is no x-expires here."""\nARGUMENTS = {"x-message-ttl": 1}'),),
    ),
    Rule(
        "commits name their offsets",
        commits_name_offsets,
        (
            Sample(MAY_COMMIT, "async def f(self):\n    await self._member.consumer.commit()"),
            Sample("bridge/kafka/session.py", "async def f(consumer):\n    await consumer.commit({place: (7, '')})"),
        ),
        (
            Sample(MAY_COMMIT, "async def f(consumer):\n    await consumer.commit({place: (7, '')})"),
            Sample("bridge/kafka/session.py", "async def f(self):\n    await self._commits.commit()"),
        ),
    ),
    Rule(
        "consumers of Kafka skip nothing by default",
        careful_consumers,
        (
            Sample("bridge/kafka/a.py", "AIOKafkaConsumer(group_id='a', auto_offset_reset='earliest')"),
            Sample("bridge/kafka/a.py", "AIOKafkaConsumer(enable_auto_commit=True, auto_offset_reset='earliest')"),
            Sample("bridge/kafka/a.py", "AIOKafkaConsumer(enable_auto_commit=False)"),
            Sample("bridge/kafka/a.py", "AIOKafkaConsumer(enable_auto_commit=False, auto_offset_reset='latest')"),
            Sample("bridge/kafka/a.py", "AIOKafkaConsumer(enable_auto_commit=False, auto_offset_reset=settings.begin)"),
            Sample(
                "bridge/kafka/a.py",
                "AIOKafkaConsumer(enable_auto_commit=False, auto_offset_reset='none', value_deserializer=loads)",
            ),
        ),
        (
            Sample("bridge/kafka/a.py", "AIOKafkaConsumer(enable_auto_commit=False, auto_offset_reset='earliest')"),
            Sample(
                "bridge/kafka/a.py", "aiokafka.AIOKafkaConsumer(enable_auto_commit=False, auto_offset_reset='none')"
            ),
        ),
    ),
    Rule(
        "few decide what is read next",
        few_seek,
        (
            Sample("bridge/kafka/session.py", "self._member.consumer.seek(place, 7)"),
            Sample("bridge/kafka/reading.py", "async def f(consumer):\n    await consumer.seek_to_end(place)"),
        ),
        (
            Sample("bridge/kafka/reading.py", "self._member.consumer.seek(place, expected)"),
            Sample("bridge/stores/logfile.py", "file.seek(0)"),
        ),
    ),
    Rule(
        "log lines have stable names",
        stable_log_events,
        (
            Sample("bridge/gate.py", "log.info(f'opened {x}')"),
            Sample("bridge/gate.py", "log.warning('Breaker opened')"),
            Sample("bridge/gate.py", "log.warning('opened', x)"),
            Sample("bridge/gate.py", "log.error(name)"),
        ),
        (
            Sample("bridge/gate.py", "log.warning('breaker_opened', extra={'reason': x})"),
            Sample("bridge/gate.py", "log.warning('shut' if shut else 'open')"),
            Sample("bridge/core/a.py", "import math\nx = math.log(2)"),
        ),
    ),
    Rule(
        "log lines keep payloads and secrets to themselves",
        discreet_logs,
        (
            Sample("bridge/gate.py", "log.info('sent', extra={'body': x})"),
            Sample("bridge/gate.py", "log.info('sent', extra={'reason': 1, **more, 'password': x})"),
        ),
        (Sample("bridge/gate.py", "log.info('sent', extra={'event_id': x})"),),
    ),
)
