"""The guide names what there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from pydantic import BaseModel

from bridge.core.levels import LEVELS, Levels
from bridge.deadletters.kafka import KafkaDeadLettersSettings
from bridge.delays.kafka import KafkaDelaySettings
from bridge.kafka import connection, feed, membership, pace, reading, sweeping, tokens
from bridge.kafka.options import Mechanism, Sasl, Tls
from bridge.settings.policies import LimitsSettings
from bridge.sources.kafka import KafkaSourceSettings
from tests.unit.markdown import ROOT, paper

GUIDE = paper("docs/kafka.md")
PARTS: dict[str, type[BaseModel]] = {
    "source": KafkaSourceSettings,
    "delay": KafkaDelaySettings,
    "dead_letters": KafkaDeadLettersSettings,
}
SOURCE = "".join(path.read_text("utf-8") for path in Path(ROOT, "bridge").rglob("*.py"))


def test_names_are_those_of_the_levels() -> None:
    levels = Levels("bridge")
    for name in (levels.topic(LEVELS[0]), levels.topic(LEVELS[-1]), levels.group):
        assert f"`{name}`" in GUIDE.text


def test_log_lines_are_written() -> None:
    lines = set(re.findall(r"log line (?:is )?`(\w+)`", GUIDE.text))
    assert lines == {
        "levels_not_swept",
        "partition_stuck",
        "offsets_truncated",
        "topic_restarted",
        "store_not_shared",
        "topic_not_verified",
    }
    assert {line for line in lines if f'"{line}"' not in SOURCE} == set()


def test_settings_are_there() -> None:
    named = re.findall(r"`(source|delay|dead_letters)\.(\w+)`", GUIDE.text)
    assert named
    assert [(part, name) for part, name in named if name not in PARTS[part].model_fields] == []


def test_defaults_are_those_of_the_settings() -> None:
    source, delay = KafkaSourceSettings.model_fields, KafkaDelaySettings.model_fields
    assert source["commit_interval"].default == 0.5
    assert "half a second" in GUIDE.text
    assert f"`source.rebalance_drain` ({source['rebalance_drain'].default:g} s)" in GUIDE.text
    assert f"`delay.partitions` ({delay['partitions'].default})" in GUIDE.text
    for name, size in (
        ("limits.max_event_bytes", LimitsSettings.model_fields["max_event_bytes"].default),
        ("source.prefetch_bytes", source["prefetch_bytes"].default),
        ("delay.max_record_bytes", delay["max_record_bytes"].default),
        ("dead_letters.max_record_bytes", KafkaDeadLettersSettings.model_fields["max_record_bytes"].default),
    ):
        assert f"`{name}` ({size >> 20} MiB)" in GUIDE.text


def test_limits_are_those_of_the_code() -> None:
    assert f"every call ends within {connection.CALL_LIMIT:g} s, a produce within {feed.SEND_LIMIT:g} s" in GUIDE.text
    assert f"at most {pace.WINDOW:,} offsets" in GUIDE.text
    assert f"session timeout of {membership.SESSION_MS // 1000} s" in GUIDE.text
    assert membership.REBALANCE_MS == sweeping.EVERY * 1000 == reading.RETRY_STUCK * 1000 == 60_000
    assert (reading.TRIES, "tried five times, then every minute" in GUIDE.text) == (5, True)


def test_settings_of_security_are_there() -> None:
    security = GUIDE.text.partition("## Security\n")[2].partition("\n## ")[0]
    for model in (Tls, Sasl):
        kind = model.__name__.lower()
        shown = re.findall(rf"`{kind}: \{{(.+?)\}}`", security)
        named = re.findall(r"(\w+): ", ", ".join(shown)) + re.findall(rf"`{kind}\.(\w+)", security)
        assert named
        assert set(named) <= set(model.model_fields)
    said = set(re.findall(r"`(\w+)`", security))
    own = set(Tls.model_fields) | set(Sasl.model_fields)
    assert {"key_password", "token_command", "password_file", "extensions"} <= said & own
    assert f"`token_timeout` ({Sasl.model_fields['token_timeout'].default:g} s)" in security
    assert tokens.FRESH == 4 / 5
    assert "four fifths" in security
    assert set(get_args(Mechanism)) <= set(re.findall(r"[A-Z][A-Z0-9-]{4,}", security))
