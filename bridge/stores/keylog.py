"""
The key log: one SQLite file of done keys in blocks, and of scheduled and cancelled records. Blocking, for one thread.

A table with one key a row costs 17 to 32 us a key, because each random key dirties a page of its own and the WAL copies
whole pages. Here a group commit is one row, whatever it carries: 0.1 us a key, and the lookup is in memory.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.core.claims import Waiting
from bridge.errors import ConfigError, StoreUnavailable
from bridge.stores import schema
from bridge.stores.clock import Clock
from bridge.stores.filelock import FileLock
from bridge.stores.generations import KEY_BYTES, split
from bridge.stores.schema import Row, Synchronous

log = logging.getLogger(__name__)

_BUSY_TIMEOUT: Final = 5.0  # seconds; only somebody's sqlite3 shell can hold the database's own lock
_HOPELESS: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})


@dataclass(slots=True, frozen=True)
class Entry:
    """What one call wants on disk, all or nothing."""

    keys: Sequence[bytes] = ()  # done
    put: Sequence[Row] = ()  # scheduled or cancelled
    forget: Sequence[bytes] = ()  # no longer so


class KeyLog:
    """
    The file, from `open()` to `close()`.

    Every method raises StoreUnavailable when the disk cannot do it now, and ConfigError when it never will. Damage is
    no error: what is sound moves to a new file, the old one is set aside, and `damaged` counts the rest. A key that is
    lost so costs a second send if its event is published again, never an event.
    """

    def __init__(self, path: Path, *, span: int, full: int, synchronous: Synchronous, clock: Clock) -> None:
        """Begin a new generation every `span` ms, and whenever the last one has `full` keys."""
        self._path = path
        self._span = span
        self._full = full
        self._synchronous = synchronous
        self._clock = clock
        self._lock = FileLock(Path(f"{path}.lock"))
        self._db: sqlite3.Connection | None = None
        self._born = 0  # of the generation that is written to
        self._size = 0  # keys in it
        self._condemned: set[int] = set()  # generations to drop as soon as the disk lets us
        self.damaged = 0

    def open(self) -> None:
        """Lock and open the file, made if need be. One that cannot be read at all is set aside."""
        self._lock.acquire()
        try:
            with self._explained():
                try:
                    self._db = self._connect(self._path)
                except sqlite3.DatabaseError as error:
                    if not schema.is_damage(error):
                        raise
                    self.damaged += 1
                    self._replace(None)
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

    def births(self) -> list[int]:
        """The generations in the file, oldest first."""
        with self._explained():
            return schema.generations(self._open_db())

    def blocks(self, born: int) -> Iterator[list[bytes]]:
        """The keys of a generation, a sound block at a time. The generation read last is the one written on."""
        self._born, self._size = born, 0
        with self._explained():
            for block in schema.read_blocks(self._open_db(), born):
                if block is None:
                    self.damaged += 1
                    continue
                keys = split(block)
                self._size += len(keys)
                yield keys

    def waiting(self) -> Iterator[tuple[bytes, Waiting]]:
        """The sound records of scheduled and cancelled keys."""
        with self._explained():
            for record in schema.read_waiting(self._open_db()):
                if record is None:
                    self.damaged += 1
                else:
                    yield record

    def write(self, entries: Sequence[Entry]) -> int:
        """Write all of it in one transaction; return the generation that the keys went to."""
        with self._explained():
            try:
                return self._write(entries)
            except sqlite3.DatabaseError as error:
                if not schema.is_damage(error):
                    raise
                self.damaged += 1
                self._replace(self._open_db())
                return self._write(entries)

    def condemn(self, born: int) -> None:
        """Drop a generation with the next `flush()`, or the first one that succeeds."""
        self._condemned.add(born)
        if born == self._born:
            self._born = 0

    def flush(self) -> None:
        """Make all that is written safe against a power cut, as far as nobody reads; drop what is condemned."""
        with self._explained():
            db = self._open_db()
            for born in sorted(self._condemned):
                db.execute(schema.drop_generation(born))
                self._condemned.remove(born)
            db.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def mend(self) -> None:
        """Move what is sound to a new file and set this one aside."""
        with self._explained():
            self._replace(self._open_db())

    def _write(self, entries: Sequence[Entry]) -> int:
        db, now = self._open_db(), self._clock()
        block = b"".join([key for entry in entries for key in entry.keys])
        fresh = not self._born <= now < self._born + self._span or self._size >= self._full
        born = now if fresh else self._born
        with _transaction(db):
            if fresh:
                db.execute(schema.create_generation(born))
            if block:
                db.execute(schema.insert_block(born), (zlib.crc32(block), block))
            for entry in entries:
                if entry.put:
                    db.executemany(schema.PUT, entry.put)
                if entry.forget:
                    db.executemany(schema.FORGET, [(key,) for key in entry.forget])
        self._size = len(block) // KEY_BYTES + (0 if fresh else self._size)
        self._born = born
        return born

    def _connect(self, path: Path) -> sqlite3.Connection:
        # `check_same_thread`: opened and read in one thread, written in another, never in two at once.
        db = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_TIMEOUT, check_same_thread=False)
        try:
            db.text_factory = lambda raw: raw.decode(errors="replace")  # a damaged name is no reason to stop
            for pragma in (*schema.PRAGMAS, f"synchronous={self._synchronous.upper()}"):
                db.execute(f"PRAGMA {pragma}")
            _refuse_foreign(db, path)
            db.execute("BEGIN IMMEDIATE")  # fails on a file that is read-only
            db.execute(schema.CREATE_WAITING)
            db.execute("COMMIT")
        except BaseException:
            db.close()
            raise
        return db

    def _replace(self, old: sqlite3.Connection | None) -> None:
        """
        Put a new file in place of the damaged one, with all that is sound in `old`.

        The new one is complete before the old one moves, so that a crash on the way only repeats this.
        """
        fresh, aside = Path(f"{self._path}.new"), Path(f"{self._path}.damaged-{self._clock()}")
        _remove(fresh)
        db = self._connect(fresh)
        try:
            if old is not None:
                schema.copy_sound(old, db)
        finally:
            db.close()
            if old is not None:
                old.close()
                self._db = None
        for suffix in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self._path}{suffix}").replace(f"{aside}{suffix}")
        Path(f"{self._path}-shm").unlink(missing_ok=True)
        fresh.replace(self._path)
        self._born = 0
        self._db = self._connect(self._path)
        log.error("key_store_damaged", extra={"path": str(self._path), "set_aside": str(aside), "lost": self.damaged})

    def _open_db(self) -> sqlite3.Connection:
        if self._db is None:
            raise StoreUnavailable(f"the key store {self._path} is closed")
        return self._db

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Say in our own terms what SQLite and the file system report."""
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
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


def _refuse_foreign(db: sqlite3.Connection, path: Path) -> None:
    if schema.is_foreign(db):
        raise ConfigError("store.path", f"{path} is a database of something else", "Choose a path for a new file")


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # SQLite rolls back by itself when the disk is full
            with contextlib.suppress(sqlite3.Error):
                db.execute("ROLLBACK")
        raise


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
