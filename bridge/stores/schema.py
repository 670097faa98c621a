"""The tables of the key log, and how their rows are read back: every one with a checksum."""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias

from bridge.core.claims import Cancelled, Scheduled, Waiting
from bridge.stores.generations import KEY_BYTES

Synchronous: TypeAlias = Literal["normal", "full"]
Row: TypeAlias = tuple[bytes, int, int, int, int, int]

PRAGMAS: Final = (
    "page_size=4096",
    "journal_mode=WAL",
    "wal_autocheckpoint=2000",  # 8 MiB: a ceiling, as a passive checkpoint runs every second anyway
    "journal_size_limit=16777216",
    "cache_size=-4096",
    "mmap_size=0",  # a file that is cut short under a mapping kills the process with SIGBUS
)
CREATE_WAITING: Final = (
    "CREATE TABLE IF NOT EXISTS sched"
    "(k BLOB PRIMARY KEY, crc INTEGER NOT NULL, cancelled INTEGER NOT NULL, gen INTEGER NOT NULL,"
    " due INTEGER NOT NULL, until INTEGER NOT NULL) WITHOUT ROWID"
)
PUT: Final = "INSERT OR REPLACE INTO sched(k, crc, cancelled, gen, due, until) VALUES(?, ?, ?, ?, ?, ?)"
CHECKPOINT: Final = "PRAGMA wal_checkpoint(PASSIVE)"
FORGET: Final = "DELETE FROM sched WHERE k = ?"

# Our statements are constant, so that SQLITE_ERROR ("no such column") can only come from a damaged schema.
_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR})
SQLITE_FAULTS: Final = (sqlite3.Error, UnicodeDecodeError)  # the latter over an error text that quotes a damaged schema


def create_generation(born: int) -> str:
    """One row a group commit; `keys` holds its keys end to end."""
    return f"CREATE TABLE IF NOT EXISTS g{born:d}(i INTEGER PRIMARY KEY, crc INTEGER NOT NULL, keys BLOB NOT NULL)"


def insert_block(born: int) -> str:
    return f"INSERT INTO g{born:d}(crc, keys) VALUES(?, ?)"


def drop_generation(born: int) -> str:
    return f"DROP TABLE IF EXISTS g{born:d}"


def generations(db: sqlite3.Connection) -> list[int]:
    """When the generations in the file were born, oldest first."""
    return sorted(int(name[1:]) for name in _tables(db) if name.startswith("g") and name[1:].isdecimal())


def is_foreign(db: sqlite3.Connection) -> bool:
    """Whether this is somebody else's database."""
    tables = _tables(db)
    return bool(tables) and "sched" not in tables


def is_damage(error: Exception) -> bool:
    """Whether the file itself is broken, as opposed to full, locked or away."""
    return isinstance(error, UnicodeDecodeError) or code_of(error) & 0xFF in _DAMAGE


def code_of(error: Exception) -> int:
    """SQLite's extended result code; 0 where the error has none."""
    return getattr(error, "sqlite_errorcode", 0)


def is_whole(db: sqlite3.Connection) -> bool:
    """
    Whether every page of the file is where it should be.

    A flipped bit in the list of tables can hide one without any other sign; its pages then belong to nobody.
    """
    try:
        [(verdict,)] = db.execute("PRAGMA quick_check(1)")
    except SQLITE_FAULTS as error:
        if not is_damage(error):
            raise
        return False
    return bool(verdict == "ok")


def read_blocks(db: sqlite3.Connection, born: int) -> Iterator[bytes | None]:
    """Every block of a generation, None for each damaged one."""
    for row in _read_around(db, f"g{born:d}", "i, crc, keys"):
        yield row[2] if row and _is_sound(row[1], row[2]) else None


def read_waiting(db: sqlite3.Connection) -> Iterator[tuple[bytes, Waiting] | None]:
    """Every scheduled or cancelled key with its record, None for each damaged one."""
    for row in _read_around(db, "sched", "k, crc, cancelled, gen, due, until"):
        yield record_of(row) if row else None


def copy_sound(old: sqlite3.Connection, new: sqlite3.Connection) -> int:
    """Copy all that is sound into an empty file, in one transaction; return how much was not."""
    damaged = 0
    new.execute("BEGIN IMMEDIATE")
    for born in generations(old):
        new.execute(create_generation(born))
        for block in read_blocks(old, born):
            if block is None:
                damaged += 1
            else:
                new.execute(insert_block(born), (zlib.crc32(block), block))
    for record in read_waiting(old):
        if record is None:
            damaged += 1
        else:
            new.execute(PUT, row_of(*record))
    new.execute("COMMIT")
    return damaged


def row_of(key: bytes, record: Waiting) -> Row:
    """
    The row of a scheduled or cancelled key.

    Its checksum is no luxury: a flipped bit that raised `gen` would make the copy in the delay line look stale, and
    stale copies are dropped.
    """
    cancelled = isinstance(record, Cancelled)
    due = record.due_at if isinstance(record, Scheduled) else 0
    return key, _checksum(key, cancelled, record.gen, due, record.until), cancelled, record.gen, due, record.until


def record_of(row: tuple[Any, ...]) -> tuple[bytes, Waiting] | None:
    """The key and record of a row, or None when it is not what was written."""
    key, crc, cancelled, gen, due, until = row
    try:
        sound = len(key) == KEY_BYTES and crc == _checksum(key, cancelled, gen, due, until)
    except (TypeError, struct.error):  # a damaged row may hold anything
        return None
    if not sound:
        return None
    return key, Cancelled(gen, until) if cancelled else Scheduled(gen, due, until)


def _checksum(key: bytes, cancelled: int, gen: int, due: int, until: int) -> int:
    return zlib.crc32(key + struct.pack("<bqqq", cancelled, gen, due, until))


def _is_sound(crc: Any, block: Any) -> bool:
    return isinstance(block, bytes) and len(block) % KEY_BYTES == 0 and bool(crc == zlib.crc32(block))


def _read_around(db: sqlite3.Connection, table: str, columns: str) -> Iterator[tuple[Any, ...] | None]:
    """
    Every row that can be read, from both ends, so that a damaged page costs no more than what is on it.

    The first column has to be the primary key. Yields None where reading met damage.
    """
    reached: Any = None
    for order in ("ASC", "DESC"):
        query = f"SELECT {columns} FROM {table} ORDER BY 1 {order}"  # noqa: S608  names of this module
        try:
            for row in db.execute(query):
                if order == "ASC":
                    reached = row[0]
                elif type(row[0]) is type(reached) and row[0] <= reached:
                    return
                yield row
        except SQLITE_FAULTS as error:
            if not is_damage(error):
                raise
            yield None
        else:
            return


def _tables(db: sqlite3.Connection) -> list[str]:
    return [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
