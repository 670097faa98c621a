"""
Settings that come as text under a name: environment variables, files of a secrets directory, `--set`.

    BRIDGE_SOURCE__QUEUE=orders             source.queue
    BRIDGE_ROUTES__ORDERS__SOURCE__QUEUE=o  routes.orders.source.queue
    BRIDGE_SOURCE__URL_FILE=/etc/url        source.url, from the file
    BRIDGE_FILTER__INCLUDE=user.*,order.*   a list; as JSON too
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from bridge.settings.layers import Written
from bridge.settings.places import Place
from bridge.settings.problems import Problem, did_you_mean

PREFIX = "BRIDGE_"
CONFIG, SECRETS_DIR = "BRIDGE_CONFIG", "BRIDGE_SECRETS_DIR"
DEFAULT_SECRETS_DIR = "/run/secrets"

_MAX_SECRET_BYTES = 64 << 10
_SERVICE_LINK = re.compile(r"BRIDGE_(?!.*__)(.*_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)")
"""What Kubernetes adds to every container when a Service is called `bridge` or `bridge-...` (enableServiceLinks)."""


class Reader:
    """Collects what is written, and the problems, from sources of named texts."""

    def __init__(self, root: Place) -> None:
        self._root = root
        self.problems: list[Problem] = []

    def environment(self, variables: Mapping[str, str]) -> tuple[list[Written], list[Written]]:
        """Give the values of the variables, and the values of the secret files that they name."""
        direct: dict[tuple[str, ...], Written] = {}
        files: list[Written] = []
        for name, text in sorted(variables.items()):
            if (
                not name.startswith(PREFIX)
                or name in (CONFIG, SECRETS_DIR)
                or _SERVICE_LINK.fullmatch(name)
                or not text
            ):
                continue
            trail = _trail_of(name)
            if place := self._place(trail):
                self._add(direct, trail, self._value(place, text, trail, name), name)
            elif secret := self._secret_of(trail):
                self._file(files, secret, Path(text), name)
            else:
                self._unknown(name, trail)
        for written in files:
            if twin := direct.get(written.trail):
                problem = f"is set by {twin.where} and by {written.where}"
                self.problems.append(Problem(_dotted(written.trail), problem, "Set only one of the two"))
        return list(direct.values()), files

    def secrets(self, directory: Path, *, required: bool) -> list[Written]:
        """
        Give what the files `bridge_...` of a directory say, in upper or lower case.

        Where a setting can name a file itself (`key_file`), it gets the file's name: so a rotated secret is read again.
        """
        found: list[Written] = []
        try:
            paths = sorted(directory.iterdir())
        except OSError as error:
            if required:
                problem = f"cannot be read ({error.strerror})"
                self.problems.append(Problem(SECRETS_DIR, problem, "Name a directory that exists and can be read"))
            return found
        for path in paths:
            name = path.name.upper()
            if not name.startswith(PREFIX) or path.is_dir():
                continue
            trail = _trail_of(name)
            by_name = (*trail[:-1], f"{trail[-1]}_file")
            if self._place(by_name):
                found.append(Written(by_name, str(path), str(path)))
            elif self._place(trail):
                self._file(found, trail, path, str(path))
            else:
                self._unknown(name, trail, where=str(path))
        return found

    def assignments(self, pairs: Iterable[str]) -> list[Written]:
        """Give what `--set path=value` says."""
        found: list[Written] = []
        for pair in pairs:
            path, equals, text = pair.partition("=")
            trail, where = tuple(path.strip().split(".")), f"--set {path.strip()}"
            if not equals:
                self.problems.append(Problem(where, "has no value", "Write it as --set path=value"))
            elif place := self._place(trail):
                found.append(Written(trail, self._value(place, text, trail, where), where))
            else:
                known = (".".join(known) for known, _ in _known(self._root, trail))
                self.problems.append(_no_such(path, did_you_mean(path, known), where))
        return found

    def _add(self, found: dict[tuple[str, ...], Written], trail: tuple[str, ...], value: object, where: str) -> None:
        if twin := found.get(trail):
            problem = f"is set by {twin.where} and by {where}"
            self.problems.append(Problem(_dotted(trail), problem, "Set only one of the two"))
        found[trail] = Written(trail, value, where)

    def _file(self, found: list[Written], trail: tuple[str, ...], path: Path, where: str) -> None:
        try:
            with path.open("rb") as file:
                text = file.read(_MAX_SECRET_BYTES + 1).decode()
        except OSError as error:
            problem = f"names a file that cannot be read ({error.strerror})"
            self.problems.append(Problem(_dotted(trail), problem, "Correct the path or its permissions", where=where))
            return
        except UnicodeDecodeError:
            self.problems.append(Problem(_dotted(trail), "is not UTF-8", "Save the file as UTF-8", where=where))
            return
        if len(text) > _MAX_SECRET_BYTES:
            self.problems.append(Problem(_dotted(trail), "is larger than 64 KiB", "Name another file", where=where))
            return
        place = self._place(trail) or Place()
        found.append(Written(trail, self._value(place, text.rstrip("\r\n"), trail, where), where))

    def _place(self, trail: tuple[str, ...]) -> Place | None:
        place: Place | None = self._root
        for depth, name in enumerate(trail):
            if place is None or not name:
                return None
            # Free names (of headers, tasks) hold capitals and dots, which a variable cannot say: those take JSON whole.
            place = place.fields.get(name) or (place.each if depth == 1 and trail[0] == "routes" else None)
        return place

    def _secret_of(self, trail: tuple[str, ...]) -> tuple[str, ...] | None:
        """Find the secret setting that `..._file` stands for."""
        if not trail[-1].endswith("_file"):
            return None
        secret = (*trail[:-1], trail[-1].removesuffix("_file"))
        place = self._place(secret)
        return secret if place and place.secret else None

    def _value(self, place: Place, text: str, trail: tuple[str, ...], where: str) -> object:
        structured = bool(place.fields or place.each or place.many)
        if structured and text.lstrip().startswith(("{", "[")):
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                if not place.plain:
                    self.problems.append(Problem(_dotted(trail), "is not valid JSON", "Correct it", where=where))
                    return {}
        if place.many and not place.plain:
            return [item.strip() for item in text.split(",") if item.strip()]
        return text

    def _unknown(self, name: str, trail: tuple[str, ...], *, where: str = "") -> None:
        known = {_variable(known): place for known, place in _known(self._root, trail)}
        known |= {f"{variable}_FILE": place for variable, place in known.items() if place.secret}
        known |= dict.fromkeys((CONFIG, SECRETS_DIR), Place())
        # Without the prefix, which would make all of them alike.
        meant = did_you_mean(name.removeprefix(PREFIX), (variable.removeprefix(PREFIX) for variable in known))
        self.problems.append(_no_such(name, meant and PREFIX + meant, where))


def _trail_of(name: str) -> tuple[str, ...]:
    return tuple(name.removeprefix(PREFIX).lower().split("__"))


def _variable(trail: Iterable[str]) -> str:
    return PREFIX + "__".join(trail).upper()


def _dotted(trail: Iterable[str]) -> str:
    return ".".join(trail)


def _no_such(name: str, suggestion: str | None, where: str) -> Problem:
    cure = f"Did you mean {suggestion}?" if suggestion else "Remove it, or see `event-bridge schema` for what there is"
    return Problem(name, "is not a setting", cure, where="" if where == f"--set {name}" else where)


def _known(root: Place, trail: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], Place]]:
    """All places, with the route's name of `trail` put where any name may stand."""
    route = trail[1] if trail[0] == "routes" and len(trail) > 1 else "name"
    for known, place in root.walk():
        if "*" not in known[2:]:
            yield tuple(route if name == "*" else name for name in known), place
