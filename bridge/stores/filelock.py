"""One process a key store: a lock that goes with the process, however that ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from bridge.errors import ConfigError, StoreUnavailable


class FileLock:
    """
    An exclusive flock on a file beside the database.

    Not SQLite's own exclusive mode, so that `sqlite3 -readonly` may look into the live database; and not on the
    database itself, because it has to hold while a damaged database is replaced. The file is never deleted: a second
    process may have it open already, and would then hold a lock on nothing.
    """

    def __init__(self, path: Path) -> None:
        """Lock the database at `path`."""
        self._path = path
        self._fd: int | None = None

    @property
    def is_held(self) -> bool:
        return self._fd is not None

    def acquire(self) -> None:
        """Raise StoreUnavailable when another process holds it, ConfigError when there can be no such file."""
        try:
            fd = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigError(
                "store.path",
                f"cannot write {self._path}.lock ({error.strerror})",
                "Create the directory and let this user write in it, or choose another path",
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(fd)
            raise StoreUnavailable(
                f"store.path: {self._path} is locked by another process. Stop that one, or give each its own path; "
                "several instances on one queue share a store of the type redis"
            ) from error
        except OSError as error:
            os.close(fd)
            raise ConfigError(
                "store.path",
                f"the file system of {self._path} knows no locks ({error.strerror})",
                "Put the store on a local disk",
            ) from error
        self._fd = fd

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
