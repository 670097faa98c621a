"""
The command line: `event-bridge run | check | health | publish | delayed | dlq | schema | devserver`.

Only argparse is imported here, so that `--help` and a mistyped option answer at once; each command imports its own.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bridge import __version__
from bridge.errors import ConfigError

OK, FAULT, CONFIG = 0, 1, 78
"""Exit codes: done; something went wrong while running; a person must change the settings (EX_CONFIG)."""

KINDS = ("poison", "rejected", "exhausted", "expired", "stuck", "too_late", "conflict", "returned", "foreign")
"""Why an event is in the dead letters; the last two were brought there by others than the bridge."""

SHAPES = ("trigger", "trigger-v2", "sendevent", "zopio", "inngest", "cloudevents", "raw")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say and return the exit code."""
    options = parser().parse_args(arguments)
    command = importlib.import_module(f"bridge.cli.{options.command}")
    try:
        return int(command.main(options))
    except ConfigError as error:
        report(error)
        return CONFIG
    except BrokenPipeError:
        # Whoever read our output has left, as `| head` does. Nothing may be flushed into the pipe again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAULT
    except KeyboardInterrupt:
        return 130


def report(error: ConfigError) -> None:
    """Show what is wrong with the settings, one problem a line."""
    lines = str(error).splitlines()
    count = "one problem" if len(lines) == 1 else f"{len(lines)} problems"
    print(f"event-bridge: {count} in the settings", *(f"  {line}" for line in lines), sep="\n", file=sys.stderr)  # noqa: T201


def parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    top = argparse.ArgumentParser(
        prog="event-bridge",
        description="Takes events off RabbitMQ or Kafka and hands each to an event API, once and on time.",
        epilog="Exit codes: 0 done, 1 fault, 78 settings. Settings: docs/configuration.md.",
    )
    top.add_argument("--version", action="version", version=f"event-bridge {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    settings = _settings_options()
    _run(_add(commands, "run", "run the bridge until SIGTERM or SIGINT", parents=[settings]))
    _check(_add(commands, "check", "check the settings, without side effects", parents=[settings]))
    _health(_add(commands, "health", "ask the running bridge how it is, for a container's health check"))
    _publish(_add(commands, "publish", "publish events to a route's source", parents=[settings]))
    _dlq(_add(commands, "dlq", "look at the dead letters of a route, replay or delete them"), settings)
    _delayed(_add(commands, "delayed", "show, cancel or move an event that is scheduled"), settings)
    _schema(_add(commands, "schema", "print the JSON schema of the settings"))
    _devserver(_add(commands, "devserver", "run a local event API for development"))
    return top


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    purpose: str,
    parents: Sequence[argparse.ArgumentParser] = (),
) -> argparse.ArgumentParser:
    description = f"{purpose[0].upper()}{purpose[1:]}."
    return commands.add_parser(name, help=purpose, description=description, parents=list(parents))


def _settings_options() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    group = common.add_argument_group("settings")
    group.add_argument(
        "-c",
        "--config",
        type=Path,
        metavar="FILE",
        help="YAML file (default: $BRIDGE_CONFIG, else ./event-bridge.yaml)",
    )
    group.add_argument(
        "--set",
        dest="assignments",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="override one setting, such as source.queue=orders; may be repeated",
    )
    return common


def _run(command: argparse.ArgumentParser) -> None:
    command.add_argument("--worker", help=argparse.SUPPRESS)  # how a worker is told that it is one


def _check(command: argparse.ArgumentParser) -> None:
    command.add_argument("--connect", action="store_true", help="also reach the broker, the store and the target")
    command.add_argument("--json", action="store_true", help="write the result as JSON")


def _health(command: argparse.ArgumentParser) -> None:
    command.add_argument("--ready", action="store_true", help="ask /readyz; without it, /livez")
    command.add_argument(
        "--url", help="where the admin port is (default: http://127.0.0.1 with the port of BRIDGE_ADMIN__PORT, or 9464)"
    )


def _publish(command: argparse.ArgumentParser) -> None:
    command.add_argument("--route", metavar="NAME", help="the route whose source gets them (default: the only one)")
    command.add_argument(
        "--shape", choices=SHAPES, default="trigger", help="the shape of the envelope (default: trigger)"
    )
    command.add_argument("--name", required=True, help="the event's name, such as user.created")
    command.add_argument("--data", default="{}", metavar="JSON", help="the payload; @FILE reads a file, - reads stdin")
    command.add_argument("--id", help="the event's id (default: a random one); with --count, -1, -2 ... is added")
    command.add_argument("--delay", metavar="TIME", help="deliver that much later, such as 30s or 1h30m")
    command.add_argument("--count", type=int, default=1, metavar="N", help="how many to publish (default: 1)")
    command.add_argument(
        "--header",
        dest="headers",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a header to send along; may be repeated",
    )
    command.add_argument("--key", help="Kafka: the key of the records; events of one key keep their order")
    command.add_argument("--topic", help="Kafka: the topic (default: the only one that the source reads)")


def _dlq(command: argparse.ArgumentParser, settings: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    found = _add(actions, "list", "list the oldest, one a line, without payloads", parents=[settings])
    shown = _add(actions, "show", "show one with its headers and payload", parents=[settings])
    back = _add(actions, "replay", "send them through the route once more", parents=[settings])
    purged = _add(actions, "purge", "delete all of them", parents=[settings])
    which = "its event's id, or its number in the list"
    shown.add_argument("which", metavar="ID", help=which)
    back.add_argument("which", nargs="*", metavar="ID", help=f"{which} (default: all that --kind and --limit leave)")
    for action, most in ((found, 50), (shown, 1_000), (back, 1_000)):
        action.add_argument(
            "--limit", type=int, default=most, metavar="N", help=f"look at the N oldest (default: {most})"
        )
    for action in (found, back):
        action.add_argument("--kind", choices=KINDS, help="only those of this kind")
    for action in (found, shown):
        action.add_argument("--json", action="store_true", help="write JSON")
    for action in (found, shown, back, purged):
        action.add_argument("--route", metavar="NAME", help="the route (default: the only one)")
    purged.add_argument("--yes", action="store_true", required=True, help="really: nothing brings them back")


def _delayed(command: argparse.ArgumentParser, settings: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    shown = _add(actions, "show", "show when it is due, or what became of it", parents=[settings])
    cancelled = _add(actions, "cancel", "see to it that it is never sent", parents=[settings])
    moved = _add(actions, "move", "have it sent at another time", parents=[settings])
    for action in (shown, cancelled, moved):
        action.add_argument("id", metavar="ID", help="the event's id")
        action.add_argument("--route", metavar="NAME", help="the route (default: the only one)")
        action.add_argument("--source", metavar="URI", help="of a CloudEvent: its source")
    when = moved.add_mutually_exclusive_group(required=True)
    when.add_argument("--until", metavar="TIME", help="the new time, such as 2030-01-31T12:00:00Z")
    when.add_argument("--in", dest="wait", metavar="TIME", help="the new time, from now, such as 30s or 1h30m")
    moved.add_argument(
        "--event",
        type=Path,
        metavar="FILE",
        help="the event as JSON: needed for a time before the old one; it goes by a control envelope",
    )
    moved.add_argument("--key", help="Kafka: the key of the control envelope's record")
    moved.add_argument("--topic", help="Kafka: the topic (default: the only one that the source reads)")


def _schema(command: argparse.ArgumentParser) -> None:
    instead = command.add_mutually_exclusive_group()
    instead.add_argument("--markdown", action="store_true", help="print the reference page instead")
    instead.add_argument("--metrics", action="store_true", help="print the reference of the metrics instead")


def _devserver(command: argparse.ArgumentParser) -> None:
    command.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    command.add_argument("--port", type=int, default=8288, help="port to listen on, 0 for a free one (default: 8288)")
    command.add_argument(
        "--key", dest="keys", action="append", default=[], help="accept only this key; may be repeated"
    )
    command.add_argument(
        "--webhook-secret",
        dest="webhook_secrets",
        action="append",
        default=[],
        metavar="whsec_...",
        help="check the signatures of webhooks with it; may be repeated",
    )
    command.add_argument(
        "--fault",
        dest="faults",
        action="append",
        default=[],
        metavar="SPEC",
        help='misbehave on purpose, such as "status=503,rate=0.2"; may be repeated',
    )
    command.add_argument("--seed", type=int, help="repeat the same dice in rates and jitters")
