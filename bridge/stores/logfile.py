"""One SQLite file: locked against a second process, and replaced by what is sound in it when it proves damaged."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bridge.errors import ConfigError, StoreUnavailable
from bridge.stores import schema
from bridge.stores.clock import Clock
from bridge.stores.filelock import FileLock
from bridge.stores.schema import Synchronous

log = logging.getLogger(__name__)

_BUSY_TIMEOUT: Final = 5.0  # seconds; only somebody's sqlite3 shell can hold the database's own lock
_HOPELESS: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})


class LogFile:
    """
    The connection to the file, from `open()` to `close()`.

    Damage is no error: what is sound moves to a new file, the old one is set aside, and `damaged` counts the rest.
    """

    def __init__(self, path: Path, *, synchronous: Synchronous, clock: Clock) -> None:
        self._path = path
        self._synchronous = synchronous
        self._clock = clock
        self._lock = FileLock(path)
        self._db: sqlite3.Connection | None = None
        self.damaged = 0

    def open(self) -> None:
        """Lock and open the file, made if need be. Raises ConfigError or StoreUnavailable."""
        self._lock.acquire()
        try:
            with self.explained():
                try:
                    self._db = self._connect(self._path)
                except schema.SQLITE_FAULTS as error:
                    if not self.is_damage(error):
                        raise
                    self.replace()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close and unlock. Never raises; may be called twice."""
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
            self._db = None
        self._lock.release()

    @property
    def db(self) -> sqlite3.Connection:
        if not self._lock.is_held:
            raise StoreUnavailable(f"the key store {self._path} is closed")
        if self._db is None:  # putting a new file in place of a damaged one went wrong half-way
            self._db = self._connect(self._path)
        return self._db

    @property
    def size(self) -> int:
        """Bytes of the file, without what SQLite keeps beside it."""
        return self._path.stat().st_size

    @property
    def room(self) -> int:
        """Bytes left on its disk."""
        return shutil.disk_usage(self._path.parent).free

    def replace(self) -> None:
        """
        Put a new file in place of the damaged one, with all that is sound in it.

        The new one is complete before the old one moves, so that a crash on the way only repeats this.
        """
        fresh, aside = Path(f"{self._path}.new"), Path(f"{self._path}.damaged-{self._clock()}")
        _remove(fresh)
        lost = self._copy_sound(fresh)
        if self._db is not None:
            self._db.close()
            self._db = None
        for suffix in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self._path}{suffix}").replace(f"{aside}{suffix}")
        Path(f"{self._path}-shm").unlink(missing_ok=True)
        fresh.replace(self._path)
        self._db = self._connect(self._path)
        self.damaged += lost
        log.error("key_store_damaged", extra={"path": str(self._path), "set_aside": str(aside), "lost": lost})

    def is_damage(self, error: Exception) -> bool:
        """Whether to `replace()` the file. A damaged header may also forbid writing what the permissions allow."""
        read_only = schema.code_of(error) == sqlite3.SQLITE_READONLY and os.access(self._path, os.W_OK)
        return read_only or schema.is_damage(error)

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what SQLite and the file system report into ConfigError and StoreUnavailable."""
        try:
            yield
        except schema.SQLITE_FAULTS as error:
            code = schema.code_of(error) & 0xFF
            if code in _HOPELESS:
                raise ConfigError(
                    "store.path",
                    f"{self._path} cannot be opened and written ({error})",
                    "Let this user write the file and its directory, or choose another path",
                ) from error
            cure = "; free some space there" if code == sqlite3.SQLITE_FULL else ""
            raise StoreUnavailable(f"the key store {self._path} cannot be used: {error}{cure}") from error
        except OSError as error:
            raise StoreUnavailable(f"the key store {self._path} cannot be used: {error.strerror}") from error

    def _connect(self, path: Path) -> sqlite3.Connection:
        db = _connection(path)
        try:
            if schema.is_foreign(db):
                raise ConfigError("store.path", f"{path} is a database of something else", "Choose another path")  # noqa: TRY301  closed below like after any other
            for pragma in (*schema.PRAGMAS, f"synchronous={self._synchronous.upper()}"):
                db.execute(f"PRAGMA {pragma}")
            db.execute(schema.CREATE_WAITING)
            db.execute("PRAGMA user_version=1")  # a write, to learn here and now whether there can be one
        except BaseException:
            db.close()
            raise
        return db

    def _copy_sound(self, fresh: Path) -> int:
        """Make the new file; return how much of the old one is lost, at least 1: it was found damaged."""
        with contextlib.closing(self._connect(fresh)) as new:
            old = self._salvage()
            if old is None:
                return 1
            with contextlib.closing(old):
                return max(1, schema.copy_sound(old, new))

    def _salvage(self) -> sqlite3.Connection | None:
        """Open for reading what is left, even of a file that was cut short; None where that is nothing."""
        db = _connection(self._path)
        try:
            db.execute("PRAGMA writable_schema=ON")  # without it SQLite refuses a file with pages missing
            schema.generations(db)
        except schema.SQLITE_FAULTS as error:
            db.close()
            if not self.is_damage(error):
                raise
            return None
        return db


def _connection(path: Path) -> sqlite3.Connection:
    # `check_same_thread`: opened and read in one thread, written in another, but never used in two at once.
    db = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_TIMEOUT, check_same_thread=False)
    db.text_factory = lambda raw: raw.decode(errors="replace")  # a damaged name is no reason to stop
    return db


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
