"""The secrets of one target: read from the settings, a file or the environment, and read again while running."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence

from bridge.apis import SecretSource
from bridge.errors import ConfigError
from bridge.ports import Secrets

log = logging.getLogger(__name__)

MAX_FILE = 64 << 10  # bytes; more is not a secret but a wrong file
_WORTH_HIDING = 6  # characters; shorter ones stand in ordinary words too
MASK = "***"


class Credentials:
    """
    The live values of each secret, newest first: one a line.

    `load` is strict, for the start. `refresh` keeps what it has where a new value cannot be read or used, since a file
    may be missing for a moment while it is being replaced.
    """

    def __init__(
        self, sources: Sequence[SecretSource], *, where: str = "target", environ: Mapping[str, str] = os.environ
    ) -> None:
        """`where` is the path of the target in the settings, for errors."""
        self._sources = sources
        self._where = where
        self._environ = environ
        self._live: dict[str, tuple[str, ...]] = {}

    @property
    def live(self) -> Secrets:
        return self._live

    def load(self) -> None:
        """Read all. Raises ConfigError, naming the field and the variable, where one is missing or unusable."""
        self._live = {source.name: self._read(source) for source in self._sources}

    def refresh(self) -> bool:
        """Read all again; say whether anything has changed."""
        before = self._live
        now = dict(before)
        for source in self._sources:
            try:
                now[source.name] = self._read(source)
            except ConfigError as error:
                log.warning("secret_not_refreshed", extra={"field": error.field, "reason": error.problem})
        self._live = now
        if now != before:
            log.info("secrets_changed", extra={"field": self._where})
        return now != before

    def mask(self, body: bytes) -> bytes:
        """Replace every live secret in what came from outside, such as the words of an API that repeats a wrong key."""
        for values in self._live.values():
            for value in values:
                if len(value) >= _WORTH_HIDING:
                    body = body.replace(value.encode(), MASK.encode())
        return body

    def __repr__(self) -> str:
        return f"Credentials({', '.join(f'{source.name}={MASK}' for source in self._sources)})"

    def _read(self, source: SecretSource) -> tuple[str, ...]:
        field = f"{self._where}.{source.field}"
        values = tuple(line.strip() for line in self._text(source, field).splitlines() if line.strip())
        if not values:
            raise ConfigError(field, "is empty", f"Put the secret into {self._place(source)}")
        for value in values:
            problem = source.check(value)
            if problem is not None:
                raise ConfigError(field, problem, f"Correct it in {self._place(source)}")
        return values

    def _text(self, source: SecretSource, field: str) -> str:
        if source.value is not None:
            return source.value.get_secret_value()
        file = source.file or self._file_in_environment(source, field)
        if file is not None:
            return _content(file, field)
        if source.env is not None and source.env in self._environ:
            return self._environ[source.env]
        raise ConfigError(field, "is missing", f"Give it in {self._place(source)}")

    def _file_in_environment(self, source: SecretSource, field: str) -> str | None:
        file = self._environ.get(f"{source.env}_FILE") if source.env else None
        if file and source.env in self._environ:
            raise ConfigError(field, f"is given by both {source.env} and {source.env}_FILE", "Keep one of them")
        return file or None

    @staticmethod
    def _place(source: SecretSource) -> str:
        if source.file is not None:
            return source.file
        if source.value is not None or source.env is None:
            return "the settings"
        return f"the environment variable {source.env}, or {source.env}_FILE"


def _content(file: str, field: str) -> str:
    try:
        with open(file, "rb") as stream:  # noqa: PTH123  a name from the settings, opened as it is
            raw = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise ConfigError(
            field, f"cannot read {file}: {error.strerror}", "Create the file or correct its name"
        ) from error
    if len(raw) > MAX_FILE:
        raise ConfigError(field, f"{file} is too large for a secret", "Correct the name of the file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(field, f"{file} is no text", "Correct the name of the file") from None
