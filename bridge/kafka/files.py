"""Small secret files: a password, a token."""

from __future__ import annotations

from typing import Final

from bridge.errors import ConfigError

MOST: Final = 64 << 10  # bytes; more is not a secret but a wrong file


def text_of(file: str, field: str) -> str:
    """Read a file. Raises ConfigError, naming `field`, that never repeats what is in it."""
    try:
        with open(file, "rb") as stream:  # noqa: PTH123  a name from the settings, opened as it is
            raw = stream.read(MOST + 1)
    except OSError as error:
        problem = f"cannot read {file}: {error.strerror}"
        raise ConfigError(field, problem, "Create the file or correct its name") from None
    if len(raw) > MOST:
        raise ConfigError(field, f"{file} is too large for a secret", "Correct the name of the file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(field, f"{file} is no text", "Correct the name of the file") from None
