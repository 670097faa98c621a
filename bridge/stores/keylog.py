"""
The key log: done keys in blocks, scheduled and cancelled records in rows. Blocking, for one thread at a time.

A table with one key a row costs 17 to 32 us a key, because each random key dirties a page of its own and the WAL copies
whole pages. Here a group commit is one row, whatever it carries: 0.1 us a key, and the lookup is in memory.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from bridge.core.claims import Waiting
from bridge.stores import schema
from bridge.stores.clock import Clock
from bridge.stores.generations import KEY_BYTES, split
from bridge.stores.logfile import LogFile
from bridge.stores.schema import Row, Synchronous

log = logging.getLogger(__name__)

# With a block for each event; 20.6 with blocks of 100. Beside it the WAL, at its ceiling. (measured)
_BYTES_A_KEY: Final = 32
_BYTES_BESIDE: Final = 17_000_000


class Entry(NamedTuple):
    """What one call wants on disk, all or nothing."""

    keys: Sequence[bytes] = ()  # done
    put: Sequence[Row] = ()  # scheduled or cancelled
    forget: Sequence[bytes] = ()  # no longer so


class KeyLog:
    """
    The log, from `open()` to `close()`.

    Every method raises StoreUnavailable when the disk cannot do it now, and ConfigError when it never will. A key that
    is lost to damage costs a second send if its event is published again, never an event.
    """

    def __init__(self, path: Path, *, span: int, full: int, synchronous: Synchronous, clock: Clock) -> None:
        """Begin a new generation every `span` ms, and whenever the last one has `full` keys."""
        self._file = LogFile(path, synchronous=synchronous, clock=clock)
        self._path = path
        self._span = span
        self._full = full
        self._clock = clock
        self._born = 0  # of the generation that is written to
        self._size = 0  # keys in it
        self._condemned: set[int] = set()  # generations to drop as soon as the disk lets us
        self._is_torn = False
        self._tables: set[int] = set()  # the generation whose table we have made sure of, if any

    @property
    def damaged(self) -> int:
        """Blocks and rows lost to damage."""
        return self._file.damaged

    def open(self) -> None:
        self._file.open()

    def close(self) -> None:
        """Close and unlock. Never raises; may be called twice."""
        self._file.close()

    def warn_of_a_small_disk(self, max_keys: int) -> None:
        """Say so in the log when the disk will be full before `max_keys` are reached."""
        with self._file.explained():
            needed, room = max_keys * _BYTES_A_KEY + _BYTES_BESIDE, self._file.size + self._file.room
        if room < needed:
            cure = "enlarge the disk, or lower store.max_keys or store.ttl"
            log.warning("key_store_disk_small", extra={"path": str(self._path), "bytes": needed - room, "cure": cure})

    def births(self) -> list[int]:
        """The generations in the file, oldest first."""
        with self._file.explained():
            return schema.generations(self._file.db)

    def blocks(self, born: int) -> Iterator[list[bytes]]:
        """The keys of a generation, a sound block at a time. The generation read last is the one written on."""
        self._born, self._size = born, 0
        with self._file.explained():
            for block in schema.read_blocks(self._file.db, born):
                if block is None:
                    self._is_torn = True
                    continue
                keys = split(block)
                self._size += len(keys)
                yield keys

    def waiting(self) -> Iterator[tuple[bytes, Waiting]]:
        """The sound records of scheduled and cancelled keys."""
        with self._file.explained():
            for record in schema.read_waiting(self._file.db):
                if record is None:
                    self._is_torn = True
                else:
                    yield record

    def mend(self) -> None:
        """If reading met damage, or the file is not whole: move what is sound to a new one and set this one aside."""
        with self._file.explained():
            if self._is_torn or not schema.is_whole(self._file.db):
                self._file.replace()
                self._is_torn = False

    def write(self, entries: Sequence[Entry]) -> int:
        """Write all of it in one transaction; return the generation that the keys went to."""
        with self._file.explained():
            try:
                return self._write(self._file.db, entries)
            except schema.SQLITE_FAULTS as error:
                if not self._file.is_damage(error):
                    raise
                self._file.replace()
                self._tables.clear()
                return self._write(self._file.db, entries)

    def condemn(self, born: int) -> None:
        """Drop a generation with the next `flush()`, or the first one that succeeds."""
        self._condemned.add(born)
        if born == self._born:
            self._born = 0

    def flush(self) -> None:
        """Make what is written safe against a power cut, unless a reader is in the way; drop what is condemned."""
        with self._file.explained():
            db = self._file.db
            db.execute(schema.CHECKPOINT)
            for born in sorted(self._condemned):
                db.execute(schema.drop_generation(born))
                self._condemned.remove(born)
                db.execute(schema.CHECKPOINT)

    def _write(self, db: sqlite3.Connection, entries: Sequence[Entry]) -> int:
        now = self._clock()
        block = b"".join([key for entry in entries for key in entry.keys])
        fresh = not self._born <= now < self._born + self._span or self._size >= self._full
        born = now if fresh else self._born
        if born in self._tables and not any(entry.put or entry.forget for entry in entries):
            _insert(db, born, block)  # one statement is a transaction by itself, at a third of the cost
        else:
            self._write_all(db, born, block, entries)
        self._size = len(block) // KEY_BYTES + (0 if fresh else self._size)
        self._born = born
        return born

    def _write_all(self, db: sqlite3.Connection, born: int, block: bytes, entries: Sequence[Entry]) -> None:
        with _transaction(db):
            db.execute(schema.create_generation(born))
            if block:
                _insert(db, born, block)
            for entry in entries:
                if entry.put:
                    db.executemany(schema.PUT, entry.put)
                if entry.forget:
                    db.executemany(schema.FORGET, [(key,) for key in entry.forget])
        self._tables = {born}


def _insert(db: sqlite3.Connection, born: int, block: bytes) -> None:
    db.execute(schema.insert_block(born), (zlib.crc32(block), block))


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
