"""The real settings: precedence, problems in golden text, flat and named routes."""

from pathlib import Path

import pytest

from bridge.settings.load import Loaded, load, secrets_of
from bridge.settings.problems import Problems

FLAT = """\
source:
  type: rabbitmq
  url: amqp://file/
  queue: from-file
target:
  type: inngest
  url: http://localhost:8288
"""


class Given:
    """A directory with a settings file and secrets, and an environment."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.secrets = directory / "secrets"
        self.secrets.mkdir()

    def load(self, yaml: str = FLAT, sets: tuple[str, ...] = (), **environment: str) -> Loaded:
        file = self.directory / "bridge.yaml"
        file.write_text(yaml)
        secrets = {"BRIDGE_SECRETS_DIR": str(self.secrets)}
        return load(file=file, environment={**secrets, **environment}, assignments=sets)

    def problems(self, yaml: str, sets: tuple[str, ...] = (), **environment: str) -> list[str]:
        with pytest.raises(Problems) as caught:
            self.load(yaml, sets, **environment)
        return str(caught.value).splitlines()


@pytest.fixture
def given(tmp_path: Path) -> Given:
    return Given(tmp_path)


def url_of(loaded: Loaded) -> str:
    source = loaded.settings.routes["default"].source
    assert source.type == "rabbitmq"
    return source.url.get_secret_value()


def test_the_stronger_layer_wins(given: Given) -> None:
    assert url_of(given.load()) == "amqp://file/"
    (given.secrets / "bridge_source__url").write_text("amqp://mounted/\n")
    assert url_of(given.load()) == "amqp://mounted/"
    (given.directory / "url").write_text("amqp://named/\n")
    named = str(given.directory / "url")
    assert url_of(given.load(BRIDGE_SOURCE__URL_FILE=named)) == "amqp://named/"
    (given.secrets / "bridge_source__url").unlink()
    assert url_of(given.load(BRIDGE_SOURCE__URL="amqp://env/")) == "amqp://env/"
    assert url_of(given.load(sets=("source.url=amqp://set/",), BRIDGE_SOURCE__URL="amqp://env/")) == "amqp://set/"


def test_each_value_knows_where_it_was_written(given: Given) -> None:
    loaded = given.load(BRIDGE_SOURCE__URL="amqp://env/", sets=("limits.batch=7",))
    here = ("routes", "default")
    assert loaded.origin((*here, "source", "url")) == "BRIDGE_SOURCE__URL"
    assert loaded.origin((*here, "source", "queue")) == "bridge.yaml:4"
    assert loaded.origin((*here, "limits", "batch")) == "--set limits.batch"
    assert loaded.origin((*here, "limits", "linger")) == ""


def test_a_plain_format_knows_where_its_type_was_written(given: Given) -> None:
    loaded = given.load(f"{FLAT}format: inngest\n")
    assert loaded.origin(("routes", "default", "format", "type")) == "bridge.yaml:8"


def test_the_environment_alone_is_enough() -> None:
    environment = {
        "BRIDGE_SOURCE__TYPE": "rabbitmq",
        "BRIDGE_SOURCE__URL": "amqp://h/",
        "BRIDGE_SOURCE__QUEUE": "q",
        "BRIDGE_TARGET__TYPE": "zopio",
        "BRIDGE_TARGET__URL": "http://h",
        "BRIDGE_FILTER__INCLUDE": "user.*,order.*",
        "BRIDGE_LIMITS__LINGER": "20ms",
        "BRIDGE_NAMING": "reject",
    }
    route = load(file=None, environment=environment).settings.routes["default"]
    assert route.filter.include == ("user.*", "order.*")
    assert route.limits.linger == 0.02
    assert route.naming == "reject"


def test_delay_and_dead_letters_stand_where_the_source_stands(given: Given) -> None:
    route = given.load().settings.routes["default"]
    assert (route.delay.type, route.dead_letters.type) == ("rabbitmq", "rabbitmq")
    route = given.load(f"{FLAT}delay:\n  namespace: mine\n").settings.routes["default"]
    assert (route.delay.type, getattr(route.delay, "namespace", None)) == ("rabbitmq", "mine")
    memory = FLAT.replace("rabbitmq", "memory").replace("  url: amqp://file/\n  queue: from-file\n", "")
    route = given.load(memory).settings.routes["default"]
    assert (route.delay.type, route.dead_letters.type) == ("memory", "memory")


def test_durations_and_sizes_are_written_as_people_do(given: Given) -> None:
    settings = given.load(f"{FLAT}limits: {{max_hold: 2m30s, max_event_bytes: 1MiB}}\ndrain_timeout: 1m\n").settings
    assert settings.routes["default"].limits.max_hold == 150
    assert settings.routes["default"].limits.max_event_bytes == 1 << 20
    assert settings.drain_timeout == 60


def test_routes_have_names(given: Given) -> None:
    named = "x-s: &s {type: rabbitmq, url: 'amqp://h/'}\nroutes:\n"
    for name in ("eu-orders", "us"):
        named += f"  {name}:\n    source: {{<<: *s, queue: {name}}}\n    target: {{type: zopio, url: 'http://h'}}\n"
    loaded = given.load(named, BRIDGE_ROUTES__EU_ORDERS__LIMITS__BATCH="9")
    assert list(loaded.settings.routes) == ["eu-orders", "us"]
    assert loaded.settings.routes["eu-orders"].limits.batch == 9


@pytest.mark.parametrize("name", ["Orders", "a b", "a--b", "-a", "a_", "x" * 51, "a.b", '"é"'])
def test_a_route_name_that_fits_no_queue_or_label_is_refused(given: Given, name: str) -> None:
    (said,) = given.problems(f"routes:\n  {name}:\n    source: {{type: memory}}\n    target: {{type: memory}}\n")
    assert "a route's name has lower-case letters and digits" in said
    assert said.startswith("bridge.yaml:2: ")


PLANTED = """\
source:
  type: rabitmq
  url: amqp://user:canary@host/
target:
  type: trigger
  versin: v2
  url: ftp://canary.example
format:
  type: raw
  headr: x
naming: maybe
filter:
  unmatched: drop
limits:
  batch: many
  linger: 99
  max_event_bytes: 3XB
dedup:
  missing_id: drive
retry:
  base: 1h
  cap: 5s
  max_attempts: 1.5
store:
  type: memcached
log:
  level: loud
admin:
  enabled: perhaps
  queue: x
foo: canary
"""

GOLDEN = """\
BRIDGE_ADMIN__PROT: is not a setting. Did you mean BRIDGE_ADMIN__PORT?
retry.bas: is not a setting. Did you mean retry.base?
BRIDGE_DRAIN_TIMEOUT: drain_timeout: write it like "30s" or "1h30m", with the units ms, s, m, h, d. Correct it.
bridge.yaml:2: source.type: must be rabbitmq, kafka or memory. Did you mean "rabbitmq"?
bridge.yaml:4: target.version: is missing. Set it in the file, or as BRIDGE_TARGET__VERSION.
bridge.yaml:6: target.versin: is not a setting. Did you mean "version"?
bridge.yaml:7: target.url: must begin with http:// or https://. Correct it.
bridge.yaml:10: format.headr: is not a setting. Did you mean "header"?
bridge.yaml:11: naming: must be off, warn or reject. Write one of them.
bridge.yaml:13: filter.unmatched: must be settle or bury. Write one of them.
bridge.yaml:15: limits.batch: must be a whole number. Correct it.
bridge.yaml:16: limits.linger: must be less than or equal to 10. Correct it.
bridge.yaml:17: limits.max_event_bytes: write it like "3MiB", with the units b, kib, mib, gib, kb, mb, gb. Correct it.
bridge.yaml:19: dedup.missing_id: must be derive or reject. Did you mean "derive"?
bridge.yaml:23: retry.max_attempts: must be a whole number. Correct it.
bridge.yaml:25: store.type: must be sqlite, redis or memory. Write one of them.
bridge.yaml:27: log.level: must be debug, info, warning or error. Write one of them.
bridge.yaml:29: admin.enabled: must be true or false. Correct it.
bridge.yaml:30: admin.queue: is not a setting. Remove it; there is enabled, host or port.
bridge.yaml:31: foo: is not a setting. Remove it; there is \
"""


def test_all_that_is_wrong_is_said_at_once_and_no_value_is_repeated(given: Given) -> None:
    said = given.problems(PLANTED, sets=("retry.bas=1",), BRIDGE_ADMIN__PROT="canary", BRIDGE_DRAIN_TIMEOUT="canary")
    golden = GOLDEN.splitlines()
    assert said[:-1] == golden[:-1]
    assert said[-1].startswith(golden[-1])
    assert "canary" not in "\n".join(said)


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("", ["source: is missing. Set it in the file, or as BRIDGE_SOURCE__TYPE and so on.",
              "target: is missing. Set it in the file, or as BRIDGE_TARGET__TYPE and so on."]),
        ("routes: {}\n", ["bridge.yaml:1: routes: must have at least 1 of what it lists. Add what is missing."]),
        ("routes:\n  a: 3\n", ["bridge.yaml:2: routes.a: must be a mapping. Correct it."]),
        (f"{FLAT}routes: {{}}\n",
         ["bridge.yaml:1: source: stands beside `routes`. Move it below routes.<name>, or remove `routes`.",
          "bridge.yaml:5: target: stands beside `routes`. Move it below routes.<name>, or remove `routes`."]),
        (FLAT.replace("  type: rabbitmq\n", ""),
         ["bridge.yaml:1: source.type: is missing. Write rabbitmq, kafka or memory."]),
        (FLAT.replace("  queue: from-file\n", "  keep: 3\n"),
         ["bridge.yaml:1: source.queue: is missing. Set it in the file, or as BRIDGE_SOURCE__QUEUE.",
          "bridge.yaml:4: source.keep: is not a setting."]),
        (f"{FLAT}retry:\n  base: 30m\n  cap: 1m\n", ["bridge.yaml:8: retry: base must not exceed cap. Correct it."]),
        (f"{FLAT}limits:\n  max_event_bytes: 65MiB\n",
         ["bridge.yaml:8: limits: max_event_bytes must not exceed max_in_flight_bytes, or its largest event"]),
        (f"{FLAT}breaker:\n  probe_base: 2m\n", ["bridge.yaml:8: breaker: probe_base must not exceed probe_cap."]),
        (FLAT.replace("type: inngest", "type: memory"),
         ["bridge.yaml:7: target.url: is not a setting. Remove it; only the type "]),
        ("source: [1]\n", ["bridge.yaml:1: source: must be a mapping. Correct it.",
                           "target: is missing. Set it in the file, or as BRIDGE_TARGET__TYPE and so on."]),
        ("a: 1\na: 2\n", ["bridge.yaml:2: a: stands twice, first in line 1. Remove one of the two."]),
    ],
)  # fmt: skip
def test_each_problem_has_its_place_and_its_cure(given: Given, yaml: str, said: list[str]) -> None:
    found = sorted(given.problems(yaml))
    assert len(found) == len(said)
    for line, begin in zip(found, sorted(said), strict=True):
        assert line.startswith(begin)


def test_a_file_that_cannot_be_read_does_not_hide_what_else_is_wrong(given: Given) -> None:
    said = given.problems("a: [\n", BRIDGE_NAMIN="off")
    assert said[0] == "BRIDGE_NAMIN: is not a setting. Did you mean BRIDGE_NAMING?"
    assert said[1].startswith("bridge.yaml:2: bridge.yaml: is not YAML")


def test_the_default_file_is_read_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Problems):
        load(file=None, environment={})
    (tmp_path / "event-bridge.yaml").write_text(FLAT)
    assert load(file=None, environment={}).file == Path("event-bridge.yaml")
    (tmp_path / "other.yaml").write_text(FLAT.replace("from-file", "other"))
    loaded = load(file=None, environment={"BRIDGE_CONFIG": str(tmp_path / "other.yaml")})
    assert loaded.file == tmp_path / "other.yaml"


def test_every_secret_is_collected_with_the_password_in_a_url(given: Given) -> None:
    loaded = given.load(BRIDGE_SOURCE__URL="amqp://user:s3cret@h/", BRIDGE_TARGET__KEY="key-1")
    assert {"amqp://user:s3cret@h/", "s3cret", "key-1"} <= secrets_of(loaded.settings)
