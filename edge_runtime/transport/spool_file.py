"""The spool's file: an SQLite database that with its log never takes more than its cap on disk.

The file has at most so many pages, and no transaction begins that could make the log longer than its share. Format:
`docs/formats/spool.md`.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from edge_runtime.errors import SpoolError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APPLICATION = 0x65725370  # "erSp"
FORMAT = 1
SCHEMA = (
    """CREATE TABLE items (sequence INTEGER PRIMARY KEY, lane TEXT NOT NULL, key TEXT NOT NULL, added REAL NOT NULL,
    crc INTEGER NOT NULL, body BLOB NOT NULL)""",
    "CREATE UNIQUE INDEX item_keys ON items (lane, key)",
    "CREATE INDEX item_lanes ON items (lane)",
    "CREATE TABLE lanes (name TEXT PRIMARY KEY, items INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TRIGGER item_in AFTER INSERT ON items BEGIN INSERT INTO lanes VALUES (new.lane, 1, length(new.body))
    ON CONFLICT (name) DO UPDATE SET items = items + 1, bytes = bytes + excluded.bytes; END""",
    """CREATE TRIGGER item_out AFTER DELETE ON items BEGIN UPDATE lanes SET items = items - 1,
    bytes = bytes - length(old.body) WHERE name = old.lane; END""",
)

PAGE = 4096
FRAME = PAGE + 24  # a page in the log, which has a header before the first
LOG_HEADER = 32
OVERFLOW = PAGE - 4  # what a page holds of a body that goes on in another
SMALLEST = 1 << 20
# The log's share of the cap, and how long it may grow before it is written into the file, even if that share is larger.
LOG_SHARE = 4
LONG_LOG = 1 << 20
# What one row changes at most, besides the pages of its body: a leaf of each tree, with neighbours and parents when it
# is split or joined.
ROW_PAGES = 24
# An empty file gives back what it has beyond so many pages.
EMPTY_PAGES = 256
SUFFIXES = ("", "-wal", "-shm")
KEPT_ASIDE = 2
# Not now, but the folder can be written to.
PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


class SpoolFile:
    """The database ``db`` at ``path``, opened or made, alone with it: a second opening fails.

    Raises SpoolError where it can never be opened, OSError and sqlite3.OperationalError where it cannot be now, and
    sqlite3.DatabaseError itself for a file that is damaged or somebody else's.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path, self.max_bytes = path, max_bytes
        self._failed = False
        self._log_bytes = max_bytes // LOG_SHARE
        self.max_pages = (max_bytes - self._log_bytes) // PAGE
        _make(path)
        self.db = sqlite3.connect(path, timeout=1, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
        except BaseException as error:
            self.close()
            if str(error) == "database is locked":
                raise SpoolError(f"spool {path}: in use by another process, give each its own path") from None
            raise

    def close(self) -> None:
        """Write the log into the file, and let go."""
        with suppress(sqlite3.Error):
            self.db.close()

    @property
    def log_pages(self) -> int:
        """How many pages one transaction may change."""
        return (self._log_bytes - LOG_HEADER) // FRAME

    @property
    def pages(self) -> int:
        """How many pages hold something."""
        return self._number("page_count") - self._number("freelist_count")

    @contextmanager
    def writing(self, pages: int, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """A transaction that changes at most ``pages``; a ``durable`` one is on disk at its end, and all before."""
        length = file_bytes(self.path, ("-wal",))
        # On a full disk the log may have no room to grow, and yet what it holds may have room in the file.
        if self._failed or length > LONG_LOG or length + pages * FRAME + LOG_HEADER > self._log_bytes:
            self.empty_log()
        self.db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        self._failed = True
        try:
            self.db.execute("BEGIN IMMEDIATE")
            yield self.db
            self.db.execute("COMMIT")
            self._failed = False
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise

    def empty_log(self) -> None:
        """Write the log into the file and cut it to nothing."""
        self.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def shrink(self) -> None:
        """Give free pages back: those of an empty file, and those beyond a cap that was larger once."""
        if file_bytes(self.path) > self.max_bytes:
            self.empty_log()
        length = self._number("page_count")
        if length > self.max_pages or (length > EMPTY_PAGES and self.pages < EMPTY_PAGES // 2):
            self.db.execute("VACUUM")
            self.empty_log()

    def _prepare(self) -> None:
        # Alone with the file there is no need of shared memory, and no reader keeps the log from being emptied.
        self.db.execute("PRAGMA locking_mode = EXCLUSIVE")
        self.db.execute(f"PRAGMA page_size = {PAGE}")
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("PRAGMA wal_autocheckpoint = 0")
        self.db.execute("PRAGMA secure_delete = OFF")
        marks = self._number("application_id"), self._number("user_version"), self._number("page_size")
        schema = tuple(sql for (sql,) in self.db.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"))
        if marks == (0, 0, PAGE) and not schema:
            self._create()
        elif marks != (APPLICATION, FORMAT, PAGE) or schema != SCHEMA:
            raise sqlite3.DatabaseError("no spool of this version")
        self.db.execute(f"PRAGMA max_page_count = {self.max_pages}")

    def _create(self) -> None:
        with self.writing(self.log_pages, durable=True) as db:
            db.execute(f"PRAGMA application_id = {APPLICATION}")
            db.execute(f"PRAGMA user_version = {FORMAT}")
            for statement in SCHEMA:
                db.execute(statement)

    def _number(self, pragma: str) -> int:
        (number,) = self.db.execute(f"PRAGMA {pragma}").fetchone()
        return int(number)


def file_bytes(path: Path, suffixes: tuple[str, ...] = SUFFIXES) -> int:
    """Bytes on disk of the file, its log, and the shared memory that another program may have left."""
    total = 0
    for suffix in suffixes:
        with suppress(FileNotFoundError):
            total += os.stat(f"{path}{suffix}").st_size  # noqa: PTH116 - a suffix of the name, not of its stem
    return total


def set_aside(path: Path) -> str:
    """Rename a damaged file and its log, drop those of earlier times but one, and return the new name."""
    aside = f"{path}.corrupt-{datetime.now(timezone.utc):%Y%m%dT%H%M%S.%fZ}"
    for suffix in SUFFIXES:
        with suppress(FileNotFoundError):
            os.replace(f"{path}{suffix}", f"{aside}{suffix}")  # noqa: PTH105 - the same
    found = sorted(one for one in path.parent.glob(f"{path.name}.corrupt-*") if one.name.endswith("Z"))
    for old in found[:-KEPT_ASIDE]:
        for one in path.parent.glob(f"{old.name}*"):
            one.unlink()
    return aside


def _make(path: Path) -> None:
    """Have a file that only its owner can read."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        path.chmod(0o600)
    except OSError as error:
        if error.errno in PASSING:
            raise
        raise SpoolError(f"spool {path}: cannot be written ({error.strerror}), give another path") from None
